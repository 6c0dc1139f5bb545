"""`embed` and `reconstruct` with a tiny preset, on records and on survey files."""

import numpy as np
import polars as pl
import pytest

from astromer.cli import main

LENGTHS = {"first": 9, "second": 20, "third": 5}
HIDDEN_DIM = 8


def save_preset(folder, **options):
    from astromer import Astromer, EncoderConfig

    config = EncoderConfig(
        num_layers=2,
        num_heads=2,
        head_dim=4,
        hidden_dim=HIDDEN_DIM,
        intermediate_dim=8,
        window_size=8,
        **options,
    )
    Astromer(config, seed=0).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return save_preset(tmp_path_factory.mktemp("presets") / "tiny")


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Three stars, two of them longer than a window; the second in two passbands."""
    rng = np.random.default_rng(3)
    lines = ["object_id,passband,time,mag,mag_err"]
    for name, length in LENGTHS.items():
        for passband in ("V", "I") if name == "second" else ("V",):
            times = 50_000 + np.sort(rng.uniform(0, 100, length))
            mags = 15 + rng.normal(0, 0.3, length)
            lines += [
                f"{name},{passband},{time:.4f},{mag:.4f},0.02"
                for time, mag in zip(times, mags, strict=True)
            ]
    path = tmp_path_factory.mktemp("survey") / "survey.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("per", "dim"), [("object", HIDDEN_DIM + 23), ("observation", HIDDEN_DIM)]
)
def test_values_of_a_description_are_written_and_counted(
    per, dim, survey, tmp_path, capsys
):
    # Three statistics, nine quantiles, eleven lags.
    preset = save_preset(
        tmp_path / "described", magnitude_scale="visible", description=True
    )
    out = tmp_path / "embeddings.parquet"
    assert main(["embed", preset, survey, "--out", str(out), "--per", per]) == 0
    assert pl.read_parquet(out)["embedding"].dtype == pl.Array(pl.Float32, dim)
    assert f"of {dim} values in " in capsys.readouterr().out


def test_embed_writes_a_row_per_light_curve_in_input_order(
    preset, survey, tmp_path, capsys
):
    out = tmp_path / "embeddings.parquet"
    assert main(["embed", preset, survey, "--out", str(out), "--passband", "V"]) == 0
    frame = pl.read_parquet(out)
    assert frame["object_id"].to_list() == list(LENGTHS)
    assert frame["n_observations"].to_list() == list(LENGTHS.values())
    assert frame["embedding"].dtype == pl.Array(pl.Float32, HIDDEN_DIM)
    assert np.isfinite(frame["embedding"].to_numpy()).all()
    shown = capsys.readouterr().out
    assert shown.startswith(f"3 embeddings of {HIDDEN_DIM} values in ")
    assert shown.rstrip().endswith(f"in {out}")


def test_embed_takes_all_passbands_by_default(preset, survey, tmp_path):
    out = tmp_path / "embeddings.csv"
    assert main(["embed", preset, survey, "--out", str(out)]) == 0
    frame = pl.read_csv(out)
    pairs = set(frame.select("object_id", "passband").iter_rows())
    assert pairs == {("first", "V"), ("second", "V"), ("second", "I"), ("third", "V")}


@pytest.mark.parametrize(
    ("per", "rows"),
    [
        ("object", len(LENGTHS)),
        ("window", sum(-(-length // 8) for length in LENGTHS.values())),
        ("observation", sum(LENGTHS.values())),
    ],
)
def test_embed_per_gives_that_many_rows(per, rows, preset, survey, tmp_path):
    out = tmp_path / "embeddings.npz"
    arguments = ["embed", preset, survey, "--out", str(out), "--passband", "V"]
    assert main([*arguments, "--per", per]) == 0
    with np.load(out) as arrays:
        assert arrays["embedding"].shape == (rows, HIDDEN_DIM)


def test_embed_of_records_equals_embed_of_the_files(preset, survey, tmp_path):
    records = tmp_path / "records"
    converted = ["convert", "table", survey, "--out", str(records)]
    kept = ["--clip-percentiles", "0", "100", "--split", "all=1"]
    assert main([*converted, *kept]) == 0
    rows = []
    for source in (survey, str(records)):
        out = tmp_path / "embeddings.parquet"
        assert main(["embed", preset, source, "--out", str(out)]) == 0
        rows.append(pl.read_parquet(out).sort("object_id", "passband"))
    assert rows[0]["object_id"].equals(rows[1]["object_id"])
    np.testing.assert_allclose(
        rows[0]["embedding"].to_numpy(), rows[1]["embedding"].to_numpy(), atol=1e-5
    )


def test_embed_batch_size_does_not_change_the_result(preset, survey, tmp_path):
    results = []
    for size in ("1", "64"):
        out = tmp_path / f"{size}.parquet"
        arguments = ["embed", preset, survey, "--out", str(out), "--batch-size", size]
        assert main(arguments) == 0
        results.append(pl.read_parquet(out)["embedding"].to_numpy())
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_embed_runtime_gives_the_numbers_of_keras(runtime, preset, survey, tmp_path):
    for package in ("onnx", "onnxruntime", "openvino", "tf2onnx"):
        pytest.importorskip(package, reason="of the extra `export`")
    vectors = []
    for options in ([], ["--runtime", runtime]):
        out = tmp_path / "embeddings.parquet"
        assert main(["embed", preset, survey, "--out", str(out), *options]) == 0
        vectors.append(pl.read_parquet(out)["embedding"].to_numpy())
    np.testing.assert_allclose(vectors[0], vectors[1], rtol=0, atol=1e-5)
    assert not np.array_equal(*vectors), "the same engine"


def test_reconstruct_writes_a_row_per_observation(preset, survey, tmp_path, capsys):
    out = tmp_path / "reconstructions.parquet"
    arguments = ["reconstruct", preset, survey, "--out", str(out), "--passband", "V"]
    assert main(arguments) == 0
    frame = pl.read_parquet(out)
    source = pl.read_csv(survey).filter(pl.col("passband") == "V")
    np.testing.assert_allclose(frame["time"], source["time"], atol=1e-9)
    np.testing.assert_allclose(frame["mag"], source["mag"], atol=1e-5)
    assert frame["reconstruction"].is_finite().all()
    rmse = np.sqrt(((frame["reconstruction"] - frame["mag"]) ** 2).mean())
    shown = capsys.readouterr().out
    assert shown.startswith(f"{sum(LENGTHS.values())} observations reconstructed, ")
    assert f"RMSE {rmse:.4f} mag" in shown


@pytest.mark.parametrize("verb", ["embed", "reconstruct"])
def test_bad_observations_are_counted_by_reason(verb, preset, tmp_path, capsys):
    values = ["15.0,0.1"] * 8 + ["-99,0.1", "nan,0.1", "bright,0.1", "15.0,-0.1"]
    rows = (f"a,V,{50_000 + day},{pair}" for day, pair in enumerate(values))
    path = tmp_path / "survey.csv"
    path.write_text("\n".join(["object_id,passband,time,mag,mag_err", *rows]) + "\n")
    assert main([verb, preset, str(path), "--out", str(tmp_path / "out.csv")]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("4 bad observations left out: ")
    reasons = ("missing_value", "not_finite", "not_a_number", "negative_error")
    assert sorted(line.partition(": ")[2].split(", ")) == sorted(
        f"{reason} 1" for reason in reasons
    )


@pytest.mark.parametrize("verb", ["embed", "reconstruct"])
def test_what_is_left_out_is_named(verb, preset, tmp_path, capsys):
    title = "object_id,passband,time,mag,mag_err\n"
    good = "".join(f"a,V,{50_000 + day},15.0,0.1\n" for day in range(8))
    bad = "".join(f"bad[{star}],V,50000,-99,0.1\n" for star in range(7))
    for name, text in (("1.csv", title + good + bad), ("2.csv", "")):
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in ("1.csv", "2.csv")]
    arguments = [verb, preset, *files, "--out", str(tmp_path / "out.csv")]
    assert main(arguments) == 2
    assert "The file is empty" in capsys.readouterr().err
    assert main([*arguments, "--max-unreadable", "0.5"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:3] == [
        "7 bad observations left out: missing_value 7",
        (
            "7 light curves left out: no good observation "
            "(bad[0] V, bad[1] V, bad[2] V, bad[3] V, bad[4] V, ...)"
        ),
        f"1 file left out: unreadable ({files[1]}: The file is empty.)",
    ]
    assert shown.err == ""


@pytest.mark.parametrize("verb", ["embed", "reconstruct"])
def test_nothing_good_says_what_was_bad(verb, preset, tmp_path, capsys):
    path = tmp_path / "survey.csv"
    path.write_text("object_id,passband,time,mag,mag_err\na,V,50000,-99,0.1\n")
    assert main([verb, preset, str(path), "--out", str(tmp_path / "out.csv")]) == 2
    assert "bad observations: missing_value 1" in capsys.readouterr().err


def test_unknown_preset_is_refused_before_tensorflow_is_imported(modules_imported_by):
    code = "embed", "machoo", "x.csv", "--out", "x.csv"
    modules = modules_imported_by(*code, exit_code=2)
    assert "rich" in modules
    assert "tensorflow" not in modules


@pytest.mark.parametrize("option", [["--seed", "1"], ["--num-folds", "4"]])
def test_reconstruct_option_changes_the_result(option, preset, survey, tmp_path):
    results = []
    for extra in ([], option):
        out = tmp_path / f"{len(extra)}.npz"
        assert main(["reconstruct", preset, survey, "--out", str(out), *extra]) == 0
        with np.load(out) as arrays:
            results.append(arrays["reconstruction"])
    assert not np.allclose(results[0], results[1], atol=1e-6)


@pytest.mark.parametrize("verb", ["embed", "reconstruct"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out": "result.txt"}, "result.txt"),
        ({"preset": "no-such-preset"}, "Unknown preset"),
        ({"input": "no-such-file.csv"}, "no-such-file.csv"),
        ({"survey": "machoo"}, 'Did you mean "macho"?'),
        ({"passband": "K"}, 'passband="K"'),
    ],
)
def test_bad_input_is_one_line(
    verb, changes, message, preset, survey, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    arguments = [verb, changes.get("preset", preset), changes.get("input", survey)]
    arguments += ["--out", changes.get("out", "result.parquet")]
    for option in ("survey", "passband"):
        if option in changes:
            arguments += [f"--{option}", changes[option]]
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("Error: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_no_batch_is_a_usage_error(preset, survey, capsys):
    arguments = ["embed", preset, survey, "--out", "x.npz", "--batch-size", "0"]
    assert main(arguments) == 2
    assert "--batch-size" in capsys.readouterr().err


def test_output_may_have_brackets_in_its_name(preset, survey, tmp_path, capsys):
    out = tmp_path / "e[/v2].csv"
    for command in ("embed", "reconstruct"):
        assert main([command, preset, survey, "--out", str(out)]) == 0
        assert "e[/v2].csv" in capsys.readouterr().out.replace("\n", "")


def test_single_observation_has_no_error_to_report(preset, tmp_path, capsys):
    one = tmp_path / "one.csv"
    one.write_text("object_id,passband,mjd,mag,err\na,V,58000,15,0.1\n")
    arguments = ["reconstruct", str(preset), str(one)]
    assert main([*arguments, "--out", str(tmp_path / "r.csv")]) == 0
    shown = capsys.readouterr().out
    assert "none of them from another one" in " ".join(shown.split())
    assert "nan" not in shown


def test_output_that_is_a_folder_is_refused_before_the_work(preset, survey, tmp_path):
    out = tmp_path / "out.parquet"
    out.mkdir()
    assert main(["embed", str(preset), str(survey), "--out", str(out)]) == 2


def test_embed_takes_a_classifier_with_its_own_encoder(survey, tmp_path, capsys):
    from astromer import Astromer, Classifier

    model = Astromer.from_pretrained(save_preset(tmp_path / "tiny"))
    classifier = Classifier.from_astromer(model, ["a", "b"], seed=0)
    classifier.save_pretrained(tmp_path / "classifier")
    frames = []
    for name in ("tiny", "classifier"):
        out = tmp_path / f"{name}.parquet"
        assert main(["embed", str(tmp_path / name), survey, "--out", str(out)]) == 0
        frames.append(pl.read_parquet(out)["embedding"].to_numpy())
    np.testing.assert_allclose(*frames, atol=1e-6)
    assert capsys.readouterr().out.count(f"of {HIDDEN_DIM} values") == 2
