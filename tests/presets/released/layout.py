"""Released models made up for tests: their tensors, and what they compute.

The names are those of the published files, written out once more, and the network is
in float64 numpy, so that neither the importer's table nor our layers vouch for
themselves.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Two heads of 3 channels, six hidden channels, feed-forward networks of 5.
HEADS, HEAD_DIM, HIDDEN, FFN, WINDOW = 2, 3, 6, 5, 12

CONF_JSON = {
    "max_obs": WINDOW,
    "data": "./data/records/huge",
    "batch_size": 5000,
    "layers": 2,
    "heads": HEADS,
    "head_dim": HIDDEN,
    "dff": FFN,
    "dropout": 0.1,
    "base": 1000,
    "lr": 0.001,
    "use_leak": False,
    "msk_frac": 0.5,
    "exp_date": "2021-09-29 02:34:42",
}
CONFIG_TOML = {
    "data": "./data/records/macho",
    "window_size": WINDOW,
    "probed": 0.5,
    "norm": "zero-mean",
    "lr": 1e-5,
    "arch": "base",
    "num_layers": 2,
    "num_heads": HEADS,
    "head_dim": HEAD_DIM,
    "pe_dim": HIDDEN,
    "pe_base": 1000,
    "pe_exp": 2,
    "mixer": FFN,
    "dropout": 0.1,
    "m_alpha": -1e9,
    "mask_format": "K",
    "use_leak": True,
    "temperature": 0.0,
}


def released_tensors(*, residuals: bool, num_layers: int = 2) -> dict[str, Array]:
    """Return random tensors by their paths in a published checkpoint."""
    rng = np.random.default_rng(11)
    attention = HEADS * HEAD_DIM
    shapes: dict[str, tuple[int, ...]] = {"layer_with_weights-0/inp_transform": (1, 6)}
    for index in range(num_layers):
        block = f"layer_with_weights-0/enc_layers/{index}"
        for name in ("wq", "wk", "wv"):
            shapes[f"{block}/mha/{name}"] = (HIDDEN, attention)
        shapes[f"{block}/mha/dense"] = (attention, HIDDEN)
        shapes[f"{block}/ffn/layer_with_weights-0"] = (HIDDEN, FFN)
        shapes[f"{block}/ffn/layer_with_weights-1"] = (FFN, HIDDEN)
        if residuals:
            shapes[f"{block}/reshape_leak_1"] = (HIDDEN, HIDDEN)
            shapes[f"{block}/reshape_leak_2"] = (HIDDEN, HIDDEN)
        shapes[f"{block}/layernorm1"] = (HIDDEN,)
        shapes[f"{block}/layernorm2"] = (HIDDEN,)
    shapes["layer_with_weights-1/bn_0"] = (HIDDEN,)
    shapes["layer_with_weights-1/reg_layer"] = (HIDDEN, 1)
    tensors = {}
    for layer, shape in shapes.items():
        first, second = ("kernel", "bias") if len(shape) > 1 else ("gamma", "beta")
        tensors[f"{layer}/{first}"] = rng.normal(0.0, 0.6, shape).astype(np.float32)
        tensors[f"{layer}/{second}"] = rng.normal(0.0, 0.6, shape[-1]).astype(
            np.float32
        )
    return tensors


def compute(tensors: dict[str, Array], inputs: dict[str, Array]) -> Array:
    """Return what the released code reconstructs, hidden magnitudes leaking in.

    Without learned residuals it is Astromer 1: 1 is added to the logits where query or
    key is hidden or padding. With them it is Astromer 2: these keys are excluded.
    """

    def dense(path: str, x: Array) -> Array:
        kernel = tensors[f"{path}/kernel"].astype(np.float64)
        return x @ kernel + tensors[f"{path}/bias"]

    def norm(path: str, x: Array) -> Array:
        centered = x - x.mean(axis=-1, keepdims=True)
        scaled = centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-6)
        return scaled * tensors[f"{path}/gamma"] + tensors[f"{path}/beta"]

    residuals = any("reshape_leak" in path for path in tensors)
    blocked = inputs["hidden"] | ~inputs["valid"]
    bias = -1e9 * blocked[:, None, :]
    if not residuals:
        bias = 1.0 * (blocked[:, None, :] | blocked[:, :, None])
    channels = np.arange(HIDDEN)
    angle = inputs["time"][..., None] * 10_000.0 ** (-2.0 * channels / HIDDEN)
    x = np.where(channels % 2, np.cos(angle), np.sin(angle))
    x = x + dense("layer_with_weights-0/inp_transform", inputs["mag"][..., None])
    num_layers = sum(path.endswith("wq/bias") for path in tensors)
    for number in range(num_layers):
        block = f"layer_with_weights-0/enc_layers/{number}"
        query, key, value = (dense(f"{block}/mha/{n}", x) for n in ("wq", "wk", "wv"))
        heads = []
        for first in range(0, HEADS * HEAD_DIM, HEAD_DIM):
            part = slice(first, first + HEAD_DIM)
            logits = query[..., part] @ np.swapaxes(key[..., part], 1, 2)
            weights = np.exp(logits / np.sqrt(HEAD_DIM) + bias)
            weights /= weights.sum(axis=-1, keepdims=True)
            heads.append(weights @ value[..., part])
        h = dense(f"{block}/mha/dense", np.concatenate(heads, axis=-1))
        if residuals:
            h = h + dense(f"{block}/reshape_leak_1", x)
        h = norm(f"{block}/layernorm1", h)
        y = np.tanh(dense(f"{block}/ffn/layer_with_weights-0", h))
        y = dense(f"{block}/ffn/layer_with_weights-1", y)
        if residuals:
            y = y + dense(f"{block}/reshape_leak_2", h)
        x = norm(f"{block}/layernorm2", y)
    head = norm("layer_with_weights-1/bn_0", x)
    return dense("layer_with_weights-1/reg_layer", head)[..., 0]


def write_release(
    folder: Path, tensors: dict[str, Array], options: dict[str, Any] | None = None
) -> Path:
    """Write a checkpoint with TensorFlow, and the options of its kind beside it."""
    from tests.presets.released.checkpoints import write_checkpoint

    residuals = any("reshape_leak" in path for path in tensors)
    folder.mkdir(parents=True)
    keyed = {f"{k}/.ATTRIBUTES/VARIABLE_VALUE": v for k, v in tensors.items()}
    write_checkpoint(folder / "weights", keyed)
    if residuals:
        write_toml(folder / "config.toml", CONFIG_TOML if options is None else options)
    else:
        text = json.dumps(CONF_JSON if options is None else options)
        (folder / "conf.json").write_text(text)
    return folder


def write_toml(path: Path, options: dict[str, Any]) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    path.write_text("\n".join(lines))


def zipped(folder: Path, to: Path, inside: str = "model") -> Path:
    """Zip a folder's files as members of a folder `inside`."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{inside}/{path.relative_to(folder)}")
    return to
