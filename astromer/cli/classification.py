"""`astromer predict`: a trained classifier applied to light curves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.text import Text

from astromer.cli import terminal
from astromer.cli.embeddings import (
    BatchSize,
    Inputs,
    MaxUnreadable,
    Out,
    Passband,
    SurveyName,
    report_dropped,
)
from astromer.presets import find_preset
from astromer.progress import show_progress

if TYPE_CHECKING:
    from astromer.inference import Classifications

__all__ = ["predict"]


def predict(
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET_OR_RUN",
            help="A classifier: a preset's name or folder, or the folder of a run.",
        ),
    ],
    inputs: Inputs,
    out: Out,
    survey: SurveyName = None,
    passband: Passband = None,
    max_unreadable: MaxUnreadable = 0.0,
    per: Annotated[
        Literal["object", "window"],
        typer.Option(help="What one row stands for."),
    ] = "object",
    batch_size: BatchSize = 64,
) -> None:
    """Write a probability per class, columns p_NAME, in the order of the input."""
    find_preset(preset)  # before TensorFlow, whose import takes seconds
    terminal.start_tensorflow()
    from astromer import Classifier, Dropped, inference
    from astromer.inference.tables import check_result

    check_result(out)
    model = Classifier.from_pretrained(preset)
    dropped = Dropped()
    start = time.monotonic()
    with show_progress() as progress:
        classifications = inference.classify(
            model,
            inputs,
            per=per,
            batch_size=batch_size,
            survey=survey,
            passband=passband,
            dropped=dropped,
            max_unreadable=max_unreadable,
            progress=progress,
        )
    classifications.write(out)
    seconds = time.monotonic() - start
    report_dropped(dropped)
    number = len(classifications)
    rows = "light curve" if per == "object" else "window"
    terminal.output(
        f"[bold]{terminal.counted(number, rows)}[/bold] classified in "
        f"{terminal.duration(seconds)} ({terminal.rate(number, seconds, rows + 's')}), "
        f"{terminal.size(out.stat().st_size)} in {escape(str(out))}",
        *_summary(classifications),
    )


def _summary(classifications: Classifications) -> list[Text]:
    """Count predictions by class, and how many of the classes given they repeat."""
    import numpy as np

    predicted, given = classifications.predicted, classifications.class_name
    names = classifications.class_names
    counts = ((name, int((predicted == name).sum())) for name in names)
    listed = ", ".join(f"{name} {terminal.count(number)}" for name, number in counts)
    lines = [f"Predicted: {listed}"]
    known = np.isin(given, names)
    if known.any():
        right = terminal.count((predicted == given)[known].sum())
        lines.append(
            f"Of those with a known class, {right} of {terminal.count(known.sum())} agree"
        )
    # Names of classes may hold brackets, which are no markup.
    return [Text(line) for line in lines]
