"""Figures: one function each, Axes in, Axes out, no global plotting state.

Figures are made without `pyplot`, so that they need no display and leave nothing
behind. Colors are told apart by color-blind readers, markers in gray print.
"""

from astromer.figures.embedding_map import plot_embedding_map, project
from astromer.figures.light_curves import (
    plot_light_curve,
    plot_reconstructions,
    plot_survey_gallery,
)
from astromer.figures.style import make_axes, save_figure

__all__ = [
    "make_axes",
    "plot_embedding_map",
    "plot_light_curve",
    "plot_reconstructions",
    "plot_survey_gallery",
    "project",
    "save_figure",
]
