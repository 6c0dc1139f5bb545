"""What this machine can do at best, measured beside what it is compared with."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.data import SCHEMA
from benchmarks.timing import median, seconds_of

__all__ = [
    "copy_in_memory",
    "copy_on_disk",
    "multiply_matrices",
    "read_with_polars",
    "take_turns",
]

MATRIX = 2048
COPY_BYTES = 1 << 29


def take_turns(
    ceiling: Callable[[], float],
    works: Mapping[str, Callable[[], object]],
    repeats: int,
) -> dict[str, tuple[list[float], list[float]]]:
    """Time pieces of work in turns, with the ceiling measured around each.

    A shared machine changes its speed within seconds: what is compared must lie close.

    Parameters
    ----------
    ceiling : callable
        Returns the ceiling as it is now.
    works : mapping
        Pieces of work by name. Each is done once before, to warm up.
    repeats : int
        Rounds in which each piece of work has its turn.

    Returns
    -------
    turns : dict
        By name: the seconds of each round, and the mean of the ceilings right before
        and after.
    """
    for work in works.values():
        work()
    turns: dict[str, tuple[list[float], list[float]]] = {
        name: ([], []) for name in works
    }
    before = ceiling()
    for _ in range(repeats):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
            after = ceiling()
            turns[name][0].append(seconds)
            turns[name][1].append((before + after) / 2)
            before = after
    return turns


def multiply_matrices(dtype: str, repeats: int = 1) -> float:
    """Return operations per second of a large square matrix product.

    In float32 by numpy's own library, which is faster than TensorFlow's products; in
    bfloat16, which numpy does not have, by TensorFlow.
    """
    product, matrix = _product(dtype)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        product(matrix)
        times.append(time.perf_counter() - start)
    return 2.0 * MATRIX**3 / median(times)


@functools.cache
def _product(dtype: str) -> tuple[Callable[[Any], object], Any]:
    """Return a matrix product, and its matrix; run once."""
    matrix: Any = np.random.default_rng(0).normal(size=(MATRIX, MATRIX))
    matrix = matrix.astype(np.float32)
    product: Callable[[Any], object]
    if dtype == "float32":
        product = functools.partial(np.matmul, matrix, out=np.empty_like(matrix))
    else:
        import tensorflow as tf

        matrix = tf.cast(matrix, dtype)
        compiled = tf.function(lambda x: tf.linalg.trace(tf.cast(x @ x, tf.float32)))
        product = functools.partial(_apply, compiled)
    product(matrix)
    return product, matrix


def _apply(compiled: Callable[[Any], Any], matrix: Any) -> object:
    return compiled(matrix).numpy()


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
