"""What heads look at: folded light curves colored by attention (Figs. 8, 9)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from astromer.errors import ConfigError, unknown_name
from astromer.figures.embedding_map import ranks
from astromer.figures.light_curves import abscissa, finish_light_curve, folds
from astromer.figures.style import (
    INK,
    LABEL_SIZE_PT,
    TEXT_WIDTH_IN,
    TICK_SIZE_PT,
    fitting,
    make_axes,
    style_axes,
)
from astromer.lightcurve import LightCurve

__all__ = [
    "Scale",
    "effective_share",
    "plot_attention",
    "plot_attention_blocks",
    "plot_attention_classes",
]

Scale = Literal["share", "rank"]

COLORMAP: Final = "cividis"
"""Looks alike to color-blind readers, and rises in lightness for gray print."""

_SHARES = {"1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0, "4": 4.0}


def plot_attention(
    light_curve: LightCurve,
    attention: ArrayLike,
    *,
    period: float | None = None,
    epoch: float | None = None,
    scale: Scale = "share",
    ax: Axes | None = None,
) -> Axes:
    """Plot a light curve colored by the attention that each observation receives.

    Parameters
    ----------
    light_curve : LightCurve
    attention : array-like, shape (n,)
        Received attention in units of an equal share, such as
        ``Attention.relative[block, head]``.
    period : float, optional
        Plot against phase, over two cycles, with this period [d].
    epoch : float, optional
        Time of phase zero [d]; when it is brightest by default.
    scale : {"share", "rank"}
        - share: one logarithmic scale for all panels, from a fourth of an equal share
          to four times as much. Where attention is spread evenly, there is one color.
        - rank: by order within the panel, which shows a pattern however faint it is.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width, with a bar of colors, by
        default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        Those that receive most lie on top, in larger dots.

    Raises
    ------
    ConfigError
        If `attention` does not fit or is negative or not finite, or an option is not
        valid.
    """
    if scale not in get_args(Scale):
        raise ConfigError(unknown_name("scale", scale, get_args(Scale)))
    values = _checked(attention, (len(light_curve),))
    x, repeats, label = abscissa(light_curve, period, epoch)
    own = ax is None
    ax = make_axes(panel_height=2.6)[0] if ax is None else style_axes(ax)
    norm = _norm(scale)
    if scale == "rank":
        values = ranks(values)
    values = np.tile(values, repeats)
    order = np.argsort(values, kind="stable")
    size = float(np.clip(2000.0 / len(values), 2.0, 8.0))
    ax.scatter(
        x[order],
        np.tile(light_curve.mag, repeats)[order],
        s=size * (0.6 + np.clip(norm(values[order]), 0.0, 1.0)) ** 2,
        c=values[order],
        cmap=COLORMAP,
        norm=norm,
        linewidths=0,
        # Thirty panels of dots in vectors would make a PDF of megabytes.
        rasterized=True,
    )
    finish_light_curve(ax, light_curve, label, period)
    if own:
        _add_colorbar([ax], scale)
    return ax


def plot_attention_blocks(
    light_curve: LightCurve,
    attention: ArrayLike,
    *,
    period: float | None = None,
    epoch: float | None = None,
    scale: Scale = "share",
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Plot the attention of every block and head on one light curve.

    Parameters
    ----------
    light_curve : LightCurve
    attention : array-like, shape (num_layers, num_heads, n)
        Received attention in units of an equal share, such as ``Attention.relative``.
    period, epoch, scale
        See `plot_attention`.
    axes : sequence of matplotlib.axes.Axes, optional
        A panel per block and head, and one for the heads' mean at the end of each row;
        a new figure of a page's width by default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes
        A row per block, the first at the top. A panel's title is its `effective_share`.

    Raises
    ------
    ConfigError
        If a shape or an option does not fit.
    """
    values = _checked(attention, (None, None, len(light_curve)))
    rows = [
        _Row(f"Block {number}", light_curve, heads, period)
        for number, heads in enumerate(values, 1)
    ]
    return _plot_rows(rows, epoch, scale, axes)


def plot_attention_classes(
    light_curves: Sequence[LightCurve],
    attentions: Sequence[ArrayLike],
    *,
    periods: Sequence[float | None] | None = None,
    scale: Scale = "share",
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Plot the attention of one block's heads on several light curves (Figs. 8, 9).

    Parameters
    ----------
    light_curves : sequence of LightCurve
        E.g. one of each class.
    attentions : sequence of array-like, shape (num_heads, n)
        Received attention in units of an equal share, such as
        ``Attention.relative[block]`` of each light curve.
    periods : sequence of float or None, optional
        Periods [d] with which to fold; None or NaN for a plot against time.
    scale : {"share", "rank"}
        See `plot_attention`.
    axes : sequence of matplotlib.axes.Axes, optional
        A panel per light curve and head, and one for the heads' mean at the end of
        each row; a new figure of a page's width by default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes
        A row per light curve. A panel's title is its `effective_share`.

    Raises
    ------
    ConfigError
        If numbers or shapes do not fit.
    """
    number = len(light_curves)
    rows = [
        _Row(
            curve.class_name or curve.object_id,
            curve,
            _checked(values, (None, len(curve))),
            period,
        )
        for curve, values, period in zip(
            light_curves,
            fitting("attentions", attentions, number),
            folds(periods, number),
            strict=True,
        )
    ]
    heads = {len(row.attention) for row in rows}
    if len(heads) != 1:
        raise ConfigError(
            "There must be a light curve, and all must have as many heads. "
            f"Received: {number} light curves, num_heads={sorted(heads)}."
        )
    return _plot_rows(rows, None, scale, axes)


def effective_share(attention: ArrayLike) -> float:
    """Return the share of the observations that attention is spread over.

    Parameters
    ----------
    attention : array-like, shape (n,)
        Received attention, not negative, in any unit.

    Returns
    -------
    share : float
        ``exp(H) / n`` with the entropy H of the shares: 1 where all observations
        receive alike, 1 / n where one receives all.

    Examples
    --------
    >>> effective_share([1.0, 1.0, 0.0, 0.0])
    0.5
    """
    values = np.asarray(attention, dtype=np.float64)
    share = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(share * np.log(share))) / len(values))


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """One row of panels: a light curve and what each head makes of it."""

    name: str
    light_curve: LightCurve
    attention: NDArray[np.float64]
    period: float | None


def _plot_rows(
    rows: Sequence[_Row],
    epoch: float | None,
    scale: Scale,
    axes: Sequence[Axes] | None,
) -> list[Axes]:
    columns = len(rows[0].attention) + 1
    own = axes is None
    if axes is None:
        axes = make_axes(
            len(rows) * columns,
            columns=columns,
            width=TEXT_WIDTH_IN,
            # The bar of colors takes as much of one row as of many.
            panel_height=1.2 + 0.6 / len(rows),
        )
    panels = list(fitting("axes", axes, len(rows) * columns))
    same = all(row.light_curve is rows[0].light_curve for row in rows) or all(
        row.period is not None for row in rows
    )
    for place, ax in enumerate(panels):
        number, column = divmod(place, columns)
        row = rows[number]
        last = column == columns - 1
        values = row.attention.mean(axis=0) if last else row.attention[column]
        plot_attention(
            row.light_curve, values, period=row.period, epoch=epoch, scale=scale, ax=ax
        )
        _label_panel(
            ax,
            share=effective_share(values),
            title="" if number else "Mean" if last else f"Head {column + 1}",
            row="" if column else row.name,
            has_abscissa=number == len(rows) - 1 or not same,
        )
    if own:
        _add_colorbar(panels, scale)
    return panels


def _label_panel(
    ax: Axes, *, share: float, title: str, row: str, has_abscissa: bool
) -> None:
    ax.set_title(title, loc="left", fontsize=LABEL_SIZE_PT)
    ax.set_title(f"{100 * share:.0f} %", loc="right", fontsize=TICK_SIZE_PT, color=INK)
    ax.set_ylabel(f"{row}\n[mag]" if row else "")
    if not row:
        ax.tick_params(axis="y", labelleft=False)
    if not has_abscissa:
        ax.set_xlabel("")
        ax.tick_params(axis="x", labelbottom=False)


def _checked(
    attention: ArrayLike, shape: tuple[int | None, ...]
) -> NDArray[np.float64]:
    values = np.asarray(attention, dtype=np.float64)
    fits = values.ndim == len(shape) and all(
        wanted in (None, found)
        for wanted, found in zip(shape, values.shape, strict=True)
    )
    if not fits or not values.size:
        names = ["num_layers", "num_heads", "n"][-len(shape) :]
        raise ConfigError(
            f"Attention must have shape ({', '.join(names)}). Received: "
            f"shape={values.shape} for {shape[-1]} observations."
        )
    if not np.isfinite(values).all() or (values < 0).any():
        raise ConfigError(
            "Attention must be finite and not negative. Received: values from "
            f"{values.min()} to {values.max()}."
        )
    return values


def _norm(scale: Scale) -> Normalize:
    if scale == "rank":
        return Normalize(0.0, 1.0)
    shares = list(_SHARES.values())
    return LogNorm(shares[0], shares[-1], clip=True)


def _add_colorbar(axes: Sequence[Axes], scale: Scale) -> None:
    """Put a bar of colors above all panels."""
    figure = axes[0].figure
    bar = figure.colorbar(
        ScalarMappable(_norm(scale), COLORMAP),
        ax=list(axes),
        location="top",
        fraction=0.05,
        aspect=40,
        shrink=0.6,
        pad=0.02,
    )
    ticks = {"lowest": 0.0, "highest": 1.0} if scale == "rank" else _SHARES
    bar.ax.xaxis.set_major_locator(FixedLocator(list(ticks.values())))
    bar.ax.xaxis.set_major_formatter(FixedFormatter(list(ticks)))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(labelsize=TICK_SIZE_PT, length=2.0, width=0.5)
    unit = "by rank within a panel" if scale == "rank" else "in equal shares"
    percent = "; percent: observations that it is spread over" if len(axes) > 1 else ""
    bar.set_label(f"Received attention, {unit}{percent}", fontsize=TICK_SIZE_PT)
    bar.outline.set_linewidth(0.5)
