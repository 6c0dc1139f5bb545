"""A map of embeddings: two dimensions to look at, colored by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from astromer.errors import ConfigError, unknown_name
from astromer.figures.style import (
    COLUMN_WIDTH_IN,
    MUTED,
    TICK_SIZE_PT,
    class_style,
    make_axes,
    style_axes,
)

__all__ = ["plot_embedding_map", "project"]

Method = Literal["pca", "ranks", "tsne"]

_METHODS = ("pca", "ranks", "tsne")
_BATCHES = 12
_UNKNOWN = "unknown"


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
    if method not in _METHODS:
        raise ConfigError(unknown_name("method", method, _METHODS))
    if values.shape[1] == 2:
        return values, ("Dimension 1", "Dimension 2")
    if method == "tsne":
        return _tsne(values, seed), ("t-SNE 1", "t-SNE 2")
    if method == "ranks":
        values = np.apply_along_axis(_ranks, 0, values)
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
    x, y = points.T
    if len(class_names) != len(points):
        raise ConfigError(
            "Every embedding needs a class name or None. Received: "
            f"len(class_names)={len(class_names)}, embeddings={len(points)}."
        )
    if ax is None:
        ax = make_axes(width=COLUMN_WIDTH_IN, panel_height=3.2)[0]
    else:
        style_axes(ax)
    names = np.array([_UNKNOWN if name is None else name for name in class_names])
    known = sorted({name for name in class_names if name is not None})
    styles = class_style(known)
    size = float(np.clip(6000.0 / len(points), 5.0, 18.0))

    unknown = np.array([name is None for name in class_names])
    if unknown.any():
        ax.scatter(x[unknown], y[unknown], s=size / 3, c=MUTED, linewidths=0, zorder=1)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(~unknown))
    # A scatter call has one marker, so the order is kept by batches.
    for place, batch in enumerate(np.array_split(order, _BATCHES)):
        for name in np.unique(names[batch]):
            color, marker = styles[str(name)]
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
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.margins(0.05)
    _add_legend(ax, names, styles, unknown=int(unknown.sum()))
    return ax


def _add_legend(
    ax: Axes, names: NDArray[np.str_], styles: dict[str, tuple[str, str]], unknown: int
) -> None:
    entries = {
        f"{name} ({np.count_nonzero(names == name)})": style
        for name, style in styles.items()
    }
    if unknown:
        entries[f"{_UNKNOWN} ({unknown})"] = (MUTED, ".")
    handles = [
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
    rows = -(-len(handles) // 4)
    ax.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=-(-len(handles) // rows),
        frameon=False,
        fontsize=TICK_SIZE_PT,
        handletextpad=0.1,
        columnspacing=0.8,
        borderaxespad=0.3,
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 0 to 1; equal values have equal ranks."""
    known, places = np.unique(values, return_inverse=True)
    return places / max(len(known) - 1, 1)


def _tsne(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ImportError(
            "t-SNE needs scikit-learn: pip install scikit-learn."
        ) from error
    perplexity = min(30.0, (len(values) - 1) / 3)
    model = TSNE(init="pca", perplexity=perplexity, random_state=seed)
    return np.asarray(model.fit_transform(values), dtype=np.float64)
