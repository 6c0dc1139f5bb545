"""Light curves to classes: a probability per class and light curve, or window."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from astromer.checks import check_positive
from astromer.errors import ConfigError, unknown_name
from astromer.inference.rows import average_windows, describe_rows
from astromer.inference.runner import (
    OBSERVATIONS_PER_CHUNK,
    Apply,
    compiled,
    run_batches,
    windows_ahead,
)
from astromer.inference.sources import Source, iterate_light_curves
from astromer.inference.tables import Table
from astromer.models import ClassifierNetwork
from astromer.pipeline import WindowArrays
from astromer.progress import Progress
from astromer.surveys import Dropped

__all__ = ["Classifications", "classify"]

Per = Literal["object", "window"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False, slots=True)
class Classifications(Table):
    """Probabilities of classes and what each row stands for, in input order.

    ``numpy.asarray(classifications)`` is the array of probabilities; frames and files
    have a column ``p_NAME`` for each class.
    """

    object_id: NDArray[np.str_]
    """(n,): object names."""
    passband: NDArray[np.str_]
    """(n,): filter names."""
    label: NDArray[np.int64]
    """(n,): class numbers as given, -1 where unknown."""
    class_name: NDArray[np.str_]
    """(n,): class names as given, empty where unknown."""
    n_observations: NDArray[np.int64]
    """(n,): observations behind each row."""
    time: NDArray[np.float64]
    """(n,): mean time of these observations [d]."""
    predicted: NDArray[np.str_]
    """(n,): name of the most probable class."""
    probability: NDArray[np.float32]
    """(n, num_classes): probabilities; each row's sum is one."""
    class_names: tuple[str, ...]
    """Names of the classes, in the order of the probabilities."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.probability, dtype=dtype, copy=copy)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, in order, with a column for each class."""
        columns = Table.columns(self)
        del columns["class_names"], columns["probability"]
        by_class = zip(self.class_names, self.probability.T, strict=True)
        return columns | {f"p_{name}": values for name, values in by_class}


def classify(
    model: ClassifierNetwork,
    source: Source,
    *,
    per: Per = "object",
    batch_size: int = 64,
    survey: str | None = None,
    passband: str | None = None,
    dropped: Dropped | None = None,
    max_unreadable: float = 0.0,
    progress: Progress | None = None,
) -> Classifications:
    """Classify light curves, in input order.

    A light curve longer than a window gives several; ``per="object"`` averages their
    probabilities, each weighted by its number of observations. The released code scores
    windows one by one instead.

    Parameters
    ----------
    model : ClassifierNetwork
    source : light curves, frame, or paths
        A `LightCurve` or several; a pandas or polars long frame; a folder of records;
        survey files or folders.
    per : {"object", "window"}
        What one row stands for; an object in two passbands gives two.
    batch_size : int
        Windows per batch.
    survey, passband : str, optional
        Format of survey files, where it is not recognized; passband to take.
    dropped : Dropped, optional
        Receives what is lost of survey files: bad observations by reason, and light
        curves without a good one, which are not in the result.
    max_unreadable : float
        Largest share of survey files that may be unreadable and are then left out; by
        default the first is an error.
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    classifications : Classifications

    Raises
    ------
    ConfigError
        If an option is not valid or the source holds no light curves.
    """
    if per not in get_args(Per):
        raise ConfigError(unknown_name("per", per, get_args(Per)))
    check_positive(batch_size=batch_size)
    apply = compiled(model, "classify", lambda: model)
    light_curves, number = iterate_light_curves(
        source,
        survey=survey,
        passband=passband,
        dropped=dropped,
        max_unreadable=max_unreadable,
    )
    columns: list[dict[str, NDArray[Any]]] = []
    probabilities: list[NDArray[np.float64]] = []
    done = 0
    ahead = windows_ahead(light_curves, model.config, OBSERVATIONS_PER_CHUNK)
    for group, windows in ahead:
        values = _probabilities(apply, windows, len(model.class_names), batch_size)
        columns.append(describe_rows(group, windows, per))
        probabilities.append(
            values if per == "window" else average_windows(values, windows)
        )
        done += len(group)
        if progress is not None:
            progress("classify", done, number, "light curves")
    probability = np.concatenate(probabilities)
    return Classifications(
        **{
            name: np.concatenate([part[name] for part in columns])
            for name in columns[0]
        },
        predicted=np.array(model.class_names)[probability.argmax(axis=1)],
        probability=probability.astype(np.float32),
        class_names=model.class_names,
    )


def _probabilities(
    apply: Apply, windows: WindowArrays, num_classes: int, batch_size: int
) -> NDArray[np.float64]:
    """Return the softmax of the logits of each window, (num_windows, num_classes)."""
    inputs = windows.inputs()
    logits = np.empty((len(windows), num_classes))

    def receive(rows: NDArray[np.int64], outputs: NDArray[np.float32]) -> None:
        logits[rows] = outputs

    run_batches(apply, inputs, windows.size, batch_size, receive)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return probability
