"""Whole runs of two workers that talk over loopback, and one of them killed."""

import json
import re
import signal

import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError, RunError
from astromer.models import Reconstructor
from astromer.pipeline import load_dataset
from astromer.presets import load_preset
from astromer.training import PretrainOptions, pretrain, run
from astromer.training.checkpoints import read_checkpoint
from astromer.training.data import RunData, Splits, train_stream
from astromer.training.run_folder import RunFolder, RunPlan
from astromer.training.strategy import make_strategy
from astromer.training.workers import Workers
from tests.models.windows import tiny_config
from tests.training import worker_run
from tests.training.conftest import make_curves
from tests.training.test_cluster import WAIT_S, finish, start_two_workers

MODULE = "tests.training.worker_run"
TWO = ("host0:1", "host1:1")


def run_two(*arguments, codes=(0, 0)):
    """Run two workers to their end; return what they print and their error output."""
    processes, _ = start_two_workers(*arguments, module=MODULE)
    results = finish(processes)
    for (_, err, code), expected in zip(results, codes, strict=True):
        assert code == expected, err[-4_000:]
    return [(json.loads(out) if out else None, err) for out, err, _ in results]


def weights_of(folder):
    return load_preset(RunFolder(folder).preset, Reconstructor).get_weights()


@pytest.fixture(scope="module")
def whole(survey, tmp_path_factory):
    """A run of two workers with dropout that nothing interrupts."""
    out = tmp_path_factory.mktemp("two") / "whole"
    return out, run_two(survey, out, 0.2)


@pytest.mark.slow
@pytest.mark.timeout(4 * WAIT_S)
def test_two_workers_train_as_one_process(survey, tmp_path, monkeypatch):
    found = run_two(survey, tmp_path / "two", 0.0)

    def joined(data, start_batch=0):
        parts = [
            load_dataset(
                survey,
                split="train",
                repeat=True,
                start_batch=start_batch,
                batch_size=4,
                seed=data.options.seed,
                shard=(index, 2),
                **data.window_options(),
            )
            for index in (0, 1)
        ]
        return tf.data.Dataset.zip(*parts).map(
            lambda *both: tf.nest.map_structure(lambda *v: tf.concat(v, 0), *both)
        )

    monkeypatch.setattr(run, "train_stream", joined)
    config = worker_run.config(0.0)
    one = pretrain(survey, tmp_path / "one", config=config, **worker_run.OPTIONS)
    for worker, _ in found:
        for row, expected in zip(worker["history"], one.history, strict=True):
            assert row == pytest.approx(expected, rel=1e-4)
        for split, scores in one.scores.items():
            assert worker["scores"][split] == pytest.approx(scores, rel=1e-4)
    start = Reconstructor(config, seed=0).get_weights()
    moved = 0.0
    for weight, expected, before in zip(
        weights_of(tmp_path / "two"), weights_of(tmp_path / "one"), start, strict=True
    ):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-5)
        moved = max(moved, np.abs(expected - before).max())
    assert moved > 1e-2


@pytest.mark.slow
@pytest.mark.timeout(4 * WAIT_S)
def test_only_the_chief_writes_and_reports(whole):
    out, ((chief, err), (other, _)) = whole
    assert re.search(r"2 devices of 2 workers", chief["said"][0])
    assert len(other["said"]) == 1
    assert re.fullmatch(
        r"This is worker 1 \(.*\); worker 0 \(.*\) writes and reports\.",
        other["said"][0],
    )
    assert "retracing" not in err
    assert chief["history"] == other["history"]
    assert chief["scores"] == other["scores"]
    written = {path.name for path in out.iterdir()}
    assert {"config.json", "metrics.csv", "preset", "result.json"} <= written
    for part in (out / "tensorboard").iterdir():
        assert len(list(part.iterdir())) == 1
    stored = json.loads(RunFolder(out).config.read_text())
    assert stored["options"]["strategy"] == "multiworker"
    assert stored["data"]["workers"] == 2
    assert json.loads(RunFolder(out).result.read_text())["energy"]["hosts"] == 2


@pytest.mark.slow
@pytest.mark.timeout(4 * WAIT_S)
def test_killed_worker_leaves_a_checkpoint_from_which_both_go_on(
    whole, survey, tmp_path
):
    out = tmp_path / "killed"
    # In the middle of the second epoch of three steps.
    (told, _), _ = run_two(survey, out, 0.2, 4, codes=(3, -signal.SIGKILL))
    last = RunFolder(out).last
    checkpoint = read_checkpoint(last)
    assert checkpoint.state["step"] == 4
    assert "metrics" not in checkpoint.groups
    assert re.search(
        rf"worker 1 \(.*\) does not answer.*That is {re.escape(str(last))}, after batch "
        "4; `--resume` in the command of every worker",
        told["message"],
    )

    (chief, _), (other, _) = run_two(survey, out, 0.2, "resume")
    assert "Resumed after epoch 1, batch 4." in chief["said"]
    assert chief["steps"] == other["steps"] == 6
    expected, ((uncut, _), _) = whole
    for weight, other_weight in zip(weights_of(out), weights_of(expected), strict=True):
        np.testing.assert_allclose(weight, other_weight, rtol=1e-6, atol=1e-7)
    first, second = chief["history"]
    assert first == pytest.approx(uncut["history"][0], rel=1e-6)
    validation = {k: v for k, v in uncut["history"][1].items() if k.startswith("val_")}
    assert {k: second[k] for k in validation} == pytest.approx(validation, rel=1e-6)
    # The second epoch's own scores are of what was left of it.
    assert second["loss"] != pytest.approx(uncut["history"][1]["loss"], rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(4 * WAIT_S)
def test_signal_to_one_worker_ends_all_with_a_checkpoint(whole, survey, tmp_path):
    out = tmp_path / "stopped"
    told = run_two(survey, out, 0.2, 2, "SIGTERM", codes=(3, 3))
    for worker, _ in told:
        assert re.match(
            r"Interrupted after batch \d, and saved\. Resume the run on all workers",
            worker["message"],
        )
    step = read_checkpoint(RunFolder(out).last).state["step"]
    # They agree on the end in one of the next steps.
    assert step in (2, 3)
    (chief, _), _ = run_two(survey, out, 0.2, "resume")
    assert f"Resumed after epoch {step // 3}, batch {step}." in chief["said"]
    for weight, other in zip(weights_of(out), weights_of(whole[0]), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.timeout(4 * WAIT_S)
def test_loss_that_is_no_number_ends_all_workers_each_with_its_objects(
    survey, tmp_path
):
    out = tmp_path / "diverged"
    told = run_two(survey, out, 0.0, "nan", codes=(3, 3))
    named = []
    for worker, _ in told:
        message = worker["message"]
        assert "no longer a number" in message
        assert "of this worker; the others name theirs" in message
        named.append(set(re.findall(r"star\d\d", message)))
    assert all(len(names) in (2, 4) for names in named)
    assert not named[0] & named[1]
    assert RunFolder(out).last.is_file()


def make_data(records, index=0, task="pretrain", **options):
    return RunData(
        splits=Splits.open(records),
        options=PretrainOptions(
            **{"batch_size": 8, "strategy": "multiworker", **options}
        ),
        encoder=tiny_config(),
        task=task,
        workers=Workers(TWO, index),
    )


def test_parts_of_workers_are_counted(survey):
    data = make_data(survey)
    # Files of 14 and 8 light curves, in batches of 4: passes of four batches and of two.
    assert data.parts == [14, 8]
    assert data.batches_per_pass == 3
    assert [data.windows_until(n) for n in range(6)] == [0, 8, 16, 24, 30, 38]
    for index in (0, 1):
        part = make_data(survey, index)
        sizes = [len(i["mag"]) for i, _ in train_stream(part).take(4)]
        assert sizes == [[4, 4, 4, 2], [4, 4, 4, 4]][index]
        rest = next(iter(train_stream(part, 2)))[0]["mag"]
        *_, third = (inputs["mag"] for inputs, _ in train_stream(part).take(3))
        np.testing.assert_array_equal(rest, third)
        assert len(part.object_ids(3)) == sizes[3]
    assert not {*make_data(survey).object_ids(0)} & {
        *make_data(survey, 1).object_ids(0)
    }
    assert make_data({"train": make_curves(23)}).parts == [12, 11]
    assert data.to_dict()["workers"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9}, r"same share.*batch_size=9 for 2 workers.*multiple of 2"),
        ({"batch_size": 20}, r"batch_size=20 for workers with 14, 8 light curves"),
        ({"task": "classify"}, r'a classifier is trained on one host.*"classify"'),
    ],
)
def test_what_workers_cannot_share_is_refused(survey, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_data(survey, **changes).check()


def test_workers_need_files_of_their_own(survey):
    data = make_data(survey, batch_size=6)
    data = RunData(
        splits=data.splits,
        options=data.options,
        encoder=data.encoder,
        workers=Workers((*TWO, "host2:1")),
    )
    with pytest.raises(ConfigError, match="2 files to train on for 3 workers"):
        data.check()


def test_one_worker_is_none(monkeypatch):
    task = {"type": "worker", "index": 0}
    text = json.dumps({"cluster": {"worker": ["localhost:1"]}, "task": task})
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="two workers or more"):
        make_strategy("multiworker")


def test_hosts_take_all_their_devices():
    with pytest.raises(ConfigError, match="with all of their devices"):
        make_strategy("multiworker", 2)


def test_run_of_another_number_of_workers_is_refused(survey, tmp_path):
    folder = RunFolder(tmp_path)
    two, one = (
        RunPlan(kind="pretrain", options=d.options, model={}, data=d.to_dict())
        for d in (
            make_data(survey),
            RunData(
                splits=Splits.open(survey),
                options=PretrainOptions(batch_size=8),
                encoder=tiny_config(),
            ),
        )
    )
    folder.begin(two)
    folder.compare(two)
    with pytest.raises(RunError, match=r"data\.workers=1, begun with 2"):
        folder.compare(one)
