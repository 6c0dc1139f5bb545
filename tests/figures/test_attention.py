"""Attention figures: every observation once a cycle, colored by what it receives."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgba

from astromer.errors import ConfigError
from astromer.figures import (
    effective_share,
    make_axes,
    plot_attention,
    plot_attention_blocks,
    plot_attention_classes,
)
from tests.figures.examples import curves, light_curve, relative_attention


def scatter(ax):
    (points,) = ax.collections
    return points


def test_every_observation_is_drawn_with_its_attention():
    curve, values = light_curve(40), relative_attention(40)[0, 0]
    points = scatter(plot_attention(curve, values))
    order = np.argsort(values, kind="stable")
    expected = np.column_stack([curve.time - np.floor(curve.time[0]), curve.mag])
    np.testing.assert_allclose(points.get_offsets(), expected[order], rtol=1e-6)
    # The most looked at lie on top, in larger dots.
    np.testing.assert_allclose(points.get_array(), values[order])
    sizes = points.get_sizes()
    assert (np.diff(sizes) >= 0).all()
    assert sizes[-1] > 2 * sizes[0]


def test_folded_attention_is_drawn_over_two_cycles():
    curve, values = light_curve(40), relative_attention(40)[0, 0]
    ax = plot_attention(curve, values, period=0.61, epoch=50_000.0)
    points = scatter(ax)
    phase = (curve.time - 50_000.0) / 0.61 % 1.0
    both = np.sort(np.concatenate([phase, phase + 1]))
    np.testing.assert_allclose(np.sort(points.get_offsets()[:, 0]), both)
    np.testing.assert_allclose(np.sort(points.get_array()), np.sort(np.tile(values, 2)))
    assert (ax.get_xlabel(), ax.get_xlim()) == ("Phase", (0.0, 2.0))
    assert ax.yaxis_inverted()


def test_share_scale_is_the_same_in_every_panel():
    curve = light_curve(3)
    points = scatter(plot_attention(curve, [0.1, 1.0, 1.9]))
    found = points.to_rgba(points.get_array())
    colors = colormaps["cividis"]
    # A fourth of an equal share and less is one end, an equal share the middle.
    np.testing.assert_allclose(found[0], to_rgba(colors(0.0)), atol=1e-6)
    np.testing.assert_allclose(found[1], to_rgba(colors(0.5)), atol=0.01)
    np.testing.assert_allclose(found[2], colors((1 + np.log2(1.9) / 2) / 2), atol=0.01)


def test_rank_scale_shows_the_faintest_pattern():
    curve = light_curve(5)
    values = 1.0 + 1e-6 * np.array([3, 1, 4, 0, 2])
    points = scatter(plot_attention(curve, values, scale="rank"))
    assert points.get_array().tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    times = curve.time - np.floor(curve.time[0])
    np.testing.assert_allclose(points.get_offsets()[:, 0], times[values.argsort()])
    shares = scatter(plot_attention(curve, values))
    assert np.ptp(shares.norm(shares.get_array())) < 1e-5


def test_rank_scale_finds_no_pattern_where_all_receive_alike():
    points = scatter(plot_attention(light_curve(5), np.ones(5), scale="rank"))
    assert set(points.get_array()) == {0.0}


def test_rank_of_one_observation_is_drawn():
    assert scatter(plot_attention(light_curve(1), [1.0], scale="rank")).get_array() == 0


def test_new_figure_has_a_bar_of_colors_and_given_axes_have_none():
    values = relative_attention(40)[0, 0]
    figure = plot_attention(light_curve(), values).figure
    assert len(figure.axes) == 2
    assert figure.axes[1].get_xlabel() == "Received attention, in equal shares"
    (ax,) = make_axes()
    assert plot_attention(light_curve(), values, ax=ax) is ax
    assert len(ax.figure.axes) == 1


def test_blocks_have_a_row_each_with_the_mean_at_its_end():
    curve, values = light_curve(40), relative_attention(40, blocks=3, heads=4)
    axes = plot_attention_blocks(curve, values)
    assert len(axes) == 3 * 5
    for block, heads in enumerate(values):
        row = axes[5 * block : 5 * block + 5]
        for ax, expected in zip(row, [*heads, heads.mean(axis=0)], strict=True):
            np.testing.assert_allclose(scatter(ax).get_array(), np.sort(expected))
            share = f"{100 * effective_share(expected):.0f} %"
            assert ax.get_title(loc="right") == share
        assert row[0].get_ylabel() == f"Block {block + 1}\n[mag]"
        assert [ax.get_ylabel() for ax in row[1:]] == [""] * 4
    titles = [ax.get_title(loc="left") for ax in axes[:5]]
    assert titles == ["Head 1", "Head 2", "Head 3", "Head 4", "Mean"]
    assert [ax.get_xlabel() != "" for ax in axes] == [False] * 10 + [True] * 5


def test_classes_have_a_row_each():
    stars = curves()[:3]
    values = [relative_attention(len(star))[0] for star in stars]
    axes = plot_attention_classes(stars, values, periods=[0.61, 0.3, 2.0])
    assert [ax.get_ylabel() for ax in axes[::3]] == [
        "EA\n[mag]",
        "EW\n[mag]",
        "LPV\n[mag]",
    ]
    for star, heads, ax in zip(stars, values, axes[1::3], strict=True):
        np.testing.assert_allclose(
            scatter(ax).get_array(), np.sort(np.tile(heads[1], 2))
        )
        assert len(scatter(ax).get_offsets()) == 2 * len(star)
    assert [ax.get_xlabel() for ax in axes[::3]] == ["", "", "Phase"]


def test_light_curves_against_time_keep_their_own_axes():
    stars = curves()[:2]
    values = [relative_attention(len(star))[0] for star in stars]
    axes = plot_attention_classes(stars, values)
    assert all(ax.get_xlabel().startswith("Time") for ax in axes)


def test_grids_use_the_axes_given():
    curve, values = light_curve(), relative_attention(40)
    axes = make_axes(6)
    assert plot_attention_blocks(curve, values, axes=axes) == axes
    assert len(axes[0].figure.axes) == 6
    with pytest.raises(ConfigError, match=r"len\(axes\)=5, panels=6"):
        plot_attention_blocks(curve, values, axes=axes[:5])


def test_effective_share_is_known_where_attention_is_even():
    assert effective_share(np.full(7, 0.3)) == pytest.approx(1.0)
    assert effective_share([0, 0, 5.0, 0]) == pytest.approx(0.25)
    assert effective_share([1, 1, 0, 0]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("plot", "arguments", "message"),
    [
        (plot_attention, ([1.0, 2.0],), r"shape \(n\). .*\(2,\) for 40 observations"),
        (plot_attention, (np.full(40, np.nan),), "finite and not negative. Received"),
        (plot_attention, (np.full(40, -1.0),), "values from -1.0 to -1.0"),
        (plot_attention_blocks, (np.ones((2, 40)),), r"shape \(num_layers, num_heads"),
        (plot_attention_blocks, (np.ones((0, 2, 40)),), r"shape=\(0, 2, 40\)"),
    ],
)
def test_attention_refuses_what_does_not_fit(plot, arguments, message):
    with pytest.raises(ConfigError, match=message):
        plot(light_curve(), *arguments)


def test_attention_refuses_other_numbers_and_scales():
    stars = curves()[:2]
    values = [relative_attention(len(star))[0] for star in stars]
    with pytest.raises(ConfigError, match=r"len\(attentions\)=1, panels=2"):
        plot_attention_classes(stars, values[:1])
    with pytest.raises(ConfigError, match=r"num_heads=\[1, 2\]"):
        plot_attention_classes(stars, [values[0], values[1][:1]])
    with pytest.raises(ConfigError, match=r"0 light curves, num_heads=\[\]"):
        plot_attention_classes([], [])
    with pytest.raises(ConfigError, match='scale="log"'):
        plot_attention(light_curve(), np.ones(40), scale="log")
