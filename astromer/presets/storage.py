"""Models to preset folders and back.

A folder holds `config.json` (what kind of model it is and its options),
`model.weights.h5`, `metadata.json` (provenance, scores, versions, the weights'
SHA-256), `golden.npz` (two small windows and what the model gave for them when it was
saved) and `README.md`, the model card.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import logging
import platform
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from astromer import batch
from astromer._version import __version__
from astromer.errors import ConfigError, PresetError
from astromer.models.configured import ConfiguredModel
from astromer.models.layers import weights_follow
from astromer.presets.registry import (
    CARD_NAME,
    CONFIG_NAME,
    METADATA_NAME,
    WEIGHTS_NAME,
    describe_preset,
    find_preset,
    read_json,
)
from astromer.presets.weights import load_weights as read_weights

__all__ = [
    "GOLDEN_NAME",
    "golden_difference",
    "load_preset",
    "save_preset",
]

_LOGGER = logging.getLogger(__name__)

GOLDEN_NAME: Final = "golden.npz"
FORMAT_VERSION: Final = 1
"""Raised whenever a reader of older presets would misread newer ones."""

_GOLDEN_SHAPE = (2, 24)

_PUBLIC_CLASSES = {"reconstructor": "Astromer", "classifier": "Classifier"}
"""The classes to load presets with, by the kind of model."""
_SECTIONS = {"config": "encoder", "classifier_config": "classifier"}
"""Where `config.json` keeps a config, by the argument of the model's constructor."""
_OUTPUTS = {"reconstructor": "reconstruction", "classifier": "logits"}
"""Names of the golden outputs, by the kind of model."""

Model = TypeVar("Model", bound=ConfiguredModel)


def save_preset(
    model: ConfiguredModel,
    path: str | Path,
    *,
    metadata: Mapping[str, Any] | None = None,
    card: str | None = None,
) -> Path:
    """Write a model as a preset folder.

    Parameters
    ----------
    model : Reconstructor or ClassifierNetwork
    path : str or pathlib.Path
        Folder to write; its name becomes the preset's. An existing preset is
        replaced, anything else in the folder stays.
    metadata : mapping, optional
        JSON-ready facts for the card and for `list_presets`: ``survey``,
        ``description``, ``provenance``, ``license``, ``training``, ``metrics``, ...
    card : str, optional
        The model card, Markdown; written from the metadata if not given.

    Returns
    -------
    path : pathlib.Path
        The folder.

    Raises
    ------
    ConfigError
        If the metadata are not plain JSON values, or the model is quantized; nothing
        is written then.
    """
    path = Path(path).expanduser()
    check_metadata(metadata)
    model.check_not_quantized()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside it until it is whole: a full disk must leave the preset that was there.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".preset-") as folder:
        _write_preset(model, Path(folder), path.name, metadata or {}, card)
        path.mkdir(exist_ok=True)
        # The checksum of the weights comes last.
        for name in (WEIGHTS_NAME, CONFIG_NAME, GOLDEN_NAME, CARD_NAME, METADATA_NAME):
            (Path(folder) / name).replace(path / name)
    return path


def check_metadata(metadata: Mapping[str, Any] | None) -> None:
    """Raise ConfigError unless facts of a preset can be written as JSON.

    Parameters
    ----------
    metadata : mapping or None

    Raises
    ------
    ConfigError
    """
    try:
        json.dumps(dict(metadata or {}))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"`metadata` must hold plain JSON values. Received: {error}. "
            "Turn arrays into lists and paths into text."
        ) from error


@contextlib.contextmanager
def _without_optimizer(model: keras.Model) -> Iterator[None]:
    """Hide an optimizer, whose moments Keras writes into weights files."""
    optimizer = getattr(model, "optimizer", None)
    model.optimizer = None
    try:
        yield
    finally:
        model.optimizer = optimizer


def _write_preset(
    model: ConfiguredModel,
    folder: Path,
    name: str,
    metadata: Mapping[str, Any],
    card: str | None,
) -> None:
    """Write the files of a preset that will have this name."""
    with _without_optimizer(model):
        model.save_weights(folder / WEIGHTS_NAME)
    config = {
        "format_version": FORMAT_VERSION,
        "kind": model.kind,
        **{
            _SECTIONS[part]: getattr(model, part).to_dict()
            for part in model.config_classes
        },
    }
    facts = {
        "description": "",
        "survey": "",
        "provenance": "saved by a user",
        "license": "not stated",
        **metadata,
        "num_parameters": int(model.count_params()),
        "weights_sha256": _sha256(folder / WEIGHTS_NAME),
        "versions": {
            "astromer": __version__,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "python": platform.python_version(),
        },
        "saved": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }
    _write_json(folder / CONFIG_NAME, config)
    _write_json(folder / METADATA_NAME, facts)
    inputs = _golden_inputs()
    golden = {**inputs, **_golden_outputs(model, inputs)}
    np.savez(folder / GOLDEN_NAME, allow_pickle=False, **golden)
    text = card if card is not None else _write_card(name, config, facts)
    (folder / CARD_NAME).write_text(text, encoding="utf-8")


def load_preset(
    name_or_path: str | Path,
    model_class: type[Model],
    *,
    load_weights: bool = True,
    dtype: Any = None,
) -> Model:
    """Build a model from a preset.

    Parameters
    ----------
    name_or_path : str or path
        See `find_preset`.
    model_class : type
        `Reconstructor`, `ClassifierNetwork` or a child of one of them.
    load_weights : bool
        False gives the architecture with new, random weights.
    dtype : str or keras.DTypePolicy, optional
        E.g. ``"mixed_bfloat16"``; Keras's global policy by default.

    Returns
    -------
    model : Reconstructor or ClassifierNetwork

    Raises
    ------
    PresetError
        If there is no such preset, it holds another kind of model or was written by a
        newer version, or its weights are damaged or do not fit its configuration.
    """
    path = find_preset(name_or_path)
    config = read_json(path / CONFIG_NAME)
    _check_kind(config, name_or_path, model_class)
    try:
        options = {
            name: config_class.from_dict(config[_SECTIONS[name]])
            for name, config_class in model_class.config_classes.items()
        }
        with weights_follow() if load_weights else contextlib.nullcontext():
            model = model_class(**options, name=_model_name(path), dtype=dtype)
    except (KeyError, TypeError, ConfigError) as error:
        raise PresetError(
            f"`{CONFIG_NAME}` does not describe a {model_class.kind}. Received: "
            f"path={path} ({error}). Save the preset again with `save_pretrained`."
        ) from error
    if load_weights:
        _check_weights(path)
        try:
            read_weights(model, path / WEIGHTS_NAME)
        except (ValueError, OSError, KeyError) as error:
            raise PresetError(
                f"The weights do not fit `{CONFIG_NAME}`. Received: path={path} "
                f"({error}). Save the preset again with `save_pretrained`."
            ) from error
        _log(path)
    return model


def _log(path: Path) -> None:
    facts = describe_preset(path)
    _LOGGER.info(
        "%s: %s. %s parameters; %s; license: %s.",
        facts.name,
        (facts.description or "no description").rstrip("."),
        f"{facts.num_parameters:,}",
        facts.provenance or "of unknown origin",
        facts.license or "not stated",
    )


def golden_difference(name_or_path: str | Path, model: ConfiguredModel) -> float:
    """Compare a model with what its preset gave when it was saved.

    Parameters
    ----------
    name_or_path : str or path
        See `find_preset`.
    model : Reconstructor or ClassifierNetwork
        Usually the same preset, loaded.

    Returns
    -------
    difference : float
        Largest absolute difference of the reconstructed magnitudes [mag] and of the
        signature, where there is one, or of a classifier's logits.

    Raises
    ------
    PresetError
        If the preset has no golden values.
    """
    path = find_preset(name_or_path) / GOLDEN_NAME
    if not path.is_file():
        raise PresetError(f"The preset has no golden values. Received: path={path}.")
    with np.load(path) as golden:
        inputs = {name: golden[name] for name in batch.INPUTS}
        outputs = _golden_outputs(model, inputs)
        differences = {name: np.abs(outputs[name] - golden[name]) for name in outputs}
    if model.kind == "reconstructor":
        # What is reconstructed at padding means nothing.
        name = _OUTPUTS[model.kind]
        differences[name] = differences[name][inputs[batch.VALID]]
    return max(float(values.max()) for values in differences.values())


def _golden_outputs(
    model: ConfiguredModel, inputs: dict[str, NDArray[Any]]
) -> dict[str, NDArray[np.floating]]:
    given = keras.ops.convert_to_numpy(model(inputs, training=False))
    outputs = {_OUTPUTS[model.kind]: given}
    if model.kind == "reconstructor" and model.config.signature_dim:
        encoder = model.encoder
        signed = keras.Model(encoder.input, encoder.signature)(inputs)
        outputs["signature"] = keras.ops.convert_to_numpy(signed)
    return outputs


def _check_kind(
    config: Mapping[str, Any], name_or_path: str | Path, model_class: type[Model]
) -> None:
    """Raise PresetError unless a preset is of this version and of the class's kind."""
    version, kind = config.get("format_version"), config.get("kind")
    if version != FORMAT_VERSION or kind not in _PUBLIC_CLASSES:
        raise PresetError(
            f"This version reads presets of format {FORMAT_VERSION} and kind "
            f"{' or '.join(_PUBLIC_CLASSES)}. Received: preset={name_or_path}, "
            f"format_version={version}, kind={kind}. "
            "Install the version of astromer that wrote it."
        )
    if kind == model_class.kind:
        return
    right = f'{_PUBLIC_CLASSES[kind]}.from_pretrained("{name_or_path}")'
    step = f"Load it with `{right}`"
    if model_class.kind == "classifier":
        step = (
            "Put a new classifier on it with "
            f"`{model_class.__name__}.from_astromer({right}, class_names)`"
        )
    raise PresetError(
        f"`{model_class.__name__}` loads a {model_class.kind}, and the preset holds a "
        f"{kind}, the class `{_PUBLIC_CLASSES[kind]}`. "
        f"Received: preset={name_or_path}, kind={kind}. {step}."
    )


def _golden_inputs() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    size = np.array([[24], [15]])
    valid = np.arange(_GOLDEN_SHAPE[1]) < size
    time = np.sort(rng.uniform(-400.0, 400.0, _GOLDEN_SHAPE), axis=1)
    mag = 0.4 * np.sin(2 * np.pi * time / 23.0)
    return {
        batch.TIME: np.where(valid, time, 0.0).astype(np.float32),
        batch.MAG: np.where(valid, mag, 0.0).astype(np.float32),
        batch.VALID: valid,
        batch.HIDDEN: valid & (rng.uniform(size=_GOLDEN_SHAPE) < 0.3),
    }


def _check_weights(path: Path) -> None:
    weights = path / WEIGHTS_NAME
    if not weights.is_file():
        raise PresetError(
            f"The preset has no `{WEIGHTS_NAME}`. Received: path={path}. "
            "Use load_weights=False for the architecture alone."
        )
    expected = read_json(path / METADATA_NAME).get("weights_sha256")
    found = _sha256(weights)
    if found != expected:
        raise PresetError(
            "The weights are damaged: their SHA-256 is not the one on record. "
            f"Received: path={weights}, sha256={found}, expected {expected}. "
            "Copy or install the preset again."
        )


def _model_name(path: Path) -> str:
    return "astromer_" + "".join(
        c if c.isascii() and c.isalnum() else "_" for c in path.name
    )


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_card(name: str, config: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    lines = [f"# {name}", ""]
    if facts["description"]:
        lines += [str(facts["description"]), ""]
    lines += ["| | |", "|---|---|"]
    for key in ("survey", "provenance", "license", "num_parameters", "weights_sha256"):
        lines.append(f"| {key} | {facts[key]} |")
    for title in ("training", "metrics", "versions"):
        if title in facts:
            lines += ["", f"## {title.capitalize()}", "", "```json"]
            lines += [json.dumps(facts[title], indent=2), "```"]
    for section in _SECTIONS.values():
        if section in config:
            lines += ["", f"## {section.capitalize()}", "", "```json"]
            lines += [json.dumps(config[section], indent=2), "```"]
    return "\n".join([*lines, ""])
