"""Runs on tiny and sample records; most of what they do is tested below."""

import json

import polars as pl
import pytest

from astromer.cli import main
from astromer.errors import ConfigError
from astromer.models import EncoderConfig, Reconstructor
from astromer.presets import load_preset, save_preset
from astromer.records import Manifest, sample_records
from astromer.training.run_folder import RunFolder
from tests.models.windows import tiny_config
from tests.pipeline.plain import write_records
from tests.training.conftest import SPLIT, make_curves

TOML = """
batch_size = 16
steps_per_epoch = 1
[encoder]
num_layers = 1
num_heads = 2
head_dim = 4
hidden_dim = 8
intermediate_dim = 6
window_size = 8
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "records"
    write_records(folder, make_curves(36), split=SPLIT)
    return folder


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(TOML)
    return path


def test_pretrain_then_finetune_ends_with_scores_and_presets(
    records, config, tmp_path, capsys
):
    run = tmp_path / "run"
    options = ["--config", config, "--epochs", 1, "--seed", 3, "--steps-per-epoch", 2]
    assert main(["pretrain", *map(str, [records, "--out", run, *options])]) == 0
    shown = capsys.readouterr()
    assert "R2, interpolation" in shown.out
    assert "1 epoch in " in shown.out
    assert "g CO2e" in shown.out
    assert f"Preset: {run / 'preset'}" in shown.out
    assert "22 light curves to train on" in shown.err
    assert "Epoch 1 of 1: loss " in shown.err
    stored = RunFolder(run).read_config()
    # The file's, the flags over it, and the defaults under both.
    assert stored["options"]["batch_size"] == 16
    assert stored["options"]["steps_per_epoch"] == 2
    assert stored["options"]["seed"] == 3
    assert stored["options"]["learning_rate"] == 1e-3
    assert stored["model"]["encoder"]["num_layers"] == 1
    scores = json.loads((run / "result.json").read_text())["scores"]
    assert f"{scores['test']['r2_hidden']:.4f}" in shown.out

    tuned = tmp_path / "tuned"
    options = ["--epochs", 1, "--steps-per-epoch", 1, "--batch-size", 8]
    arguments = [run / "preset", records, "--out", tuned, *options]
    arguments += ["--trainable", "head"]
    assert main(["finetune", *map(str, arguments)]) == 0
    shown = capsys.readouterr()
    assert f"Preset: {tuned / 'preset'}" in shown.out
    first, second = (load_preset(f / "preset", Reconstructor) for f in (run, tuned))
    a, b = (m.encoder.get_weights()[0] for m in (first, second))
    assert (a == b).all()
    a, b = (m.get_layer("head_dense").get_weights()[0] for m in (first, second))
    assert (a != b).any()


@pytest.mark.parametrize("name", ["astromer1", "astromer2", "astromer_period"])
def test_pretrain_takes_an_architecture_by_name(records, tmp_path, monkeypatch, name):
    def stop(config, **_):
        made.append(config)
        raise ConfigError("enough")

    made = []
    monkeypatch.setattr("astromer.training.reconstruction.Reconstructor", stop)
    arguments = ["pretrain", str(records), "--out", str(tmp_path / "run")]
    assert main([*arguments, "--encoder", name, "--batch-size", "8"]) != 0
    assert made == [EncoderConfig.from_name(name)]


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A preset of two tiny blocks with windows of eight, and random weights."""
    model = Reconstructor(tiny_config(), seed=0)
    return save_preset(model, tmp_path_factory.mktemp("presets") / "tiny")


def test_train_classifier_then_predict_on_the_sample(preset, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "classes.parquet"
    options = ["--head", "mean", "--unfreeze", 1, "--hidden-units", "6,4"]
    options += ["--class-weights", "balanced", "--label-smoothing", 0.1]
    options += ["--epochs", 1, "--batch-size", 16, "--dropout", 0.1]
    arguments = [preset, sample_records(), "--out", run, *options]
    assert main(["train-classifier", *map(str, arguments)]) == 0
    shown = capsys.readouterr()
    assert "48 light curves to train on, 16 to validate, 16 to test" in shown.err
    assert "validation F1 of light curves" in shown.err
    result = json.loads((run / "result.json").read_text())
    assert f"{result['scores']['test']['macro_f1_object']:.4f}" in shown.out
    names = list(Manifest.load(sample_records()).label_map)
    for name in names:
        assert name in shown.out.split("Classes in test")[1]
    assert f"Preset: {run / 'preset'}" in shown.out
    stored = RunFolder(run).read_config()["options"]
    assert (stored["head"], stored["unfreeze"]) == ("mean", 1)
    assert (stored["hidden_units"], stored["dropout"]) == ([6, 4], 0.1)
    assert (stored["class_weights"], stored["label_smoothing"]) == ("balanced", 0.1)

    arguments = [run, sample_records(), "--out", out]
    assert main(["predict", *map(str, arguments)]) == 0
    table = pl.read_parquet(out)
    assert table.height == 80
    assert [f"p_{name}" for name in names] == [
        column for column in table.columns if column.startswith("p_")
    ]


def test_interrupted_run_says_that_it_is_saved(monkeypatch, tmp_path, records, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt("Interrupted after batch 7, and saved.")

    monkeypatch.setattr("astromer.training.pretraining.pretrain", interrupt)
    assert main(["pretrain", str(records), "--out", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err.strip() == (
        "Error: Interrupted after batch 7, and saved."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "Received: epochs=0"),
        (["--config", "FILE", "--batch-size", "-1"], "Received: batch_size=-1"),
        (["--epochs", "9", "--decay-epochs", "3"], "decay_epochs=3"),
        (["--devices", "0"], "Received: devices='0'"),
    ],
)
def test_bad_option_costs_no_tensorflow(
    records, config, tmp_path, modules_imported_by, arguments, message, capfd
):
    arguments = [str(config) if a == "FILE" else a for a in arguments]
    out = str(tmp_path / "run")
    modules = modules_imported_by(
        "pretrain", str(records), "--out", out, *arguments, exit_code=2
    )
    assert not modules & {"tensorflow", "keras"}
    assert main(["pretrain", str(records), "--out", out, *arguments]) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["pretrain", "finetune", "train-classifier"])
def test_help_names_the_options_and_costs_nothing(command, modules_imported_by, capsys):
    modules = modules_imported_by(command, "--help")
    assert not modules & {"tensorflow", "keras", "pandas", "polars", "matplotlib"}
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("--resume", "--learning-rate", "--strategy", "--precision"):
        assert option in shown


@pytest.mark.parametrize("command", ["pretrain", "finetune", "train-classifier"])
def test_backend_is_chosen_before_anything_else(
    command, records, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    inputs = [] if command == "pretrain" else ["no such preset"]
    arguments = [*inputs, str(records), "--out", str(tmp_path / "run")]
    assert main([command, *arguments, "--backend", "jax"]) == 2
    assert 'not installed. Received: backend="jax"' in capsys.readouterr().err


def test_preset_that_does_not_exist_costs_no_tensorflow(
    records, tmp_path, modules_imported_by
):
    modules = modules_imported_by(
        "finetune", "no such", str(records), "--out", str(tmp_path / "run"), exit_code=2
    )
    assert "tensorflow" not in modules


def test_bad_option_of_a_classifier_costs_no_tensorflow(
    preset, records, tmp_path, modules_imported_by, capfd
):
    arguments = [preset, records, "--out", tmp_path / "run", "--label-smoothing", 1]
    modules = modules_imported_by("train-classifier", *map(str, arguments), exit_code=2)
    assert not modules & {"tensorflow", "keras"}
    assert main(["train-classifier", *map(str, arguments)]) == 2
    assert "Received: label_smoothing=1" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()
