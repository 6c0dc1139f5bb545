"""The authors' classifiers, weights and logits, repeated by ours: `released_heads.py`."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from astromer.models import (
    ClassifierConfig,
    ClassifierNetwork,
    EncoderConfig,
    classifier,
)
from astromer.models.heads import GammaMixture
from tests.models.released_heads import (
    HEADS,
    ON_ANY_BACKEND,
    as_array,
    build,
    encoder_of,
    inputs_of,
    logits_of,
    stored,
)

ROOT = Path(__file__).resolve().parents[2]

LOGITS_ATOL = 1e-4


@pytest.mark.parametrize("name", HEADS)
def test_logits_are_those_of_the_authors(shared, name):
    np.testing.assert_allclose(
        logits_of(shared, name), stored(shared)[name], atol=LOGITS_ATOL
    )


def test_gamma_starts_as_the_authors_does(shared):
    pooling = build(shared, "skip_logits_gamma_initial").get_layer("pooling")
    expected = stored(shared)["skip_gamma_initial"]
    np.testing.assert_allclose(as_array(pooling.gamma), expected, rtol=1e-7)


def test_embedding_and_layer_weights_are_those_of_the_authors(shared):
    model, arrays = build(shared, "skip_logits"), stored(shared)
    np.testing.assert_allclose(
        model.layer_weights(), arrays["skip_softmax_gamma"], rtol=1e-5
    )
    embed = keras.Model(model.input, model.get_layer("pooling").output)
    embedding = as_array(embed(inputs_of(shared)))
    np.testing.assert_allclose(embedding, arrays["skip_embedding"], atol=1e-5)
    # Blocks' means, weighted, and then a mean where the paper has a sum.
    means = arrays["skip_softmax_gamma"][:, None, None] * arrays["skip_pooled_by_block"]
    np.testing.assert_allclose(embedding, means.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize(("mixture", "factor"), [("released", 1), ("sum", 7)])
def test_gamma_mixture_is_the_authors(shared, mixture, factor):
    with np.load(shared / "reference" / "gamma_weight.npz") as arrays:
        layer = GammaMixture(mixture)
        # Windows of one observation: each is its own mean.
        sequences = list(arrays["x"][:, :, None])
        valid = np.ones((4, 1), bool)
        layer(sequences, valid)
        np.testing.assert_allclose(as_array(layer.gamma), arrays["initial"], rtol=1e-7)
        layer.gamma.assign(arrays["gamma"])
        np.testing.assert_allclose(
            as_array(layer(sequences, valid)), factor * arrays["output"], atol=1e-6
        )


# --- The padding mask upside down, in three of the released heads


def logits_with_mask(shared, mask):
    """Pool the last block over any mask, and classify by the head's weights."""
    model, inputs = build(shared, "pipeline0_avg_mlp_logits"), inputs_of(shared)
    pooling = model.get_layer("pooling")
    classify = keras.Model(pooling.output, model.output)
    return as_array(
        classify(pooling(encoder_of(shared)(inputs), mask(inputs["valid"])))
    )


@pytest.mark.parametrize("name", ["avg_logits", "att_avg_logits"])
def test_released_mean_heads_average_padding(shared, name):
    expected = stored(shared)[name]
    padded = ~inputs_of(shared)["valid"].all(axis=1)
    assert padded.sum() == 4
    upside_down = logits_with_mask(shared, np.logical_not)
    np.testing.assert_allclose(upside_down[padded], expected[padded], atol=LOGITS_ATOL)
    # One head sees nothing in a full window, the other divides by that nothing.
    if name == "avg_logits":
        np.testing.assert_allclose(
            upside_down[~padded], expected[~padded], atol=LOGITS_ATOL
        )
        assert np.ptp(expected[~padded], axis=0).max() == 0.0
    else:
        assert np.isnan(expected[~padded]).all()
        assert np.isfinite(upside_down).all()


def test_right_mask_gives_other_logits_than_the_released_mean_head(shared):
    right = logits_with_mask(shared, lambda valid: valid)
    difference = np.abs(right - stored(shared)["avg_logits"]).max(axis=1)
    padded = ~inputs_of(shared)["valid"].all(axis=1)
    assert difference[padded].min() == pytest.approx(0.159, abs=0.005)
    assert difference[~padded].min() == pytest.approx(1.246, abs=0.005)
    # The first version's head has these weights too, and the mask right.
    expected = stored(shared)["pipeline0_avg_mlp_logits"]
    np.testing.assert_allclose(right, expected, atol=LOGITS_ATOL)


# --- What these tests would catch


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("skip_logits", {"mixture": "sum"}),
        ("max_logits", {"head": "mean"}),
        ("base_avgpool_logits", {"head": "mean"}),
    ],
)
def test_wrong_option_is_caught(shared, name, changes, monkeypatch):
    monkeypatch.setitem(HEADS, name, {**HEADS[name], **changes})
    difference = np.abs(logits_of(shared, name) - stored(shared)[name]).max()
    assert difference > 1_000 * LOGITS_ATOL


def test_wrong_epsilon_of_output_norm_is_caught(shared, monkeypatch):
    monkeypatch.setattr(classifier, "OUTPUT_NORM_EPSILON", 1e-6)
    for name in ("skip_logits", "raw_gru_logits"):
        difference = np.abs(logits_of(shared, name) - stored(shared)[name]).max()
        assert difference > 50 * LOGITS_ATOL


def test_mask_left_out_is_caught(shared):
    everything = logits_with_mask(shared, np.ones_like)
    expected = stored(shared)["pipeline0_avg_mlp_logits"]
    assert np.abs(everything - expected).max() > 0.1


@pytest.mark.parametrize(
    ("head", "count"),
    [
        ("gamma", 4_873_997),
        ("max", 4_873_990),
        ("mean", 4_873_990),
        ("input_mean", 921_862),
        ("input_gru", 1_316_614),
        ("raw_gru", 1_121_030),
    ],
)
def test_number_of_parameters_is_that_of_the_published_checkpoint(head, count):
    config = EncoderConfig.from_name("astromer2", hidden_magnitude="zero")
    options = ClassifierConfig(class_names=tuple("abcdef"), head=head)
    assert ClassifierNetwork(config, options).count_params() == count


# --- Other backends


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_logits_are_those_of_the_authors_on_another_backend(shared, tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    out = tmp_path / "logits.npz"
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.released_heads", shared, out],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    with np.load(out) as found:
        assert set(found) == set(ON_ANY_BACKEND)
        for name in found:
            np.testing.assert_allclose(
                found[name], stored(shared)[name], atol=LOGITS_ATOL, err_msg=name
            )
