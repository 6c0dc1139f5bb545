"""Re-read a folder of records and compare everything with its manifest."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import polars as pl

from astromer.errors import RecordError
from astromer.lightcurve import LightCurve
from astromer.progress import Progress
from astromer.records.manifest import REJECTED_NAME, Manifest, ShardInfo
from astromer.records.schema import decode_example, encode_light_curve, iterate_frames

__all__ = ["CheckResult", "verify_records"]


@dataclasses.dataclass(frozen=True, slots=True)
class CheckResult:
    """Outcome of one check."""

    passed: bool
    """Whether everything was as the manifest says."""
    test: str
    """Name of the check."""
    target: str
    """What was checked: a file or a split."""
    description: str
    """What was found."""


def verify_records(
    path: str | Path, progress: Progress | None = None
) -> list[CheckResult]:
    """Re-read all records of a folder and compare them with the manifest.

    Checks, per shard: size and SHA-256, the checksum of every record, the form of
    every light curve (sorted finite times, as the schema writes it), its label, and
    counts. Per split: counts by class and passband. For the folder: no foreign
    shard, no object in two splits, rows read equal rows written plus rows cut, and
    the list of rejected light curves.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder with a manifest.
    progress : Progress, optional
        Called with stage ``verify`` after each shard.

    Returns
    -------
    results : list of CheckResult
        All checks, failed ones included.

    Raises
    ------
    RecordError
        If there is no readable manifest.
    """
    manifest = Manifest.load(path)
    assert manifest.folder is not None
    folder = manifest.folder
    results = [_check_files(folder, manifest)]
    tallies = {name: _Tally() for name in manifest.splits}
    total, done = manifest.num_light_curves(), 0
    for shard in manifest.shards:
        results.append(_check_bytes(folder, shard))
        tally = tallies.setdefault(shard.split, _Tally())
        results.append(_check_contents(folder, shard, manifest.label_map, tally))
        done += shard.num_light_curves
        if progress is not None:
            progress("verify", done, total, "light curves")
    results += [_check_split(name, tallies[name], manifest) for name in manifest.splits]
    results.append(_check_sides(tallies))
    results += [_check_rows(manifest), _check_rejected(folder, manifest)]
    return results


@dataclasses.dataclass(slots=True)
class _Tally:
    """What one split was found to hold."""

    num_observations: int = 0
    objects: set[str] = dataclasses.field(default_factory=set)
    classes: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    passbands: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    lengths: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )

    def add(self, curve: LightCurve) -> None:
        self.num_observations += len(curve)
        self.objects.add(curve.object_id)
        self.classes[curve.class_name or ""] += 1
        self.passbands[curve.passband] += 1
        self.lengths[str(len(curve))] += 1


def _check_files(folder: Path, manifest: Manifest) -> CheckResult:
    listed = {shard.name for shard in manifest.shards}
    found = {file.name for file in folder.glob("*.tfrecord")}
    missing, foreign = sorted(listed - found), sorted(found - listed)
    return _result(
        "files",
        folder.name,
        {"missing": missing, "not in the manifest": foreign},
        f"{len(listed)} shards",
    )


def _check_bytes(folder: Path, shard: ShardInfo) -> CheckResult:
    problems: dict[str, Any] = {}
    try:
        with open(folder / shard.name, "rb") as stream:
            checksum = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError as error:
        return CheckResult(False, "bytes", shard.name, f"cannot be read: {error}")
    if size != shard.bytes:
        problems["bytes"] = f"{size}, manifest {shard.bytes}"
    if checksum != shard.sha256:
        problems["SHA-256"] = f"{checksum[:12]}..., manifest {shard.sha256[:12]}..."
    return _result("bytes", shard.name, problems, f"{size} bytes")


def _check_contents(
    folder: Path, shard: ShardInfo, label_map: dict[str, int], tally: _Tally
) -> CheckResult:
    num_curves = num_observations = 0
    try:
        for index, record in enumerate(iterate_frames(folder / shard.name)):
            curve = decode_example(record)
            problem = _find_problem(record, curve, label_map)
            if problem:
                where = f"record {index}, object_id={curve.object_id}"
                return CheckResult(False, "contents", shard.name, f"{where}: {problem}")
            tally.add(curve)
            num_curves += 1
            num_observations += len(curve)
    except (OSError, RecordError) as error:
        return CheckResult(False, "contents", shard.name, str(error))
    problems = _differences(
        {
            "light curves": (num_curves, shard.num_light_curves),
            "observations": (num_observations, shard.num_observations),
        }
    )
    found = f"{num_curves} light curves, {num_observations} observations"
    return _result("contents", shard.name, problems, found)


def _find_problem(
    record: bytes, curve: LightCurve, label_map: dict[str, int]
) -> str | None:
    # Decoding sorts, so only the same bytes show that it was sorted.
    if encode_light_curve(curve) != record:
        return "unsorted times or foreign fields"
    known = -1 if curve.class_name is None else label_map.get(curve.class_name)
    if curve.label != known:
        return (
            f"label={curve.label} for class_name={curve.class_name}, label map {known}"
        )
    return None


def _check_split(name: str, tally: _Tally, manifest: Manifest) -> CheckResult:
    info = manifest.splits[name]
    problems = _differences(
        {
            "objects": (len(tally.objects), info.num_objects),
            "light curves": (sum(tally.classes.values()), info.num_light_curves),
            "observations": (tally.num_observations, info.num_observations),
            "classes": (dict(tally.classes), info.classes),
            "passbands": (dict(tally.passbands), info.passbands),
        }
    )
    # The histogram itself would fill the screen.
    if dict(tally.lengths) != info.lengths:
        problems["lengths"] = "not those in the manifest"
    return _result("counts", name, problems, f"{len(tally.objects)} objects")


def _check_sides(tallies: dict[str, _Tally]) -> CheckResult:
    counts = collections.Counter(
        object_id for tally in tallies.values() for object_id in tally.objects
    )
    twice = sorted(name for name, count in counts.items() if count > 1)
    problems = {"objects in two splits": twice[:10]}
    return _result(
        "splits", "all", problems, f"{len(counts)} objects, each in one split"
    )


def _check_rows(manifest: Manifest) -> CheckResult:
    cut = sum(count.observations for count in manifest.cuts.values())
    problems = _differences(
        {"rows written and cut": (manifest.num_observations + cut, manifest.rows_read)}
    )
    found = (
        f"{manifest.rows_read} read = {manifest.num_observations} written + {cut} cut"
    )
    return _result("rows", "all", problems, found)


def _check_rejected(folder: Path, manifest: Manifest) -> CheckResult:
    expected = manifest.rejected.by_reason
    try:
        rejected = pl.read_csv(folder / REJECTED_NAME, infer_schema=False, glob=False)
        found = dict(rejected["reason"].value_counts().iter_rows())
    except (OSError, pl.exceptions.PolarsError) as error:
        return CheckResult(False, "rejected", REJECTED_NAME, f"cannot be read: {error}")
    problems = _differences({"reasons": (found, expected)})
    return _result(
        "rejected", REJECTED_NAME, problems, f"{rejected.height} light curves"
    )


def _differences(pairs: dict[str, tuple[Any, Any]]) -> dict[str, str]:
    return {
        name: f"{found}, manifest {expected}"
        for name, (found, expected) in pairs.items()
        if found != expected
    }


def _result(
    test: str, target: str, problems: dict[str, Any], found: str
) -> CheckResult:
    """Make a result that fails if one of the problems is not empty."""
    real = {name: value for name, value in problems.items() if value}
    description = "; ".join(f"{name}: {value}" for name, value in real.items())
    return CheckResult(not real, test, target, description or found)
