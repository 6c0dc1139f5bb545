"""Windows with hidden observations: drawn, hidden again, read from files."""

import dataclasses

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.evaluation.masked import (
    MIN_VISIBLE,
    draw_windows,
    hide,
    nights_of,
    read_windows,
)
from astromer.lightcurve import LightCurve


@pytest.fixture
def make_nightly():
    """Return a maker of light curves with four visits in each of several nights."""

    def make(num_nights, *, visits=4, object_id="star", class_name="EW"):
        night = np.repeat(50_000.0 + 3.0 * np.arange(num_nights), visits)
        time = night + np.tile(0.01 * np.arange(visits), num_nights)
        mag = 15 + 0.1 * np.sin(time)
        return LightCurve(
            time,
            mag,
            np.full(len(time), 0.02),
            object_id=object_id,
            class_name=class_name,
        )

    return make


def test_windows_are_parts_of_their_light_curves(make_survey):
    curves = {curve.object_id: curve for curve in make_survey()}
    windows = draw_windows(curves.values(), window_size=25, windows_per_class=4)
    assert windows.class_name.tolist() == ["fast"] * 4 + ["flat"] * 4 + ["slow"] * 4
    assert len(set(windows.object_id)) == 12
    for row, name in enumerate(windows.object_id):
        curve = curves[str(name)]
        first = np.flatnonzero(curve.time == windows.time[row, 0])[0]
        np.testing.assert_array_equal(windows.time[row], curve.time[first : first + 25])
        np.testing.assert_array_equal(windows.mag[row], curve.mag[first : first + 25])
    assert (windows.hidden.sum(axis=1) == 12).all()


def test_short_light_curves_are_padded_and_padding_is_never_hidden(make_star):
    curves = [make_star("slow", 0, length=14), make_star("fast", 0, length=40)]
    windows = draw_windows(curves, window_size=30)
    assert windows.valid.sum(axis=1).tolist() == [30, 14]
    assert windows.hidden.sum(axis=1).tolist() == [15, 7]
    assert not (windows.hidden & ~windows.valid).any()
    assert (windows.time[1, 14:] == 0).all()


def test_draws_depend_on_the_seed_and_not_on_order(make_survey):
    curves = make_survey()
    one = draw_windows(curves, window_size=25, windows_per_class=5, seed=1)
    again = draw_windows(curves[::-1], window_size=25, windows_per_class=5, seed=1)
    other = draw_windows(curves, window_size=25, windows_per_class=5, seed=2)
    assert one.digest == again.digest != other.digest


def test_light_curves_without_a_class_are_one(make_light_curve):
    windows = draw_windows([make_light_curve(30), make_light_curve(20)])
    assert windows.class_name.tolist() == ["unknown"] * 2


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.8])
def test_hidden_fraction_of_points_is_exact(make_star, fraction):
    windows = draw_windows(
        [make_star("slow", 0)], window_size=40, hidden_fraction=fraction
    )
    assert windows.hidden.sum() == int(40 * fraction)


def test_nights_are_hidden_whole(make_nightly):
    curves = [make_nightly(n, object_id=f"star-{n}") for n in (4, 10, 25)]
    windows = draw_windows(curves, window_size=100, hiding="nights")
    for row in range(len(windows)):
        size = windows.valid[row].sum()
        hidden = windows.hidden[row, :size].reshape(-1, 4)
        assert (hidden.all(axis=1) | ~hidden.any(axis=1)).all()
        assert hidden.sum() == size // 2 // 4 * 4


def test_windows_of_one_night_are_left_out(make_nightly):
    curves = [make_nightly(1, visits=40), make_nightly(9, object_id="other")]
    windows = draw_windows(curves)
    nights = hide(windows, "nights", seed=3)
    assert len(windows) == 2
    assert nights.object_id.tolist() == ["other"]
    with pytest.raises(ConfigError, match=r"1 windows, hiding=\"nights\""):
        hide(draw_windows(curves[:1]), "nights")


def test_nights_end_with_a_long_gap():
    time = np.array([0.0, 0.1, 0.3, 1.0, 1.2, 5.0])
    assert [night.tolist() for night in nights_of(time)] == [[0, 1, 2], [3, 4], [5]]


def test_visible_mean_is_of_the_visible_alone(make_star):
    windows = draw_windows([make_star("slow", 0)], window_size=40)
    moved = dataclasses.replace(
        windows, mag=np.where(windows.hidden, 99.0, windows.mag)
    )
    np.testing.assert_array_equal(moved.visible_mean(), windows.visible_mean())
    expected = windows.mag[windows.visible].mean()
    np.testing.assert_allclose(windows.visible_mean(), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_fraction": 0.0}, r"hidden_fraction=0\.0"),
        ({"hidden_fraction": 1.0}, r"hidden_fraction=1\.0"),
        ({"hiding": "years"}, 'hiding="years".*Known: nights, points'),
        ({"window_size": 0}, "window_size=0"),
        ({"windows_per_class": 0}, "windows_per_class=0"),
        ({"seed": -1}, "seed=-1"),
        ({"window_size": MIN_VISIBLE}, "Received: 1 light curves"),
    ],
)
def test_draw_windows_refuses_what_cannot_be_done(options, message, make_star):
    with pytest.raises(ConfigError, match=message):
        draw_windows([make_star("slow", 0)], **options)


def arrays_of(windows):
    return {
        "mjd": windows.time,
        "mag": windows.mag,
        "err": windows.mag_err,
        "hidden": windows.hidden,
        "valid": windows.valid,
        "id": windows.object_id,
        "label": windows.class_name,
    }


def test_windows_are_read_from_a_file(make_survey, tmp_path):
    windows = draw_windows(make_survey(), window_size=50, windows_per_class=2)
    path = tmp_path / "masked.npz"
    arrays = arrays_of(windows)
    # Whatever lies on padding is no observation.
    arrays["mag"] = np.where(windows.valid, windows.mag, np.nan)
    arrays["hidden"] = windows.hidden | ~windows.valid
    np.savez(path, **arrays)
    read = read_windows(path)
    assert read.digest == windows.digest
    assert read.class_name.tolist() == windows.class_name.tolist()


def test_a_file_of_something_else_is_refused(make_survey, tmp_path):
    path = tmp_path / "masked.npz"
    path.write_bytes(b"no zip")
    with pytest.raises(ConfigError, match=f"path={path}"):
        read_windows(path)
    arrays = arrays_of(draw_windows(make_survey(), window_size=20))
    for name, changed, message in (
        ("err", None, r"err or mag_err.*mjd: \(36, 20\)"),
        ("id", arrays["id"][1:], r"id: \(35,\)"),
        ("hidden", np.zeros_like(arrays["hidden"]), "36 of them without.*window 0"),
        ("hidden", arrays["valid"], "36 of them without"),
    ):
        changes = {**arrays, name: changed}
        np.savez(path, **{k: v for k, v in changes.items() if v is not None})
        with pytest.raises(ConfigError, match=message):
            read_windows(path)


def test_windows_of_a_file_are_put_in_order(make_survey, tmp_path, rng):
    windows = draw_windows(make_survey(), window_size=50, windows_per_class=2)
    arrays = arrays_of(windows)
    order = rng.permuted(np.tile(np.arange(50), (len(windows), 1)), axis=1)
    for name in ("mjd", "mag", "err", "hidden", "valid"):
        arrays[name] = np.take_along_axis(arrays[name], order, axis=1)
    np.savez(tmp_path / "masked.npz", **arrays)
    assert read_windows(tmp_path / "masked.npz").digest == windows.digest


@pytest.mark.parametrize("name", ["mjd", "mag", "err"])
def test_windows_of_a_file_are_finite(make_survey, tmp_path, name):
    arrays = arrays_of(draw_windows(make_survey(), window_size=20))
    arrays[name] = arrays[name].copy()
    arrays[name][3, 0] = np.nan
    np.savez(tmp_path / "masked.npz", **arrays)
    with pytest.raises(ConfigError, match=r"must be finite.*is not in window 3"):
        read_windows(tmp_path / "masked.npz")


@pytest.mark.parametrize("fraction", [0.0, 1.5, np.nan])
def test_fraction_out_of_range_is_named_first(make_survey, fraction):
    with pytest.raises(ConfigError, match="`hidden_fraction` must lie between 0 and 1"):
        draw_windows(make_survey(), hidden_fraction=fraction)


def test_windows_too_small_to_hide_in_are_named(make_survey):
    with pytest.raises(ConfigError, match="window_size=3"):
        draw_windows(make_survey(), window_size=3)
