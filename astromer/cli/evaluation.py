"""`astromer benchmark` and `benchmark-reconstruction`: is a preset worth something."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from astromer.cli import terminal
from astromer.cli.embeddings import report_dropped
from astromer.cli.options import is_given
from astromer.errors import ConfigError, unknown_name
from astromer.presets import find_preset
from astromer.progress import show_progress

if TYPE_CHECKING:
    from astromer.evaluation import MaskedWindows
    from astromer.surveys import Dropped

__all__ = ["SeveralValues", "benchmark", "benchmark_reconstruction"]

PROTOCOL = "Protocol"
DATA = "Data"
RUN = "How it runs"


class SeveralValues(TyperCommand):
    """A command whose repeatable options also take several values: ``--spc 20 100``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat an option's name before each further value."""
        repeatable = {
            name
            for parameter in self.params
            if getattr(parameter, "multiple", False)
            for name in parameter.opts
        }
        return super().parse_args(ctx, list(_spread(args, repeatable)))


def _spread(args: Sequence[str], repeatable: set[str]) -> Iterator[str]:
    """Yield arguments with the name of a repeatable option before each value."""
    option, taken = None, False
    for text in args:
        if text.startswith("-") and not text[1:].isdigit():
            option, taken = (text if text in repeatable else None), False
        elif option is not None and taken:
            yield option
        else:
            taken = True
        yield text


Presets = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Name or folder of a preset."),
]
Out = Annotated[
    Path,
    typer.Option(metavar="DIR", help="Folder for results, tables and the report."),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Name of the data in reports.", rich_help_panel=DATA
    ),
]
SurveyName = Annotated[
    str | None,
    typer.Option(
        "--survey",
        metavar="NAME",
        help="Format of native files, where it is not recognized.",
        rich_help_panel=DATA,
    ),
]
Passband = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Only light curves in this passband.",
        rich_help_panel=DATA,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="Seed of every draw; splits of a file are not drawn."
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        metavar="",
        help="Go on where an earlier run stopped. Results hold the methods named now; "
        "those of the earlier run are not trained again.",
        rich_help_panel=RUN,
    ),
]


def benchmark(
    records: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDS",
            help="A folder of labeled records, or native survey files or folders.",
        ),
    ],
    out: Out,
    preset: Presets = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N",
            help="Layers of the embeddings: embedding (what embed gives), last, all, "
            "or numbers; 0 is the input.",
            show_default="embedding",
        ),
    ] = None,
    classifiers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What is trained on embeddings: lr, rf, hgb, mlp.",
            show_default="lr rf",
        ),
    ] = None,
    heads: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Classifiers on frozen encoders: the paper's gamma, mean, max, "
            "attention, cls, gru; embedding, on all that embed gives.",
            show_default="none",
        ),
    ] = None,
    finetune: Annotated[
        bool,
        typer.Option(
            "--finetune",
            metavar="",
            help="Also finetune each preset on each training set first.",
        ),
    ] = False,
    finetune_epochs: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Most epochs of finetuning."),
    ] = 20,
    baselines: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="features, features-no-periodogram, statistics, joined, or none; "
            "without an encoder raw-gru, input-gru, input-mean.",
            show_default="the first four",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar='"NAME CLASSIFIER"',
            help="Method that the others are compared with.",
            show_default="features rf",
        ),
    ] = None,
    spc: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Labeled objects per class.",
            show_default="20 100 500",
            rich_help_panel=PROTOCOL,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Test sets, each with its training sets.",
            show_default="3",
            rich_help_panel=PROTOCOL,
        ),
    ] = None,
    test_per_class: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Objects per class to test on; a quarter of a class at most. Not with "
            "--splits.",
            rich_help_panel=PROTOCOL,
        ),
    ] = 100,
    splits: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="JSON file of splits to use instead of drawing.",
            rich_help_panel=PROTOCOL,
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Classes that count, e.g. EB=EC+ED+ESD,MIRA; or a JSON or TOML file.",
            rich_help_panel=DATA,
        ),
    ] = None,
    dataset: Dataset = None,
    survey: SurveyName = None,
    passband: Passband = None,
    min_observations: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Shorter light curves are left out.",
            rich_help_panel=DATA,
        ),
    ] = 5,
    seed: Seed = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Folder that keeps embeddings and features for several benchmarks.",
            rich_help_panel=RUN,
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Threads.", rich_help_panel=RUN),
    ] = 1,
    resume: Resume = False,
) -> None:
    """Compare presets and baselines on few labels: macro F1 per object.

    Options that may be repeated also take several values: --spc 20 100 500.
    """
    presets = preset or []
    for name in presets:
        find_preset(name)  # before TensorFlow, whose import takes seconds
    terminal.start_tensorflow()
    from astromer import evaluation
    from astromer.figures import report_figures
    from astromer.surveys import Dropped

    start = time.monotonic()
    dropped = Dropped()
    with show_progress() as progress:
        results = evaluation.few_shot_benchmark(
            records,
            out,
            presets=presets,
            heads=heads or (),
            finetune={"epochs": finetune_epochs} if finetune else False,
            baselines=_named(baselines, evaluation.DEFAULT_BASELINES),
            classifiers=_named(classifiers, ("lr", "rf")),
            layers=[_layer(text) for text in layers or ["embedding"]],
            sizes=spc or None,
            num_folds=folds,
            test_per_class=test_per_class,
            splits=splits,
            classes=classes,
            dataset=dataset or (None if splits else records[0].stem),
            survey=survey,
            passband=passband,
            min_observations=min_observations,
            reference=_reference(reference),
            seed=seed,
            cache=cache,
            num_jobs=jobs,
            resume=resume,
            dropped=dropped,
            progress=progress,
        )
    paths = evaluation.write_report(out, results, report_figures(results))
    report_dropped(dropped)
    for name, number in results["left_out"].items():
        terminal.output(f"{number:,} {name} left out")
    terminal.output(
        _few_shot_table(results),
        f"[bold]{terminal.counted(len(results['rows']), 'score')}[/bold] in "
        f"{terminal.duration(time.monotonic() - start)}: "
        + ", ".join(escape(str(path)) for path in paths.values()),
    )


def benchmark_reconstruction(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            help="A folder of records, native survey files or folders, or one NPZ file "
            "of masked windows.",
        ),
    ],
    out: Out,
    preset: Presets = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Classical methods: mean, linear, gp, ls, ls+gp, or none.",
            show_default="all",
        ),
    ] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="points, one by one, or nights, as a whole.",
            show_default="both",
        ),
    ] = None,
    hidden_fraction: Annotated[
        float, typer.Option(metavar="SHARE", help="Part of a window that is hidden.")
    ] = 0.5,
    window_size: Annotated[
        int,
        typer.Option(
            metavar="N", help="Most observations in a window.", rich_help_panel=DATA
        ),
    ] = 200,
    windows_per_class: Annotated[
        int,
        typer.Option(
            metavar="N", help="Most windows of a class.", rich_help_panel=DATA
        ),
    ] = 100,
    dataset: Dataset = None,
    survey: SurveyName = None,
    passband: Passband = None,
    seed: Seed = 0,
    resume: Resume = False,
) -> None:
    """Compare presets with classical methods on hidden observations.

    The mask of an NPZ file is used as it is for points, and drawn anew for nights.
    """
    for name in preset or []:
        find_preset(name)
    terminal.start_tensorflow()
    from astromer import evaluation
    from astromer.models import Reconstructor
    from astromer.presets import describe_preset, load_preset
    from astromer.surveys import Dropped

    drawn = ("window_size", "windows_per_class", "survey", "passband")
    useless = [name for name in drawn if is_given(context, name)]
    if useless and _is_npz(inputs):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in useless)
        raise ConfigError(
            "Windows of an NPZ file are taken as they are. Received: "
            f"{flags} for {inputs[0]}. Leave them out."
        )
    start = time.monotonic()
    dropped = Dropped()
    chosen = _short_names(_named(methods, tuple(SHORT_NAMES)))
    reconstructors: list[Any] = [evaluation.Interpolation(name) for name in chosen]
    reconstructors += [
        evaluation.PresetReconstruction(
            load_preset(name, Reconstructor), describe_preset(name).name
        )
        for name in preset or []
    ]
    windows = _windows(
        inputs,
        hide or ["points", "nights"],
        hidden_fraction=hidden_fraction,
        window_size=window_size,
        windows_per_class=windows_per_class,
        survey=survey,
        passband=passband,
        seed=seed,
        dropped=dropped,
    )
    name = dataset or inputs[0].stem
    with show_progress() as progress:
        rows = evaluation.run_reconstruction(
            windows,
            reconstructors,
            out,
            dataset=name,
            resume=resume,
            progress=progress,
        )
    options = {
        "presets": preset or [],
        "methods": chosen,
        "hidden_fraction": hidden_fraction,
        "seed": seed,
    }
    if not _is_npz(inputs):
        options |= {
            "window_size": window_size,
            "windows_per_class": windows_per_class,
            "passband": passband,
        }
    results = evaluation.describe_reconstruction(rows, dataset=name, options=options)
    paths = evaluation.write_report(out, results)
    report_dropped(dropped)
    terminal.output(
        *_reconstruction_tables(results),
        f"[bold]{terminal.counted(len(rows), 'score')}[/bold] in "
        f"{terminal.duration(time.monotonic() - start)}: "
        + ", ".join(escape(str(path)) for path in paths.values()),
    )


SHORT_NAMES = {
    "mean": "visible mean",
    "linear": "linear interpolation",
    "gp": "Gaussian process",
    "ls": "Lomb-Scargle",
    "ls+gp": "Lomb-Scargle + Gaussian process",
}
"""What is typed for each classical method."""


def _short_names(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in SHORT_NAMES:
            raise ConfigError(unknown_name("method", name, SHORT_NAMES))
    return [SHORT_NAMES[name] for name in names]


def _named(given: Sequence[str] | None, default: Sequence[str]) -> Sequence[str]:
    """Return the names given, none of them for ``none``, the default if there are none."""
    if not given:
        return default
    return () if list(given) == ["none"] else given


def _layer(text: str) -> Any:
    if text in ("embedding", "last", "all"):
        return text
    try:
        return int(text)
    except ValueError:
        raise ConfigError(
            "`--layers` are embedding, last, all, or numbers. "
            f'Received: "{text}". 0 is the input embedding, -1 the last block.'
        ) from None


def _reference(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    name, _, classifier = text.strip().rpartition(" ")
    if not name:
        raise ConfigError(
            "`--reference` is a method and its classifier. "
            f'Received: "{text}". Example: "features rf".'
        )
    return name, classifier


def _is_npz(inputs: Sequence[Path]) -> bool:
    return len(inputs) == 1 and inputs[0].suffix == ".npz"


def _windows(
    inputs: Sequence[Path],
    hide: Sequence[Any],
    *,
    hidden_fraction: float,
    seed: int,
    survey: str | None,
    passband: str | None,
    dropped: Dropped,
    **options: int,
) -> dict[str, MaskedWindows]:
    """Return windows by what is hidden: read from a file, or drawn."""
    from astromer import evaluation
    from astromer.inference.sources import iterate_light_curves

    draw: dict[str, Any] = {"hidden_fraction": hidden_fraction, "seed": seed}
    if _is_npz(inputs):
        given = evaluation.read_windows(inputs[0])
        return {
            name: given if name == "points" else evaluation.hide(given, name, **draw)
            for name in hide
        }
    curves, _ = iterate_light_curves(
        inputs, survey=survey, passband=passband, dropped=dropped
    )
    held = list(curves)
    return {
        name: evaluation.draw_windows(held, hiding=name, **draw, **options)
        for name in hide
    }


def _few_shot_table(results: Mapping[str, Any]) -> Any:
    sizes = sorted({row["samples_per_class"] for row in results["rows"]})
    table = terminal.make_table(
        f"Macro F1 per object, mean of {results['num_folds']} folds",
        ["method", "classifier", *map(str, sizes)],
        numeric=[str(size) for size in sizes],
    )
    scores: dict[tuple[str, str], list[str]] = {}
    for row in results["rows"]:
        cells = scores.setdefault((row["method"], row["classifier"]), [])
        std = row["macro_f1_std"]
        scatter = "" if std is None else f" ± {std:.3f}"
        cells.append(f"{row['macro_f1_mean']:.3f}{scatter}")
    for key, cells in scores.items():
        table.add_row(*map(escape, key), *cells)
    return table


def _reconstruction_tables(results: Mapping[str, Any]) -> Iterator[Any]:
    columns = ["R2", "median R2", "RMSE [mag]", "s/window"]
    for hiding in dict.fromkeys(row["hiding"] for row in results["rows"]):
        rows = [row for row in results["rows"] if row["hiding"] == hiding]
        classes = list(rows[0]["per_class"])
        table = terminal.make_table(
            f"Hidden {hiding}: {rows[0]['num_hidden']:,} observations of "
            f"{terminal.counted(rows[0]['num_windows'], 'window')}, R2 also by class",
            ["method", *columns, *classes],
            numeric=[*columns, *classes],
        )
        for row in rows:
            numbers = row["r2"], row["r2_median"], row["rmse"]
            table.add_row(
                escape(row["method"]),
                *(f"{number:.3f}" for number in numbers),
                f"{row['seconds_per_window']:.3g}",
                *(f"{row['per_class'][name]['r2']:.2f}" for name in classes),
            )
        yield table
