"""`astromer presets list | show | import | fetch`: trained models, and more of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from astromer.cli import terminal
from astromer.errors import ConfigError
from astromer.progress import show_progress

if TYPE_CHECKING:
    from rich.table import Table

    from astromer.presets import OfficialWeights, PresetInfo

__all__ = ["app", "fetch", "import_", "list_", "show"]

app = typer.Typer(
    help="Trained models: list them, read a card, add the authors' weights.",
    no_args_is_help=True,
)

Replace = Annotated[
    bool, typer.Option("--replace", help="Replace a preset of this name.")
]


@app.command("list")
def list_() -> None:
    """List the presets that can be loaded by name, or fetched."""
    from astromer.presets import list_presets, list_unfetched

    found, unfetched = list_presets(), list_unfetched()
    table = terminal.make_table(
        "Presets",
        ["name", "survey", "parameters", "license", "trained by", "description"],
        numeric=["parameters"],
    )
    for preset in found:
        table.add_row(
            f"[bold]{escape(preset.name)}[/bold]",
            escape(preset.survey),
            terminal.count(preset.num_parameters),
            *map(escape, (preset.license, preset.provenance, preset.description)),
        )
    lines: list[Any] = [
        table,
        f"{terminal.counted(len(found), 'preset')}. See: astromer presets show NAME",
    ]
    if unfetched:
        lines += ["", _unfetched_table(unfetched), "Add: astromer presets fetch NAME"]
    terminal.output(*lines)


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
        f"\n[bold]{escape(preset.name)}[/bold]: "
        f"{terminal.counted(preset.num_parameters, 'parameter')}, "
        f"license {escape(preset.license)}, in {escape(str(preset.path))}",
    )


@app.command("import")
def import_(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            exists=True,
            help="Zip or folder of a released model: a TensorFlow checkpoint or "
            "weights.h5, with conf.json or config.toml.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the preset; else the file's."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="OPTION=VALUE",
            help="Decide an option of EncoderConfig, e.g. hidden_magnitude=zero; "
            "may be repeated.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPTION",
            help="Unknown option of the release that shapes no numbers; "
            "may be repeated.",
        ),
    ] = None,
    replace: Replace = False,
) -> None:
    """Make a preset of a model that the authors' code saved."""
    overrides = dict(_parse_setting(text) for text in settings or [])
    terminal.start_tensorflow()
    from astromer.presets import describe_preset, import_released

    made = import_released(
        path, name=name, overrides=overrides, ignore=ignore or [], replace=replace
    )
    _report(describe_preset(made))


@app.command("fetch")
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Official weights, see `astromer presets list`."
        ),
    ],
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Another address of the same file."),
    ] = None,
    replace: Replace = False,
) -> None:
    """Download weights that the authors have published, and make a preset of them."""
    from astromer.presets import (
        describe_preset,
        downloads_folder,
        find_official,
        list_unfetched,
    )

    # Before TensorFlow, whose import takes seconds.
    weights = find_official(name)
    if weights in list_unfetched() or replace:
        terminal.start_tensorflow()
        from astromer.presets import fetch_preset

        with show_progress() as progress:
            fetch_preset(name, url=url, replace=replace, progress=progress)
    _report(describe_preset(name))
    file = downloads_folder() / weights.file_name
    if file.is_file():
        terminal.output(f"To import it with other options: {escape(str(file))}")


def _unfetched_table(unfetched: list[OfficialWeights]) -> Table:
    table = terminal.make_table(
        "The authors' weights, not fetched yet",
        ["name", "survey", "parameters", "license", "description"],
        numeric=["parameters"],
    )
    for weights in unfetched:
        table.add_row(
            weights.name,
            weights.survey,
            terminal.count(weights.num_parameters),
            weights.license,
            weights.description,
        )
    return table


def _parse_setting(text: str) -> tuple[str, Any]:
    """Split ``OPTION=VALUE``; a value is JSON if it can be, else text."""
    option, equals, value = text.partition("=")
    if not (option and equals):
        raise ConfigError(
            f"`--set` takes OPTION=VALUE. Received: --set {text}. "
            "For instance: --set hidden_magnitude=zero."
        )
    try:
        return option, json.loads(value)
    except json.JSONDecodeError:
        return option, value


def _report(preset: PresetInfo) -> None:
    """Say what a released model has become, and what to do with it."""
    table = terminal.make_table("Compatibility switches", ["option", "value", "why"])
    for option, switch in preset.metadata.get("switches", {}).items():
        table.add_row(option, escape(str(switch["value"])), escape(switch["why"]))
    for option, value in preset.metadata.get("overrides", {}).items():
        table.add_row(option, escape(str(value)), "set at import")
    terminal.output(
        *([table] if table.rows else []),
        f"[bold]{preset.name}[/bold]: {escape(preset.description)}, "
        f"{terminal.counted(preset.num_parameters, 'parameter')}, "
        f"license {escape(preset.license)}, in {escape(str(preset.path))}",
        f"Card: astromer presets show {preset.name}",
        f"Next: astromer embed {preset.name} INPUT --out embeddings.parquet",
    )
