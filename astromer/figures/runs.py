"""How training went: learning curves, and what finetuning gained and took (Figs. 6, 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from astromer.errors import ConfigError
from astromer.figures.style import (
    COLORS,
    ERROR_BARS,
    LINE_STYLES,
    MUTED,
    TICK_SIZE_PT,
    fitting,
    legend_above,
    make_axes,
    make_stack,
    style_axes,
)
from astromer.figures.tables import (
    TableLike,
    column_names,
    columns_of,
    distinct,
    numbers,
    spread,
)
from astromer.training.options import is_better_higher

__all__ = ["plot_finetuning", "plot_learning_curves"]

_KINDS = {
    "rmse": ("RMSE", " [mag]"),
    "r2": ("R\N{SUPERSCRIPT TWO}", ""),
    "loss": ("Loss", ""),
}
"""What a metric's first word stands for, and its unit."""
_BASELINES = {"mean": "visible mean", "interpolation": "interpolation"}
"""What a run's columns of methods that learn nothing end with."""


_BARS = {
    "rmse_before": (-0.21, MUTED, "pretrained"),
    "rmse_after": (0.21, COLORS[0], "finetuned"),
    "minutes": (0.0, COLORS[1], None),
}
"""Offset, color and name of the bars drawn for each column."""
_LINES = {"training": (COLORS[0], "-"), "validation": (COLORS[1], "--")}
"""Color and style of a curve."""


def plot_learning_curves(
    history: TableLike,
    *,
    metric: str = "rmse_hidden",
    test: float | None = None,
    baselines: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot a metric of training and validation by epoch (Fig. 6).

    Parameters
    ----------
    history : frame, mapping of columns, or sequence of rows
        Columns ``epoch``, ``metric`` and ``val_metric``, one row per epoch, such as a
        run's ``metrics.csv``; either of the two last may be missing.
    metric : str
        Name of the column, e.g. ``"loss"``, ``"rmse_hidden"`` or ``"r2_hidden"``.
    test : float, optional
        The metric on test data, a dotted line.
    baselines : mapping of str to float, optional
        The metric of methods that learn nothing, such as interpolation: thin lines.
        Columns ``val_metric_...``, such as a run's, are drawn without being asked for.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width by default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        A dot marks the best epoch of validation: the lowest of an error or a
        loss, else the highest.

    Raises
    ------
    ConfigError
        If a column is missing, is empty or does not fit the others.
    """
    names = {metric: "training", f"val_{metric}": "validation"}
    beside = [n for n in column_names(history) if n.startswith(f"val_{metric}_")]
    columns = columns_of(history, ["epoch"], [*names, *beside])
    epoch = numbers("epoch", columns["epoch"])
    curves = {
        name: numbers(key, columns[key])
        for key, name in names.items()
        if key in columns
    }
    if not curves:
        raise ConfigError(
            "The history must have the metric, of training or validation. "
            f'Received: metric="{metric}", '
            f"columns={column_names(history)}."
        )
    ax = make_axes()[0] if ax is None else style_axes(ax)
    for name, values in curves.items():
        color, line = _LINES[name]
        ax.plot(epoch, values, color=color, linestyle=line, linewidth=1.2, label=name)
    if "validation" in curves and np.isfinite(curves["validation"]).any():
        values = curves["validation"]
        pick = np.nanargmax if is_better_higher(metric) else np.nanargmin
        best = int(pick(values))
        ax.plot(
            epoch[best],
            values[best],
            linestyle="none",
            marker="o",
            markersize=4,
            color=COLORS[1],
            label=f"best (epoch {epoch[best]:g})",
        )
    if test is not None:
        ax.axhline(test, color="black", linestyle=":", linewidth=1.0, label="test")
    lines = {
        _BASELINES.get(suffix := name.removeprefix(f"val_{metric}_"), suffix): (
            numbers(name, columns[name])[-1]
        )
        for name in beside
    }
    for place, (name, value) in enumerate({**lines, **(baselines or {})}.items()):
        ax.axhline(
            value,
            color=COLORS[(place + 2) % len(COLORS)],
            linestyle=LINE_STYLES[(place + 2) % len(LINE_STYLES)],
            linewidth=0.8,
            label=name,
        )
    ax.margins(x=0.02)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    ax.set_xlabel("Epoch")
    ax.set_ylabel(_metric_label(metric))
    legend_above(ax, columns=3)
    return ax


def plot_finetuning(
    table: TableLike, *, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """Plot reconstruction error before and after finetuning, and what it took (Fig. 7).

    Parameters
    ----------
    table : frame, mapping of columns, or sequence of rows
        Columns ``samples_per_class``, ``rmse_before`` and ``rmse_after`` [mag],
        ``minutes``, and ``dataset`` where there are several. Rows of the same dataset
        and number of samples, such as folds, are averaged; bars of error are their
        standard deviation.
    axes : sequence of two matplotlib.axes.Axes, optional
        Where to draw errors and minutes; a new figure of one column's width by default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes

    Raises
    ------
    ConfigError
        If a column is missing or holds no numbers, or there are not two axes.
    """
    measured = ("rmse_before", "rmse_after", "minutes")
    columns = columns_of(table, ["samples_per_class", *measured], ["dataset"])
    samples = numbers("samples_per_class", columns["samples_per_class"])
    values = {name: numbers(name, columns[name]) for name in measured}
    datasets = columns.get("dataset", np.full(len(samples), ""))
    if axes is None:
        axes = make_stack([1.5, 1.2])
    else:
        axes = [style_axes(ax) for ax in fitting("axes", axes, 2)]
    errors, minutes = axes
    start = 0.0
    places: list[float] = []
    names: list[str] = []
    for dataset in distinct(datasets):
        here = datasets == dataset
        sizes = np.unique(samples[here])
        x = start + np.arange(len(sizes), dtype=np.float64)
        groups = [here & (samples == size) for size in sizes]
        for name, column in values.items():
            ax = minutes if name == "minutes" else errors
            _draw_bars(ax, name, x, [column[group] for group in groups])
        places += x.tolist()
        names += [f"{size:g}" for size in sizes]
        if dataset:
            errors.text(
                float(x.mean()),
                1.02,
                str(dataset),
                transform=errors.get_xaxis_transform(),
                ha="center",
                fontsize=TICK_SIZE_PT,
            )
        start = float(x[-1]) + 1.6
    for ax in axes:
        ax.set_xticks(places, names)
        ax.set_xlim(-0.7, places[-1] + 0.7)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.tick_params(axis="x", which="both", length=0)
        ax.set_ylim(bottom=0.0)
    errors.set_ylabel("RMSE [mag]")
    minutes.set_ylabel("Time [min]")
    minutes.set_xlabel("Samples per class")
    handles = errors.get_legend_handles_labels()[0][:2]
    legend = legend_above(errors, handles)
    if any(distinct(datasets)):
        # Above the names of the data sets.
        legend.set_bbox_to_anchor((0.5, 1.1))
    return list(axes)


def _draw_bars(
    ax: Axes, name: str, x: NDArray[np.float64], groups: list[NDArray[np.float64]]
) -> None:
    offset, color, label = _BARS[name]
    scatter = [spread(group) for group in groups]
    ax.bar(
        x + offset,
        [group.mean() for group in groups],
        width=0.4,
        color=color,
        yerr=scatter,
        error_kw=ERROR_BARS,
        label=label,
    )


def _metric_label(metric: str) -> str:
    kind, _, subset = metric.partition("_")
    if kind not in _KINDS:
        return metric
    label, unit = _KINDS[kind]
    of = f" of {subset} points" if subset else ""
    return f"{label}{of}{unit}"
