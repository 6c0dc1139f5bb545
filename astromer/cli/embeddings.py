"""`astromer embed` and `astromer reconstruct`: a preset applied to light curves."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from astromer.cli import terminal
from astromer.presets import find_preset
from astromer.progress import show_progress

__all__ = [
    "BatchSize",
    "Inputs",
    "Out",
    "Passband",
    "Preset",
    "SurveyName",
    "embed",
    "reconstruct",
    "report_dropped",
]

Preset = Annotated[
    str,
    typer.Argument(metavar="PRESET", help="Name (`astromer presets list`) or folder."),
]
Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT",
        help="A folder of records, or native survey files or folders.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="FILE", help="Result: Parquet, CSV or NPZ, as the suffix says."
    ),
]
SurveyName = Annotated[
    str | None,
    typer.Option(
        "--survey",
        metavar="NAME",
        help="Format of native files, where it is not recognized.",
    ),
]
Passband = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Only light curves in this passband."),
]
BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Windows per batch.")]


def embed(
    preset: Preset,
    inputs: Inputs,
    out: Out,
    survey: SurveyName = None,
    passband: Passband = None,
    per: Annotated[
        Literal["object", "window", "observation"],
        typer.Option(help="What one embedding stands for."),
    ] = "object",
    batch_size: BatchSize = 64,
) -> None:
    """Write one embedding per light curve, in the order of the input."""
    find_preset(preset)  # before TensorFlow, whose import takes seconds
    terminal.start_tensorflow()
    from astromer import Astromer, inference
    from astromer.inference.tables import check_suffix

    check_suffix(out)
    model = Astromer.from_pretrained(preset)
    dropped = Counter[str]()
    start = time.monotonic()
    with show_progress() as progress:
        embeddings = inference.embed(
            model,
            inputs,
            per=per,
            batch_size=batch_size,
            survey=survey,
            passband=passband,
            dropped=dropped,
            progress=progress,
        )
    embeddings.write(out)
    seconds = time.monotonic() - start
    report_dropped(dropped)
    number, num_values = embeddings.embedding.shape
    terminal.output(
        f"[bold]{terminal.counted(number, 'embedding')}[/bold] of "
        f"{terminal.counted(num_values, 'value')} in {terminal.duration(seconds)} "
        f"({terminal.rate(number, seconds, 'embeddings')}), "
        f"{terminal.size(out.stat().st_size)} in {out}"
    )


def reconstruct(
    preset: Preset,
    inputs: Inputs,
    out: Out,
    survey: SurveyName = None,
    passband: Passband = None,
    num_folds: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Each observation is hidden once, in one of so many passes; "
            "0 hides nothing.",
        ),
    ] = 2,
    batch_size: BatchSize = 64,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of what is hidden when.")
    ] = 0,
) -> None:
    """Write each observation with the magnitude that the model gives for it."""
    find_preset(preset)  # before TensorFlow, whose import takes seconds
    terminal.start_tensorflow()
    from astromer import Astromer, inference
    from astromer.inference.tables import check_suffix

    check_suffix(out)
    model = Astromer.from_pretrained(preset)
    dropped = Counter[str]()
    start = time.monotonic()
    with show_progress() as progress:
        reconstructions = inference.reconstruct(
            model,
            inputs,
            num_folds=num_folds,
            batch_size=batch_size,
            seed=seed,
            survey=survey,
            passband=passband,
            dropped=dropped,
            progress=progress,
        )
    reconstructions.write(out)
    seconds = time.monotonic() - start
    report_dropped(dropped)
    number = len(reconstructions)
    terminal.output(
        f"[bold]{terminal.counted(number, 'observation')}[/bold] reconstructed, "
        f"RMSE {reconstructions.rmse:.4f} mag, in {terminal.duration(seconds)} "
        f"({terminal.rate(number, seconds, 'observations')}), "
        f"{terminal.size(out.stat().st_size)} in {out}"
    )


def report_dropped(dropped: Counter[str]) -> None:
    """Say which observations of survey files were left out, if any were."""
    if dropped:
        reasons = ", ".join(f"{name} {n:,}" for name, n in dropped.most_common())
        number = terminal.counted(dropped.total(), "bad observation")
        terminal.output(f"{number} left out: {reasons}")
