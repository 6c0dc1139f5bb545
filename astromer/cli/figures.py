"""`astromer figure NAME`: the figures of the paper from the user's own data."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.markup import escape

from astromer.cli import terminal
from astromer.cli.embeddings import Preset, report_dropped
from astromer.errors import ConfigError, PresetError, unknown_name
from astromer.progress import show_progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from astromer.lightcurve import LightCurve
    from astromer.models import ClassifierConfig, EncoderConfig

__all__ = ["app"]

app = typer.Typer(
    help="Draw the figures of the paper from your own data.", no_args_is_help=True
)

FIND: Final = "find"
"""Stands for periods that are found by a periodogram."""

WHICH = "Which light curves"

Curves = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT", help="Folders of records, or native survey files or folders."
    ),
]
Results = Annotated[
    Path,
    typer.Argument(
        metavar="RESULTS",
        help="A benchmark's results.json, or its folder; or one file with the "
        "results of several data sets.",
    ),
]
Out = Annotated[
    list[Path],
    typer.Option(
        "--out", metavar="FILE", help="PDF, PNG or SVG; may be given several times."
    ),
]
Dpi = Annotated[float, typer.Option(metavar="N", min=1, help="Dots per inch of a PNG.")]
SurveyName = Annotated[
    str | None,
    typer.Option(
        "--survey",
        metavar="NAME",
        help="Format of native files, where it is not recognized.",
        rich_help_panel=WHICH,
    ),
]
Passband = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Only light curves in this passband.",
        rich_help_panel=WHICH,
    ),
]
Objects = Annotated[
    list[str] | None,
    typer.Option(
        "--object",
        metavar="ID",
        help="This object; may be given several times. "
        "Otherwise the first of every class.",
        rich_help_panel=WHICH,
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="NAME",
        help="Only this class; may be given several times.",
        rich_help_panel=WHICH,
    ),
]
Period = Annotated[
    str | None,
    typer.Option(
        metavar="DAYS",
        help=f"Fold with this period; `{FIND}` looks for periods, a CSV or Parquet "
        "file has them in the columns object_id and period.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of what is random.")]
Dataset = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Only this data set.")
]
Method = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Only this method; may be given several times."),
]
Classifier = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Only this classifier; may be given several times."
    ),
]
By = Annotated[
    Literal["class", "passband", "input"],
    typer.Option(help="What makes a sample."),
]


@dataclasses.dataclass(frozen=True, slots=True)
class _Figure:
    """One line of `astromer figure list`."""

    name: str
    paper: str
    does: str
    needs: str


_FIGURES: list[_Figure] = []

Command = Callable[..., None]


def _figure(name: str, *, paper: str = "", needs: str) -> Callable[[Command], Command]:
    """Make a function a verb of `astromer figure`, and list it."""

    def register(function: Command) -> Command:
        does = (function.__doc__ or "").split("\n", 1)[0].rstrip(".")
        _FIGURES.append(_Figure(name, paper, does, needs))
        return app.command(name)(function)

    return register


@app.command("list")
def list_() -> None:
    """List the figures, and what each of them needs."""
    columns = ["name", "paper", "what it does", "from"]
    table = terminal.make_table("Figures", columns)
    for figure in _FIGURES:
        name = f"[bold]{figure.name}[/bold]"
        table.add_row(name, figure.paper, figure.does, figure.needs)
    terminal.output(
        table,
        f"{terminal.counted(len(_FIGURES), 'figure')}. See: astromer figure NAME --help",
    )


@_figure("masking", paper="1", needs="light curves")
def masking(
    inputs: Curves,
    out: Out,
    window_size: Annotated[
        int, typer.Option(metavar="N", min=1, help="Observations per window.")
    ] = 200,
    policy: Annotated[
        Literal["paper", "released"],
        typer.Option(help="Shares as in the paper, or as in the released code."),
    ] = "paper",
    seed: Seed = 0,
    survey: SurveyName = None,
    passband: Passband = None,
    objects: Objects = None,
    dpi: Dpi = 300,
) -> None:
    """Show what pretraining hides, falsifies and leaves of a window."""
    _check(out)
    (curve,) = _choose(inputs, survey, passband, objects, number=1)
    from astromer.figures import mask_window, plot_masking
    from astromer.pipeline import MaskingConfig

    shares = MaskingConfig.released() if policy == "released" else MaskingConfig()
    window = mask_window(curve, window_size=window_size, masking=shares, seed=seed)
    axes = plot_masking(window)
    counts = ", ".join(
        f"{part.sum()} {name}" for name, part in window.subsets().items()
    )
    _save(axes[0], out, dpi, f"A window of {curve.object_id}: {counts}")


@_figure("architecture", paper="2, 3, 10", needs="a preset or an architecture's name")
def architecture(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="astromer1, astromer2, astromer_period, or a preset's name or folder.",
        ),
    ],
    out: Out,
    num_classes: Annotated[
        int | None,
        typer.Option(
            "--classes",
            metavar="N",
            min=2,
            help="Draw the paper's classifier of so many classes on it.",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Head of the classifier that `--classes` asks for.",
            show_default="gamma",
        ),
    ] = None,
    dpi: Dpi = 300,
) -> None:
    """Draw a model as a diagram, with its sizes and parameters."""
    _check(out)
    if head is not None and num_classes is None:
        raise ConfigError(
            "`--head` is of a classifier that is drawn on the model. Received: "
            f"--head {head} without --classes. Add the number of classes."
        )
    encoder, classifier = _options_of(name)
    if num_classes is not None:
        from astromer.models import ClassifierConfig

        classifier = ClassifierConfig.from_dict(
            {"class_names": [f"class {number}" for number in range(num_classes)]}
            | ({} if head is None else {"head": head})
        )
    from astromer.figures import plot_architecture, plot_classifier_architecture
    from astromer.figures.architecture import (
        count_classifier_parameters,
        count_parameters,
    )

    if classifier is None:
        ax = plot_architecture(encoder)
        number = count_parameters(encoder)["total"]
    else:
        ax = plot_classifier_architecture(encoder, classifier)
        number = count_classifier_parameters(encoder, classifier)["total"]
    _save(ax, out, dpi, terminal.counted(number, "parameter"))


@_figure("magnitudes", paper="4", needs="light curves")
def magnitudes(
    inputs: Curves,
    out: Out,
    by: By = "class",
    survey: SurveyName = None,
    passband: Passband = None,
    classes: Classes = None,
    dpi: Dpi = 300,
) -> None:
    """Compare the magnitudes of classes, passbands or inputs."""
    _check(out)
    groups = _groups(inputs, by, survey, passband, classes)
    import numpy as np

    from astromer.figures import plot_magnitudes

    samples = {
        name: np.concatenate([curve.mag for curve in curves])
        for name, curves in groups.items()
    }
    _save(plot_magnitudes(samples), out, dpi, _count_samples(groups))


@_figure("time-steps", paper="5", needs="light curves")
def time_steps(
    inputs: Curves,
    out: Out,
    by: By = "class",
    survey: SurveyName = None,
    passband: Passband = None,
    classes: Classes = None,
    dpi: Dpi = 300,
) -> None:
    """Compare the times between observations of classes, passbands or inputs."""
    _check(out)
    groups = _groups(inputs, by, survey, passband, classes)
    from astromer import figures

    steps = {name: figures.time_steps(curves) for name, curves in groups.items()}
    _save(figures.plot_time_steps(steps), out, dpi, _count_samples(groups))


@_figure("learning-curves", paper="6", needs="a run's metrics.csv")
def learning_curves(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run's folder, or its metrics.csv."),
    ],
    out: Out,
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="Column, e.g. loss or r2_hidden.")
    ] = "rmse_hidden",
    test: Annotated[
        float | None, typer.Option(metavar="VALUE", help="The metric on test data.")
    ] = None,
    dpi: Dpi = 300,
) -> None:
    """Plot a metric of training and validation by epoch."""
    _check(out)
    import polars as pl

    from astromer.figures import plot_learning_curves

    path = run / "metrics.csv" if run.is_dir() else run
    if not path.is_file():
        raise ConfigError(
            "Learning curves are drawn from a run's folder or its metrics.csv. "
            f"Received: path={path}, which is not there."
        )
    try:
        history = pl.read_csv(path, glob=False)
    except pl.exceptions.PolarsError as error:
        raise ConfigError(
            f"Metrics are a CSV file. Received: path={path} ({error})."
        ) from error
    ax = plot_learning_curves(history, metric=metric, test=test)
    _save(ax, out, dpi, f"{metric} of {terminal.counted(len(history), 'epoch')}")


@_figure("finetuning", paper="7", needs="a benchmark with --finetune")
def finetuning(
    results: Results,
    out: Out,
    dataset: Dataset = None,
    method: Method = None,
    dpi: Dpi = 300,
) -> None:
    """Plot the error before and after finetuning, and the minutes it took."""
    _check(out)
    from astromer.figures import plot_finetuning
    from astromer.figures.results import finetuning_rows

    rows = finetuning_rows(_rows(results, dataset=dataset, method=method))
    axes = plot_finetuning(rows)
    _save(axes[0], out, dpi, terminal.counted(len(rows), "finetuning run"))


@_figure("attention", paper="8, 9", needs="a preset, light curves")
def attention(
    preset: Preset,
    inputs: Curves,
    out: Out,
    block: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Only this block, of one light curve per class or object, rather than "
            "every block on one light curve.",
        ),
    ] = None,
    period: Period = None,
    scale: Annotated[
        Literal["share", "rank"],
        typer.Option(help="Colors by one scale for all panels, or by rank in each."),
    ] = "share",
    survey: SurveyName = None,
    passband: Passband = None,
    objects: Objects = None,
    classes: Classes = None,
    dpi: Dpi = 300,
) -> None:
    """Show what each head of every block looks at, on folded light curves."""
    _check(out, preset)
    number = None if block is not None else 1
    curves = _choose(inputs, survey, passband, objects, classes, number=number)
    periods = _periods(period, curves)
    model = _load(preset)
    from astromer import inference
    from astromer.figures import plot_attention_blocks, plot_attention_classes

    num_layers = model.config.num_layers
    if block is not None and block > num_layers:
        raise ConfigError(
            f"The model has no such block. Received: block={block}; "
            f"it has {terminal.counted(num_layers, 'block')}."
        )
    found = inference.attention(model, curves)
    if block is None:
        axes = plot_attention_blocks(
            curves[0], found[0].relative, period=periods[0], scale=scale
        )
        what = f"{terminal.counted(num_layers, 'block')} on {curves[0].object_id}"
    else:
        axes = plot_attention_classes(
            curves,
            [one.relative[block - 1] for one in found],
            periods=periods,
            scale=scale,
        )
        what = f"Block {block} on {terminal.counted(len(curves), 'light curve')}"
    heads = terminal.counted(model.config.num_heads, "head")
    _save(axes[0], out, dpi, f"{what}, {heads}")


@_figure("f1", paper="11, 12", needs="a benchmark")
def f1(
    results: Results,
    out: Out,
    dataset: Dataset = None,
    method: Method = None,
    classifier: Classifier = None,
    dpi: Dpi = 300,
) -> None:
    """Compare the macro F1 of methods by the number of labels."""
    _check(out)
    from astromer.figures import plot_f1

    rows = _rows(results, dataset=dataset, method=method, classifier=classifier)
    number = len(rows[0].get("per_class_f1") or [])
    ax = plot_f1(rows, chance=1 / number if number else None)
    _save(ax, out, dpi, terminal.counted(len(rows), "score"))


@_figure("gamma", paper="13", needs='a benchmark with the head "gamma"')
def gamma(
    results: Results,
    out: Out,
    dataset: Dataset = None,
    method: Method = None,
    classifier: Classifier = None,
    dpi: Dpi = 300,
) -> None:
    """Plot the weights that a classifier gives to the outputs of the blocks."""
    _check(out)
    from astromer.figures import plot_gamma
    from astromer.figures.results import layer_weights

    rows = _rows(results, dataset=dataset, method=method, classifier=classifier)
    weights = layer_weights(rows)
    _save(
        plot_gamma(weights), out, dpi, terminal.counted(len(weights), "training size")
    )


@_figure("block-maps", paper="14, 15", needs="a preset, light curves")
def block_maps(
    preset: Preset,
    inputs: Curves,
    out: Out,
    method: Annotated[
        Literal["tsne", "pca", "ranks"],
        typer.Option(help="Projection to the plane."),
    ] = "tsne",
    per_class: Annotated[
        int,
        typer.Option(metavar="N", min=2, help="Most light curves of each class."),
    ] = 200,
    seed: Seed = 0,
    survey: SurveyName = None,
    passband: Passband = None,
    classes: Classes = None,
    dpi: Dpi = 300,
) -> None:
    """Map embeddings after every block, with the silhouette of the classes."""
    _check(out, preset)
    import numpy as np

    from astromer.figures import group_light_curves, plot_block_maps

    chosen: list[LightCurve] = []
    rng = np.random.default_rng(seed)
    groups = group_light_curves(_read(inputs, survey, passband, classes))
    for curves in groups.values():
        picked = rng.permutation(len(curves))[:per_class]
        chosen += [curves[place] for place in sorted(picked)]
    model = _load(preset)
    from astromer import inference

    with show_progress() as progress:
        values = inference.embed(model, chosen, layer="all", progress=progress)
    config = model.config
    bounds = config.input_dim + config.hidden_dim * np.arange(config.num_layers)
    layers = np.split(np.asarray(values), bounds, axis=1)
    names = [curve.class_name for curve in chosen]
    axes = plot_block_maps(layers, names, method=method, seed=seed)
    what = f"{terminal.counted(len(chosen), 'light curve')}, {config.num_layers} blocks"
    _save(axes[0], out, dpi, what)


@_figure("confusion", paper="16, 17", needs="a benchmark")
def confusion(
    results: Results,
    out: Out,
    dataset: Dataset = None,
    method: Method = None,
    classifier: Classifier = None,
    dpi: Dpi = 300,
) -> None:
    """Show which class is taken for which, by the number of labels."""
    _check(out)
    from astromer.figures import plot_confusions
    from astromer.figures.results import confusions

    rows = _rows(results, dataset=dataset, method=method, classifier=classifier)
    matrices, class_names = confusions(rows)
    axes = plot_confusions(matrices, class_names)
    _save(axes[0], out, dpi, terminal.counted(len(matrices), "matrix", "matrices"))


@_figure("reconstructions", needs="a preset, light curves")
def reconstructions(
    preset: Preset,
    inputs: Curves,
    out: Out,
    num_folds: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Each observation is hidden once, in one of so many passes; "
            "0 hides nothing.",
        ),
    ] = 2,
    period: Period = None,
    seed: Seed = 0,
    survey: SurveyName = None,
    passband: Passband = None,
    objects: Objects = None,
    classes: Classes = None,
    dpi: Dpi = 300,
) -> None:
    """Plot light curves and what the model gives for each observation, unseen."""
    _check(out, preset)
    curves = _choose(inputs, survey, passband, objects, classes)
    periods = _periods(period, curves)
    model = _load(preset)
    import numpy as np

    from astromer import inference
    from astromer.figures import plot_reconstructions

    found = inference.reconstruct(model, curves, num_folds=num_folds, seed=seed)
    bounds = np.cumsum([len(curve) for curve in curves])[:-1]
    parts = np.split(found.reconstruction, bounds)
    axes = plot_reconstructions(curves, parts, periods=periods)
    what = terminal.counted(len(curves), "light curve")
    _save(axes[0], out, dpi, f"{what}, RMSE {found.rmse:.4f} mag")


@_figure("light-curves", needs="light curves")
def light_curves(
    inputs: Curves,
    out: Out,
    period: Period = None,
    survey: SurveyName = None,
    passband: Passband = None,
    objects: Objects = None,
    classes: Classes = None,
    dpi: Dpi = 300,
) -> None:
    """Plot light curves, the first of every class, against time or phase."""
    _check(out)
    curves = _choose(inputs, survey, passband, objects, classes)
    from astromer.figures import make_axes, plot_light_curve
    from astromer.figures.style import TEXT_WIDTH_IN

    axes = make_axes(len(curves), columns=2, width=TEXT_WIDTH_IN, panel_height=1.9)
    for ax, curve, fold in zip(axes, curves, _periods(period, curves), strict=True):
        plot_light_curve(curve, period=fold, ax=ax)
    _save(axes[0], out, dpi, terminal.counted(len(curves), "light curve"))


@_figure("embedding-map", needs="embeddings (`astromer embed`)")
def embedding_map(
    embeddings: Annotated[
        Path,
        typer.Argument(
            metavar="EMBEDDINGS", help="Parquet, CSV or NPZ of `astromer embed`."
        ),
    ],
    out: Out,
    method: Annotated[
        Literal["pca", "ranks", "tsne"],
        typer.Option(help="Projection to the plane."),
    ] = "pca",
    seed: Seed = 0,
    dpi: Dpi = 300,
) -> None:
    """Map embeddings, a color per class."""
    _check(out)
    from astromer.figures import plot_embedding_map
    from astromer.inference import Embeddings

    read = Embeddings.read(embeddings)
    names = [name or None for name in read.class_name.tolist()]
    ax = plot_embedding_map(read.embedding, names, method=method, seed=seed)
    _save(ax, out, dpi, terminal.counted(len(read), "embedding"))


def _check(out: Sequence[Path], preset: str | None = None) -> None:
    """Refuse a wrong suffix or preset now, not after minutes of work."""
    from astromer.figures.style import check_format
    from astromer.presets import find_preset

    for path in out:
        check_format(path)
    if preset is not None:
        find_preset(preset)


def _save(ax: Axes, out: Sequence[Path], dpi: float, what: str) -> None:
    from astromer.figures import save_figure

    for path in out:
        save_figure(ax.figure, path, dpi=dpi)
    files = " and ".join(str(path) for path in out)
    terminal.output(f"[bold]{escape(what)}[/bold] in {escape(files)}")


def _read(
    inputs: Sequence[Path],
    survey: str | None,
    passband: str | None,
    classes: Sequence[str] | None = None,
) -> Iterator[LightCurve]:
    """Read light curves of records and survey files, without Keras."""
    from astromer.records import MANIFEST_NAME, read_records
    from astromer.surveys import Dropped, read_light_curves

    known, dropped = set[str | None](), Dropped()
    for path in inputs:
        is_records = survey is None and (path / MANIFEST_NAME).is_file()
        for curve in (
            read_records(path)
            if is_records
            else read_light_curves(path, survey, dropped=dropped)
        ):
            if passband is None or curve.passband == passband:
                known.add(curve.class_name)
                if not classes or curve.class_name in classes:
                    yield curve
    report_dropped(dropped)
    if not known:
        only = f' with passband="{passband}"' if passband is not None else ""
        raise ConfigError(
            "There are no light curves to draw. Received: none"
            f"{only} in {', '.join(map(str, inputs))}. Check the passband's name."
        )
    _check_classes(classes, known)


def _groups(
    inputs: Sequence[Path],
    by: Literal["class", "passband", "input"],
    survey: str | None,
    passband: str | None,
    classes: Sequence[str] | None,
) -> dict[str, list[LightCurve]]:
    from astromer.figures import group_light_curves

    if by != "input":
        return group_light_curves(_read(inputs, survey, passband, classes), by)
    groups = {
        name: list(_read([path], survey, passband))
        for name, path in _short_names(inputs).items()
    }
    if not classes:
        return groups
    # A class need not be in every input.
    _check_classes(
        classes, {c.class_name for curves in groups.values() for c in curves}
    )
    return {
        name: [curve for curve in curves if curve.class_name in classes]
        for name, curves in groups.items()
    }


def _check_classes(classes: Sequence[str] | None, known: set[str | None]) -> None:
    names = {name for name in known if name is not None}
    for name in classes or ():
        if name not in names:
            raise ConfigError(unknown_name("class", name, names))


def _short_names(inputs: Sequence[Path]) -> dict[str, Path]:
    """Name inputs by their last parts, as many as tell them apart."""
    paths = {path.resolve(): path for path in inputs}
    for depth in range(1, max(len(path.parts) for path in paths)):
        parts = (path.with_suffix("").parts[-depth:] for path in paths)
        names = dict(zip(map("/".join, parts), paths.values(), strict=True))
        if len(names) == len(paths):
            return names
    return {str(path): path for path in paths.values()}


def _count_samples(groups: dict[str, list[LightCurve]]) -> str:
    curves = sum(len(found) for found in groups.values())
    return (
        f"{terminal.counted(len(groups), 'sample')} of "
        f"{terminal.counted(curves, 'light curve')}"
    )


def _choose(
    inputs: Sequence[Path],
    survey: str | None,
    passband: str | None,
    objects: Sequence[str] | None,
    classes: Sequence[str] | None = None,
    *,
    number: int | None = None,
) -> list[LightCurve]:
    """Return the objects asked for, else the first of every class; at most `number`."""
    curves = _read(inputs, survey, passband, classes)
    if not objects:
        first: dict[str | None, LightCurve] = {}
        for curve in curves:
            first.setdefault(curve.class_name, curve)
            if number is not None and len(first) == number:
                break
        # In the order asked for, if there is one.
        return [first[name] for name in classes or first if name in first]
    if number is not None and len(objects) > number:
        raise ConfigError(
            f"This figure shows {terminal.counted(number, 'light curve')}. "
            f"Received: {len(objects)} objects."
        )
    wanted = set(objects)
    found = [curve for curve in curves if curve.object_id in wanted]
    missing = wanted - {curve.object_id for curve in found}
    if missing:
        raise ConfigError(
            f"There is no such object. Received: {', '.join(sorted(missing))}."
        )
    found.sort(key=lambda curve: objects.index(curve.object_id))
    if number is not None and len(found) > number:
        bands = ", ".join(sorted({curve.passband for curve in found}))
        raise ConfigError(
            f"The object has {len(found)} light curves. Received: passbands {bands}. "
            "Choose one with --passband."
        )
    return found


def _periods(text: str | None, curves: Sequence[LightCurve]) -> list[float | None]:
    """Return a period per light curve: given, found, from a file, or none."""
    if text is None:
        return [None] * len(curves)
    if text == FIND:
        from astromer.figures import find_period

        found = [find_period(curve) for curve in curves]
        for curve, period in zip(curves, found, strict=True):
            what = (
                "no period found, against time"
                if period is None
                else f"period {period:.7g} d"
            )
            terminal.output(f"{escape(curve.object_id)}: {what}")
        return found
    try:
        return [float(text)] * len(curves)
    except ValueError:
        return _read_periods(Path(text), [curve.object_id for curve in curves])


def _read_periods(path: Path, objects: Sequence[str]) -> list[float | None]:
    import polars as pl

    if not path.is_file():
        raise ConfigError(
            f'`--period` is a number of days, "{FIND}", or a file. Received: {path}.'
        )
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path, glob=False)
        else:
            # A name may look like a number, and begin with zeros.
            types = {"object_id": pl.String}
            frame = pl.read_csv(path, schema_overrides=types, glob=False)
        ids = frame["object_id"].cast(pl.String)
        known = dict(zip(ids, frame["period"].cast(pl.Float64), strict=True))
    except pl.exceptions.PolarsError as error:
        raise ConfigError(
            "Periods are a table with the columns object_id and period. "
            f"Received: path={path} ({error})."
        ) from error
    unknown = [name for name in objects if name not in known]
    if len(unknown) == len(objects):
        raise ConfigError(
            "Periods must be of the objects that are drawn. Received: "
            f"path={path}, none of {terminal.listed(objects)}."
        )
    if unknown:
        names = escape(terminal.listed(unknown))
        terminal.output(f"without a period, against time: {names}")
    return [known.get(name) for name in objects]


def _load(preset: str) -> Any:
    terminal.start_tensorflow()
    from astromer import Astromer

    return Astromer.from_pretrained(preset)


def _rows(path: Path, **values: Iterable[str] | None) -> list[Any]:
    from astromer.figures.results import read_results, select_rows

    return select_rows(
        read_results(path),
        **{name: list(wanted or ()) for name, wanted in values.items()},
    )


def _options_of(name: str) -> tuple[EncoderConfig, ClassifierConfig | None]:
    """Return the options of an encoder, and of a classifier if there is one."""
    from astromer.models import ClassifierConfig, EncoderConfig
    from astromer.presets import find_preset
    from astromer.presets.registry import CONFIG_NAME, read_json

    with contextlib.suppress(ConfigError):
        return EncoderConfig.from_name(name), None
    path = find_preset(name) / CONFIG_NAME
    config = read_json(path)
    encoder, classifier = config.get("encoder"), config.get("classifier")
    if not isinstance(encoder, dict):
        raise PresetError(
            f"The preset must say what its encoder is. Received: path={path}. "
            "Save it again with `save_pretrained`."
        )
    return EncoderConfig.from_dict(encoder), (
        None if classifier is None else ClassifierConfig.from_dict(classifier)
    )
