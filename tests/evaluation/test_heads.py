"""Heads on what a frozen encoder has computed: equal to the whole network."""

import dataclasses

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.evaluation.heads import (
    HEADS,
    WITHOUT_BLOCKS,
    HeadMethod,
    HeadTraining,
)
from astromer.evaluation.objects import collect_objects
from astromer.evaluation.representations import FrozenEmbedding, Sequences
from astromer.inference import classify

pytestmark = pytest.mark.usefixtures("untraced")

QUICK = HeadTraining(hidden_units=(8,), gru_units=6, epochs=2, batch_size=16)


@pytest.fixture
def objects(make_star):
    """Twelve objects of two classes, of one to three windows; one in two passbands."""
    curves = [
        make_star(name, i, length=6 + 4 * (i % 4))
        for name in ("fast", "flat")
        for i in range(6)
    ]
    curves.append(make_star("flat", 0, passband="B", length=11))
    return list(collect_objects(curves).objects.values())


LABELS = np.repeat([0, 1], 6)


def fit(method, objects, seed=0):
    method.prepare(objects)
    return method.fit(objects, LABELS, num_classes=2, seed=seed)


def method_of(head, model, **options):
    options.setdefault("training", QUICK)
    if head in HEADS:
        return HeadMethod(head, FrozenEmbedding(model, "tiny"), **options)
    return HeadMethod(head, config=model.config, **options)


@pytest.mark.parametrize("head", [*HEADS, *WITHOUT_BLOCKS])
def test_probabilities_are_those_of_the_whole_network(
    head, tiny_model, objects, monkeypatch
):
    """What the cache leaves out must not change a number."""
    networks = []
    real = HeadMethod._network

    def remember(self, *arguments):
        networks.append(real(self, *arguments))
        return networks[-1]

    monkeypatch.setattr(HeadMethod, "_network", remember)
    predictor = fit(method_of(head, tiny_model), objects)
    network = networks[0]
    if head in HEADS:
        network.take_encoder_weights(tiny_model.encoder)
    curves = [curve for item in objects for curve in item.light_curves]
    expected = classify(network, curves, per="window")
    windows = predictor.predict_windows(objects)
    np.testing.assert_allclose(windows.probabilities, expected.probability, atol=1e-5)
    per_curve = classify(network, curves).probability
    found = predictor.predict_proba(objects)
    one = [i for i, item in enumerate(objects) if len(item.light_curves) == 1]
    names = [curve.object_id for curve in curves]
    for i in one:
        row = per_curve[names.index(objects[i].object_id)]
        np.testing.assert_allclose(found[i], row, atol=1e-5)
    # The object in two passbands: each observation counts once.
    (two,) = set(range(len(objects))) - set(one)
    lengths = [len(curve) for curve in objects[two].light_curves]
    first = names.index(objects[two].object_id)
    average = np.average(per_curve[first : first + 2], axis=0, weights=lengths)
    np.testing.assert_allclose(found[two], average, atol=1e-5)


@pytest.mark.parametrize("head", ["gamma", "attention", "raw_gru"])
def test_training_is_the_same_every_time(head, tiny_model, objects):
    one, again, other = (
        fit(method_of(head, tiny_model), objects, seed).predict_proba(objects)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("head", ["gamma", "max"])
def test_training_finds_what_differs(head, tiny_model, make_star):
    """One class has been looked at every hundredth of a day, one every hundred days."""
    curves = []
    for i in range(12):
        star = make_star(("often", "seldom")[i // 6], i, length=8)
        step = (0.01, 100.0)[i // 6]
        time = 50_000.0 + step * np.arange(8)
        curves.append(dataclasses.replace(star, time=time))
    objects = list(collect_objects(curves).objects.values())
    longer = dataclasses.replace(QUICK, epochs=40, patience=40, learning_rate=3e-2)
    method = method_of(head, tiny_model, training=longer)
    probabilities = fit(method, objects).predict_proba(objects)
    assert -np.log(probabilities[np.arange(12), LABELS]).mean() < 0.1


def test_the_best_weights_are_kept(tiny_model, objects):
    """Steps far too large make it worse again; one epoch alone was best."""
    wild = dataclasses.replace(QUICK, learning_rate=10.0, epochs=8, patience=8)
    method = method_of("max", tiny_model, training=wild)
    best = fit(method, objects)
    assert best.facts["best_epoch"] < best.facts["epochs"] == 8
    shorter = dataclasses.replace(wild, epochs=best.facts["best_epoch"])
    method = method_of("max", tiny_model, training=shorter)
    np.testing.assert_array_equal(
        fit(method, objects).predict_proba(objects), best.predict_proba(objects)
    )


def test_gamma_tells_the_weights_of_its_layers(tiny_model, objects):
    facts = fit(method_of("gamma", tiny_model), objects).facts
    assert len(facts["layer_weights"]) == 3
    assert sum(facts["layer_weights"]) == pytest.approx(1.0, abs=1e-3)
    assert 1 <= facts["best_epoch"] <= facts["epochs"] == 2


def test_training_stops_when_nothing_is_gained(tiny_model, objects):
    stuck = dataclasses.replace(QUICK, epochs=30, patience=2, learning_rate=1e-12)
    facts = fit(method_of("mean", tiny_model, training=stuck), objects).facts
    assert facts["epochs"] < 30


def test_one_object_per_class_is_enough(tiny_model, objects):
    method = method_of("mean", tiny_model)
    few = [objects[0], objects[6], objects[0]]
    method.prepare(few)
    predictor = method.fit(few, np.array([0, 1, 0]), num_classes=2, seed=0)
    assert np.isfinite(predictor.predict_proba(few)).all()


def test_sequences_are_shared_and_kept(tiny_model, objects, tmp_path, monkeypatch):
    embedding = FrozenEmbedding(tiny_model, "tiny")
    Sequences(embedding, tmp_path).prepare(objects)
    kept = Sequences(embedding, tmp_path)
    computed = []
    monkeypatch.setattr(kept, "_compute", computed.append)
    for head in ("max", "cls"):
        HeadMethod(head, embedding, sequences=kept, training=QUICK).prepare(objects)
    assert computed == []


def test_keys_tell_methods_apart(tiny_model):
    keys = {
        method_of(head, tiny_model, training=training).key
        for head in ("gamma", "mean", "raw_gru")
        for training in (QUICK, HeadTraining())
    }
    assert len(keys) == 6


def test_heads_must_exist_and_have_an_encoder(tiny_model):
    with pytest.raises(ConfigError, match=r'head="gama".*Did you mean "gamma"'):
        method_of("gama", tiny_model)
    with pytest.raises(ConfigError, match="stands on an encoder"):
        HeadMethod("gamma")
