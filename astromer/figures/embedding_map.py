"""Maps of embeddings: two dimensions to look at, colored by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from astromer.checks import numpy_seed
from astromer.errors import ConfigError, unknown_name
from astromer.figures.style import (
    COLUMN_WIDTH_IN,
    INK,
    LABEL_SIZE_PT,
    MUTED,
    TEXT_WIDTH_IN,
    TICK_SIZE_PT,
    class_style,
    fitting,
    legend_above,
    make_axes,
    style_axes,
)

__all__ = ["plot_block_maps", "plot_embedding_map", "project", "ranks", "silhouette"]

Method = Literal["pca", "ranks", "tsne"]

_BATCHES = 12
_MINUS = "\N{MINUS SIGN}"


def project(
    embeddings: ArrayLike, *, method: Method = "pca", seed: int = 0
) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Project embeddings to two dimensions.

    Parameters
    ----------
    embeddings : array-like, shape (n, d)
        Finite values, n and d at least 2; with d = 2 they are returned as they are.
    method : {"pca", "ranks", "tsne"}
        - pca: principal components.
        - ranks: principal components of each channel's ranks, in which a few extreme
          objects do not crowd the others together.
        - tsne: t-SNE (needs scikit-learn).
    seed : int
        Seed of t-SNE; principal components do not depend on it.

    Returns
    -------
    points : numpy.ndarray, shape (n, 2)
        Of each principal component, the sign is such that the largest loading is
        positive.
    labels : (str, str)
        What the two axes are.

    Raises
    ------
    ConfigError
        If the shape or a value does not fit, or the method is unknown.
    ImportError
        If t-SNE is asked for and scikit-learn is not installed.
    """
    values = np.asarray(embeddings, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise ConfigError(
            "Embeddings must be finite, of shape (n, d), with n and d at least 2. "
            f"Received: shape={values.shape}, finite={np.isfinite(values).all()}."
        )
    if method not in get_args(Method):
        raise ConfigError(unknown_name("method", method, get_args(Method)))
    if values.shape[1] == 2:
        return values, ("Dimension 1", "Dimension 2")
    if method == "tsne":
        return _tsne(values, seed), ("t-SNE 1", "t-SNE 2")
    if method == "ranks":
        values = np.apply_along_axis(ranks, 0, values)
    centered = values - values.mean(axis=0)
    left, scales, loadings = np.linalg.svd(centered, full_matrices=False)
    largest = np.abs(loadings[:2]).argmax(axis=1)
    signs = np.where(loadings[[0, 1], largest] < 0, -1.0, 1.0)
    total = float(np.sum(scales**2)) or 1.0
    first, second = 100.0 * scales[:2] ** 2 / total
    of = " of ranks" if method == "ranks" else ""
    names = (
        f"PC 1{of} ({first:.0f} % of variance)",
        f"PC 2{of} ({second:.0f} % of variance)",
    )
    return left[:, :2] * scales[:2] * signs, names


def plot_embedding_map(
    embeddings: ArrayLike,
    class_names: Sequence[str | None],
    *,
    method: Method = "pca",
    ax: Axes | None = None,
    seed: int = 0,
) -> Axes:
    """Plot embeddings in two dimensions, a color and a marker per class.

    Points are drawn in a random order, so that no class covers the others.

    Parameters
    ----------
    embeddings : array-like, shape (n, d)
        One row per object; d = 2 is plotted as it is.
    class_names : sequence of str or None, length n
        Classes; None where unknown, drawn as small gray dots beneath the others.
    method : {"pca", "ranks", "tsne"}
        See `project`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width by default.
    seed : int
        Seed of t-SNE and of the order in which points are drawn.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The legend, in alphabetical order with counts, stands above the panel.

    Raises
    ------
    ConfigError
        If numbers do not fit or the method is unknown.
    ImportError
        If t-SNE is asked for and scikit-learn is not installed.
    """
    points, (x_label, y_label) = project(embeddings, method=method, seed=seed)
    _check_names(class_names, points)
    if ax is None:
        ax = make_axes(width=COLUMN_WIDTH_IN, panel_height=3.2)[0]
    else:
        style_axes(ax)
    _draw_points(ax, points, class_names, seed)
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    legend_above(ax, _handles(class_names), handletextpad=0.1)
    return ax


def plot_block_maps(
    layers: Sequence[ArrayLike],
    class_names: Sequence[str | None],
    *,
    method: Method = "tsne",
    seed: int = 0,
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Plot embeddings by the output of every block, a panel each (Figs. 14, 15).

    Parameters
    ----------
    layers : sequence of array-like, shape (n, d)
        Embeddings by layer: the input embedding, then every block, such as
        ``embed(model, curves, layer=number)``.
    class_names : sequence of str or None, length n
        Classes; None where unknown.
    method : {"tsne", "pca", "ranks"}
        See `project`.
    seed : int
        Seed of t-SNE and of the order in which points are drawn.
    axes : sequence of matplotlib.axes.Axes, optional
        A panel per layer; a new figure of a page's width by default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes
        A title holds the silhouette of the classes in that layer's embeddings, not in
        the plane, where distances mean little.

    Raises
    ------
    ConfigError
        If numbers do not fit, or the method is unknown.
    ImportError
        If scikit-learn is not installed.
    """
    if not len(layers):
        raise ConfigError("There is nothing to plot. Received: 0 layers.")
    if axes is None:
        panels = make_axes(
            len(layers), columns=4, width=TEXT_WIDTH_IN, panel_height=1.75
        )
    else:
        panels = [style_axes(ax) for ax in fitting("axes", axes, len(layers))]
    for place, (ax, embeddings) in enumerate(zip(panels, layers, strict=True)):
        points, _ = project(embeddings, method=method, seed=seed)
        _check_names(class_names, points)
        _draw_points(ax, points, class_names, seed)
        # Adding zero turns a rounded minus zero into zero.
        value = silhouette(embeddings, class_names)
        score = f"{round(value, 2) + 0.0:.2f}".replace("-", _MINUS)
        layer = f"Block {place}" if place else "Input"
        ax.set_title(layer, loc="left", fontsize=LABEL_SIZE_PT)
        ax.set_title(
            f"silhouette {score}" if np.isfinite(value) else "",
            loc="right",
            fontsize=TICK_SIZE_PT,
            color=INK,
        )
        # Neither axes nor their scale mean anything that could be read off.
        ax.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    handles = _handles(class_names)
    panels[0].figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=min(len(handles), 8),
        frameon=False,
        fontsize=TICK_SIZE_PT,
        handletextpad=0.1,
    )
    return panels


def silhouette(embeddings: ArrayLike, class_names: Sequence[str | None]) -> float:
    """Return how well classes stand apart: the mean silhouette of the objects.

    Parameters
    ----------
    embeddings : array-like, shape (n, d)
    class_names : sequence of str or None, length n
        Classes; objects without one are left out.

    Returns
    -------
    score : float
        1 where classes are far apart, 0 where they touch, below where they are mixed;
        Euclidean distances. NaN if there are not two classes, or as many as objects.

    Raises
    ------
    ConfigError
        If the numbers do not fit.
    ImportError
        If scikit-learn is not installed.
    """
    values = np.asarray(embeddings, dtype=np.float64)
    _check_names(class_names, values)
    known = np.array([name is not None for name in class_names])
    names = [name for name in class_names if name is not None]
    if not 2 <= len(set(names)) < len(names):
        return float("nan")
    try:
        from sklearn.metrics import silhouette_score
    except ImportError as error:
        raise _without_sklearn("A silhouette") from error
    return float(silhouette_score(values[known], names))


def _check_names(class_names: Sequence[str | None], points: NDArray[Any]) -> None:
    if len(class_names) != len(points):
        raise ConfigError(
            "Every embedding needs a class name or None. Received: "
            f"len(class_names)={len(class_names)}, embeddings={len(points)}."
        )


def _draw_points(
    ax: Axes,
    points: NDArray[np.float64],
    class_names: Sequence[str | None],
    seed: int,
) -> None:
    x, y = points.T
    size = float(np.clip(6000.0 / len(points), 5.0, 18.0))
    names = np.array(class_names, dtype=object)
    unknown = np.array([name is None for name in class_names])
    if unknown.any():
        ax.scatter(x[unknown], y[unknown], s=size / 3, c=MUTED, linewidths=0, zorder=1)
    styles = class_style(_known(class_names))
    order = np.random.default_rng(numpy_seed(seed)).permutation(
        np.flatnonzero(~unknown)
    )
    # A scatter call has one marker, so the order is kept by batches.
    for place, batch in enumerate(np.array_split(order, _BATCHES)):
        for name in _known(names[batch]):
            color, marker = styles[name]
            rows = batch[names[batch] == name]
            ax.scatter(
                x[rows],
                y[rows],
                s=size,
                c=color,
                marker=marker,
                alpha=0.85,
                linewidths=0.25,
                edgecolors="white",
                zorder=2 + place / _BATCHES,
            )
    ax.margins(0.05)


def _known(class_names: Sequence[str | None] | NDArray[Any]) -> list[str]:
    """Return the classes in alphabetical order."""
    return sorted({name for name in class_names if name is not None})


def _handles(class_names: Sequence[str | None]) -> list[Line2D]:
    """Return what a legend shows, with counts; the unknown come last."""
    count = Counter(class_names)
    styles = class_style(_known(class_names))
    entries = {f"{name} ({count[name]})": style for name, style in styles.items()}
    if count[None]:
        entries[f"unknown ({count[None]})"] = (MUTED, ".")
    return [
        Line2D(
            [],
            [],
            color=color,
            marker=marker,
            linestyle="none",
            markersize=4,
            label=name,
        )
        for name, (color, marker) in entries.items()
    ]


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 0 to 1; equal values have equal ranks.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)

    Returns
    -------
    ranks : numpy.ndarray, shape (n,)
    """
    known, places = np.unique(values, return_inverse=True)
    return places / max(len(known) - 1, 1)


def _tsne(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    try:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise _without_sklearn("t-SNE") from error
    perplexity = min(30.0, (len(values) - 1) / 3)
    model = TSNE(init="pca", perplexity=perplexity, random_state=seed)
    # Its threads wait for each other a thousand times by spinning: where a core is
    # busy otherwise, two take ten times as long as one. One also repeats bit by bit.
    with threadpool_limits(1, user_api="openmp"):
        return np.asarray(model.fit_transform(values), dtype=np.float64)


def _without_sklearn(what: str) -> ImportError:
    return ImportError(f'{what} needs scikit-learn: pip install "astromer[benchmark]".')
