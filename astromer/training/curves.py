"""The picture in a run's card: losses and scores over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from astromer.training.run_folder import write_whole

__all__ = ["draw_learning_curves", "save_learning_curves"]

# Blue and vermilion of Okabe and Ito's colors for all readers.
_TRAINING, _VALIDATION, _MUTED = "#0072B2", "#D55E00", "#777777"
_VALIDATION_PREFIX: Final = "val_"
_DASHES: Final = ("--", ":", "-.")
_PLAIN: Final = {"mean": "visible mean", "interpolation": "linear interpolation"}
_SIZE_PT: Final = 8


def draw_learning_curves(
    axes: Any, rows: Sequence[Mapping[str, Any]], score: str, *, best_epoch: int = 0
) -> Any:
    """Draw one score over epochs (Fig. 6): training, validation, and the plain numbers.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    rows : sequence of mapping
        Rows of `metrics.csv`.
    score : str
        A column of training, e.g. ``"loss"``; ``val_`` before it is validation, and
        ``val_{score}_mean`` or ``..._interpolation`` what these have in its place.
    best_epoch : int
        Epoch whose weights were kept, from 1; 0 marks none.

    Returns
    -------
    axes : matplotlib.axes.Axes
        The same object.
    """
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) < 30 else ""
    validation = f"{_VALIDATION_PREFIX}{score}"
    style: dict[str, Any] = {"lw": 1.2, "marker": marker, "ms": 3}
    if score in rows[0]:
        values = [row[score] for row in rows]
        axes.plot(epochs, values, color=_TRAINING, label="training", **style)
    if validation in rows[0]:
        values = [row[validation] for row in rows]
        axes.plot(epochs, values, color=_VALIDATION, label="validation", **style)
        if 0 < best_epoch <= len(rows):
            kept = values[best_epoch - 1]
            ring = {"mfc": "none", "mec": _VALIDATION, "ms": 8, "ls": ""}
            axes.plot(best_epoch, kept, marker="o", label="kept", **ring)
    plain = {f"{validation}_{name}": label for name, label in _PLAIN.items()}
    found = [name for name in rows[0] if name in plain]
    for name, dashes in zip(found, _DASHES, strict=False):
        style = {"color": _MUTED, "lw": 1, "ls": dashes}
        axes.axhline(rows[-1][name], label=plain[name], **style)
    axes.set_xlabel("epoch", fontsize=_SIZE_PT)
    axes.tick_params(direction="in", top=True, right=True, labelsize=_SIZE_PT - 1)
    return axes


def save_learning_curves(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    panels: Mapping[str, str],
    *,
    best_epoch: int = 0,
) -> None:
    """Draw scores side by side and save the picture.

    Parameters
    ----------
    path : pathlib.Path
        A PNG file.
    rows : sequence of mapping
        Rows of `metrics.csv`.
    panels : mapping of str to str
        Axis labels by score; a score that the rows lack is left out.
    best_epoch : int
        Epoch whose weights were kept, from 1.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = {
        name: label
        for name, label in panels.items()
        if {name, f"{_VALIDATION_PREFIX}{name}"} & {*rows[0]}
    }
    figure = Figure(figsize=(3.4 * len(panels), 2.6), layout="constrained")
    for number, (score, label) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), number)
        draw_learning_curves(axes, rows, score, best_epoch=best_epoch)
        axes.set_ylabel(label, fontsize=_SIZE_PT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # One legend for all: in a panel it would lie on the curves.
    lines = {
        text: line
        for axes in figure.axes
        for line, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(lines.values()),
        list(lines),
        loc="outside lower center",
        ncols=len(lines),
        fontsize=_SIZE_PT,
        frameon=False,
    )
    write_whole(path, lambda stream: figure.savefig(stream, format="png", dpi=150))
