"""Figures: one function each, Axes in, Axes out, no global plotting state.

Figures are made without `pyplot`, so that they need no display and leave nothing
behind. Colors are told apart by color-blind readers, markers in gray print. None of
them needs TensorFlow.
"""

from astromer.figures.architecture import (
    plot_architecture,
    plot_classifier_architecture,
)
from astromer.figures.attention import (
    effective_share,
    plot_attention,
    plot_attention_blocks,
    plot_attention_classes,
)
from astromer.figures.distributions import (
    group_light_curves,
    plot_magnitudes,
    plot_time_steps,
    time_steps,
)
from astromer.figures.embedding_map import (
    plot_block_maps,
    plot_embedding_map,
    project,
    silhouette,
)
from astromer.figures.light_curves import (
    plot_light_curve,
    plot_reconstructions,
    plot_survey_gallery,
)
from astromer.figures.masking import MaskedWindow, mask_window, plot_masking
from astromer.figures.periods import find_period
from astromer.figures.report import report_figures
from astromer.figures.runs import plot_finetuning, plot_learning_curves
from astromer.figures.scores import (
    plot_confusion,
    plot_confusions,
    plot_f1,
    plot_gamma,
)
from astromer.figures.style import make_axes, save_figure

__all__ = [
    "MaskedWindow",
    "effective_share",
    "find_period",
    "group_light_curves",
    "make_axes",
    "mask_window",
    "plot_architecture",
    "plot_attention",
    "plot_attention_blocks",
    "plot_attention_classes",
    "plot_block_maps",
    "plot_classifier_architecture",
    "plot_confusion",
    "plot_confusions",
    "plot_embedding_map",
    "plot_f1",
    "plot_finetuning",
    "plot_gamma",
    "plot_learning_curves",
    "plot_light_curve",
    "plot_magnitudes",
    "plot_masking",
    "plot_reconstructions",
    "plot_survey_gallery",
    "plot_time_steps",
    "project",
    "report_figures",
    "save_figure",
    "silhouette",
    "time_steps",
]
