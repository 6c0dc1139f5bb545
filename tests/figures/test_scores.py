"""Scores: lengths of bars and shades of cells against the numbers given."""

import itertools

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.figures import (
    make_axes,
    plot_confusion,
    plot_confusions,
    plot_f1,
    plot_gamma,
)
from astromer.figures.style import ordinal_colors
from tests.figures.examples import CLASS_NAMES, SIZES, confusion, scores


def bars_of(ax):
    """Bars by label: a list of patches each."""
    return {
        str(one.get_label()): list(one)
        for one in ax.containers
        if hasattr(one, "patches")
    }


def test_f1_bars_are_the_means_the_first_method_at_the_top():
    rows = scores()
    ax = plot_f1(rows)
    for size, bars in bars_of(ax).items():
        found = [bar.get_width() for bar in bars]
        expected = [
            r["macro_f1_mean"] for r in rows if str(r["samples_per_class"]) == size
        ]
        assert found == pytest.approx(expected)
        # Rows count downward: a method's bars lie about its place.
        for place, bar in enumerate(bars):
            assert abs(bar.get_y() + bar.get_height() / 2 - place) < 0.5
    assert list(bars_of(ax)) == [str(size) for size in SIZES]
    assert ax.yaxis_inverted()
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["Astromer 1", "Astromer 2"]


def test_f1_is_written_behind_every_bar_and_stays_inside():
    rows = scores()
    ax = plot_f1(rows, chance=0.2)
    written = sorted(text.get_text() for text in ax.texts)
    assert written == sorted(f"{row['macro_f1_mean']:.3f}" for row in rows)
    ax.figure.draw_without_rendering()
    panel = ax.get_window_extent()
    assert all(text.get_window_extent().x1 < panel.x1 for text in ax.texts)
    (chance,) = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert set(chance.get_xdata()) == {0.2}


def test_f1_error_bars_are_the_deviations():
    ax = plot_f1(scores())
    for container in (one for one in ax.containers if hasattr(one, "patches")):
        (whiskers,) = container.errorbar.lines[2]
        lengths = [np.ptp(segment[:, 0]) for segment in whiskers.get_segments()]
        np.testing.assert_allclose(lengths, 2 * 0.02)


def test_f1_without_deviations_and_with_gaps_is_drawn():
    rows = [{k: v for k, v in r.items() if k != "macro_f1_std"} for r in scores()][1:]
    ax = plot_f1(rows)
    assert {size: len(bars) for size, bars in bars_of(ax).items()} == {
        "20": 1,
        "100": 2,
        "500": 2,
    }


def test_f1_names_classifiers_where_there_are_several():
    rows = [*scores(), *({**row, "classifier": "rf"} for row in scores())]
    names = [label.get_text() for label in plot_f1(rows).get_yticklabels()]
    assert names == [
        "Astromer 1\ngamma",
        "Astromer 2\ngamma",
        "Astromer 1\nrf",
        "Astromer 2\nrf",
    ]


def test_f1_refuses_two_rows_for_one_bar():
    with pytest.raises(
        ConfigError, match=r'method="Astromer 1", samples_per_class=20\. Select one'
    ):
        plot_f1([*scores(), scores()[0]])


def test_f1_published_scores_of_others_are_drawn_as_they_are(shared):
    import polars as pl

    table = pl.read_csv(shared / "reference/anchors/scores_of_others.csv")
    rows = table.filter((pl.col("dataset") == "asas") & (pl.col("classifier") == "rf"))
    found = bars_of(plot_f1(rows))
    for size, part in rows.group_by("samples_per_class"):
        widths = sorted(bar.get_width() for bar in found[str(size[0])])
        np.testing.assert_allclose(widths, part["macro_f1_mean"].sort())


def test_gamma_bars_are_means_over_folds():
    rng = np.random.default_rng(0)
    weights = {f"{size} per class": rng.dirichlet(np.ones(7), 3) for size in SIZES}
    ax = plot_gamma(weights)
    for name, bars in bars_of(ax).items():
        found = [bar.get_height() for bar in bars]
        np.testing.assert_allclose(found, weights[name].mean(axis=0))
    (container, *_) = [one for one in ax.containers if hasattr(one, "patches")]
    (whiskers,) = container.errorbar.lines[2]
    lengths = [np.ptp(segment[:, 1]) for segment in whiskers.get_segments()]
    np.testing.assert_allclose(lengths, 2 * weights["20 per class"].std(0, ddof=1))
    (equal,) = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert equal.get_ydata() == pytest.approx([1 / 7, 1 / 7])
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names[0] == "$\\gamma_0$\ninput"
    assert names[-1] == "$\\gamma_6$"


def test_gamma_of_one_fold_needs_no_deviation():
    ax = plot_gamma({"one": np.full(3, 1 / 3)})
    assert [bar.get_height() for bar in bars_of(ax)["one"]] == pytest.approx(
        [1 / 3] * 3
    )


@pytest.mark.parametrize(
    "weights",
    [{}, {"a": []}, {"a": np.ones((2, 2, 2))}, {"a": np.ones(3), "b": np.ones(4)}],
)
def test_gamma_refuses_other_shapes(weights):
    with pytest.raises(ConfigError, match=r"Gamma weights.*Received: shapes="):
        plot_gamma(weights)


def test_confusion_rows_add_up_to_one():
    matrix = confusion()
    ax = plot_confusion(matrix, CLASS_NAMES)
    (image,) = ax.images
    share = np.asarray(image.get_array())
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    np.testing.assert_allclose(share, matrix / matrix.sum(axis=1, keepdims=True))
    written = {text.get_position(): text.get_text() for text in ax.texts}
    for row, column in np.ndindex(share.shape):
        assert written[column, row] == f"{100 * share[row, column]:.0f}"
    assert [label.get_text() for label in ax.get_yticklabels()] == CLASS_NAMES
    assert [label.get_text() for label in ax.get_xticklabels()] == CLASS_NAMES
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("True class", "Predicted class [%]")


def test_confusion_text_is_white_on_dark_cells():
    ax = plot_confusion([[9, 1], [1, 9]], ["a", "b"])
    colors = {text.get_text(): text.get_color() for text in ax.texts}
    assert colors == {"90": "white", "10": "black"}


def test_confusion_of_a_class_without_objects_is_left_empty():
    ax = plot_confusion([[1, 1], [0, 0]], ["a", "b"])
    assert [text.get_text() for text in ax.texts] == ["50", "50"]


@pytest.mark.parametrize(
    ("matrix", "names", "message"),
    [
        (np.ones((2, 3)), ["a", "b"], r"shape=\(2, 3\), len\(class_names\)=2"),
        (np.ones((2, 2)), ["a"], r"shape=\(2, 2\), len\(class_names\)=1"),
        (np.ones((0, 0)), [], r"shape=\(0, 0\)"),
        ([[1, -1], [0, 1]], ["a", "b"], "numbers of objects. Received"),
        ([[1, np.nan], [0, 1]], ["a", "b"], "numbers of objects. Received"),
    ],
)
def test_confusion_refuses_what_is_no_matrix(matrix, names, message):
    with pytest.raises(ConfigError, match=message):
        plot_confusion(matrix, names)


def test_confusions_stand_side_by_side_with_titles():
    matrices = {f"{size} per class": confusion(size) for size in SIZES}
    axes = plot_confusions(matrices, CLASS_NAMES)
    assert [ax.get_title() for ax in axes] == list(matrices)
    for ax, matrix in zip(axes, matrices.values(), strict=True):
        expected = matrix / matrix.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(ax.images[0].get_array(), expected)
    own = make_axes(3)
    assert plot_confusions(matrices, CLASS_NAMES, axes=own) == own
    with pytest.raises(ConfigError, match="Received: 0 matrices"):
        plot_confusions({}, CLASS_NAMES)
    with pytest.raises(ConfigError, match=r"len\(axes\)=1, panels=3"):
        plot_confusions(matrices, CLASS_NAMES, axes=make_axes())


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_ordinal_colors_darken(count):
    colors = ordinal_colors(count)
    light = [
        sum(
            w * int(c[i : i + 2], 16)
            for w, i in ((0.2126, 1), (0.7152, 3), (0.0722, 5))
        )
        for c in colors
    ]
    assert len(light) == count
    assert all(one - other > 15 for one, other in itertools.pairwise(light))
