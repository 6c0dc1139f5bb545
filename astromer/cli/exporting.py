"""`astromer export`: a preset as a file for other programs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from astromer.cli import terminal
from astromer.cli.embeddings import Preset, load_preset
from astromer.presets import find_preset

__all__ = ["export"]


def export(
    preset: Preset,
    out: Annotated[
        Path,
        typer.Option(
            metavar="PATH",
            help="Ends in .onnx, .xml for OpenVINO, or .tflite; a folder for a "
            "SavedModel.",
        ),
    ],
    format: Annotated[  # noqa: A002 - as Keras calls it
        Literal["onnx", "openvino", "saved_model", "tflite"],
        typer.Option(help="What to write."),
    ] = "onnx",
) -> None:
    """Write a preset's encoder as a file that needs neither Astromer nor Keras.

    Inputs are input (magnitudes), times and mask_in (1 = valid), float32 of shape
    (batch, window, 1), as the package light-curve has them; outputs are mean, max and
    sequence. The file is compared with the preset before it is put in its place.
    """
    find_preset(preset)  # before TensorFlow, whose import takes seconds
    terminal.start_tensorflow()
    from astromer import inference

    inference.check_export_path(out, format)
    start = time.monotonic()
    exported = inference.export(load_preset(preset), out, format=format)
    terminal.output(
        f"[bold]{escape(str(exported.path))}[/bold]: {exported.format}, "
        f"{terminal.size(exported.num_bytes)}, within "
        f"{exported.largest_difference:.0e} of Keras, "
        f"in {terminal.duration(time.monotonic() - start)}",
        "inputs input, times, mask_in (1 = valid); outputs mean, max, sequence",
    )
