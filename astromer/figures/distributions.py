"""How bright and how often: magnitudes and time steps of several samples (Figs. 4, 5)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    LogLocator,
    NullFormatter,
    NullLocator,
)
from numpy.typing import ArrayLike, NDArray

from astromer.errors import ConfigError, unknown_name
from astromer.figures.style import (
    COLORS,
    COLUMN_WIDTH_IN,
    INK,
    LINE_STYLES,
    TICK_SIZE_PT,
    legend_above,
    make_axes,
    style_axes,
)
from astromer.lightcurve import LightCurve

__all__ = ["group_light_curves", "plot_magnitudes", "plot_time_steps", "time_steps"]

By = Literal["class", "passband"]

UNKNOWN: Final = "unknown"
"""Name of the group of light curves that have no class or passband."""

NAMED_STEPS_D: Final = {
    "1 s": 1 / 86_400,
    "1 min": 1 / 1_440,
    "1 h": 1 / 24,
    "1 d": 1.0,
    "30 d": 30.0,
    "1 yr": 365.25,
}
"""Time steps that have a name [d]."""

_BINS = 80
_LEAST_MARGIN: Final = 0.1
"""Least room beside steps that span few decades, in decades."""
_MOST_TOGETHER = 4
_BOX_PERCENTILES = (5, 25, 50, 75, 95)


def group_light_curves(
    light_curves: Iterable[LightCurve], by: By = "class"
) -> dict[str, list[LightCurve]]:
    """Group light curves by class or passband, in alphabetical order.

    Parameters
    ----------
    light_curves : iterable of LightCurve
    by : {"class", "passband"}

    Returns
    -------
    groups : dict of str to list of LightCurve
        Those without a name come last, as ``unknown``.

    Raises
    ------
    ConfigError
        If there is no such grouping.
    """
    if by not in get_args(By):
        raise ConfigError(unknown_name("grouping", by, get_args(By)))
    groups: dict[str, list[LightCurve]] = {}
    for curve in light_curves:
        name = curve.class_name if by == "class" else curve.passband
        groups.setdefault(name or UNKNOWN, []).append(curve)
    return dict(sorted(groups.items(), key=lambda item: (item[0] == UNKNOWN, item[0])))


def time_steps(light_curves: Iterable[LightCurve]) -> NDArray[np.float64]:
    """Return the times between consecutive observations of each light curve.

    Parameters
    ----------
    light_curves : iterable of LightCurve

    Returns
    -------
    steps : numpy.ndarray, shape (n,)
        Steps [d], light curve after light curve; none from one to the next.
    """
    steps = [np.diff(curve.time) for curve in light_curves]
    return np.concatenate(steps) if steps else np.empty(0)


def plot_magnitudes(
    magnitudes: Mapping[str, ArrayLike], *, ax: Axes | None = None
) -> Axes:
    """Plot the distribution of magnitudes of several samples (Fig. 4).

    Up to four share one ground; more would hide each other, so that each then stands
    on its own line, scaled to the same height.

    Parameters
    ----------
    magnitudes : mapping of str to array-like, shape (n,)
        Magnitudes by sample, as observed [mag].
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width, high enough for the samples,
        by default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        With the same bins for all samples, each of area 1 where they share a ground.

    Raises
    ------
    ConfigError
        If a sample is empty or holds a value that is not finite.
    """
    samples = _samples("magnitudes", magnitudes)
    together = len(samples) <= _MOST_TOGETHER
    ax = _panel(ax, None if together else len(samples))
    lowest = min(values.min() for values in samples.values())
    highest = max(values.max() for values in samples.values())
    edges = np.histogram_bin_edges([lowest, highest], _BINS)
    for place, (name, values) in enumerate(samples.items()):
        density, _ = np.histogram(values, edges, density=True)
        color = COLORS[place % len(COLORS)]
        if not together:
            _draw_shape(ax, density, edges, place + 0.45, color, 0.9)
            continue
        ax.stairs(
            density,
            edges,
            color=color,
            linestyle=LINE_STYLES[place % len(LINE_STYLES)],
            linewidth=1.2,
            label=name,
        )
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xlabel("Magnitude [mag]")
    if together:
        ax.set_ylim(bottom=0.0)
        ax.set_ylabel("Density [1 / mag]")
        legend_above(ax)
    else:
        _name_rows(ax, list(samples))
    return ax


def plot_time_steps(steps: Mapping[str, ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Plot the distribution of time steps of several samples (Fig. 5).

    A box spans the quartiles with a line at the median, its whiskers the 5th to the
    95th percentile. The shape behind it is the distribution of the steps' logarithm: a
    box alone would not tell nights from visits within a night. Steps of zero have no
    place on a logarithmic axis: they are left out, and their share stands beside the
    sample's name.

    Parameters
    ----------
    steps : mapping of str to array-like, shape (n,)
        Time steps by sample [d], not negative; see `time_steps`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width, high enough for the samples,
        by default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        The first sample stands at the top. The axis spans a decade or more, also where
        all steps are the same.

    Raises
    ------
    ConfigError
        If a sample is empty or holds a step that is negative or not finite, or zeros
        alone.
    """
    for name, values in steps.items():
        if np.size(values) == 0:
            raise ConfigError(
                "A time step needs a light curve with two observations. "
                f'Received: none in the sample "{name}". Leave the sample out.'
            )
    samples = _samples("steps", steps)
    for name, values in samples.items():
        if (values < 0).any() or not (values > 0).any():
            raise ConfigError(
                "Time steps must not be negative, nor all zero. Received: "
                f"{np.count_nonzero(values < 0)} negative and "
                f'{np.count_nonzero(values > 0)} positive steps for "{name}".'
            )
    ax = _panel(ax, len(samples))
    positive = {name: values[values > 0] for name, values in samples.items()}
    lowest = min(values.min() for values in positive.values())
    highest = max(values.max() for values in positive.values())
    edges = _step_edges(lowest, highest)
    boxes, names = [], []
    for place, (name, values) in enumerate(positive.items()):
        counts, _ = np.histogram(values, edges)
        color = COLORS[place % len(COLORS)]
        _draw_shape(ax, counts, edges, place + 0.15, color, 0.55)
        low, first, median, third, high = np.percentile(values, _BOX_PERCENTILES)
        boxes.append(
            {
                "whislo": low,
                "q1": first,
                "med": median,
                "q3": third,
                "whishi": high,
                "fliers": [],
            }
        )
        zero = 100.0 * (1.0 - len(values) / len(samples[name]))
        names.append(f"{name}\n({zero:.2g} % zero)" if zero else name)
    line = {"linewidth": 0.7, "color": INK}
    drawn = ax.bxp(
        boxes,
        positions=np.arange(len(boxes)) + 0.32,
        orientation="horizontal",
        widths=0.22,
        patch_artist=True,
        showfliers=False,
        manage_ticks=False,
        boxprops={"linewidth": 0.7, "edgecolor": INK},
        medianprops={"linewidth": 1.4, "color": "black"},
        whiskerprops=line,
        capprops=line,
    )
    for place, patch in enumerate(drawn["boxes"]):
        patch.set_facecolor((COLORS[place % len(COLORS)], 0.5))
    ax.set_xscale("log")
    ax.set_xlim(*_step_limits(edges[0], edges[-1]))
    ax.xaxis.set_major_locator(LogLocator(numticks=7))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("Time step [d]")
    _name_rows(ax, names)
    _name_steps(ax)
    return ax


def _step_edges(lowest: float, highest: float) -> NDArray[np.float64]:
    """Return edges of bins, of which a decade has no more than an axis should."""
    decades = max(np.log10(highest / lowest), 1 / _BINS)
    num_bins = min(math.ceil(_BINS * decades), _BINS)
    return np.geomspace(lowest, max(highest, lowest * 10**decades), num_bins + 1)


def _step_limits(lowest: float, highest: float) -> tuple[float, float]:
    """Return the ends of the axis: those of the steps, or decades around few of them."""
    first, last = math.log10(lowest), math.log10(highest)
    if math.floor(last) > math.ceil(first):
        # Two powers of ten are between, which have labels.
        return lowest, highest
    low = math.floor(first - _LEAST_MARGIN)
    high = math.ceil(last + _LEAST_MARGIN)
    while not _named_between(10.0**low, 10.0**high):
        low, high = low - 1, high + 1
    return 10.0**low, 10.0**high


def _named_between(low: float, high: float) -> dict[str, float]:
    return {name: step for name, step in NAMED_STEPS_D.items() if low < step < high}


def _panel(ax: Axes | None, num_rows: int | None) -> Axes:
    if ax is not None:
        return style_axes(ax)
    height = None if num_rows is None else 0.75 + 0.35 * num_rows
    return make_axes(width=COLUMN_WIDTH_IN, panel_height=height)[0]


def _draw_shape(
    ax: Axes,
    counts: NDArray[np.float64] | NDArray[np.int64],
    edges: NDArray[np.float64],
    ground: float,
    color: str,
    height: float,
) -> None:
    """Draw a histogram that rises from a row's ground, where rows count downward."""
    ax.stairs(
        ground - height * counts / counts.max(),
        edges,
        baseline=ground,
        facecolor=(color, 0.35),
        edgecolor=color,
        linewidth=0.7,
        fill=True,
    )


def _name_rows(ax: Axes, names: list[str]) -> None:
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.yaxis.set_major_locator(FixedLocator(list(range(len(names)))))
    ax.yaxis.set_major_formatter(FixedFormatter(names))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.tick_params(axis="y", which="both", length=0)


def _name_steps(ax: Axes) -> None:
    """Mark seconds to years along the top."""
    low, high = ax.get_xlim()
    named = _named_between(low, high)
    ax.tick_params(axis="x", which="both", top=False)
    top = ax.secondary_xaxis("top")
    top.xaxis.set_major_locator(FixedLocator(list(named.values())))
    top.xaxis.set_major_formatter(FixedFormatter(list(named)))
    top.xaxis.set_minor_locator(NullLocator())
    top.tick_params(direction="in", width=0.5, length=3.0, labelsize=TICK_SIZE_PT)


def _samples(
    what: str, groups: Mapping[str, ArrayLike]
) -> dict[str, NDArray[np.float64]]:
    if not groups:
        raise ConfigError(f"There is nothing to plot. Received: no {what}.")
    samples = {
        name: np.asarray(values, dtype=np.float64) for name, values in groups.items()
    }
    for name, values in samples.items():
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise ConfigError(
                "A sample must be finite and one-dimensional, and not empty. Received: "
                f"shape={values.shape}, finite={np.isfinite(values).all()}, "
                f'for "{name}".'
            )
    return samples
