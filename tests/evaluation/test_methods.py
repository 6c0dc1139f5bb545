"""A classifier on vectors: objects of several light curves, repeats, windows."""

import numpy as np
import pytest

from astromer.evaluation.classifiers import fit_classifier
from astromer.evaluation.methods import VectorMethod
from astromer.evaluation.objects import collect_objects
from astromer.evaluation.representations import FrozenEmbedding, Statistics


@pytest.fixture
def objects(make_star):
    """Six objects of two classes, one of them in two passbands."""
    curves = [make_star(c, i) for c in ("fast", "flat") for i in range(3)]
    curves.append(make_star("flat", 0, passband="B", length=30))
    return list(collect_objects(curves).objects.values())


LABELS = np.array([0, 0, 0, 1, 1, 1])


def test_probabilities_of_an_object_are_the_mean_of_its_light_curves(objects):
    representation = Statistics()
    method = VectorMethod(representation, "lr")
    method.prepare(objects)
    predictor = method.fit(objects, LABELS, num_classes=2, seed=0)
    rows = representation.rows(objects)
    each = predictor.fitted.predict_proba(rows.values)
    found = predictor.predict_proba(objects)
    assert found.shape == (6, 2)
    np.testing.assert_allclose(found[0], each[0])
    np.testing.assert_allclose(found[3], each[3:5].mean(axis=0))
    assert predictor.predict_windows(objects) is None


def test_repeated_objects_are_one_group(objects, monkeypatch):
    seen = {}

    def spy(name, values, labels, groups, **options):
        seen.update(labels=labels.tolist(), groups=groups.tolist())
        return fit_classifier(name, values, labels, groups, **options)

    monkeypatch.setattr("astromer.evaluation.methods.fit_classifier", spy)
    method = VectorMethod(Statistics(), "lr")
    method.prepare(objects)
    drawn = [objects[0], objects[3], objects[0], objects[1]]
    method.fit(drawn, np.array([0, 1, 0, 0]), num_classes=2, seed=0)
    assert seen["labels"] == [0, 1, 1, 0, 0]
    assert seen["groups"] == [0, 2, 2, 0, 1]


def test_windows_are_scored_by_the_same_classifier(objects, tiny_model):
    frozen = FrozenEmbedding(tiny_model, "tiny")
    method = VectorMethod(frozen, "lr")
    method.prepare(objects)
    predictor = method.fit(objects, LABELS, num_classes=2, seed=0)
    windows = predictor.predict_windows(objects)
    rows = frozen.window_rows(objects)
    np.testing.assert_array_equal(windows.owner, rows.owner)
    np.testing.assert_allclose(
        windows.probabilities, predictor.fitted.predict_proba(rows.values)
    )


def test_key_tells_methods_apart(tiny_model):
    keys = {
        VectorMethod(representation, classifier).key
        for representation in (
            Statistics(),
            FrozenEmbedding(tiny_model, "tiny"),
            FrozenEmbedding(tiny_model, "tiny", layer="all"),
        )
        for classifier in ("lr", "rf")
    }
    assert len(keys) == 6
