import math

import keras
import numpy as np
import pytest

from astromer.training import Adam, learning_rate_schedule


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_cosine_rises_and_falls_to_zero():
    schedule = learning_rate_schedule(0.5, warmup_steps=4, decay_steps=24)
    # A quarter of the way up at once, the top after four steps, half of it in between.
    assert rates(schedule, range(5)) == pytest.approx(
        [0.125, 0.21875, 0.3125, 0.40625, 0.5]
    )
    expected = [0.5 * 0.5 * (1 + math.cos(math.pi * n / 20)) for n in range(21)]
    assert rates(schedule, range(4, 25)) == pytest.approx(expected, abs=1e-7)
    assert rates(schedule, [30]) == pytest.approx([0.0], abs=1e-7)


def test_cosine_without_warmup_starts_at_the_top():
    schedule = learning_rate_schedule(0.5, decay_steps=10)
    assert rates(schedule, [0, 5, 10]) == pytest.approx([0.5, 0.25, 0.0], abs=1e-7)


def test_constant_rate_may_rise_first():
    assert learning_rate_schedule(0.5) == 0.5
    schedule = learning_rate_schedule(0.5, warmup_steps=4)
    found = rates(schedule, [0, 2, 4, 400])
    assert found == pytest.approx([0.125, 0.3125, 0.5, 0.5])


@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 0.1}, {"clipnorm": 0.2}])
def test_adam_is_that_of_keras_on_one_device(clip):
    moved = []
    for optimizer_class in (Adam, keras.optimizers.Adam):
        variables = [keras.Variable([1.0, 2.0], name="a"), keras.Variable([3.0])]
        optimizer = optimizer_class(0.1, epsilon=0.5, **clip)
        for scale in (1.0, -0.3):
            grads = [np.array([3.0, -1.0]) * scale, np.array([0.5]) * scale]
            optimizer.apply(list(map(keras.ops.convert_to_tensor, grads)), variables)
        moved.append([np.asarray(variable) for variable in variables])
    for found, expected in zip(*moved, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_adam_returns_from_its_config():
    optimizer = Adam(0.1, beta_2=0.98, global_clipnorm=2.0)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(optimizer)
    )
    assert type(again) is Adam
    assert again.get_config() == optimizer.get_config()
