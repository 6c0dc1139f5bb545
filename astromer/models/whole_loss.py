"""Losses of whole batches, where several replicas have a part each."""

from __future__ import annotations

from typing import Any, Final

import keras
from keras import ops

from astromer.errors import ConfigError
from astromer.replicas import num_replicas, sum_over_replicas

__all__ = ["check_loss", "whole_batch_loss"]

_REDUCTIONS: Final = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum")


def check_loss(loss: Any, replicas: int) -> None:
    """Raise ConfigError unless the loss of a batch follows from those of its parts.

    Parameters
    ----------
    loss : str, keras.losses.Loss, callable or None
        As given to `compile`.
    replicas : int
        On how many the model lives.

    Raises
    ------
    ConfigError
    """
    loss = _single(loss)
    if not isinstance(loss, keras.losses.Loss) or _sums_itself(loss):
        return
    if loss.reduction not in _REDUCTIONS:
        raise ConfigError(
            "On several devices a loss is a mean or a sum over a batch. Received: "
            f'reduction="{loss.reduction}" on {replicas} replicas. Use one of '
            f"{', '.join(_REDUCTIONS)}."
        )
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        raise ConfigError(
            "On several devices the parts of a loss that reduces a batch by itself "
            f"cannot be told. Received: loss={type(loss).__name__} on {replicas} "
            "replicas. Give it `call` in place of `__call__`, or, if it sums over "
            "replicas, an attribute `sums_over_replicas = True`."
        )


def whole_batch_loss(
    loss: Any, value: Any, y: Any, y_pred: Any, sample_weight: Any
) -> Any:
    """Make the loss of a whole batch from those that Keras gives of its parts.

    Keras divides the mean over a replica's windows by the number of replicas, which is
    right where all have as many. Here each counts by its windows.

    Parameters
    ----------
    loss : str, keras.losses.Loss, callable or None
        As given to `compile`, past `check_loss`.
    value : tensor, shape ()
        What Keras makes of it on this replica, with regularizers or without.
    y, y_pred, sample_weight : tensor
        What it was made of.

    Returns
    -------
    value : tensor, shape ()
        The same on every replica: the loss divided by the number of replicas, since
        Keras adds their gradients up.

    Raises
    ------
    ConfigError
        If the loss gives one number for all windows, which says not what it is of.
    """
    loss = _single(loss)
    replicas = num_replicas()
    if replicas == 1 or loss is None or _sums_itself(loss):
        return value
    each = getattr(loss, "call", loss)(ops.convert_to_tensor(y, "float32"), y_pred)
    if len(each.shape) == 0:
        raise ConfigError(
            "On several devices a loss gives a number for each window. Received: one "
            f"for all of them on {replicas} replicas. Leave the mean over the batch to "
            "Keras."
        )
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if reduction == "sum":
        return sum_over_replicas(value) / replicas
    share = ops.cast(ops.shape(y_pred)[0], value.dtype)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        share = ops.sum(ops.cast(sample_weight, value.dtype))
    return ops.divide_no_nan(sum_over_replicas(share * value), sum_over_replicas(share))


def _single(loss: Any) -> Any:
    """Return the loss of a model's one output, or None."""
    given = keras.tree.flatten(loss)
    return keras.losses.get(given[0]) if given and given[0] is not None else None


def _sums_itself(loss: Any) -> bool:
    return bool(getattr(loss, "sums_over_replicas", False))
