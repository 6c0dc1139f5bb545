"""Light curves to embeddings: one vector per light curve, window or observation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from astromer.checks import check_positive
from astromer.errors import ConfigError, unknown_name
from astromer.inference.rows import average_windows, describe_rows
from astromer.inference.runner import (
    OBSERVATIONS_PER_CHUNK,
    Apply,
    compiled,
    own_encoder,
    run_batches,
    windows_ahead,
)
from astromer.inference.runtimes import Runtime
from astromer.inference.sources import Source, iterate_light_curves
from astromer.inference.vectors import Embeddings
from astromer.lightcurve import LightCurve
from astromer.models import ClassifierNetwork, Encoder, Reconstructor
from astromer.models.config import OfWindow
from astromer.pipeline import WindowArrays
from astromer.progress import Progress
from astromer.surveys import Dropped

__all__ = ["Layer", "Per", "embed", "embed_in_parts"]

Per = Literal["object", "window", "observation"]
Layer = int | OfWindow | Literal["all"] | Sequence[int | OfWindow]


def embed(
    model: Reconstructor | ClassifierNetwork | Encoder,
    source: Source,
    *,
    per: Per = "object",
    layer: Layer | None = None,
    batch_size: int = 64,
    runtime: Runtime = "keras",
    survey: str | None = None,
    passband: str | None = None,
    dropped: Dropped | None = None,
    max_unreadable: float = 0.0,
    progress: Progress | None = None,
) -> Embeddings:
    """Embed light curves, in input order.

    A light curve longer than a window gives several; ``per="object"`` averages them,
    each weighted by its number of observations, so that every observation counts once.

    Parameters
    ----------
    model : Reconstructor, ClassifierNetwork or Encoder
    source : light curves, frame, or paths
        A `LightCurve` or several; a pandas or polars long frame; a folder of records;
        survey files or folders.
    per : {"object", "window", "observation"}
        What one embedding stands for; an object in two passbands gives two.
    layer : int, "description", "signature", a sequence of them, or "all", optional
        0 is the input embedding, 1 the first block, -1 the last; "description" is what
        the encoder can say in plain numbers, "signature" what it takes other windows
        of the star to have in common with this one (see `EncoderConfig`); several are
        concatenated. "all" is the input embedding and all blocks. By default the last
        block and, unless observations are asked for, what else the encoder has of the
        two.
    batch_size : int
        Windows per batch. Where an encoder searches periods and two of them explain
        about as much, rounding decides, and with it the other windows of a batch: a
        value or two of such light curves change in the third digit.
    runtime : {"keras", "onnx", "openvino"}
        What runs the model: Keras, or ONNX Runtime or OpenVINO on the CPU, which take
        some seconds to convert it first. Their numbers are those of Keras to 1e-4 or
        better, but where an encoder searches periods and two of them explain about as
        much: rounding then decides. They need the extra ``export``.
    survey, passband : str, optional
        Format of survey files, where it is not recognized; passband to take.
    dropped : Dropped, optional
        Receives what is lost of survey files: bad observations by reason, and light
        curves without a good one, which are not in the result.
    max_unreadable : float
        Largest share of survey files that may be unreadable and are then left out; by
        default the first is an error.
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    embeddings : Embeddings
        ``(n, hidden_dim)`` values, or as many times more as there are layers, and
        ``description_channels`` and ``signature_dim`` more with these two.

    Raises
    ------
    ConfigError
        If an option is not valid, the source holds no light curves, or the model has no
        encoder.
    ImportError
        If the runtime is not installed.
    """
    parts = embed_in_parts(
        model,
        source,
        per=per,
        layer=layer,
        batch_size=batch_size,
        runtime=runtime,
        survey=survey,
        passband=passband,
        dropped=dropped,
        max_unreadable=max_unreadable,
        progress=progress,
    )
    columns = zip(*(part.columns().values() for part in parts), strict=True)
    return Embeddings(*map(np.concatenate, columns))


def embed_in_parts(
    model: Reconstructor | ClassifierNetwork | Encoder,
    source: Source,
    *,
    per: Per = "object",
    layer: Layer | None = None,
    batch_size: int = 64,
    runtime: Runtime = "keras",
    survey: str | None = None,
    passband: str | None = None,
    dropped: Dropped | None = None,
    max_unreadable: float = 0.0,
    progress: Progress | None = None,
) -> Iterator[Embeddings]:
    """Embed light curves part by part, so that memory does not grow with their number.

    Together the parts are what `embed` returns; see there for parameters and errors,
    which come at once. `astromer.inference.tables.write_parts` makes a file of them.

    Yields
    ------
    part : Embeddings
        Of the next few thousand light curves, never empty.
    """
    if per not in get_args(Per):
        raise ConfigError(unknown_name("per", per, get_args(Per)))
    check_positive(batch_size=batch_size)
    encoder = own_encoder(model)
    pooled = per != "observation"
    chosen = _chosen_layers(encoder, layer, pooled=pooled)
    apply = compiled(
        encoder,
        (chosen, pooled),
        lambda: _network(encoder, chosen, pooled=pooled),
        runtime,
    )
    light_curves, number = iterate_light_curves(
        source,
        survey=survey,
        passband=passband,
        dropped=dropped,
        max_unreadable=max_unreadable,
    )

    def parts() -> Iterator[Embeddings]:
        done = 0
        ahead = windows_ahead(light_curves, encoder.config, OBSERVATIONS_PER_CHUNK)
        for group, windows in ahead:
            values = _run(apply, windows, batch_size, pooled=pooled)
            done += len(group)
            if progress is not None:
                progress("embed", done, number, "light curves")
            yield _collect(group, windows, values, per)

    return parts()


def _chosen_layers(
    encoder: Encoder, layer: Layer | None, *, pooled: bool
) -> tuple[int | str, ...]:
    """Return numbers of layers from 0 on, and names of what is of a window."""
    number = len(encoder.layer_sequences)
    if layer is None:
        return encoder.default_layers if pooled else (number - 1,)
    names = get_args(OfWindow)
    given: Any = layer
    if isinstance(layer, str) or not isinstance(layer, Iterable):
        given = (layer,)
    chosen = tuple(given)
    if chosen == ("all",):
        return tuple(range(number))
    for part in chosen:
        if part not in names and not isinstance(part, int | np.integer):
            raise ConfigError(
                '`layer` must be a number, "description", "signature", several of '
                f'them, or "all". Received: {part!r}.'
            )
    if not chosen:
        raise ConfigError("`layer` must name at least one. Received: layer=[].")
    for index in chosen:
        if index in names:
            _check_of_window(encoder, str(index), pooled=pooled)
        elif not -number <= int(index) < number:
            raise ConfigError(
                f"`layer` must lie between {-number} and {number - 1}: "
                "0 is the input embedding, 1 the first block. "
                f"Received: layer={index}."
            )
    return tuple(i if isinstance(i, str) else int(i) % number for i in chosen)


def _check_of_window(encoder: Encoder, name: str, *, pooled: bool) -> None:
    if name not in encoder.of_window:
        option = {"signature": "signature_dim"}.get(name, name)
        raise ConfigError(
            f'This encoder has no {name}. Received: layer="{name}" with '
            f"{option}={getattr(encoder.config, option)} in its config. "
            "Use a preset such as macho-period."
        )
    if not pooled:
        raise ConfigError(
            f"A {name} is of a window, not of an observation. Received: "
            f'layer="{name}" with per="observation".'
        )


def _network(encoder: Encoder, chosen: tuple[Any, ...], *, pooled: bool) -> keras.Model:
    """Return a model of these layers' outputs, averaged over observations or not."""
    if pooled:
        return keras.Model(encoder.input, encoder.window_vector(chosen))
    outputs = [encoder.layer_sequences[layer] for layer in chosen]
    output = outputs[0] if len(outputs) == 1 else keras.ops.concatenate(outputs, -1)
    return keras.Model(encoder.input, output)


def _run(
    apply: Apply, windows: WindowArrays, batch_size: int, *, pooled: bool
) -> NDArray[np.float32]:
    """Return (num_windows, dim) if pooled, else (num_observations, dim)."""
    inputs = windows.inputs()
    rows_out = len(windows) if pooled else int(windows.size.sum())
    values = np.empty((0, 0), dtype=np.float32)
    first = np.cumsum(windows.size) - windows.size

    def receive(rows: NDArray[np.int64], outputs: NDArray[np.float32]) -> None:
        nonlocal values
        if not len(values):
            values = np.empty((rows_out, outputs.shape[-1]), dtype=np.float32)
        if pooled:
            values[rows] = outputs
            return
        for row, output in zip(rows, outputs, strict=True):
            size = windows.size[row]
            values[first[row] : first[row] + size] = output[:size]

    run_batches(apply, inputs, windows.size, batch_size, receive)
    return values


def _collect(
    group: list[LightCurve],
    windows: WindowArrays,
    values: NDArray[np.float32],
    per: Per,
) -> Embeddings:
    if per == "object":
        values = average_windows(values, windows).astype(np.float32)
    return Embeddings(**describe_rows(group, windows, per), embedding=values)
