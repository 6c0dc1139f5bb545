import csv
import json
import os
import re
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from astromer.errors import ConfigError, RecordError, RunError
from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig, Reconstructor
from astromer.pipeline import MaskingConfig, load_dataset
from astromer.presets import describe_preset, golden_difference, load_preset
from astromer.records import Manifest, read_records
from astromer.training import (
    R2,
    RMSE,
    PretrainOptions,
    ReconstructionLoss,
    pretrain,
    reconstruction,
)
from astromer.training.baselines import score_baselines
from astromer.training.checkpoints import read_checkpoint
from astromer.training.data import FIXED_SEED
from astromer.training.reconstruction import panels_of
from astromer.training.run_folder import RunFolder
from tests.models.windows import tiny_config
from tests.pipeline.plain import write_records
from tests.training.conftest import make_curves

QUICK = {"batch_size": 8, "learning_rate": 1e-2, "warmup_steps": 2}
CONFIG = tiny_config(num_layers=1, dropout=0.2)


@pytest.fixture(scope="module")
def run(survey, tmp_path_factory):
    """A run of three epochs, with what it reported."""
    out = tmp_path_factory.mktemp("pretrain") / "first run"
    said = []
    result = pretrain(
        survey,
        out,
        config=CONFIG,
        epochs=3,
        seed=4,
        metadata={"license": "MIT"},
        report=said.append,
        **QUICK,
    )
    return result, said


@pytest.fixture(scope="module")
def again(survey, tmp_path_factory):
    """The same run once more, elsewhere."""
    out = tmp_path_factory.mktemp("again") / "run"
    return pretrain(survey, out, config=CONFIG, epochs=3, seed=4, **QUICK)


def weights_of(preset):
    return load_preset(preset, Reconstructor).get_weights()


def test_result_tells_what_the_run_has_come_to(run, survey):
    result, _ = run
    assert (result.epochs, result.steps) == (3, 9)
    assert result.monitor == "val_rmse_hidden"
    values = [row["val_rmse_hidden"] for row in result.history]
    assert result.best_epoch == values.index(min(values)) + 1
    assert set(result.scores) == {"validation", "test"}
    assert result.preset == result.folder / "preset"
    assert result.energy.seconds > 0


def test_metrics_hold_every_subset_and_the_plain_numbers(run, survey):
    result, _ = run
    with open(RunFolder(result.folder).metrics, newline="") as stream:
        rows = list(csv.DictReader(stream))
    subsets = [
        f"{m}_{s}" for m in ("r2", "rmse") for s in ("hidden", "probed", "valid")
    ]
    plain = [
        f"{m}_hidden_{name}"
        for m in ("r2", "rmse")
        for name in ("mean", "interpolation")
    ]
    expected = {"epoch", "step", "learning_rate", "loss", "val_loss", *subsets}
    expected |= {f"val_{name}" for name in (*subsets, *plain)}
    assert set(rows[0]) == expected
    assert [float(r["val_rmse_hidden"]) for r in rows] == [
        row["val_rmse_hidden"] for row in result.history
    ]
    fixed = load_dataset(
        survey, split="validation", window_size=8, training=False, seed=FIXED_SEED,
        batch_size=8,
    )  # fmt: skip
    for name, value in score_baselines(fixed).items():
        assert {float(row[f"val_{name}"]) for row in rows} == {value}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_scores_are_those_of_the_preset(run, survey, split):
    result, _ = run
    model = load_preset(result.preset, Reconstructor)
    metrics = [m(s) for s in ("hidden", "probed", "valid") for m in (R2, RMSE)]
    model.compile(loss=ReconstructionLoss(), metrics=metrics)
    fixed = load_dataset(
        survey,
        split=split,
        window_size=8,
        batch_size=8,
        training=False,
        seed=FIXED_SEED,
    )
    found = model.evaluate(fixed, verbose=0, return_dict=True)
    scores = result.scores[split]
    assert {name: scores[name] for name in found} == pytest.approx(found, rel=1e-6)
    if split == "validation":
        best = result.history[result.best_epoch - 1]
        assert best["val_rmse_hidden"] == pytest.approx(found["rmse_hidden"], rel=1e-6)


def test_best_weights_are_what_is_saved(run):
    result, _ = run
    best = read_checkpoint(RunFolder(result.folder).best)
    assert best.state["epoch"] == result.best_epoch
    stored = [v for name, v in best.groups["model"] if "seed" not in name]
    for found, expected in zip(weights_of(result.preset), stored, strict=True):
        np.testing.assert_array_equal(found, expected)
    model = load_preset(result.preset, Reconstructor)
    assert golden_difference(result.preset, model) < 1e-6


def test_preset_remembers_what_it_was_trained_with(run, survey):
    result, _ = run
    facts = describe_preset(result.preset)
    training = facts.metadata["training"]
    expected = PretrainOptions(epochs=3, seed=4, decay_epochs=3, **QUICK)
    assert PretrainOptions.from_dict(training["options"]) == expected
    assert EncoderConfig.from_dict(training["model"]["encoder"]) == CONFIG
    assert training["data"]["light_curves"]["train"] == 22
    assert training["best_epoch"] == result.best_epoch
    assert facts.metadata["metrics"] == result.scores
    assert facts.license == "MIT"
    assert facts.survey == Manifest.load(survey).survey
    assert "22" in facts.description


def test_card_shows_scores_and_curves(run):
    result, _ = run
    card = (result.folder / "README.md").read_text()
    assert card.startswith("# first run\n")
    assert f"epoch {result.best_epoch}, val_rmse_hidden" in card
    assert "g/kWh" in card
    picture = re.search(r"!\[[^]]+\]\(([^)]+)\)", card)[1]
    for folder in (result.folder, result.preset):
        assert matplotlib.image.imread(folder / picture).shape[1] == 3 * 510
        assert (folder / "README.md").read_text() == card
    row = f"| test | this model | {result.scores['test']['r2_hidden']:.4f} |"
    assert row in card
    line = f"{result.scores['test']['r2_hidden_interpolation']:.4f}"
    assert f"| test | linear interpolation in time | {line} |" in card
    stored = json.loads((result.folder / "result.json").read_text())
    assert stored["scores"] == result.scores
    assert stored["energy"]["energy"] == result.energy.energy


def test_run_leaves_nothing_but_what_it_should(run):
    result, _ = run
    names = {path.name for path in result.folder.iterdir()}
    assert names == {
        "README.md", "checkpoints", "config.json", "learning_curves.png", "metrics.csv",
        "preset", "result.json", "tensorboard",
    }  # fmt: skip
    assert {p.name for p in (result.folder / "checkpoints").iterdir()} == {
        "best.npz", "last.npz",
    }  # fmt: skip


def test_learning_rate_goes_as_told(run):
    result, _ = run
    rates = [row["learning_rate"] for row in result.history]
    # Nine steps: two up, then half a cosine over seven.
    expected = [0.5e-2 * (1 + np.cos(np.pi * (step - 2) / 7)) for step in (3, 6, 9)]
    assert rates == pytest.approx(expected, abs=1e-8)


def test_same_seed_gives_the_same_run_bit_by_bit(run, again):
    result, _ = run
    first, second = (RunFolder(r.folder).metrics.read_bytes() for r in (result, again))
    assert first == second
    for a, b in zip(weights_of(result.preset), weights_of(again.preset), strict=True):
        np.testing.assert_array_equal(a, b)


def asked(monkeypatch, records, out, **options):
    """Return what a run would train, without training it."""
    caught = []

    def catch(folder, plan, data, build, **how):
        caught.extend((plan, data, build(10)))
        raise InterruptedError

    monkeypatch.setattr(reconstruction, "run_training", catch)
    config = None if "preset" in options else CONFIG
    with pytest.raises(InterruptedError):
        pretrain(records, out, config=config, **options)
    return caught


def test_options_reach_model_optimizer_and_data(survey, tmp_path, monkeypatch):
    masking = MaskingConfig(probed_fraction=0.9)
    plan, data, model = asked(
        monkeypatch,
        survey,
        tmp_path / "run",
        epochs=4,
        seed=7,
        loss="paper",
        error_weights="released",
        masking=masking,
        precision="mixed_bfloat16",
        learning_rate=0.25,
        warmup_steps=0,
        beta_1=0.5,
        beta_2=0.75,
        epsilon=0.125,
        clip_norm=3.0,
    )
    assert (data.task, data.masking, data.error_weights) == (
        "pretrain", masking, "released"
    )  # fmt: skip
    assert data.options.seed == 7
    assert data.encoder == CONFIG
    assert plan.options == data.options
    optimizer = model.optimizer
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.5, 0.75, 0.125)
    assert optimizer.global_clipnorm == 3.0
    assert model.loss.form == "paper"
    assert model.seed == 7
    assert model.dtype_policy.name == "mixed_bfloat16"
    # Forty steps of a cosine, half of which are over.
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(20)
    assert float(optimizer.learning_rate) == pytest.approx(0.125)


def test_named_options_are_those_of_the_release(survey, tmp_path, monkeypatch):
    _, data, model = asked(monkeypatch, survey, tmp_path / "run", recipe="released")
    optimizer = model.optimizer
    assert float(optimizer.learning_rate) == pytest.approx(1e-5)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.9, 0.98, 1e-9)
    assert optimizer.global_clipnorm is None
    assert data.masking == MaskingConfig.released()
    assert data.options.batch_size == 2_500


@pytest.mark.slow
def test_another_seed_gives_another_run(run, survey, tmp_path):
    result, _ = run
    other = pretrain(survey, tmp_path / "run", config=CONFIG, epochs=1, seed=5, **QUICK)
    assert other.history[0]["loss"] != result.history[0]["loss"]


@pytest.mark.slow
def test_bfloat16_trains_and_is_scored_in_float32(tmp_path):
    # All fade alike: where time is seen, magnitudes are soon known.
    time = np.arange(8.0)
    fading = [
        LightCurve(
            50_000 + time + n, 15 + 0.3 * time, 0.01 + 0 * time, object_id=f"star{n}"
        )
        for n in range(12)
    ]
    result = pretrain(
        {"train": fading[:8], "validation": fading[8:]},
        tmp_path / "run",
        config=tiny_config(num_layers=1, dropout=0.0, hidden_dim=16),
        precision="mixed_bfloat16",
        schedule="constant",
        epochs=3,
        steps_per_epoch=15,
        batch_size=8,
        learning_rate=3e-2,
    )
    assert result.history[-1]["val_rmse_hidden"] < 0.35
    assert result.history[0]["val_rmse_hidden_mean"] > 0.7
    model = load_preset(result.preset, Reconstructor, dtype="float32")
    assert all(weight.dtype == np.float32 for weight in model.get_weights())
    # The golden values were made by a float32 model, like these.
    assert golden_difference(result.preset, model) < 1e-6
    best = result.history[result.best_epoch - 1]
    rounding = abs(best["val_rmse_hidden"] - result.scores["validation"]["rmse_hidden"])
    assert 0 < rounding < 0.02


def test_light_curves_in_memory_without_other_splits(survey, tmp_path):
    said = []
    curves = {"train": list(read_records(survey, split="train"))}
    result = pretrain(
        curves, tmp_path / "run", config=CONFIG, epochs=1, report=said.append, **QUICK
    )
    assert result.monitor == "rmse_hidden"
    assert result.scores == {}
    assert sum("There is no split" in line for line in said) == 2
    assert "## Scores" not in (tmp_path / "run" / "README.md").read_text()


def test_run_may_start_from_a_preset(run, survey, tmp_path):
    result, _ = run
    other = pretrain(
        survey,
        tmp_path / "run",
        preset=result.preset,
        epochs=1,
        schedule="constant",
        warmup_steps=0,
        batch_size=8,
        learning_rate=1e-12,
    )
    # A step of almost nothing: the weights are where the preset's were.
    for a, b in zip(weights_of(other.preset), weights_of(result.preset), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    stored = RunFolder(other.folder).read_config()
    checksum = describe_preset(result.preset).metadata["weights_sha256"]
    assert stored["model"]["start"] == {"preset": "preset", "sha256": checksum}
    assert EncoderConfig.from_dict(stored["model"]["encoder"]) == CONFIG


@pytest.mark.parametrize("name", [None, "astromer2"])
def test_encoder_is_named_and_told_in_a_file(survey, tmp_path, name):
    path = tmp_path / "run.toml"
    path.write_text(
        """
        batch_size = 22
        steps_per_epoch = 1
        epochs = 1
        [encoder]
        name = "astromer1"
        num_layers = 1
        hidden_dim = 8
        head_dim = 4
        window_size = 8
        """
    )
    # A name wins over that of the file, and nothing else is lost.
    pretrain(survey, tmp_path / "run", options=path, config=name)
    stored = RunFolder(tmp_path / "run").read_config()
    expected = EncoderConfig.from_name(
        name or "astromer1", num_layers=1, hidden_dim=8, head_dim=4, window_size=8
    )
    assert EncoderConfig.from_dict(stored["model"]["encoder"]) == expected


# --- Refusals


def test_loss_that_is_no_number_names_the_objects(tmp_path):
    curves = [
        LightCurve(c.time, c.mag, c.mag_err, object_id=c.object_id, passband="R")
        for c in make_curves(9)
    ]
    # A magnitude that no star has, no light curve may have, and no float32 its square.
    broken = np.where(np.arange(len(curves[4])) == 3, 1e25, curves[4].mag)
    object.__setattr__(curves[4], "mag", broken.astype(np.float32))
    with pytest.raises(
        RunError, match=r"no longer a number.*epoch 1, batch \d.*star04"
    ):
        pretrain(
            {"train": curves}, tmp_path / "run", config=CONFIG, epochs=9, batch_size=9
        )


def test_run_that_ended_before_its_first_checkpoint_wants_its_preset(
    run, survey, tmp_path, monkeypatch
):
    result, _ = run
    folder = RunFolder(tmp_path / "run")
    plan, _, _ = asked(monkeypatch, survey, folder.path, preset=result.preset)
    folder.begin(plan)
    with pytest.raises(RunError, match=r"before its first checkpoint.*preset preset"):
        pretrain(survey, folder.path, resume=True)
    again, _, model = asked(
        monkeypatch, survey, folder.path, preset=result.preset, resume=True
    )
    assert again == plan
    for a, b in zip(model.get_weights(), weights_of(result.preset), strict=True):
        np.testing.assert_array_equal(a, b)


def test_preset_and_config_exclude_each_other(run, survey, tmp_path):
    result, _ = run
    with pytest.raises(ConfigError, match="preset has its own architecture"):
        pretrain(survey, tmp_path / "run", preset=result.preset, config="astromer1")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch_size": 50}, ConfigError, "batch_size=50, 22 light curves"),
        ({"epoch": 3}, ConfigError, 'Did you mean "epochs"'),
        ({"config": "astromer3"}, ConfigError, "astromer3"),
        ({"monitor": "val_rmse_hiden"}, ConfigError, 'Did you mean "val_rmse_hidden"'),
        ({"strategy": "one", "devices": "CPU:7"}, ConfigError, 'device="CPU:7"'),
        ({"preset": "no such"}, LookupError, "no such"),
    ],
)
def test_run_that_cannot_begin_leaves_no_folder(
    survey, tmp_path, changes, error, message
):
    options = {"config": None if "preset" in changes else CONFIG, **QUICK}
    with pytest.raises(error, match=message):
        pretrain(survey, tmp_path / "run", **{**options, **changes})
    assert not (tmp_path / "run").exists()


def test_records_without_a_split_to_train_on_are_refused(tmp_path):
    write_records(tmp_path / "records", make_curves(4))
    with pytest.raises(RecordError, match=r"no split `train`.*splits all"):
        pretrain(tmp_path / "records", tmp_path / "run")


def test_other_light_curves_are_not_gone_on_with(run, tmp_path):
    result, _ = run
    with pytest.raises(RunError, match=r"data\.light_curves"):
        pretrain({"train": make_curves(9)}, result.folder, resume=True)


def test_labels_are_not_needed(tmp_path):
    curves = [
        LightCurve(c.time, c.mag, c.mag_err, object_id=c.object_id, passband="R")
        for c in make_curves(8)
    ]
    result = pretrain(
        {"train": curves}, tmp_path / "run", config=CONFIG, epochs=1, batch_size=8
    )
    assert result.steps == 1


def test_learning_curves_give_a_loss_the_unit_that_it_has():
    labels = {loss: panels_of(loss)["loss"] for loss in ("released", "paper", "scaled")}
    assert labels == {"released": "loss [mag]", "paper": "loss [mag]", "scaled": "loss"}


def test_metadata_that_are_not_json_are_refused_before_the_run(tmp_path):
    with pytest.raises(ConfigError, match=r"plain JSON values.*ndarray"):
        pretrain(tmp_path, tmp_path / "run", metadata={"a": np.zeros(2)})
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_run_on_pytorch_ends_with_a_preset(survey, tmp_path):
    pytest.importorskip("torch")
    script = (
        "import sys; from astromer.training import pretrain; "
        "pretrain(sys.argv[1], sys.argv[2], config=dict(num_layers=1, num_heads=1, "
        "head_dim=4, hidden_dim=4, intermediate_dim=4, window_size=8), epochs=1, "
        "steps_per_epoch=2, batch_size=8)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(survey), str(tmp_path / "run")],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert describe_preset(tmp_path / "run" / "preset").num_parameters > 0
