"""`pretrain` and `finetune` on tiny records; most of what they do is tested below."""

import json

import pytest

from astromer.cli import main
from astromer.models import Reconstructor
from astromer.presets import load_preset
from astromer.training.run_folder import RunFolder
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
    assert stored["options"]["learning_rate"] == 5e-4
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
    modules, _ = modules_imported_by(
        "pretrain", str(records), "--out", out, *arguments, exit_code=2
    )
    assert not modules & {"tensorflow", "keras"}
    assert main(["pretrain", str(records), "--out", out, *arguments]) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_help_names_the_options_and_costs_nothing(command, modules_imported_by, capsys):
    modules, _ = modules_imported_by(command, "--help")
    assert not modules & {"tensorflow", "keras", "pandas", "polars", "matplotlib"}
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("--resume", "--learning-rate", "--strategy", "--precision"):
        assert option in shown


def test_preset_that_does_not_exist_costs_no_tensorflow(
    records, tmp_path, modules_imported_by
):
    modules, _ = modules_imported_by(
        "finetune", "no such", str(records), "--out", str(tmp_path / "run"), exit_code=2
    )
    assert "tensorflow" not in modules
