"""`astromer presets list | show NAME`: which trained models there are."""

from __future__ import annotations

from typing import Annotated

import typer

from astromer.cli import terminal

__all__ = ["app", "list_", "show"]

app = typer.Typer(
    help="Trained models: list them, or read one's card.", no_args_is_help=True
)


@app.command("list")
def list_() -> None:
    """List the presets that can be loaded by name."""
    from astromer.presets import list_presets

    found = list_presets()
    table = terminal.make_table(
        "Presets",
        ["name", "survey", "parameters", "license", "trained by", "description"],
        numeric=["parameters"],
    )
    for preset in found:
        table.add_row(
            f"[bold]{preset.name}[/bold]",
            preset.survey,
            terminal.count(preset.num_parameters),
            preset.license,
            preset.provenance,
            preset.description,
        )
    terminal.output(
        table,
        f"{terminal.counted(len(found), 'preset')}. See: astromer presets show NAME",
    )


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name or folder.")],
) -> None:
    """Show a preset's card: where it comes from, its training data, its limits."""
    from rich.markdown import Markdown

    from astromer.presets import describe_preset

    preset = describe_preset(name)
    terminal.output(
        Markdown(preset.card),
        f"\n[bold]{preset.name}[/bold]: "
        f"{terminal.counted(preset.num_parameters, 'parameter')}, "
        f"license {preset.license}, in {preset.path}",
    )
