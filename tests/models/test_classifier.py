import keras
import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.models import ClassifierConfig, ClassifierNetwork, Reconstructor
from astromer.models.config import BLOCK_HEADS, GRU_HEADS
from tests.models.windows import make_inputs, randomize, tiny_config

CLASS_NAMES = ("CEP", "EB", "RRab")
HEADS = [*BLOCK_HEADS, "input_mean", "input_gru", "raw_gru"]
KINDS = ["gamma", "max", "attention", "cls", "gru", "raw_gru"]
"""One head for each kind of layer, for tests that take long."""
FAST = {"run_eagerly": True}


def options_of(head="gamma", **changes):
    return ClassifierConfig(
        class_names=CLASS_NAMES,
        head=head,
        **{"hidden_units": (7, 5), "gru_units": 6, **changes},
    )


def build(head="gamma", *, seed=0, dtype=None, config=None, **changes):
    config = config or tiny_config()
    return ClassifierNetwork(
        config, options_of(head, **changes), seed=seed, dtype=dtype
    )


def compile_model(model, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(3e-2)
    options = options or {"jit_compile": False}
    model.compile(optimizer, loss, metrics=["accuracy"], **options)


@pytest.fixture
def data(rng):
    return make_inputs(rng, sizes=(8, 5, 3, 7)), np.array([0, 1, 2, 1])


# --- What the logits depend on


@pytest.mark.parametrize("head", HEADS)
def test_one_float32_logit_per_class(head, rng):
    inputs = make_inputs(rng)
    model = build(head, dtype="mixed_bfloat16")
    logits = np.asarray(model(inputs))
    assert logits.shape == (3, 3)
    assert logits.dtype == np.float32
    full = build(head)
    full.set_weights(model.get_weights())
    difference = np.abs(logits - np.asarray(full(inputs))).max()
    assert 0.0 < difference < 0.3
    symbols = {name: keras.KerasTensor(v.shape, v.dtype) for name, v in inputs.items()}
    assert tuple(model(symbols).shape) == (3, 3)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("extra", [1, 20])
def test_padding_does_not_change_logits(head, extra, rng):
    model = build(head)
    inputs = make_inputs(rng)
    shape = (3, extra)
    garbage = {
        "time": rng.uniform(-1e4, 1e4, shape),
        "mag": np.full(shape, np.nan),
        "valid": np.zeros(shape, bool),
        "hidden": rng.uniform(size=shape) < 0.5,
    }
    padded = {
        name: np.concatenate([values, garbage[name].astype(values.dtype)], axis=1)
        for name, values in inputs.items()
    }
    np.testing.assert_allclose(model(padded), model(inputs), atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_windows_of_a_batch_do_not_mix(head, rng):
    model = build(head)
    inputs = make_inputs(rng)
    order = [2, 0, 1, 0]
    whole = np.asarray(model(inputs))
    mixed = model({name: values[order] for name, values in inputs.items()})
    np.testing.assert_allclose(mixed, whole[order], atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_window_of_padding_gives_finite_logits_and_gradients(head, data):
    inputs, _ = data
    inputs["valid"][1] = False
    inputs["hidden"][2] = inputs["valid"][2]
    model = build(head, unfrozen_blocks="all" if head in BLOCK_HEADS else 0)
    with tf.GradientTape() as tape:
        logits = model(inputs)
        loss = tf.reduce_sum(tf.square(logits))
    assert np.isfinite(logits).all()
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("head", HEADS)
def test_no_logit_depends_on_a_hidden_magnitude(head, rng):
    model = build(head, output_norm=False, hidden_units=())
    randomize(model, rng)
    inputs = make_inputs(rng)
    tensors = {name: tf.constant(values) for name, values in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors["mag"])
        loss = tf.reduce_sum(tf.sin(model(tensors)))
    gradient = tape.gradient(loss, tensors["mag"]).numpy()
    visible = inputs["valid"] & ~inputs["hidden"]
    assert (gradient[~visible] == 0.0).all()
    # The largest value of a channel is that of one observation.
    seen = (gradient[visible] != 0.0).mean()
    assert seen > 0.2 if head == "max" else seen == 1.0


@pytest.mark.parametrize("head", HEADS)
def test_head_sees_what_its_name_says(head):
    model = build(head)
    names = {layer.name for layer in model.layers}
    blocks = {"block_0", "block_1"}
    assert names >= blocks if head in BLOCK_HEADS else not names & blocks
    assert ("magnitude_embedding" in names) == (head != "raw_gru")
    recurrent = isinstance(model.get_layer("pooling"), keras.layers.GRU)
    assert recurrent == (head in GRU_HEADS)
    if head in BLOCK_HEADS:
        assert model.encoder.layers[-1] is model.get_layer("block_1")
    else:
        assert model.encoder is None


def test_linear_mean_head_is_a_product_with_the_mean_of_the_last_block(rng):
    model = build("mean", hidden_units=(), output_norm=False)
    inputs = make_inputs(rng)
    sequence, valid = np.asarray(model.encoder(inputs)), inputs["valid"]
    mean = np.array([s[v].mean(axis=0) for s, v in zip(sequence, valid, strict=True)])
    kernel, bias = model.get_layer("output").get_weights()
    np.testing.assert_allclose(model(inputs), mean @ kernel + bias, atol=1e-5)


def test_classifier_equals_numpy_from_pooling_on(rng):
    model = build("gamma")
    randomize(model, rng)
    inputs = make_inputs(rng)
    x = np.asarray(keras.Model(model.input, model.get_layer("pooling").output)(inputs))
    for name in ("hidden_0", "hidden_1"):
        kernel, bias = model.get_layer(name).get_weights()
        x = np.maximum(x @ kernel + bias, 0.0)
    scale, shift = model.get_layer("output_norm").get_weights()
    centered = x - x.mean(axis=1, keepdims=True)
    x = scale * centered / np.sqrt(x.var(axis=1, keepdims=True) + 1e-3) + shift
    kernel, bias = model.get_layer("output").get_weights()
    np.testing.assert_allclose(model(inputs), x @ kernel + bias, atol=1e-4)


def test_layer_weights_are_the_softmax_of_gamma():
    model = build("gamma")
    np.testing.assert_allclose(model.layer_weights(), 1 / 3, rtol=1e-6)
    model.get_layer("pooling").gamma.assign(np.log([1.0, 2.0, 5.0]))
    np.testing.assert_allclose(model.layer_weights(), [0.125, 0.25, 0.625], rtol=1e-6)
    with pytest.raises(ConfigError, match=r'"gamma" mixes.*Received: head="mean"'):
        build("mean").layer_weights()


# --- Seeds, weights and files


@pytest.mark.parametrize("head", ["gamma", "cls", "gru"])
def test_seed_decides_all_weights(head):
    first, again, other = (build(head, seed=seed) for seed in (0, 0, 1))
    for values, same in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(values, same)
    kernels = [v.path for v in first.trainable_variables if v.path.endswith("kernel")]
    assert kernels
    for variable, changed in zip(
        first.trainable_variables, other.trainable_variables, strict=True
    ):
        if variable.path in kernels:
            assert (np.asarray(variable) != np.asarray(changed)).any()
    encoder = Reconstructor(tiny_config(), seed=0).encoder
    for values, same in zip(
        first.encoder.get_weights(), encoder.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(values, same)


@pytest.mark.parametrize("head", HEADS)
def test_encoder_weights_are_taken_as_far_as_the_head_goes(head, rng):
    trained = Reconstructor(tiny_config(), seed=3).encoder
    randomize(trained, rng)
    model = build(head)
    model.take_encoder_weights(trained)
    names = {layer.name for layer in model.layers}
    met = 0
    for layer in trained.layers:
        if layer.name in names:
            for ours, theirs in zip(
                model.get_layer(layer.name).get_weights(),
                layer.get_weights(),
                strict=True,
            ):
                np.testing.assert_array_equal(ours, theirs)
                met += 1
    expected = {"input_mean": 3, "input_gru": 3, "raw_gru": 0}
    assert met == expected.get(head, len(trained.weights))


def test_encoder_weights_of_another_config_are_refused():
    other = Reconstructor(tiny_config(time_base=1_000.0)).encoder
    with pytest.raises(
        ConfigError, match=r"same config only\. Received: .*time_base=10"
    ):
        build().take_encoder_weights(other)


@pytest.mark.parametrize("head", KINDS)
def test_keras_file_restores_model_and_training(head, tmp_path, data):
    inputs, labels = data
    model = build(head, seed=3, dtype="mixed_bfloat16")
    compile_model(model, **FAST)
    model.fit(inputs, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is ClassifierNetwork
    assert again.get_config() == model.get_config()
    assert again.classifier_config == model.classifier_config
    np.testing.assert_array_equal(model(inputs), again(inputs))
    scores = again.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert scores == model.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert int(again.optimizer.iterations) == 1
    moments = zip(again.optimizer.variables, model.optimizer.variables, strict=True)
    for restored, saved in moments:
        np.testing.assert_array_equal(restored, saved)


def test_keras_file_keeps_what_is_frozen(tmp_path):
    model = build(unfrozen_blocks=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [v.path for v in again.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]
    assert not again.compiled


@pytest.mark.parametrize("head", ["gamma", "raw_gru"])
def test_weights_file_holds_the_model_and_no_more(head, tmp_path, data):
    inputs, _ = data
    config = tiny_config(hidden_dim=128)
    model, other = (build(head, seed=seed, config=config) for seed in (1, 2))
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    other.load_weights(path)
    np.testing.assert_array_equal(model(inputs), other(inputs))
    # No block, where the head has none; none twice, where it has.
    num_bytes = 4 * model.count_params()
    assert num_bytes > 200_000 if head == "gamma" else num_bytes < 2_000
    assert num_bytes < path.stat().st_size < 1.2 * num_bytes + 60_000


# --- What trains


def trained_layers(model, data, **options):
    """Fit two steps and return the layers whose weights have moved."""
    inputs, labels = data
    before = {layer.name: layer.get_weights() for layer in model.layers}
    compile_model(model, **(options or FAST))
    model.fit(inputs, labels, epochs=2, verbose=0)
    return {
        layer.name
        for layer in model.layers
        if any(
            (old != new).any()
            for old, new in zip(before[layer.name], layer.get_weights(), strict=True)
        )
    }


HEAD_LAYERS = {"pooling", "hidden_0", "hidden_1", "output_norm", "output"}
INPUT_LAYERS = {"visible_magnitude", "magnitude_embedding"}


@pytest.mark.parametrize(
    ("unfrozen", "moved"),
    [
        (0, set()),
        (1, {"block_1"}),
        (2, {"block_0", "block_1"}),
        ("all", {"block_0", "block_1", *INPUT_LAYERS}),
    ],
)
def test_fit_moves_what_is_unfrozen_and_nothing_else(unfrozen, moved, data):
    assert trained_layers(build(unfrozen_blocks=unfrozen), data) == HEAD_LAYERS | moved


def test_input_head_trains_its_input_embedding(data):
    expected = HEAD_LAYERS - {"pooling"} | INPUT_LAYERS
    assert trained_layers(build("input_mean"), data) == expected


@pytest.mark.slow
def test_unfreezing_a_compiled_model_asks_for_compile_and_then_works(data):
    # Not eagerly: a traced step would train what it was traced with.
    inputs, labels = data
    model = build(hidden_units=())
    layers = {"pooling", "output_norm", "output"}
    assert trained_layers(model, data, jit_compile=False) == layers
    model.unfreeze(1)
    with pytest.raises(ValueError, match="compile"):
        model.fit(inputs, labels, verbose=0)
    assert trained_layers(model, data, jit_compile=False) == layers | {"block_1"}
    assert model.classifier_config.unfrozen_blocks == 1


def test_unfreeze_changes_trainable_weights_and_freezes_again():
    model = build()
    number = [len(model.trainable_weights)]
    for blocks in (1, 2, "all", 0):
        model.unfreeze(blocks)
        number.append(len(model.trainable_weights))
    block = len(model.get_layer("block_0").weights)
    steps = np.diff(number).tolist()
    assert steps[:3] == [block, block, 3]
    assert number[-1] == number[0]


def test_frozen_blocks_drop_nothing_in_training(data):
    inputs, _ = data
    model = build(config=tiny_config(dropout=0.5))
    resting = np.asarray(model(inputs))
    np.testing.assert_array_equal(model(inputs, training=True), resting)
    last = keras.Model(model.input, model.get_layer("block_0").output)
    before = np.asarray(last(inputs))
    model.unfreeze(1)
    assert (np.asarray(model(inputs, training=True)) != resting).any()
    np.testing.assert_array_equal(last(inputs, training=True), before)
    model.unfreeze("all")
    assert (np.asarray(last(inputs, training=True)) != before).any()
    np.testing.assert_array_equal(model(inputs, training=False), resting)


@pytest.mark.parametrize("head", KINDS)
def test_mixed_precision_trains(head, data):
    inputs, labels = data
    model = build(head, dtype="mixed_bfloat16")
    compile_model(model, **FAST)
    losses = model.fit(inputs, labels, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.01
    assert all(weight.dtype == "float32" for weight in model.trainable_weights)


def test_fit_takes_a_dataset_and_class_weights(data):
    inputs, labels = data
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(2)
    model = build("input_mean")
    compile_model(model)
    history = model.fit(dataset, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert model.predict(dataset, verbose=0).shape == (4, 3)


# --- Options that do not go together


@pytest.mark.parametrize(
    ("encoder", "classifier", "message"),
    [
        ({"embedding_dim": 4}, {}, "embedding_dim=4, hidden_dim=8. Use another head"),
        ({}, {"unfrozen_blocks": 3}, "unfrozen_blocks=3, num_layers=2"),
    ],
)
def test_configs_that_do_not_go_together_are_refused(encoder, classifier, message):
    with pytest.raises(ConfigError, match=message):
        build(config=tiny_config(**encoder), **classifier)


def test_heads_without_mixture_take_any_embedding_size(data):
    inputs, _ = data
    for head in HEADS[1:]:
        model = build(head, config=tiny_config(embedding_dim=4))
        assert np.isfinite(np.asarray(model(inputs))).all()


@pytest.mark.parametrize("number", [3, -1, 1.0, "some"])
def test_unfreeze_refuses_what_cannot_be(number):
    model = build()
    with pytest.raises(ConfigError, match=f"unfrozen_blocks={number!r}"):
        model.unfreeze(number)
    assert model.classifier_config.unfrozen_blocks == 0


def test_targets_of_a_reconstruction_are_refused(data):
    model = build()
    compile_model(model, **FAST)
    with pytest.raises(ConfigError, match=r"learns labels.*dictionary with mag"):
        model.fit(data[0], {"mag": data[0]["mag"]}, verbose=0)
