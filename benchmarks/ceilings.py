"""What this machine can do at best, measured beside what it is compared with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from benchmarks.data import SCHEMA
from benchmarks.timing import median, seconds_of

__all__ = [
    "between",
    "copy_in_memory",
    "copy_on_disk",
    "multiply_matrices",
    "read_with_polars",
]

MATRIX = 4096
COPY_BYTES = 1 << 29
_T = TypeVar("_T")


def between(ceiling: Callable[[], float], work: Callable[[], _T]) -> tuple[float, _T]:
    """Measure a ceiling before and after a piece of work; return its mean."""
    before = ceiling()
    found = work()
    return (before + ceiling()) / 2, found


def multiply_matrices(dtype: str, repeats: int = 3) -> float:
    """Return operations per second of a large square matrix product."""
    import tensorflow as tf

    a = tf.cast(tf.random.stateless_normal((MATRIX, MATRIX), seed=(0, 1)), dtype)
    product = tf.function(lambda x: tf.linalg.trace(tf.cast(x @ x, tf.float32)))
    return 2.0 * MATRIX**3 / median(seconds_of(lambda: product(a).numpy(), repeats))


def copy_in_memory(repeats: int = 5) -> float:
    """Return bytes per second of a copy of a large array, each byte counted once."""
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.empty_like(source)
    return COPY_BYTES / median(seconds_of(lambda: np.copyto(target, source), repeats))


def copy_on_disk(source: Path, folder: Path, repeats: int = 3) -> float:
    """Return seconds to copy a folder of records; like them, it is not synchronized."""
    copy = folder / "copy"
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        shutil.copytree(source, copy)
        times.append(time.perf_counter() - start)
        shutil.rmtree(copy)
    return median(times)


def read_with_polars(path: Path, repeats: int = 3) -> float:
    """Return seconds of polars' bare read of a CSV whose columns it is told."""
    return median(seconds_of(lambda: pl.read_csv(path, schema=SCHEMA), repeats))
