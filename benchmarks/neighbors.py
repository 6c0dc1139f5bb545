"""Who is near whom on real stars: classes of neighbors, and rare classes found.

`python -m benchmarks.neighbors SHARED --work DIR [--preset NAME ...]` embeds the ASAS
and Catalina stars of the few-shot splits and asks, without any label, how many of a
star's nearest neighbors (`Embeddings.search`) share its class, and how well
`Embeddings.anomaly` tells ten stars of one class among all stars of the others. It
compares with hand-crafted features and trivial statistics, each of their values less its
mean and in units of its scatter, and with an isolation forest on the same vectors. It
writes `neighbors.json` and `neighbors.md` beside this script; DIR keeps records.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from astromer.evaluation import collect_objects, load_splits, read_classes
from astromer.evaluation.features import extract_features, trivial_statistics
from astromer.inference import Embeddings, embed
from astromer.models import Reconstructor
from astromer.presets import load_preset
from benchmarks.few_shot import SURVEYS, labeled_records

HERE = Path(__file__).parent
NEIGHBORS = 10
RARE = 10
"""Stars of the class that is rare."""
DRAWS = 5


def score(
    stars: Embeddings, vectors: Mapping[str, NDArray[np.floating]], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Return the scores of each kind of vectors, all on the same draws.

    Parameters
    ----------
    stars : Embeddings
        With class names; the vectors do not matter.
    vectors : mapping
        Arrays of shape ``(num_stars, dim)`` by name.
    seed : int
        Seed of the rare stars, and of the forest.

    Returns
    -------
    scores : dict
        Means over classes: ``precision``, the share of a star's neighbors that have its
        class; ``anomaly`` and ``forest``, areas under the curve of true against false
        positives for the rare class, and ``by_class`` the first of the two.
    """
    classes = stars.class_name
    names = sorted(set(classes.tolist()))
    results = {}
    for kind, values in vectors.items():
        same = dataclasses.replace(stars, embedding=values.astype(np.float32))
        matches = same.search(k=NEIGHBORS)
        hits = (matches.class_name == classes[matches.query]).reshape(-1, NEIGHBORS)
        by_class: dict[str, float] = {}
        forest = []
        for number, name in enumerate(names):
            rng = np.random.default_rng([seed, number])
            areas = []
            for _ in range(DRAWS):
                few = rng.choice(np.flatnonzero(classes == name), RARE, replace=False)
                rows = np.concatenate([np.flatnonzero(classes != name), few])
                rare = classes[rows] == name
                areas.append(roc_auc_score(rare, same.take(rows).anomaly()))
            trees = IsolationForest(random_state=seed).fit(values[rows])
            forest.append(roc_auc_score(rare, -trees.score_samples(values[rows])))
            by_class[name] = round(float(np.mean(areas)), 3)
        precision = [hits[classes == name].mean() for name in names]
        results[kind] = {
            "precision": round(float(np.mean(precision)), 3),
            "anomaly": round(float(np.mean(list(by_class.values()))), 3),
            "forest": round(float(np.mean(forest)), 3),
            "by_class": by_class,
        }
    return results


def standardized(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return features in units of their scatter, within five of them; 0 for none."""
    mean, scatter = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    scaled = (values - mean) / np.where(scatter > 0, scatter, 1)
    clipped: NDArray[np.float64] = np.clip(np.nan_to_num(scaled), -5, 5)
    return clipped


def measure(
    survey: str, shared: Path, work: Path, presets: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the scores on the stars of a survey's splits."""
    _, file, classes = SURVEYS[survey]
    splits = load_splits(shared / "reference" / "anchors" / file)
    records = labeled_records(survey, shared, work)
    objects = collect_objects(records, classes=read_classes(classes))
    # Some stars are listed under two names.
    found = {item.object_id: item for item in map(objects.find, splits.names()) if item}
    curves = [
        dataclasses.replace(item.light_curves[0], class_name=item.class_name)
        for item in found.values()
    ]
    models = {name: load_preset(name, Reconstructor) for name in presets}
    embedded = {name: embed(model, curves) for name, model in models.items()}
    others: dict[str, Callable[[], Any]] = {
        "features": lambda: extract_features(curves, num_threads=2),
        "statistics": lambda: np.stack([trivial_statistics(c) for c in curves]),
    }
    vectors = {name: np.asarray(each) for name, each in embedded.items()}
    vectors |= {name: standardized(compute()) for name, compute in others.items()}
    return score(next(iter(embedded.values())), vectors)


def write(report: dict[str, Any]) -> None:
    """Write both files."""
    (HERE / "neighbors.json").write_text(json.dumps(report, indent=1) + "\n")
    about = (
        f"`{report['command']}`: the share of a star's {NEIGHBORS} most similar stars "
        "that have its class, no label being used; and how well ten stars of one class "
        "are told among all of the others, as the area under the curve of true against "
        "false positives (0.5 is chance), by `Embeddings.anomaly` and by an isolation "
        f"forest on the same vectors. Means over classes, of {DRAWS} draws for the "
        "former. What presets say of periods was chosen with a look at classes of these "
        "stars."
    )
    lines = ["# Neighbors", "", about]
    for survey, found in report["surveys"].items():
        names = list(next(iter(found.values()))["by_class"])
        lines += [
            "",
            f"## {survey}",
            "",
            f"| Vectors | Same class | Rare class | Forest | {' | '.join(names)} |",
            "|---|" + "---:|" * (3 + len(names)),
        ]
        for kind, each in found.items():
            numbers = [each["precision"], each["anomaly"], each["forest"]]
            numbers += [each["by_class"][name] for name in names]
            lines.append(f"| {kind} | {' | '.join(f'{n:.3f}' for n in numbers)} |")
    (HERE / "neighbors.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    """Measure both surveys and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/ and reference/")
    parser.add_argument("--work", type=Path, required=True, help="folder that is kept")
    parser.add_argument(
        "--preset", nargs="+", default=["macho-period", "mini", "macho"]
    )
    options = parser.parse_args()
    surveys = {
        survey: measure(survey, options.shared, options.work, options.preset)
        for survey in SURVEYS
    }
    command = "python -m benchmarks.neighbors SHARED --work DIR --preset "
    write({"command": command + " ".join(options.preset), "surveys": surveys})


if __name__ == "__main__":
    main()
