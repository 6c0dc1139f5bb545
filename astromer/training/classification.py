"""Loss and scores of classifiers, right under several replicas, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from astromer.errors import ConfigError
from astromer.training.strategy import num_replicas, sum_over_replicas

__all__ = [
    "ClassificationLoss",
    "MacroF1",
    "balanced_class_weights",
    "classification_metrics",
]


@keras.saving.register_keras_serializable("astromer")
class ClassificationLoss(keras.losses.Loss):
    """Cross-entropy of logits, a weighted mean over the windows of a batch.

    With K classes and smoothing s the target of a window is ``1 - s`` for its class
    plus ``s / K`` for every class. The mean is weighted by the class weights times the
    sample weights, and divided by the sum of both, so that weights shift attention
    between classes and leave the size of the loss alone. Under a distribution strategy
    numerator and denominator run over all replicas: loss and gradient are those of the
    whole batch. A label that is no class gives NaN, never a silent zero.

    Call arguments: ``y_true`` of shape ``(batch,)``, labels from 0; ``y_pred`` of shape
    ``(batch, num_classes)``, logits; ``sample_weight`` of shape ``(batch,)``. Returns a
    scalar.

    Parameters
    ----------
    label_smoothing : float, in [0, 1)
        Share of a target that is spread over all classes.
    class_weights : sequence of float, optional
        Weight of each class, by label; see `balanced_class_weights`.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    sums_over_replicas = True

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        name: str = "classification_loss",
        **kwargs: Any,
    ) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ConfigError(
                "`label_smoothing` must be at least 0 and below 1. "
                f"Received: label_smoothing={label_smoothing}."
            )
        weights = None if class_weights is None else [float(w) for w in class_weights]
        if weights is not None and not (
            weights and np.isfinite(weights).all() and min(weights) > 0.0
        ):
            raise ConfigError(
                "Class weights must be positive numbers. "
                f"Received: class_weights={weights}."
            )
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing
        self.class_weights = weights

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        logits = ops.cast(y_pred, "float32")
        number = logits.shape[-1]
        _check_labels(y_true)
        label = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        if self.class_weights is not None and len(self.class_weights) != number:
            raise ConfigError(
                "There must be a class weight for each class. Received: "
                f"class_weights={self.class_weights} for {number} classes."
            )
        one_hot = ops.one_hot(label, number, dtype="float32")
        target = (1.0 - self.label_smoothing) * one_hot + self.label_smoothing / number
        per_window = -ops.sum(target * ops.log_softmax(logits), axis=-1)
        is_class = ops.logical_and(label >= 0, label < number)
        per_window = ops.where(is_class, per_window, float("nan"))
        weight = ops.ones_like(per_window)
        if self.class_weights is not None:
            weight = ops.matmul(one_hot, ops.array(self.class_weights, "float32"))
        if sample_weight is not None:
            weight = weight * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        total = sum_over_replicas(ops.sum(weight * per_window))
        # A batch without weight has no loss; NaN is kept for wrong labels.
        weights = ops.maximum(
            sum_over_replicas(ops.sum(weight)), keras.config.epsilon()
        )
        # Keras adds the replicas' gradients up.
        return total / weights / num_replicas()

    def get_config(self) -> dict[str, Any]:
        return {
            "label_smoothing": self.label_smoothing,
            "class_weights": self.class_weights,
            "name": self.name,
        }


@keras.saving.register_keras_serializable("astromer")
class MacroF1(keras.metrics.Metric):
    """Mean F1 of the classes, from a confusion matrix over the whole epoch.

    F1 of a class is ``2 TP / (2 TP + FP + FN)``. The mean is over classes that occur,
    as truth or as prediction, like scikit-learn's ``f1_score(average="macro")``. It
    counts windows; see `astromer.inference.classify` for stars.

    Parameters
    ----------
    num_classes : int
        Number of logits.
    """

    _direction = "up"  # read by Keras's callbacks

    def __init__(self, num_classes: int, name: str = "macro_f1", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        self.confusion = self.add_variable(
            (num_classes, num_classes), "zeros", name="confusion"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        _check_labels(y_true)
        label = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        truth = ops.one_hot(label, self.num_classes, dtype="float32")
        if sample_weight is not None:
            weight = ops.cast(ops.reshape(sample_weight, (-1, 1)), "float32")
            truth = truth * weight
        chosen = ops.argmax(y_pred, axis=-1)
        predicted = ops.one_hot(chosen, self.num_classes, dtype="float32")
        self.confusion.assign_add(ops.matmul(ops.transpose(truth), predicted))

    def result(self) -> Any:
        confusion = ops.convert_to_tensor(self.confusion)
        number = ops.sum(confusion, axis=0) + ops.sum(confusion, axis=1)
        occurs = ops.cast(number > 0, "float32")
        f1 = 2.0 * ops.diagonal(confusion) / ops.where(number > 0, number, 1.0)
        return ops.sum(f1) / ops.maximum(ops.sum(occurs), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"num_classes": self.num_classes, "name": self.name}


def _check_labels(y_true: Any) -> None:
    shape = tuple(getattr(y_true, "shape", ()))
    if len(shape) > 1 and shape[1:] != (1,):
        raise ConfigError(
            "Labels are integers, one per window. Received: labels of shape="
            f"{shape}. Of one-hot labels take the argmax."
        )


def classification_metrics(num_classes: int) -> list[keras.metrics.Metric]:
    """Return the metrics that every classifier is judged by, on windows.

    Parameters
    ----------
    num_classes : int

    Returns
    -------
    metrics : list of keras.metrics.Metric
        Accuracy and macro F1.
    """
    return [
        keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        MacroF1(num_classes),
    ]


def check_takes_logits(loss: Any) -> None:
    """Refuse a loss of Keras that would take logits for probabilities.

    Parameters
    ----------
    loss : str, keras.losses.Loss or callable
        What is to be compiled with.

    Raises
    ------
    ConfigError
        If it is a cross-entropy, by name or as an object, without ``from_logits``.
    """
    found = keras.losses.get(loss) if isinstance(loss, str) else loss
    if isinstance(found, keras.losses.Loss):
        of_probabilities = found.get_config().get("from_logits") is False
    else:
        module = getattr(found, "__module__", "")
        name = getattr(found, "__name__", "")
        of_probabilities = module.startswith("keras.") and "crossentropy" in name
    if of_probabilities:
        raise ConfigError(
            "A classifier gives logits, and this loss takes probabilities. Received: "
            f"loss={loss!r}. Leave it out, or make it an object with from_logits=True."
        )


def balanced_class_weights(counts: Sequence[int]) -> list[float]:
    """Return weights that give every class the same say, whatever its number.

    Parameters
    ----------
    counts : sequence of int
        Training examples of each class, by label.

    Returns
    -------
    weights : list of float
        ``n / (num_classes counts)``, n in all: 1 where classes are equally frequent.

    Raises
    ------
    ConfigError
        If a class has no example.

    Examples
    --------
    >>> balanced_class_weights([30, 10])
    [0.6666666666666666, 2.0]
    """
    if not counts or min(counts) < 1:
        raise ConfigError(
            "Every class needs an example to be weighted by. "
            f"Received: counts={list(counts)}."
        )
    return [sum(counts) / (len(counts) * count) for count in counts]
