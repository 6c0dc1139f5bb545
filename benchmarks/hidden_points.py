"""Score a preset on fixed masked windows of real stars.

`python benchmarks/hidden_points.py ../shared [PRESET]` reads the windows of
`reference/anchors/masked_*.npz` (half of each hidden), predicts the hidden magnitudes
from the visible ones, and writes `hidden_points.json` and `hidden_points.md` beside
this script. R2 is about each window's visible mean, pooled over all hidden
observations and as the median over windows, and per class.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from astromer import Astromer, describe_preset

HERE = Path(__file__).parent
SURVEYS = ("asas", "crts")


def predict(model: Astromer, windows: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return magnitudes relative to the visible mean, shape (num_windows, size)."""
    valid, hidden = windows["valid"], windows["hidden"] & windows["valid"]
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    time = windows["mjd"] - (windows["mjd"] * valid).sum(axis=1, keepdims=True) / count
    inputs = {
        "time": np.where(valid, time, 0.0).astype(np.float32),
        "mag": np.where(valid & ~hidden, relative(windows), 0.0).astype(np.float32),
        "valid": valid,
        "hidden": hidden,
    }
    return np.asarray(model.predict(inputs, batch_size=50, verbose=0))


def relative(windows: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return magnitudes minus the mean of each window's visible ones."""
    visible = windows["valid"] & ~windows["hidden"]
    total = np.where(visible, windows["mag"], 0.0).sum(axis=1, keepdims=True)
    return windows["mag"] - total / np.maximum(visible.sum(axis=1, keepdims=True), 1)


def interpolate(windows: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return linear interpolations in time between visible observations."""
    mag, out = relative(windows), np.zeros(windows["mag"].shape)
    for row, keep in enumerate(windows["valid"] & ~windows["hidden"]):
        out[row] = np.interp(
            windows["mjd"][row], windows["mjd"][row, keep], mag[row, keep]
        )
    return out


def score(windows: Mapping[str, NDArray[Any]], predicted: NDArray[Any]) -> dict:
    """Return R2 pooled, as median over windows, and pooled per class."""
    hidden = windows["hidden"] & windows["valid"]
    mag = relative(windows)
    missed = np.where(hidden, (mag - predicted) ** 2, 0.0).sum(axis=1)
    total = np.where(hidden, mag**2, 0.0).sum(axis=1)
    labels = windows["label"]
    return {
        "pooled": round(float(1 - missed.sum() / total.sum()), 3),
        "median": round(float(np.median(1 - missed / np.maximum(total, 1e-9))), 3),
        "per_class": {
            str(name): round(
                float(1 - missed[labels == name].sum() / total[labels == name].sum()), 3
            )
            for name in sorted(set(labels))
        },
    }


def main() -> None:
    """Score the preset and linear interpolation on both surveys."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("preset", nargs="?", default="macho")
    arguments = parser.parse_args()
    model = Astromer.from_pretrained(arguments.preset)
    results = {}
    for survey in SURVEYS:
        path = arguments.shared / "reference" / "anchors" / f"masked_{survey}.npz"
        with np.load(path) as windows:
            arrays = {name: windows[name] for name in windows.files}
        arrays["mag"] = np.where(arrays["valid"], arrays["mag"], 0.0)
        arrays["mjd"] = np.where(arrays["valid"], arrays["mjd"], 0.0)
        results[survey] = {
            "linear interpolation": score(arrays, interpolate(arrays)),
            f"preset {arguments.preset}": score(arrays, predict(model, arrays)),
        }
    info = describe_preset(arguments.preset)
    report = {
        "command": "python benchmarks/hidden_points.py SHARED",
        "weights_sha256": info.metadata["weights_sha256"],
        "keras": keras.__version__,
        "results": results,
    }
    (HERE / "hidden_points.json").write_text(json.dumps(report, indent=2) + "\n")
    lines = [
        "# Hidden points of fixed windows",
        "",
        (
            f"`{report['command']}`; R2 about each window's visible mean, whose own score "
            "is 0."
        ),
        "",
        "| Survey | Method | Pooled | Median window | Per class |",
        "|---|---|---|---|---|",
    ]
    for survey, methods in results.items():
        for method, scores in methods.items():
            classes = ", ".join(f"{k} {v:.2f}" for k, v in scores["per_class"].items())
            lines.append(
                f"| {survey} | {method} | {scores['pooled']:.3f} | "
                f"{scores['median']:.3f} | {classes} |"
            )
    (HERE / "hidden_points.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
