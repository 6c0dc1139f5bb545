"""What a window looks like to the model that is pretrained on it (Fig. 1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from astromer.checks import check_positive
from astromer.figures.light_curves import abscissa, finish_light_curve
from astromer.figures.style import (
    COLORS,
    MUTED,
    TICK_SIZE_PT,
    fitting,
    legend_above,
    make_stack,
    style_axes,
)
from astromer.lightcurve import LightCurve
from astromer.pipeline.array_masking import apply_masks, select_masks
from astromer.pipeline.arrays import sample_starts
from astromer.pipeline.options import DEFAULT_WINDOW_SIZE, MaskingConfig

__all__ = ["MaskedWindow", "mask_window", "plot_masking"]

_LEAST_SHARE_WITH_TEXT = 6.0
"""Narrower bars have no room for their share [%]."""
_STYLES = {
    "hidden": (COLORS[0], "D", False),
    "random": (COLORS[1], "s", True),
    "visible": (COLORS[2], "^", True),
    "not probed": (MUTED, "o", True),
}
"""Color and marker of a subset, and whether the marker is filled."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class MaskedWindow:
    """The observations of one window and what pretraining does to them."""

    light_curve: LightCurve
    """The n observations of the window."""
    shown: NDArray[np.float32]
    """(n,): magnitudes as the model is given them, those included that it hides from
    itself [mag]."""
    probed: NDArray[np.bool_]
    """(n,): enters the loss."""
    hidden: NDArray[np.bool_]
    """(n,): probed, and not to be seen."""
    random: NDArray[np.bool_]
    """(n,): probed, and shown with the magnitude of another observation."""

    def subsets(self) -> dict[str, NDArray[np.bool_]]:
        """Return the parts of the window by name; each observation lies in one.

        Returns
        -------
        subsets : dict of numpy.ndarray, shape (n,), bool
            ``hidden``, ``random`` and ``visible``, which are probed; ``not probed``.
        """
        return {
            "hidden": self.hidden,
            "random": self.random,
            "visible": self.probed & ~self.hidden & ~self.random,
            "not probed": ~self.probed,
        }


def mask_window(
    light_curve: LightCurve,
    *,
    window_size: int = DEFAULT_WINDOW_SIZE,
    masking: MaskingConfig | None = None,
    seed: int = 0,
) -> MaskedWindow:
    """Draw a window and its masks by the code that does so in training (Sect. 2.3).

    Parameters
    ----------
    light_curve : LightCurve
    window_size : int
        Observations per window; a shorter light curve is taken whole.
    masking : MaskingConfig, optional
        Shares of probed, visible and random observations.
    seed : int
        Seed of the window's place and of the masks.

    Returns
    -------
    window : MaskedWindow
        Of at most `window_size` observations, without padding.

    Raises
    ------
    ConfigError
        If the window size is not positive.
    """
    check_positive(window_size=window_size)
    rng = np.random.default_rng(seed)
    start = int(sample_starts(np.array([len(light_curve)]), window_size, rng)[0])
    part = slice(start, start + window_size)
    window = dataclasses.replace(
        light_curve,
        time=light_curve.time[part],
        mag=light_curve.mag[part],
        mag_err=light_curve.mag_err[part],
    )
    size = np.array([len(window)])
    # Relative to the mean first: float32 is too coarse for dates.
    time = (window.time - window.time.mean()).astype(np.float32)
    masks = select_masks(time[None], size, masking or MaskingConfig(), rng)
    shown = apply_masks(window.mag[None], masks, size, rng)
    probed, hidden, random = (mask[0] for mask in masks)
    return MaskedWindow(window, shown[0], probed, hidden, random)


def plot_masking(
    window: MaskedWindow, *, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """Plot the composition of a window, and where its subsets lie (Fig. 1).

    Parameters
    ----------
    window : MaskedWindow
        E.g. of `mask_window`.
    axes : sequence of two matplotlib.axes.Axes, optional
        Where to draw shares and light curve; a new figure of one column's width by
        default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes
        The first holds a bar per subset whose length is the subset's share [%]; the
        second the window. A random observation is drawn where the model sees it, with
        a line from where it was observed; a hidden one, open, where it was observed.

    Raises
    ------
    ConfigError
        If there are not two axes.
    """
    if axes is None:
        axes = make_stack([0.75, 2.0])
    else:
        axes = [style_axes(ax) for ax in fitting("axes", axes, 2)]
    shares, curve = axes
    _plot_shares(shares, window)
    _plot_subsets(curve, window)
    return list(axes)


def _plot_shares(ax: Axes, window: MaskedWindow) -> None:
    left = 0.0
    for name, subset in window.subsets().items():
        share = 100.0 * float(subset.mean())
        color, _, filled = _STYLES[name]
        ax.barh(
            0.0,
            share,
            left=left,
            height=1.0,
            facecolor=color if filled else "white",
            edgecolor=color,
            linewidth=0.7,
            clip_on=False,
            label=name,
        )
        if share >= _LEAST_SHARE_WITH_TEXT:
            ax.text(
                left + share / 2,
                0.0,
                f"{share:.0f} %",
                ha="center",
                va="center",
                fontsize=TICK_SIZE_PT,
                color="black" if name in ("hidden", "not probed") else "white",
            )
        left += share
    probed = 100.0 * float(window.probed.mean())
    # A bracket over the probed subsets.
    ax.plot(
        [0, 0, probed, probed],
        [0.7, 0.95, 0.95, 0.7],
        color="black",
        linewidth=0.6,
        clip_on=False,
    )
    ax.text(
        probed / 2,
        1.1,
        f"probed: {probed:.0f} %",
        ha="center",
        va="bottom",
        fontsize=TICK_SIZE_PT,
    )
    ax.set_xlim(0.0, 100.0)
    ax.set_ylim(-0.55, 2.3)
    ax.set_axis_off()


def _plot_subsets(ax: Axes, window: MaskedWindow) -> None:
    x, _, label = abscissa(window.light_curve)
    mag = window.light_curve.mag
    random = window.random
    ax.vlines(
        x[random],
        mag[random],
        window.shown[random],
        color=COLORS[1],
        linewidth=0.5,
        zorder=1,
    )
    for name, subset in window.subsets().items():
        color, marker, filled = _STYLES[name]
        y = window.shown if name == "random" else mag
        ax.plot(
            x[subset],
            y[subset],
            linestyle="none",
            marker=marker,
            markersize=3.0,
            markerfacecolor=color if filled else "white",
            markeredgecolor=color,
            markeredgewidth=0.7,
            zorder=2 if name == "not probed" else 3,
            label=f"{name} ({np.count_nonzero(subset)})",
        )
    finish_light_curve(ax, window.light_curve, label)
    ax.set_title("", loc="left")
    legend_above(ax, columns=2)
