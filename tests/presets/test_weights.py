"""Weights read directly against the same file read by Keras."""

import dataclasses

import keras
import numpy as np
import pytest

from astromer import Astromer, Classifier, ClassifierConfig, EncoderConfig
from astromer.presets import weights
from tests.models.windows import make_inputs, make_targets

TINY = EncoderConfig(num_layers=2, num_heads=2, head_dim=4, window_size=8)


def classifier(head):
    return lambda: Classifier(
        TINY, ClassifierConfig(class_names=("a", "b"), head=head, hidden_units=(4,))
    )


MODELS = [
    pytest.param(lambda: Astromer(TINY), id="dense residuals"),
    pytest.param(
        lambda: Astromer(EncoderConfig.from_name("astromer1")), id="astromer1"
    ),
    *(pytest.param(classifier(head), id=head) for head in ("gamma", "gru", "raw_gru")),
]


def assert_equal_weights(model, other):
    for found, expected in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=expected.path)


@pytest.mark.parametrize("make", MODELS)
def test_weights_are_those_that_keras_reads(make, tmp_path, monkeypatch):
    path = tmp_path / "model.weights.h5"
    make().save_weights(path)
    expected, found = make(), make()
    expected.load_weights(path)
    monkeypatch.setattr(keras.Model, "load_weights", None)
    weights.load_weights(found, path)
    assert_equal_weights(found, expected)


def test_what_is_not_as_expected_is_left_to_keras(tmp_path):
    make = classifier("cls")  # holds an encoder's blocks in a list
    path = tmp_path / "model.weights.h5"
    saved, found = make(), make()
    saved.save_weights(path)
    weights.load_weights(found, path)
    assert_equal_weights(found, saved)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"head_dim": 8}, id="shapes"),
        pytest.param({"num_layers": 3}, id="layers"),
    ],
)
def test_weights_of_another_model_are_refused_as_keras_does(other, tmp_path):
    path = tmp_path / "model.weights.h5"
    Astromer(TINY).save_weights(path)
    model = Astromer(dataclasses.replace(TINY, **other))
    with pytest.raises(ValueError, match="ayer"):
        weights.load_weights(model, path)


def test_moments_of_an_optimizer_are_no_part_of_a_preset(tmp_path, monkeypatch, rng):
    model = Astromer(TINY, seed=0)
    model.save_pretrained(tmp_path / "before")
    inputs = make_inputs(rng)
    model.compile("adam", run_eagerly=True)
    model.fit(inputs, make_targets(rng, inputs), verbose=0)
    model.save_pretrained(tmp_path / "after")
    sizes = [
        (tmp_path / name / "model.weights.h5").stat().st_size
        for name in ("before", "after")
    ]
    assert sizes[0] == sizes[1]
    assert int(model.optimizer.iterations) == 1
    model.fit(inputs, make_targets(rng, inputs), verbose=0)
    # Files that have them are read as fast.
    model.save_weights(tmp_path / "with.weights.h5")
    found = Astromer(TINY)
    monkeypatch.setattr(keras.Model, "load_weights", None)
    weights.load_weights(found, tmp_path / "with.weights.h5")
    assert_equal_weights(found, model)
