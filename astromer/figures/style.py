"""What all figures share: sizes, colors, markers, and how they are saved.

Everything is set on the objects at hand; matplotlib's global settings stay as the
user left them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure, SubFigure
from matplotlib.legend import Legend
from matplotlib.ticker import AutoMinorLocator, MaxNLocator

from astromer.errors import ConfigError
from astromer.outputs import check_output, whole_file

__all__ = [
    "COLORS",
    "COLUMN_WIDTH_IN",
    "ERROR_BARS",
    "FAINT",
    "INK",
    "LABEL_SIZE_PT",
    "LINE_STYLES",
    "MARKERS",
    "MUTED",
    "TEXT_WIDTH_IN",
    "TICK_SIZE_PT",
    "check_format",
    "class_style",
    "fitting",
    "legend_above",
    "make_axes",
    "make_stack",
    "ordinal_colors",
    "save_figure",
    "style_axes",
]

T = TypeVar("T")

COLUMN_WIDTH_IN: Final = 3.4
"""Width of a journal's column [inch]."""
TEXT_WIDTH_IN: Final = 7.0
"""Width of a journal's page of two columns [inch]."""
LABEL_SIZE_PT: Final = 8.0
"""Size of axis labels and titles [pt]."""
TICK_SIZE_PT: Final = 7.0
"""Size of tick labels and legends [pt]."""

COLORS: Final = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#882255",
)
"""Okabe and Ito's colors for all readers; their yellow, which fades on white, is
replaced by Tol's wine."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
"""Marker shapes; their number and that of `COLORS` share no divisor, so 72 differ."""
LINE_STYLES: Final = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
"""Line styles; their number and that of `COLORS` share no divisor, so 40 differ."""
ERROR_BARS: Final = {"elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7}
"""Options of error bars on bars."""
INK: Final = "#333333"
"""Color of data that stand for themselves."""
MUTED: Final = "#B4B4B4"
"""Color of what recedes: error bars, unknown classes, data under a model."""
FAINT: Final = "#D8D8D8"
"""Color of what recedes behind the muted."""

_ORDINAL = ("#A6D0EC", "#0072B2", "#00263D")
_FORMATS = (".pdf", ".png", ".svg")


def make_axes(
    num_panels: int = 1,
    *,
    columns: int = 1,
    width: float = COLUMN_WIDTH_IN,
    panel_height: float | None = None,
) -> list[Axes]:
    """Make a figure with a grid of panels, without `pyplot`.

    Parameters
    ----------
    num_panels : int
        Number of panels, filled row by row.
    columns : int
        Panels side by side.
    width : float
        Width of the figure [inch].
    panel_height : float, optional
        Height of a row [inch]; two thirds of a panel's width by default.

    Returns
    -------
    axes : list of matplotlib.axes.Axes
        One per panel; the figure is ``axes[0].figure``.

    Raises
    ------
    ConfigError
        If there is no panel or no column.
    """
    if num_panels < 1 or columns < 1:
        raise ConfigError(
            "A figure needs at least one panel and one column. "
            f"Received: num_panels={num_panels}, columns={columns}."
        )
    columns = min(columns, num_panels)
    rows = -(-num_panels // columns)
    height = panel_height if panel_height is not None else width / columns * 2 / 3
    figure = _NotebookFigure(figsize=(width, rows * height), layout="constrained")
    return [
        style_axes(figure.add_subplot(rows, columns, panel + 1))
        for panel in range(num_panels)
    ]


def make_stack(
    heights: Sequence[float], *, width: float = COLUMN_WIDTH_IN
) -> list[Axes]:
    """Make a figure with panels of different heights, one above the other.

    Parameters
    ----------
    heights : sequence of float
        Heights of the panels, top to bottom [inch].
    width : float
        Width of the figure [inch].

    Returns
    -------
    axes : list of matplotlib.axes.Axes
    """
    figure = _NotebookFigure(figsize=(width, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    return [style_axes(figure.add_subplot(grid[row, 0])) for row in range(len(heights))]


class _NotebookFigure(Figure):
    """A figure that a notebook shows; matplotlib's own needs pyplot to be imported."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png")
        return stream.getvalue()


def style_axes(ax: Axes) -> Axes:
    """Set sizes, line widths and inward ticks on all sides.

    Parameters
    ----------
    ax : matplotlib.axes.Axes

    Returns
    -------
    ax : matplotlib.axes.Axes
        The same object.
    """
    for name in ("xtick", "ytick"):
        axis = ax.xaxis if name == "xtick" else ax.yaxis
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(AutoMinorLocator())
        axis.label.set_fontsize(LABEL_SIZE_PT)
    ax.tick_params(
        which="both",
        direction="in",
        top=True,
        right=True,
        width=0.5,
        labelsize=TICK_SIZE_PT,
    )
    ax.tick_params(which="major", length=3.0)
    ax.tick_params(which="minor", length=1.6)
    for spine in ax.spines.values():
        spine.set_linewidth(0.6)
    return ax


def legend_above(
    ax: Axes,
    handles: Sequence[Artist] | None = None,
    *,
    title: str | None = None,
    columns: int = 4,
    handletextpad: float = 0.4,
) -> Legend:
    """Put a legend above a panel, where it covers no data.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    handles : sequence of matplotlib.artist.Artist, optional
        What is named; by default all that has a label.
    title : str, optional
        What the names have in common.
    columns : int
        Most entries side by side.
    handletextpad : float
        Space between a mark and its name, in sizes of the font.

    Returns
    -------
    legend : matplotlib.legend.Legend
    """
    if handles is None:
        handles = ax.get_legend_handles_labels()[0]
    rows = -(-len(handles) // columns)
    return ax.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=max(-(-len(handles) // max(rows, 1)), 1),
        frameon=False,
        title=title,
        fontsize=TICK_SIZE_PT,
        title_fontsize=TICK_SIZE_PT,
        handletextpad=handletextpad,
        columnspacing=0.8,
        borderaxespad=0.3,
    )


def check_format(path: str | Path) -> Path:
    """Return the path of a figure if its suffix says how to save it.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    ConfigError
        If the suffix is not ``.png``, ``.pdf`` or ``.svg``, or no file can be written
        there.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(
            f"A figure is saved as {', '.join(_FORMATS)}. "
            f'Received: path="{path}". Name the file accordingly.'
        )
    return check_output(path)


def save_figure(
    figure: Figure | SubFigure, path: str | Path, *, dpi: float = 300.0
) -> Path:
    """Save a figure; the suffix says how.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or SubFigure
        E.g. an Axes' ``figure``; of a part, the whole is saved.
    path : str or pathlib.Path
        Ends in ``.png``, ``.pdf`` or ``.svg``. Folders are made as needed.
    dpi : float
        Resolution of pixels, e.g. in a PNG [1 / inch].

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    ConfigError
        If the suffix is another one, or the disk is full; a file of that name is as it
        was.
    """
    path = check_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Type 42 embeds real fonts, which journals ask for. No date: the same figure
    # gives the same bytes.
    date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with (
        mpl.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "astromer"}),
        whole_file(path) as made,
    ):
        figure.get_figure(root=True).savefig(
            made, dpi=dpi, metadata=date.get(path.suffix.lower())
        )
    return path


def ordinal_colors(count: int) -> list[str]:
    """Give ordered things colors from light to dark, in one hue.

    Parameters
    ----------
    count : int
        Number of things.

    Returns
    -------
    colors : list of str
        Each as ``#rrggbb``, told apart also in gray print.
    """
    ramp = LinearSegmentedColormap.from_list("ordinal", _ORDINAL)
    places = np.linspace(0.0, 1.0, count) if count > 1 else [0.5]
    return [to_hex(ramp(place)) for place in places]


def fitting(name: str, values: Sequence[T], count: int) -> Sequence[T]:
    """Return values that there must be one of for every panel.

    Parameters
    ----------
    name : str
        What an error calls them.
    values : sequence
    count : int
        Number of panels.

    Returns
    -------
    values : sequence
        The same object.

    Raises
    ------
    ConfigError
        If there is another number of them.
    """
    if len(values) != count:
        raise ConfigError(
            f"`{name}` must fit the panels. "
            f"Received: len({name})={len(values)}, panels={count}."
        )
    return values


def class_style(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Give every class a color and a marker.

    Parameters
    ----------
    names : sequence of str
        Classes; a class's place decides its style.

    Returns
    -------
    styles : dict of str to (str, str)
        Color and marker by class.
    """
    return {
        name: (COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)])
        for place, name in enumerate(names)
    }
