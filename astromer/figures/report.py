"""The figures of a benchmark's report, drawn from its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure, SubFigure

from astromer.figures.results import (
    confusions,
    finetuning_rows,
    layer_weights,
    select_rows,
)
from astromer.figures.runs import plot_finetuning
from astromer.figures.scores import plot_confusions, plot_f1, plot_gamma

__all__ = ["report_figures"]


def report_figures(
    results: Mapping[str, Any],
) -> list[tuple[str, Figure | SubFigure]]:
    """Draw what a few-shot benchmark has found, with captions.

    Parameters
    ----------
    results : mapping
        From `astromer.evaluation.few_shot_benchmark`.

    Returns
    -------
    figures : list of (str, matplotlib.figure.Figure)
        Scores of all methods (Figs. 11, 12); confusions of the best and of the
        reference (16, 17); where there are any, weights of the layers (13) and gain and
        time of finetuning (7). Nothing for other results.
    """
    if results["kind"] != "few-shot":
        return []
    rows = results["rows"]
    chance = 1.0 / len(results["classes"])
    caption = (
        "Macro F1 per object, mean and standard deviation over folds. Dotted: one over "
        "the number of classes, about what guessing scores."
    )
    figures = [(caption, plot_f1(rows, chance=chance).figure)]
    largest = max(row["samples_per_class"] for row in rows)
    best = max(
        (row for row in rows if row["samples_per_class"] == largest),
        key=lambda row: row["macro_f1_mean"],
    )
    shown = dict.fromkeys(
        [(best["method"], best["classifier"]), tuple(results["reference"])]
    )
    for method, classifier in shown:
        chosen = select_rows(rows, method=[method], classifier=[classifier])
        matrices, names = confusions(chosen)
        caption = f"Confusions of {method}, {classifier}, over all folds."
        figures.append((caption, plot_confusions(matrices, names)[0].figure))
    by_method: dict[str, list[Any]] = {}
    for row in rows:
        if any("layer_weights" in facts for facts in row["facts"]):
            by_method.setdefault(row["method"], []).append(row)
    for method, mixed in by_method.items():
        caption = f"Weights of the layers of {method} in the head gamma."
        figures.append((caption, plot_gamma(layer_weights(mixed)).figure))
    if any(row["finetuning"] for row in rows):
        caption = (
            "Error over all observations before and after finetuning, and minutes."
        )
        figures.append((caption, plot_finetuning(finetuning_rows(rows))[0].figure))
    return figures
