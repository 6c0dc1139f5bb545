"""What a model refuses on several devices; `tests/training` shows what works there."""

from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.models import Reconstructor
from astromer.training import Adam
from tests.models.windows import tiny_config


@pytest.fixture
def model():
    return Reconstructor(tiny_config(num_layers=1), seed=0)


@pytest.fixture
def on_two(model):
    """A model that takes itself to be on two devices; a test process has but one."""
    model._distribute_strategy = SimpleNamespace(num_replicas_in_sync=2)
    return model


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
