"""Three classes that differ in the shape of their light curves and in nothing else."""

import keras
import numpy as np
import pytest

from astromer.models import ClassifierConfig, ClassifierNetwork, EncoderConfig
from astromer.models.config import BLOCK_HEADS
from astromer.training import ClassificationLoss, classification_metrics

SHAPES = ("sine", "dips", "bumps")
NUM_POINTS, PERIOD, SPAN, AMPLITUDE, NOISE = 40, 20.0, 60.0, 0.4, 0.02
# A box of this share of the period has the standard deviation of a sine.
DUTY = (1 - np.sqrt(0.5)) / 2

ENCODER = EncoderConfig(
    num_layers=2,
    num_heads=2,
    head_dim=16,
    hidden_dim=32,
    intermediate_dim=32,
    window_size=NUM_POINTS,
)


def make_windows(number, seed):
    """Return inputs and labels: one period, amplitude, cadence and length for all."""
    rng = np.random.default_rng(seed)
    label = np.arange(number) % len(SHAPES)
    time = np.sort(rng.uniform(0.0, SPAN, (number, NUM_POINTS)), axis=1)
    phase = (time / PERIOD + rng.uniform(size=(number, 1))) % 1.0
    box = np.where(phase < DUTY, 1.0, -1.0)  # magnitudes: up is faint
    shapes = np.stack([np.sin(2 * np.pi * phase), box, -box])
    mag = AMPLITUDE * np.take_along_axis(shapes, label[None, :, None], axis=0)[0]
    mag += NOISE * rng.standard_normal(mag.shape)
    valid = np.ones(mag.shape, bool)
    inputs = {
        "time": (time - time.mean(axis=1, keepdims=True)).astype(np.float32),
        "mag": (mag - mag.mean(axis=1, keepdims=True)).astype(np.float32),
        "valid": valid,
        "hidden": ~valid,
    }
    return inputs, label


def build(head):
    config = ClassifierConfig(
        class_names=SHAPES, head=head, hidden_units=(32,), gru_units=32
    )
    return ClassifierNetwork(ENCODER, config, seed=0)


def test_toy_classes_differ_in_shape_only():
    inputs, label = make_windows(3_000, seed=2)
    # A sampled sine seldom meets its extremes; a box does, with noise on top.
    for statistic, tolerance in ((np.std, 0.02), (np.ptp, 0.06)):
        values = statistic(inputs["mag"], axis=1)
        means = [values[label == k].mean() for k in range(3)]
        assert np.ptp(means) < tolerance * np.mean(means)
    assert np.abs(inputs["mag"].mean(axis=1)).max() < 1e-6


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("head", [*BLOCK_HEADS, "input_gru", "raw_gru"])
def test_head_beats_chance_on_shapes(head):
    # The encoder is frozen and knows nothing: the head must make do with it.
    model = build(head)
    model.compile(
        optimizer=keras.optimizers.Adam(5e-3),
        loss=ClassificationLoss(),
        metrics=classification_metrics(3),
        jit_compile=False,
    )
    inputs, label = make_windows(360, seed=0)
    model.fit(inputs, label, batch_size=30, epochs=15, shuffle=False, verbose=0)
    scores = model.evaluate(*make_windows(150, seed=1), verbose=0, return_dict=True)
    assert scores["macro_f1"] > 0.75  # chance: a third
    assert scores["accuracy"] > 0.75


def test_mean_of_the_input_embedding_cannot_see_shapes(rng):
    # A linear embedding, averaged, keeps the magnitudes' mean, which is zero. No
    # training can help: the published baseline stands at chance, too.
    inputs, _ = make_windows(6, seed=0)
    shuffled = dict(inputs, mag=rng.permuted(inputs["mag"], axis=1))
    shuffled["mag"] = (shuffled["mag"] * 3.0).astype(np.float32)
    for head, sees in (("input_mean", False), ("mean", True)):
        model = build(head)
        moved = np.abs(np.asarray(model(shuffled)) - np.asarray(model(inputs))).max()
        assert moved > 1e-2 if sees else moved < 1e-5
