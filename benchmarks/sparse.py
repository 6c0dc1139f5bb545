"""How many observations a star needs: macro F1 on real stars of which few are left.

`python -m benchmarks.sparse SHARED --work DIR [--preset NAME ...]` takes the ASAS and
Catalina stars of the few-shot splits, leaves each a few of its observations, chosen at
random, and compares presets with hand-crafted features on them, as
`benchmarks/few_shot.py` does on all. It writes `sparse.json` and `sparse.md` beside
this script; DIR keeps records and cache.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from astromer import LightCurve
from astromer.evaluation import few_shot_benchmark
from astromer.progress import show_progress
from astromer.records import convert, read_records
from benchmarks.few_shot import SURVEYS, labeled_records

HERE = Path(__file__).parent
NUM_OBSERVATIONS = (20, 50, 100)
SIZES = (20, 100)
FEWEST = 5
"""Observations below which a star is left out."""
CLASSIFIERS = {"features": "rf"}
"""The better classifier of a method, where it is not logistic regression."""


def thin_out(
    curves: Iterable[LightCurve], number: int, seed: int = 0
) -> Iterator[LightCurve]:
    """Yield light curves with at most so many of their observations.

    Parameters
    ----------
    curves : iterable of LightCurve
    number : int
        Observations that stay, chosen at random.
    seed : int

    Yields
    ------
    curve : LightCurve
        The same, and in the same order.
    """
    rng = np.random.default_rng(seed)
    for curve in curves:
        keep = np.arange(len(curve))
        if len(curve) > number:
            keep = np.sort(rng.choice(len(curve), number, replace=False))
        yield LightCurve(
            curve.time[keep],
            curve.mag[keep],
            curve.mag_err[keep],
            passband=curve.passband,
            object_id=curve.object_id,
            class_name=curve.class_name,
        )


def sparse_records(survey: str, number: int, shared: Path, work: Path) -> Path:
    """Return a survey's labeled light curves, thinned out, as records."""
    records = work / f"records_{survey}_{number}"
    if not records.exists():
        whole = read_records(labeled_records(survey, shared, work))
        rows = [
            {
                "object_id": curve.object_id,
                "passband": curve.passband,
                "class_name": curve.class_name,
                "time": curve.time.tolist(),
                "mag": curve.mag.tolist(),
                "mag_err": curve.mag_err.tolist(),
            }
            for curve in thin_out(whole, number)
        ]
        table = work / f"{survey}_{number}.parquet"
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(table)
        convert("table", table, records, clip_percentiles=None, min_observations=FEWEST)
    return records


def measure(
    survey: str,
    shared: Path,
    work: Path,
    presets: list[str],
) -> list[dict[str, Any]]:
    """Return rows of macro F1 by method, observations and labels per class."""
    _, splits, classes = SURVEYS[survey]
    rows = []
    for number in NUM_OBSERVATIONS:
        with show_progress() as progress:
            found = few_shot_benchmark(
                sparse_records(survey, number, shared, work),
                work / f"results_{survey}_{number}",
                presets=presets,
                layers=["embedding"],
                heads=[],
                baselines=["features"],
                classifiers=["lr", "rf"],
                sizes=SIZES,
                splits=shared / "reference" / "anchors" / splits,
                classes=classes,
                dataset=survey,
                cache=work / "cache",
                num_jobs=2,
                resume=True,
                progress=progress,
            )
        for row in found["rows"]:
            method = row["method"].partition("/")[0]
            if row["classifier"] == CLASSIFIERS.get(method, "lr"):
                rows.append(
                    {
                        "observations": number,
                        "method": method,
                        "classifier": row["classifier"],
                        "samples_per_class": row["samples_per_class"],
                        "macro_f1_mean": round(row["macro_f1_mean"], 3),
                        "macro_f1_std": round(row["macro_f1_std"], 3),
                    }
                )
    return rows


def write(report: dict[str, Any]) -> None:
    """Write both files."""
    (HERE / "sparse.json").write_text(json.dumps(report, indent=1) + "\n")
    about = (
        f"`{report['command']}`: macro F1 on stars of which so many observations are "
        "left, chosen at random, and its scatter over folds; logistic regression on "
        "what `embed` gives, a random forest on hand-crafted features with a "
        "periodogram. Same splits as [few_shot.md](few_shot.md), which has the scores "
        "on all observations."
    )
    lines = ["# Few observations", "", about]
    for survey, rows in report["surveys"].items():
        methods = list(dict.fromkeys(row["method"] for row in rows))
        lines += ["", f"## {survey}", ""]
        titles = [f"{m}, {size} labels" for size in SIZES for m in methods]
        lines += [
            f"| Observations | {' | '.join(titles)} |",
            "|---:|" + "---:|" * len(titles),
        ]
        found = {
            (row["observations"], row["samples_per_class"], row["method"]): row
            for row in rows
        }
        for number in dict.fromkeys(row["observations"] for row in rows):
            cells = [
                found[number, size, method] for size in SIZES for method in methods
            ]
            texts = (
                f"{c['macro_f1_mean']:.3f} ± {c['macro_f1_std']:.3f}" for c in cells
            )
            lines.append(f"| {number} | {' | '.join(texts)} |")
    (HERE / "sparse.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    """Measure both surveys and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/ and reference/")
    parser.add_argument("--work", type=Path, required=True, help="folder that is kept")
    parser.add_argument("--preset", nargs="+", default=["macho-period", "mini"])
    options = parser.parse_args()
    surveys = {
        survey: measure(survey, options.shared, options.work, options.preset)
        for survey in SURVEYS
    }
    command = "python -m benchmarks.sparse SHARED --work DIR --preset "
    write({"command": command + " ".join(options.preset), "surveys": surveys})


if __name__ == "__main__":
    main()
