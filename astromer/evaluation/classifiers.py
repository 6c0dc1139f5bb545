"""Classifiers on vectors: scikit-learn's, with one set of choices for all methods.

Rows may repeat, because short classes are drawn with replacement; whatever is chosen
by trial keeps the rows of an object together.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError, unknown_name

__all__ = [
    "CLASSIFIERS",
    "CLASSIFIERS_VERSION",
    "Classifier",
    "FittedClassifier",
    "fit_classifier",
    "tuning_folds",
]

CLASSIFIERS_VERSION: Final = 1
"""Raised whenever a choice below changes, so that no earlier result is taken for it."""

Classifier = Literal["lr", "rf", "hgb", "mlp"]

CLASSIFIERS: Final[tuple[str, ...]] = get_args(Classifier)
"""Logistic regression, random forest, histogram gradient boosting, and the paper's
perceptron of 1024, 512 and 256 units (Sect. 5.4)."""

REGULARIZATION: Final = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of scikit-learn's `C` that are tried for logistic regression."""
NUM_TUNING_FOLDS: Final = 3
NUM_TREES: Final = 500
NUM_BOOSTING_ROUNDS: Final = 150
HIDDEN_UNITS: Final = (1024, 512, 256)
LEARNING_RATE: Final = 1e-3
MAX_EPOCHS: Final = 200
PATIENCE: Final = 15
MAX_STANDARDIZED: Final = 10.0
"""Standardized values are clipped here: some features have long tails."""
CONSTANT: Final = 1e-5
"""A column that varies by less, relative to its size, is float32 rounding."""


class _Model(Protocol):
    classes_: NDArray[np.int64]

    def predict_proba(self, values: NDArray[np.float64]) -> NDArray[np.float64]: ...


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class FittedClassifier:
    """A trained classifier of vectors."""

    model: _Model
    num_classes: int
    facts: dict[str, Any]
    """What was chosen by trial, e.g. ``{"C": 0.1}``."""

    def predict_proba(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return class probabilities.

        Parameters
        ----------
        values : numpy.ndarray, shape (n, dim)

        Returns
        -------
        probabilities : numpy.ndarray, shape (n, num_classes), float64
            0 for classes that were not trained on.
        """
        probabilities = np.zeros((len(values), self.num_classes))
        probabilities[:, self.model.classes_] = self.model.predict_proba(_clean(values))
        return probabilities


def fit_classifier(
    name: str,
    values: NDArray[np.floating],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    num_classes: int,
    seed: int = 0,
    num_jobs: int = 1,
) -> FittedClassifier:
    """Train a classifier; the same input and seed give the same.

    Parameters
    ----------
    name : {"lr", "rf", "hgb", "mlp"}
        See `CLASSIFIERS`.
    values : numpy.ndarray, shape (n, dim)
        NaN where a value is not defined: the column's median is taken, but by ``hgb``,
        which knows what to do.
    labels : numpy.ndarray, shape (n,), int64
        Class numbers from 0.
    groups : numpy.ndarray, shape (n,), int64
        Rows of one object have one number.
    num_classes : int
    seed : int
    num_jobs : int
        Threads of the random forest.

    Returns
    -------
    classifier : FittedClassifier

    Raises
    ------
    ConfigError
        If the name is unknown.
    ImportError
        If scikit-learn is not installed.
    """
    if name not in CLASSIFIERS:
        raise ConfigError(unknown_name("classifier", name, CLASSIFIERS))
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Classifiers need scikit-learn: pip install 'astromer[benchmark]'."
        ) from error
    values = _clean(values)
    model: Any
    facts: dict[str, Any] = {}
    if name == "lr":
        model, facts = _fit_logistic(values, labels, groups, seed)
    elif name == "rf":
        model = _forest(seed, num_jobs).fit(values, labels)
    elif name == "hgb":
        # It cannot bin a column of which nothing is known.
        unknown = np.isnan(values).all(axis=0)
        known = np.where(unknown, 0.0, values)
        model = _boosting(len(labels), seed).fit(known, labels)
    else:
        model, facts = _fit_perceptron(values, labels, groups, seed)
    return FittedClassifier(model, num_classes, facts)


def _clean(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return float64 without infinities; beyond float32, trees cannot count."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(values), np.clip(values, -1e30, 1e30), np.nan)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Standardizer:
    """Median for what is missing, mean 0, standard deviation 1, no long tails."""

    median: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[np.float64]) -> _Standardizer:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
            median = np.nan_to_num(np.nanmedian(values, axis=0))
        known = np.where(np.isnan(values), median, values)
        std = known.std(axis=0)
        constant = std <= CONSTANT * np.abs(known).max(axis=0)
        return cls(median, known.mean(axis=0), np.where(constant, np.inf, std))

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = np.where(np.isnan(values), self.median, values)
        scaled: NDArray[np.float64] = (known - self.mean) / self.scale
        return np.clip(scaled, -MAX_STANDARDIZED, MAX_STANDARDIZED)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Standardized:
    """A model of standardized values."""

    standardizer: _Standardizer
    model: Any

    @property
    def classes_(self) -> NDArray[np.int64]:
        classes: NDArray[np.int64] = self.model.classes_
        return classes

    def predict_proba(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        probabilities: NDArray[np.float64] = self.model.predict_proba(
            self.standardizer.apply(values)
        )
        return probabilities


def tuning_folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64], num_folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return training and validation rows of some folds, objects kept together.

    Parameters
    ----------
    labels, groups : numpy.ndarray, shape (n,), int64
        Class and object of each row.
    num_folds : int
        Fewer where a class has fewer objects.
    seed : int

    Returns
    -------
    folds : list of (numpy.ndarray, numpy.ndarray)
        Rows to train on, which hold every class, and the others; none where a class has
        a single object.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    objects = [len(np.unique(groups[labels == label])) for label in np.unique(labels)]
    number = min(num_folds, *objects)
    if number < 2:
        return []
    folds = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    classes = np.unique(labels)
    return [
        (train, validation)
        for train, validation in folds.split(labels[:, None], labels, groups)
        if len(np.unique(labels[train])) == len(classes)
    ]


def _fit_logistic(
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
) -> tuple[_Standardized, dict[str, Any]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    standardizer = _Standardizer.fit(values)
    scaled = standardizer.apply(values)
    folds = tuning_folds(labels, groups, NUM_TUNING_FOLDS, seed)
    losses: list[float] = []
    with warnings.catch_warnings():
        # A fit that is nearly there ranks the values of C as well as a perfect one.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for strength in REGULARIZATION if folds else ():
            model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
            losses.append(
                float(
                    np.mean(
                        [
                            _log_loss(
                                model.fit(scaled[train], labels[train]),
                                scaled[validation],
                                labels[validation],
                            )
                            for train, validation in folds
                        ]
                    )
                )
            )
            if len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
                break  # past the best
        chosen = REGULARIZATION[int(np.argmin(losses))] if losses else 1.0
        model = LogisticRegression(C=chosen, max_iter=1000).fit(scaled, labels)
    facts = {"C": chosen, "converged": bool((model.n_iter_ < 1000).all())}
    return _Standardized(standardizer, model), facts


def _log_loss(
    model: Any, values: NDArray[np.float64], labels: NDArray[np.int64]
) -> float:
    places = np.searchsorted(model.classes_, labels)
    probabilities = model.predict_proba(values)[np.arange(len(labels)), places]
    return float(-np.log(np.maximum(probabilities, 1e-12)).mean())


def _forest(seed: int, num_jobs: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        RandomForestClassifier(NUM_TREES, random_state=seed, n_jobs=num_jobs),
    )


def _boosting(num_rows: int, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=NUM_BOOSTING_ROUNDS,
        # The default of 20 leaves a tree of a hundred rows next to no leaf.
        min_samples_leaf=min(20, max(2, num_rows // 40)),
        early_stopping=False,
        random_state=seed,
    )


def _fit_perceptron(
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
) -> tuple[_Standardized, dict[str, Any]]:
    from sklearn.neural_network import MLPClassifier

    standardizer = _Standardizer.fit(values)
    scaled = standardizer.apply(values)
    folds = tuning_folds(labels, groups, 5, seed)
    rows = np.arange(len(labels))
    # Own epochs: scikit-learn's early stopping would split the rows of an object.
    train, validation = folds[0] if folds else (rows, rows)
    model = MLPClassifier(
        HIDDEN_UNITS,
        learning_rate_init=LEARNING_RATE,
        batch_size=min(64, len(train)),
        random_state=seed,
    )
    best, best_loss, best_epoch = None, np.inf, 0
    for epoch in range(MAX_EPOCHS):
        model.partial_fit(scaled[train], labels[train], classes=np.unique(labels))
        loss = _log_loss(model, scaled[validation], labels[validation])
        if loss < best_loss - 1e-4:
            best, best_loss, best_epoch = copy.deepcopy(model), loss, epoch
        elif epoch - best_epoch >= PATIENCE:
            break
    return _Standardized(standardizer, best), {"epochs": best_epoch + 1}
