"""Where a run computes: one device or several; the one place that asks TensorFlow."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import Any, Protocol

import keras

from astromer.errors import ConfigError
from astromer.training.options import StrategyName

__all__ = [
    "Placement",
    "count_gpus",
    "make_strategy",
    "num_replicas",
    "sum_over_replicas",
]


class Placement(Protocol):
    """What a run needs of a strategy; each of `tf.distribute` is one."""

    @property
    def num_replicas_in_sync(self) -> int:
        """Copies of the model that share a batch."""

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the model is built, compiled and trained."""


class _OneDevice:
    """The device named, or the one that the backend takes by itself."""

    num_replicas_in_sync = 1

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        if self.device is None:
            return contextlib.nullcontext()
        import tensorflow as tf

        return tf.device(self.device)


def make_strategy(
    name: StrategyName = "auto", devices: Sequence[str] | int | None = None
) -> Placement:
    """Choose the devices of a run.

    Parameters
    ----------
    name : {"auto", "one", "mirrored"}
        - one: one device; the backend's own choice if none is named.
        - mirrored: `tf.distribute.MirroredStrategy`, each device with its part of
          every batch.
        - auto: mirrored over all GPUs where there are several, else one.
    devices : sequence of str or int, optional
        Devices such as ``"GPU:0"`` or ``"CPU:0"``, or how many of the GPUs; all of them
        by default.

    Returns
    -------
    strategy : Placement
        Build, compile and fit the model in its ``scope()``.

    Raises
    ------
    ConfigError
        If a device does not exist, or the backend is another one than TensorFlow and
        has no such strategy.
    """
    if keras.backend.backend() != "tensorflow":
        if name == "mirrored" or devices is not None:
            raise ConfigError(
                "MirroredStrategy and names of devices belong to TensorFlow. Received: "
                f'strategy="{name}", devices={devices!r} with the backend '
                f"{keras.backend.backend()}. Leave them out."
            )
        return _OneDevice()
    import tensorflow as tf

    gpus = _names(tf.config.list_logical_devices("GPU"))
    known = gpus + _names(tf.config.list_logical_devices("CPU"))
    if isinstance(devices, int):
        pool = gpus or known
        if devices > len(pool):
            raise ConfigError(
                f"There are not that many devices. Received: devices={devices}; there "
                f"are {', '.join(pool)}."
            )
        chosen = pool[:devices]
    else:
        chosen = gpus if devices is None else [_known(name, known) for name in devices]
    if name == "auto":
        name = "mirrored" if len(chosen) > 1 else "one"
    if name == "mirrored":
        return _mirrored(tuple(chosen or known))
    if devices is None:
        return _OneDevice()
    if len(chosen) > 1:
        raise ConfigError(
            f'strategy="one" takes one device. Received: devices={devices!r}. '
            'Name one, or use strategy="mirrored".'
        )
    return _OneDevice(chosen[0])


def count_gpus(strategy: Placement) -> int:
    """Return how many GPUs a strategy computes on.

    Parameters
    ----------
    strategy : Placement
        From `make_strategy`.

    Returns
    -------
    count : int
    """
    if keras.backend.backend() != "tensorflow":
        return sum(not d.startswith("cpu") for d in keras.distribution.list_devices())
    import tensorflow as tf

    if isinstance(strategy, _OneDevice):
        named = strategy.device or "GPU"
        return int("GPU" in named and bool(tf.config.list_logical_devices("GPU")))
    devices: Any = getattr(strategy, "extended", None)
    return sum("GPU" in device for device in devices.worker_devices)


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


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> Placement:
    # Once only: strategies number their collective operations from the same start, so
    # that a second one on the same devices would meet the first one's.
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(devices))


def _names(devices: Sequence[Any]) -> list[str]:
    return [":".join(device.name.split(":")[-2:]) for device in devices]


def _known(name: str, known: Sequence[str]) -> str:
    if name.upper() not in known:
        raise ConfigError(
            f'There is no such device. Received: device="{name}"; there are '
            f"{', '.join(known)}."
        )
    return name.upper()


def _replica_context() -> Any:
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    return tf.distribute.get_replica_context()
