"""Where a run computes: one device, several, or several hosts.

With `astromer.replicas` the one place that asks the backend.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import Any, Protocol

import keras

from astromer.errors import ConfigError
from astromer.replicas import num_replicas, sum_over_replicas
from astromer.training.options import StrategyName
from astromer.training.workers import Workers, connect_workers

__all__ = [
    "Placement",
    "count_gpus",
    "devices_in_scope",
    "join_workers",
    "make_strategy",
    "num_replicas",
    "one_device",
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
    name : {"auto", "one", "mirrored", "multiworker"}
        - one: one device; the backend's own choice if none is named.
        - mirrored: `tf.distribute.MirroredStrategy`, each device with its part of
          every batch; on JAX, `keras.distribution.DataParallel`.
        - auto: mirrored over all GPUs where there are several, else one.
        - multiworker: `tf.distribute.MultiWorkerMirroredStrategy` over all devices of
          the hosts in `TF_CONFIG`. Waits for them the first time; TensorFlow must not
          have computed anything before.
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
        If a device does not exist, or the backend has no such strategy.
    WorkerError
        If a worker does not come in time.
    """
    backend = keras.backend.backend()
    if name == "multiworker" and backend == "tensorflow" and devices is None:
        return _connected()
    if name == "multiworker" or (
        backend == "torch" and (name == "mirrored" or devices is not None)
    ):
        raise ConfigError(
            "Several hosts are for TensorFlow, with all of their devices; several "
            f'devices are for TensorFlow and JAX. Received: strategy="{name}", '
            f"devices={devices!r} with the backend {backend}. Leave them out."
        )
    if backend == "jax":
        return _jax_devices(name, devices)
    if backend != "tensorflow":
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
        raise _one_device_only(devices)
    return _OneDevice(chosen[0])


def one_device() -> Placement:
    """Return the placement of a run that leaves the choice to the backend."""
    return _OneDevice()


def join_workers(
    name: StrategyName, devices: Sequence[str] | int | None = None
) -> Workers:
    """Connect the hosts, where a run has several, before TensorFlow computes anything.

    Parameters
    ----------
    name, devices
        As for `make_strategy`.

    Returns
    -------
    workers : Workers
        This process alone, unless `name` is ``"multiworker"``.

    Raises
    ------
    ConfigError
        If `TF_CONFIG` is missing or wrong, or TensorFlow was used before.
    WorkerError
        If a worker does not come in time.
    """
    if name != "multiworker":
        return Workers()
    return Workers.of(make_strategy(name, devices))


@functools.cache
def _connected() -> Any:
    # A process joins once; a second run in it has the same hosts.
    if len(Workers.from_environment()) == 1:
        raise ConfigError(
            'strategy="multiworker" is for two workers or more. Received: TF_CONFIG '
            'with one. Use strategy="mirrored" for the devices of one host.'
        )
    return connect_workers()


def _jax_devices(name: StrategyName, devices: Sequence[str] | int | None) -> Placement:
    from astromer.training.jax_devices import share_batches

    if devices is None and (
        name == "one" or (name == "auto" and len(keras.distribution.list_devices()) < 2)
    ):
        return _OneDevice()
    shared = share_batches(devices)
    if name == "one" and shared.num_replicas_in_sync > 1:
        raise _one_device_only(devices)
    return shared


def _one_device_only(devices: object) -> ConfigError:
    return ConfigError(
        f'strategy="one" takes one device. Received: devices={devices!r}. '
        'Name one, or use strategy="mirrored".'
    )


def devices_in_scope() -> int:
    """Return how many devices share a batch in the current scope, on JAX; else 1."""
    distribution = keras.distribution.distribution()
    return int(getattr(distribution, "num_model_replicas", 1))


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
    if keras.backend.backend() == "torch":
        import torch

        # Keras's own choice: the first GPU where there is one.
        return int(torch.cuda.is_available())
    if keras.backend.backend() != "tensorflow":
        # One device, or as many as share the batches.
        known = keras.distribution.list_devices()
        used = getattr(strategy, "devices", known[: strategy.num_replicas_in_sync])
        return sum(not device.startswith("cpu") for device in used)
    import tensorflow as tf

    if isinstance(strategy, _OneDevice):
        named = strategy.device or "GPU"
        return int("GPU" in named and bool(tf.config.list_logical_devices("GPU")))
    devices: Any = getattr(strategy, "extended", None)
    return sum("GPU" in device for device in devices.worker_devices)


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
