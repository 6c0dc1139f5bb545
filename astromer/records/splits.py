"""Which object goes to which split: stratified, seeded, and blind to input order."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["assign_splits", "quotas"]


def quotas(num_objects: int, split: Mapping[str, float]) -> list[int]:
    """Share objects among splits by the method of the largest remainder.

    Parameters
    ----------
    num_objects : int
    split : mapping of str to float
        Fractions that sum to 1, or nearly so.

    Returns
    -------
    counts : list of int
        Objects per split; they sum to `num_objects`. Equal remainders go to the
        split named first.

    Examples
    --------
    >>> quotas(7, {"train": 0.8, "validation": 0.1, "test": 0.1})
    [5, 1, 1]
    """
    # Fractions written as 0.333333 fall short of 1 by objects, if there are millions.
    whole = math.fsum(split.values())
    exact = [num_objects * (fraction / whole) for fraction in split.values()]
    # Rounded, so that 0.1 * 30 = 3.0000000000000004 is 3 and leaves no remainder.
    counts = [int(round(share, 9)) for share in exact]
    remainders = [round(share - n, 9) for share, n in zip(exact, counts, strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda i: -remainders[i])
    for index in by_remainder[: num_objects - sum(counts)]:
        counts[index] += 1
    return counts


def assign_splits(
    objects: pl.DataFrame, split: Mapping[str, float], seed: int
) -> NDArray[np.int64]:
    """Assign each object to a split, class by class.

    Parameters
    ----------
    objects : polars.DataFrame
        Columns `object_id` (distinct) and `class_name`; null is a class of its own.
    split : mapping of str to float
        Fractions that sum to 1.
    seed : int
        Another seed gives another draw; the same gives the same, whatever the order
        of `objects`.

    Returns
    -------
    split_index : numpy.ndarray, shape (num_objects,), int64
        Position in `split` by object.
    """
    key = str(seed).encode()[:64]
    draws = np.frombuffer(
        b"".join(
            hashlib.blake2b(name.encode(), digest_size=8, key=key).digest()
            for name in objects["object_id"]
        ),
        "<u8",
    )
    order = (
        objects.select(
            "class_name", "object_id", draw=pl.Series(draws, dtype=pl.UInt64)
        )
        .with_row_index("row")
        .sort("class_name", "draw", "object_id")
    )
    split_index = np.empty(objects.height, np.int64)
    for group in order.partition_by("class_name", maintain_order=True):
        sizes = quotas(group.height, split)
        split_index[group["row"].to_numpy()] = np.repeat(np.arange(len(sizes)), sizes)
    return split_index
