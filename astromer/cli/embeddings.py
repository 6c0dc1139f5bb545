"""`astromer embed` and `astromer reconstruct`: a preset applied to light curves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from astromer.cli import terminal
from astromer.presets import find_preset
from astromer.progress import show_progress

if TYPE_CHECKING:
    from astromer.surveys import Dropped

__all__ = [
    "BatchSize",
    "Inputs",
    "MaxUnreadable",
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
MaxUnreadable = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Largest share of survey files that cannot be read and are left out; "
        "by default the first ends the command.",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Windows per batch.")]


def embed(
    preset: Preset,
    inputs: Inputs,
    out: Out,
    survey: SurveyName = None,
    passband: Passband = None,
    max_unreadable: MaxUnreadable = 0.0,
    per: Annotated[
        Literal["object", "window", "observation"],
        typer.Option(help="What one embedding stands for."),
    ] = "object",
    batch_size: BatchSize = 64,
    runtime: Annotated[
        Literal["keras", "onnx", "openvino"],
        typer.Option(
            help="What runs the model; all but keras need the extra `export`."
        ),
    ] = "keras",
) -> None:
    """Write one embedding per light curve, in the order of the input."""
    find_preset(preset)  # before TensorFlow, whose import takes seconds
    terminal.start_tensorflow()
    from astromer import Dropped, inference
    from astromer.inference.runner import own_encoder
    from astromer.inference.tables import check_result, write_parts

    check_result(out)
    model = load_preset(preset)
    dropped = Dropped()
    start = time.monotonic()
    with show_progress() as progress:
        parts = inference.embed_in_parts(
            model,
            inputs,
            per=per,
            batch_size=batch_size,
            runtime=runtime,
            survey=survey,
            passband=passband,
            dropped=dropped,
            max_unreadable=max_unreadable,
            progress=progress,
        )
        number = write_parts(out, parts)
    seconds = time.monotonic() - start
    report_dropped(dropped)
    config = own_encoder(model).config
    dim = config.hidden_dim if per == "observation" else config.vector_channels
    terminal.output(
        f"[bold]{terminal.counted(number, 'embedding')}[/bold] of "
        f"{terminal.counted(dim, 'value')} "
        f"in {terminal.duration(seconds)} "
        f"({terminal.rate(number, seconds, 'embeddings')}), "
        f"{terminal.size(out.stat().st_size)} in {escape(str(out))}"
    )


def reconstruct(
    preset: Preset,
    inputs: Inputs,
    out: Out,
    survey: SurveyName = None,
    passband: Passband = None,
    max_unreadable: MaxUnreadable = 0.0,
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
    import numpy as np

    from astromer import Astromer, Dropped, inference
    from astromer.inference.tables import check_result

    check_result(out)
    model = Astromer.from_pretrained(preset)
    dropped = Dropped()
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
            max_unreadable=max_unreadable,
            progress=progress,
        )
    reconstructions.write(out)
    seconds = time.monotonic() - start
    report_dropped(dropped)
    number = len(reconstructions)
    known = np.isfinite(reconstructions.reconstruction).any()
    rmse = f"RMSE {reconstructions.rmse:.4f} mag"
    terminal.output(
        f"[bold]{terminal.counted(number, 'observation')}[/bold] reconstructed, "
        f"{rmse if known else 'none of them from another one'}, in {terminal.duration(seconds)} "
        f"({terminal.rate(number, seconds, 'observations')}), "
        f"{terminal.size(out.stat().st_size)} in {escape(str(out))}"
    )


def load_preset(preset: str) -> Any:
    """Load a model of either kind; a classifier embeds with its own encoder."""
    from astromer import Astromer, Classifier
    from astromer.presets.registry import CONFIG_NAME, read_json

    kind = read_json(find_preset(preset) / CONFIG_NAME).get("kind")
    return (Classifier if kind == "classifier" else Astromer).from_pretrained(preset)


def report_dropped(dropped: Dropped) -> None:
    """Say what of survey files was left out, if anything was."""
    if dropped.observations:
        number = terminal.counted(dropped.observations.total(), "bad observation")
        terminal.output(f"{number} left out: {dropped.reasons}")
    if dropped.light_curves:
        number = terminal.counted(len(dropped.light_curves), "light curve")
        curves = (f"{c.object_id} {c.passband}".rstrip() for c in dropped.light_curves)
        first = escape(terminal.listed(curves))
        terminal.output(f"{number} left out: no good observation ({first})")
    if dropped.files:
        number = terminal.counted(len(dropped.files), "file")
        files = (f"{path}: {error}" for path, error in dropped.files.items())
        first = escape(terminal.listed(files))
        terminal.output(f"{number} left out: unreadable ({first})")
