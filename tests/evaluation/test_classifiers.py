"""Classifiers: the same every time, sound on few rows, blind to scale and rounding."""

import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from astromer.errors import ConfigError
from astromer.evaluation import classifiers
from astromer.evaluation.classifiers import CLASSIFIERS, fit_classifier


def blobs(rng, *, rows=20, num_classes=3, dim=5):
    """Rows around a center per class, and the class's number."""
    labels = np.repeat(np.arange(num_classes), rows)
    centers = 4.0 * np.eye(num_classes, dim)
    return centers[labels] + rng.normal(0, 1, (len(labels), dim)), labels


def fit(name, values, labels, **options):
    options.setdefault("groups", np.arange(len(labels)))
    options.setdefault("num_classes", int(labels.max()) + 1)
    return fit_classifier(name, values, labels, **options)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Fewer trees and units: what is tested does not depend on their number."""
    monkeypatch.setattr(classifiers, "NUM_TREES", 25)
    monkeypatch.setattr(classifiers, "NUM_BOOSTING_ROUNDS", 20)
    monkeypatch.setattr(classifiers, "HIDDEN_UNITS", (16, 8))
    monkeypatch.setattr(classifiers, "LEARNING_RATE", 1e-2)
    monkeypatch.setattr(classifiers, "MAX_EPOCHS", 40)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier_tells_classes_apart(name, rng):
    values, labels = blobs(rng)
    unseen, truth = blobs(rng)
    probabilities = fit(name, values, labels).predict_proba(unseen)
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.9


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier_is_the_same_every_time(name, rng):
    values, labels = blobs(rng)
    once, again = (
        fit(name, values, labels, seed=3, num_jobs=jobs).predict_proba(values)
        for jobs in (1, 2)
    )
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("name", ["rf", "mlp"])
def test_seed_has_an_effect(name, rng):
    values, labels = blobs(rng)
    one, other = (
        fit(name, values, labels, seed=seed).predict_proba(values) for seed in (0, 1)
    )
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_missing_infinite_and_constant_values_are_taken(name, rng):
    values, labels = blobs(rng)
    values[::7, 0] = np.nan
    values[3, 1] = np.inf
    values[:, 3] = np.nan
    values[:, 4] = 2.5
    probabilities = fit(name, values, labels).predict_proba(values)
    assert np.isfinite(probabilities).all()
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.8


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_class_that_was_not_trained_on_gets_nothing(name, rng):
    values, labels = blobs(rng, num_classes=2)
    labels = labels * 2
    probabilities = fit(name, values, labels, num_classes=4).predict_proba(values)
    np.testing.assert_array_equal(probabilities[:, [1, 3]], 0.0)
    assert (probabilities.argmax(axis=1) == labels).all()


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("rows", [1, 2])
def test_one_or_two_objects_per_class_are_enough(name, rows, rng):
    values, labels = blobs(rng, rows=rows)
    # Drawn three times each, as short classes are.
    values, labels = np.repeat(values, 3, axis=0), np.repeat(labels, 3)
    groups = np.repeat(np.arange(3 * rows), 3)
    fitted = fit(name, values, labels, groups=groups)
    assert np.isfinite(fitted.predict_proba(values)).all()


def test_logistic_regression_equals_scikit_learns(rng):
    values, labels = blobs(rng)
    fitted = fit("lr", values, labels)
    scaler = StandardScaler().fit(values)
    model = LogisticRegression(C=fitted.facts["C"], max_iter=1000)
    expected = model.fit(scaler.transform(values), labels).predict_proba(
        scaler.transform(values)
    )
    np.testing.assert_allclose(fitted.predict_proba(values), expected, atol=1e-6)
    assert fitted.facts["converged"]


def test_regularization_follows_what_there_is_to_learn(rng):
    values, labels = blobs(rng, dim=30)
    noise = rng.normal(size=values.shape)
    assert fit("lr", noise, labels).facts["C"] < fit("lr", values, labels).facts["C"]


def test_rounding_of_a_constant_column_is_not_blown_up(rng):
    values, labels = blobs(rng)
    column = 7.0 + 1e-6 * np.repeat([0.0, 1.0, 2.0], 20)
    with_rounding = np.column_stack([values, column])
    plain = fit("lr", values, labels).predict_proba(values)
    np.testing.assert_allclose(
        fit("lr", with_rounding, labels).predict_proba(with_rounding), plain, atol=1e-9
    )


def test_tuning_keeps_the_rows_of_an_object_together(rng):
    groups = np.repeat(np.arange(12), 4)
    labels = np.repeat([0, 1], 24)
    folds = classifiers.tuning_folds(labels, groups, 3, seed=0)
    assert len(folds) == 3
    for train, validation in folds:
        assert not set(groups[train]) & set(groups[validation])


def test_unknown_classifier_is_named(rng):
    with pytest.raises(ConfigError, match=r'classifier="svm".*Known: hgb, lr, mlp, rf'):
        fit("svm", *blobs(rng))


def test_missing_scikit_learn_gives_the_command(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'astromer\[benchmark\]'"):
        fit("lr", *blobs(rng))
