"""Light curves against time or phase, alone, reconstructed, or a panel per class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from astromer.errors import ConfigError
from astromer.figures.style import (
    COLORS,
    FAINT,
    INK,
    LABEL_SIZE_PT,
    MUTED,
    TEXT_WIDTH_IN,
    TICK_SIZE_PT,
    fitting,
    make_axes,
    style_axes,
)
from astromer.lightcurve import LightCurve

__all__ = [
    "abscissa",
    "finish_light_curve",
    "folds",
    "plot_light_curve",
    "plot_reconstructions",
    "plot_survey_gallery",
]

# Of the bright colors the one that stays darkest in gray print.
_RECONSTRUCTION_COLOR = COLORS[0]
_LONGEST_NAME = 24
"""Characters of an object's name that fit beside class and period in a title."""


def plot_light_curve(
    light_curve: LightCurve,
    *,
    reconstruction: ArrayLike | None = None,
    period: float | None = None,
    epoch: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot magnitudes with error bars, brighter upward, and a reconstruction.

    Observations are dark dots. Under a reconstruction they fade to light gray, and
    the reconstruction is drawn over them in darker diamonds: shade and shape tell
    the two apart without color.

    Parameters
    ----------
    light_curve : LightCurve
    reconstruction : array-like, shape (n,), optional
        Magnitudes at the times of the observations [mag]; NaN where there is none.
    period : float, optional
        Plot against phase, over two cycles, with this period [d].
    epoch : float, optional
        Time of phase zero [d]; the brightest observation by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width by default.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Raises
    ------
    ConfigError
        If `reconstruction` does not fit, or `period` is not positive.

    Examples
    --------
    >>> curve = LightCurve([0.0, 1.0], [15.0, 15.5], [0.1, 0.1], passband="R")
    >>> plot_light_curve(curve).get_ylabel()
    'R [mag]'
    """
    x, repeats, label = abscissa(light_curve, period, epoch)
    ax = make_axes()[0] if ax is None else style_axes(ax)
    shown = np.tile(np.asarray(light_curve.mag, dtype=np.float64), repeats)
    # Long curves get smaller dots, or they fill the panel.
    size = float(np.clip(40.0 / math.sqrt(len(shown)), 1.3, 3.0))
    alone = reconstruction is None
    ax.errorbar(
        x,
        shown,
        yerr=np.tile(light_curve.mag_err, repeats),
        fmt="o",
        markersize=size,
        markerfacecolor=INK if alone else MUTED,
        markeredgewidth=0.0,
        ecolor=MUTED if alone else FAINT,
        elinewidth=0.5,
        zorder=2,
        label="observed",
    )
    if reconstruction is not None:
        values = np.asarray(reconstruction, dtype=np.float64)
        if values.shape != (len(light_curve),):
            raise ConfigError(
                "A reconstruction has one magnitude per observation. Received: "
                f"shape={values.shape} for {len(light_curve)} observations."
            )
        ax.plot(
            x,
            np.tile(values, repeats),
            linestyle="none",
            marker="D",
            markersize=size,
            markerfacecolor=_RECONSTRUCTION_COLOR,
            markeredgewidth=0.0,
            zorder=3,
            label="reconstructed",
        )
    finish_light_curve(ax, light_curve, label, period)
    return ax


def plot_reconstructions(
    light_curves: Sequence[LightCurve],
    reconstructions: Sequence[ArrayLike],
    *,
    periods: Sequence[float | None] | None = None,
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Plot several light curves with their reconstructions, a panel each.

    Parameters
    ----------
    light_curves : sequence of LightCurve
    reconstructions : sequence of array-like, shape (n,)
        Magnitudes at the times of the observations [mag], in the same order.
    periods : sequence of float or None, optional
        Periods [d] with which to fold; None or NaN for a plot against time.
    axes : sequence of matplotlib.axes.Axes, optional
        A panel per light curve; a new figure in two columns by default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes

    Raises
    ------
    ConfigError
        If the numbers of light curves, reconstructions, periods and axes differ.
    """
    panels = _panels(len(light_curves), axes)
    for panel, curve, values, period in zip(
        panels,
        light_curves,
        fitting("reconstructions", reconstructions, len(light_curves)),
        folds(periods, len(light_curves)),
        strict=True,
    ):
        plot_light_curve(curve, reconstruction=values, period=period, ax=panel)
    # One legend for all panels: each would cover data in some panel.
    handles, names = panels[0].get_legend_handles_labels()
    panels[0].figure.legend(
        handles[::-1],
        names[::-1],
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize=TICK_SIZE_PT,
        markerscale=2.0,
    )
    return panels


def plot_survey_gallery(
    light_curves: Sequence[LightCurve],
    *,
    periods: Sequence[float | None] | None = None,
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Plot the first light curve of every class, a panel each.

    Parameters
    ----------
    light_curves : sequence of LightCurve
        At least one; classes come in order of first appearance.
    periods : sequence of float or None, optional
        Periods [d] of all the `light_curves`; None or NaN for a plot against time.
    axes : sequence of matplotlib.axes.Axes, optional
        A panel per class; a new figure in two columns by default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes
        One per class.

    Raises
    ------
    ConfigError
        If there is no light curve, or numbers do not fit.
    """
    known = folds(periods, len(light_curves))
    chosen: dict[str | None, tuple[LightCurve, float | None]] = {}
    for curve, period in zip(light_curves, known, strict=True):
        chosen.setdefault(curve.class_name, (curve, period))
    panels = _panels(len(chosen), axes)
    for panel, (curve, period) in zip(panels, chosen.values(), strict=True):
        plot_light_curve(curve, period=period, ax=panel)
    return panels


def finish_light_curve(
    ax: Axes, light_curve: LightCurve, label: str, period: float | None = None
) -> None:
    """Set limits, labels and titles of a panel with one light curve, brighter upward.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    light_curve : LightCurve
        What is shown.
    label : str
        Of the abscissa; see `abscissa`.
    period : float, optional
        Period with which it is folded [d].
    """
    ax.margins(x=0.02, y=0.06)
    if period is not None:
        ax.set_xlim(0.0, 2.0)
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    ax.set_xlabel(label)
    ax.set_ylabel(f"{light_curve.passband or 'Magnitude'} [mag]")
    ax.set_title(_title(light_curve), loc="left", fontsize=LABEL_SIZE_PT)
    if period is not None:
        shown_period = f"P = {period:#.4g} d"
        ax.set_title(shown_period, loc="right", fontsize=TICK_SIZE_PT, color=INK)


def abscissa(
    light_curve: LightCurve, period: float | None = None, epoch: float | None = None
) -> tuple[NDArray[np.float64], int, str]:
    """Return where observations stand along the horizontal axis.

    Parameters
    ----------
    light_curve : LightCurve
    period : float, optional
        Period with which to fold [d].
    epoch : float, optional
        Time of phase zero, or origin of times [d].

    Returns
    -------
    x : numpy.ndarray, shape (repeats * n,)
        Times from the origin [d], or phases over two cycles.
    repeats : int
        How often each observation is shown.
    label : str
        Label of the axis.

    Raises
    ------
    ConfigError
        If `period` is not positive.
    """
    time = light_curve.time
    if period is None:
        origin = math.floor(time[0]) if epoch is None else epoch
        if origin == 0:
            return time, 1, "Time [d]"
        shown = f"{origin:,.0f}" if origin == round(origin) else f"{origin:,.4f}"
        return time - origin, 1, f"Time \N{MINUS SIGN} {shown} [d]"
    if not period > 0 or not math.isfinite(period):
        raise ConfigError(
            f"A period must be positive and finite. Received: period={period}."
        )
    origin = _brightest(light_curve, period) if epoch is None else epoch
    phase = (time - origin) / period % 1.0
    return np.concatenate([phase, phase + 1.0]), 2, "Phase"


def _brightest(light_curve: LightCurve, period: float) -> float:
    """Return a time of maximum light: the middle of the brightest bin in phase."""
    bins = np.clip(len(light_curve) // 10, 1, 25)
    phase = light_curve.time / period % 1.0
    place = (phase * bins).astype(np.int64)
    # Medians, because a single bright outlier would win otherwise.
    medians = {bin_: np.median(light_curve.mag[place == bin_]) for bin_ in set(place)}
    brightest = min(medians, key=lambda bin_: (medians[bin_], bin_))
    return float((brightest + 0.5) / bins * period)


def _title(light_curve: LightCurve) -> str:
    name = light_curve.object_id
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return "  ".join(part for part in (light_curve.class_name, name) if part)


def _panels(count: int, axes: Sequence[Axes] | None) -> list[Axes]:
    if count == 0:
        raise ConfigError("There is nothing to plot. Received: 0 light curves.")
    if axes is None:
        return make_axes(count, columns=2, width=TEXT_WIDTH_IN, panel_height=1.9)
    return list(fitting("axes", axes, count))


def folds(periods: Sequence[float | None] | None, count: int) -> list[float | None]:
    """Return a period per panel, None where there is none to fold with.

    Parameters
    ----------
    periods : sequence of float or None, optional
        Periods [d]; None or NaN where unknown.
    count : int
        Number of panels.

    Returns
    -------
    periods : list of float or None

    Raises
    ------
    ConfigError
        If there is another number of them.
    """
    if periods is None:
        return [None] * count
    return [
        None if period is None or math.isnan(period) else period
        for period in fitting("periods", periods, count)
    ]
