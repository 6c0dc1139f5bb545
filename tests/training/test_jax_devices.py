import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.training.jax_devices import FixedBatches, share_batches
from tests.training import array_fit

ROOT = Path(__file__).resolve().parents[2]
TWO_DEVICES = "--xla_force_host_platform_device_count=2"


def run(backend, *arguments):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": TWO_DEVICES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """File of the weights that every run starts from."""
    path = tmp_path_factory.mktemp("jax") / "start.npz"
    weights = array_fit.make_model().get_weights()
    np.savez(path, **{f"{n:03d}": w for n, w in enumerate(weights)})
    return path


@pytest.fixture(scope="module")
def on_jax(start):
    """What training on JAX came to, without TensorFlow."""
    return run("jax", "-m", "tests.training.array_fit", start, 1, 2)


def assert_alike(found, expected, rel):
    assert found["weights"] == pytest.approx(expected["weights"], rel=rel, abs=rel / 10)
    assert found["history"].keys() == expected["history"].keys()
    for name, values in expected["history"].items():
        assert found["history"][name] == pytest.approx(values, rel=rel), name


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_two_devices_train_as_one(on_jax):
    assert on_jax["backend"] == "jax"
    assert on_jax["replicas"] == on_jax["devices"] == 2
    assert_alike(on_jax["2"], on_jax["1"], 1e-5)


@pytest.fixture(scope="module")
def on_tensorflow():
    """What the same training came to here, and the weights before it."""
    model = array_fit.make_model()
    before = np.concatenate([np.ravel(weight) for weight in model.get_weights()])
    result = array_fit.fit(model)
    moved = np.abs(np.subtract(result["weights"], before))
    assert moved.max() > 1e-2
    return result


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_jax_trains_as_tensorflow(on_jax, on_tensorflow):
    assert_alike(on_jax["1"], on_tensorflow, 1e-4)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_torch_trains_as_tensorflow(start, on_tensorflow):
    on_torch = run("torch", "-m", "tests.training.array_fit", start, 1)
    assert on_torch["backend"] == "torch"
    assert_alike(on_torch["1"], on_tensorflow, 1e-4)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_windows_that_devices_cannot_share_keep_their_labels(tmp_path):
    found = run("jax", "-m", "tests.training.array_classify", tmp_path)
    # The frozen encoder runs over nine windows, and so does the scorer.
    for row, expected in zip(found["run on 2"], found["run on 1"], strict=True):
        assert row == pytest.approx(expected, rel=1e-4)
    assert np.allclose(found["of two"], found["of all"], rtol=1e-5, atol=1e-6)


DEVICES_SCRIPT = """
import json
from astromer.errors import ConfigError
from astromer.training.jax_devices import share_batches

def ask(devices):
    try:
        return share_batches(devices).num_replicas_in_sync
    except ConfigError as error:
        return str(error)

asked = [None, 1, 2, ["CPU:1"], ["cpu:0", "cpu:1"], 3, ["GPU:0"], []]
print(json.dumps([ask(devices) for devices in asked]))
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_devices_are_chosen_by_number_or_name():
    *found, three, gpu, none = run("jax", "-c", DEVICES_SCRIPT)
    assert found == [2, 1, 2, 1, 2]
    there = "there are CPU:0, CPU:1."
    assert three == f"There are no such devices. Received: devices=3; {there}"
    assert gpu == f"There are no such devices. Received: devices=['GPU:0']; {there}"
    assert none == f"There are no such devices. Received: devices=[]; {there}"


def test_other_backends_are_refused():
    with pytest.raises(ConfigError, match=r'backend "tensorflow".*KERAS_BACKEND=jax'):
        share_batches(2)


def rows(batches):
    return [len(batches[k][0]["x"]) for k in range(len(batches))]


@pytest.mark.parametrize(
    ("number", "devices", "expected"),
    [
        (8, 1, [4, 4]),
        (9, 1, [4, 4, 1]),
        (10, 2, [4, 4, 2]),
        (9, 2, [1, 4, 4]),
        (3, 2, [3]),
    ],
)
def test_fixed_batches_hold_every_row_once(number, devices, expected):
    values = np.arange(number)
    batches = FixedBatches(({"x": values}, -values), 4, devices)
    assert rows(batches) == expected
    found = [list(batches) for _ in range(2)]
    for parts in found:
        whole = np.concatenate([inputs["x"] for inputs, _ in parts])
        # A batch that devices cannot share comes first; the others keep their order.
        moved = expected[0] % 4 if number > 4 else 0
        assert whole.tolist() == np.roll(values, moved).tolist()
        assert all((inputs["x"] == -targets).all() for inputs, targets in parts)


def test_fixed_batches_say_that_devices_cannot_share_them(caplog):
    with caplog.at_level("INFO"):
        FixedBatches(({"x": np.arange(9)}, np.arange(9)), 4, 2)
    assert "9 windows cannot be shared by 2 devices" in caplog.text
    caplog.clear()
    FixedBatches(({"x": np.arange(8)}, np.arange(8)), 4, 2)
    assert caplog.text == ""
