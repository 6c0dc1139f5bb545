"""An encoder as a file that other programs run: ONNX, OpenVINO, SavedModel, TFLite.

Keras converts; this module gives inputs and outputs their names and compares what the
file gives with what the model gives before it is put in its place.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from astromer import batch
from astromer._version import __version__
from astromer.errors import ConfigError, unknown_name
from astromer.inference.runner import own_encoder
from astromer.inference.runtimes import (
    OPENERS,
    Run,
    check_convertible,
    convert_to_onnx,
    import_extra,
)
from astromer.models import ClassifierNetwork, Encoder, EncoderConfig, Reconstructor
from astromer.models.heads import MaskedMax
from astromer.models.layers import MaskedMean
from astromer.outputs import check_output, full_disk_explained

__all__ = [
    "EXPORT_TOLERANCE",
    "FORMAT_SUFFIXES",
    "INPUT_MEANINGS",
    "OUTPUT_MEANINGS",
    "ExportFormat",
    "Exported",
    "check_export_path",
    "export",
]

ExportFormat = Literal["onnx", "openvino", "saved_model", "tflite"]

FORMAT_SUFFIXES: Final[dict[str, str]] = {
    "onnx": ".onnx",
    "openvino": ".xml",
    "saved_model": "",
    "tflite": ".tflite",
}
"""How a path of each format ends; a SavedModel is a folder."""

EXPORT_TOLERANCE: Final = 1e-5
"""Largest difference from Keras that an exported file may have, in units of an output's
root mean square where that exceeds one."""

INPUT_MEANINGS: Final = {
    "input": "(batch, window, 1) float32: magnitudes minus their mean [mag]; 0 on padding",
    "times": "(batch, window, 1) float32: days minus their mean [d]; 0 on padding",
    "mask_in": "(batch, window, 1) float32: 1 for a real observation, 0 for padding",
}
"""Inputs of an exported file, by name: those of `light_curve.embed`."""

OUTPUT_MEANINGS: Final = {
    "mean": "(batch, hidden_dim) float32: mean over the real observations, as `embed`"
    " gives it of the last block",
    "max": "(batch, hidden_dim) float32: largest value among the real observations",
    "sequence": "(batch, window, hidden_dim) float32: a vector per observation; "
    "arbitrary on padding",
}
"""Outputs of an exported file, by name."""

_KERAS_FORMATS: Final = {"saved_model": "tf_saved_model", "tflite": "litert"}

_CHECKED_WINDOWS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Exported:
    """What `export` has written."""

    path: Path
    """The file, or folder of a SavedModel; OpenVINO has its weights in a ``.bin``
    beside it."""
    format: ExportFormat
    """Its format."""
    num_bytes: int
    """Size of all files together."""
    largest_difference: float
    """From the outputs of the Keras model, on windows of several lengths, in units of an
    output's root mean square where that exceeds one."""


def export(
    model: Reconstructor | ClassifierNetwork | Encoder,
    path: str | Path,
    *,
    format: ExportFormat = "onnx",  # noqa: A002 - as Keras calls it
) -> Exported:
    """Write an encoder for use without this package, Keras or TensorFlow.

    Inputs are `INPUT_MEANINGS`, outputs `OUTPUT_MEANINGS`; batch and window size are
    free, but for a model whose padding has weight: its windows are always full. An
    ONNX file is what `light_curve.embed` takes for Astromer. The file is run and
    compared with the model before it replaces what lies at `path`.

    Parameters
    ----------
    model : Reconstructor, ClassifierNetwork or Encoder
        In float32, on the TensorFlow backend.
    path : str or pathlib.Path
        Ends as the format asks: ``.onnx``, ``.xml`` (the weights come beside it, in
        ``.bin``), ``.tflite``; for a SavedModel a folder.
    format : {"onnx", "openvino", "saved_model", "tflite"}

    Returns
    -------
    exported : Exported

    Raises
    ------
    ConfigError
        If an option is not valid, the model cannot be exported, or the file gives
        other numbers than the model.
    ImportError
        If a package of the extra ``export`` is missing.
    """
    path = check_export_path(path, format)
    encoder = own_encoder(model)
    check_convertible(encoder)
    network = _named_network(encoder)
    path.parent.mkdir(parents=True, exist_ok=True)
    # On the same disk, so that finished files move into their place at once.
    with (
        full_disk_explained(path),
        tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder,
    ):
        made = Path(folder) / path.name
        _write(network, made, format, encoder.config)
        difference = _check_numbers(network, made, format, encoder.config.window_size)
        num_bytes = sum(
            part.stat().st_size for part in Path(folder).rglob("*") if part.is_file()
        )
        for part in Path(folder).iterdir():
            target = path.parent / part.name
            if target.is_dir():
                shutil.rmtree(target)
            part.replace(target)
    return Exported(path, format, num_bytes, difference)


def check_export_path(path: str | Path, format: str) -> Path:  # noqa: A002
    """Return the path if it suits the format, else raise ConfigError."""
    if format not in get_args(ExportFormat):
        raise ConfigError(unknown_name("format", format, get_args(ExportFormat)))
    path = Path(path)
    suffix = FORMAT_SUFFIXES[format]
    if path.suffix != suffix or (suffix and path.is_dir()):
        ends = f"a file that ends in {suffix}" if suffix else "a folder without suffix"
        raise ConfigError(f'format="{format}" writes {ends}. Received: path={path}.')
    if suffix:
        return check_output(path)
    if path.exists() and not _is_saved_model(path):
        raise ConfigError(
            "A SavedModel replaces nothing but another. "
            f"Received: path={path}, which is something else. Name a new folder."
        )
    return path


def _is_saved_model(path: Path) -> bool:
    return path.is_dir() and (path / "saved_model.pb").is_file()


def _named_network(encoder: Encoder) -> keras.Model:
    """Return the encoder with the inputs and outputs of an exported file."""
    # Where padding has weight, a short window would give other numbers.
    full = encoder.config.attention_mask == "released_astromer1"
    shape = (encoder.config.window_size if full else None, 1)
    inputs = {name: keras.Input(shape, name=name) for name in INPUT_MEANINGS}
    mag, time, mask = (ops.squeeze(inputs[name], -1) for name in INPUT_MEANINGS)
    valid = ops.greater(mask, 0.5)
    sequence = encoder(
        {
            batch.TIME: time,
            batch.MAG: mag,
            batch.VALID: valid,
            batch.HIDDEN: ops.zeros_like(valid),
        }
    )
    outputs = {
        "mean": MaskedMean(name="mean", dtype="float32")(sequence, valid),
        "max": MaskedMax(name="max")(sequence, valid),
        "sequence": sequence,
    }
    return keras.Model(inputs, outputs, name="astromer")


def _write(
    network: keras.Model, path: Path, kind: ExportFormat, config: EncoderConfig
) -> None:
    if kind == "onnx":
        convert_to_onnx(network, path)
        _describe_onnx(path, config)
    elif kind == "openvino":
        openvino = import_extra("openvino")
        source = path.with_suffix(".onnx")
        convert_to_onnx(network, source)
        graph = openvino.Core().read_model(source)
        openvino.save_model(graph, path, compress_to_fp16=False)
        source.unlink()
    else:
        network.export(str(path), format=_KERAS_FORMATS[kind], verbose=False)


def _describe_onnx(path: Path, config: EncoderConfig) -> None:
    """Name the free axes of an ONNX file and write into it what it is."""
    onnx = import_extra("onnx")
    model = onnx.load(path)
    meanings = INPUT_MEANINGS | OUTPUT_MEANINGS
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = meanings[value.name]
        axes = value.type.tensor_type.shape.dim
        for axis, name in zip(axes, ("batch", "window"), strict=False):
            if not axis.HasField("dim_value"):
                axis.dim_param = name
    model.producer_name, model.producer_version = "astromer", __version__
    onnx.helper.set_model_props(
        model,
        {
            "encoder": json.dumps(config.to_dict()),
            "window_size": str(config.window_size),
            "normalization": config.normalization,
        },
    )
    onnx.save(model, path)


def _check_numbers(
    network: keras.Model,
    path: Path,
    kind: ExportFormat,
    window_size: int,
) -> float:
    """Return the largest difference of the file from Keras; raise if it is large."""
    run = _OPENERS[kind](path)
    largest = 0.0
    fixed = network.inputs[0].shape[1] is not None
    for width in (window_size,) if fixed else (window_size, -(-window_size // 3)):
        inputs = _check_inputs(width)
        expected = network(inputs, training=False)
        found = run(inputs, list(OUTPUT_MEANINGS))
        real = inputs["mask_in"][..., 0] > 0
        for name, output in zip(OUTPUT_MEANINGS, found, strict=True):
            values = np.asarray(expected[name])
            difference = np.abs(output - values)
            if name == "sequence":
                difference, values = difference[real], values[real]
            difference = difference / max(float(np.sqrt(np.mean(values**2))), 1.0)
            largest = max(largest, float(difference.max()))
    if not largest <= EXPORT_TOLERANCE:
        raise ConfigError(
            f"The exported file gives other numbers than the model; nothing was "
            f'written. Received: format="{kind}", a difference of {largest:.1e}, '
            f"more than {EXPORT_TOLERANCE:.0e}."
        )
    return largest


def _check_inputs(width: int) -> dict[str, NDArray[np.float32]]:
    """Return windows of fewer and fewer observations, the first full."""
    rng = np.random.default_rng(0)
    shape = (_CHECKED_WINDOWS, width, 1)
    size = np.maximum(width * np.arange(_CHECKED_WINDOWS, 0, -1) // _CHECKED_WINDOWS, 1)
    real = (np.arange(width) < size[:, None])[..., None]
    time = np.sort(rng.uniform(-500.0, 500.0, shape), axis=1)
    mag = rng.normal(0.0, 0.3, shape)
    values = (np.where(real, mag, 0.0), np.where(real, time, 0.0), real)
    return {
        name: value.astype(np.float32)
        for name, value in zip(INPUT_MEANINGS, values, strict=True)
    }


def _open_saved_model(path: Path) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def run(
        inputs: Mapping[str, NDArray[Any]], names: Sequence[str]
    ) -> list[NDArray[Any]]:
        found = loaded.signatures["serving_default"](
            **{name: tf.constant(values) for name, values in inputs.items()}
        )
        return [found[name].numpy() for name in names]

    return run


def _open_tflite(path: Path) -> Run:
    import tensorflow as tf

    with warnings.catch_warnings():
        # That it will move to another package is nothing that a user can change.
        warnings.filterwarnings("ignore", r"\s*Warning: *tf\.lite\.Interpreter")
        interpreter = tf.lite.Interpreter(str(path))

    def run(
        inputs: Mapping[str, NDArray[Any]], names: Sequence[str]
    ) -> list[NDArray[Any]]:
        found = interpreter.get_signature_runner()(**inputs)
        return [found[name] for name in names]

    return run


_OPENERS: Final[dict[str, Callable[[Path], Run]]] = {
    **OPENERS,
    "saved_model": _open_saved_model,
    "tflite": _open_tflite,
}
