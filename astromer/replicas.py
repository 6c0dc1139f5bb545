"""The copies of a model that share a batch, seen from within one step."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["num_replicas", "sum_over_replicas"]


def num_replicas() -> int:
    """Return how many replicas compute the current step; 1 without a strategy."""
    context = _replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def sum_over_replicas(value: Any) -> Any:
    """Add a tensor up over the replicas of the current step, differentiably.

    Parameters
    ----------
    value : tensor
        This replica's share.

    Returns
    -------
    total : tensor
        The same on every replica; `value` itself without a strategy.
    """
    context = _replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce("sum", value)


def _replica_context() -> Any:
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    return tf.distribute.get_replica_context()
