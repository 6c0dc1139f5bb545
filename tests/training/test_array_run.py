"""Whole runs on JAX, without TensorFlow."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from astromer.models import Reconstructor
from astromer.presets import load_preset
from astromer.training.run_folder import RunFolder
from tests.training.test_run import assert_same_run

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def runs(survey, tmp_path_factory):
    """Folder of the runs, and what `array_run.py` prints."""
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("arrays")
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.array_run", str(survey), str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    *printed, results = done.stdout.splitlines()
    return folder, json.loads(results), "\n".join(printed) + done.stderr


def rows_of(folder):
    with open(RunFolder(folder).metrics, newline="") as stream:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]


def test_command_trains_on_jax_without_tensorflow(runs):
    folder, results, printed = runs
    assert results["code"] == 0
    assert results["backend"] == "jax"
    assert "3 batches of 8 in an epoch, 2 devices" in printed
    assert "Preset: " in printed
    whole = RunFolder(folder / "whole")
    stored = json.loads(whole.config.read_text())
    assert stored["data"]["drawn_by"] == "numpy"
    assert {"jax", "keras"} <= set(stored["versions"])
    assert "tensorflow" not in stored["versions"]
    assert any(whole.tensorboard.rglob("events.out.tfevents.*"))
    # The preset is one for every backend.
    weights = load_preset(whole.preset, Reconstructor).get_weights()
    assert all(np.isfinite(weight).all() for weight in weights)
    assert [row["step"] for row in rows_of(folder / "whole")] == [3, 6]


def test_resumed_runs_are_those_that_were_not_interrupted(runs):
    folder, results, _ = runs
    assert_same_run(folder / "parts", folder / "whole")
    assert re.match("Interrupted after batch 4, and saved", results["interrupted"])
    assert_same_run(folder / "cut", folder / "whole")


def test_one_device_trains_as_two(runs):
    folder, results, _ = runs
    for row, expected in zip(results["one"], rows_of(folder / "whole"), strict=True):
        assert row == pytest.approx(expected, rel=1e-3)


def test_what_devices_cannot_share_is_refused(runs):
    _, results, _ = runs
    assert re.search("batch_size=9 for 2 devices. Use a multiple", results["uneven"])
    assert re.search("There are no such devices.*devices=3", results["three"])
    assert re.search("Several hosts are for TensorFlow", results["hosts"])


def test_loss_that_is_no_number_names_the_objects(runs):
    _, results, _ = runs
    assert "no longer a number" in results["bad"]
    named = re.search(r"with the objects (.*?)\. Look", results["bad"])[1]
    assert sorted(named.split(", ")) == results["bad ids"]
