import keras
import pytest

from astromer.errors import ConfigError
from astromer.training import make_strategy
from astromer.training.strategy import count_gpus, num_replicas, sum_over_replicas
from tests.scripts import results_of


@pytest.fixture(scope="module")
def results():
    """What `replicas.py` prints, by number of replicas and case."""
    return results_of("tests.training.replicas")


CASES = ["SGD released", "Adam paper", "clipped released"]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", CASES)
def test_two_replicas_train_as_one_device(results, case):
    one, two = results["one"][case], results["two"][case]
    assert two["start"] == one["start"]
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5, abs=1e-6)
    moved = [abs(a - b) for a, b in zip(one["start"], one["weights"], strict=True)]
    # Clipping leaves little of a step.
    assert max(moved) > (1e-4 if "clipped" in case else 1e-2)


@pytest.mark.slow
@pytest.mark.timeout(400)
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
@pytest.mark.timeout(400)
def test_sums_run_over_replicas(results):
    # Two from each, divided by their number.
    assert results["one"]["means"] == [2.0]
    assert results["two"]["means"] == [2.0, 2.0]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_replicas_evaluate_and_predict_an_uneven_batch_as_one_device(results):
    one, two = results["one"]["fixed"], results["two"]["fixed"]
    assert two["scores"] == pytest.approx(one["scores"], rel=1e-5)
    # Two batches of eight, and one window that no second replica shares.
    assert len(one["predicted"]) == len(two["predicted"]) == 17
    for a, b in zip(one["predicted"], two["predicted"], strict=True):
        assert b == pytest.approx(a, rel=1e-5, abs=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_pretraining_on_two_devices_is_that_on_one(results):
    one, two = results["one"]["run"], results["two"]["run"]
    assert one["said"].endswith("batches of 8 in an epoch, one device.")
    assert two["said"].endswith("batches of 8 in an epoch, 2 devices.")
    for row, row2 in zip(one["history"], two["history"], strict=True):
        # R2 is one minus a ratio, of which an ulp is 1.2e-7.
        assert row2 == pytest.approx(row, rel=1e-5, abs=3e-7)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5, abs=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_pretraining_is_resumed_on_its_devices(results):
    run = results["two"]["run"]
    for row, row2 in zip(run["history"], run["parts"], strict=True):
        assert row2 == pytest.approx(row, rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_strategies_are_chosen_by_name_and_devices(results):
    assert results["choices"] == {
        "auto": ["_OneDevice", 1],
        "auto of two": ["MirroredStrategy", 2],
        "auto of one": ["_OneDevice", 1],
        "mirrored": ["MirroredStrategy", 2],
        "mirrored of one": ["MirroredStrategy", 1],
        "one": ["_OneDevice", 1],
    }


@pytest.mark.parametrize(
    ("name", "devices", "message"),
    [
        ("one", ["GPU:7"], r'device="GPU:7"; there are .*CPU:0'),
        ("mirrored", 99, "devices=99; there are"),
        ("one", ["CPU:0", "CPU:0"], "takes one device"),
    ],
)
def test_devices_that_are_not_there_are_refused(name, devices, message):
    with pytest.raises(ConfigError, match=message):
        make_strategy(name, devices)


def test_other_backends_have_no_mirrored_strategy(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert make_strategy("auto").num_replicas_in_sync == 1
    with make_strategy("one").scope():
        pass
    for options in ({"name": "mirrored"}, {"devices": ["CPU:0"]}):
        with pytest.raises(ConfigError, match=r"TensorFlow and JAX.*backend torch"):
            make_strategy(**options)


def test_device_is_where_variables_lie():
    with make_strategy("one", ["CPU:0"]).scope():
        assert keras.Variable([1.0]).value.device.endswith("CPU:0")
    assert count_gpus(make_strategy("one", ["CPU:0"])) == 0
    assert count_gpus(make_strategy("mirrored", ["CPU:0"])) == 0


def test_without_strategy_a_step_has_one_replica():
    assert num_replicas() == 1
    assert sum_over_replicas(3.0) == 3.0
