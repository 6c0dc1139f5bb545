import keras
import numpy as np
import pytest
import tensorflow as tf

from astromer.models import heads
from astromer.models.layers import MaskedMean

CHANNELS = 6
VALID = np.arange(8) < np.array([[8], [5], [1], [0]])


@pytest.fixture
def x(rng):
    return rng.normal(size=(*VALID.shape, CHANNELS)).astype(np.float32)


def token(**options):
    return heads.ClassToken(2, 4, seed=1, **options)


class Gamma(heads.GammaMixture):
    """The mixture of one sequence and its square, to be called as the others are."""

    def build(self, x_shape, *_, **__):
        super().build([x_shape, x_shape])

    def call(self, x, valid):
        return super().call([x, keras.ops.square(x)], valid)

    def compute_output_shape(self, x_shape, *_, **__):
        return super().compute_output_shape([x_shape, x_shape])


POOLINGS = [
    pytest.param(MaskedMean, id="mean"),
    pytest.param(heads.MaskedMax, id="max"),
    pytest.param(Gamma, id="gamma"),
    pytest.param(heads.AttentionPooling, id="attention"),
    pytest.param(token, id="token"),
]


def randomized(layer, rng, *arguments):
    layer(*arguments)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.0, 0.7, variable.shape))
    return layer


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


# --- Each against numpy, window by window without its padding


def windows_of(x):
    return [
        window[keep].astype(np.float64) for window, keep in zip(x, VALID, strict=True)
    ]


def assert_windows(found, expected, empty):
    np.testing.assert_allclose(found[:3], expected[:3], atol=2e-5)
    np.testing.assert_allclose(found[3], empty, atol=2e-5)


def test_max_is_the_largest_valid_value(x):
    found = np.asarray(heads.MaskedMax()(x - 3.0, VALID))
    expected = [window.max(axis=0) - 3.0 for window in windows_of(x)[:3]]
    assert_windows(found, expected, np.zeros(CHANNELS))


@pytest.mark.parametrize("mixture", ["sum", "released"])
def test_gamma_mixes_the_means_of_all_layers(mixture, x, rng):
    sequences = [x, 2.0 * x + 1.0, x**2]
    layer = randomized(heads.GammaMixture(mixture), rng, sequences, VALID)
    weights = softmax(np.asarray(layer.gamma, dtype=np.float64))
    expected = [
        np.stack([w, 2 * w + 1, w**2]).mean(axis=1).T @ weights
        for w in windows_of(x)[:3]
    ]
    factor = 1 / 3 if mixture == "released" else 1
    found = np.asarray(layer(sequences, VALID))
    assert_windows(found, factor * np.array(expected), np.zeros(CHANNELS))


def test_new_gammas_weigh_all_layers_alike(x):
    layer = heads.GammaMixture()
    found = np.asarray(layer([x, 3.0 * x], VALID))
    np.testing.assert_allclose(found, 2.0 * MaskedMean()(x, VALID), atol=1e-6)
    np.testing.assert_allclose(np.asarray(layer.gamma), 0.5)


def test_attention_is_a_mean_weighted_by_the_query(x, rng):
    layer = randomized(heads.AttentionPooling(), rng, x, VALID)
    query = np.asarray(layer.query, dtype=np.float64)
    expected = [
        softmax(window @ query / np.sqrt(CHANNELS)) @ window
        for window in windows_of(x)[:3]
    ]
    found = np.asarray(layer(x, VALID))
    assert_windows(found, expected, np.zeros(CHANNELS))
    assert np.abs(found - np.asarray(MaskedMean()(x, VALID))).max() > 0.1


def test_new_attention_is_the_plain_mean(x):
    np.testing.assert_allclose(
        heads.AttentionPooling()(x, VALID), MaskedMean()(x, VALID), atol=1e-6
    )


def attended(layer, window):
    """Let the token look at itself and at a window, in numpy."""
    part = {
        name: [np.asarray(v, dtype=np.float64) for v in dense.weights]
        for name, dense in (
            ("query", layer.attention.query_dense),
            ("key", layer.attention.key_dense),
            ("value", layer.attention.value_dense),
            ("output", layer.attention.output_dense),
        )
    }
    start = np.asarray(layer.token, dtype=np.float64)
    seen = np.vstack([start, window])
    query = np.einsum("c,chd->hd", start, part["query"][0]) + part["query"][1]
    key = np.einsum("lc,chd->hld", seen, part["key"][0]) + part["key"][1][:, None]
    value = np.einsum("lc,chd->hld", seen, part["value"][0]) + part["value"][1][:, None]
    weights = softmax(np.einsum("hd,hld->hl", query, key) / np.sqrt(layer.head_dim))
    mixed = np.einsum("hl,hld->hd", weights, value)
    h = start + np.einsum("hd,hdc->c", mixed, part["output"][0]) + part["output"][1]
    scale, shift = (np.asarray(v, dtype=np.float64) for v in layer.norm.weights)
    return scale * (h - h.mean()) / np.sqrt(h.var() + 1e-6) + shift


def test_class_token_attends_to_itself_and_to_valid_observations(x, rng):
    layer = randomized(token(), rng, x, VALID)
    expected = [attended(layer, window) for window in windows_of(x)]
    assert_windows(np.asarray(layer(x, VALID)), np.array(expected), expected[3])
    assert np.abs(expected[0] - expected[3]).max() > 0.1


@pytest.mark.parametrize("unit", [1.0, 50.0])
def test_raw_observations_are_magnitudes_then_times(unit, rng):
    mag, time = rng.normal(size=(2, *VALID.shape)).astype(np.float32)
    mag[~VALID] = np.nan
    found = np.asarray(heads.RawObservations(unit)(mag, time, VALID))
    np.testing.assert_array_equal(found[..., 0][VALID], mag[VALID])
    np.testing.assert_allclose(found[..., 1][VALID], time[VALID] / unit, rtol=1e-6)
    assert (found[~VALID] == 0.0).all()


# --- What holds for all


@pytest.mark.parametrize("make", POOLINGS)
@pytest.mark.parametrize("extra", [1, 30])
def test_padding_changes_nothing(make, extra, x, rng):
    layer = randomized(make(), rng, x, VALID)
    before = np.asarray(layer(x, VALID))
    wide = np.pad(x, ((0, 0), (0, extra), (0, 0)))
    valid = np.pad(VALID, ((0, 0), (0, extra)))
    wide[~valid] = 1e4
    np.testing.assert_allclose(np.asarray(layer(wide, valid)), before, atol=1e-5)


@pytest.mark.parametrize("make", POOLINGS)
def test_order_of_observations_changes_nothing(make, x, rng):
    layer = randomized(make(), rng, x, VALID)
    order = rng.permutation(8)
    mixed = np.asarray(layer(x[:, order], VALID[:, order]))
    np.testing.assert_allclose(mixed, np.asarray(layer(x, VALID)), atol=1e-5)


@pytest.mark.parametrize("make", POOLINGS)
def test_window_of_padding_has_finite_value_and_no_gradient(make, x, rng):
    layer = randomized(make(), rng, x, VALID)
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = layer(inputs, VALID)
        loss = tf.reduce_sum(tf.sin(output))
    assert np.isfinite(output).all()
    gradients = tape.gradient(loss, [inputs, *layer.trainable_variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert (gradients[0].numpy()[~VALID] == 0.0).all()
    assert (gradients[0].numpy()[VALID] != 0.0).any()


@pytest.mark.parametrize("make", POOLINGS)
def test_pooling_is_float32_whatever_the_encoder(make, x, rng):
    layer = randomized(make(dtype="float32"), rng, x, VALID)
    expected = np.asarray(layer(x, VALID))
    for dtype in ("bfloat16", "float16"):
        found = layer(tf.cast(x, dtype), VALID)
        assert found.dtype == "float32"
        assert 0.0 < np.abs(found - expected).max() < 0.1
    policy = "mixed_bfloat16"
    if make is not MaskedMean:
        assert make(dtype=policy).compute_dtype == "float32"
    assert heads.RawObservations(dtype=policy).compute_dtype == "float32"


@pytest.mark.parametrize("make", POOLINGS)
def test_symbolic_shape_is_that_of_the_result(make, x):
    layer = make()
    symbols = (
        keras.KerasTensor((None, None, CHANNELS)),
        keras.KerasTensor((None, None), "bool"),
    )
    assert layer(*symbols).shape == (None, CHANNELS)
    assert layer(x, VALID).shape == (4, CHANNELS)


@pytest.mark.parametrize(
    "layer",
    [
        heads.MaskedMax(name="a"),
        heads.GammaMixture("released"),
        heads.AttentionPooling(),
        token(),
        heads.RawObservations(30.0),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layer_returns_from_its_config(layer):
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


def test_seed_decides_the_token(x):
    first, again, other = token(), token(), heads.ClassToken(2, 4, seed=2)
    outputs = [np.asarray(layer(x, VALID)) for layer in (first, again, other)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-2
