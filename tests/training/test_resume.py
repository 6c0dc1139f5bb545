"""Runs of pretraining in parts, against one in a piece: equal to the last bit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from astromer.models import Reconstructor
from astromer.presets import load_preset
from astromer.training import pretrain
from astromer.training.checkpoints import read_checkpoint
from astromer.training.run_folder import RunFolder
from tests.models.windows import tiny_config

ROOT = Path(__file__).resolve().parents[2]

CONFIG = tiny_config(num_layers=1, dropout=0.2)
OPTIONS = {
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "checkpoint_steps": 1,
    "seed": 2,
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def whole(survey, tmp_path_factory):
    """Four epochs in a piece."""
    out = tmp_path_factory.mktemp("resume") / "whole"
    return pretrain(survey, out, config=CONFIG, **OPTIONS).folder


def variables(path):
    """Return the variables of a checkpoint by group; the state without its times."""
    checkpoint = read_checkpoint(path)
    times = ("seconds", "cpu_seconds")
    state = {name: v for name, v in checkpoint.state.items() if name not in times}
    groups = {
        group: [values for _, values in arrays]
        for group, arrays in checkpoint.groups.items()
    }
    return groups, state


def assert_same_run(one, two):
    one, two = RunFolder(one), RunFolder(two)
    assert one.metrics.read_bytes() == two.metrics.read_bytes()
    for name in ("last", "best"):
        (first, state), (second, state2) = (
            variables(getattr(folder, name)) for folder in (one, two)
        )
        assert state == state2
        assert {g: len(v) for g, v in first.items()} == {
            g: len(v) for g, v in second.items()
        }
        for group, values in first.items():
            for a, b in zip(values, second[group], strict=True):
                np.testing.assert_array_equal(a, b)
    models = [load_preset(folder.preset, Reconstructor) for folder in (one, two)]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_and_two_epochs_are_four(survey, tmp_path, whole):
    out = tmp_path / "run"
    parts = {**OPTIONS, "epochs": 2, "decay_epochs": 4}
    first = pretrain(survey, out, config=CONFIG, **parts)
    assert first.epochs == 2
    # What is not given is taken from the run.
    second = pretrain(survey, out, resume=True, epochs=4)
    assert (second.epochs, second.steps) == (4, 12)
    assert_same_run(out, whole)


@pytest.mark.parametrize("when", ["batch", "write"])
def test_killed_run_ends_as_if_it_had_not_been(survey, tmp_path, whole, when):
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.killed", survey, out, when],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-4_000:]
    folder = RunFolder(out)
    state = read_checkpoint(folder.last).state
    if when == "batch":
        # Killed after the fifth batch, before it was saved.
        assert state["step"] == 4
    else:
        # A file is there that was not finished, and will be written over.
        assert list(out.glob("**/.*.tmp"))
        assert 0 < state["step"] < 12
    said = []
    pretrain(survey, out, resume=True, report=said.append)
    assert any(line.startswith("Resumed after epoch") for line in said)
    assert not list(out.glob("**/.*.tmp"))
    assert_same_run(out, whole)
