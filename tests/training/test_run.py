"""The room itself, with a small classifier in it: any Keras model is trained alike."""

import json
import re
import resource
import shutil
import signal
import time

import keras
import numpy as np
import pytest

from astromer.errors import ConfigError, RecordError, RunError
from astromer.records import Manifest
from astromer.training import TrainingOptions
from astromer.training.callbacks import (
    RunCallback,
    RunState,
    stop_requests,
)
from astromer.training.checkpoints import read_checkpoint
from astromer.training.data import RunData, Splits, fixed_batches
from astromer.training.run import run_training
from astromer.training.run_folder import RunFolder, RunPlan
from tests.models.windows import tiny_config
from tests.training.conftest import make_curves

CURVES = {
    "train": make_curves(22),
    "validation": make_curves(30)[22:],
    "test": make_curves(36)[30:],
}
STEPS = 3
"""Batches of an epoch: 8, 8 and 6 of 22."""


def build_classifier(learning_rate=0.05, units=8):
    """Return a maker of a seeded, compiled model whose metrics are given by name."""

    def build(steps_per_epoch):
        assert steps_per_epoch == STEPS
        dtypes = {"valid": "bool", "hidden": "bool"}
        inputs = {
            name: keras.Input((8,), dtype=dtypes.get(name, "float32"), name=name)
            for name in ("time", "mag", "valid", "hidden")
        }

        def dense(size, seed):
            initializer = keras.initializers.GlorotUniform(seed=seed)
            return keras.layers.Dense(size, kernel_initializer=initializer)

        x = keras.ops.relu(dense(units, 1)(inputs["mag"]))
        x = keras.layers.Dropout(0.3, seed=2)(x)
        model = keras.Model(inputs, dense(2, 3)(x))
        model.compile(
            keras.optimizers.Adam(learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            # Tracing takes longer than this model runs.
            run_eagerly=True,
        )
        return model

    return build


def train(
    path, *, resume=False, build=None, curves=CURVES, monitor="val_accuracy", **options
):
    """Run the room; everything that is not an option of the run has a default."""
    settings = {name: options.pop(name) for name in list(options) if name in HOW}
    chosen = TrainingOptions(**{"batch_size": 8, "monitor": monitor, **options})
    splits = Splits.open(curves)
    data = RunData(
        splits=splits, options=chosen, encoder=tiny_config(), task="classify"
    )
    return run_training(
        RunFolder.open(path, "classify", resume=resume),
        RunPlan(kind="classify", options=chosen, model={}, data=splits.to_dict()),
        data,
        build or build_classifier(),
        shown={"loss": "loss", "accuracy": "accuracy"},
        **settings,
    )


HOW = ("constants", "progress", "report")


def interrupt_at(step, number=signal.SIGINT):
    """Return a progress that sends a signal to this process after so many batches."""
    calls = []

    def progress(stage, done, total, unit, detail=""):
        if "loss" in detail:
            calls.append(done)
            if len(calls) == step:
                signal.raise_signal(number)

    return progress


def assert_same_run(one, two):
    """Compare all that two runs have left: scores and variables, bit by bit."""
    one, two = RunFolder(one), RunFolder(two)
    assert one.metrics.read_bytes() == two.metrics.read_bytes()
    for name in ("last", "best"):
        first = read_checkpoint(getattr(one, name))
        second = read_checkpoint(getattr(two, name))
        for state in (first.state, second.state):
            state.pop("seconds", None)
            state.pop("cpu_seconds", None)
        assert first.state == second.state
        assert list(first.groups) == list(second.groups)
        for group, arrays in first.groups.items():
            for (_, a), (_, b) in zip(arrays, second.groups[group], strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of four epochs that nothing interrupts."""
    path = tmp_path_factory.mktemp("run") / "whole"
    return path, train(path, epochs=4)


def test_run_trains_scores_and_saves(whole):
    trained = whole[1]
    state = trained.state
    assert (state.epoch, state.step) == (4, 12)
    assert [row["step"] for row in state.rows] == [3, 6, 9, 12]
    assert set(state.rows[0]) == {
        "epoch", "step", "learning_rate",
        "loss", "accuracy", "val_loss", "val_accuracy",
    }  # fmt: skip
    assert not trained.is_out_of_patience
    assert state.seconds > 0
    assert 0 < trained.energy.energy < 1e-2


def test_running_time_counts_what_comes_before_training(tmp_path):
    build = build_classifier()

    def build_slowly(steps):
        time.sleep(1.0)
        return build(steps)

    state = train(tmp_path / "run", epochs=1, build=build_slowly).state
    assert state.seconds >= 1.0


def test_weights_are_those_of_the_best_epoch(tmp_path):
    # A rate at which the score goes up and down.
    trained = train(tmp_path / "run", epochs=5, build=build_classifier(0.5))
    state = trained.state
    scores = [row["val_accuracy"] for row in state.rows]
    assert state.best == max(scores)
    # The first of equals.
    assert state.best_epoch == scores.index(max(scores)) + 1
    options = TrainingOptions(batch_size=8)
    data = RunData(
        splits=Splits.open(CURVES),
        options=options,
        encoder=tiny_config(),
        task="classify",
    )
    found = trained.model.evaluate(
        fixed_batches(data, "validation"), verbose=0, return_dict=True
    )
    assert found["accuracy"] == state.best
    assert found["loss"] == pytest.approx(state.rows[state.best_epoch - 1]["val_loss"])
    assert min(scores) < state.best


@pytest.mark.parametrize("step", [1, 5, 6])
def test_interrupted_run_ends_as_if_it_had_not_been(tmp_path, whole, step):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt, match=f"after batch {step}, and saved"):
        train(path, epochs=4, progress=interrupt_at(step))
    assert read_checkpoint(RunFolder(path).last).state["step"] == step
    lines = []
    train(path, epochs=4, resume=True, report=lines.append)
    assert f"Resumed after epoch {step // 3}, batch {step}." in lines
    assert_same_run(path, whole[0])


def test_two_and_two_epochs_are_four(tmp_path, whole):
    path = tmp_path / "run"
    train(path, epochs=2)
    train(path, epochs=4, resume=True)
    assert_same_run(path, whole[0])


def test_finished_run_is_not_trained_further(tmp_path, whole):
    path, trained = whole
    before = RunFolder(path).last.read_bytes()
    again = train(path, epochs=4, resume=True)
    assert RunFolder(path).last.read_bytes() == before
    assert again.state == trained.state
    for a, b in zip(
        again.model.get_weights(), trained.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


NOTHING_LEFT = (
    "1 epoch is complete, as many as asked for: nothing is trained; epoch 2, 2 batches "
    "old, waits for a longer run."
)


@pytest.mark.parametrize(("epochs", "expected"), [(1, NOTHING_LEFT), (4, None)])
def test_run_of_fewer_epochs_leaves_the_one_that_was_begun(
    tmp_path, whole, epochs, expected
):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt, match="after batch 5"):
        train(path, epochs=4, progress=interrupt_at(5))
    last = RunFolder(path).last.read_bytes()
    lines = []
    trained = train(path, epochs=epochs, resume=True, report=lines.append)
    assert trained.state.epoch == epochs
    assert (expected in lines) == (expected is not None)
    assert not any(line.startswith("Epoch 2 of 1") for line in lines)
    if expected:
        assert RunFolder(path).last.read_bytes() == last
        # The longer run then is what it would have been.
        train(path, epochs=4, resume=True)
    assert_same_run(path, whole[0])


def test_run_of_fewer_epochs_than_are_complete_says_so(tmp_path):
    train(tmp_path / "run", epochs=2)
    lines = []
    train(tmp_path / "run", epochs=1, resume=True, report=lines.append)
    assert (
        "2 epochs are complete, more than the 1 asked for: nothing is trained." in lines
    )


def test_folder_in_which_another_process_trains_is_refused(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.claim(), pytest.raises(RunError, match="another is training"):
        train(folder.path, epochs=1)
    assert not folder.config.exists()
    assert train(folder.path, epochs=1).state.epoch == 1


def test_kill_by_the_scheduler_is_a_stop_with_a_checkpoint(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt, match="after batch 2"):
        train(path, epochs=4, progress=interrupt_at(2, signal.SIGTERM))
    assert read_checkpoint(RunFolder(path).last).state["step"] == 2


@pytest.fixture
def python_handles_signals():
    """Shells start jobs in the background with an interrupt ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handles_signals")
def test_second_signal_does_not_wait():
    with stop_requests() as request:
        signal.raise_signal(signal.SIGINT)
        assert request.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    # Python's own handler is back.
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("parts", [[8], [2, 8], [2, 3, 8]])
def test_patience_is_counted_over_all_parts_of_a_run(tmp_path, parts):
    # A rate of nothing: no epoch is better than the first.
    for number, epochs in enumerate(parts):
        trained = train(
            tmp_path / "run",
            build=build_classifier(learning_rate=0.0),
            epochs=epochs,
            patience=2,
            resume=number > 0,
        )
    assert trained.is_out_of_patience
    assert (trained.state.epoch, trained.state.best_epoch) == (3, 1)


def test_patience_none_goes_on(tmp_path):
    build = build_classifier(learning_rate=0.0)
    trained = train(tmp_path / "run", build=build, epochs=4, patience=None)
    assert trained.state.epoch == 4
    assert not trained.is_out_of_patience


def test_loss_that_is_no_number_names_the_objects(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(RunError, match="no longer a number") as caught:
        train(path, epochs=2, build=build_classifier(learning_rate=1e38))
    message = str(caught.value)
    step = int(message.split("batch ")[1].split(",", maxsplit=1)[0])
    assert step > 0
    data = RunData(
        splits=Splits.open(CURVES),
        options=TrainingOptions(batch_size=8),
        encoder=tiny_config(),
        task="classify",
    )
    ids = data.object_ids(step)
    assert f"with the objects {', '.join(ids)}" in message
    # What was saved is from before.
    for _, values in read_checkpoint(RunFolder(path).last).groups["model"]:
        assert np.isfinite(values).all()


def test_full_disk_leaves_the_last_checkpoint(tmp_path, whole):
    path = tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(stage, done, total, unit, detail=""):
        if done > 22:
            # No file may grow beyond so many bytes, as if there were no more.
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(
            RunError, match=r"disk is full\..*last checkpoint is intact"
        ):
            train(path, epochs=4, checkpoint_steps=1, progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert read_checkpoint(RunFolder(path).last).state["step"] == STEPS
    train(path, epochs=4, checkpoint_steps=1, resume=True)
    assert_same_run(path, whole[0])


def test_damaged_record_is_a_sentence(tmp_path, survey):
    records = tmp_path / "records"
    shutil.copytree(survey, records)
    shard = Manifest.load(records).shard_paths("train")[0]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(RecordError, match=r"record is damaged.*`astromer verify`"):
        train(tmp_path / "run", curves=records, epochs=1)


def test_run_without_validation_says_so_and_watches_training(tmp_path):
    lines = []
    trained = train(
        tmp_path / "run",
        curves={"train": CURVES["train"]},
        epochs=2,
        report=lines.append,
        constants=lambda: pytest.fail("there is nothing to compare with"),
    )
    assert trained.monitor == "accuracy"
    assert trained.state.best == max(row["accuracy"] for row in trained.state.rows)
    assert any("no split `validation`" in line and "accuracy" in line for line in lines)
    assert any("no split `test`" in line for line in lines)
    assert not any(name.startswith("val_") for name in trained.state.rows[0])


def test_report_tells_what_there_is_and_every_epoch(tmp_path):
    lines = []
    train(tmp_path / "run", epochs=2, report=lines.append)
    assert lines[0] == (
        "22 light curves to train on, 8 to validate, 6 to test; 3 batches of 8 in an "
        "epoch, one device."
    )
    assert re.fullmatch(
        r"Epoch 1 of 2: loss \d\.\d{4}, accuracy 0\.\d{4}, validation loss \d\.\d{4}, "
        r"validation accuracy 0\.\d{4} \(best so far\)",
        lines[1],
    )
    assert lines[-1].startswith("Scores epoch ")


def test_progress_counts_windows_and_shows_scores(tmp_path):
    calls = []
    train(tmp_path / "run", epochs=2, progress=lambda *call: calls.append(call))
    assert {call[:1] + call[2:4] for call in calls} == {("train", 44, "windows")}
    batches = [call for call in calls if "loss" in call[4]]
    assert [call[1] for call in batches] == [8, 16, 22, 30, 38, 44]
    assert batches[-1][4].startswith("epoch 2 of 2, loss ")
    assert ", accuracy 0." in batches[-1][4]
    others = [call[4] for call in calls if "loss" not in call[4]]
    assert others == [
        "epoch 1 of 2, starts", "epoch 1 of 2, validates", "epoch 2 of 2, validates"
    ]  # fmt: skip


def test_constants_stand_in_every_row_and_are_found_once(tmp_path):
    calls = []

    def constants():
        calls.append(1)
        return {"accuracy_guess": 0.5}

    train(tmp_path / "run", epochs=1, constants=constants)
    trained = train(tmp_path / "run", epochs=2, constants=constants, resume=True)
    assert [row["val_accuracy_guess"] for row in trained.state.rows] == [0.5, 0.5]
    assert len(calls) == 1


@pytest.mark.parametrize("monitor", ["val_acuracy", "val_f1"])
def test_score_to_monitor_must_exist(tmp_path, monitor):
    with pytest.raises(ConfigError, match=f'monitor="{monitor}".*val_accuracy'):
        train(tmp_path / "run", epochs=1, monitor=monitor)


def test_steps_of_an_epoch_may_be_other_than_a_pass(tmp_path):
    def build(steps_per_epoch):
        assert steps_per_epoch == 5
        return build_classifier()(STEPS)

    trained = train(tmp_path / "run", epochs=2, steps_per_epoch=5, build=build)
    assert trained.state.step == 10


def test_checkpoints_are_written_every_so_many_steps(tmp_path, monkeypatch):
    saved = []
    save = RunCallback.save

    def record(callback):
        save(callback)
        saved.append(callback.state.step)

    monkeypatch.setattr(RunCallback, "save", record)
    train(tmp_path / "steps", epochs=2, checkpoint_steps=2)
    # At the start, in mid-epoch, and at each end.
    assert saved == [0, 2, 3, 5, 6]
    saved.clear()
    lines = []
    train(tmp_path / "minutes", epochs=1, checkpoint_minutes=1e-9, report=lines.append)
    assert saved == [0, 1, 2, 3]
    # A log tells of them, too, so that long epochs are not silent.
    told = [line for line in lines if line.endswith("; saved")]
    assert [line.split(":")[0] for line in told] == [
        "Epoch 1, batch 1 of 3", "Epoch 1, batch 2 of 3"
    ]  # fmt: skip


def test_resumed_run_counts_the_time_of_all_parts(tmp_path):
    train(tmp_path / "run", epochs=1)
    folder = RunFolder(tmp_path / "run")
    before = read_checkpoint(folder.last).state
    start = time.monotonic()
    after = train(tmp_path / "run", epochs=2, resume=True).state
    spent = time.monotonic() - start
    assert before["seconds"] < after.seconds < before["seconds"] + spent
    assert after.cpu_seconds > before["cpu_seconds"]


def test_state_of_another_model_is_refused(tmp_path):
    train(tmp_path / "run", epochs=1)
    with pytest.raises(RunError, match="is that of another model"):
        train(tmp_path / "run", epochs=2, resume=True, build=build_classifier(units=4))


def test_optimizer_of_another_model_is_refused(tmp_path):
    train(tmp_path / "run", epochs=1, monitor="val_loss")

    def build(steps_per_epoch):
        model = build_classifier()(steps_per_epoch)
        model.compile(keras.optimizers.SGD(0.1), model.loss, run_eagerly=True)
        return model

    with pytest.raises(RunError, match="optimizer is that of another model"):
        train(tmp_path / "run", epochs=2, resume=True, build=build, monitor="val_loss")


def test_other_versions_are_noticed(tmp_path):
    train(tmp_path / "run", epochs=1)
    folder = RunFolder(tmp_path / "run")
    stored = json.loads(folder.config.read_text())
    stored["versions"] |= {"keras": "2.0.0"}
    folder.write_json(folder.config, stored)
    lines = []
    train(tmp_path / "run", epochs=1, resume=True, report=lines.append)
    assert any(f"keras 2.0.0 -> {keras.__version__}" in line for line in lines)


@pytest.mark.parametrize(
    ("monitor", "best", "value", "better"),
    [
        ("val_loss", None, 3.0, True),
        ("val_loss", 3.0, 2.0, True),
        ("val_loss", 3.0, 3.0, False),
        ("val_accuracy", 0.5, 0.6, True),
        ("val_accuracy", 0.5, 0.4, False),
        ("val_loss", float("nan"), 9.0, True),
        ("val_loss", float("nan"), float("nan"), False),
        ("val_loss", 3.0, float("nan"), False),
        ("val_loss", None, float("nan"), True),
    ],
)
def test_score_is_better_or_not(monitor, best, value, better):
    callback = RunCallback.__new__(RunCallback)
    callback.monitor, callback.state = monitor, RunState(best=best)
    assert callback._is_better(value) is better
