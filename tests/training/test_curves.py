import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from astromer.training.curves import draw_learning_curves, save_learning_curves

ROWS = [
    {"epoch": 1, "loss": 3.0, "val_loss": 4.0, "val_loss_mean": 3.5},
    {"epoch": 2, "loss": 2.0, "val_loss": 2.5, "val_loss_mean": 3.5},
    {"epoch": 3, "loss": 1.0, "val_loss": 3.0, "val_loss_mean": 3.5},
]


def lines(rows, **options):
    axes = Figure().subplots()
    assert draw_learning_curves(axes, rows, "loss", **options) is axes
    return {line.get_label(): line for line in axes.lines}


def test_curves_are_the_columns():
    found = lines(ROWS, best_epoch=2)
    assert list(found) == ["training", "validation", "kept", "visible mean"]
    assert found["training"].get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]
    assert found["validation"].get_xydata().tolist() == [[1, 4], [2, 2.5], [3, 3]]
    assert found["kept"].get_xydata().tolist() == [[2, 2.5]]
    assert set(found["visible mean"].get_ydata()) == {3.5}


def test_training_alone_is_one_curve():
    assert list(lines([{"epoch": 1, "loss": 3.0}], best_epoch=1)) == ["training"]


@pytest.mark.parametrize("count", [3, 100])
def test_picture_is_drawn_of_what_there_is(tmp_path, count):
    rows = [{**ROWS[0], "epoch": n + 1, "loss": 1 / (n + 1)} for n in range(count)]
    panels = {"loss": "loss [mag]", "accuracy": "accuracy"}
    save_learning_curves(tmp_path / "curves.png", rows, panels, best_epoch=2)
    picture = matplotlib.image.imread(tmp_path / "curves.png")
    # One panel of 3.4 by 2.6 inches.
    assert picture.shape[:2] == (390, 510)
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 50
