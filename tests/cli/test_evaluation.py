"""`benchmark` and `benchmark-reconstruction` on simulated stars with a tiny preset."""

import functools
import json

import numpy as np
import pytest

from astromer.cli import main, terminal
from astromer.cli.evaluation import (
    _few_shot_table,
    _reconstruction_tables,
    _spread,
)

TINY = {
    "num_layers": 2,
    "num_heads": 2,
    "head_dim": 4,
    "hidden_dim": 8,
    "intermediate_dim": 8,
    "window_size": 64,
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Fewer trees and epochs: what is tested does not depend on their number."""
    from astromer.evaluation import classifiers, few_shot, heads

    quick = heads.HeadTraining(hidden_units=(8,), epochs=2)
    head_method = functools.partial(heads.HeadMethod, training=quick)
    monkeypatch.setattr(few_shot, "HeadMethod", head_method)
    monkeypatch.setattr(classifiers, "NUM_TREES", 10)
    monkeypatch.setattr(classifiers, "NUM_BOOSTING_ROUNDS", 10)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    from astromer import Astromer, EncoderConfig

    folder = tmp_path_factory.mktemp("presets") / "tiny"
    Astromer(EncoderConfig(**TINY), seed=0).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Ten stars of each of two classes, in one passband."""
    from astromer.records import convert
    from astromer.simulate import simulate_survey, write_macho_csv

    folder = tmp_path_factory.mktemp("survey")
    stars = simulate_survey(classes={"LPV": 10, "RRab": 10})
    files = write_macho_csv(stars, folder / "files")
    labels = folder / "files" / "labels.csv"
    convert("macho", files, folder / "records", labels=labels, passbands="R")
    return str(folder / "records")


def test_benchmark_writes_scores_tables_and_a_report(preset, records, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["benchmark", records, "--preset", preset, "--layers", "last", "0"]
    arguments += ["--classifiers", "lr", "--baselines", "statistics", "features"]
    arguments += ["--spc", "2", "4", "--folds", "2", "--dataset", "sky"]
    arguments += ["--out", str(out), "--jobs", "2"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "Macro F1 per object, mean of 2 folds" in shown
    assert "tiny/last" in shown
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert results["dataset"] == "sky"
    methods = {(row["method"], row["classifier"]) for row in results["rows"]}
    assert methods == {
        ("tiny/last", "lr"),
        ("tiny/0", "lr"),
        ("statistics", "rf"),
        *(("features", name) for name in ("rf", "hgb", "lr")),
    }
    assert (out / "results.md").is_file()
    assert (out / "report.html").is_file()
    # Long-period variables and RR Lyrae stars differ in everything.
    best = max(row["macro_f1_mean"] for row in results["rows"])
    assert best > 0.8
    assert main(arguments) == 2
    assert "Go on there with resume" in capsys.readouterr().err
    assert main([*arguments, "--resume", "--reference", "statistics rf"]) == 0
    again = json.loads((out / "results.json").read_text("utf-8"))
    assert again["rows"] == results["rows"]
    assert again["reference"] == ["statistics", "rf"]


def test_benchmark_takes_splits_and_classes(preset, records, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    common = ["benchmark", records, "--preset", preset, "--baselines", "none"]
    common += ["--classifiers", "lr"]
    common += ["--heads", "mean"]
    classes = ["--classes", "slow=LPV,RRab"]
    drawn = ["--spc", "2", "--folds", "2", "--test-per-class", "1", "--seed", "3"]
    assert main([*common, *classes, *drawn, "--out", str(first)]) == 0
    splits = str(first / "splits.json")
    assert main([*common, *classes, "--splits", splits, "--out", str(second)]) == 0
    one, two = (
        json.loads((out / "results.json").read_text("utf-8"))["rows"]
        for out in (first, second)
    )
    assert [row["per_fold"] for row in one] == [row["per_fold"] for row in two]
    assert set(one[0]["per_class_f1"]) == {"slow", "RRab"}
    assert [row["classifier"] for row in one] == ["lr", "mean"]
    assert one[1]["window_macro_f1_mean"] is not None


def test_benchmark_ends_with_names_that_look_like_markup(records, tmp_path, capsys):
    out = tmp_path / "res[/x]"
    arguments = ["benchmark", records, "--baselines", "statistics"]
    arguments += ["--reference", "statistics rf", "--spc", "2", "--folds", "1"]
    assert main([*arguments, "--out", str(out)]) == 0
    assert str(out / "results.json") in capsys.readouterr().out


def test_reconstruction_ends_with_names_that_look_like_markup(
    records, tmp_path, capsys
):
    out = tmp_path / "res[/x]"
    arguments = ["benchmark-reconstruction", records, "--methods", "mean"]
    arguments += ["--hide", "points", "--windows-per-class", "1"]
    assert main([*arguments, "--out", str(out)]) == 0
    assert str(out / "results.json") in capsys.readouterr().out


def test_tables_name_methods_that_look_like_markup(capsys):
    row = {"method": "a[/x]", "classifier": "lr[/y]", "samples_per_class": 2}
    row |= {"macro_f1_mean": 0.5, "macro_f1_std": None}
    terminal.output(_few_shot_table({"rows": [row], "num_folds": 1}))
    shown = capsys.readouterr().out
    assert "a[/x]" in shown
    assert "lr[/y]" in shown
    row = {"method": "b[/z]", "hiding": "points", "num_hidden": 1, "num_windows": 1}
    row |= {"r2": 0.1, "r2_median": 0.1, "rmse": 0.1, "seconds_per_window": 1.0}
    row["per_class"] = {"c[/z]": {"r2": 0.1}}
    terminal.output(*_reconstruction_tables({"rows": [row]}))
    shown = capsys.readouterr().out
    assert "b[/z]" in shown
    assert "c[/z]" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--baselines", "none"], "nothing to compare"),
        (["--layers", "top"], 'Received: "top"'),
        (["--reference", "features"], 'Example: "features rf"'),
        (["--classes", "LPV,RRAB"], 'Did you mean "RRab"'),
        (["--spc", "2", "--folds", "0", "--baselines", "statistics"], "num_folds=0"),
        (["--preset", "nacho"], 'Did you mean "macho"'),
    ],
)
def test_benchmark_says_what_is_wrong_in_one_line(
    options, message, records, tmp_path, capsys
):
    assert main(["benchmark", records, *options, "--out", str(tmp_path / "o")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Error: ")
    assert message in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_reconstruction_writes_scores_for_points_and_nights(
    preset, records, tmp_path, capsys
):
    out = tmp_path / "out"
    arguments = ["benchmark-reconstruction", records, "--preset", preset]
    arguments += ["--methods", "mean", "linear", "--window-size", "60"]
    arguments += ["--windows-per-class", "3", "--out", str(out)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "Hidden points: 180 observations of 6 windows" in shown
    assert "Hidden nights:" in shown
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert [(row["hiding"], row["method"]) for row in results["rows"]] == [
        (hiding, method)
        for hiding in ("points", "nights")
        for method in ("visible mean", "linear interpolation", "tiny")
    ]
    assert set(results["rows"][0]["per_class"]) == {"LPV", "RRab"}


def test_reconstruction_takes_a_file_of_windows(tmp_path, rng, capsys):
    path = tmp_path / "masked.npz"
    time = 50_000 + np.cumsum(rng.uniform(0.5, 1.5, (3, 20)), axis=1)
    hidden = np.arange(20) % 3 == 0
    np.savez(
        path,
        mjd=time,
        mag=15 + np.sin(time / 9),
        err=np.full((3, 20), 0.1),
        hidden=np.broadcast_to(hidden, (3, 20)),
        valid=np.ones((3, 20), bool),
        id=np.array(["a", "b", "c"]),
        label=np.array(["x", "x", "y"]),
    )
    arguments = ["benchmark-reconstruction", str(path), "--methods", "linear"]
    out = tmp_path / "out"
    assert main([*arguments, "--hide", "points", "--out", str(out)]) == 0
    (row,) = json.loads((out / "results.json").read_text("utf-8"))["rows"]
    assert row["num_hidden"] == 21
    assert row["r2"] > 0.9
    options = json.loads((out / "results.json").read_text("utf-8"))["options"]
    assert "window_size" not in options
    for flag, value in (("--window-size", "10"), ("--passband", "V")):
        assert main([*arguments, flag, value, "--out", str(tmp_path / "no")]) == 2
        assert f"Received: {flag} for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "linar"], 'Did you mean "linear"'),
        (["--hide", "years"], 'hiding="years"'),
        (["--methods", "none"], r"methods=[]"),
        (["--hidden-fraction", "1"], "hidden_fraction=1.0"),
    ],
)
def test_reconstruction_says_what_is_wrong(options, message, records, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["benchmark-reconstruction", records, *options, "--out", out]) == 2
    assert message in capsys.readouterr().err


def test_several_values_follow_a_repeatable_option():
    options = {"--spc", "--preset"}
    given = ["RECORDS", "--spc", "20", "100", "--out", "DIR", "--preset", "a", "b"]
    assert list(_spread([*given, "--seed", "1", "x"], options)) == [
        *("RECORDS", "--spc", "20", "--spc", "100", "--out", "DIR"),
        *("--preset", "a", "--preset", "b", "--seed", "1", "x"),
    ]
    repeated = ["--spc", "7", "--spc", "8"]
    assert list(_spread(repeated, options)) == repeated
    negative = list(_spread(["--layers", "-1", "0"], {"--layers"}))
    assert negative == ["--layers", "-1", "--layers", "0"]


def test_help_imports_nothing_heavy(modules_imported_by):
    for verb in ("benchmark", "benchmark-reconstruction"):
        modules = modules_imported_by(verb, "--help")
        heavy = {"tensorflow", "keras", "numpy", "sklearn", "light_curve", "nifty_ls"}
        assert not modules & heavy
