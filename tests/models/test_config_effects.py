"""Every option of the models changes something: none is decoration."""

import dataclasses

import keras
import numpy as np
import pytest

from astromer.inference import embed
from astromer.models import (
    ClassifierConfig,
    ClassifierNetwork,
    EncoderConfig,
    Reconstructor,
)
from tests.models.windows import make_inputs, tiny_config

LOG_PERIOD = {"time_encoding": "log_period"}
DESCRIBED = {"magnitude_scale": "visible", "description": True}
PERIODS = {"magnitude_scale": "visible", "num_periods": 2, "num_frequencies": 2048}

# Option: what goes with it, and a value other than that of `tiny_config`.
CHANGES = {
    "num_layers": ({}, 1),
    "num_heads": ({}, 4),
    "head_dim": ({}, 2),
    "hidden_dim": ({}, 6),
    "embedding_dim": ({}, 4),
    "intermediate_dim": ({}, 3),
    "residual": ({}, "none"),
    "dropout": ({}, 0.5),
    "time_encoding": ({}, "log_period"),
    "time_base": ({}, 1_000.0),
    "rotary_time": ({}, True),
    "shortest_period": (LOG_PERIOD, 0.5),
    "longest_period": (LOG_PERIOD, 100.0),
    "hidden_magnitude": ({}, "leak"),
    "attention_mask": ({}, "released_astromer1"),
    "window_size": ({}, 5),
    "normalization": ({}, "light_curve"),
    "block_norm": ({}, "before"),
    "magnitude_scale": ({}, "visible"),
    "num_periods": (PERIODS, 1),
    "period_harmonics": (PERIODS, 1),
    "max_frequency": (PERIODS, 1.0),
    "num_frequencies": (PERIODS, 1024),
    "outlier_limit": (PERIODS, 1.0),
    "description": ({"magnitude_scale": "visible"}, True),
    "signature_dim": (DESCRIBED, 3),
    "signature_units": ({**DESCRIBED, "signature_dim": 3}, 5),
}
SIZES = {"num_layers", "num_heads", "head_dim", "hidden_dim", "embedding_dim"}
SIZES |= {"intermediate_dim", "num_periods", "period_harmonics"}
SIZES |= {"signature_dim", "signature_units"}
IN_WINDOWS = {"window_size", "normalization"}
IN_EMBEDDINGS = {"description", "signature_dim", "signature_units"}


def test_every_option_has_a_case():
    assert set(CHANGES) == {field.name for field in dataclasses.fields(EncoderConfig)}


def models(option):
    """Return two models of one seed that differ in an option only."""
    extra, value = CHANGES[option]
    base = tiny_config(**extra)
    changed = dataclasses.replace(base, **{option: value})
    assert getattr(base, option) != value
    return Reconstructor(base, seed=0), Reconstructor(changed, seed=0)


@pytest.mark.parametrize("option", sorted(SIZES))
def test_size_changes_number_of_parameters(option):
    base, changed = models(option)
    assert base.count_params() != changed.count_params()


@pytest.mark.parametrize(
    "option", sorted(set(CHANGES) - SIZES - IN_WINDOWS - IN_EMBEDDINGS)
)
def test_option_changes_output(option, rng):
    inputs = make_inputs(rng)
    training = option == "dropout"
    base, changed = (
        np.asarray(model(inputs, training=training)) for model in models(option)
    )
    assert np.abs(base - changed)[inputs["valid"]].max() > 1e-3


@pytest.mark.parametrize("option", sorted(IN_WINDOWS))
def test_option_changes_embedding_of_light_curve(option, make_light_curve):
    # The windows of a long light curve depend on it; the layers do not.
    base, changed = models(option)
    curve = make_light_curve(19)
    vectors = [np.asarray(embed(model, curve)) for model in (base, changed)]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_description_makes_embeddings_longer(make_light_curve):
    base, changed = models("description")
    curve = make_light_curve(19)
    shorter, longer = (np.asarray(embed(model, curve)) for model in (base, changed))
    assert longer.shape[1] == shorter.shape[1] + changed.config.description_channels
    np.testing.assert_allclose(longer[:, : shorter.shape[1]], shorter, atol=1e-6)


def test_signature_makes_embeddings_longer(make_light_curve):
    base, changed = models("signature_dim")
    curve = make_light_curve(8)
    shorter, longer = (np.asarray(embed(model, curve)) for model in (base, changed))
    assert longer.shape[1] == shorter.shape[1] + 3
    np.testing.assert_allclose(longer[:, :-3], shorter, atol=1e-6)


def test_window_size_sets_number_of_windows(make_light_curve):
    base, changed = models("window_size")
    curve = make_light_curve(19)
    assert len(embed(base, curve, per="window")) == 3
    assert len(embed(changed, curve, per="window")) == 4


def test_token_is_the_one_parameter_that_zero_lacks(rng):
    token = Reconstructor(tiny_config(), seed=0)
    zero = Reconstructor(tiny_config(hidden_magnitude="zero"), seed=0)
    assert token.count_params() == zero.count_params() + 1
    inputs = make_inputs(rng)
    same = keras.ops.convert_to_numpy(token(inputs))
    np.testing.assert_array_equal(same, zero(inputs))
    token.encoder.get_layer("visible_magnitude").token.assign(0.5)
    moved = keras.ops.convert_to_numpy(token(inputs))
    assert np.abs(moved - same).max() > 1e-3


PAPER_COUNT = {
    "num_layers": 6,
    "num_heads": 4,
    "head_dim": 80,
    "hidden_dim": 320,
    "embedding_dim": 128,
    "intermediate_dim": 512,
    "residual": "dense",
    "hidden_magnitude": "zero",
}


@pytest.mark.parametrize(
    ("config", "count"),
    [
        pytest.param(EncoderConfig.from_name("astromer1"), 661_505, id="astromer1"),
        pytest.param(EncoderConfig.from_name("astromer2"), 3_953_410, id="astromer2"),
        pytest.param(
            EncoderConfig.from_name("astromer2", hidden_magnitude="leak"),
            3_953_409,
            id="astromer2 as released, without token",
        ),
        pytest.param(
            EncoderConfig(**PAPER_COUNT), 5_432_129, id="astromer2 in the paper"
        ),
    ],
)
def test_number_of_parameters_is_the_published_one(config, count):
    model = Reconstructor(config)
    assert model.count_params() == count
    # The head: LayerNorm with two weights per channel, Dense(1) with a bias.
    assert count - model.encoder.count_params() == 3 * config.hidden_dim + 1


# --- The classifier

# Option: what goes with it, and a value other than that of `CLASSIFIER`.
CLASSIFIER = {"class_names": ("a", "b", "c"), "hidden_units": (4,)}
CLASSIFIER_CHANGES = {
    "class_names": ({}, ("a", "b")),
    "head": ({}, "mean"),
    "hidden_units": ({}, (4, 4)),
    "output_norm": ({}, False),
    "dropout": ({}, 0.5),
    "gru_units": ({"head": "gru"}, 5),
    "raw_time_unit": ({"head": "raw_gru"}, 1.0),
    "mixture": ({"output_norm": False}, "released"),
    "unfrozen_blocks": ({}, 1),
}


def classifiers(option, **extra):
    """Return two classifiers of one seed that differ in an option only."""
    goes_with, value = CLASSIFIER_CHANGES[option]
    base = ClassifierConfig(**{**CLASSIFIER, **goes_with, **extra})
    changed = dataclasses.replace(base, **{option: value})
    assert getattr(base, option) != value
    return [
        ClassifierNetwork(tiny_config(), config, seed=0) for config in (base, changed)
    ]


def test_every_option_of_the_classifier_has_a_case():
    names = {field.name for field in dataclasses.fields(ClassifierConfig)}
    assert set(CLASSIFIER_CHANGES) == names


@pytest.mark.parametrize(
    "option", ["class_names", "head", "hidden_units", "output_norm", "gru_units"]
)
def test_option_of_the_classifier_changes_number_of_parameters(option):
    base, changed = classifiers(option)
    assert base.count_params() != changed.count_params()


@pytest.mark.parametrize(
    "option", ["head", "output_norm", "dropout", "mixture", "raw_time_unit"]
)
def test_option_of_the_classifier_changes_logits(option, rng):
    inputs = make_inputs(rng)
    training = option == "dropout"
    base, changed = (
        np.asarray(model(inputs, training=training)) for model in classifiers(option)
    )
    assert np.abs(base - changed).max() > 1e-3


def test_dropout_of_a_linear_classifier_changes_logits(rng):
    inputs = make_inputs(rng)
    base, changed = classifiers("dropout", hidden_units=())
    expected = np.asarray(base(inputs, training=True))
    assert np.abs(np.asarray(changed(inputs, training=True)) - expected).max() > 1e-3
    np.testing.assert_array_equal(base(inputs), changed(inputs))


def test_unfrozen_blocks_change_what_trains():
    base, changed = classifiers("unfrozen_blocks")
    more = len(changed.trainable_weights) - len(base.trainable_weights)
    assert more == len(changed.get_layer("block_1").weights)
