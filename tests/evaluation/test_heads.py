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
    _Batches,
    _mean_loss,
    _train,
    _Windows,
)
from astromer.evaluation.objects import collect_objects
from astromer.evaluation.representations import FrozenEmbedding, Sequences
from astromer.inference import classify
from astromer.models import Reconstructor
from tests.models.windows import tiny_config

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


@pytest.fixture
def describing_model():
    """A model whose embeddings end with a description and a signature."""
    config = tiny_config(
        window_size=8, magnitude_scale="visible", description=True, signature_dim=3
    )
    return Reconstructor(config, seed=0)


@pytest.mark.parametrize(
    ("head", "model"),
    [
        *((head, "tiny_model") for head in (*HEADS, *WITHOUT_BLOCKS)),
        ("embedding", "describing_model"),
    ],
)
def test_probabilities_are_those_of_the_whole_network(
    head, model, request, objects, monkeypatch
):
    """What the cache leaves out must not change a number."""
    model = request.getfixturevalue(model)
    networks = []
    real = HeadMethod._network

    def remember(self, *arguments):
        networks.append(real(self, *arguments))
        return networks[-1]

    monkeypatch.setattr(HeadMethod, "_network", remember)
    predictor = fit(method_of(head, model), objects)
    network = networks[0]
    if head in HEADS:
        network.take_encoder_weights(model.encoder)
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
    assert facts["epochs"] == facts["best_epoch"] + 2


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


class Recorded:
    """A model whose validation losses are given; its weight is the passes it has seen."""

    def __init__(self, losses):
        self.losses, self.seen, self.shares = losses, 0, []

    def train_on_batch(self, inputs, labels, sample_weight):
        self.seen += 1
        self.shares += sample_weight.tolist()

    def predict_on_batch(self, inputs):
        # Two classes and the label 0: softmax([0, x]) gives exp(-loss) to the first.
        x = np.log(np.expm1(self.losses[self.seen - 1]))
        return np.tile([0.0, x], (len(inputs["x"]), 1))

    def get_weights(self):
        return self.seen

    def set_weights(self, weights):
        self.seen = weights


def windows_of(*owners, by_observation=False):
    """Windows of 1, 2, 3 ... observations that belong to objects."""
    sizes = np.arange(len(owners)) + 1
    values = np.where(np.arange(sizes.max()) < sizes[:, None], sizes[:, None], 0)
    return _Windows({"x": values}, [], sizes, np.array(owners), by_observation)


@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [
        ([3.0, 2.0, 1.0, 0.5], 4, 4),
        ([3.0, 1.0, 2.0, 2.0, 0.5], 4, 2),
        ([1.0, 2.0, 0.5, 2.0, 0.5, 0.1], 5, 3),
    ],
)
def test_training_stops_and_goes_back_to_the_best_epoch(losses, epochs, best):
    windows = windows_of(0)
    labels = np.zeros(1, np.int64)
    data = _Batches(windows, np.array([0]), labels, batch_size=4, seed=None)
    model = Recorded(losses)
    training = HeadTraining(epochs=len(losses), patience=2)
    facts = _train(model, data, data, training)
    assert facts == {"epochs": epochs, "best_epoch": best}
    assert model.seen == best


@pytest.mark.parametrize(
    ("steps", "epochs"), [(100, 6), (13, 5), (12, 5), (9, 4), (1, 3)]
)
def test_training_stops_after_epochs_or_steps_in_vain(steps, epochs):
    """Three steps are an epoch here; the first is the best."""
    windows = windows_of(*range(9), by_observation=True)
    data = _Batches(windows, np.arange(9), np.zeros(9, int), batch_size=3, seed=0)
    assert len(data) == len(list(data)) == 3
    model = Recorded([1.0] * 3 * 20)
    training = HeadTraining(epochs=20, patience=5, patience_steps=steps)
    facts = _train(model, data, data, training)
    assert facts == {"epochs": epochs, "best_epoch": 1}


def test_windows_of_an_object_weigh_as_much_as_one():
    windows = windows_of(0, 0, 1)
    labels = np.array([0, 1])
    data = _Batches(windows, np.arange(3), labels, batch_size=2, seed=None)
    model = Recorded([0.5, 0.5])  # one for each batch of the only epoch
    _train(model, data, data, HeadTraining(epochs=1))
    np.testing.assert_allclose(model.shares, [1 / 3, 2 / 3, 1.0])
    # The object of label 1 has the other probability.
    expected = (0.5 - np.log(1 - np.exp(-0.5))) / 2
    assert _mean_loss(model, data) == pytest.approx(expected)
    one = _Batches(windows, np.array([0, 2]), labels, batch_size=2, seed=None)
    expected = (0.5 / 3 - np.log(1 - np.exp(-0.5))) / (4 / 3)
    assert _mean_loss(model, one) == pytest.approx(expected)


@pytest.mark.parametrize("by_observation", [False, True])
def test_order_is_new_in_every_pass(by_observation):
    windows = windows_of(*range(40), by_observation=by_observation)
    data = _Batches(
        windows, np.arange(40), np.zeros(40, np.int64), batch_size=16, seed=1
    )
    passes = [np.concatenate([inputs["x"][:, 0] for inputs, *_ in data]) for _ in "ab"]
    assert not np.array_equal(*passes)
    for order in passes:
        np.testing.assert_array_equal(np.sort(order), np.arange(40) + 1)


@pytest.mark.parametrize("head", [*HEADS, *WITHOUT_BLOCKS])
def test_heads_that_look_at_observations_are_spared_padding(head, tiny_model, objects):
    method = method_of(head, tiny_model)
    method.prepare(objects)
    windows = method._windows(objects)
    short = np.flatnonzero(windows.size == windows.size.min())[:1]
    shapes = {values.shape[1] for values in windows.take(short).values()}
    vectors = {"gamma": 3, "mean": 1, "embedding": 1}
    assert windows.size.min() < tiny_model.config.window_size
    assert shapes == {vectors.get(head, windows.size.min())}


def test_windows_of_like_length_share_batches():
    windows = windows_of(*range(300), by_observation=True)
    rows = np.random.default_rng(0).permutation(300)
    batches = windows.batches(rows, 16)
    lengths = [windows.take(part)["x"].shape[1] for part in batches]
    assert lengths == [*range(16, 300, 16), 300]
    drawn = windows.batches(rows, 16, np.random.default_rng(1))
    lengths = [windows.take(part)["x"].shape[1] for part in drawn]
    # Sorted among 128 at a time; all as drawn would nearly all be close to 300.
    assert sum(lengths) * 16 < 1.25 * windows.size.sum()
    assert lengths != sorted(lengths)
    np.testing.assert_array_equal(np.sort(np.concatenate(drawn)), np.arange(300))
