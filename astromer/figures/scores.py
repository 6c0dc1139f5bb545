"""How well classes are told apart: F1, gamma weights, confusions (Figs. 11-13, 16, 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike, NDArray

from astromer.errors import ConfigError
from astromer.figures.style import (
    COLUMN_WIDTH_IN,
    ERROR_BARS,
    INK,
    LABEL_SIZE_PT,
    TEXT_WIDTH_IN,
    TICK_SIZE_PT,
    fitting,
    legend_above,
    make_axes,
    ordinal_colors,
    style_axes,
)
from astromer.figures.tables import TableLike, columns_of, distinct, numbers, spread

__all__ = ["plot_confusion", "plot_confusions", "plot_f1", "plot_gamma"]

_COLORMAP = "Blues"
_DARK = 0.55
"""Share from which a cell is so dark that its text must be white."""


def plot_f1(
    table: TableLike, *, chance: float | None = None, ax: Axes | None = None
) -> Axes:
    """Plot macro F1 as bars, a group per method, a bar per training size (Fig. 11).

    Parameters
    ----------
    table : frame, mapping of columns, or sequence of rows
        Columns ``method``, ``samples_per_class`` and ``macro_f1_mean``, and where there
        are any ``classifier`` and ``macro_f1_std``, as in a benchmark's
        ``results.json``. A row is a bar.
    chance : float, optional
        F1 of guessing, a dotted line.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width, high enough for the bars, by
        default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        Methods in order of first appearance, the first at the top; error bars are the
        standard deviations.

    Raises
    ------
    ConfigError
        If a column is missing or holds no numbers, or two rows stand for one bar.
    """
    methods, sizes, mean, deviation = _f1_grid(table)
    if ax is None:
        height = 0.75 + 0.13 * mean.size + 0.1 * len(methods)
        ax = make_axes(width=COLUMN_WIDTH_IN, panel_height=height)[0]
    else:
        style_axes(ax)
    thickness = 0.86 / len(sizes)
    for place, color in enumerate(ordinal_colors(len(sizes))):
        y = np.arange(len(methods)) + (place - (len(sizes) - 1) / 2) * thickness
        known = np.isfinite(mean[:, place])
        ax.barh(
            y[known],
            mean[known, place],
            height=thickness,
            color=color,
            xerr=deviation[known, place],
            error_kw=ERROR_BARS,
            label=f"{sizes[place]:g}",
        )
        ends = mean[:, place] + np.nan_to_num(deviation[:, place])
        for row in np.flatnonzero(known):
            ax.annotate(
                f"{mean[row, place]:.3f}",
                (ends[row], y[row]),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=TICK_SIZE_PT - 1.0,
                color=INK,
            )
    if chance is not None:
        ax.axvline(chance, color="black", linestyle=":", linewidth=0.8)
    # Room for the numbers behind the bars.
    ax.set_xlim(0.0, float(np.nanmax(mean + np.nan_to_num(deviation))) * 1.24)
    ax.set_ylim(len(methods) - 0.45, -0.55)
    ax.set_yticks(range(len(methods)), methods, multialignment="right")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.tick_params(axis="y", which="both", length=0)
    ax.set_xlabel("Macro F1")
    legend_above(ax, title="Samples per class")
    return ax


def plot_gamma(weights: Mapping[str, ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Plot the weights that a classifier gives to the outputs of the blocks (Fig. 13).

    Parameters
    ----------
    weights : mapping of str to array-like
        By what they are told apart in the legend, such as the samples per class:
        weights of shape ``(num_layers + 1,)``, or ``(num_folds, num_layers + 1)``,
        which are averaged. The first weighs the input embedding. Normalized weights,
        ``softmax(gamma)``, add up to 1.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width by default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        Error bars are the standard deviations over folds; a dotted line is where all
        weights would be equal.

    Raises
    ------
    ConfigError
        If there are no weights, a shape is another one, or numbers of blocks differ.
    """
    found = {name: np.atleast_2d(np.asarray(w, float)) for name, w in weights.items()}
    shapes = {name: values.shape for name, values in found.items()}
    if (
        not found
        or any(len(shape) != 2 or 0 in shape for shape in shapes.values())
        or len({shape[-1] for shape in shapes.values()}) > 1
    ):
        raise ConfigError(
            "Gamma weights have shape (num_layers + 1,) or (num_folds, num_layers + 1), "
            f"with the same number of layers throughout. Received: shapes={shapes}."
        )
    ax = make_axes()[0] if ax is None else style_axes(ax)
    count = next(iter(shapes.values()))[-1]
    thickness = 0.84 / len(found)
    colors = ordinal_colors(len(found))
    for place, (name, values) in enumerate(found.items()):
        ax.bar(
            np.arange(count) + (place - (len(found) - 1) / 2) * thickness,
            values.mean(axis=0),
            width=thickness,
            color=colors[place],
            yerr=[spread(fold) for fold in values.T],
            error_kw=ERROR_BARS,
            label=name,
        )
    total = float(np.mean([values.mean(axis=0).sum() for values in found.values()]))
    ax.axhline(total / count, color="black", linestyle=":", linewidth=0.8)
    ax.set_xlim(-0.6, count - 0.4)
    names = [f"$\\gamma_{place}$" for place in range(count)]
    names[0] += "\ninput"
    ax.set_xticks(range(count), names)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.tick_params(axis="x", which="both", length=0)
    ax.set_ylabel("Weight")
    legend_above(ax)
    return ax


def plot_confusion(
    matrix: ArrayLike, class_names: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Plot a confusion matrix, each true class adding up to 100 % (Figs. 16, 17).

    Parameters
    ----------
    matrix : array-like, shape (num_classes, num_classes)
        Numbers of objects, or shares: true classes in rows, predicted in columns.
    class_names : sequence of str, length num_classes
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width by default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        Cells hold percent of the true class; a class without objects is left empty.

    Raises
    ------
    ConfigError
        If the shape does not fit the names, or a number is negative or not finite.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    number = len(class_names)
    if counts.shape != (number, number) or not number:
        raise ConfigError(
            "A confusion matrix has a row and a column per class. "
            f"Received: shape={counts.shape}, len(class_names)={number}."
        )
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise ConfigError(
            "A confusion matrix holds numbers of objects. "
            f"Received: matrix={counts.tolist()}."
        )
    if ax is None:
        ax = make_axes(width=COLUMN_WIDTH_IN, panel_height=COLUMN_WIDTH_IN * 0.95)[0]
    else:
        style_axes(ax)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    ax.imshow(share, cmap=_COLORMAP, vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(counts.shape):
        value = share[row, column]
        if np.isfinite(value):
            ax.text(
                column,
                row,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=TICK_SIZE_PT,
                color="white" if value > _DARK else "black",
            )
    places = range(number)
    ax.set_xticks(places, class_names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, class_names)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
    ax.tick_params(which="both", length=0)
    ax.set_xlabel("Predicted class [%]")
    ax.set_ylabel("True class")
    return ax


def plot_confusions(
    matrices: Mapping[str, ArrayLike],
    class_names: Sequence[str],
    *,
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Plot confusion matrices side by side, e.g. of three training sizes (Fig. 16).

    Parameters
    ----------
    matrices : mapping of str to array-like, shape (num_classes, num_classes)
        By title; see `plot_confusion`.
    class_names : sequence of str, length num_classes
    axes : sequence of matplotlib.axes.Axes, optional
        A panel per matrix; a new figure of a page's width by default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes

    Raises
    ------
    ConfigError
        If there is no matrix, or numbers do not fit.
    """
    if not matrices:
        raise ConfigError("There is nothing to plot. Received: 0 matrices.")
    number = len(matrices)
    columns = min(number, 3)
    own = axes is None
    if axes is None:
        axes = make_axes(number, columns=columns, width=TEXT_WIDTH_IN, panel_height=2.6)
    for place, (ax, (title, matrix)) in enumerate(
        zip(fitting("axes", axes, number), matrices.items(), strict=True)
    ):
        plot_confusion(matrix, class_names, ax=ax)
        ax.set_title(title, fontsize=LABEL_SIZE_PT)
        if own and place % columns:
            ax.set_ylabel("")
            ax.tick_params(axis="y", labelleft=False)
    return list(axes)


def _f1_grid(
    table: TableLike,
) -> tuple[list[str], list[float], NDArray[np.float64], NDArray[np.float64]]:
    """Return methods, training sizes, and F1 with its deviation by both."""
    columns = columns_of(
        table,
        ["method", "samples_per_class", "macro_f1_mean"],
        ["classifier", "macro_f1_std"],
    )
    names = _method_names(columns)
    samples = numbers("samples_per_class", columns["samples_per_class"])
    methods, sizes = distinct(names), sorted(set(samples.tolist()))
    mean = np.full((len(methods), len(sizes)), np.nan)
    deviation = np.full_like(mean, np.nan)
    values = numbers("macro_f1_mean", columns["macro_f1_mean"])
    if "macro_f1_std" in columns:
        deviations = numbers("macro_f1_std", columns["macro_f1_std"])
    else:
        deviations = np.full(len(values), np.nan)
    for name, size, value, std in zip(names, samples, values, deviations, strict=True):
        cell = methods.index(name), sizes.index(size)
        if np.isfinite(mean[cell]):
            raise ConfigError(
                "A row stands for a bar. Received: several rows with "
                f'method="{name}", samples_per_class={size:g}. '
                "Select one data set: `--dataset`, or `select_rows`."
            )
        mean[cell], deviation[cell] = value, std
    return methods, sizes, mean, deviation


def _method_names(columns: Mapping[str, NDArray[Any]]) -> list[str]:
    """Name a row by its method, and its classifier where methods have several."""
    methods = [str(method) for method in columns["method"]]
    classifiers = [str(c) for c in columns.get("classifier", [""] * len(methods))]
    if len(set(classifiers)) < 2:
        return methods
    return [f"{m}\n{c}" for m, c in zip(methods, classifiers, strict=True)]
