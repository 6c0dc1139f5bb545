"""The loop against Keras's own `fit`, on one device; see `cluster.py` for several."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.models import Reconstructor
from astromer.training import ReconstructionLoss, reconstruction_metrics
from astromer.training.worker_loop import fit_with_strategy_run, take_part
from tests.models.windows import make_inputs, make_targets, tiny_config

STRATEGY = tf.distribute.get_strategy()


@pytest.fixture
def dataset():
    """Eleven windows in batches of four, the last of three."""
    rng = np.random.default_rng(3)
    inputs = make_inputs(rng, sizes=(8, 5, 3, 8, 7, 2, 4, 6, 8, 1, 5))
    targets = make_targets(rng, inputs)
    return tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(4)


def make_model(dropout=0.0, **options):
    model = Reconstructor(tiny_config(num_layers=1, dropout=dropout), seed=0)
    model.compile(
        keras.optimizers.Adam(1e-2, epsilon=1e-3),
        ReconstructionLoss(),
        reconstruction_metrics(),
        **options,
    )
    return model


def fit(model, dataset, validation=None, **options):
    return fit_with_strategy_run(model, STRATEGY, dataset, validation, **options)


class Recorder(keras.callbacks.Callback):
    """Remember every call with its number and logs."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _record(name):
    def hook(self, number, logs=None):
        logs = {key: float(value) for key, value in (logs or {}).items()}
        self.calls.append((name, number, logs))

    def hook_without_number(self, logs=None):
        hook(self, None, logs)

    numbered = "epoch" in name or "batch" in name
    return hook if numbered else hook_without_number


HOOKS = [
    f"on_{what}_{when}"
    for what, when in itertools.product(
        ("train", "epoch", "train_batch", "test", "test_batch"), ("begin", "end")
    )
]
for _name in HOOKS:
    setattr(Recorder, _name, _record(_name))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_loop_equals_fit_of_keras(dataset, dropout):
    ours, keras_own = make_model(dropout), make_model(dropout)
    recorder, expected = Recorder(), Recorder()
    validation = dataset.take(2)
    history = fit(ours, dataset, validation, epochs=3, callbacks=[recorder])
    keras_history = keras_own.fit(
        dataset,
        validation_data=validation,
        epochs=3,
        verbose=0,
        callbacks=[expected],
    )
    assert history.history.keys() == keras_history.history.keys()
    for name, values in keras_history.history.items():
        assert history.history[name] == pytest.approx(values, rel=1e-5), name
    assert history.epoch == [0, 1, 2]
    for found, value in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-7)
    # The same calls in the same order, with the same numbers and logs.
    assert {name for name, *_ in recorder.calls} == set(HOOKS)
    assert len(recorder.calls) == len(expected.calls)
    for call, wanted in zip(recorder.calls, expected.calls, strict=True):
        assert call[:2] == wanted[:2]
        assert call[2] == pytest.approx(wanted[2], rel=1e-5), call[:2]


def test_epochs_of_steps_follow_each_other_through_the_data(dataset):
    ours, keras_own = make_model(), make_model()
    endless = dataset.repeat()
    options = {"epochs": 5, "initial_epoch": 2, "steps_per_epoch": 2}
    history = fit(ours, endless, **options)
    expected = keras_own.fit(endless, verbose=0, **options)
    assert history.epoch == expected.epoch == [2, 3, 4]
    assert history.history["loss"] == pytest.approx(expected.history["loss"], rel=1e-5)


def test_every_validation_begins_anew(dataset):
    model = make_model()
    # A rate of zero: the scores are those of the same model.
    model.optimizer.learning_rate = 0.0
    history = fit(
        model,
        dataset.repeat(),
        dataset.repeat(),
        epochs=2,
        steps_per_epoch=1,
        validation_steps=2,
    ).history
    assert history["val_loss"][0] == history["val_loss"][1]
    expected = model.evaluate(dataset.take(2), verbose=0, return_dict=True)
    assert history["val_loss"][0] == pytest.approx(expected["loss"], rel=1e-5)
    assert history["val_r2_hidden"][0] == pytest.approx(expected["r2_hidden"], rel=1e-5)


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end"])
def test_callback_stops_training(dataset, hook):
    class Stop(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_begin(self, batch, logs=None):
            self.steps += 1

        def stop(self, number, logs=None):
            self.model.stop_training = True

    setattr(Stop, hook, Stop.stop)
    stop = Stop()
    history = fit(make_model(), dataset, epochs=5, callbacks=[stop])
    assert history.epoch == [0]
    assert stop.steps == (1 if hook == "on_train_batch_end" else 3)


def test_loop_trains_a_plain_keras_model():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 3)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, (x[:, 0] > 0).astype("int64")))
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile(
            "sgd",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        models.append(model)
    found = fit(models[0], data.batch(4), epochs=2).history
    expected = models[1].fit(data.batch(4), epochs=2, verbose=0, shuffle=False).history
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_parts_of_all_workers_make_up_the_batches(dataset, number):
    parts = [take_part(dataset, index, number) for index in range(number)]
    for batch, *rows in zip(dataset, *parts, strict=True):
        whole = tf.nest.map_structure(lambda *values: tf.concat(values, 0), *rows)
        tf.nest.map_structure(np.testing.assert_array_equal, whole, batch)
    # Five workers share three windows: some have none.
    last = [len(list(part)[-1][0]["mag"]) for part in parts]
    assert sum(last) == 3
    assert max(last) - min(last) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run_eagerly": True}, "compiled with `run_eagerly`"),
        ({"steps_per_execution": 2}, "compiled with `steps_per_execution`"),
    ],
)
def test_compiled_option_that_cannot_run_is_refused(dataset, options, message):
    with pytest.raises(ConfigError, match=message):
        fit(make_model(**options), dataset, epochs=1)


def test_gradient_accumulation_is_refused(dataset):
    model = make_model()
    model.compile(keras.optimizers.SGD(gradient_accumulation_steps=2))
    with pytest.raises(ConfigError, match="with `gradient_accumulation_steps`"):
        fit(model, dataset, epochs=1)


def test_model_that_is_not_compiled_is_refused(dataset):
    with pytest.raises(ConfigError, match="must be compiled"):
        fit(Reconstructor(tiny_config(num_layers=1)), dataset, epochs=1)


def test_metric_that_replicas_cannot_add_up_is_refused(dataset):
    class Peak(keras.metrics.Metric):
        subset = "hidden"

        def __init__(self):
            super().__init__(name="peak")
            self.peak = self.add_variable((), "zeros", aggregation="mean")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.peak.assign(tf.reduce_max(y_pred))

        def result(self):
            return self.peak

    model = make_model()
    model.compile("sgd", ReconstructionLoss(), [Peak()])
    with pytest.raises(ConfigError, match=r'metric=peak.*aggregation="mean"'):
        fit(model, dataset, epochs=1)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda d: d.repeat(), {}, "endless data has no end"),
        (lambda d: d, {"steps_per_epoch": 2}, "3 batches for 4 steps"),
        (lambda d: d.take(0), {}, "0 batches for 0 steps"),
        (lambda d: d.filter(lambda *_: True), {}, r"cardinality\(\)=-2"),
    ],
    ids=["endless", "too short", "empty", "unknown"],
)
def test_data_that_do_not_last_are_refused(dataset, change, options, message):
    with pytest.raises(ConfigError, match=message):
        fit(make_model(), change(dataset), epochs=2, **options)
