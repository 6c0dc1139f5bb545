import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from astromer.training.strategy import num_replicas, sum_over_replicas

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def results():
    """What `replicas.py` prints, by number of replicas and case."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.replicas"],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout)


CASES = ["SGD released", "Adam paper"]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("case", CASES)
def test_two_replicas_train_as_one_device(results, case):
    one, two = results["one"][case], results["two"][case]
    assert two["start"] == one["start"]
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5, abs=1e-6)
    moved = [abs(a - b) for a, b in zip(one["start"], one["weights"], strict=True)]
    assert max(moved) > 1e-2


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("case", "when"),
    [
        ("SGD released", "training"),
        ("Adam paper", "training"),
        ("SGD released", "scores"),
    ],
)
def test_two_replicas_report_the_loss_and_scores_of_one_device(results, case, when):
    one, two = results["one"][case][when], results["two"][case][when]
    assert set(one) == {"loss", "r2_hidden", "rmse_hidden", "rmse_valid"}
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_sums_run_over_replicas(results):
    # Two from each, divided by their number.
    assert results["one"]["means"] == [2.0]
    assert results["two"]["means"] == [2.0, 2.0]


def test_without_strategy_a_step_has_one_replica():
    assert num_replicas() == 1
    assert sum_over_replicas(3.0) == 3.0
