"""Released tensors to our variables: the table of old names and new ones.

In between stand roles, such as ``block_0/query/kernel``: what a tensor does in the
network, whatever file it lies in and whatever our layers are called.
"""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from astromer.errors import PresetError

if TYPE_CHECKING:
    from astromer.models import EncoderConfig, Reconstructor

__all__ = [
    "MASK_TOKEN",
    "Roles",
    "Sizes",
    "measure",
    "roles_of_checkpoint",
    "roles_of_keras2",
    "shapes_of",
    "variables_of",
]

MASK_TOKEN: Final = "mask_token"  # noqa: S105 - no password
_INPUT, _HEAD = "input_projection", "regression"
_WEIGHTS: Final = ("kernel", "bias")
_SCALES: Final = ("gamma", "beta")

# --- Roles to our variables: a block's layers by attribute.

_BLOCK_LAYERS: Final = {
    "query": "attention.query",
    "key": "attention.key",
    "value": "attention.value",
    "attention_output": "attention.output_projection",
    "ffn_hidden": "intermediate",
    "ffn_output": "output_projection",
    "residual_1": "attention_residual",
    "residual_2": "output_residual",
    "layernorm_1": "attention_norm",
    "layernorm_2": "output_norm",
}
_HEAD_LAYERS: Final = {"layernorm": "head_norm", "dense": "head_dense"}

# --- TensorFlow checkpoints: paths of objects to roles.

_VALUE_SUFFIX: Final = "/.ATTRIBUTES/VARIABLE_VALUE"
_BLOCK_PATHS: Final = {
    "mha/wq": "query",
    "mha/wk": "key",
    "mha/wv": "value",
    "mha/dense": "attention_output",
    "ffn/layer_with_weights-0": "ffn_hidden",
    "ffn/layer_with_weights-1": "ffn_output",
    "reshape_leak_1": "residual_1",
    "reshape_leak_2": "residual_2",
    "layernorm1": "layernorm_1",
    "layernorm2": "layernorm_2",
}
_OUTER_PATHS: Final = {
    "inp_transform": _INPUT,
    "bn_0": f"{_HEAD}/layernorm",
    "reg_layer": f"{_HEAD}/dense",
}
_TOKEN_PATHS: Final = ("msk_token", MASK_TOKEN)
# What training leaves in a checkpoint beside the model's weights.
_TRAINING_PATHS: Final = re.compile(
    r"(.*/)?optimizer(_\d+)?/|.*/\.OPTIMIZER_SLOT/|(.*/)?keras_api/metrics/"
    r"|(.*/)?save_counter$"
)

# --- Keras 2 weights files: names of layers to roles. Feed-forward layers and, in a
# block, learned residuals and normalizations are told by their order alone.

_BLOCK_NAME: Final = re.compile(r"(encoder|att)_layer(_\d+)?")
_ATTENTION_NAMES: Final = {
    "WQ": "query",
    "WK": "key",
    "WV": "value",
    "MixerDense": "attention_output",
    "attmerge": "attention_output",
}
_BLOCK_ORDER: Final = {"dense": "residual", "layer_normalization": "layernorm"}
_HEAD_NAMES: Final = {
    "layer_normalization": f"{_HEAD}/layernorm",
    "RegLayer": f"{_HEAD}/dense",
    "reconstruction": f"{_HEAD}/dense",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Roles:
    """Tensors of a released model by what they do."""

    tensors: Mapping[str, NDArray[np.generic]]
    """By role."""
    names: Mapping[str, str]
    """Released name of each role's tensor."""
    training: tuple[str, ...]
    """Tensors of optimizers and counters, which no model needs."""
    unknown: tuple[str, ...]
    """Tensors that are none of these."""

    @property
    def has_head(self) -> bool:
        """Whether there is any part of a reconstruction head."""
        return any(role.startswith(_HEAD) for role in self.tensors)


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """What the shapes of the tensors tell of the network."""

    num_layers: int
    hidden_dim: int
    embedding_dim: int
    """Channels of the input embedding."""
    intermediate_dim: int
    attention_dim: int
    """Channels of all heads together."""
    has_residuals: bool
    """Whether there are learned paths around attention and feed-forward network."""
    has_token: bool
    """Whether there is a value that stands for hidden magnitudes."""


def roles_of_checkpoint(tensors: Mapping[str, NDArray[np.generic]]) -> Roles:
    """Name the tensors of a TensorFlow checkpoint, whatever their objects hang on.

    Parameters
    ----------
    tensors : mapping of str to numpy.ndarray
        From `read_checkpoint`.

    Returns
    -------
    roles : Roles

    Raises
    ------
    PresetError
        If two tensors have the same role.
    """
    named, training, unknown = [], [], []
    for key in tensors:
        path = key.removesuffix(_VALUE_SUFFIX)
        if _TRAINING_PATHS.match(path):
            training.append(key)
        elif (role := _role_of_path(path)) is not None:
            named.append((role, key))
        else:
            unknown.append(key)
    return _collect(tensors, named, training, unknown)


def _role_of_path(path: str) -> str | None:
    owner, _, variable = f"/{path}".rpartition("/")
    if variable in _TOKEN_PATHS:
        return MASK_TOKEN
    for ending, role in _OUTER_PATHS.items():
        if owner.endswith(f"/{ending}"):
            return f"{role}/{variable}"
    found = re.search(r"/enc_layers/(\d+)/(.+)$", owner)
    if found is None or found[2] not in _BLOCK_PATHS:
        return None
    return f"block_{int(found[1])}/{_BLOCK_PATHS[found[2]]}/{variable}"


def roles_of_keras2(tensors: Mapping[str, NDArray[np.generic]]) -> Roles:
    """Name the tensors of a Keras 2 weights file.

    Parameters
    ----------
    tensors : mapping of str to numpy.ndarray
        From `read_keras2_weights`, in the order of the file's layers.

    Returns
    -------
    roles : Roles

    Raises
    ------
    PresetError
        If two tensors have the same role.
    """
    layers = dict.fromkeys(name.rpartition("/")[0] for name in tensors)
    role_of_layer = _roles_of_layers(list(layers))
    named, unknown = [], []
    for name in tensors:
        layer, _, variable = name.removesuffix(":0").rpartition("/")
        role = role_of_layer.get(layer)
        if role is None:
            unknown.append(name)
        else:
            named.append((f"{role}/{variable}", name))
    return _collect(tensors, named, [], unknown)


def _roles_of_layers(layers: list[str]) -> dict[str, str]:
    roles: dict[str, str] = {}
    blocks: dict[str, int] = {}
    seen: dict[str, int] = {}

    def next_of(kind: str) -> int:
        seen[kind] = seen.get(kind, -1) + 1
        return seen[kind]

    for layer in layers:
        parts = layer.split("/")
        # Keras numbers what it builds: `dense`, `dense_1`, ... Only the order counts.
        base = re.sub(r"_\d+$", "", parts[-1])
        block = next((part for part in parts if _BLOCK_NAME.fullmatch(part)), None)
        if block is not None:
            index = blocks.setdefault(block, len(blocks))
            if base in _ATTENTION_NAMES:
                roles[layer] = f"block_{index}/{_ATTENTION_NAMES[base]}"
            elif base in _BLOCK_ORDER:
                kind = f"block_{index}/{_BLOCK_ORDER[base]}"
                roles[layer] = f"{kind}_{next_of(kind) + 1}"
        elif parts[0] == "regression" and base in _HEAD_NAMES:
            roles[layer] = _HEAD_NAMES[base]
        elif base == "inp_transform" or (base == "dense" and parts[:-1] == ["encoder"]):
            roles[layer] = _INPUT
        elif base == "dense" and len(parts) == 1:
            index, second = divmod(next_of("ffn"), 2)
            roles[layer] = f"block_{index}/ffn_{'output' if second else 'hidden'}"
    return roles


def _collect(
    tensors: Mapping[str, NDArray[np.generic]],
    named: list[tuple[str, str]],
    training: list[str],
    unknown: list[str],
) -> Roles:
    names: dict[str, str] = {}
    for role, name in named:
        if role in names:
            raise PresetError(
                "Two tensors have the same place in the network. Received: "
                f"{names[role]} and {name}, both {role}. Give the checkpoint of one "
                "model."
            )
        names[role] = name
    return Roles(
        {role: tensors[name] for role, name in names.items()},
        names,
        tuple(training),
        tuple(unknown),
    )


def measure(roles: Roles) -> Sizes:
    """Return what the shapes of the tensors tell, from the first block.

    Raises
    ------
    PresetError
        If a tensor that is looked at is missing or has another number of dimensions.
    """

    def shape(role: str, ndim: int) -> tuple[int, ...]:
        if role not in roles.tensors:
            raise PresetError(
                "The weights are not those of a released model. Received: no "
                f"{role} among {len(roles.tensors)} known tensors "
                f"and {len(roles.unknown)} others ({_some(roles.unknown)})."
            )
        found = roles.tensors[role].shape
        if len(found) != ndim:
            raise PresetError(
                f"{role} has {ndim} dimensions in a released model. Received: "
                f"shape={found} ({roles.names[role]})."
            )
        return found

    blocks = {
        int(found[1])
        for role in roles.tensors
        if (found := re.match(r"block_(\d+)/", role))
    }
    return Sizes(
        num_layers=len(blocks),
        hidden_dim=shape("block_0/layernorm_1/gamma", 1)[0],
        embedding_dim=shape(f"{_INPUT}/kernel", 2)[1],
        intermediate_dim=shape("block_0/ffn_hidden/kernel", 2)[1],
        attention_dim=shape("block_0/query/kernel", 2)[1],
        has_residuals=any("/residual_" in role for role in roles.tensors),
        has_token=MASK_TOKEN in roles.tensors,
    )


def shapes_of(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every role's tensor in a model.

    Parameters
    ----------
    config : EncoderConfig

    Returns
    -------
    shapes : dict of tuple of int
        Those of `variables_of`, before a model is built.
    """
    hidden, intermediate = config.hidden_dim, config.intermediate_dim
    attention = config.num_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {}

    def add(role: str, *shape: int) -> None:
        names = _WEIGHTS if len(shape) > 1 else _SCALES
        shapes[f"{role}/{names[0]}"] = shape
        shapes[f"{role}/{names[1]}"] = shape[-1:]

    add(_INPUT, 1, config.input_dim)
    for index in range(config.num_layers):
        entering = hidden if index else config.input_dim
        of_block = {
            "query": (entering, attention),
            "key": (entering, attention),
            "value": (entering, attention),
            "attention_output": (attention, hidden),
            "ffn_hidden": (hidden, intermediate),
            "ffn_output": (intermediate, hidden),
            "residual_1": (entering, hidden),
            "residual_2": (hidden, hidden),
            "layernorm_1": (hidden,),
            "layernorm_2": (hidden,),
        }
        for part in _parts_of(config):
            add(f"block_{index}/{part}", *of_block[part])
    add(f"{_HEAD}/layernorm", hidden)
    add(f"{_HEAD}/dense", hidden, 1)
    if config.hidden_magnitude == "token":
        shapes[MASK_TOKEN] = ()
    return shapes


def _parts_of(config: EncoderConfig) -> list[str]:
    """Return the layers of a block that a model has."""
    dense = config.residual == "dense"
    return [part for part in _BLOCK_LAYERS if dense or not part.startswith("residual")]


def variables_of(model: Reconstructor) -> dict[str, Any]:
    """Return the variables of a model by role.

    Parameters
    ----------
    model : Reconstructor

    Returns
    -------
    variables : dict of keras.Variable
        All of them, and no other.
    """
    variables: dict[str, Any] = {}

    def add(role: str, layer: Any) -> None:
        for name in _SCALES if "layernorm" in role else _WEIGHTS:
            variables[f"{role}/{name}"] = getattr(layer, name)

    encoder = model.encoder
    add(_INPUT, encoder.get_layer("magnitude_embedding"))
    for index, block in enumerate(encoder.blocks):
        for part in _parts_of(model.config):
            layer = operator.attrgetter(_BLOCK_LAYERS[part])(block)
            add(f"block_{index}/{part}", layer)
    for part, name in _HEAD_LAYERS.items():
        add(f"{_HEAD}/{part}", model.get_layer(name))
    token = encoder.get_layer("visible_magnitude").token
    if token is not None:
        variables[MASK_TOKEN] = token
    assert len(variables) == len(model.trainable_variables)
    return variables


def _some(names: tuple[str, ...], most: int = 5) -> str:
    listed = ", ".join(names[:most])
    return f"{listed}, ..." if len(names) > most else listed or "none"
