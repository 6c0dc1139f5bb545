import keras
import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.models import Reconstructor
from astromer.training import R2, RMSE, ReconstructionLoss, reconstruction_metrics
from tests.models import numpy_model
from tests.models.windows import make_inputs, make_targets, randomize, tiny_config

# Tracing and compiling take longer than these models run.
FAST = {"run_eagerly": True}


@pytest.fixture
def data(rng):
    inputs = make_inputs(rng, sizes=(8, 5, 3, 7))
    return inputs, make_targets(rng, inputs)


def magnitude_gradient(model, inputs):
    """Change of all outputs' squares with each magnitude."""
    tensors = {name: tf.constant(values) for name, values in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors["mag"])
        loss = tf.reduce_sum(tf.square(model(tensors)))
    return tape.gradient(loss, tensors["mag"]).numpy()


@pytest.mark.parametrize("mode", ["token", "zero"])
@pytest.mark.parametrize("attention_mask", ["exclude", "released_astromer1"])
def test_no_output_depends_on_a_hidden_magnitude(mode, attention_mask, rng):
    config = tiny_config(hidden_magnitude=mode, attention_mask=attention_mask)
    model = Reconstructor(config, seed=0)
    inputs = make_inputs(rng)
    gradient = magnitude_gradient(model, inputs)
    visible = inputs["valid"] & ~inputs["hidden"]
    assert (gradient[~visible] == 0.0).all()
    assert (gradient[visible] != 0.0).all()


def test_leak_lets_outputs_depend_on_hidden_magnitudes(rng):
    # As the released Astromer 2 does; offered to repeat its results, and named so.
    model = Reconstructor(tiny_config(hidden_magnitude="leak"), seed=0)
    inputs = make_inputs(rng)
    gradient = magnitude_gradient(model, inputs)
    assert (gradient[inputs["hidden"]] != 0.0).all()
    assert (gradient[~inputs["valid"]] == 0.0).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"residual": "none", "time_base": 1_000.0},
        {"residual": "identity", "head_dim": 3},
        {"embedding_dim": 6, "num_layers": 3},
    ],
)
def test_model_equals_numpy_layer_by_layer(options, rng):
    model = Reconstructor(tiny_config(**options), seed=0)
    randomize(model, rng)
    inputs = make_inputs(rng)
    expected = numpy_model.reconstruct(model, inputs)
    encoder = model.encoder
    layers = keras.Model(encoder.input, list(encoder.layer_sequences))(inputs)
    valid = inputs["valid"]
    for found, layer in zip([*layers, model(inputs)], expected, strict=True):
        np.testing.assert_allclose(np.asarray(found)[valid], layer[valid], atol=1e-3)


def test_reconstruction_has_one_float32_value_per_observation(rng):
    inputs = make_inputs(rng)
    model = Reconstructor(tiny_config(), seed=0, dtype="mixed_bfloat16")
    output = np.asarray(model(inputs))
    assert output.shape == inputs["mag"].shape
    assert output.dtype == np.float32
    symbols = {name: keras.KerasTensor(v.shape, v.dtype) for name, v in inputs.items()}
    assert tuple(model(symbols).shape) == output.shape
    full = np.asarray(Reconstructor(tiny_config(), seed=0)(inputs))
    assert 0.0 < np.abs(output - full)[inputs["valid"]].max() < 0.1


def test_window_without_visible_observation_gives_finite_reconstruction(rng):
    inputs = make_inputs(rng)
    inputs["hidden"] = inputs["valid"].copy()
    assert np.isfinite(np.asarray(Reconstructor(tiny_config(), seed=0)(inputs))).all()


# --- Files


def test_keras_file_restores_model_and_training(tmp_path, data):
    inputs, targets = data
    model = Reconstructor(tiny_config(), seed=3, name="mine", dtype="mixed_bfloat16")
    optimizer = keras.optimizers.Adam(3e-3)
    model.compile(optimizer, ReconstructionLoss("paper"), [RMSE("valid")], **FAST)
    model.fit(inputs, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is Reconstructor
    assert again.config == model.config
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(model(inputs), again(inputs))
    assert again.loss.form == "paper"
    assert float(again.optimizer.learning_rate) == pytest.approx(3e-3)
    scores = again.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "rmse_valid"}
    assert scores == model.evaluate(inputs, targets, verbose=0, return_dict=True)
    # The optimizer goes on where it was.
    assert int(again.optimizer.iterations) == 1
    moments = zip(again.optimizer.variables, model.optimizer.variables, strict=True)
    for restored, saved in moments:
        np.testing.assert_array_equal(restored, saved)


def test_keras_file_restores_model_that_was_not_compiled(tmp_path, data):
    inputs, _ = data
    model = Reconstructor(tiny_config(residual="none"), seed=3)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(inputs), again(inputs))
    assert not again.compiled


def test_weights_file_restores_outputs(tmp_path, data):
    inputs, _ = data
    model, other = (Reconstructor(tiny_config(), seed=seed) for seed in (1, 2))
    assert (np.asarray(model(inputs)) != np.asarray(other(inputs))).any()
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model(inputs), other(inputs))


@pytest.mark.parametrize("change", [{"num_layers": 3}, {"head_dim": 2}])
def test_weights_file_of_another_config_raises(change, tmp_path):
    Reconstructor(tiny_config()).save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="could not be loaded"):
        Reconstructor(tiny_config(**change)).load_weights(tmp_path / "model.weights.h5")


# --- Training


def test_fit_learns(data):
    inputs, targets = data
    model = Reconstructor(tiny_config(dropout=0.0), seed=0)
    before = [np.asarray(weight) for weight in model.trainable_variables]
    optimizer = keras.optimizers.Adam(3e-2)
    model.compile(optimizer, ReconstructionLoss(), reconstruction_metrics(), **FAST)
    history = model.fit(inputs, targets, epochs=10, verbose=0).history
    assert set(history) == {"loss", "r2_hidden", "rmse_hidden", "rmse_valid"}
    assert np.isfinite(list(history.values())).all()
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    moved = [
        (np.asarray(new) != old).any()
        for new, old in zip(model.trainable_variables, before, strict=True)
    ]
    assert all(moved)


@pytest.mark.parametrize("metric", ["mae", keras.metrics.MeanSquaredError()])
def test_compile_raises_for_metric_without_subset(metric):
    model = Reconstructor(tiny_config())
    with pytest.raises(ConfigError, match="needs an attribute `subset`, one of hidden"):
        model.compile(metrics=[metric])


@pytest.mark.parametrize(
    ("loss", "function"),
    [
        ("mse", np.square),
        ("mean_absolute_error", np.abs),
        (keras.losses.MeanSquaredError(), np.square),
        (
            keras.losses.Huber(delta=0.3),
            lambda r: np.where(np.abs(r) < 0.3, r**2 / 2, 0.3 * (np.abs(r) - 0.15)),
        ),
    ],
)
def test_losses_of_keras_see_weighted_probed_observations(loss, function, data):
    inputs, targets = data
    model = Reconstructor(tiny_config(), seed=0)
    model.compile(loss=loss, **FAST)
    residual = targets["mag"] - np.asarray(model(inputs))
    expected = np.mean(function(residual) * targets["probed"] * targets["weight"])
    scores = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert scores == {"loss": pytest.approx(expected, rel=1e-5)}


@pytest.mark.parametrize("subset", ["hidden", "probed", "valid"])
def test_metrics_look_at_their_subset(subset, data):
    inputs, targets = data
    model = Reconstructor(tiny_config(), seed=0)
    model.compile(loss="mse", metrics=[RMSE(subset), R2(subset)], **FAST)
    scores = model.evaluate(inputs, targets, batch_size=3, verbose=0, return_dict=True)
    mask = {**inputs, **targets}[subset]
    residual = (targets["mag"] - np.asarray(model(inputs)))[mask]
    about_mean = np.concatenate(
        [mag[m] - mag[m].mean() for mag, m in zip(targets["mag"], mask, strict=True)]
    )
    assert scores[f"rmse_{subset}"] == pytest.approx(
        np.sqrt(np.mean(residual**2)), rel=1e-5
    )
    r2 = 1 - np.sum(residual**2) / np.sum(about_mean**2)
    assert scores[f"r2_{subset}"] == pytest.approx(r2, rel=1e-4)


@pytest.mark.parametrize("form", ["window", "column", "observation"])
def test_sample_weights_multiply_those_of_the_targets(data, form, rng):
    inputs, targets = data
    given = rng.uniform(0.0, 2.0, targets["weight"].shape).astype(np.float32)
    if form != "observation":
        given = given[:, :1]
    model = Reconstructor(tiny_config(), seed=0)
    model.compile(loss=ReconstructionLoss("paper"), metrics=[], **FAST)
    whole = {**targets, "weight": targets["weight"] * given}
    sample_weight = given[:, 0] if form == "window" else given
    expected = pytest.approx(model.evaluate(inputs, whole, verbose=0), rel=1e-6)
    assert model.evaluate(inputs, targets, verbose=0) != expected
    batches = tf.data.Dataset.from_tensors((inputs, targets, sample_weight))
    assert model.evaluate(batches, verbose=0) == expected
    if form == "window":
        # Of arrays Keras takes one weight per window.
        found = model.evaluate(inputs, targets, sample_weight=sample_weight, verbose=0)
        assert found == expected


def test_float64_batches_score_like_float32_ones(data):
    model = Reconstructor(tiny_config(), seed=0)
    model.compile(loss=ReconstructionLoss(), metrics=RMSE("hidden"), **FAST)

    def double(arrays):
        return {k: v.astype("f8") if v.dtype == "f4" else v for k, v in arrays.items()}

    batches = tf.data.Dataset.from_tensors(tuple(map(double, data)))
    expected = model.evaluate(*data, verbose=0)
    assert model.evaluate(batches, verbose=0) == pytest.approx(expected, rel=1e-6)


def test_targets_that_are_none_are_named(data):
    inputs, targets = data
    model = Reconstructor(tiny_config(), seed=0)
    model.compile(loss="mse", **FAST)
    for wrong, received in (
        (targets["mag"], "Tensor"),
        ({"mag": targets["mag"]}, "mag"),
    ):
        with pytest.raises(ConfigError, match=rf"dictionary with mag.*{received}"):
            model.fit(inputs, wrong, verbose=0)


def test_weighted_metrics_are_refused():
    model = Reconstructor(tiny_config(), seed=0)
    with pytest.raises(ConfigError, match=r"weighted_metrics=\['mae'\]"):
        model.compile(weighted_metrics=["mae"])


def test_sample_weights_may_change_their_shape(data):
    inputs, targets = data
    model = Reconstructor(tiny_config(), seed=0)
    model.compile(loss="mse", jit_compile=False)
    ones = np.ones(targets["weight"].shape, np.float32)
    expected = pytest.approx(model.evaluate(inputs, targets, verbose=0), rel=1e-5)
    for given in (ones[:, 0], ones[:, :1], ones):
        batches = tf.data.Dataset.from_tensors((inputs, targets, given))
        assert model.evaluate(batches, verbose=0) == expected
