"""Cuts on a whole partition of light curves at once; every cut is counted.

Everything works on flat arrays with one offset per light curve, in pieces of some light
curves that fit into a processor's cache, a piece per thread. Scattered rows are brought
to their piece first, and sorted by light curve and time there.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from astromer.errors import RecordError
from astromer.records.blocks import Block, read_ipc
from astromer.records.cuts import CUTS, CutCount
from astromer.records.jsonfile import write_json
from astromer.records.options import ConvertOptions
from astromer.surveys.observations import FLAGS

__all__ = [
    "CleanPartition",
    "clean_block",
    "fulfils_noise_criteria",
    "percentiles_by_curve",
]

MAX_ABS_KURTOSIS: Final = 10.0
MAX_ABS_SKEWNESS: Final = 1.0
MAX_STD_MAG: Final = 0.1
"""Thresholds of the paper's noise filter, on magnitudes after clipping."""

_REPORT_NAME: Final = "report.json"
_REPORTED: Final = ("cuts", "rows_read", "num_conflicts", "passbands_read")
_ROW_ARRAYS: Final = ("time", "mag", "mag_err")
_ROWS_PER_PIECE: Final = 1 << 16
_ROWS_PER_PART: Final = 1 << 17


@dataclasses.dataclass(slots=True)
class CleanPartition:
    """Light curves that are left after all cuts, ready to be written."""

    curves: pl.DataFrame
    """One row per light curve, an object's side by side: `object_id`, `passband`,
    `class_name`, `num_observations`, `duration` [d], `cadence` (median time step
    [d], null for one observation), `mag_min` and `mag_max` [mag]."""
    time: NDArray[np.float64]
    """Times [d] of all light curves, one after the other, ascending in each."""
    mag: NDArray[np.float32]
    """Magnitudes [mag]."""
    mag_err: NDArray[np.float32]
    """Uncertainties [mag]."""
    cuts: dict[str, CutCount]
    """Counts by name of cut."""
    rejected: pl.DataFrame
    """Light curves with nothing left: `object_id`, `passband`, `reason`, `source`,
    `line` (of the first observation), `n_observations` (left when rejected),
    `n_read`."""
    rows_read: int
    """Observations before the cuts."""
    num_conflicts: int
    """Objects for which the input names several classes; the first is taken."""
    passbands_read: list[str]
    """Passbands before the cuts."""

    def save(self, folder: Path) -> None:
        """Write to a folder; `load` maps it back without reading the rows."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ROW_ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        self.curves.write_ipc(folder / "curves.arrow")
        self.rejected.write_ipc(folder / "rejected.arrow")
        report = {name: getattr(self, name) for name in _REPORTED}
        report["cuts"] = {n: dataclasses.asdict(cut) for n, cut in self.cuts.items()}
        # Last: it says that the rest is complete.
        write_json(folder / _REPORT_NAME, report)

    @staticmethod
    def is_saved(folder: Path) -> bool:
        """Whether `save` came to its end in this folder."""
        return (folder / _REPORT_NAME).is_file()

    @classmethod
    def load(cls, folder: Path, *, rows: bool = True) -> CleanPartition:
        """Map what `save` wrote; without its `rows`, the three arrays are empty."""
        report = json.loads((folder / _REPORT_NAME).read_text(encoding="utf-8"))
        report["cuts"] = {n: CutCount(**cut) for n, cut in report["cuts"].items()}
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ROW_ARRAYS
        }
        if not rows:
            # Every map holds a file open, and there may be hundreds of partitions.
            arrays = {name: mapped[:0].copy() for name, mapped in arrays.items()}
        return cls(
            curves=read_ipc(folder / "curves.arrow"),
            rejected=read_ipc(folder / "rejected.arrow"),
            **arrays,
            **report,
        )


def clean_block(block: Block, options: ConvertOptions) -> CleanPartition:
    """Apply the cuts of `options` to all light curves of a block.

    Parameters
    ----------
    block : Block
    options : ConvertOptions

    Returns
    -------
    partition : CleanPartition
        Objects in order of first appearance, passbands of an object likewise.

    Raises
    ------
    RecordError
        If rows read are not rows left plus rows cut: a defect of this package.
    """
    rows = _Rows.of_block(block)
    bounds = _bounds_of_pieces(rows.lengths)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        if (rows.curve[1:] < rows.curve[:-1]).any():
            rows = rows.brought_together(bounds, threads)
        pieces = list(
            threads.map(lambda piece: _clean(piece, options), rows.split(bounds))
        )
    partition = _finish(rows, pieces)
    num_cut = sum(cut.observations for cut in partition.cuts.values())
    if partition.rows_read != len(partition.time) + num_cut:
        raise RecordError(
            "Rows read must be rows kept plus rows cut. Received: "
            f"rows_read={partition.rows_read}, rows_kept={len(partition.time)}, "
            f"rows_cut={num_cut}. Please report this with the input."
        )
    return partition


class _Rows:
    """Rows that are still in, and the counts of those that are not."""

    def __init__(
        self,
        curves: pl.DataFrame,
        curve: NDArray[np.uint32],
        time: NDArray[np.float64],
        mag: NDArray[np.float32],
        mag_err: NDArray[np.float32],
        flag: NDArray[np.uint8] | None,
    ) -> None:
        self.curves = curves
        self.curve = curve
        self.time, self.mag, self.mag_err = time, mag, mag_err
        self.flag = flag
        self.lengths = np.bincount(curve, minlength=curves.height)
        self.n_read = self.lengths
        self.cuts: dict[str, CutCount] = {}

    @classmethod
    def of_block(cls, block: Block) -> Self:
        """Take all rows of a block, in its order."""
        # Light curves come by first appearance; move those of an object together.
        object_rank = (
            block.curves.select("object_id")
            .with_row_index("row")
            .select(pl.col("row").min().over("object_id"))
            .to_series()
            .to_numpy()
        )
        order = np.argsort(object_rank, kind="stable")
        curves, curve = block.curves, block.curve
        if (np.diff(order) != 1).any():
            new_curve = np.empty(len(order), np.uint32)
            new_curve[order] = np.arange(len(order), dtype=np.uint32)
            curves, curve = curves[order], new_curve[curve]
        return cls(curves, curve, block.time, block.mag, block.mag_err, block.flag)

    def brought_together(self, bounds: NDArray[np.intp], threads: Executor) -> Self:
        """Copy all rows so that those of a piece lie together, in source order."""
        num_pieces = len(bounds) - 1
        numbers = np.arange(num_pieces, dtype=np.min_scalar_type(num_pieces))
        piece = np.repeat(numbers, np.diff(bounds))[self.curve]
        # From a part that fits into the cache to as many places as there are pieces:
        # all at once, every single number would come from the memory.
        parts = [
            slice(first, first + _ROWS_PER_PART)
            for first in range(0, len(piece), _ROWS_PER_PART)
        ]
        counts = np.array([np.bincount(piece[p], minlength=num_pieces) for p in parts])
        sizes = counts.sum(axis=0)
        starts = np.cumsum(sizes) - sizes + np.cumsum(counts, axis=0) - counts
        arrays = {name: getattr(self, name) for name in ("curve", *_ROW_ARRAYS)}
        if self.flag is not None:
            arrays["flag"] = self.flag
        copies = {name: np.empty_like(array) for name, array in arrays.items()}

        def bring(
            part: slice, start: NDArray[np.intp], count: NDArray[np.intp]
        ) -> None:
            # Numbers of one or two bytes have a stable order in a pass for each.
            order = np.argsort(piece[part], kind="stable")
            place = np.empty_like(order)
            place[order] = np.repeat(start - np.cumsum(count) + count, count)
            place[order] += np.arange(len(order))
            for name, array in arrays.items():
                copies[name][place] = array[part]

        for _ in threads.map(bring, parts, starts, counts):
            pass
        return type(self)(self.curves, **{"flag": None, **copies})

    def split(self, bounds: NDArray[np.intp]) -> Iterator[Self]:
        """Yield the rows of some light curves after the other; they must lie so."""
        ends = np.cumsum(self.lengths)
        for first, last in itertools.pairwise(bounds.tolist()):
            part = slice(int(ends[first - 1]) if first else 0, int(ends[last - 1]))
            piece = type(self)(
                self.curves[first:last],
                self.curve[part] - np.uint32(first),
                self.time[part],
                self.mag[part],
                self.mag_err[part],
                None if self.flag is None else self.flag[part],
            )
            piece.n_read = self.n_read[first:last]
            yield piece

    def cut(self, name: str, out: NDArray[np.bool_]) -> None:
        """Remove the rows where `out` is True, and count them."""
        self._count(name, out)
        self.keep(~out)

    def cut_by_reason(self, options: ConvertOptions) -> None:
        """Remove the rows that go by themselves alone."""
        reason = _row_reasons(self, options)
        if reason is None:
            return
        # 0 to stay, else 1 + position in `CUTS`.
        for number, name in enumerate(CUTS, start=1):
            self._count(name, reason == number)
        self.keep(reason == 0)
        self.flag = None

    def _count(self, name: str, out: NDArray[np.bool_]) -> None:
        num_out = int(np.count_nonzero(out))
        if num_out:
            lost = np.bincount(self.curve[out], minlength=len(self.lengths))
            self.cuts[name] = CutCount(num_out, int(np.count_nonzero(lost)))
            self.lengths = self.lengths - lost

    def keep(self, stay: NDArray[np.bool_]) -> None:
        if not stay.all():
            self.curve = self.curve[stay]
            self.time = self.time[stay]
            self.mag = self.mag[stay]
            self.mag_err = self.mag_err[stay]

    def sort(self) -> None:
        """Sort by light curve, then time; equal times stay in source order."""
        order = _sorting_order(self.curve, self.time)
        if order is not None:
            self.curve = np.repeat(
                np.arange(len(self.lengths), dtype=np.uint32), self.lengths
            )
            self.time = self.time[order]
            self.mag = self.mag[order]
            self.mag_err = self.mag_err[order]


@dataclasses.dataclass(slots=True)
class _Piece:
    """Light curves after all cuts, and why those without a row were rejected."""

    rows: _Rows
    reasons: NDArray[np.object_]
    """(num_curves,): why a light curve was rejected, else empty."""
    n_left: NDArray[np.int64]
    """(num_curves,): observations left when it was."""
    cadence: NDArray[np.float64]
    """(num_left,): median time step [d] of those with rows, NaN for one row."""


def _clean(rows: _Rows, options: ConvertOptions) -> _Piece:
    """Apply all cuts to light curves that lie one after the other."""
    rows.cut_by_reason(options)
    rows.sort()
    same_curve = rows.curve[1:] == rows.curve[:-1]
    repeated = np.zeros(len(rows.curve), bool)
    repeated[1:] = same_curve & (rows.time[1:] == rows.time[:-1])
    rows.cut("duplicate_time", repeated)
    if options.clip_percentiles is not None:
        rows.cut("outside_percentiles", _outside(rows, options.clip_percentiles))
    selected = _selected(rows.curves, options)
    reasons = np.full(len(rows.lengths), "", object)
    too_few = rows.lengths < options.min_observations
    reasons[selected & too_few] = "too_few_observations"
    n_left = rows.lengths
    rows.cut("too_few_observations", np.repeat(too_few, rows.lengths))
    if options.noise_filter != "off":
        fulfils = np.zeros(len(too_few), bool)
        fulfils[~too_few] = fulfils_noise_criteria(rows.mag, rows.lengths[~too_few])
        bad = fulfils == (options.noise_filter == "drop")
        bad &= ~too_few
        reasons[bad] = "noise_filter"
        rows.cut("noise_filter", np.repeat(bad, rows.lengths))
    cadence = _median_steps(rows.time, rows.lengths[rows.lengths > 0])
    return _Piece(rows, reasons, n_left, cadence)


def _bounds_of_pieces(lengths: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return light curves with which pieces begin, and their number at the end."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(0, total, _ROWS_PER_PIECE))
    return np.unique([0, *cuts, len(ends)])


def percentiles_by_curve(
    mag: NDArray[np.float32],
    lengths: NDArray[np.int64],
    percentiles: tuple[float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute two percentiles of each light curve's magnitudes.

    Parameters
    ----------
    mag : numpy.ndarray, shape (n,), float32
        Magnitudes [mag] of all light curves, one after the other.
    lengths : numpy.ndarray, shape (num_curves,), int64
        Observations per light curve; 0 is allowed.
    percentiles : tuple of float
        Two percentages in [0, 100].

    Returns
    -------
    low, high : numpy.ndarray, shape (num_curves,), float64
        As `numpy.percentile` (linear) of the float64 magnitudes; NaN for a light
        curve without observations.
    """
    starts = np.cumsum(lengths) - lengths
    low, high = (np.full(len(lengths), np.nan) for _ in percentiles)
    for curves in _alike(lengths):
        length = lengths[curves]
        ordered = _rows_of_matrix(mag, starts[curves], length)
        ordered.sort(axis=1)
        row = np.arange(len(curves))
        for percentile, out in zip(percentiles, (low, high), strict=True):
            position = (length - 1) * (percentile / 100)
            below = np.floor(position).astype(np.int64)
            above = np.minimum(below + 1, length - 1)
            a = ordered[row, below].astype(np.float64)
            b = ordered[row, above].astype(np.float64)
            share = position - below
            # The two forms of numpy.percentile, so that a cut never differs by rounding.
            out[curves] = np.where(
                share >= 0.5, b - (b - a) * (1 - share), a + (b - a) * share
            )
    return low, high


def fulfils_noise_criteria(
    mag: NDArray[np.float32], lengths: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which light curves fulfil one of the paper's noise criteria.

    They are abs(excess kurtosis) > 10, abs(skewness) > 1 and std > 0.1 mag, with
    population moments; a constant light curve fulfils none. Source: Donoso-Oliva
    et al. (2026), MACHO pre-processing. Whether fulfilling means to stay or to go
    is where text and release differ; see `ConvertOptions.noise_filter`.

    Parameters
    ----------
    mag : numpy.ndarray, shape (n,), float32
        Magnitudes [mag] of all light curves, one after the other.
    lengths : numpy.ndarray, shape (num_curves,), int64
        Observations per light curve, at least 1 each.

    Returns
    -------
    fulfils : numpy.ndarray, shape (num_curves,), bool
    """
    if len(lengths) == 0:
        return np.zeros(0, bool)
    starts = np.cumsum(lengths) - lengths
    values = mag.astype(np.float64)
    values -= np.repeat(np.add.reduceat(values, starts) / lengths, lengths)
    second, third, fourth = (
        np.add.reduceat(values**power, starts) / lengths for power in (2, 3, 4)
    )
    # Rounding leaves a constant light curve with a tiny variance.
    varies = second > (1e-6) ** 2
    scale = np.where(varies, second, 1.0)
    kurtosis = np.where(varies, fourth / scale**2 - 3, 0.0)
    skewness = np.where(varies, third / scale**1.5, 0.0)
    fulfils: NDArray[np.bool_] = (
        (np.abs(kurtosis) > MAX_ABS_KURTOSIS)
        | (np.abs(skewness) > MAX_ABS_SKEWNESS)
        | (np.sqrt(second) > MAX_STD_MAG)
    )
    return fulfils


def _selected(curves: pl.DataFrame, options: ConvertOptions) -> NDArray[np.bool_]:
    if options.passbands is None:
        return np.ones(curves.height, bool)
    return curves["passband"].is_in(list(options.passbands)).to_numpy()


def _row_reasons(rows: _Rows, options: ConvertOptions) -> NDArray[np.uint8] | None:
    """Return why a row goes by itself alone; the first reason in `CUTS` counts."""
    numbers = {name: number for number, name in enumerate(CUTS, start=1)}
    checks: list[tuple[str, NDArray[np.bool_]]] = []
    selected = _selected(rows.curves, options)
    if not selected.all():
        checks.append(("passband_not_selected", ~selected[rows.curve]))
    # Readers flag these; tables made by hand may not.
    finite = np.isfinite(rows.time) & np.isfinite(rows.mag) & np.isfinite(rows.mag_err)
    with np.errstate(invalid="ignore"):
        checks.append(("mag_err_not_positive", finite & (rows.mag_err <= 0)))
        if options.max_error is not None:
            # float32 rounds 1.0 mag to 1.0, and 0.3 mag to more than 0.3.
            limit = np.float32(options.max_error)
            checks.append(("mag_err_above_max", finite & (rows.mag_err > limit)))
    checks.append(("not_finite", ~finite))
    if rows.flag is None and not any(out.any() for _, out in checks):
        return None
    reason = np.zeros(len(rows.curve), np.uint8)
    for name, out in reversed(checks):
        reason[out] = numbers[name]
    if rows.flag is not None:
        flagged = rows.flag > 0
        if not selected.all():
            flagged &= selected[rows.curve]
        offset = numbers[next(iter(FLAGS))] - 1
        reason[flagged] = rows.flag[flagged] + offset
    return reason


def _outside(rows: _Rows, percentiles: tuple[float, float]) -> NDArray[np.bool_]:
    low, high = percentiles_by_curve(rows.mag, rows.lengths, percentiles)
    # 0 and 100 clip nothing on their side, where `strictly` would cost the extremes.
    if percentiles[0] == 0:
        low[:] = -np.inf
    if percentiles[1] == 100:
        high[:] = np.inf
    inside: NDArray[np.bool_] = rows.mag > np.repeat(low, rows.lengths)
    inside &= rows.mag < np.repeat(high, rows.lengths)
    return ~inside


def _finish(rows: _Rows, pieces: Sequence[_Piece]) -> CleanPartition:
    """Put pieces together; `rows` are all of them before they were cut apart."""
    cleaned = [piece.rows for piece in pieces]
    none = np.zeros(0, np.int64)
    lengths = np.concatenate([none, *(part.lengths for part in cleaned)])
    n_left = np.concatenate([none, *(piece.n_left for piece in pieces)])
    reasons = np.concatenate([none.astype(object), *(p.reasons for p in pieces)])
    cadence = np.concatenate([none.astype(np.float64), *(p.cadence for p in pieces)])
    arrays = {name: _joined(cleaned, name) for name in _ROW_ARRAYS}
    time, mag = arrays["time"], arrays["mag"]
    stay = lengths > 0
    lengths = lengths[stay]
    starts = np.cumsum(lengths) - lengths
    ends = starts + lengths - 1
    low, high = (
        (np.minimum.reduceat(mag, starts), np.maximum.reduceat(mag, starts))
        if len(lengths)
        else (mag, mag)
    )
    out = np.flatnonzero(reasons != "")
    conflicts = rows.curves.group_by("object_id").agg(
        pl.col("conflict").any()
        | (pl.col("class_name").min() != pl.col("class_name").max()).fill_null(
            value=False
        )
    )
    # An object's class may have been known in one passband only.
    known = pl.col("class_name").drop_nulls().first().over("object_id")
    return CleanPartition(
        curves=rows.curves.select("object_id", "passband", known)
        .filter(pl.Series(stay, dtype=pl.Boolean))
        .with_columns(
            num_observations=pl.Series(lengths, dtype=pl.Int64),
            duration=pl.Series(time[ends] - time[starts], dtype=pl.Float64),
            cadence=pl.Series(cadence, dtype=pl.Float64).fill_nan(None),
            mag_min=pl.Series(low, dtype=pl.Float32),
            mag_max=pl.Series(high, dtype=pl.Float32),
        ),
        cuts=_sum_cuts([rows.cuts, *(part.cuts for part in cleaned)]),
        rejected=rows.curves[out].select(
            "object_id",
            "passband",
            pl.Series("reason", reasons[out].tolist(), dtype=pl.String),
            "source",
            "line",
            pl.Series("n_observations", n_left[out], dtype=pl.Int64),
            pl.Series("n_read", rows.n_read[out], dtype=pl.Int64),
        ),
        rows_read=int(rows.n_read.sum()),
        num_conflicts=int(conflicts["conflict"].sum()),
        passbands_read=sorted(rows.curves["passband"].unique().to_list()),
        **arrays,
    )


def _joined(pieces: Sequence[_Rows], name: str) -> NDArray[Any]:
    """Join one array of all pieces, and let go of theirs."""
    parts = [getattr(piece, name) for piece in pieces]
    for piece in pieces:
        setattr(piece, name, parts[0][:0].copy())
    if not parts:
        return np.zeros(0, np.float64 if name == "time" else np.float32)
    return np.concatenate(parts)


def _sum_cuts(counts: Sequence[dict[str, CutCount]]) -> dict[str, CutCount]:
    """Add up what was cut in disjoint sets of rows, and of light curves."""
    return {
        name: CutCount(
            sum(cuts[name].observations for cuts in counts if name in cuts),
            sum(cuts[name].light_curves for cuts in counts if name in cuts),
        )
        for name in CUTS
        if any(name in cuts for cuts in counts)
    }


def _median_steps(
    time: NDArray[np.float64], lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each light curve's median time step [d], NaN for one observation."""
    num_steps = lengths - 1
    inner = np.ones(len(time), bool)
    inner[np.cumsum(lengths)[:-1]] = False
    inner[:1] = False
    steps = np.empty(len(time), np.float32)
    steps[1:] = np.diff(time)
    middle, _ = percentiles_by_curve(steps[inner], num_steps, (50.0, 50.0))
    return middle


def _alike(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield light curves that are alike in length, within a square root of two."""
    filled = np.flatnonzero(lengths)
    steps = np.ceil(2 * np.log2(lengths[filled])).astype(np.int64)
    for step in np.unique(steps):
        yield filled[steps == step]


def _rows_of_matrix(
    values: NDArray[np.float32], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return a light curve per row, infinity behind its end.

    Many short rows are sorted ten times as fast as one long one.
    """
    column = np.arange(lengths.max())
    place = np.minimum(starts[:, None] + column, len(values) - 1)
    matrix = values[place]
    if lengths.min() < len(column):
        matrix[column >= lengths[:, None]] = np.inf
    return matrix


def _sorting_order(
    curve: NDArray[np.uint32], time: NDArray[np.float64]
) -> NDArray[np.int64] | None:
    """Return the stable order by light curve and time; None if it is there already."""
    if _is_sorted(curve, time):
        return None
    # numpy sorts plain integers several times faster than it finds a stable order
    # of two keys: pack light curve, coarse time and row into one integer, then put
    # right the few rows whose coarse times were equal.
    row_bits = max(1, (len(curve) - 1).bit_length())
    curve_bits = max(1, int(curve.max()).bit_length())
    time_bits = 64 - row_bits - curve_bits
    first, last = float(time.min()), float(time.max())
    if time_bits < 8 or first == last:
        return np.lexsort((time, curve))
    # 50 bits leave room for rounding in a float64.
    scale = ((1 << min(time_bits, 50)) - 2) / (last - first)
    keys = ((time - first) * scale).astype(np.uint64)
    keys <<= np.uint64(row_bits)
    keys |= curve.astype(np.uint64) << np.uint64(time_bits + row_bits)
    keys |= np.arange(len(curve), dtype=np.uint64)
    keys.sort()
    order = (keys & np.uint64((1 << row_bits) - 1)).astype(np.int64)
    keys >>= np.uint64(row_bits)
    tied = keys[1:] == keys[:-1]
    doubtful = np.zeros(len(curve), bool)
    doubtful[1:] = tied
    doubtful[:-1] |= tied
    if doubtful.any():
        rows = np.sort(order[doubtful])
        order[doubtful] = rows[np.lexsort((time[rows], curve[rows]))]
    return order


def _is_sorted(curve: NDArray[np.uint32], time: NDArray[np.float64]) -> bool:
    if (curve[1:] < curve[:-1]).any():
        return False
    back = time[1:] < time[:-1]
    return not (back & (curve[1:] == curve[:-1])).any()
