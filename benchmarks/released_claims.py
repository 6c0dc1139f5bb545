"""What each difference between the released code, the paper and this package costs.

    python benchmarks/released_claims.py ../shared

Runs Astromer 1 with its official MACHO weights on real ASAS and Catalina stars, as it
was released and with one thing changed at a time, and writes `released_claims.json` and
`released_claims.md` beside this script: the numbers behind `docs/released.md`. Takes about
four CPU minutes and needs the extra `benchmark`.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import polars as pl
from hidden_points import interpolate, predict, relative, score

from astromer import Astromer, LightCurve, import_released, load_dataset
from astromer.inference import embed
from astromer.pipeline import tile_windows
from astromer.pipeline.weights import weigh_errors
from astromer.pipeline.windows import count_tiles
from astromer.records.cleaning import fulfils_noise_criteria

HERE = Path(__file__).parent
SURVEYS = {"asas": "ASAS", "crts": "Catalina"}
WINDOW = 200

Arrays = dict[str, np.ndarray[Any, Any]]
Row = dict[str, Any]


def load_official(shared: Path, **overrides: Any) -> Astromer:
    """Return Astromer 1 with its official weights, as released but for `overrides`."""
    with tempfile.TemporaryDirectory() as folder:
        path = shared / "reference" / "macho_a0.zip"
        preset = import_released(path, folder=folder, overrides=overrides)
        return Astromer.from_pretrained(preset)


def masked_windows(shared: Path, survey: str) -> Arrays:
    """Return windows of real stars, half of each hidden, zeros at padding."""
    path = shared / "reference" / "anchors" / f"masked_{survey}.npz"
    with np.load(path) as stored:
        windows = dict(stored)
    for name in ("mag", "mjd"):
        windows[name] = np.where(windows["valid"], windows[name], 0.0)
    return windows


def light_curves(
    shared: Path, name: str, ids: Sequence[str] | None = None
) -> list[LightCurve]:
    """Return real light curves in the order of the file."""
    frame = pl.read_parquet(shared / "data" / f"{name}.parquet")
    if ids is not None:
        frame = frame.filter(pl.col("id").is_in(list(ids)))
    return [
        LightCurve(*map(np.array, row[3:6]), object_id=row[0], class_name=row[1])
        for row in frame.iter_rows()
    ]


# --- Hidden magnitudes: what the model makes of them, and what it is told


def predict_leaking(model: Astromer, windows: Arrays) -> np.ndarray[Any, Any]:
    """Return magnitudes relative to the visible mean, with hidden ones in the input.

    As released, the mean of all magnitudes is what is subtracted.
    """
    valid = windows["valid"]
    count = valid.sum(axis=1, keepdims=True)
    means = {
        name: (windows[name] * valid).sum(axis=1, keepdims=True) / count
        for name in ("mjd", "mag")
    }
    inputs = {
        "time": np.where(valid, windows["mjd"] - means["mjd"], 0).astype(np.float32),
        "mag": np.where(valid, windows["mag"] - means["mag"], 0).astype(np.float32),
        "valid": valid,
        "hidden": windows["hidden"] & valid,
    }
    # Between the two means.
    shift = means["mag"] - (windows["mag"] - relative(windows))
    return np.asarray(model.predict(inputs, batch_size=50, verbose=0)) + shift


def halve_queries(model: Astromer) -> Astromer:
    """Scale logits by the paper's sqrt(256) instead of sqrt(64)."""
    for block in model.encoder.blocks:
        for variable in block.attention.query.trainable_variables:
            variable.assign(variable * 0.5)
    return model


def hidden_points(shared: Path) -> list[Row]:
    """R2 of hidden points about each window's visible mean.

    Pooled over all hidden points, and of the median window. 500 windows of ASAS and
    300 of Catalina, half of each hidden.
    """
    removed = {"hidden_magnitude": "zero"}
    excluded = {"attention_mask": "exclude"}
    variants: dict[str, tuple[Astromer, Callable[..., Any]]] = {
        "as released: hidden magnitudes left in": (
            load_official(shared),
            predict_leaking,
        ),
        "hidden magnitudes removed": (load_official(shared, **removed), predict),
        "left in, hidden keys excluded instead of +1": (
            load_official(shared, **excluded),
            predict_leaking,
        ),
        "removed, hidden keys excluded instead of +1": (
            load_official(shared, **removed, **excluded),
            predict,
        ),
        "left in, time base 1000 instead of 10000": (
            load_official(shared, time_base=1_000.0),
            predict_leaking,
        ),
        "left in, attention over sqrt(256) instead of sqrt(64)": (
            halve_queries(load_official(shared)),
            predict_leaking,
        ),
    }
    rows = []
    for survey, title in SURVEYS.items():
        windows = masked_windows(shared, survey)
        found = {
            "visible mean": np.zeros(windows["mag"].shape),
            "linear interpolation": interpolate(windows),
        }
        for name, (model, method) in variants.items():
            found[name] = method(model, windows)
        for name, predicted in found.items():
            scores = score(windows, predicted)
            pooled, median = scores["pooled"], scores["median"]
            rows.append(
                {"survey": title, "input": name, "pooled": pooled, "median": median}
            )
    return rows


# --- The attention mask of Astromer 1


def attention_of_first_block(model: Astromer, inputs: Arrays) -> Any:
    """Return attention weights, shape (batch, heads, window, window)."""
    encoder = model.encoder
    embedding, bias = keras.Model(
        encoder.input,
        [encoder.layer_sequences[0], encoder.get_layer("attention_bias").output],
    )(inputs)
    return np.asarray(encoder.blocks[0](embedding, bias, return_weights=True)[1])


def attention_mask(shared: Path) -> list[Row]:
    """Attention to hidden keys, and how far padding moves embeddings.

    Mean weight of hidden over that of visible keys, for visible queries of the first
    block; and the distance between the embeddings of 100 observations alone and filled
    up to 200, in units of a star's typical distance from the mean of all stars.
    """
    windows = masked_windows(shared, "asas")
    full = np.flatnonzero(windows["valid"].all(axis=1))[:50]
    inputs = {
        "time": (windows["mjd"] - windows["mjd"].mean(axis=1, keepdims=True))[full],
        "mag": np.zeros((len(full), WINDOW)),
        "valid": windows["valid"][full],
        "hidden": windows["hidden"][full],
    }
    inputs |= {name: inputs[name].astype(np.float32) for name in ("time", "mag")}
    hidden = inputs["hidden"]
    curves = [
        LightCurve(*(windows[name][row, :100] for name in ("mjd", "mag", "err")))
        for row in full
    ]
    rows = []
    for name in ("released_astromer1", "exclude"):
        options = {"attention_mask": name, "hidden_magnitude": "zero"}
        model = load_official(shared, **options)
        weights = attention_of_first_block(model, inputs).mean(axis=1)
        # Of queries that are visible: in hidden ones +1 is everywhere.
        shares = [
            [weights[i][~hidden[i]][:, keys].mean() for keys in (hidden[i], ~hidden[i])]
            for i in range(len(full))
        ]
        to_hidden, to_visible = np.mean(shares, axis=0)
        alone = np.asarray(
            embed(load_official(shared, **options, window_size=100), curves)
        )
        padded = np.asarray(embed(model, curves))
        rows.append(
            {
                "mask": "+1, as released" if name != "exclude" else "exclude",
                "attention_hidden_over_visible": float(f"{to_hidden / to_visible:.3g}"),
                "embedding_moved_by_padding": relative_change(padded, alone),
            }
        )
    return rows


def light_curve_of(windows: Arrays, row: int) -> LightCurve:
    """Return a window as a light curve."""
    keep = windows["valid"][row]
    return LightCurve(*(windows[name][row][keep] for name in ("mjd", "mag", "err")))


def relative_change(found: Any, expected: Any) -> float:
    """Return the median over rows of the distance, against the spread of the rows."""
    spread = np.linalg.norm(expected - expected.mean(axis=0), axis=1).mean()
    distance = np.linalg.norm(np.asarray(found) - expected, axis=1)
    return round(float(np.median(distance) / spread), 4)


# --- Times


def times(shared: Path) -> list[Row]:
    """How far two ways with times move embeddings of 200 real windows.

    In units of a star's typical distance from the mean of all stars.
    """
    windows = masked_windows(shared, "asas")
    curves = [light_curve_of(windows, row) for row in range(200)]
    model = load_official(shared)
    expected = np.asarray(embed(model, curves))
    exact = tile_windows(curves, WINDOW)
    stored = np.where(windows["valid"], windows["mjd"], 0)[:200].astype(np.float32)
    valid = windows["valid"][:200]
    mean = stored.sum(axis=1, dtype=np.float32) / valid.sum(axis=1).astype(np.float32)
    single = np.where(valid, stored - mean[:, None], 0).astype(np.float32)
    wrong = np.abs(single - exact.time)[valid] * 24 * 60
    pooled = keras.Model(model.encoder.input, model.encoder.output)
    inputs = {
        "time": single,
        "mag": exact.mag,
        "valid": valid,
        "hidden": np.zeros_like(valid),
    }
    outputs = np.asarray(pooled.predict(inputs, batch_size=50, verbose=0))
    means = (outputs * valid[..., None]).sum(axis=1) / valid.sum(axis=1)[:, None]
    other_base = load_official(shared, time_base=1_000.0)
    return [
        {
            "change": "float32 times and means, as released",
            "times_wrong_by_minutes": {
                "median": round(float(np.median(wrong)), 1),
                "most": round(float(wrong.max()), 1),
            },
            "embedding_moved": relative_change(means, expected),
        },
        {
            "change": "time base 1000, as the paper and conf.json say",
            "embedding_moved": relative_change(
                np.asarray(embed(other_base, curves)), expected
            ),
        },
    ]


# --- Windows


def frozen_windows(shared: Path, epochs: int = 20) -> list[Row]:
    """Share of observations that training sees, drawn anew or once and for all.

    Lengths are real, or those of a typical MACHO light curve.
    """
    lengths = [len(c) for c in light_curves(shared, "crts_unlabelled")[:300]]
    rows = []
    for source, sizes in (
        ("300 Catalina light curves", lengths),
        ("100 of 1000 observations, as in MACHO", [1000] * 100),
    ):
        # Magnitudes that are positions: a window shows which it holds.
        curves = [
            LightCurve(
                np.arange(n, dtype=float), np.arange(n) / 100, np.full(n, 0.1), label=i
            )
            for i, n in enumerate(sizes)
        ]
        dataset = load_dataset(
            curves, task="classify", normalization="light_curve", training=True
        )
        for name, data in (("fresh", dataset), ("frozen", dataset.cache())):
            seen = [np.zeros(n, bool) for n in sizes]
            for _ in range(epochs):
                for inputs, label in data.as_numpy_iterator():
                    for row, number in enumerate(label):
                        mag = inputs["mag"][row][inputs["valid"][row]]
                        middle = (sizes[number] - 1) / 2
                        seen[number][np.rint(mag * 100 + middle).astype(int)] = True
            share = np.concatenate(seen).mean()
            rows.append(
                {
                    "light_curves": source,
                    "windows": name,
                    "epochs": epochs,
                    "observations_seen": round(float(share), 3),
                }
            )
    return rows


def repeated_windows(shared: Path) -> list[Row]:
    """Observations that the released tiling shows again, per observation.

    And light curves whose last window it gives twice.
    """
    rows = []
    for name, title in (("asas_acvs", "ASAS"), ("crts_labelled", "Catalina")):
        length = np.array([len(curve) for curve in light_curves(shared, name)])
        number = count_tiles(length, WINDOW, "released")
        shown = number * np.minimum(length, WINDOW)
        rows.append(
            {
                "survey": title,
                "light_curves": len(length),
                "shown_again": round(float((shown - length).sum() / length.sum()), 3),
                "last_window_twice": int(((length % WINDOW == 0) & (length > 0)).sum()),
            }
        )
    return rows


def window_means(shared: Path) -> list[Row]:
    """Share of a star's variance that a mean per window removes, by class of ASAS.

    Of stars with at least two windows; classes with at least 50 of them.
    """
    removed: dict[str, list[float]] = {}
    for curve in light_curves(shared, "asas_acvs"):
        if len(curve) < 2 * WINDOW:
            continue
        windows = tile_windows([curve], WINDOW)
        between = np.average(
            (windows.mean_mag - curve.mag.mean()) ** 2, weights=windows.size
        )
        name = "EB" if curve.class_name[:1] == "E" else curve.class_name
        removed.setdefault(name, []).append(float(between / curve.mag.var()))
    return [
        {
            "class": name,
            "stars": len(values),
            "variance_removed_median": round(float(np.median(values)), 3),
        }
        for name, values in sorted(removed.items())
        if len(values) >= 50
    ]


# --- Weights and filters


def error_weights(shared: Path) -> list[Row]:
    """How far padding moves the released weights of real windows."""
    rows = []
    for survey, title in SURVEYS.items():
        windows = masked_windows(shared, survey)
        short = ~windows["valid"].all(axis=1)
        valid = windows["valid"][short]
        errors = np.where(valid, windows["err"][short], 0).astype(np.float32)
        mean = errors.sum(axis=1, keepdims=True) / valid.sum(axis=1, keepdims=True)
        padded = np.where(valid, errors, mean)
        theirs = weigh_errors(padded, np.ones_like(valid), "released").numpy()
        ours = weigh_errors(errors, valid, "released").numpy()
        rows.append(
            {
                "survey": title,
                "windows_with_padding": int(short.sum()),
                "weight_moved_most": round(
                    float(np.abs(theirs - ours)[valid].max()), 6
                ),
                "weight_at_padding_median": round(float(np.median(theirs[~valid])), 3),
            }
        )
    return rows


def noise_filter(shared: Path) -> list[Row]:
    """Share of variable stars that fulfil the criteria of the paper's noise filter."""
    rows = []
    for name, title in (("asas_acvs", "ASAS"), ("crts_unlabelled", "Catalina")):
        clipped = []
        for curve in light_curves(shared, name):
            low, high = np.percentile(curve.mag, (1, 99))
            kept = curve.mag[(curve.mag > low) & (curve.mag < high)]
            if len(kept):
                clipped.append(kept)
        fulfils = fulfils_noise_criteria(
            np.concatenate(clipped), np.array([len(mag) for mag in clipped])
        )
        rows.append({"survey": title, "fulfil": round(float(fulfils.mean()), 3)})
    return rows


# --- Classifiers


def macro_f1(features: Any, labels: Any, groups: Any, folds: int = 3) -> float:
    """Return macro F1 of logistic regression, no group on two sides."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5_000))
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    found = cross_val_predict(model, features, labels, groups=groups, cv=splits)
    return round(float(f1_score(labels, found, average="macro")), 3)


def padding_mask(shared: Path) -> list[Row]:
    """Average observations, or padding: the mask right, and upside down.

    Of the last block; five classes of ASAS, logistic regression, three folds. Zeros
    where there is nothing to average.
    """
    windows = masked_windows(shared, "asas")
    model = load_official(shared)
    rows = []
    for name, size in (("first 100 observations", 100), ("whole windows", WINDOW)):
        valid = windows["valid"] & (np.arange(WINDOW) < size)
        curves = [
            light_curve_of({**windows, "valid": valid}, row)
            for row in range(len(valid))
        ]
        tiles = tile_windows(curves, WINDOW)
        inputs = {
            "time": tiles.time,
            "mag": tiles.mag,
            "valid": tiles.valid,
            "hidden": np.zeros_like(tiles.valid),
        }
        outputs = model.encoder.predict(inputs, batch_size=50, verbose=0)
        for side, keep in (("right", tiles.valid), ("upside down", ~tiles.valid)):
            count = keep.sum(axis=1)
            features = np.einsum("nld,nl->nd", outputs, keep.astype(np.float32))
            features /= np.maximum(count, 1)[:, None]
            rows.append(
                {
                    "windows": name,
                    "mask": side,
                    "nothing_to_average": round(float((count == 0).mean()), 3),
                    "macro_f1": macro_f1(features, windows["label"], windows["id"]),
                }
            )
    return rows


def scoring(shared: Path) -> list[Row]:
    """Macro F1 per window and per star with the same classifier and test stars.

    Catalina, 100 stars a class, logistic regression on windows' embeddings.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    path = shared / "reference" / "anchors" / "splits_crts.json"
    splits = json.loads(path.read_text(encoding="utf-8"))
    fold = splits["folds"][0]
    sides = {"train": set(fold["train"]["100"]), "test": set(fold["test"])}
    model = load_official(shared)
    found = {}
    for side, ids in sides.items():
        curves = light_curves(shared, "crts_labelled", sorted(ids))
        found[side] = embed(model, curves, per="window")
    train, test = found["train"], found["test"]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5_000))
    label_of = splits["labels"]
    classifier.fit(train.embedding, [label_of[name] for name in train.object_id])
    probability = classifier.predict_proba(test.embedding)
    stars, star = np.unique(test.object_id, return_inverse=True)
    pooled = np.zeros((len(stars), probability.shape[1]))
    np.add.at(pooled, star, probability * test.n_observations[:, None])
    rows = []
    for name, ids, scores in (
        ("window", test.object_id, probability),
        ("star, windows weighted by observations", stars, pooled),
    ):
        truth = [label_of[one] for one in ids]
        predicted = classifier.classes_[scores.argmax(axis=1)]
        f1 = float(f1_score(truth, predicted, average="macro"))
        rows.append({"per": name, "rows": len(ids), "macro_f1": round(f1, 3)})
    return rows


def gamma_mean(shared: Path) -> list[Row]:
    """Ratio of the weighted sum to what the release returns, in the authors' arrays."""
    with np.load(shared / "reference" / "gamma_weight.npz") as stored:
        layers, gamma, output = (stored[name] for name in ("x", "gamma", "output"))
    weights = np.exp(gamma) / np.exp(gamma).sum()
    weighted = np.einsum("l,lnd->nd", weights, layers)
    ratio = float(np.median(weighted / output))
    difference = float(np.abs(output * len(layers) - weighted).max())
    return [
        {
            "sum_over_released": round(ratio, 4),
            "difference_after_times_7": float(f"{difference:.1e}"),
        }
    ]


CLAIMS: dict[str, tuple[str, Callable[[Path], list[Row]]]] = {
    "hidden_points": ("R2 of hidden points", hidden_points),
    "attention_mask": ("Attention to hidden keys, and padding", attention_mask),
    "times": ("Times", times),
    "frozen_windows": ("Windows drawn once, or anew", frozen_windows),
    "repeated_windows": (
        "Observations that the released tiling repeats",
        repeated_windows,
    ),
    "window_means": ("Variance that a mean per window removes", window_means),
    "error_weights": ("Error weights and padding", error_weights),
    "noise_filter": ("Noise filter", noise_filter),
    "padding_mask": ("Average of observations, or of padding", padding_mask),
    "scoring": ("Scores per window and per star", scoring),
    "gamma_mean": ("Gamma head's sum over layers", gamma_mean),
}


def as_text(value: Any) -> str:
    """Write a cell."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {as_text(part)}" for name, part in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def as_table(rows: list[Row]) -> list[str]:
    """Write rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [
        "| " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "|" + "---|" * len(names),
        *(
            "| " + " | ".join(as_text(row.get(name, "")) for name in names) + " |"
            for row in rows
        ),
    ]


def as_markdown(report: Mapping[str, Any]) -> str:
    """Write a report as a document with a table for each claim."""
    lines = [
        "# What the released code's differences cost",
        "",
        (
            f"`{report['command']}`: Astromer 1 with its official MACHO weights on real "
            "ASAS and Catalina stars. [docs/released.md](../docs/released.md) says what "
            "each number means."
        ),
    ]
    for name, (title, measure) in CLAIMS.items():
        about = " ".join(inspect.cleandoc(measure.__doc__ or "").split())
        lines += ["", f"## {title}", "", about, "", *as_table(report["results"][name])]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every claim and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with reference/ and data/")
    parser.add_argument(
        "--only", nargs="*", choices=CLAIMS, help="measure these, write nothing"
    )
    arguments = parser.parse_args()
    results = {}
    for name in arguments.only or CLAIMS:
        title, measure = CLAIMS[name]
        results[name] = measure(arguments.shared)
        print("\n".join(["", title, *as_table(results[name])]), flush=True)
    if arguments.only:
        return
    packages = ("astromer", "keras", "tensorflow", "numpy", "scikit-learn")
    report = {
        "command": "python benchmarks/released_claims.py SHARED",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {name: version(name) for name in packages},
        "results": results,
    }
    (HERE / "released_claims.json").write_text(json.dumps(report, indent=2) + "\n")
    (HERE / "released_claims.md").write_text(as_markdown(report))


if __name__ == "__main__":
    main()
