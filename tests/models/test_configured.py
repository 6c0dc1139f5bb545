"""What a model refuses on several devices; `tests/training` shows what works there."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.models import (
    ClassifierConfig,
    ClassifierNetwork,
    Encoder,
    Reconstructor,
)
from astromer.presets import save_preset
from astromer.training import Adam, ReconstructionLoss
from tests.models.windows import make_inputs, make_targets, tiny_config


@pytest.fixture
def model():
    return Reconstructor(tiny_config(num_layers=1), seed=0)


@pytest.fixture
def on_two(model):
    """A model that takes itself to be on two devices; a test process has but one."""
    model._distribute_strategy = SimpleNamespace(num_replicas_in_sync=2)
    return model


class Whole(keras.losses.Loss):
    """A loss that reduces a batch by itself, and says not how."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return keras.ops.mean(y_true - y_pred)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jit_compile": True}, "compiled by XLA.*jit_compile=True on 2 replicas"),
        ({"steps_per_execution": 4}, "steps_per_execution=4 on 2 replicas"),
        (
            {"optimizer": keras.optimizers.Adam(gradient_accumulation_steps=3)},
            "cannot be accumulated.*gradient_accumulation_steps=3 on 2 replicas",
        ),
        (
            {"optimizer": keras.optimizers.Adam(clipnorm=0.5)},
            r"clipnorm=0\.5 on 2 replicas.*astromer\.training\.Adam",
        ),
        ({"optimizer": keras.optimizers.SGD(clipvalue=1.0)}, r"clipvalue=1\.0"),
        ({"optimizer": keras.optimizers.Adam(global_clipnorm=2.0)}, "global_clipnorm"),
        (
            {"loss": keras.losses.MeanSquaredError(reduction="none")},
            'mean or a sum over a batch.*reduction="none" on 2 replicas',
        ),
        ({"loss": Whole()}, "loss=Whole on 2 replicas.*`sums_over_replicas = True`"),
    ],
)
def test_what_fails_or_differs_on_several_devices_is_refused(on_two, options, message):
    with pytest.raises(ConfigError, match=message):
        on_two.compile(**{"loss": "mse", **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "sgd", "jit_compile": False},
        {"jit_compile": "auto", "steps_per_execution": 1},
        {"optimizer": Adam(global_clipnorm=2.0)},
        {"loss": ReconstructionLoss()},
        {"loss": {"reconstruction": keras.losses.Huber(reduction="sum")}},
    ],
)
def test_what_works_on_several_devices_is_not(on_two, options):
    on_two.compile(**{"loss": "mse", **options})
    assert on_two.compiled


def test_one_device_takes_everything(model):
    optimizer = keras.optimizers.Adam(clipnorm=1.0, gradient_accumulation_steps=2)
    model.compile(optimizer, "mse", jit_compile=True, steps_per_execution=2)
    assert model.optimizer is optimizer


def test_strategy_of_one_device_cannot_accumulate_either():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = Reconstructor(tiny_config(num_layers=1), seed=0)
        model.compile("adam", "mse", steps_per_execution=2)
        with pytest.raises(ConfigError, match="gradient_accumulation_steps=2 on 1"):
            model.compile(keras.optimizers.Adam(gradient_accumulation_steps=2), "mse")


def flags(model):
    return [variable.trainable for variable in model.weights]


def freeze_encoder(model):
    model.encoder.trainable = False


def freeze_first_block(model):
    model.encoder.blocks[0].trainable = False


def freeze_all_but_a_layer(model):
    for layer in model.layers:
        layer.trainable = layer.name == "head_dense"


@pytest.mark.parametrize(
    "freeze", [freeze_encoder, freeze_first_block, freeze_all_but_a_layer]
)
def test_keras_file_keeps_what_is_frozen_and_goes_on(freeze, rng, tmp_path):
    # Keras keeps no state of dropout.
    model = Reconstructor(tiny_config(dropout=0.0), seed=0)
    inputs = make_inputs(rng)
    targets = make_targets(rng, inputs)
    freeze(model)
    optimizer = keras.optimizers.SGD(1e-2, momentum=0.9)
    model.compile(optimizer, "mse", run_eagerly=True)
    model.fit(inputs, targets, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert flags(loaded) == flags(model)
    assert 0 < len(loaded.trainable_weights) < len(loaded.weights)
    loaded.run_eagerly = True
    for one in (model, loaded):
        one.fit(inputs, targets, shuffle=False, verbose=0)
    assert int(loaded.optimizer.iterations) == 3
    for found, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_classifier_keeps_what_keras_froze_and_thawed(tmp_path):
    options = ClassifierConfig(class_names=("a", "b"), hidden_units=(4,))
    model = ClassifierNetwork(tiny_config(num_layers=1), options, seed=0)
    assert not model.encoder.trainable
    for frozen in (True, False):
        model.encoder.trainable = not frozen
        model.get_layer("hidden_0").trainable = frozen
        again = ClassifierNetwork.from_config(model.get_config())
        assert flags(again) == flags(model)
        assert set(flags(again)) == {True, False}


def test_encoder_keeps_what_is_frozen():
    encoder = Encoder(tiny_config(), seed=0)
    encoder.blocks[1].trainable = False
    assert flags(Encoder.from_config(encoder.get_config())) == flags(encoder)


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")
def test_quantized_models_are_not_written(model, tmp_path):
    save_preset(model, tmp_path / "kept")
    before = (tmp_path / "kept" / "model.weights.h5").read_bytes()
    model.quantize("int8")
    for save in (
        lambda: save_preset(model, tmp_path / "kept"),
        lambda: model.save(tmp_path / "model.keras"),
    ):
        with pytest.raises(ConfigError, match=r"before they are quantized.*int8"):
            save()
    assert (tmp_path / "kept" / "model.weights.h5").read_bytes() == before


def test_fit_takes_the_arguments_of_keras_in_their_places(model, rng):
    inputs = make_inputs(rng)
    model.compile("adam", "mse", run_eagerly=True)
    history = model.fit(inputs, make_targets(rng, inputs), 2, 3, 0)
    assert history.epoch == [0, 1, 2]
    assert history.params["steps"] == 2
