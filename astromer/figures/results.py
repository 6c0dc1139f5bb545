"""A benchmark's `results.json`, taken apart for the figures that show it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError, unknown_name
from astromer.figures.tables import distinct

__all__ = [
    "confusions",
    "finetuning_rows",
    "layer_weights",
    "read_results",
    "select_rows",
]

Row = Mapping[str, Any]

_ROWS: Final = "rows"
_SEVERAL: Final = "results"
_FIELDS: Final = ("dataset", "method", "classifier", "samples_per_class")
_MEASURED: Final = ("rmse_before", "rmse_after", "minutes")


def read_results(path: str | Path) -> list[dict[str, Any]]:
    """Read the rows of a benchmark's results.

    Parameters
    ----------
    path : str or pathlib.Path
        A JSON file with a list of rows, or an object that has them under ``rows``, or
        several such objects by data set under ``results``; or the folder with a
        ``results.json``.

    Returns
    -------
    rows : list of dict
        One per data set, method, classifier and number of samples.

    Raises
    ------
    ConfigError
        If there is no such file, it is no JSON or holds no rows.
    """
    path = Path(path)
    file = path / "results.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"Results are a JSON file. Received: path={file} ({error})."
        ) from error
    rows = _rows_in(content)
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and set(_FIELDS) <= set(row) for row in rows
    ):
        raise ConfigError(
            f"Results hold rows with {', '.join(_FIELDS)}. Received: path={file}, "
            "which has others. Give the `results.json` of a benchmark."
        )
    if not rows:
        raise ConfigError(f"Results hold at least one row. Received: path={file}.")
    return rows


def _rows_in(content: Any) -> Any:
    """Return the rows of one benchmark or of several, or whatever stands there."""
    if not isinstance(content, dict):
        return content
    parts = content.get(_SEVERAL)
    if not isinstance(parts, dict):
        return content.get(_ROWS)
    found = [_rows_in(part) for part in parts.values()]
    if all(isinstance(rows, list) for rows in found):
        return [row for rows in found for row in rows]
    return None


def select_rows(rows: Sequence[Row], **values: Iterable[str]) -> list[Row]:
    """Select rows by their data set, method or classifier.

    Parameters
    ----------
    rows : sequence of mapping
    **values : iterable of str
        Values to keep, by field; an empty one keeps all.

    Returns
    -------
    rows : list of mapping
        In the same order.

    Raises
    ------
    ConfigError
        If a value does not exist, or nothing is left.
    """
    selected = list(rows)
    for field, wanted in values.items():
        known = {str(row[field]) for row in rows}
        for value in wanted:
            if value not in known:
                raise ConfigError(unknown_name(field, value, known))
        if wanted:
            chosen = set(wanted)
            selected = [row for row in selected if str(row[field]) in chosen]
    if not selected:
        given = {field: list(wanted) for field, wanted in values.items() if wanted}
        raise ConfigError(f"No row has all of these values. Received: {given}.")
    return selected


def finetuning_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what finetuning gained and took, one row per fold, for `plot_finetuning`.

    Parameters
    ----------
    rows : sequence of mapping
        With the ``finetuning`` of each fold among its ``facts``.

    Returns
    -------
    rows : list of dict
        ``dataset``, ``samples_per_class``, ``rmse_before``, ``rmse_after`` [mag] and
        ``minutes``. Classifiers that share a finetuned encoder count once. Where
        several methods were finetuned, their names stand beside the data set's.

    Raises
    ------
    ConfigError
        If nothing was finetuned.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    tuned = [row for row in rows if any("finetuning" in f for f in _facts(row))]
    several = len({row["method"] for row in tuned}) > 1
    for row in tuned:
        dataset = str(row["dataset"])
        name = f"{dataset}, {row['method']}" if several else dataset
        for fold, facts in enumerate(_facts(row)):
            if "finetuning" in facts:
                values = {key: facts["finetuning"][key] for key in _MEASURED}
                key = (name, row["samples_per_class"], fold)
                found.setdefault(
                    key, {"dataset": name, "samples_per_class": key[1], **values}
                )
    if not found:
        raise ConfigError(
            "The results say nothing of finetuning. Received: "
            f"{len(rows)} rows without it. Run the benchmark with `--finetune`."
        )
    return list(found.values())


def layer_weights(rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
    """Return the weights of input embedding and blocks, for `plot_gamma`.

    Parameters
    ----------
    rows : sequence of mapping
        With the ``layer_weights`` of each fold among its ``facts``.

    Returns
    -------
    weights : dict of str to numpy.ndarray, shape (num_folds, num_layers + 1)
        By samples per class, in ascending order.

    Raises
    ------
    ConfigError
        If no row has any, or several rows have as many samples per class.
    """
    found: dict[int, NDArray[np.float64]] = {}
    with_weights = [row for row in rows if _weights_of_folds(row)]
    for row in with_weights:
        size = int(row["samples_per_class"])
        if size in found:
            raise _several("layer weights", with_weights)
        found[size] = np.asarray(_weights_of_folds(row), dtype=np.float64)
    if not found:
        raise ConfigError(
            'The results hold no layer weights: only the head "gamma" has them. '
            f"Received: {_methods(rows)}."
        )
    return {f"{size} per class": found[size] for size in sorted(found)}


def _weights_of_folds(row: Row) -> list[Any]:
    return [fold["layer_weights"] for fold in _facts(row) if "layer_weights" in fold]


def confusions(
    rows: Sequence[Row],
) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Return confusion matrices and class names, for `plot_confusions`.

    Parameters
    ----------
    rows : sequence of mapping
        With ``confusion`` and ``per_class_f1``, whose keys are the classes in order.

    Returns
    -------
    matrices : dict of str to numpy.ndarray, shape (num_classes, num_classes)
        By samples per class, in ascending order; true classes in rows.
    class_names : list of str

    Raises
    ------
    ConfigError
        If there are none, or several rows have as many samples per class.
    """
    known = [row for row in rows if "confusion" in row]
    if not known:
        raise ConfigError(
            "The results hold no confusion matrices. Received: "
            f"columns={sorted({name for row in rows for name in row})}."
        )
    sizes = [int(row["samples_per_class"]) for row in known]
    if len(set(sizes)) < len(sizes):
        raise _several("confusion matrices", known)
    by_size = dict(sorted(zip(sizes, known, strict=True)))
    matrices = {
        f"{size} per class": np.asarray(row["confusion"], dtype=np.float64)
        for size, row in by_size.items()
    }
    return matrices, [str(name) for name in known[0]["per_class_f1"]]


def _facts(row: Row) -> list[dict[str, Any]]:
    return [facts or {} for facts in row.get("facts") or []]


def _several(what: str, rows: Sequence[Row]) -> ConfigError:
    return ConfigError(
        f"There are {what} of several methods. Received: {_methods(rows)}. "
        "Select one data set, method and classifier: `--dataset`, `--method`, "
        "`--classifier`, or `select_rows`."
    )


def _methods(rows: Sequence[Row]) -> str:
    return "; ".join(
        distinct(
            f"{row['dataset']}, {row['method']}, {row['classifier']}" for row in rows
        )
    )
