"""Learning curves and finetuning: lines and bars against the tables."""

import numpy as np
import pandas as pd
import pytest

from astromer.errors import ConfigError
from astromer.figures import make_axes, plot_finetuning, plot_learning_curves
from tests.figures.examples import SIZES, finetuning, history


def line(ax, name):
    (found,) = [one for one in ax.lines if one.get_label() == name]
    return found


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def heights(ax, label):
    (bars,) = [one for one in ax.containers if one.get_label() == label]
    return [bar.get_height() for bar in bars]


def test_learning_curves_are_the_columns():
    table = history()
    ax = plot_learning_curves(pd.DataFrame(table))
    for name, column in (
        ("training", "rmse_hidden"),
        ("validation", "val_rmse_hidden"),
    ):
        points = line(ax, name).get_xydata()
        expected = np.column_stack([table["epoch"], table[column]])
        np.testing.assert_array_equal(points, expected)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "Epoch",
        "RMSE of hidden points [mag]",
    )


def test_best_epoch_is_the_lowest_of_validation_and_of_r2_the_highest():
    ax = plot_learning_curves(history())
    assert line(ax, "best (epoch 5)").get_xydata().tolist() == [[5.0, 0.22]]
    table = {"epoch": [1, 2, 3], "val_r2_hidden": [0.1, 0.5, np.nan]}
    ax = plot_learning_curves(table, metric="r2_hidden")
    assert line(ax, "best (epoch 2)").get_xydata().tolist() == [[2.0, 0.5]]
    assert ax.get_ylabel() == "R\N{SUPERSCRIPT TWO} of hidden points"
    assert line(ax, "best (epoch 2)").get_color() == line(ax, "validation").get_color()


@pytest.mark.parametrize(
    ("metric", "epoch"),
    [
        ("accuracy", 2),
        ("macro_f1_object", 2),
        ("r2_hidden", 2),
        ("rmse", 3),
        ("loss", 3),
    ],
)
def test_best_epoch_is_on_the_better_side_of_the_metric(metric, epoch):
    table = {"epoch": [1, 2, 3], f"val_{metric}": [0.4, 0.6, 0.2]}
    ax = plot_learning_curves(table, metric=metric)
    value = table[f"val_{metric}"][epoch - 1]
    best = line(ax, f"best (epoch {epoch})")
    assert best.get_xydata().tolist() == [[float(epoch), value]]


def test_test_and_baselines_are_lines_across():
    ax = plot_learning_curves(history(), test=0.25, baselines={"a Gaussian": 0.28})
    expected = {"test": 0.25, "visible mean": 0.31, "a Gaussian": 0.28}
    for name, value in expected.items():
        assert set(line(ax, name).get_ydata()) == {value}
        assert line(ax, name).get_linestyle() != "-"
    assert set(labels(ax)) == {"training", "validation", "best (epoch 5)", *expected}


def test_learning_curves_of_training_alone_have_no_best_epoch():
    ax = plot_learning_curves({"epoch": [1, 2], "loss": [0.3, 0.2]}, metric="loss")
    assert labels(ax) == ["training"]
    assert ax.get_ylabel() == "Loss"


def test_learning_curves_of_another_metric_keep_its_name():
    ax = plot_learning_curves({"epoch": [1], "f1_macro": [0.3]}, metric="f1_macro")
    assert ax.get_ylabel() == "f1_macro"


def test_learning_curves_refuse_a_metric_that_is_not_there():
    with pytest.raises(ConfigError, match=r'metric="rmse", columns=.*rmse_hidden'):
        plot_learning_curves(history(), metric="rmse")
    with pytest.raises(ConfigError, match="missing: epoch"):
        plot_learning_curves({"loss": [1.0]}, metric="loss")


def test_finetuning_bars_are_means_over_folds_with_their_scatter():
    rows = [row for row in finetuning() if row["dataset"] == "ASAS"]
    errors, minutes = plot_finetuning(rows)
    means = pd.DataFrame(rows).groupby("samples_per_class").mean(numeric_only=True)
    assert heights(errors, "pretrained") == pytest.approx(means["rmse_before"].tolist())
    assert heights(errors, "finetuned") == pytest.approx(means["rmse_after"].tolist())
    (bars,) = [one for one in minutes.containers if hasattr(one, "patches")]
    assert [bar.get_height() for bar in bars] == pytest.approx(
        means["minutes"].tolist()
    )
    (whiskers,) = bars.errorbar.lines[2]
    lengths = [np.ptp(segment[:, 1]) for segment in whiskers.get_segments()]
    # Three folds, 0.1 minutes apart: a standard deviation of 0.1.
    np.testing.assert_allclose(lengths, 0.2)
    names = [label.get_text() for label in errors.get_xticklabels()]
    assert names == [str(size) for size in SIZES]
    assert (errors.get_ylabel(), minutes.get_ylabel()) == ("RMSE [mag]", "Time [min]")


def test_finetuning_of_several_data_sets_stands_side_by_side():
    errors, minutes = plot_finetuning(finetuning())
    assert [text.get_text() for text in errors.texts] == ["ASAS", "Catalina"]
    assert labels(errors) == ["pretrained", "finetuned"]
    for ax in (errors, minutes):
        assert len(ax.get_xticks()) == 2 * len(SIZES)
        bars = [bar for one in ax.containers for bar in getattr(one, "patches", ())]
        spans = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars)
        ends = [end for _, end in spans]
        assert all(
            start >= end - 1e-9
            for (start, _), end in zip(spans[1:], ends, strict=False)
        )


def test_finetuning_uses_the_axes_given():
    axes = make_axes(2)
    assert plot_finetuning(finetuning(), axes=axes) == axes


def test_finetuning_refuses_what_does_not_fit():
    with pytest.raises(ConfigError, match="missing: minutes"):
        plot_finetuning(
            {"samples_per_class": [1], "rmse_before": [1], "rmse_after": [1]}
        )
    with pytest.raises(ConfigError, match=r"len\(axes\)=1"):
        plot_finetuning(finetuning(), axes=make_axes())
    with pytest.raises(ConfigError, match="`minutes` must hold numbers"):
        plot_finetuning([{**finetuning()[0], "minutes": "long"}])
