"""Processes on several hosts that train one model: who they are, meeting, and loss.

`TF_CONFIG`, TensorFlow's own environment variable, names them. TensorFlow waits for
missing workers without a limit and deaf to Ctrl-C, so they meet here first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

from astromer.errors import ConfigError, WorkerError

__all__ = ["START_TIMEOUT_S", "Workers", "connect_workers", "watch_workers"]

logger = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 600.0
"""How long workers wait for each other [s]."""

_EXAMPLE: Final = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_ROLES: Final = ("chief", "worker")
_RETRY_S: Final = 0.2
_ANSWER_S: Final = 2.0
_CALL: Final = struct.Struct("!II")
_HERE, _OTHER = b"\x01", b"\x02"


@dataclasses.dataclass(frozen=True, slots=True)
class Workers:
    """The processes that train together, seen from one of them."""

    addresses: tuple[str, ...] = ("localhost",)
    """Host and port by number."""
    index: int = 0
    """Number of this process."""

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    @property
    def others(self) -> tuple[int, ...]:
        """Numbers of all but this one."""
        return tuple(k for k in range(len(self)) if k != self.index)

    def name(self, index: int) -> str:
        """Return how messages call a worker."""
        return f"worker {index} ({self.addresses[index]})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read `TF_CONFIG`.

        Parameters
        ----------
        environment : mapping, optional
            Environment variables; those of the process by default.

        Returns
        -------
        workers : Workers
            A ``chief``, where the cluster has one, is number 0.

        Raises
        ------
        ConfigError
            If the variable is missing or does not describe workers.
        """
        text = (os.environ if environment is None else environment).get("TF_CONFIG")
        try:
            addresses, index = _read_config(text or "")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                "Training on several hosts reads the environment variable TF_CONFIG, "
                "which lists all workers and says which one this is. "
                f"Received: TF_CONFIG={text!r}. Set it on each host, e.g. {_EXAMPLE}."
            ) from error
        return cls(addresses, index)

    @classmethod
    def of(cls, strategy: Any) -> Self:
        """Return the workers of a strategy: one, unless it spans several.

        Parameters
        ----------
        strategy : tf.distribute.Strategy, or any other

        Returns
        -------
        workers : Workers
        """
        resolver: Any = getattr(strategy, "cluster_resolver", None)
        cluster = resolver.cluster_spec().as_dict() if resolver is not None else {}
        if not cluster:
            return cls()
        task = {"type": resolver.task_type, "index": resolver.task_id}
        config = json.dumps({"cluster": cluster, "task": task})
        return cls.from_environment({"TF_CONFIG": config})


def connect_workers(timeout_s: float = START_TIMEOUT_S) -> Any:
    """Wait for all workers of `TF_CONFIG`, then join them.

    Must come before anything else that TensorFlow does in the process.

    Parameters
    ----------
    timeout_s : float
        How long to wait [s].

    Returns
    -------
    strategy : tf.distribute.MultiWorkerMirroredStrategy

    Raises
    ------
    ConfigError
        If `TF_CONFIG` is missing or wrong, or TensorFlow was used before.
    WorkerError
        If a worker does not come in time.
    """
    workers = Workers.from_environment()
    _meet(workers, timeout_s)
    import tensorflow as tf

    handler = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ConfigError(
            "Workers must be connected before TensorFlow computes anything. "
            f"Received: {error} Call `connect_workers` first."
        ) from error
    finally:
        # TensorFlow swallows it from here on: `kill` would do nothing.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
    return strategy


@contextlib.contextmanager
def watch_workers(workers: Workers) -> Iterator[None]:
    """Turn TensorFlow's errors about a lost worker into one that says so.

    TensorFlow notices within about ten seconds, by heartbeats, that a worker was killed
    or hangs, and ends what waits for it.

    Parameters
    ----------
    workers : Workers

    Raises
    ------
    WorkerError
        If another worker was lost; other errors pass.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        if len(workers) == 1 or not _is_about_workers(error):
            raise
        lost = _find_lost(workers, error.message)
        names = " and ".join(map(workers.name, lost)) or "another worker"
        raise WorkerError(
            "Training on several hosts needs all workers to the end. "
            f"Received: {names} does not answer. Its own output says why; "
            "start all workers again with resume, to go on from the last checkpoint."
        ) from error


def _is_about_workers(error: Any) -> bool:
    import tensorflow as tf

    kinds = (
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.FailedPreconditionError,
        tf.errors.UnavailableError,
    )
    return isinstance(error, kinds) and (
        "ollective" in error.message or "coordination service" in error.message
    )


def _find_lost(workers: Workers, message: str) -> list[int]:
    """Return who is lost: whose port is closed, or else whom TensorFlow names."""
    silent = [k for k in workers.others if not _answers(workers.addresses[k])]
    if silent:
        return silent
    # Stopped, or on a host that is gone: the port need not be closed.
    has_chief = "/job:chief/" in message
    named = {
        int(number) + (role == "worker" and has_chief)
        for role, number in re.findall(
            r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)", message
        )
    }
    return sorted(named & set(workers.others))


def _answers(address: str) -> bool:
    try:
        socket.create_connection(_split(address), timeout=_ANSWER_S).close()
    except OSError:
        return False
    return True


def _read_config(text: str) -> tuple[tuple[str, ...], int]:
    """Return addresses and own number; what is amiss raises ValueError or the like."""
    config = json.loads(text)
    cluster, task = config["cluster"], config["task"]
    addresses = [address for role in _ROLES for address in cluster.get(role, ())]
    index = int(task["index"])
    if task["type"] == "worker":
        index += len(cluster.get("chief", ()))
    for address in addresses:
        _split(address)
    if not {*cluster, task["type"]} <= set(_ROLES) or not 0 <= index < len(addresses):
        raise ValueError("a role or a number that is not there")
    return tuple(addresses), index


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _meet(workers: Workers, timeout_s: float) -> None:
    """Wait until every worker has called on every other, and been answered.

    Whoever has been called by all and answered by all may leave: nobody will look for
    it any more.
    """
    if len(workers) == 1:
        return
    waiting = ", ".join(map(workers.name, workers.others))
    logger.info("Waiting up to %g s for %s", timeout_s, waiting)
    deadline = time.monotonic() + timeout_s
    everyone = set(workers.others)
    answered: set[int] = set()
    with _listen(workers) as callers:
        while not callers == answered == everyone:
            if time.monotonic() > deadline:
                missing = sorted(everyone - (callers & answered))
                raise WorkerError(
                    f"All workers must come within {timeout_s:g} s. Received: no "
                    f"sign of {' and '.join(map(workers.name, missing))}. Start the "
                    "same command there with its own TF_CONFIG, and check that the "
                    "ports are open between the hosts."
                )
            answered |= {k for k in everyone - answered if _call(workers, k)}
            time.sleep(_RETRY_S)


@contextlib.contextmanager
def _listen(workers: Workers) -> Iterator[set[int]]:
    """Answer calls in the background; yield the numbers of who has called."""
    _, port = _split(workers.addresses[workers.index])
    both = socket.has_dualstack_ipv6()
    try:
        server = socket.create_server(
            ("", port),
            family=socket.AF_INET6 if both else socket.AF_INET,
            dualstack_ipv6=both,
        )
    except OSError as error:
        raise WorkerError(
            "A worker listens at its own port. Received: "
            f"{workers.name(workers.index)}, {error}. Choose a free port in TF_CONFIG."
        ) from error
    callers: set[int] = set()
    leaving = threading.Event()

    def answer() -> None:
        while not leaving.is_set():
            # Nobody called; or somebody else did, who does not speak this.
            with contextlib.suppress(OSError, struct.error):
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(_ANSWER_S)
                    call = connection.recv(_CALL.size, socket.MSG_WAITALL)
                    number, index = _CALL.unpack(call)
                    alike = number == len(workers) and index in workers.others
                    connection.sendall(_HERE if alike else _OTHER)
                    if alike:
                        callers.add(index)

    with server:
        server.settimeout(_RETRY_S)
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield callers
        finally:
            leaving.set()
            thread.join()


def _call(workers: Workers, index: int) -> bool:
    """Call on a worker; return whether it has answered."""
    reply = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(
            _split(workers.addresses[index]), timeout=_ANSWER_S
        ) as connection,
    ):
        connection.sendall(_CALL.pack(len(workers), workers.index))
        reply = connection.recv(1)
    if reply == _OTHER:
        raise ConfigError(
            "All workers need the same cluster in TF_CONFIG, and each its own number. "
            f"Received: {len(workers)} workers here, other facts at "
            f"{workers.name(index)}. Compare the two."
        )
    return reply == _HERE
