import keras
import numpy as np
import pytest
from keras import ops

from astromer.models import layers
from tests.models import numpy_model

NUM_HEADS, HEAD_DIM, CHANNELS, WINDOW = 2, 4, 6, 8
VALID = np.arange(WINDOW) < np.array([[8], [5], [4], [0]])
HIDDEN = np.array(
    [
        [0, 1, 0, 0, 1, 0, 0, 1],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],  # not one visible observation
        [0, 0, 0, 0, 0, 0, 0, 0],  # nothing but padding
    ],
    dtype=bool,
)
VISIBLE = VALID & ~HIDDEN


def bias_of(mode="exclude"):
    return np.asarray(layers.AttentionBias(mode)(VALID, HIDDEN))


def make_x(rng):
    return rng.normal(size=(*VALID.shape, CHANNELS)).astype(np.float32)


def randomized(layer, rng, *args):
    """Build a layer and draw all its weights, so that no special value is left."""
    layer(*args)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return layer


def make_attention(rng):
    layer = layers.SelfAttention(NUM_HEADS, HEAD_DIM, output_dim=5)
    return randomized(layer, rng, make_x(rng), bias_of())


def make_block(residual="dense", **changes):
    options = {
        "num_heads": NUM_HEADS,
        "head_dim": HEAD_DIM,
        "hidden_dim": CHANNELS,
        "intermediate_dim": 7,
        "dropout": 0.0,
    }
    return layers.AttentionBlock(residual=residual, **{**options, **changes})


# --- Times


@pytest.mark.parametrize("time_base", [10_000.0, 1_000.0])
def test_sinusoidal_encoding_equals_its_formula(time_base, rng):
    time = rng.uniform(-1_500.0, 1_500.0, (3, 50)).astype(np.float32)
    encoded = layers.SinusoidalEncoding(16, time_base)(time)
    expected = numpy_model.sinusoidal_encoding(time, 16, time_base)
    np.testing.assert_allclose(encoded, expected, atol=2e-4)


def test_sinusoidal_encoding_starts_at_a_period_of_two_pi_days(rng):
    time = rng.uniform(-20.0, 20.0, (1, 9)).astype(np.float32)
    layer = layers.SinusoidalEncoding(8, 10_000.0)
    now, later = np.asarray(layer(time)), np.asarray(layer(time + 2 * np.pi))
    np.testing.assert_allclose(now[..., 0], later[..., 0], atol=1e-5)
    # Not in pairs: the next channel has a period of its own, ten times as long.
    next_later = np.asarray(layer(time + 20 * np.pi))
    np.testing.assert_allclose(now[..., 1], next_later[..., 1], atol=1e-5)
    assert np.abs(now[..., 1] - later[..., 1]).max() > 0.1


def phase_error(encoded, time, periods):
    """Largest distance to the true phase, in cycles."""
    cycles = time.astype(np.float64)[..., None] / periods
    found = np.arctan2(encoded[..., 0::2], encoded[..., 1::2]) / (2 * np.pi)
    return np.abs((found - cycles + 0.5) % 1.0 - 0.5).max()


def test_log_period_encoding_keeps_phase_over_long_baselines(rng):
    time = rng.uniform(-1_500.0, 1_500.0, (4, 2_000)).astype(np.float32)
    time[0, :5] = [-1_500.0, 1_500.0, 0.0, -1e-6, 1_499.9999]
    encoded = np.asarray(layers.LogPeriodEncoding(64, 0.02, 2_000.0)(time))
    periods = np.geomspace(2_000.0, 0.02, 32)
    assert phase_error(encoded, time, periods) < 1e-3
    # What a float32 product alone would give is too far off to count.
    angle = time[..., None] * (2 * np.pi / periods).astype(np.float32)
    naive = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(encoded.shape)
    assert phase_error(naive, time, periods) > 1e-3


@pytest.mark.parametrize("period", [0.5, 300.0])
def test_log_period_encoding_reaches_from_shortest_to_longest_period(period):
    layer = layers.LogPeriodEncoding(6, 0.5, 300.0)
    pair = slice(4, 6) if period == 0.5 else slice(0, 2)
    time = np.array([[0.0, period / 4, period / 2, period]], dtype=np.float32)
    sine_and_cosine = np.asarray(layer(time))[0, :, pair]
    expected = [[0, 1], [1, 0], [0, -1], [0, 1]]
    np.testing.assert_allclose(sine_and_cosine, expected, atol=1e-5)


ENCODINGS = [
    pytest.param(lambda **o: layers.SinusoidalEncoding(6, 1e4, **o), id="sinusoidal"),
    pytest.param(
        lambda **o: layers.LogPeriodEncoding(6, 0.1, 99.0, **o), id="log_period"
    ),
]


@pytest.mark.parametrize("make", ENCODINGS)
def test_time_encoding_alternates_sine_and_cosine(make):
    np.testing.assert_array_equal(make()(np.zeros((1, 2)))[0, 1], [0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize("make", ENCODINGS)
def test_time_encoding_stays_float32_under_mixed_precision(make):
    layer = make(dtype="mixed_bfloat16")
    # In bfloat16 these two times are one and the same.
    encoded = np.asarray(layer(np.array([[1_500.0, 1_501.0]], dtype=np.float32)))
    assert encoded.dtype == np.float32
    assert np.abs(encoded[0, 0] - encoded[0, 1]).max() > 0.1


# --- Masks


@pytest.mark.parametrize(
    ("mode", "stand_in"), [("token", 0.7), ("zero", 0.0), ("leak", None)]
)
def test_visible_magnitude_replaces_what_is_hidden(mode, stand_in, rng):
    mag = rng.normal(size=VALID.shape).astype(np.float32)
    layer = layers.VisibleMagnitude(mode)
    layer(mag, VALID, HIDDEN)
    if mode == "token":
        assert float(layer.token) == 0.0
        layer.token.assign(stand_in)
    shown = np.asarray(layer(np.where(VALID, mag, np.nan), VALID, HIDDEN))[..., 0]
    expected = mag if stand_in is None else np.where(HIDDEN, stand_in, mag)
    np.testing.assert_array_equal(shown, np.where(VALID, expected, 0).astype("float32"))
    assert len(layer.trainable_variables) == (mode == "token")


def test_attention_bias_excludes_hidden_and_padded_keys():
    bias = bias_of()
    assert bias.shape == (4, 1, 1, WINDOW)
    np.testing.assert_array_equal(bias[:2, 0, 0] == 0, VISIBLE[:2])
    assert (bias[:2, 0, 0][~VISIBLE[:2]] == -1e9).all()


def test_attention_bias_falls_back_on_valid_times_without_visible_ones():
    np.testing.assert_array_equal(bias_of()[2, 0, 0] == 0, VALID[2])


def test_released_attention_bias_adds_one_where_query_or_key_is_not_visible():
    bias = bias_of("released_astromer1")
    expected = np.zeros((4, 1, WINDOW, WINDOW))
    for window, query, key in np.ndindex(4, WINDOW, WINDOW):
        if not (VISIBLE[window, query] and VISIBLE[window, key]):
            expected[window, 0, query, key] = 1.0
    np.testing.assert_array_equal(bias, expected)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_attention_gives_exactly_no_weight_to_what_is_not_visible(dtype, rng):
    bias = layers.AttentionBias("exclude", dtype=dtype)(VALID, HIDDEN)
    layer = layers.SelfAttention(NUM_HEADS, HEAD_DIM, CHANNELS, dtype=dtype)
    output, weights = layer(make_x(rng), bias, return_weights=True)
    weights = np.asarray(ops.cast(weights, "float32"))
    for window, keys in ((0, VISIBLE[0]), (1, VISIBLE[1]), (2, VALID[2])):
        assert (weights[window][..., ~keys] == 0.0).all()
        assert (weights[window][..., keys] > 0.0).all()
    # bfloat16 carries 8 bits, so eight weights add up to one within a percent.
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-2)
    assert np.isfinite(np.asarray(ops.cast(output, "float32"))).all()


# --- Attention and blocks

# In the last window, where all keys are excluded, float32 loses the logits: finite
# numbers that nobody looks at.
REAL = slice(0, 3)


@pytest.mark.parametrize("mode", ["exclude", "released_astromer1"])
def test_attention_equals_numpy(mode, rng):
    x, bias = make_x(rng), bias_of(mode)
    layer = make_attention(rng)
    output, weights = layer(x, bias, return_weights=True)
    expected, expected_weights = numpy_model.attention(layer, x, bias)
    np.testing.assert_allclose(weights[REAL], expected_weights[REAL], atol=1e-5)
    np.testing.assert_allclose(output[REAL], expected[REAL], atol=1e-4)
    np.testing.assert_array_equal(output, layer(x, bias))


def test_attention_equals_that_of_keras(rng):
    x, seen = make_x(rng)[:2], VISIBLE[:2]
    ours = make_attention(rng)
    theirs = keras.layers.MultiHeadAttention(NUM_HEADS, HEAD_DIM, output_shape=5)
    theirs(x, x)
    weights = []
    for dense in (ours.query, ours.key, ours.value):
        weights.append(np.reshape(dense.kernel, (CHANNELS, NUM_HEADS, HEAD_DIM)))
        weights.append(np.reshape(dense.bias, (NUM_HEADS, HEAD_DIM)))
    projection = ours.output_projection
    weights.append(np.reshape(projection.kernel, (NUM_HEADS, HEAD_DIM, 5)))
    weights.append(np.asarray(projection.bias))
    theirs.set_weights(weights)
    expected = theirs(x, x, attention_mask=np.repeat(seen[:, None], WINDOW, axis=1))
    np.testing.assert_allclose(ours(x, bias_of()[:2]), expected, atol=1e-5)


def test_time_rotation_turns_by_the_phase_at_each_period(rng):
    time = rng.uniform(-900.0, 900.0, (3, WINDOW)).astype(np.float32)
    rotation = np.asarray(layers.TimeRotation(2, 6, 0.5, 300.0)(time))
    # Six periods, which the two heads take in turn; three pairs of channels each.
    periods = np.geomspace(300.0, 0.5, 6).reshape(3, 2).T[:, None]
    angle = 2 * np.pi * time.astype(np.float64)[:, None, :, None] / periods
    expected = np.concatenate([np.cos(angle), np.sin(angle)], axis=-1)
    np.testing.assert_allclose(rotation, expected, atol=5e-3)


def test_rotated_logits_depend_on_differences_of_time_alone(rng):
    layer = layers.SelfAttention(2, 4, 5, seed=3)
    x = rng.normal(size=(3, WINDOW, 6)).astype(np.float32)
    bias = np.zeros((3, 1, 1, WINDOW), np.float32)
    time = np.sort(rng.uniform(-50.0, 50.0, (3, WINDOW))).astype(np.float32)
    turn = layers.TimeRotation(2, 4, 0.5, 300.0)
    _, weights = layer(x, bias, turn(time), return_weights=True)
    _, later = layer(x, bias, turn(time + 128.0), return_weights=True)
    _, plain = layer(x, bias, return_weights=True)
    _, at_once = layer(x, bias, turn(0.0 * time), return_weights=True)
    np.testing.assert_allclose(weights, later, atol=1e-3)
    np.testing.assert_allclose(plain, at_once, atol=1e-6)
    assert np.abs(weights - plain).max() > 0.05
    # The same in numpy, pair by pair as complex numbers.
    query, key, _ = (np.asarray(part) for part in layer._project(x))
    query, key = (part[..., :2] + 1j * part[..., 2:] for part in (query, key))
    periods = np.geomspace(300.0, 0.5, 4).reshape(2, 2).T[:, None, None]
    apart = (time[:, :, None] - time[:, None])[:, None, ..., None]
    phase = np.exp(2j * np.pi * apart.astype(np.float64) / periods)
    product = query[:, :, :, None] * np.conj(key)[:, :, None] * phase
    logits = product.real.sum(axis=-1) / 2.0
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(weights, expected, atol=1e-3)


def test_attention_of_quantized_layers_is_near_that_of_exact_ones(rng):
    layer = layers.SelfAttention(2, 8, 16, seed=1)
    x = rng.normal(size=(3, 5, 16)).astype(np.float32)
    bias = np.zeros((3, 1, 1, 5), np.float32)
    expected = np.asarray(layer(x, bias))
    for part in (layer.query, layer.key, layer.value):
        part.quantize("int8")
    found = np.asarray(layer(x, bias))
    # Int8 kernels are integers up to 127: taken for numbers they would be far off.
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert np.abs(found - expected).max() > 1e-5


def test_attention_starts_as_similarity(rng):
    layer = layers.SelfAttention(NUM_HEADS, HEAD_DIM, CHANNELS, seed=3)
    layer(make_x(rng), bias_of())
    query, key, value = (
        np.asarray(dense.kernel) for dense in (layer.query, layer.key, layer.value)
    )
    np.testing.assert_array_equal(query, key)
    assert (query != value).any()


@pytest.mark.parametrize(
    ("residual", "norm"),
    [
        ("none", "after"),
        ("dense", "after"),
        ("identity", "after"),
        ("none", "before"),
        ("dense", "before"),
        ("identity", "before"),
    ],
)
def test_block_equals_numpy(residual, norm, rng):
    x, bias = make_x(rng), bias_of()
    block = randomized(make_block(residual, norm=norm), rng, x, bias)
    expected = numpy_model.block(block, x, bias)
    np.testing.assert_allclose(block(x, bias)[REAL], expected[REAL], atol=1e-4)


def test_dense_residual_starts_as_identity(rng):
    x, bias = make_x(rng), bias_of()
    dense, identity = make_block("dense", seed=1), make_block("identity", seed=1)
    np.testing.assert_allclose(dense(x, bias), identity(x, bias), atol=1e-6)
    assert dense.count_params() == identity.count_params() + 2 * 6 * (6 + 1)


@pytest.mark.parametrize("residual", ["dense", "identity"])
def test_branch_beside_a_residual_path_starts_small(residual, rng):
    x, bias = make_x(rng), bias_of()
    beside, alone = make_block(residual, seed=1), make_block("none", seed=1)
    beside(x, bias)
    alone(x, bias)
    for part in (
        lambda b: b.attention.output_projection,
        lambda b: b.output_projection,
    ):
        # A tenth of the variance.
        small, full = (np.asarray(part(block).kernel) for block in (beside, alone))
        np.testing.assert_allclose(small, full * np.sqrt(0.1), atol=1e-6)


def test_block_drops_out_in_training_only(rng):
    x, bias = make_x(rng), bias_of()
    block = make_block(dropout=0.5, seed=1)
    resting = np.asarray(block(x, bias))
    np.testing.assert_array_equal(resting, block(x, bias, training=False))
    assert (resting != np.asarray(block(x, bias, training=True))).any()
    without = make_block(dropout=0.0, seed=1)
    np.testing.assert_array_equal(resting, without(x, bias, training=True))


def test_block_repeats_dropout_under_a_seed(rng):
    x, bias = make_x(rng), bias_of()
    first, again, other = (
        np.asarray(make_block(dropout=0.5, seed=s)(x, bias, training=True))
        for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_block_returns_attention_weights_of_its_output(rng):
    x, bias = make_x(rng), bias_of()
    block = make_block(seed=1)
    output, weights = block(x, bias, return_weights=True)
    np.testing.assert_array_equal(output, block(x, bias))
    expected = numpy_model.attention(block.attention, x, bias)[1]
    np.testing.assert_allclose(weights[REAL], expected[REAL], atol=1e-6)


# --- Pooling, shapes and configs


def test_masked_mean_averages_valid_observations(rng):
    x = make_x(rng)
    pooled = layers.MaskedMean()(x, VALID)
    for window in range(3):
        expected = x[window, : VALID[window].sum()].mean(axis=0)
        np.testing.assert_allclose(pooled[window], expected, atol=1e-6)
    np.testing.assert_array_equal(pooled[3], np.zeros(CHANNELS))


def test_masked_mean_adds_in_float32():
    # In bfloat16 a sum of ones gets stuck at 256.
    x = ops.ones((1, 1_000, 2), dtype="bfloat16")
    pooled = layers.MaskedMean()(x, np.ones((1, 1_000), dtype=bool))
    assert keras.backend.standardize_dtype(pooled.dtype) == "float32"
    np.testing.assert_array_equal(pooled, [[1.0, 1.0]])


TIMES = [((4, WINDOW), "float32")]
MASKS = [((4, WINDOW), "bool")] * 2
CALLS = [
    (lambda: layers.SinusoidalEncoding(6, 1e3, name="a"), TIMES),
    (lambda: layers.LogPeriodEncoding(6, 0.1, 99.0, name="a"), TIMES),
    (lambda: layers.TimeRotation(2, 4, 0.1, 99.0, name="a"), TIMES),
    (lambda: layers.VisibleMagnitude("token", name="a"), TIMES + MASKS),
    (lambda: layers.AttentionBias("exclude", name="a"), MASKS),
    (lambda: layers.AttentionBias("released_astromer1", name="a"), MASKS),
    (
        lambda: layers.SelfAttention(2, 4, 5, seed=3, name="a"),
        [((4, WINDOW, 6), "float32"), ((4, 1, 1, WINDOW), "float32")],
    ),
    (
        lambda: layers.SelfAttention(2, 4, 5, seed=3, name="a"),
        [
            ((4, WINDOW, 6), "float32"),
            ((4, 1, 1, WINDOW), "float32"),
            ((4, 2, WINDOW, 4), "float32"),
        ],
    ),
    (
        lambda: make_block("none", seed=3, dropout=0.2, name="a"),
        [((4, WINDOW, 10), "float32"), ((4, 1, 1, WINDOW), "float32")],
    ),
    (
        lambda: layers.MaskedMean(name="a"),
        [((4, WINDOW, 6), "float32"), MASKS[0]],
    ),
]


@pytest.mark.parametrize(("make", "signature"), CALLS)
def test_layer_has_the_shape_it_promises(make, signature):
    symbols = [keras.KerasTensor(shape, dtype) for shape, dtype in signature]
    arrays = [np.ones(shape, dtype) for shape, dtype in signature]
    symbol, output = make()(*symbols), make()(*arrays)
    assert tuple(symbol.shape) == tuple(output.shape)
    assert keras.backend.standardize_dtype(output.dtype) == symbol.dtype


@pytest.mark.parametrize(("make", "signature"), CALLS)
def test_layer_returns_from_its_config(make, signature):
    layer = make()
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    arrays = [np.ones(shape, dtype) for shape, dtype in signature]
    np.testing.assert_array_equal(layer(*arrays), again(*arrays))


# --- Dropout


def test_dropout_is_that_of_keras_until_it_is_frozen(rng):
    x = make_x(rng)
    ours, theirs = layers.Dropout(0.5, seed=3), keras.layers.Dropout(0.5, seed=3)
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))
    np.testing.assert_array_equal(ours(x), x)
    for layer, drops in ((theirs, True), (ours, False)):
        layer.trainable = False
        assert (np.asarray(layer(x, training=True)) != x).any() == drops
    ours.trainable = True
    assert (np.asarray(ours(x, training=True)) != x).any()


def test_frozen_block_drops_nothing_in_training(rng):
    x = make_x(rng)
    block = make_block(dropout=0.5, seed=1)
    resting = np.asarray(block(x, bias_of()))
    assert (np.asarray(block(x, bias_of(), training=True)) != resting).any()
    block.trainable = False
    np.testing.assert_array_equal(block(x, bias_of(), training=True), resting)


def test_any_integer_is_a_seed():
    seeds = layers.spawn_seeds(-1, 3)
    assert len(set(seeds)) == 3
    assert min(seeds) >= 0
    assert seeds == layers.spawn_seeds(-1, 3) != layers.spawn_seeds(1, 3)
