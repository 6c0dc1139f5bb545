"""Rows per second and peak memory from a long CSV to records.

    python benchmarks/convert.py [--rows 5000000] [--jobs 1] [--out FILE.json]

Writes a CSV of `object_id,passband,time,mag,mag_err` into a temporary folder, once
object by object and once with all rows shuffled, and measures polars' bare read of
it (the floor), the survey reader, and the whole conversion, each in a process of its
own. The machine may be busy: the ratio to the bare read says more than the rate.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from astromer.records import convert, verify_records
from astromer.surveys import read_observations

OBSERVATIONS_PER_CURVE = 220
REPEATS = 3
SCHEMA = {
    "object_id": pl.String,
    "passband": pl.String,
    "time": pl.Float64,
    "mag": pl.Float32,
    "mag_err": pl.Float32,
}


def make_table(num_rows: int) -> pl.DataFrame:
    """Make noise around constant magnitudes, two passbands, sorted by object."""
    rng = np.random.default_rng(0)
    num_curves = max(1, num_rows // OBSERVATIONS_PER_CURVE)
    curve = np.sort(rng.integers(0, num_curves, num_rows))
    frame = pl.DataFrame(
        {
            "object_id": pl.Series([f"star_{i:07d}" for i in range(num_curves)])[curve],
            "passband": pl.Series(["R", "B"])[curve % 2],
            "time": rng.uniform(48_000.0, 51_000.0, num_rows).round(6),
            "mag": rng.normal(15.0, 0.3, num_rows).astype(np.float32).round(3),
            "mag_err": rng.uniform(0.01, 0.2, num_rows).astype(np.float32).round(3),
        }
    )
    return frame.sort("object_id", "time")


def read_bare(path: Path, work: Path, jobs: int) -> None:
    """Parse the CSV and nothing else."""
    del work, jobs
    pl.read_csv(path, schema=SCHEMA)


def read_survey(path: Path, work: Path, jobs: int) -> None:
    """Read the observation tables and drop them."""
    del work, jobs
    for _ in read_observations(path, "table"):
        pass


def convert_all(path: Path, work: Path, jobs: int) -> None:
    """Convert with the defaults."""
    convert("table", path, work / f"records-{time.monotonic_ns()}", jobs=jobs)


def measure(
    function: Callable[[Path, Path, int], None], path: Path, work: Path, jobs: int
) -> dict[str, float]:
    """Run once and return seconds, CPU seconds and peak memory of this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    function(path, work, jobs)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "peak_rss_mib": peak_memory_mib(),
    }


def peak_memory_mib() -> int:
    """Return the peak memory of this process; `ru_maxrss` would count its parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines["VmHWM"].split()[0]) // 1024


def in_process(*task: Any) -> dict[str, float]:
    """Measure in a fresh process, best of a few."""
    context = multiprocessing.get_context("spawn")
    runs = []
    for _ in range(REPEATS):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            runs.append(pool.submit(measure, *task).result())
    return min(runs, key=lambda run: run["seconds"])


def main() -> None:
    """Run the benchmark and write its results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).with_name("convert.json")
    )
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        "rows": arguments.rows,
        "jobs": arguments.jobs,
        "machine": {
            "cpus": os.cpu_count(),
            "platform": platform.platform(),
            "load_average": os.getloadavg(),
        },
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "polars": pl.__version__,
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        table = make_table(arguments.rows)
        shuffled = table.sample(fraction=1.0, shuffle=True, seed=0)
        for order, frame in (("by_object", table), ("shuffled", shuffled)):
            path = work / f"{order}.csv"
            frame.write_csv(path)
            found = {
                name: in_process(function, path, work, arguments.jobs)
                for name, function in (
                    ("bare_read", read_bare),
                    ("survey_reader", read_survey),
                    ("convert", convert_all),
                )
            }
            seconds = found["convert"]["seconds"]
            results[order] = {
                "csv_mib": round(path.stat().st_size / 2**20),
                **found,
                "convert_rows_per_second": round(arguments.rows / seconds),
                "convert_to_bare_read": round(
                    seconds / found["bare_read"]["seconds"], 2
                ),
            }
        records = next(work.glob("records-*"))
        assert all(check.passed for check in verify_records(records))
    arguments.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
