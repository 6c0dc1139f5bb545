import numpy as np
import pytest
from sklearn import metrics

from astromer.training.scoring import Confusion


@pytest.mark.parametrize("num_classes", [2, 5])
def test_confusion_scores_as_scikit_learn(rng, num_classes):
    label = rng.integers(0, num_classes, 200)
    predicted = np.where(
        rng.uniform(size=200) < 0.5, label, rng.integers(0, num_classes, 200)
    )
    found = Confusion.of(label, predicted, num_classes)
    np.testing.assert_array_equal(
        found.counts, metrics.confusion_matrix(label, predicted)
    )
    expected = metrics.precision_recall_fscore_support(label, predicted)
    scores = (found.precision, found.recall, found.f1, found.support)
    for ours, theirs in zip(scores, expected, strict=True):
        np.testing.assert_allclose(ours, theirs)
    assert found.macro_f1 == pytest.approx(
        metrics.f1_score(label, predicted, average="macro")
    )
    assert found.accuracy == metrics.accuracy_score(label, predicted)


def test_class_that_never_occurs_scores_zero_and_counts_for_nothing():
    found = Confusion.of(np.array([0, 0, 1]), np.array([0, 3, 1]), 4)
    assert found.precision.tolist() == [1, 1, 0, 0]
    assert found.recall.tolist() == [0.5, 1, 0, 0]
    # Class 2 is neither there nor predicted; class 3 is predicted.
    expected = metrics.f1_score([0, 0, 1], [0, 3, 1], average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(expected) == pytest.approx(5 / 9)
