"""The masked window: exact numbers, and the shares and points that are drawn."""

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.figures import make_axes, mask_window, plot_masking
from astromer.pipeline import MaskingConfig
from tests.figures.examples import light_curve, masked_window
from tests.pipeline.plain import assert_one_night, night_curves


def counts(window):
    return {name: int(part.sum()) for name, part in window.subsets().items()}


def points(ax, name):
    """Points drawn under a label that starts with a name: shape (n, 2)."""
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith(name)]
    return line.get_xydata()


@pytest.mark.parametrize(
    ("masking", "expected"),
    [
        (None, {"hidden": 60, "random": 20, "visible": 20, "not probed": 100}),
        (
            MaskingConfig.released(),
            {"hidden": 64, "random": 16, "visible": 20, "not probed": 100},
        ),
    ],
)
def test_window_has_the_shares_of_the_paper_and_of_the_release(masking, expected):
    window = mask_window(light_curve(300), masking=masking)
    assert counts(window) == expected
    assert sum(part.astype(int) for part in window.subsets().values()).tolist() == (
        [1] * 200
    )


def test_window_has_whole_nights_where_they_are_asked_for():
    (curve,) = night_curves(1)
    masking = MaskingConfig(whole_nights=1.0)
    windows = [mask_window(curve, masking=masking, seed=seed) for seed in range(8)]
    assert_one_night(np.array([window.probed for window in windows]))


def test_window_shows_true_magnitudes_but_for_the_random():
    window = mask_window(light_curve(250), window_size=100)
    mag = window.light_curve.mag
    np.testing.assert_array_equal(window.shown[~window.random], mag[~window.random])
    assert set(window.shown[window.random]) <= set(mag)
    assert (window.shown != mag)[window.random].mean() > 0.9


def test_window_is_a_piece_of_the_light_curve_and_depends_on_the_seed():
    curve = light_curve(300, class_name="RRab")
    one, same, other = (mask_window(curve, seed=seed) for seed in (0, 0, 1))
    start = curve.time.tolist().index(one.light_curve.time[0])
    np.testing.assert_array_equal(one.light_curve.time, curve.time[start : start + 200])
    np.testing.assert_array_equal(one.light_curve.mag, curve.mag[start : start + 200])
    assert one.light_curve.class_name == "RRab"
    assert one.light_curve == same.light_curve
    np.testing.assert_array_equal(one.probed, same.probed)
    assert one.light_curve != other.light_curve
    assert (one.probed != other.probed).any()


def test_short_light_curve_is_taken_whole():
    window = mask_window(light_curve(30))
    assert len(window.light_curve) == 30
    assert counts(window) == {
        "hidden": 9,
        "random": 3,
        "visible": 3,
        "not probed": 15,
    }


def test_window_size_must_be_positive():
    with pytest.raises(ConfigError, match="Received: window_size=0"):
        mask_window(light_curve(), window_size=0)


def test_bars_are_the_shares_and_lie_end_to_end():
    shares, _ = plot_masking(masked_window())
    bars = [(bar.get_x(), bar.get_width()) for bar in shares.patches]
    np.testing.assert_allclose(bars, [(0, 30), (30, 10), (40, 10), (50, 50)])
    written = {text.get_text() for text in shares.texts}
    assert written == {"30 %", "10 %", "50 %", "probed: 50 %"}


def test_narrow_bars_are_left_without_text():
    window = mask_window(light_curve(200), masking=MaskingConfig(visible_fraction=0.02))
    shares, _ = plot_masking(window)
    written = [text.get_text() for text in shares.texts]
    assert written == ["38 %", "10 %", "50 %", "probed: 50 %"]


def test_subsets_are_drawn_where_the_model_sees_them():
    window = masked_window()
    _, ax = plot_masking(window)
    curve = window.light_curve
    x = curve.time - np.floor(curve.time[0])
    for name, part in window.subsets().items():
        y = window.shown if name == "random" else curve.mag
        expected = np.column_stack([x[part], y[part]])
        np.testing.assert_allclose(points(ax, name), expected, rtol=1e-6)
    assert ax.yaxis_inverted()
    assert ax.get_ylabel() == "V [mag]"


def test_lines_lead_from_what_was_observed_to_what_is_shown():
    window = masked_window()
    _, ax = plot_masking(window)
    (lines,) = ax.collections
    ends = np.array([segment[:, 1] for segment in lines.get_segments()])
    expected = np.column_stack([window.light_curve.mag, window.shown])[window.random]
    np.testing.assert_allclose(ends, expected, rtol=1e-6)


def test_hidden_points_are_open_and_the_legend_counts():
    _, ax = plot_masking(masked_window())
    hidden = next(line for line in ax.lines if line.get_label() == "hidden (6)")
    assert hidden.get_markerfacecolor() == "white"
    written = [text.get_text() for text in ax.get_legend().get_texts()]
    assert written == ["hidden (6)", "random (2)", "visible (2)", "not probed (10)"]


def test_masking_uses_the_axes_given():
    axes = make_axes(2)
    assert plot_masking(masked_window(), axes=axes) == axes
    with pytest.raises(ConfigError, match=r"len\(axes\)=1, panels=2"):
        plot_masking(masked_window(), axes=make_axes())
