"""The reconstruction benchmark: what a method may see, scores, and anchors."""

import dataclasses
import json

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.evaluation.interpolators import INTERPOLATORS
from astromer.evaluation.masked import draw_windows, hide, read_windows
from astromer.evaluation.reconstruction import (
    Interpolation,
    PresetReconstruction,
    Reconstruction,
    run_reconstruction,
    score_reconstruction,
)
from astromer.inference import reconstruct
from astromer.lightcurve import LightCurve


@pytest.fixture
def windows(make_survey):
    return draw_windows(make_survey(), window_size=30, windows_per_class=3)


class Fixed:
    """A method that gives a constant, and counts how often it was asked."""

    def __init__(self, value=15.0, std=None, name="fixed"):
        self.name, self.key, self.value, self.std = name, f"{value}", value, std
        self.calls = 0

    def reconstruct(self, windows, progress=None):
        self.calls += 1
        std = None if self.std is None else np.full(windows.mag.shape, self.std)
        return Reconstruction(np.full(windows.mag.shape, self.value), std, 0.9)


def methods_of(tiny_model):
    return [
        *map(Interpolation, INTERPOLATORS),
        PresetReconstruction(tiny_model, "tiny"),
    ]


def test_no_method_looks_at_hidden_magnitudes(windows, tiny_model):
    small = draw_small(windows)
    moved = dataclasses.replace(
        small, mag=np.where(small.hidden, small.mag + 5.0, small.mag)
    )
    for method in methods_of(tiny_model):
        found, again = (method.reconstruct(part).mag for part in (small, moved))
        np.testing.assert_array_equal(found, again)
        assert np.isfinite(found[small.hidden]).all()
        assert np.isnan(found[~small.hidden]).all()


def draw_small(windows):
    """The first eight positions, which is what the tiny model takes."""
    part = {
        name: getattr(windows, name)[:, :8]
        for name in ("time", "mag", "mag_err", "valid")
    }
    hidden = np.zeros_like(part["valid"])
    hidden[:, [1, 4, 6]] = True
    return dataclasses.replace(windows, **part, hidden=hidden)


def test_a_preset_gives_what_inference_gives(windows, tiny_model):
    """Two folds of one light curve are two windows with complementary masks."""
    small = draw_small(windows)
    curve = LightCurve(small.time[0], small.mag[0], small.mag_err[0])
    expected = reconstruct(tiny_model, [curve], num_folds=2, seed=0)
    draw = np.random.default_rng(0).uniform(size=(1, 8))
    fold = np.argsort(np.argsort(draw, axis=1), axis=1)[0] % 2
    for number in (0, 1):
        mask = np.zeros_like(small.hidden)
        mask[0] = fold == number
        mask[1:, 0] = True
        masked = dataclasses.replace(small, hidden=mask)
        found = PresetReconstruction(tiny_model, "tiny").reconstruct(masked)
        np.testing.assert_allclose(
            found.mag[0, mask[0]], expected.reconstruction[mask[0]], atol=1e-4
        )


def test_windows_longer_than_the_models_are_refused(windows, tiny_model):
    with pytest.raises(ConfigError, match=r"at most 8.*window_size=30"):
        PresetReconstruction(tiny_model, "tiny").reconstruct(windows)


def test_scores_are_what_they_say(windows):
    """A constant half a magnitude off everywhere, worked out by hand."""
    flat = dataclasses.replace(
        windows,
        mag=np.where(windows.hidden, 15.0 + 0.3 * np.eye(30)[0], 15.0),
        hidden=windows.hidden,
    )
    found = Reconstruction(np.full(flat.mag.shape, 15.1), None, 1.8)
    scores = score_reconstruction(flat, found)
    truth = flat.mag[flat.hidden]
    assert scores["num_windows"] == 9
    assert scores["num_hidden"] == 9 * 15
    assert scores["rmse"] == pytest.approx(
        np.sqrt(np.mean((truth - 15.1) ** 2)), abs=1e-4
    )
    expected = 1 - np.sum((truth - 15.1) ** 2) / np.sum((truth - 15.0) ** 2)
    assert scores["r2"] == pytest.approx(expected, abs=1e-3)
    assert scores["seconds_per_window"] == 0.2
    assert scores["coverage"] is None
    json.dumps(scores, allow_nan=False)


def test_the_visible_mean_scores_zero_everywhere(windows):
    found = Interpolation("visible mean").reconstruct(windows)
    scores = score_reconstruction(windows, found)
    assert (scores["r2"], scores["r2_median"]) == (0.0, 0.0)
    assert {name: part["r2"] for name, part in scores["per_class"].items()} == {
        "fast": 0.0,
        "flat": 0.0,
        "slow": 0.0,
    }


def test_the_truth_scores_one(windows):
    scores = score_reconstruction(windows, Reconstruction(windows.mag, None, 0.0))
    assert (scores["r2"], scores["r2_median"], scores["rmse"]) == (1.0, 1.0, 0.0)


def test_coverage_is_the_share_within_the_errors(windows, rng):
    std = 0.2
    noisy = windows.mag + rng.normal(0, std, windows.mag.shape)
    found = Reconstruction(noisy, np.full(windows.mag.shape, std), 0.0)
    coverage = score_reconstruction(windows, found)["coverage"]
    assert coverage["one_sigma"] == pytest.approx(0.683, abs=0.1)
    assert coverage["two_sigma"] == pytest.approx(0.954, abs=0.05)
    assert score_reconstruction(windows, Reconstruction(noisy, 10 * found.std, 0.0))[
        "coverage"
    ] == {"one_sigma": 1.0, "two_sigma": 1.0}


def test_only_hidden_observations_count(windows):
    perfect_where_hidden = np.where(windows.hidden, windows.mag, 99.0)
    found = Reconstruction(perfect_where_hidden, None, 0.0)
    assert score_reconstruction(windows, found)["r2"] == 1.0


def test_run_scores_each_way_of_hiding_by_each_method(windows, tmp_path):
    both = {"points": windows, "nights": hide(windows, "nights", seed=1)}
    methods = [Interpolation("linear interpolation"), Fixed(std=0.5)]
    rows = run_reconstruction(both, methods, tmp_path / "out", dataset="toy")
    assert [(row["hiding"], row["method"]) for row in rows] == [
        (hiding, method)
        for hiding in ("points", "nights")
        for method in ("linear interpolation", "fixed")
    ]
    assert {row["dataset"] for row in rows} == {"toy"}
    assert rows[0]["r2"] != rows[2]["r2"]
    assert rows[1]["coverage"] is not None


def test_run_goes_on_and_takes_nothing_stale(windows, tmp_path):
    first = Fixed()
    rows = run_reconstruction({"points": windows}, [first], tmp_path)
    same, other = Fixed(), Fixed(14.0, name="other")
    again = run_reconstruction(
        {"points": windows}, [same, other], tmp_path, resume=True
    )
    assert again[0] == rows[0]
    assert (same.calls, other.calls) == (0, 1)
    moved = {"points": hide(windows, "points", seed=9)}
    run_reconstruction(moved, [same], tmp_path, resume=True)
    assert same.calls == 1
    with pytest.raises(ConfigError, match=r"earlier run"):
        run_reconstruction(moved, [same], tmp_path)


def test_methods_must_have_names_of_their_own(windows, tmp_path):
    for methods in ([], [Fixed(), Fixed(14.0)]):
        with pytest.raises(ConfigError, match="different names"):
            run_reconstruction({"points": windows}, methods, tmp_path / "out")


def test_progress_counts_windows(windows):
    seen = []
    Interpolation("visible mean").reconstruct(windows, lambda *call: seen.append(call))
    assert seen[-1] == ("fit: visible mean", 9, 9, "windows")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("asas", (0.622, 0.2795, -0.424)), ("crts", (0.523, 0.1684, 0.518))],
)
def test_interpolation_of_fixed_windows_scores_what_others_found(
    name, expected, shared
):
    windows = read_windows(shared / "reference" / "anchors" / f"masked_{name}.npz")
    found = Interpolation("linear interpolation").reconstruct(windows)
    scores = score_reconstruction(windows, found)
    measured = scores["r2"], scores["rmse"], scores["r2_median"]
    np.testing.assert_allclose(measured, expected, atol=6e-4)
