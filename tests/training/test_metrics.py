import keras
import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.training import R2, RMSE, reconstruction_metrics

BATCHES = [slice(0, 4), slice(4, 5), slice(5, 11)]


@pytest.fixture
def windows(rng):
    """Magnitudes, predictions and masks of eleven windows, one without any probed."""
    mag = rng.normal(rng.normal(0.0, 2.0, (11, 1)), 0.5, (11, 20)).astype("float32")
    predicted = mag + rng.normal(0.0, 0.3, mag.shape).astype("float32")
    mask = rng.uniform(size=mag.shape) < 0.4
    mask[3] = False
    return mag, predicted, mask


def one_shot_r2(mag, predicted, mask):
    residual = total = 0.0
    for m, p, keep in zip(mag.astype("float64"), predicted, mask, strict=True):
        if keep.any():
            residual += np.sum((m - p)[keep] ** 2)
            total += np.sum((m[keep] - m[keep].mean()) ** 2)
    return 1.0 - residual / total


def one_shot_rmse(mag, predicted, mask):
    return np.sqrt(np.mean((mag.astype("float64") - predicted)[mask] ** 2))


CASES = [(R2, one_shot_r2), (RMSE, one_shot_rmse)]


@pytest.mark.parametrize(("metric_class", "one_shot"), CASES)
def test_metric_of_uneven_batches_equals_one_shot_value(
    metric_class, one_shot, windows
):
    metric = metric_class("hidden")
    per_batch = []
    for rows in BATCHES:
        mag, predicted, mask = (values[rows] for values in windows)
        metric.update_state(mag, predicted, sample_weight=mask)
        per_batch.append(one_shot(mag, predicted, mask))
    assert float(metric.result()) == pytest.approx(one_shot(*windows), rel=1e-5)
    # Not the mean of the batches' values.
    assert abs(np.mean(per_batch) - one_shot(*windows)) > 1e-3
    metric.reset_state()
    assert float(metric.result()) == 0.0


@pytest.mark.parametrize(("metric_class", "one_shot"), CASES)
def test_metric_ignores_what_does_not_count(metric_class, one_shot, windows):
    mag, predicted, mask = windows
    metric = metric_class("probed")
    metric.update_state(
        np.where(mask, mag, np.nan), np.where(mask, predicted, np.inf), mask
    )
    assert float(metric.result()) == pytest.approx(one_shot(*windows), rel=1e-5)


@pytest.mark.parametrize(("metric_class", "one_shot"), CASES)
def test_metric_counts_everything_without_mask(metric_class, one_shot, windows):
    mag, predicted, _ = windows
    metric = metric_class("valid")
    metric.update_state(mag, predicted)
    expected = one_shot(mag, predicted, np.ones(mag.shape, bool))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("metric_class", [R2, RMSE])
def test_metric_is_finite_when_nothing_counts(metric_class, windows):
    metric = metric_class("hidden")
    assert float(metric.result()) == 0.0
    metric.update_state(*windows[:2], np.zeros((11, 20), bool))
    assert float(metric.result()) == 0.0


def test_r2_of_the_windows_mean_is_zero_and_of_the_truth_one(windows):
    mag, _, mask = windows
    mean = np.where(mask, mag, 0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    for predicted, expected in ((np.repeat(mean[:, None], 20, 1), 0.0), (mag, 1.0)):
        metric = R2("hidden")
        metric.update_state(mag, predicted, mask)
        assert float(metric.result()) == pytest.approx(expected, abs=1e-5)


def test_r2_of_constant_windows_is_zero():
    metric = R2("hidden")
    metric.update_state(np.ones((2, 5)), np.zeros((2, 5)), np.ones((2, 5), bool))
    assert float(metric.result()) == 0.0


def test_r2_is_the_authors_value(shared):
    metric = R2("probed")
    with np.load(shared / "reference" / "losses.npz") as stored:
        metric.update_state(
            stored["y_true"][..., 0], stored["y_pred"][..., 0], stored["mask"][..., 0]
        )
        assert float(metric.result()) == pytest.approx(float(stored["r2"]), rel=1e-6)


def test_r2_of_single_windows_is_the_authors_value(shared):
    with np.load(shared / "reference" / "losses.npz") as stored:
        rows = zip(
            *(stored[name][..., 0] for name in ("y_true", "y_pred", "mask")),
            stored["r2_per_window"],
            strict=True,
        )
        for y_true, y_pred, mask, expected in rows:
            metric = R2("probed")
            metric.update_state(y_true[None], y_pred[None], mask[None])
            # Where nothing is probed theirs is 1, as if all were right; ours is 0.
            assert mask.any() or expected == 1.0
            wanted = expected if mask.any() else 0.0
            assert float(metric.result()) == pytest.approx(float(wanted), rel=1e-6)


def test_reconstruction_metrics_are_named_after_their_subsets():
    names = {metric.name: metric.subset for metric in reconstruction_metrics()}
    assert names == {
        "r2_hidden": "hidden",
        "rmse_hidden": "hidden",
        "rmse_valid": "valid",
    }


@pytest.mark.parametrize("metric_class", [R2, RMSE])
def test_metric_returns_from_its_config(metric_class):
    metric = metric_class("probed", name="mine")
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert type(again) is metric_class
    assert (again.subset, again.name) == ("probed", "mine")
    assert metric_class("probed").name == f"{metric_class.prefix}_probed"


@pytest.mark.parametrize("metric_class", [R2, RMSE])
def test_metric_raises_for_unknown_subset(metric_class):
    with pytest.raises(ConfigError, match=r'subset="hiden"\. Did you mean "hidden"'):
        metric_class("hiden")
