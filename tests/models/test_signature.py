"""A window's signature: an encoder's option, numpy's arithmetic, and saved files."""

import math

import keras
import numpy as np
import pytest

from astromer import Astromer, Classifier
from astromer.errors import ConfigError
from astromer.inference import classify, embed
from astromer.models import (
    ClassifierConfig,
    ClassifierNetwork,
    Encoder,
    EncoderConfig,
    Reconstructor,
)
from astromer.models.signature import LARGEST_STANDARDIZED, Signature
from astromer.presets import golden_difference
from tests.models.windows import make_inputs, tiny_config

OPTIONS = {
    "magnitude_scale": "visible",
    "num_periods": 2,
    "num_frequencies": 2048,
    "description": True,
    "signature_dim": 5,
    "signature_units": 7,
}


@pytest.fixture(scope="module")
def model():
    return Reconstructor(tiny_config(**OPTIONS), seed=0)


def fill(layer, seed):
    """Give a layer weights that are all of one size, scales above zero."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        values = rng.normal(size=weight.shape)
        weight.assign(np.abs(values) + 0.5 if weight.name == "scale" else values)
    return {weight.name: np.asarray(weight) for weight in layer.weights}


def test_arithmetic_is_that_of_numpy(rng):
    layer = Signature(3, 6, seed=0)
    layer.build((None, 4))
    w = fill(layer, 1)
    values = rng.normal(size=(8, 4)).astype("f") * 3

    def norm(x, index):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
        return x * w[f"gain_{index}"] + w[f"shift_{index}"]

    def gelu(x):
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    limit = LARGEST_STANDARDIZED
    x = np.clip((values - w["mean"]) / w["scale"], -limit, limit)
    assert (np.abs(x) == limit).any()
    x = gelu(x @ w["kernel_0"] + w["bias_0"])
    x = gelu(norm(x, 1) @ w["kernel_1"] + w["bias_1"])
    x = norm(x, 2) @ w["kernel_2"] + w["bias_2"]
    np.testing.assert_allclose(np.asarray(layer(values)), x, rtol=1e-4, atol=1e-4)


def test_dropout_is_of_training_alone(rng):
    layer = Signature(3, 40, dropout=0.5, trained=True, seed=0)
    values = rng.normal(size=(2, 4)).astype("f")
    plain = np.asarray(layer(values))
    np.testing.assert_array_equal(layer(values, training=False), plain)
    assert np.abs(np.asarray(layer(values, training=True)) - plain).max() > 1e-3


def test_embedding_ends_with_the_signature(model, make_light_curve):
    curves = [make_light_curve(size, seed=size) for size in (9, 30)]
    found, described, signature = (
        np.asarray(embed(model, curves, layer=layer))
        for layer in (None, "description", "signature")
    )
    config = model.config
    assert signature.shape == (2, config.signature_dim)
    block = found[:, : config.hidden_dim]
    np.testing.assert_allclose(found, np.hstack([block, described, signature]), 1e-5)
    assert np.ptp(signature, axis=0).min() > 1e-4


def test_signature_is_of_the_description(model, make_light_curve):
    described = np.asarray(embed(model, make_light_curve(8), layer="description"))
    layer = model.encoder.get_layer("signature")
    found = np.asarray(embed(model, make_light_curve(8), layer="signature"))
    np.testing.assert_allclose(found, np.asarray(layer(described)), atol=1e-5)


def test_nothing_else_depends_on_it(model, rng):
    inputs = make_inputs(rng)
    before = np.asarray(model(inputs))
    plain = Reconstructor(tiny_config(**{**OPTIONS, "signature_dim": 0}), seed=0)
    np.testing.assert_allclose(before, np.asarray(plain(inputs)), atol=1e-6)
    fill(model.encoder.get_layer("signature"), 2)
    np.testing.assert_array_equal(np.asarray(model(inputs)), before)


def test_encoder_does_not_train_it(model):
    names = {weight.path for weight in model.trainable_weights}
    assert not any("signature" in name for name in names)
    model.encoder.trainable = False
    model.encoder.trainable = True
    assert {weight.path for weight in model.trainable_weights} == names


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_saved_files_hold_it(name, tmp_path, make_light_curve):
    model = Reconstructor(tiny_config(**OPTIONS), seed=0)
    fill(model.encoder.get_layer("signature"), 3)
    curve = make_light_curve(9)
    expected = np.asarray(embed(model, curve, layer="signature"))
    path = tmp_path / name
    if name.endswith(".keras"):
        model.save(path)
        loaded = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        loaded = Reconstructor(tiny_config(**OPTIONS), seed=1)
        loaded.load_weights(path)
    found = np.asarray(embed(loaded, curve, layer="signature"))
    np.testing.assert_array_equal(found, expected)


def test_golden_values_notice_another_signature(tmp_path):
    model = Astromer(tiny_config(**OPTIONS), seed=0)
    path = model.save_pretrained(tmp_path / "preset")
    assert golden_difference(path, Astromer.from_pretrained(path)) == 0.0
    fill(model.encoder.get_layer("signature"), 4)
    assert golden_difference(path, model) > 0.1


def test_classifiers_do_without(model, make_light_curve):
    """A head looks at blocks; a signature that is not saved must not be embedded."""
    options = ClassifierConfig(class_names=("a", "b"), head="mean", hidden_units=())
    network = ClassifierNetwork(model.config, options, seed=0)
    network.take_encoder_weights(model.encoder)
    assert network.config.signature_dim == 0
    assert not any(layer.name == "signature" for layer in network.layers)
    curve = make_light_curve(9)
    np.testing.assert_allclose(
        np.asarray(embed(network, curve)),
        np.asarray(embed(model, curve, layer=[-1, "description"])),
        atol=1e-5,
    )


def test_a_head_looks_at_it(model, tmp_path, make_light_curve):
    """Head `embedding` without hidden layers is linear in what `embed` gives."""
    fill(model.encoder.get_layer("signature"), 5)
    network = Classifier.from_astromer(
        model, ("a", "b"), head="embedding", hidden_units=(), output_norm=False, seed=0
    )
    assert network.config == model.config
    curve = make_light_curve(8)
    vector = np.asarray(embed(model, curve))[0]
    assert len(vector) == model.config.vector_channels
    kernel, bias = map(np.asarray, network.get_layer("output").weights)
    powers = np.exp(vector @ kernel + bias)
    expected = powers / powers.sum()
    np.testing.assert_allclose(classify(network, curve).probability[0], expected, 1e-4)
    path = network.save_pretrained(tmp_path / "preset")
    loaded = Classifier.from_pretrained(path)
    np.testing.assert_allclose(classify(loaded, curve).probability[0], expected, 1e-4)
    assert not any("signature" in weight.path for weight in network.trainable_weights)


def test_sizes_are_options():
    def weights(**changes):
        encoder = Encoder(tiny_config(**{**OPTIONS, **changes}), seed=0)
        return {w.name: tuple(w.shape) for w in encoder.get_layer("signature").weights}

    channels = tiny_config(**OPTIONS).description_channels
    assert weights()["kernel_0"] == (channels, 7)
    assert weights(signature_units=9)["kernel_1"] == (9, 9)
    assert weights(signature_dim=2)["kernel_2"] == (7, 2)


def test_bad_options_are_refused(model, make_light_curve):
    with pytest.raises(ConfigError, match=r"signature_dim=4 with description=False"):
        EncoderConfig(signature_dim=4)
    with pytest.raises(ConfigError, match=r"zero or more\. Received: signature_dim=-1"):
        EncoderConfig(signature_dim=-1)
    with pytest.raises(ConfigError, match=r"positive.*signature_units=0"):
        EncoderConfig(signature_units=0)
    plain = Reconstructor(tiny_config(), seed=0)
    with pytest.raises(ConfigError, match=r"no signature.*signature_dim=0"):
        embed(plain, make_light_curve(9), layer="signature")
    with pytest.raises(ConfigError, match="of a window, not of an observation"):
        embed(model, make_light_curve(9), layer="signature", per="observation")
