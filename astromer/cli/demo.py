"""`astromer demo`: the whole road on a simulated survey."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from astromer.cli import terminal

__all__ = ["demo"]


def demo(
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder for all that the demo makes."),
    ] = Path("astromer-demo"),
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="Preset that embeds.")
    ] = "mini",
    stars_per_class: Annotated[
        int, typer.Option(metavar="N", min=4, help="Stars of each class.")
    ] = 40,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Another seed, another sky.")
    ] = 0,
) -> None:
    """Simulate a survey, convert, embed and classify it, and draw two figures."""
    terminal.start_tensorflow()
    from astromer.demo import run_demo

    result = run_demo(
        out,
        preset=preset,
        stars_per_class=stars_per_class,
        seed=seed,
        report=lambda line: terminal.output(escape(line)),
    )
    columns = ["stars", "precision", "recall", "F1"]
    table = terminal.make_table(
        f"Scores with {terminal.counted(result.num_labeled, 'label')}",
        ["class", *columns],
        numeric=columns,
    )
    for score in result.scores:
        values = (score.precision, score.recall, score.f1)
        cells = (f"{value:.2f}" for value in values)
        table.add_row(escape(score.class_name), str(score.num_stars), *cells)
    terminal.output(
        "",
        table,
        *(f"Figure: {escape(str(path))}" for path in result.figures),
        "Each magnitude was predicted unseen. The bundled presets have been trained on "
        "stars from the same\nsimulator, other ones: real stars are harder.",
        f"[bold]Macro F1 {result.macro_f1:.2f}[/bold] (guessing: about "
        f"{1 / len(result.scores):.2f}) in {terminal.duration(result.seconds)}",
    )
