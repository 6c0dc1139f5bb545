"""What bfloat16 does to embeddings of real stars, and to classes told from them.

`python -m benchmarks.half_precision SHARED --work DIR [--preset NAME ...]` embeds the
labeled Catalina stars in float32 and with the policy mixed_bfloat16. It compares the
embeddings, and the macro F1 of logistic regression on them on fixed splits, and writes
`half_precision.json` and `half_precision.md` beside this script. DIR keeps records. How
fast either is, is measured by `benchmarks.embedding`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from astromer.evaluation import (
    FrozenEmbedding,
    ObjectSet,
    Splits,
    VectorMethod,
    collect_objects,
    describe_few_shot,
    load_splits,
    read_classes,
    run_benchmark,
)
from astromer.models import Reconstructor
from astromer.presets import load_preset
from benchmarks.few_shot import SURVEYS, labeled_records

HERE = Path(__file__).parent
SURVEY = "Catalina"
PRECISIONS = ("float32", "mixed_bfloat16")


def compare(preset: str, objects: ObjectSet, splits: Splits) -> dict[str, Any]:
    """Return errors and scores of one preset."""
    embeddings = [
        FrozenEmbedding(load_preset(preset, Reconstructor, dtype=dtype), dtype)
        for dtype in PRECISIONS
    ]
    methods = [VectorMethod(embedding, "lr") for embedding in embeddings]
    with tempfile.TemporaryDirectory() as out:
        benchmark = run_benchmark(objects, splits, methods, out)
    described = describe_few_shot(benchmark, objects)
    names = sorted({name for fold in splits.folds for name in fold.test})
    stars = objects.take(names)
    exact, half = (each.rows(stars).values for each in embeddings)
    # About their mean and in units of their scatter, as a classifier sees them.
    scale = exact.std(axis=0) + 1e-9
    a, b = ((values - exact.mean(axis=0)) / scale for values in (exact, half))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return {
        "stars": len(stars),
        "cosine_median": round(float(np.median(cosine)), 4),
        "cosine_5th_percentile": round(float(np.percentile(cosine, 5)), 4),
        "macro_f1": {
            dtype: [
                round(row["macro_f1_mean"], 4)
                for row in described["rows"]
                if row["method"].startswith(dtype)
            ]
            for dtype in PRECISIONS
        },
        "differences": [
            {
                key: round(each[key], 4) if isinstance(each[key], float) else each[key]
                for key in ("samples_per_class", "difference", "low", "high")
            }
            for each in described["differences"]
        ],
    }


def write(report: dict[str, Any]) -> None:
    """Write both files."""
    (HERE / "half_precision.json").write_text(json.dumps(report, indent=1) + "\n")
    about = (
        f"`{report['command']}`: labeled Catalina stars in float32 and with the policy "
        "mixed_bfloat16. Cosines of test stars' embeddings in both, each value less its "
        "mean over the stars and by its scatter; macro F1 per star of logistic "
        "regression, mean of three folds, with 20, 100 and 500 labels per class; and the "
        "difference, with the interval of 95 % of bootstrap resamples of the stars."
    )
    lines = [
        "# bfloat16",
        "",
        about,
        "",
        "| Preset | Cosine | 5 % below | Labels | float32 | bfloat16 | Difference |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for preset, found in report["presets"].items():
        for place, change in enumerate(found["differences"]):
            exact, half = (found["macro_f1"][dtype][place] for dtype in PRECISIONS)
            lines.append(
                f"| {preset} | {found['cosine_median']:.3f} | "
                f"{found['cosine_5th_percentile']:.3f} | "
                f"{change['samples_per_class']} | {exact:.3f} | {half:.3f} | "
                f"{change['difference']:+.3f} ({change['low']:+.3f} to "
                f"{change['high']:+.3f}) |"
            )
    (HERE / "half_precision.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    """Compare and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/ and reference/")
    parser.add_argument("--work", type=Path, required=True, help="folder that is kept")
    parser.add_argument(
        "--preset", nargs="+", default=["macho", "macho-period", "mini"]
    )
    options = parser.parse_args()
    _, file, classes = SURVEYS[SURVEY]
    splits = load_splits(options.shared / "reference" / "anchors" / file)
    objects = collect_objects(
        labeled_records(SURVEY, options.shared, options.work),
        classes=read_classes(classes),
    )
    write(
        {
            "command": "python -m benchmarks.half_precision SHARED --work DIR --preset "
            + " ".join(options.preset),
            "presets": {
                preset: compare(preset, objects, splits) for preset in options.preset
            },
        }
    )


if __name__ == "__main__":
    main()
