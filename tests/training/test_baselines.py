import numpy as np
import pytest

from astromer.pipeline import load_dataset
from astromer.training import R2, RMSE
from astromer.training.baselines import (
    interpolate_in_time,
    score_baselines,
    visible_mean,
)

TIME = np.array([[0.0, 1.0, 3.0, 7.0, 9.0, 0.0]])
MAG = np.array([[1.0, 5.0, 9.0, 3.0, 4.0, 0.0]])
SEEN = np.array([[False, True, False, True, False, False]])


def test_interpolation_is_a_line_and_keeps_the_ends():
    found = interpolate_in_time(TIME, MAG, SEEN)[0, :5]
    # From 5 at day 1 to 3 at day 7.
    assert found == pytest.approx([5.0, 5.0, 5.0 - 2 * 2 / 6, 3.0, 3.0])


def test_mean_is_that_of_what_is_seen():
    assert visible_mean(TIME, MAG, SEEN) == pytest.approx(np.full((1, 6), 4.0))


def test_window_without_anything_seen_is_predicted_as_its_mean():
    nothing = np.zeros_like(SEEN)
    for predict in (interpolate_in_time, visible_mean):
        assert (predict(TIME, MAG, nothing) == 0.0).all()


def test_scores_are_those_of_the_metrics_one_window_at_a_time(make_light_curve):
    curves = [make_light_curve(n, seed=n) for n in (30, 16, 5, 44, 2)]
    dataset = load_dataset(curves, window_size=16, batch_size=3, training=False, seed=1)
    scores = score_baselines(dataset.as_numpy_iterator())
    predictors = {
        "mean": lambda time, t, m: np.full(time.shape, m.mean()),
        "interpolation": np.interp,
    }
    for name, predict in predictors.items():
        metrics = {"r2": R2("hidden"), "rmse": RMSE("hidden")}
        for inputs, targets in dataset.as_numpy_iterator():
            for time, hidden, valid, mag in zip(
                inputs["time"],
                inputs["hidden"],
                inputs["valid"],
                targets["mag"],
                strict=True,
            ):
                seen = valid & ~hidden
                predicted = predict(time, time[seen], mag[seen].astype(float))
                for metric in metrics.values():
                    metric.update_state(mag[None], predicted[None], hidden[None])
        for prefix, metric in metrics.items():
            expected = float(metric.result())
            assert scores[f"{prefix}_hidden_{name}"] == pytest.approx(
                expected, rel=1e-4
            )
    assert scores["r2_hidden_mean"] < 0.0


def test_falsified_magnitudes_do_not_lower_the_bar(make_light_curve):
    curves = [make_light_curve(40, seed=n) for n in range(8)]
    dataset = load_dataset(curves, window_size=40, training=False, seed=1)
    inputs, targets = next(dataset.as_numpy_iterator())
    seen = inputs["valid"] & ~inputs["hidden"]
    assert (inputs["mag"] != targets["mag"])[seen].any()
    honest = ({**inputs, "mag": targets["mag"]}, targets)
    assert score_baselines([(inputs, targets)]) == score_baselines([honest])


def test_nothing_hidden_gives_zero_and_no_warning():
    inputs = {"time": TIME, "valid": SEEN, "hidden": np.zeros_like(SEEN)}
    assert set(score_baselines([(inputs, {"mag": MAG})]).values()) == {0.0}
