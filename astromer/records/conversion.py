"""Survey files to a folder of records: read, clean, split, write, in this order.

Memory is bounded by a partition per process and a row per light curve. An input of
one partition stays in memory; a larger one goes through `.work/` in the output
folder, which also holds what an interrupted conversion needs to go on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import polars as pl

from astromer._version import __version__
from astromer.ahead import read_ahead
from astromer.errors import AstromerError, ConfigError, RecordError, unknown_name
from astromer.outputs import LOCK_NAME, claim_folder, full_disk_explained
from astromer.progress import Progress
from astromer.records.blocks import (
    Block,
    Spill,
    batch_tables,
    block_from_tables,
    group_buckets,
    load_buckets,
    merge_blocks,
)
from astromer.records.cleaning import CleanPartition, clean_block
from astromer.records.cuts import CutCount
from astromer.records.inputs import (
    name_below_common_folder,
    name_survey,
    summarize_inputs,
)
from astromer.records.jsonfile import write_json
from astromer.records.labels import Labels, read_labels
from astromer.records.manifest import (
    MANIFEST_NAME,
    REJECTED_NAME,
    InputSummary,
    LabelCounts,
    Manifest,
    ShardInfo,
)
from astromer.records.options import ConvertOptions
from astromer.records.planning import (
    Part,
    describe_splits,
    list_objects,
    plan_shards,
    sum_cuts,
    summarize_rejected,
)
from astromer.records.splits import assign_splits
from astromer.records.writer import (
    ShardTask,
    finished_shard,
    forget_partitions,
    note_shard,
    write_shard,
)
from astromer.surveys import (
    ObservationTable,
    find_files,
    read_observations,
)
from astromer.surveys.reading import find_listed_files

__all__ = ["convert", "convert_tables"]

WORK_NAME: Final = ".work"
MIN_CURVES_FOR_PROCESSES: Final = 100_000
"""Light curves below which starting processes takes longer than writing them."""

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")


def convert(
    survey: str | None,
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    options: ConvertOptions | str | Path | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    **overrides: Any,
) -> Manifest:
    """Convert survey files to sharded TFRecords with a manifest.

    The same options and inputs give the same bytes, however many processes work and
    however often the conversion was interrupted.

    Parameters
    ----------
    survey : str or None
        Native format, e.g. ``"macho"``; None takes it from `options`, or else
        recognizes it from the files.
    inputs : path or iterable of paths
        Files, folders or glob patterns.
    out : str or pathlib.Path
        Folder for the records; new or empty, unless `resume`.
    options : ConvertOptions or path of a TOML file, optional
        Where to start from; defaults otherwise.
    resume : bool
        Finish an interrupted conversion. Shards that are complete stay untouched.
    dry_run : bool
        Do everything but write; the manifest then holds counts, and neither sizes
        nor checksums of shards.
    progress : Progress, optional
        Called as the conversion goes on.
    **overrides
        Fields of `ConvertOptions`, which win over `options`. With ``jobs`` above 1,
        a script needs the usual ``if __name__ == "__main__":``.

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    ConfigError
        If an option is not valid, the folder is not empty, it belongs to a conversion
        with other options or inputs, or another process is converting into it.
    SurveyError
        If a file cannot be read, or more than `max_unreadable` of them.
    RecordError
        If no light curve is left after the cuts, or a worker process was killed.
    """
    if survey is not None:
        overrides = {**overrides, "survey": survey}
    if isinstance(options, str | Path):
        chosen = ConvertOptions.from_toml(options, **overrides)
    else:
        chosen = (options or ConvertOptions()).replace(**overrides)
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    files = find_files(paths, chosen.survey)
    name = name_survey(chosen.survey, files, skip_unreadable=chosen.max_unreadable > 0)
    names = name_below_common_folder(files)
    read_options = chosen.read_options()
    listed = find_listed_files(files, chosen.survey, read_options)
    return convert_tables(
        read_observations(files, chosen.survey, read_options),
        out,
        chosen,
        survey=name,
        inputs=summarize_inputs(files, names, chosen.labels, listed),
        source_name=lambda path: names.get(path, path.name),
        resume=resume,
        dry_run=dry_run,
        progress=progress,
    )


def convert_tables(
    tables: Iterable[ObservationTable],
    out: str | Path,
    options: ConvertOptions | None = None,
    *,
    survey: str = "survey",
    inputs: InputSummary | None = None,
    source_name: Callable[[Path], str] = lambda path: path.name,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Convert observation tables, wherever they come from; see `convert`.

    Parameters
    ----------
    tables : iterable of ObservationTable
        Consumed once, and not at all if an earlier run has read everything.
    out : str or pathlib.Path
        Folder for the records.
    options : ConvertOptions, optional
    survey : str
        Begins the names of shards.
    inputs : InputSummary, optional
        What the tables come from; a resumed conversion must have the same.
    source_name : callable
        Name under which a source file is reported.
    resume, dry_run, progress
        As for `convert`.

    Returns
    -------
    manifest : Manifest
    """
    folder = Path(out)
    conversion = _Conversion(
        folder=folder,
        work=folder / WORK_NAME,
        survey=survey,
        options=options or ConvertOptions(),
        inputs=inputs or InputSummary(),
        source_name=source_name,
        progress=progress or _silent,
    )
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="astromer-") as work:
            conversion.work = Path(work)
            return conversion.run(tables, dry_run=True)
    with _claim(folder):
        finished = conversion.open_folder(resume=resume)
        if finished is not None:
            return finished
        # What is there when room or memory is short stays: with more it can be resumed.
        with full_disk_explained(folder), _lost_worker_explained(conversion.options):
            try:
                manifest = conversion.run(tables, dry_run=False)
            except AstromerError:
                # A bad input or option must not leave a folder that asks for `resume`.
                if not any(folder.glob("*.tfrecord")):
                    shutil.rmtree(conversion.work, ignore_errors=True)
                raise
        shutil.rmtree(conversion.work)
        return manifest


@contextlib.contextmanager
def _claim(folder: Path) -> Iterator[None]:
    """Keep other processes from converting into a folder; leave none that is empty."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"`out` must be a folder. Received: out={folder}.")
    with contextlib.ExitStack() as stack:
        try:
            is_claimed = stack.enter_context(claim_folder(folder))
        except OSError as error:
            raise _not_writable(folder, error) from error
        if not is_claimed:
            raise ConfigError(
                "One process converts into a folder at a time. Received: "
                f"out={folder}, into which another is converting. Wait for its end, or "
                "choose another folder."
            )
        try:
            yield
        finally:
            stack.close()
            # One that holds anything stays.
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def _lost_worker_explained(options: ConvertOptions) -> Iterator[None]:
    """Turn the loss of a worker process into an error that says what to do."""
    try:
        yield
    except BrokenProcessPool as error:
        raise RecordError(
            "A worker process was killed, most often for want of memory. Received: "
            f"jobs={options.jobs}. Use fewer jobs, and go on with resume; a script needs "
            'the usual `if __name__ == "__main__":`.'
        ) from error


def _not_writable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        "The output folder must be one that can be written. "
        f"Received: out={folder} ({error.strerror}). "
        "Choose another, or look at its permissions."
    )


@dataclasses.dataclass(slots=True)
class _Conversion:
    folder: Path
    work: Path
    survey: str
    options: ConvertOptions
    inputs: InputSummary
    source_name: Callable[[Path], str]
    progress: Progress
    labels: Labels | None = None
    num_labels_unused: int = 0
    unreadable: list[dict[str, str]] = dataclasses.field(default_factory=list)

    def open_folder(self, *, resume: bool) -> Manifest | None:
        """Look at the output folder; return the manifest if all is done already."""
        plan = {
            "options": self.options.to_dict(),
            "inputs": dataclasses.asdict(self.inputs),
            "versions": _versions(),
        }
        plan_file = self.work / "plan.json"
        present = {path.name for path in self.folder.glob("*")} - {LOCK_NAME}
        if present and not resume:
            state = "something else"
            if MANIFEST_NAME in present:
                state = "finished records"
            elif plan_file.exists():
                state = "an interrupted conversion; pass resume to finish it"
            raise ConfigError(
                "The output folder must be new or empty. "
                f"Received: out={self.folder}, which holds {state}. "
                "Choose another folder, or remove this one first."
            )
        finished = MANIFEST_NAME in present
        if finished:
            manifest = Manifest.load(self.folder)
            self._check_same(
                manifest.options, dataclasses.asdict(manifest.inputs), plan
            )
            self.work.mkdir(exist_ok=True)
            for shard in manifest.shards:
                note_shard(shard, self.work)
            whole = REJECTED_NAME in present and all(
                finished_shard(shard.name, self.folder, self.work)
                for shard in manifest.shards
            )
            if whole:
                shutil.rmtree(self.work)
                return manifest
            self._check_versions(manifest.versions)
        elif plan_file.exists():
            earlier = json.loads(plan_file.read_text(encoding="utf-8"))
            self._check_same(earlier["options"], earlier["inputs"], plan)
            self._check_versions(earlier["versions"])
        elif present - {WORK_NAME}:
            raise ConfigError(
                "Only a conversion can be resumed. "
                f"Received: out={self.folder}, which holds something else. "
                "Choose another folder."
            )
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            write_json(plan_file, plan)
        except OSError as error:
            raise _not_writable(self.folder, error) from error
        return None

    def _check_versions(self, earlier: dict[str, str]) -> None:
        if earlier != _versions():
            raise ConfigError(
                "A conversion is resumed with the versions that began it. "
                f"Received: versions={_versions()}, begun with {earlier}. "
                "Install those, or start in a new folder."
            )

    def _check_same(
        self, options: dict[str, Any], inputs: dict[str, Any], plan: dict[str, Any]
    ) -> None:
        differing = [
            f"{name}={plan['options'].get(name)!r} (was {options.get(name)!r})"
            for name in sorted({*options, *plan["options"]})
            if options.get(name) != plan["options"].get(name)
        ]
        if inputs["fingerprint"] != plan["inputs"]["fingerprint"]:
            differing.append(
                f"inputs: {plan['inputs']['num_files']} files, "
                f"{plan['inputs']['bytes']} bytes (was {inputs['num_files']} files, "
                f"{inputs['bytes']} bytes, or changed since)"
            )
        if differing:
            raise ConfigError(
                "A conversion is resumed with the options and inputs that began it. "
                f"Received: {'; '.join(differing)} for out={self.folder}. "
                "Choose another folder, or use the earlier values."
            )

    def run(self, tables: Iterable[ObservationTable], *, dry_run: bool) -> Manifest:
        if self.options.labels is not None:
            self.labels = read_labels(self.options.labels)
        parts = list(self._parts(tables))
        cuts = sum_cuts(parts)
        self._check_something_left(parts, cuts)
        objects = list_objects(parts)
        split = self.options.split
        sides = assign_splits(objects, split, self.options.seed)
        splits, label_map = describe_splits(parts, objects, sides, list(split))
        if not dry_run:
            self._save_for_processes(parts, objects.height)
        tasks = plan_shards(
            parts,
            objects,
            sides,
            list(split),
            survey=self.survey,
            objects_per_shard=self.options.objects_per_shard,
        )
        if dry_run:
            shards = [
                ShardInfo(
                    name=task.name,
                    split=task.split,
                    num_light_curves=task.num_light_curves,
                    num_observations=task.num_observations,
                    bytes=0,
                    sha256="",
                )
                for task in tasks
            ]
        else:
            shards = self._write_shards(tasks, parts, label_map)
            self._write_rejected(parts)
        manifest = Manifest(
            survey=self.survey,
            versions=_versions(),
            options=self.options.to_dict(),
            inputs=dataclasses.replace(self.inputs, unreadable=self.unreadable),
            rows_read=sum(part.data.rows_read for part in parts),
            cuts=cuts,
            rejected=summarize_rejected(parts),
            labels=LabelCounts(
                objects_without_label=objects["class_name"].null_count(),
                labels_without_object=self.num_labels_unused,
                conflicting_objects=sum(part.data.num_conflicts for part in parts),
            ),
            label_map=label_map,
            splits=splits,
            shards=shards,
        )
        num_cut = sum(cut.observations for cut in cuts.values())
        if manifest.num_observations != manifest.rows_read - num_cut:
            raise RecordError(
                "Rows written must be rows kept. Received: "
                f"num_observations={manifest.num_observations}, "
                f"rows_read={manifest.rows_read}, rows_cut={num_cut}. "
                "Please report this with the input."
            )
        _LOGGER.info(
            "%d of %d observations in %d light curves and %d shards",
            manifest.num_observations,
            manifest.rows_read,
            manifest.num_light_curves(),
            len(shards),
        )
        return manifest if dry_run else manifest.save(self.folder)

    def _parts(self, tables: Iterable[ObservationTable]) -> Iterator[Part]:
        """Read and clean; in memory if one partition is enough."""
        state_file = self.work / "read.json"
        if not state_file.exists():
            block = self._read(tables, state_file)
            if block is not None:
                self.progress("clean", 0, len(block), "rows")
                yield Part(clean_block(block, self.options))
                self.progress("clean", len(block), len(block), "rows")
                return
        state = json.loads(state_file.read_text(encoding="utf-8"))
        self.num_labels_unused = state["num_labels_unused"]
        self.unreadable = state["unreadable"]
        partitions = group_buckets(state["rows"], self.options.rows_per_partition)
        total, done = sum(state["rows"]), 0
        folders = [
            self.work / f"partition-{number:05d}" for number in range(len(partitions))
        ]
        tasks = [
            (self.work / "rows", buckets, self.options, folder)
            for folder, buckets in zip(folders, partitions, strict=True)
            if not CleanPartition.is_saved(folder)
        ]
        self.progress("clean", 0, total, "rows")
        for num_rows in _run_all(_clean_buckets, tasks, self.options.jobs):
            done += num_rows
            self.progress("clean", done, total, "rows")
        for folder in folders:
            yield Part(CleanPartition.load(folder, rows=False), folder)
        self.progress("clean", total, total, "rows")

    def _read(
        self, tables: Iterable[ObservationTable], state_file: Path
    ) -> Block | None:
        """Return everything as one block, or None after writing it to the disk."""
        held: list[Block] = []
        rows_held = rows_read = 0
        spill: Spill | None = None
        readable = self._note_unreadable(tables)
        batches = batch_tables(readable, self.options.rows_per_partition)
        for batch in read_ahead(batches):
            block = block_from_tables(
                batch, [self.source_name(table.source) for table in batch]
            )
            if self.labels is not None:
                block = dataclasses.replace(
                    block, curves=self.labels.attach(block.curves)
                )
            if held and rows_held + len(block) > self.options.rows_per_partition:
                spill = spill or _new_spill(self.work / "rows")
                spill.add(merge_blocks(held))
                held, rows_held = [], 0
            held.append(block)
            rows_held += len(block)
            rows_read += len(block)
            self.progress("read", rows_read, None, "rows")
        self.progress("read", rows_read, rows_read, "rows")
        if rows_read == 0:
            raise RecordError(
                "The input must hold observations. Received: 0 rows from "
                f"{self.inputs.num_files} files. Check the paths and the survey."
            )
        if self.labels is not None:
            self.num_labels_unused = self.labels.num_without_object
            self.labels.warn_if_none_met()
        if spill is None and rows_held <= self.options.rows_per_partition:
            return merge_blocks(held)
        spill = spill or _new_spill(self.work / "rows")
        spill.add(merge_blocks(held))
        write_json(
            state_file,
            {
                "rows": spill.rows,
                "num_labels_unused": self.num_labels_unused,
                "unreadable": self.unreadable,
            },
        )
        return None

    def _note_unreadable(
        self, tables: Iterable[ObservationTable]
    ) -> Iterator[ObservationTable]:
        files = _NamedFiles()
        for table in tables:
            if table.error is None:
                files.add(table)
                yield table
            else:
                name = self.source_name(table.source)
                self.unreadable.append({"name": name, "reason": table.error})

    def _check_something_left(
        self, parts: Sequence[Part], cuts: dict[str, CutCount]
    ) -> None:
        read = sorted({name for part in parts for name in part.data.passbands_read})
        for passband in self.options.passbands or ():
            if read == [""]:
                raise ConfigError(
                    "Observations are chosen by passband only where the input names "
                    f'passbands. Received: passband="{passband}" for an input that '
                    "names none. Leave it out, or say what they are: "
                    f'file_passband="{passband}" (`--file-passband {passband}`).'
                )
            if passband not in read:
                raise ConfigError(unknown_name("passband", passband, read))
        if all(part.data.curves.height == 0 for part in parts):
            lost = ", ".join(f"{n}: {cut.observations}" for n, cut in cuts.items())
            rows_read = sum(part.data.rows_read for part in parts)
            hint = "Loosen the cuts, or check the columns and units of the input."
            clipped = cuts.get("outside_percentiles", CutCount())
            if clipped.observations == rows_read:
                hint = (
                    "Clipping leaves nothing of stars whose magnitudes are all the "
                    "same: switch it off with --clip-percentiles 0 100."
                )
            raise RecordError(
                "No light curve is left after the cuts. Received: "
                f"{rows_read} observations, cut by {lost}. {hint}"
            )

    def _save_for_processes(self, parts: Sequence[Part], num_objects: int) -> None:
        """Put what other processes will read where they can read it."""
        pays = parts[0].data.curves.height >= MIN_CURVES_FOR_PROCESSES
        several = num_objects > self.options.objects_per_shard
        if self.options.jobs > 1 and pays and several and parts[0].folder is None:
            # A single partition: several ones are on the disk already.
            parts[0].folder = self.work / "partition-00000"
            parts[0].data.save(parts[0].folder)

    def _write_shards(
        self,
        tasks: Sequence[ShardTask],
        parts: Sequence[Part],
        label_map: dict[str, int],
    ) -> list[ShardInfo]:
        shards: dict[str, ShardInfo] = {}
        missing = []
        for task in tasks:
            info = finished_shard(task.name, self.folder, self.work)
            if info is None:
                missing.append(task)
            else:
                shards[task.name] = info
        total = sum(task.num_light_curves for task in tasks)
        done = sum(shard.num_light_curves for shard in shards.values())
        self.progress("write", done, total, "light curves")
        jobs = self.options.jobs if all(part.folder for part in parts) else 1
        arguments = [(task, self.folder, self.work, label_map) for task in missing]
        try:
            for info in _run_all(write_shard, arguments, jobs):
                shards[info.name] = info
                done += info.num_light_curves
                self.progress("write", done, total, "light curves")
        finally:
            forget_partitions()
        return [shards[task.name] for task in tasks]

    def _write_rejected(self, parts: Sequence[Part]) -> None:
        temporary = self.work / f"{REJECTED_NAME}.tmp"
        with open(temporary, "wb") as stream:
            for number, part in enumerate(parts):
                part.data.rejected.write_csv(stream, include_header=number == 0)
        temporary.replace(self.folder / REJECTED_NAME)


class _NamedFiles:
    """The files that alone name their objects, which no two may do the same."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Path] = {}

    def add(self, table: ObservationTable) -> None:
        """Note a table's light curves; raise if another file has one of them."""
        if not table.named_by_file or table.frame.is_empty():
            return
        object_id = table.frame["object_id"][0]
        for passband in table.frame["passband"].unique().to_list():
            first = self._found.setdefault((object_id, passband), table.source)
            if first != table.source:
                raise RecordError(
                    "Files that name their objects by their own names must have "
                    "different ones, or different stars would become one light curve. "
                    f"Received: {first} and {table.source}, both object_id={object_id}, "
                    f"passband={passband!r}. Rename one, add a column object_id, or "
                    "list the files in a table with the columns object_id and path."
                )


def _silent(stage: str, done: int, total: int | None, unit: str) -> None:
    """Ignore progress."""


def _new_spill(folder: Path) -> Spill:
    # What an interrupted reading left is not known to be complete.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return Spill(folder)


def _clean_buckets(
    spilled: Path, buckets: Sequence[int], options: ConvertOptions, folder: Path
) -> int:
    """Clean one partition and save it; return its rows. Runs in any process."""
    part = clean_block(load_buckets(spilled, buckets), options)
    part.save(folder)
    for bucket in buckets:
        shutil.rmtree(spilled / f"{bucket:03d}")
    return part.rows_read


def _run_all(
    function: Callable[..., _T], tasks: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[_T]:
    """Yield results as they come, from this process or from several."""
    if jobs == 1 or len(tasks) <= 1:
        for task in tasks:
            yield function(*task)
        return
    # Not fork: the threads of polars do not survive it.
    context = multiprocessing.get_context("spawn")
    workers = min(jobs, len(tasks))
    with ProcessPoolExecutor(workers, context, _end_with_parent) as pool:
        futures = [pool.submit(function, *task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let this worker end when the process that started it does, however it does."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait(sentinel: int) -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=wait, args=(parent.sentinel,), daemon=True).start()


def _versions() -> dict[str, str]:
    return {
        "astromer": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "polars": pl.__version__,
    }
