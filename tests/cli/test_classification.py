"""`predict` with a tiny classifier, on records and on survey files."""

import shutil

import numpy as np
import polars as pl
import pytest

from astromer.cli import main

CLASSES = {"first": "EB", "second": "RRab", "third": "EB", "fourth": "odd"}
LENGTHS = {"first": 9, "second": 20, "third": 5, "fourth": 7}


@pytest.fixture(scope="module")
def classifier():
    from astromer import Classifier, ClassifierConfig, EncoderConfig

    encoder = EncoderConfig(
        num_layers=1,
        num_heads=2,
        head_dim=4,
        hidden_dim=8,
        intermediate_dim=8,
        window_size=8,
    )
    config = ClassifierConfig(class_names=("EB", "RR[ab]", "RRab"), hidden_units=(4,))
    return Classifier(encoder, config, seed=1)


@pytest.fixture(scope="module")
def preset(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    return str(classifier.save_pretrained(folder))


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Four stars, two of them longer than a window; one class the model has not."""
    rng = np.random.default_rng(3)
    lines = ["object_id,passband,time,mag,mag_err,class_name"]
    for name, length in LENGTHS.items():
        times = 50_000 + np.sort(rng.uniform(0, 100, length))
        mags = 15 + rng.normal(0, 0.3, length)
        lines += [
            f"{name},V,{time:.4f},{mag:.4f},0.02,{CLASSES[name]}"
            for time, mag in zip(times, mags, strict=True)
        ]
    path = tmp_path_factory.mktemp("survey") / "survey.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_predict_writes_what_classify_gives_in_input_order(
    suffix, classifier, preset, survey, tmp_path, capsys
):
    from astromer import read_light_curves

    out = tmp_path / f"classes.{suffix}"
    assert main(["predict", preset, survey, "--out", str(out)]) == 0
    read = pl.read_csv if suffix == "csv" else pl.read_parquet
    frame = read(out)
    assert frame.columns == [
        "object_id",
        "passband",
        "label",
        "class_name",
        "n_observations",
        "time",
        "predicted",
        "p_EB",
        "p_RR[ab]",
        "p_RRab",
    ]
    assert frame["object_id"].to_list() == list(LENGTHS)
    assert frame["class_name"].to_list() == list(CLASSES.values())
    assert frame["n_observations"].to_list() == list(LENGTHS.values())
    expected = classifier.classify(list(read_light_curves(survey)), verbose=False)
    probabilities = frame.select(pl.col("^p_.*$")).to_numpy()
    np.testing.assert_allclose(probabilities, np.asarray(expected), atol=1e-6)
    assert frame["predicted"].to_list() == expected.predicted.tolist()

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 light curves classified in ")
    assert lines[0].endswith(f"in {out}")
    counts = [(expected.predicted == name).sum() for name in expected.class_names]
    assert lines[1] == "Predicted: EB {}, RR[ab] {}, RRab {}".format(*counts)
    right = (expected.predicted == expected.class_name).sum()
    assert lines[2] == f"Of those with a known class, {right} of 3 agree"
    assert len(lines) == 3


def test_predict_takes_the_preset_of_a_run(preset, survey, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    shutil.copytree(preset, run / "preset")
    frames = []
    for model in (preset, str(run)):
        out = tmp_path / "classes.csv"
        assert main(["predict", model, survey, "--out", str(out)]) == 0
        frames.append(pl.read_csv(out))
    assert frames[0].equals(frames[1])


def test_predict_per_window_and_batch_size(preset, survey, tmp_path, capsys):
    frames = []
    for size in ("1", "64"):
        out = tmp_path / f"{size}.parquet"
        options = ["--per", "window", "--batch-size", size]
        assert main(["predict", preset, survey, "--out", str(out), *options]) == 0
        frames.append(pl.read_parquet(out).select(pl.col("^p_.*$")).to_numpy())
    assert len(frames[0]) == sum(-(-length // 8) for length in LENGTHS.values())
    np.testing.assert_allclose(frames[0], frames[1], atol=1e-5)
    assert "7 windows classified" in capsys.readouterr().out


def test_predict_of_records_equals_that_of_the_files(preset, survey, tmp_path):
    records = tmp_path / "records"
    converted = ["convert", "table", survey, "--out", str(records)]
    kept = ["--clip-percentiles", "0", "100", "--split", "all=1"]
    assert main([*converted, *kept]) == 0
    frames = []
    for source in (survey, str(records)):
        out = tmp_path / "classes.parquet"
        assert main(["predict", preset, source, "--out", str(out)]) == 0
        frame = pl.read_parquet(out).sort("object_id")
        frames.append(frame.select(pl.col("^p_.*$")).to_numpy())
    np.testing.assert_allclose(frames[0], frames[1], atol=1e-5)


def test_bad_observations_and_unknown_classes_are_told(preset, tmp_path, capsys):
    values = ["15.0,0.1"] * 8 + ["-99,0.1", "nan,0.1"]
    rows = (f"a,V,{50_000 + day},{pair}" for day, pair in enumerate(values))
    path = tmp_path / "survey.csv"
    path.write_text("\n".join(["object_id,passband,time,mag,mag_err", *rows]) + "\n")
    assert main(["predict", preset, str(path), "--out", str(tmp_path / "o.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 bad observations left out: ")
    assert lines[1].startswith("1 light curve classified")
    assert len(lines) == 3


def test_unknown_preset_is_refused_before_tensorflow_is_imported(modules_imported_by):
    arguments = "predict", "machoo", "x.csv", "--out", "x.csv"
    modules = modules_imported_by(*arguments, exit_code=2)
    assert "rich" in modules
    assert "tensorflow" not in modules


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out": "result.txt"}, "result.txt"),
        ({"preset": "no-such-preset"}, "Unknown preset"),
        ({"input": "no-such-file.csv"}, "no-such-file.csv"),
        ({"survey": "machoo"}, 'Did you mean "macho"?'),
        ({"passband": "K"}, 'passband="K"'),
        ({"preset": "reconstructor"}, "Classifier.from_astromer(Astromer.from"),
    ],
)
def test_bad_input_is_one_line(
    changes, message, preset, survey, tmp_path, monkeypatch, capsys
):
    from astromer import Astromer
    from tests.models.windows import tiny_config

    Astromer(tiny_config()).save_pretrained(tmp_path / "reconstructor")
    monkeypatch.chdir(tmp_path)
    arguments = ["predict", changes.get("preset", preset), changes.get("input", survey)]
    arguments += ["--out", changes.get("out", "result.parquet")]
    for option in ("survey", "passband"):
        if option in changes:
            arguments += [f"--{option}", changes[option]]
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("Error: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["reconstructor"]
