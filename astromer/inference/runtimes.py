"""Other engines than Keras to run a model in: ONNX Runtime and OpenVINO.

A model is converted once, weights included, so what runs is the model as it was then;
`runner.compiled` converts anew when its weights have changed.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError

__all__ = [
    "OPENERS",
    "Run",
    "Runtime",
    "check_convertible",
    "convert",
    "convert_to_onnx",
    "import_extra",
    "open_onnx",
    "open_openvino",
]

Runtime = Literal["keras", "onnx", "openvino"]

OBSERVATIONS_PER_PIECE: Final = 600
"""Positions that a core works on at a time: their activations stay in its cache."""

Run = Callable[[Mapping[str, NDArray[Any]], Sequence[str]], list[NDArray[Any]]]
"""A file, opened: inputs by name and names of outputs in, their arrays out."""


def convert(model: keras.Model, runtime: Runtime) -> Callable[..., NDArray[np.float32]]:
    """Turn a model of one output into a function of arrays in another engine.

    Parameters
    ----------
    model : keras.Model
        In float32, on the TensorFlow backend.
    runtime : {"onnx", "openvino"}

    Returns
    -------
    apply : callable
        From a dictionary of arrays, of any batch and window size, to an array.

    Raises
    ------
    ConfigError
        If the model cannot be converted.
    ImportError
        If a package of the extra ``export`` is missing.
    """
    check_convertible(model)
    opener = OPENERS[runtime]
    with tempfile.TemporaryDirectory(prefix="astromer-") as folder:
        path = Path(folder) / "model.onnx"
        convert_to_onnx(model, path)
        run = opener(path)

    # Each core runs pieces of its own: two that share every product wait for each other.
    pool = ThreadPoolExecutor(_num_cores(), thread_name_prefix="astromer")

    def apply(batch: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        number, size = next(iter(batch.values())).shape
        rows = max(OBSERVATIONS_PER_PIECE // size, 1)
        pieces = [
            {name: values[first : first + rows] for name, values in batch.items()}
            for first in range(0, number, rows)
        ]
        return np.concatenate(list(pool.map(lambda piece: run(piece, ())[0], pieces)))

    return apply


def _num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_convertible(model: keras.Model) -> None:
    """Raise ConfigError unless the model can be converted."""
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            "A model is converted from the TensorFlow backend. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}. Unset it."
        )
    # Not all layers: some compute in float32 whatever the model's policy.
    dtypes = {layer.compute_dtype for layer in model.layers if layer.weights}
    if others := dtypes - {"float32"}:
        raise ConfigError(
            f"A model is converted in float32. Received: dtype={min(others)}. "
            "Load the preset without `dtype`."
        )


def convert_to_onnx(model: keras.Model, path: Path) -> None:
    """Write a model as ONNX by Keras's converter.

    Parameters
    ----------
    model : keras.Model
        Functional; its inputs and outputs keep their names.
    path : pathlib.Path

    Raises
    ------
    ImportError
        If a package of the extra ``export`` is missing.
    """
    import_extra("onnx")
    import_extra("tf2onnx")
    # Given, since Keras otherwise asks that the model has been called before.
    inputs = {
        name: keras.InputSpec(dtype=tensor.dtype, shape=tensor.shape, name=name)
        for name, tensor in model.input.items()
    }
    with warnings.catch_warnings():
        # Keras asks numpy for a name that it is about to give it.
        warnings.filterwarnings("ignore", r".*np\.object", FutureWarning)
        model.export(str(path), format="onnx", verbose=False, input_signature=[inputs])


def import_extra(name: str) -> Any:
    """Import a package of the extra ``export``, or say how to get it."""
    try:
        with _without_reports():
            return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"This needs the package {name}, which cannot be imported ({error}). "
            'Install it with: pip install "astromer[export]"'
        ) from error


@contextlib.contextmanager
def _without_reports() -> Iterator[None]:
    """Hide the package by which OpenVINO reports its first import to its makers."""
    reporter = "openvino_telemetry"
    hide = reporter not in sys.modules
    if hide:
        sys.modules[reporter] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hide:
            del sys.modules[reporter]


def open_onnx(path: Path) -> Run:
    """Open an ONNX file in ONNX Runtime, on the CPU; a call takes one core.

    What is returned may be called by several threads at a time.
    """
    onnxruntime = import_extra("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return lambda inputs, names: session.run(list(names) or None, dict(inputs))


def open_openvino(path: Path) -> Run:
    """Open an OpenVINO or ONNX file in OpenVINO, on the CPU and in float32.

    As `open_onnx`: a call takes one core, and several threads may call at a time.
    """
    openvino = import_extra("openvino")
    # It looks for numpy at the first use, in which two threads at once wait for each
    # other for ever: one holds its lock, the other Python's.
    _ = openvino.Tensor(np.zeros(1, np.float32)).data
    streams = _num_cores()
    options = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams,
        # Left to itself it computes in bfloat16 where a processor can.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.Core().compile_model(path, "CPU", options)
    idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(streams):
        idle.put(compiled.create_infer_request())

    def run(
        inputs: Mapping[str, NDArray[Any]], names: Sequence[str]
    ) -> list[NDArray[Any]]:
        request = idle.get()
        try:
            found = request.infer(dict(inputs))
            # Copies: the engine writes its next results into the same memory.
            return [np.array(found[name]) for name in names or range(len(found))]
        finally:
            idle.put(request)

    return run


OPENERS: Final[dict[str, Callable[[Path], Run]]] = {
    "onnx": open_onnx,
    "openvino": open_openvino,
}
"""What opens a file in an engine, by the engine's name."""
