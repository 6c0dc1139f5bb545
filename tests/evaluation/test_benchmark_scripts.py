"""The scripts that score presets on real stars, here on a few made ones."""

import dataclasses
import json
import re
import sys

import numpy as np
import polars as pl
import pytest

from astromer.evaluation import draw_windows, read_windows
from astromer.evaluation.splits import make_splits
from astromer.models import Reconstructor
from astromer.presets import save_preset
from benchmarks import few_shot, reconstruction, sparse


@pytest.fixture
def toy(make_survey, tiny_model, tmp_path, monkeypatch):
    """Return a preset, a folder of data, and a folder to write into."""
    curves = make_survey(slow=8, fast=8)
    shared = tmp_path / "shared"
    anchors = shared / "reference" / "anchors"
    anchors.mkdir(parents=True)
    (shared / "data").mkdir()
    pl.DataFrame(
        {
            "id": [curve.object_id for curve in curves],
            "label": [curve.class_name for curve in curves],
            "band": ["V"] * len(curves),
            "mjd": [curve.time.tolist() for curve in curves],
            "mag": [curve.mag.tolist() for curve in curves],
            "err": [curve.mag_err.tolist() for curve in curves],
        }
    ).write_parquet(shared / "data" / "toy.parquet")
    labels = {curve.object_id: curve.class_name for curve in curves}
    splits = make_splits(labels, sizes=[3], num_folds=2, seed=0, dataset="Toy")
    splits.save(anchors / "splits_toy.json")
    windows = draw_windows(curves, window_size=20, windows_per_class=2)
    arrays = ("time", "mag", "mag_err", "hidden", "valid", "object_id", "class_name")
    np.savez(
        anchors / "masked_toy.npz", **{name: getattr(windows, name) for name in arrays}
    )
    for script in (few_shot, reconstruction):
        monkeypatch.setattr(script, "HERE", tmp_path / "results")
    monkeypatch.setattr(
        few_shot, "SURVEYS", {"Toy": ("toy.parquet", "splits_toy.json", "slow,fast")}
    )
    monkeypatch.setattr(reconstruction, "SURVEYS", {"Toy": "masked_toy.npz"})
    (tmp_path / "results").mkdir()
    config = dataclasses.replace(tiny_model.config, window_size=20)
    model = Reconstructor(config, seed=0)
    save_preset(model, tmp_path / "tiny", metadata={"license": "MIT"}, card="")
    return tmp_path / "tiny", shared, tmp_path / "results"


def run(monkeypatch, script, *words):
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, words)])
    script.main()


def test_few_labels_are_scored_on_the_splits_given(toy, tmp_path, monkeypatch):
    preset, shared, out = toy
    choices = ["--preset", preset, "--layers", "last", "--heads", "--baselines"]
    words = [shared, "--work", tmp_path / "work", *choices, "statistics"]
    run(monkeypatch, few_shot, *words, "--name", "toy", "--jobs", 1)
    report = json.loads((out / "toy.json").read_text())
    assert report["command"].endswith("--heads --baselines statistics --name toy")
    results = report["results"]["Toy"]
    assert (results["dataset"], results["num_folds"]) == ("Toy", 2)
    assert {row["method"] for row in results["rows"]} == {"tiny/last", "statistics"}
    assert all(len(row["per_fold"]) == 2 for row in results["rows"])
    tested = sum(results["tested_objects"].values())
    splits = json.loads((shared / "reference/anchors/splits_toy.json").read_text())
    assert tested == len({i for fold in splits["folds"] for i in fold["test"]})
    assert "| tiny/last | lr |" in (out / "toy.md").read_text()


def test_a_part_of_the_benchmark_is_named_as_such(toy, tmp_path, monkeypatch):
    preset, shared, out = toy
    asked = {}

    def benchmark(source, out, **options):
        asked.update(options)
        return {"dataset": options["dataset"]}

    monkeypatch.setattr(few_shot, "few_shot_benchmark", benchmark)
    monkeypatch.setattr(few_shot, "report_figures", lambda results: {})
    page = tmp_path / "results.md"
    page.write_text("# Toy\n")
    monkeypatch.setattr(few_shot, "write_report", lambda *_: {"results.md": page})
    surveys = {**few_shot.SURVEYS, "Other": ("none.parquet", "none.json", "a,b")}
    monkeypatch.setattr(few_shot, "SURVEYS", surveys)
    words = ["--preset", preset, "--surveys", "Toy", "--sizes", 2, 3, "--finetune"]
    run(monkeypatch, few_shot, shared, "--work", tmp_path / "work", *words)
    assert asked["dataset"] == "Toy"
    assert asked["sizes"] == [2, 3]
    assert asked["finetune"] is True
    report = json.loads((out / "few_shot.json").read_text())
    assert report["results"] == {"Toy": {"dataset": "Toy"}}
    assert report["command"].endswith("--surveys Toy --name few_shot --finetune")


def test_hidden_points_are_scored_on_the_windows_given(toy, tmp_path, monkeypatch):
    preset, shared, out = toy
    words = [shared, "--work", tmp_path / "work", "--preset", preset]
    run(monkeypatch, reconstruction, *words)
    report = json.loads((out / "reconstruction.json").read_text())
    assert report["command"].endswith(f"--preset {preset}")
    rows = report["results"]["Toy"]["rows"]
    assert {row["hiding"] for row in rows} == {"points", "nights"}
    mean = next(r for r in rows if r["hiding"] == "points" and "mean" in r["method"])
    windows = read_windows(shared / "reference" / "anchors" / "masked_toy.npz")
    errors = []
    for mag, hidden, valid in zip(
        windows.mag, windows.hidden, windows.valid, strict=True
    ):
        errors.append((mag - mag[valid & ~hidden].mean())[hidden])
    expected = np.sqrt(np.mean(np.concatenate(errors) ** 2))
    assert mean["rmse"] == pytest.approx(expected, abs=1e-4)


def test_sparse_leaves_so_many_observations(make_survey):
    curves = make_survey(slow=3, fast=2)
    thinned = list(sparse.thin_out(curves, 7))
    again = list(sparse.thin_out(curves, 7))
    for curve, few, same in zip(curves, thinned, again, strict=True):
        assert few == same
        assert len(few) == 7 < len(curve)
        assert (few.object_id, few.class_name) == (curve.object_id, curve.class_name)
        at = np.searchsorted(curve.time, few.time)
        np.testing.assert_array_equal(few.mag, curve.mag[at])
    assert list(sparse.thin_out(curves, 10_000)) == curves


def test_sparse_scores_presets_and_features_by_observations(toy, monkeypatch):
    preset, shared, results = toy
    monkeypatch.setattr(sparse, "HERE", results)
    monkeypatch.setattr(sparse, "SURVEYS", few_shot.SURVEYS)
    monkeypatch.setattr(sparse, "SIZES", (3,))
    monkeypatch.setattr(sparse, "NUM_OBSERVATIONS", (6, 12))
    work = results / "work"
    work.mkdir()
    run(monkeypatch, sparse, shared, "--work", work, "--preset", preset)
    rows = json.loads((results / "sparse.json").read_text())["surveys"]["Toy"]
    assert [(row["observations"], row["classifier"]) for row in rows] == [
        (number, classifier) for number in (6, 12) for classifier in ("lr", "rf")
    ]
    (line,) = re.findall(
        r"^\| 12 \| (.*) \|$", (results / "sparse.md").read_text(), re.MULTILINE
    )
    for row, cell in zip(rows[2:], line.split(" | "), strict=True):
        expected = f"{row['macro_f1_mean']:.3f} ± {row['macro_f1_std']:.3f}"
        assert cell == expected
    # The second run takes what the first has left.
    run(monkeypatch, sparse, shared, "--work", work, "--preset", preset)
    assert json.loads((results / "sparse.json").read_text())["surveys"]["Toy"] == rows
