"""Distributions: bars and boxes against numpy's histograms and percentiles."""

import itertools

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.figures import (
    group_light_curves,
    make_axes,
    plot_magnitudes,
    plot_time_steps,
    time_steps,
)
from astromer.lightcurve import LightCurve
from tests.figures.examples import light_curve


def stairs(ax):
    return [patch.get_data() for patch in ax.patches if hasattr(patch, "get_data")]


def row_names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_magnitudes_share_bins_and_have_area_one(rng):
    samples = {"MACHO": rng.normal(-8, 1, 500), "ATLAS": rng.normal(15, 2, 300)}
    ax = plot_magnitudes(samples)
    shapes = stairs(ax)
    assert len(shapes) == 2
    for shape, values in zip(shapes, samples.values(), strict=True):
        np.testing.assert_array_equal(shape.edges, shapes[0].edges)
        expected, _ = np.histogram(values, shape.edges)
        widths = np.diff(shape.edges)
        np.testing.assert_allclose(shape.values * widths * len(values), expected)
        assert np.sum(shape.values * widths) == pytest.approx(1.0)
    everything = np.concatenate(list(samples.values()))
    assert shapes[0].edges[[0, -1]].tolist() == [everything.min(), everything.max()]
    assert ax.get_xlabel() == "Magnitude [mag]"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(samples)


def test_magnitudes_of_several_samples_differ_in_color_and_line(rng):
    ax = plot_magnitudes({str(number): rng.normal(size=9) for number in range(4)})
    assert len({patch.get_edgecolor() for patch in ax.patches}) == 4
    assert len({str(patch.get_linestyle()) for patch in ax.patches}) == 4


def test_many_samples_stand_on_lines_of_their_own(rng):
    samples = {f"class {number}": rng.normal(15, 1, 200) for number in range(6)}
    ax = plot_magnitudes(samples)
    assert row_names(ax) == list(samples)
    for place, (shape, values) in enumerate(
        zip(stairs(ax), samples.values(), strict=True)
    ):
        counts, _ = np.histogram(values, shape.edges)
        heights = shape.baseline - shape.values
        np.testing.assert_allclose(heights, 0.9 * counts / counts.max(), atol=1e-12)
        # A row's ground lies below its name; rows count downward.
        assert place < shape.baseline < place + 0.5
    assert ax.yaxis_inverted()


def test_magnitudes_all_alike_are_drawn():
    ax = plot_magnitudes({"constant": [15.0, 15.0]})
    assert stairs(ax)[0].values.max() > 0


def test_time_steps_do_not_lead_from_one_light_curve_to_the_next():
    curves = [
        LightCurve([0.0, 1.0, 3.0], [15] * 3, [0.1] * 3),
        LightCurve([100.0, 104.0], [15] * 2, [0.1] * 2),
        LightCurve([7.0], [15], [0.1]),
    ]
    assert time_steps(curves).tolist() == [1.0, 2.0, 4.0]
    assert time_steps([]).tolist() == []


def test_boxes_are_the_percentiles(rng):
    samples = {"fast": rng.lognormal(-4, 1, 400), "slow": rng.lognormal(1, 1, 300)}
    ax = plot_time_steps(samples)
    boxes = [patch for patch in ax.patches if not hasattr(patch, "get_data")]
    for box, values in zip(boxes, samples.values(), strict=True):
        across = box.get_path().vertices[:, 0]
        np.testing.assert_allclose(
            [across.min(), across.max()], np.percentile(values, [25, 75])
        )
    # A whisker runs from the box to its end; medians and caps stand upright.
    whiskers = [line for line in ax.lines if np.ptp(line.get_xdata()) > 0]
    ends = sorted(line.get_xdata()[1] for line in whiskers)
    expected = [np.percentile(values, [5, 95]) for values in samples.values()]
    np.testing.assert_allclose(ends, np.sort(np.concatenate(expected)))
    assert row_names(ax) == ["fast", "slow"]
    assert ax.get_xscale() == "log"


def test_shape_behind_a_box_is_the_distribution_of_the_logarithm(rng):
    values = rng.lognormal(0, 2, 1000)
    ax = plot_time_steps({"sample": values})
    (shape,) = stairs(ax)
    steps = np.diff(np.log(shape.edges))
    np.testing.assert_allclose(steps, steps[0])
    counts, _ = np.histogram(values, shape.edges)
    heights = shape.baseline - shape.values
    np.testing.assert_allclose(heights, 0.55 * counts / counts.max(), atol=1e-12)


def test_steps_of_zero_are_left_out_and_said():
    ax = plot_time_steps({"sample": [0.0, 1.0, 2.0, 3.0]})
    assert row_names(ax) == ["sample\n(25 % zero)"]
    (shape,) = stairs(ax)
    assert shape.edges[0] == 1.0


def test_steps_have_names_along_the_top():
    ax = plot_time_steps({"sample": np.geomspace(1e-3, 500, 50)})
    (top,) = ax.child_axes
    ax.figure.draw_without_rendering()
    names = [label.get_text() for label in top.get_xticklabels()]
    assert names == ["1 h", "1 d", "30 d", "1 yr"]
    np.testing.assert_allclose(top.get_xticks(), [1 / 24, 1, 30, 365.25])


def test_equal_steps_are_drawn():
    ax = plot_time_steps({"sample": [1.0, 1.0]})
    ax.figure.draw_without_rendering()
    assert stairs(ax)[0].edges[0] == 1.0


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(np.diff(58_000.123 + np.arange(500) * 20 / 86_400), id="20 s"),
        pytest.param([2 / 1_440], id="2 min"),
        pytest.param([1.0, 1.0], id="1 d"),
        pytest.param([0.9, 3.0, 9.5], id="around a decade"),
    ],
)
def test_steps_that_are_much_alike_have_an_axis_that_can_be_read(steps):
    ax = plot_time_steps({"sample": steps})
    low, high = ax.get_xlim()
    assert high >= 10 * low
    assert low < np.min(steps)
    assert np.max(steps) < high
    ax.figure.draw_without_rendering()
    for axis in (ax.xaxis, ax.child_axes[0].xaxis):
        places = [tick for tick in axis.get_ticklocs() if low <= tick <= high]
        assert len(places) >= 1
    labels = [text for text in ax.get_xticklabels(which="both") if text.get_text()]
    boxes = sorted(text.get_window_extent().extents.tolist() for text in labels)
    shown = [box for box in boxes if box[2] > box[0]]
    assert len(shown) >= 2
    assert all(one[2] < other[0] for one, other in itertools.pairwise(shown))
    # As wide as it can be seen.
    edges = stairs(ax)[0].edges
    assert np.log10(edges[1] / edges[0]) >= 0.999 / 80


def test_distributions_use_the_axes_given(rng):
    values = {"sample": rng.uniform(1, 2, 20)}
    for plot in (plot_magnitudes, plot_time_steps):
        (ax,) = make_axes()
        assert plot(values, ax=ax) is ax


@pytest.mark.parametrize("plot", [plot_magnitudes, plot_time_steps])
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({}, "nothing to plot. Received: no (magnitudes|steps)"),
        ({"a": []}, r'(shape=\(0,\).*for|two observations.*the sample) "a"'),
        ({"a": [1.0, np.nan]}, "finite=False"),
        ({"a": [[1.0]]}, r"shape=\(1, 1\)"),
    ],
)
def test_distributions_refuse_what_is_no_sample(plot, samples, message):
    with pytest.raises(ConfigError, match=message):
        plot(samples)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([1.0, -2.0], "Received: 1 negative and 1 positive steps"),
        ([0.0, 0.0], "Received: 0 negative and 0 positive"),
    ],
)
def test_time_steps_must_not_be_negative_nor_all_zero(steps, message):
    with pytest.raises(ConfigError, match=message):
        plot_time_steps({"a": steps})


def test_light_curves_are_grouped_in_alphabetical_order_the_unknown_last():
    curves = [
        light_curve(5, class_name=name, passband=band)
        for name, band in (("RRab", "V"), (None, "I"), ("EC", ""), ("RRab", "I"))
    ]
    groups = group_light_curves(curves)
    assert list(groups) == ["EC", "RRab", "unknown"]
    assert groups["RRab"] == [curves[0], curves[3]]
    assert list(group_light_curves(curves, "passband")) == ["I", "V", "unknown"]
    with pytest.raises(ConfigError, match='Received: grouping="survey"'):
        group_light_curves(curves, "survey")
