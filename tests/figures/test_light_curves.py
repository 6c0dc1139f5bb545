"""Light-curve figures: what is drawn, read back from the Axes."""

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.figures import (
    make_axes,
    plot_light_curve,
    plot_reconstructions,
    plot_survey_gallery,
)
from astromer.lightcurve import LightCurve


def drawn(ax, label):
    """Points drawn under a label in the legend: array of shape (n, 2)."""
    handles, labels = ax.get_legend_handles_labels()
    handle = handles[labels.index(label)]
    return np.asarray(getattr(handle, "lines", [handle])[0].get_xydata())


@pytest.fixture
def curve(make_light_curve):
    return make_light_curve(30, object_id="7.1000.5", class_name="RRab")


def test_light_curve_shows_every_observation_from_the_first_day(curve):
    ax = plot_light_curve(curve)
    points = drawn(ax, "observed")
    origin = np.floor(curve.time[0])
    np.testing.assert_allclose(points[:, 0], curve.time - origin)
    np.testing.assert_allclose(points[:, 1], curve.mag, rtol=1e-6)
    assert ax.get_xlabel() == f"Time \N{MINUS SIGN} {origin:,.0f} [d]"
    assert ax.get_ylabel() == "R [mag]"
    assert ax.get_title(loc="left") == "RRab  7.1000.5"
    assert ax.get_title(loc="right") == ""


def test_light_curve_error_bars_are_the_uncertainties(curve):
    ax = plot_light_curve(curve)
    (bars,) = ax.containers[0].lines[2]
    heights = [np.ptp(segment[:, 1]) for segment in bars.get_segments()]
    np.testing.assert_allclose(heights, 2 * curve.mag_err, rtol=1e-4)


def test_light_curve_brighter_is_up_also_when_drawn_twice(curve):
    (ax,) = make_axes()
    for _ in range(2):
        assert plot_light_curve(curve, ax=ax) is ax
        assert ax.yaxis_inverted()


def test_light_curve_folds_to_two_cycles():
    curve = LightCurve([0.0, 0.5, 2.0, 3.25], [1, 2, 3, 4], [0.1] * 4, object_id="s")
    ax = plot_light_curve(curve, period=2.0, epoch=0.0)
    points = drawn(ax, "observed")
    assert points[:, 0].tolist() == [0.0, 0.25, 0.0, 0.625, 1.0, 1.25, 1.0, 1.625]
    assert points[:, 1].tolist() == [1, 2, 3, 4] * 2
    assert (ax.get_xlabel(), ax.get_xlim()) == ("Phase", (0.0, 2.0))
    assert ax.get_title(loc="right") == "P = 2.000 d"


def test_light_curve_phase_zero_is_maximum_light_in_spite_of_an_outlier():
    time = np.linspace(0.0, 50.0, 400)
    mag = 15.0 + np.cos(2 * np.pi * (time - 0.9) / 3.0)
    mag[np.argmax(mag)] = 5.0
    curve = LightCurve(time, mag, np.full(400, 0.1))
    points = drawn(plot_light_curve(curve, period=3.0), "observed")
    brightest = points[np.abs(points[:, 1] - 14.0) < 0.05]
    distance = np.abs((brightest[:, 0] + 0.5) % 1.0 - 0.5)
    assert distance.max() < 0.1


@pytest.mark.parametrize(
    ("epoch", "label"),
    [(0.0, "Time [d]"), (50_000.5, "Time \N{MINUS SIGN} 50,000.5000 [d]")],
)
def test_light_curve_epoch_is_the_origin_of_time(curve, epoch, label):
    ax = plot_light_curve(curve, epoch=epoch)
    assert ax.get_xlabel() == label
    np.testing.assert_allclose(drawn(ax, "observed")[:, 0], curve.time - epoch)


def test_reconstruction_differs_in_marker_and_shade(curve):
    values = curve.mag + 0.1
    values[3] = np.nan
    ax = plot_light_curve(curve, reconstruction=values)
    np.testing.assert_allclose(drawn(ax, "reconstructed")[:, 1], values)
    handles, labels = ax.get_legend_handles_labels()
    dots = handles[labels.index("observed")].lines[0]
    diamonds = handles[labels.index("reconstructed")]
    assert (dots.get_marker(), diamonds.get_marker()) == ("o", "D")
    assert dots.get_markerfacecolor() != diamonds.get_markerfacecolor()
    assert diamonds.get_zorder() > dots.get_zorder()


def test_reconstruction_is_folded_with_the_light_curve(curve):
    ax = plot_light_curve(curve, reconstruction=curve.mag, period=0.61)
    np.testing.assert_allclose(
        drawn(ax, "reconstructed"), drawn(ax, "observed"), rtol=1e-6
    )


def test_light_curve_of_one_observation_without_names_is_drawn(tmp_path):
    ax = plot_light_curve(LightCurve([0.5], [15.0], [0.1]))
    assert (ax.get_ylabel(), ax.get_title(loc="left")) == ("Magnitude [mag]", "")
    ax = plot_light_curve(LightCurve([0.5], [15.0], [0.1]), period=1.0)
    assert len(drawn(ax, "observed")) == 2
    ax.figure.savefig(tmp_path / "one.png")


def test_long_names_are_shortened():
    ax = plot_light_curve(LightCurve([0.5], [15.0], [0.1], object_id="x" * 100))
    assert ax.get_title(loc="left") == "x" * 23 + "\N{HORIZONTAL ELLIPSIS}"


def test_titles_do_not_overlap(make_light_curve):
    curve = make_light_curve(5, object_id="x" * 100, class_name="CONST")
    ax = plot_light_curve(curve, period=0.123456)
    ax.figure.draw_without_rendering()
    left, right = (
        ax._left_title.get_window_extent(),
        ax._right_title.get_window_extent(),
    )
    assert left.x1 < right.x0
    assert ax.figure.bbox.x1 >= right.x1


@pytest.mark.parametrize("period", [0.0, -1.0, float("nan"), float("inf")])
def test_light_curve_refuses_a_period_that_is_none(curve, period):
    with pytest.raises(ConfigError, match=r"positive and finite. Received: period="):
        plot_light_curve(curve, period=period)


def test_light_curve_refuses_a_reconstruction_of_another_length(curve):
    with pytest.raises(ConfigError, match=r"shape=\(29,\) for 30 observations"):
        plot_light_curve(curve, reconstruction=curve.mag[1:])


def test_reconstructions_give_a_panel_each_and_one_legend(make_light_curve):
    curves = [make_light_curve(length) for length in (5, 6, 7)]
    axes = plot_reconstructions(
        curves, [curve.mag for curve in curves], periods=[0.61, None, float("nan")]
    )
    assert [len(drawn(ax, "reconstructed")) for ax in axes] == [10, 6, 7]
    assert [ax.get_xlabel() == "Phase" for ax in axes] == [True, False, False]
    (legend,) = axes[0].figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["observed", "reconstructed"]


def test_reconstructions_are_drawn_on_the_axes_given(make_light_curve):
    curves = [make_light_curve(5), make_light_curve(6)]
    axes = make_axes(2)
    values = [curve.mag for curve in curves]
    assert plot_reconstructions(curves, values, axes=axes) == axes


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (1, {}, r"`reconstructions` must fit.*len\(reconstructions\)=1, panels=2"),
        (2, {"periods": [1.0]}, r"len\(periods\)=1"),
        (2, {"axes": make_axes(1)}, r"len\(axes\)=1"),
    ],
    ids=["reconstructions", "periods", "axes"],
)
def test_reconstructions_refuse_other_numbers(
    make_light_curve, values, options, message
):
    curves = [make_light_curve(5), make_light_curve(5)]
    with pytest.raises(ConfigError, match=message):
        plot_reconstructions(curves, [curves[0].mag] * values, **options)


def test_gallery_shows_the_first_light_curve_of_every_class(make_light_curve):
    curves = [
        make_light_curve(number + 5, object_id=f"s{number}", class_name=name)
        for number, name in enumerate(["LPV", "EC", "LPV", None, "EC"])
    ]
    axes = plot_survey_gallery(curves, periods=[None, 0.61, None, None, 2.0])
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles == ["LPV  s0", "EC  s1", "s3"]
    assert [ax.get_xlabel() == "Phase" for ax in axes] == [False, True, False]
    own = make_axes(3)
    assert plot_survey_gallery(curves, axes=own) == own


def test_gallery_refuses_nothing():
    with pytest.raises(ConfigError, match="Received: 0 light curves"):
        plot_survey_gallery([])
