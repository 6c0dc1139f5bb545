"""Scores against scikit-learn, and against values that can be worked out."""

import numpy as np
import pytest
from sklearn import metrics

from astromer.evaluation.scores import (
    brier_score,
    calibrate,
    confusion_matrix,
    f1_per_class,
    paired_difference,
)


@pytest.fixture
def guesses(rng):
    """Class numbers and probabilities that know a little of them."""
    labels = rng.integers(4, size=300)
    raw = rng.gamma(1.0, size=(300, 4)) + 1.5 * np.eye(4)[labels]
    return labels, raw / raw.sum(axis=1, keepdims=True)


def test_f1_equals_scikit_learns(guesses):
    labels, probabilities = guesses
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, 4)
    np.testing.assert_array_equal(
        confusion, metrics.confusion_matrix(labels, predicted)
    )
    np.testing.assert_allclose(
        f1_per_class(confusion), metrics.f1_score(labels, predicted, average=None)
    )


def test_f1_of_a_class_that_never_occurs_is_zero():
    confusion = confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    np.testing.assert_allclose(f1_per_class(confusion), [2 / 3, 2 / 3, 0.0])


def test_brier_score_is_the_squared_distance(guesses):
    labels, probabilities = guesses
    per_class = [
        metrics.brier_score_loss(labels == k, probabilities[:, k]) for k in range(4)
    ]
    assert brier_score(probabilities, labels) == pytest.approx(sum(per_class))
    certain = np.eye(4)[labels]
    assert brier_score(certain, labels) == 0.0
    assert brier_score(np.eye(4)[(labels + 1) % 4], labels) == 2.0


def test_calibration_finds_what_was_put_in(rng):
    confidence = rng.uniform(0.5, 1.0, 200_000)
    probabilities = np.column_stack([confidence, 1 - confidence])
    honest = (rng.uniform(size=len(confidence)) > confidence).astype(np.int64)
    calibration = calibrate(probabilities, honest)
    assert calibration.error < 0.01
    assert calibration.count.sum() == len(confidence)
    np.testing.assert_allclose(
        calibration.confidence, [0.55, 0.65, 0.75, 0.85, 0.95], atol=0.01
    )
    np.testing.assert_allclose(calibration.accuracy, calibration.confidence, atol=0.015)
    # Always right, where one says three quarters on average: a quarter off.
    assert calibrate(probabilities, 0 * honest).error == pytest.approx(0.25, abs=0.01)


def test_calibration_of_certainty_falls_into_the_last_bin():
    calibration = calibrate(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0]))
    assert calibration.count.tolist() == [3]
    assert calibration.accuracy[0] == pytest.approx(2 / 3)


def folds_of(rng, accuracy, num_folds=3, number=100, num_classes=4):
    """Predictions that are right by chance, on folds that share their objects."""
    names = [f"star-{i}" for i in range(number)]
    labels = np.arange(number) % num_classes
    guesses = []
    for _ in range(num_folds):
        right = rng.uniform(size=number) < accuracy
        guesses.append(np.where(right, labels, (labels + 1) % num_classes))
    return guesses, [labels] * num_folds, [names] * num_folds


def test_difference_is_that_of_the_mean_scores(rng):
    first, labels, names = folds_of(rng, 0.9)
    second, *_ = folds_of(rng, 0.6)
    result = paired_difference(first, second, labels, names, 4)
    means = [
        np.mean(
            [
                metrics.f1_score(truth, guess, average="macro")
                for truth, guess in zip(labels, guesses, strict=True)
            ]
        )
        for guesses in (first, second)
    ]
    assert result.difference == pytest.approx(means[0] - means[1])
    assert 0 < result.low < result.difference < result.high
    assert result.share_above_zero == 1.0


def test_equal_methods_do_not_differ(rng):
    first, labels, names = folds_of(rng, 0.8)
    result = paired_difference(first, first, labels, names, 4)
    assert (result.low, result.difference, result.high) == (0.0, 0.0, 0.0)
    second, *_ = folds_of(rng, 0.8)
    result = paired_difference(first, second, labels, names, 4)
    assert result.low < 0 < result.high


def test_interval_is_about_two_standard_errors_to_each_side(rng):
    """One fold, two classes alike: the accuracy's error is that of a binomial."""
    number = 400
    first, labels, names = folds_of(rng, 0.8, 1, number, 2)
    second = [1 - labels[0]]  # always wrong: the difference is the first's F1
    result = paired_difference(first, second, labels, names, 2)
    right = (first[0] == labels[0]).mean()
    error = np.sqrt(right * (1 - right) / number)
    assert result.high - result.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_an_object_in_all_folds_is_drawn_once_for_all(rng):
    first, labels, names = folds_of(rng, 0.8, 1)
    second, *_ = folds_of(rng, 0.6, 1)
    one = paired_difference(first, second, labels, names, 4)
    # The same test set three times over tells no more than once.
    three = paired_difference(first * 3, second * 3, labels * 3, names * 3, 4)
    assert three.high - three.low == pytest.approx(one.high - one.low)
    other = [[f"{name}-{k}" for name in names[0]] for k in range(3)]
    apart = paired_difference(first * 3, second * 3, labels * 3, other, 4)
    assert apart.high - apart.low < 0.75 * (one.high - one.low)


def test_seed_moves_the_interval_and_not_the_difference(rng):
    first, labels, names = folds_of(rng, 0.8)
    second, *_ = folds_of(rng, 0.6)
    one, other = (
        paired_difference(first, second, labels, names, 4, seed=seed) for seed in (0, 1)
    )
    assert one.difference == other.difference
    assert one.low != other.low
    again = paired_difference(first, second, labels, names, 4, seed=0)
    assert again == one
