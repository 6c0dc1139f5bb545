"""Medians over repeats, and processes with the memory that they took."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["Process", "median", "run_astromer", "run_process", "seconds_of"]

POLL_SECONDS = 0.02
"""Time between two looks at a process's memory."""
ROOT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """What a process and its children took."""

    seconds: float
    """Wall time from start to end."""
    peak_mib: int
    """Largest memory of their own at one time [MiB]: without pages of files, which
    the system takes back when it needs them."""
    peak_with_files_mib: int
    """The same with the pages of mapped files, as `top` counts."""
    output: str
    """Standard output."""


def seconds_of(work: Callable[[], object], repeats: int) -> list[float]:
    """Time a piece of work several times, after once to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def run_astromer(*arguments: str | Path) -> Process:
    """Run the command line of this checkout in a new process."""
    return run_process([sys.executable, "-m", "astromer.cli", *map(str, arguments)])


def run_process(command: Sequence[str]) -> Process:
    """Run a command from the root of the checkout and watch its memory.

    Raises
    ------
    RuntimeError
        If it fails; with what it wrote to standard error.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    own = whole = 0
    start = time.perf_counter()
    with subprocess.Popen(
        list(command),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None:
            sizes = [_memory_of(pid) for pid in _family(process.pid)]
            own = max(own, sum(size[0] for size in sizes))
            whole = max(whole, sum(size[1] for size in sizes))
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - start
        output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(
            f"A benchmarked command must succeed. Received: {' '.join(command)}, which "
            f"ended with {process.returncode}: {errors[-2000:]}"
        )
    return Process(seconds, own // 1024, whole // 1024, output)


def _family(pid: int) -> list[int]:
    """Return a process and all that it started."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = (task / "children").read_text(encoding="ascii")
                found += map(int, children.split())
    return found


def _memory_of(pid: int) -> tuple[int, int]:
    """Return the memory of a process's own and with pages of files [KiB]."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0, 0
    sizes = dict(line.split(":", 1) for line in text.splitlines())
    own, whole = (int(sizes.get(k, "0 kB").split()[0]) for k in ("RssAnon", "VmRSS"))
    return own, whole
