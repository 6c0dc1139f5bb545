import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score, log_loss
from sklearn.utils.class_weight import compute_class_weight

from astromer.errors import ConfigError
from astromer.training import (
    ClassificationLoss,
    MacroF1,
    balanced_class_weights,
    check_takes_logits,
    classification_metrics,
)
from tests.scripts import results_of

NUM_CLASSES = 4
BATCHES = [slice(0, 10), slice(10, 11), slice(11, 50)]


@pytest.fixture
def windows(rng):
    """Labels and logits of fifty windows; the third class is never the truth."""
    label = rng.choice([0, 1, 3], 50, p=[0.6, 0.3, 0.1])
    logits = rng.normal(size=(50, NUM_CLASSES)) + 1.5 * np.eye(NUM_CLASSES)[label]
    return label, logits.astype("float32")


def probabilities(logits):
    weights = np.exp(logits.astype("float64"))
    return weights / weights.sum(axis=1, keepdims=True)


# --- Loss


def test_loss_is_the_mean_cross_entropy(windows):
    label, logits = windows
    expected = log_loss(label, probabilities(logits), labels=range(NUM_CLASSES))
    assert float(ClassificationLoss()(label, logits)) == pytest.approx(
        expected, rel=1e-6
    )


def test_loss_weighs_classes_and_samples(windows, rng):
    label, logits = windows
    class_weights, sample_weight = [0.5, 2.0, 1.0, 8.0], rng.uniform(size=50)
    expected = log_loss(
        label,
        probabilities(logits),
        labels=range(NUM_CLASSES),
        sample_weight=sample_weight * np.array(class_weights)[label],
    )
    loss = ClassificationLoss(class_weights=class_weights)
    found = float(loss(label, logits, sample_weight))
    assert found == pytest.approx(expected, rel=1e-6)
    plain = float(ClassificationLoss()(label, logits))
    assert abs(found - plain) > 0.01


def test_smoothed_loss_is_that_of_keras(windows):
    label, logits = windows
    one_hot = np.eye(NUM_CLASSES, dtype="float32")[label]
    keras_loss = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.2)
    expected = float(keras_loss(one_hot, logits))
    found = float(ClassificationLoss(0.2)(label, logits))
    assert found == pytest.approx(expected, rel=1e-6)
    assert abs(found - float(ClassificationLoss()(label, logits))) > 0.01


def test_loss_takes_labels_in_a_column_and_logits_in_bfloat16(windows):
    label, logits = windows
    expected = float(ClassificationLoss()(label, logits))
    assert float(ClassificationLoss()(label[:, None], logits)) == expected
    found = ClassificationLoss()(label, tf.cast(logits, "bfloat16"))
    assert found.dtype == "float32"
    assert float(found) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("wrong", [-1, NUM_CLASSES])
@pytest.mark.parametrize("class_weights", [None, [1.0] * NUM_CLASSES])
def test_label_that_is_no_class_gives_nan(windows, wrong, class_weights):
    label, logits = windows
    label[3] = wrong
    assert np.isnan(float(ClassificationLoss(0.0, class_weights)(label, logits)))


def test_batch_without_weight_has_no_loss(windows):
    label, logits = windows
    assert float(ClassificationLoss()(label, logits, np.zeros(50))) == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, "Received: label_smoothing=1.0"),
        ({"label_smoothing": -0.1}, "Received: label_smoothing=-0.1"),
        ({"class_weights": []}, r"positive numbers\. Received: class_weights=\[\]"),
        ({"class_weights": [1.0, 0.0]}, r"class_weights=\[1.0, 0.0\]"),
        ({"class_weights": [1.0, float("nan")]}, r"class_weights=\[1.0, nan\]"),
    ],
)
def test_loss_refuses_options_that_cannot_work(options, message):
    with pytest.raises(ConfigError, match=message):
        ClassificationLoss(**options)


def test_loss_refuses_weights_of_other_classes(windows):
    with pytest.raises(ConfigError, match=r"\[1.0, 2.0\] for 4 classes"):
        ClassificationLoss(class_weights=[1, 2])(*windows)


def test_loss_returns_from_its_config():
    loss = ClassificationLoss(0.1, np.array([1.0, 2.0]), name="mine")
    again = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    )
    assert again.get_config() == loss.get_config()
    assert (again.label_smoothing, again.class_weights) == (0.1, [1.0, 2.0])


def test_balanced_weights_are_those_of_scikit_learn(windows):
    label = windows[0]
    counts = [int((label == k).sum()) for k in (0, 1, 3)]
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=label)
    np.testing.assert_allclose(balanced_class_weights(counts), expected, rtol=1e-12)
    with pytest.raises(ConfigError, match=r"Received: counts=\[3, 0\]"):
        balanced_class_weights([3, 0])
    with pytest.raises(ConfigError, match=r"Received: counts=\[\]"):
        balanced_class_weights([])


# --- Macro F1


def test_macro_f1_of_uneven_batches_is_that_of_scikit_learn(windows):
    label, logits = windows
    metric = MacroF1(NUM_CLASSES)
    per_batch = []
    for rows in BATCHES:
        metric.update_state(label[rows], logits[rows])
        predicted = logits[rows].argmax(axis=1)
        per_batch.append(f1_score(label[rows], predicted, average="macro"))
    expected = f1_score(label, logits.argmax(axis=1), average="macro")
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
    # Not the mean of the batches' values.
    assert abs(np.mean(per_batch) - expected) > 0.01
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_macro_f1_takes_the_classes_that_occur(windows):
    label, logits = windows
    logits[:, 2] = -9.0  # neither true nor predicted now
    metric = MacroF1(NUM_CLASSES)
    metric.update_state(label, logits)
    expected = f1_score(label, logits.argmax(axis=1), average="macro")
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
    every = f1_score(
        label, logits.argmax(axis=1), average="macro", labels=range(4), zero_division=0
    )
    assert every == pytest.approx(0.75 * expected)


def test_macro_f1_weighs_samples(windows, rng):
    label, logits = windows
    weight = rng.integers(0, 3, 50)
    metric = MacroF1(NUM_CLASSES)
    metric.update_state(label, logits, weight)
    expected = f1_score(
        label, logits.argmax(axis=1), average="macro", sample_weight=weight
    )
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_macro_f1_is_one_for_the_truth_and_low_for_a_constant(windows):
    label = windows[0]
    for predicted, expected in ((label, 1.0), (np.zeros(50, int), None)):
        metric = MacroF1(NUM_CLASSES)
        metric.update_state(label, np.eye(NUM_CLASSES)[predicted])
        found = float(metric.result())
        assert found == expected if expected else found < 0.3


def test_metrics_return_from_their_configs():
    metrics = classification_metrics(3)
    assert [metric.name for metric in metrics] == ["accuracy", "macro_f1"]
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metrics[1])
    )
    assert (type(again), again.num_classes, again.name) == (MacroF1, 3, "macro_f1")


# --- Two replicas


@pytest.fixture(scope="module")
def replicas():
    """What `classification_replicas.py` prints, by number of replicas."""
    return results_of("tests.training.classification_replicas")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_replicas_train_a_classifier_as_one_device(replicas):
    one, two = replicas["one"], replicas["two"]
    assert two["start"] == one["start"]
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5, abs=1e-6)
    moved = [abs(a - b) for a, b in zip(one["start"], one["weights"], strict=True)]
    assert max(moved) > 1e-2
    for name in ("training", "scores"):
        assert set(one[name]) == {"loss", "accuracy", "macro_f1"}
        assert two[name] == pytest.approx(one[name], rel=1e-5)
    assert 0.0 < one["scores"]["macro_f1"] < 1.0
    np.testing.assert_allclose(two["logits"], one["logits"], rtol=1e-5, atol=1e-5)


def test_one_hot_labels_are_refused():
    logits = np.zeros((4, 3), np.float32)
    for score in (ClassificationLoss(), MacroF1(3).update_state):
        with pytest.raises(ConfigError, match=r"shape=\(4, 3\).*argmax"):
            score(np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], logits)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.CategoricalFocalCrossentropy(),
    ],
)
def test_losses_of_probabilities_are_refused(loss):
    with pytest.raises(ConfigError, match=r"gives logits.*from_logits=True"):
        check_takes_logits(loss)


def test_losses_of_logits_are_taken():
    for loss in (
        None,
        "mse",
        ClassificationLoss(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ):
        check_takes_logits(loss)


def test_keras_knows_that_more_f1_is_better():
    callback = keras.callbacks.EarlyStopping("val_macro_f1")
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    model.compile(loss=ClassificationLoss(), metrics=[MacroF1(3)])
    x, y = np.eye(2, dtype=np.float32), np.array([0, 1])
    model.fit(x, y, validation_data=(x, y), callbacks=[callback], verbose=0)
    assert callback.monitor_op is keras.ops.greater
