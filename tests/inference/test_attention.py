"""Received attention against softmaxes computed by hand, window after window."""

import dataclasses

import numpy as np
import pytest

from astromer.errors import ConfigError, SurveyError
from astromer.inference import attention, attention_weights, embed
from astromer.lightcurve import LightCurve
from astromer.models import (
    ClassifierConfig,
    ClassifierNetwork,
    EncoderConfig,
    Reconstructor,
)

W = 8
CLOSE = {"rtol": 0, "atol": 2e-6}


def slices(curve):
    return [slice(start, start + W) for start in range(0, len(curve), W)]


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def block_by_hand(block, x, phase):
    """One block in float64: received weights (num_heads, n), and its output."""

    def dense(layer, values):
        return values @ np.asarray(layer.kernel, float) + np.asarray(layer.bias, float)

    def norm(layer, values):
        centered = values - values.mean(axis=-1, keepdims=True)
        scaled = centered / np.sqrt(values.var(axis=-1, keepdims=True) + layer.epsilon)
        return scaled * np.asarray(layer.gamma) + np.asarray(layer.beta)

    heads, dim = block.num_heads, block.head_dim
    query, key, value = (
        dense(layer, x).reshape(len(x), heads, dim)
        for layer in (block.attention.query, block.attention.key, block.attention.value)
    )
    # Two halves of a head are real and imaginary parts, turned by a phase.
    query, key = (
        phase * (part[..., : dim // 2] + 1j * part[..., dim // 2 :])
        for part in (query, key)
    )
    logits = np.einsum("qhd,khd->hqk", query, np.conj(key)).real / np.sqrt(dim)
    weights = softmax(logits)
    mixed = np.einsum("hqk,khd->qhd", weights, value).reshape(len(x), -1)
    mixed = dense(block.attention.output_projection, mixed)
    h = norm(block.attention_norm, dense(block.attention_residual, x) + mixed)
    inner = np.tanh(dense(block.intermediate, h))
    y = dense(block.output_residual, h) + dense(block.output_projection, inner)
    return weights.mean(axis=1), norm(block.output_norm, y)


def window_by_hand(encoder, curve, part):
    """Received weights of one window: (num_layers, num_heads, size)."""
    time = (curve.time[part] - curve.time[part].mean()).astype(np.float32)
    mag = curve.mag[part] - curve.mag[part].astype(float).mean()
    embed_mag = encoder.get_layer("magnitude_embedding")
    x = np.asarray(encoder.get_layer("time_encoding")(time[None]), float)[0]
    x = x + mag[:, None] * np.asarray(embed_mag.kernel) + np.asarray(embed_mag.bias)
    phase = 1.0
    if encoder.config.rotary_time:
        cosine, sine = np.split(
            encoder.get_layer("time_rotation")(time[None])[0], 2, -1
        )
        phase = (cosine + 1j * sine).swapaxes(0, 1)
    received = []
    for block in encoder.blocks:
        weight, x = block_by_hand(block, x, phase)
        received.append(weight)
    return np.array(received)


@pytest.mark.parametrize("rotary", [False, True])
def test_received_weights_are_those_of_softmaxes_by_hand(model, curves, rotary):
    if rotary:
        config = dataclasses.replace(model.config, rotary_time=True)
        model = Reconstructor(config, seed=0)
    for curve, found in zip(curves, attention(model, curves), strict=True):
        parts = [window_by_hand(model.encoder, curve, part) for part in slices(curve)]
        assert found.weight.dtype == np.float32
        assert found.weight.shape == (2, 2, len(curve))
        np.testing.assert_allclose(found.weight, np.concatenate(parts, -1), **CLOSE)
        # Weights that are all alike would hide a wrong order.
        if len(curve) > 1:
            assert np.ptp(found.weight, axis=-1).min() > 1e-3


def test_received_weights_of_a_window_add_up_to_one(model, curves):
    for curve, found in zip(curves, attention(model, curves), strict=True):
        for part in slices(curve):
            sums = found.weight[..., part].sum(axis=-1)
            np.testing.assert_allclose(sums, 1.0, rtol=1e-5)
            assert (found.window_size[part] == len(curve.time[part])).all()


def test_relative_attention_averages_to_one(model, curves):
    results = attention(model, curves)
    assert len(results) == len(curves)
    for found in results:
        np.testing.assert_allclose(found.relative.mean(axis=-1), 1.0, rtol=1e-5)


def test_attention_keeps_the_order_and_belongs_to_its_light_curve(model, curves):
    found = attention(model, curves, batch_size=3)
    assert [one.light_curve for one in found] == curves
    assert repr(found[0]) == "Attention('star00', 2 blocks, 2 heads, 19 observations)"


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_batch_size_and_company_do_not_change_attention(model, curves, batch_size):
    expected = attention(model, curves)
    found = attention(model, curves, batch_size=batch_size)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.weight, other.weight, **CLOSE)
    (alone,) = attention(model, curves[3], batch_size=batch_size)
    np.testing.assert_allclose(alone.weight, expected[3].weight, **CLOSE)


def test_chunks_do_not_change_attention(model, curves, monkeypatch):
    expected = attention(model, curves)
    monkeypatch.setattr(attention_weights, "OBSERVATIONS_PER_CHUNK", 30)
    calls = []
    found = attention(model, curves, progress=lambda *state: calls.append(state))
    assert len(calls) > 1
    assert calls[-1] == ("attention", len(curves), len(curves), "light curves")
    for one, other in zip(found, expected, strict=True):
        assert one.light_curve == other.light_curve
        np.testing.assert_allclose(one.weight, other.weight, **CLOSE)


def test_attention_of_records_and_of_the_encoder_is_the_same(model, curves, records):
    expected = attention(model, curves)
    found = attention(model.encoder, records, passband="R")
    assert [one.light_curve.passband for one in found] == ["R"] * 5
    for one, other in zip(found, expected[::2], strict=True):
        np.testing.assert_allclose(one.weight, other.weight, **CLOSE)


def test_attention_of_a_classifier_is_that_of_its_encoder(model, curves):
    config = ClassifierConfig(class_names=("a", "b"), head="mean")
    classifier = ClassifierNetwork(model.config, config, seed=1)
    expected = attention(classifier.encoder, curves[:2])
    for one, other in zip(attention(classifier, curves[:2]), expected, strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)


def test_normalization_of_the_model_is_used(curve_model, model, curves):
    several = [curve for curve in curves if len(curve) > W]
    for one, other in zip(
        attention(curve_model, several), attention(model, several), strict=True
    ):
        assert np.abs(one.weight - other.weight).max() > 1e-4


def test_unreadable_files_are_left_out_where_that_is_allowed(model, curves, tmp_path):
    curve = curves[0]
    rows = zip(curve.time, curve.mag, curve.mag_err, strict=True)
    lines = [f"star,{t!r},{m!r},{e!r}" for t, m, e in ((*map(float, r),) for r in rows)]
    text = "\n".join(["object_id,time,mag,mag_err", *lines])
    (tmp_path / "good.csv").write_text(text)
    (tmp_path / "bad.csv").write_text("object_id,time\nstar,1\n")
    with pytest.raises(SurveyError, match=r"bad\.csv"):
        attention(model, tmp_path, survey="table")
    (found,) = attention(model, tmp_path, survey="table", max_unreadable=0.5)
    assert len(found.light_curve) == len(curve)


def test_attention_leaves_the_model_as_it_was(own_model, curves):
    before = embed(own_model, curves).embedding
    paths = [weight.path for weight in own_model.weights]
    attention(own_model, curves)
    assert [weight.path for weight in own_model.weights] == paths
    np.testing.assert_array_equal(embed(own_model, curves).embedding, before)


def test_attention_follows_the_weights(own_model, curves):
    before = attention(own_model, curves[0])[0].weight
    kernel = own_model.encoder.blocks[0].attention.query.kernel
    kernel.assign(3 * kernel.numpy())
    after = attention(own_model, curves[0])[0].weight
    assert np.abs(after - before).max() > 1e-3
    expected = window_by_hand(own_model.encoder, curves[0], slice(0, W))
    np.testing.assert_allclose(after[..., :W], expected, **CLOSE)


def test_released_mask_leaves_a_share_to_padding(curves):
    config = EncoderConfig(
        num_layers=1,
        num_heads=2,
        head_dim=4,
        hidden_dim=8,
        intermediate_dim=8,
        window_size=W,
        attention_mask="released_astromer1",
    )
    short = curves[5]
    assert len(short) == 3
    (found,) = attention(Reconstructor(config, seed=1), short)
    sums = found.weight.sum(axis=-1)
    assert ((sums > 0) & (sums < 0.9)).all()


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_attention_is_float32_in_mixed_precision(model, curves, dtype):
    half = Reconstructor(model.config, seed=1, dtype=dtype)
    half.set_weights(model.get_weights())
    for one, other in zip(
        attention(half, curves), attention(model, curves), strict=True
    ):
        assert one.weight.dtype == np.float32
        np.testing.assert_allclose(one.weight, other.weight, atol=0.02)


def test_attention_of_one_observation_is_one():
    config = EncoderConfig(num_layers=1, num_heads=1, head_dim=2, hidden_dim=2)
    (found,) = attention(
        Reconstructor(config, seed=0), LightCurve([5.0], [15.0], [0.1])
    )
    assert found.weight.shape == (1, 1, 1)
    np.testing.assert_allclose(found.weight, 1.0, rtol=1e-6)


def test_attention_refuses_an_empty_batch_and_an_empty_source(model, curves):
    with pytest.raises(ConfigError, match="Received: batch_size=0"):
        attention(model, curves, batch_size=0)
    with pytest.raises(ConfigError, match="Received: none"):
        attention(model, [])
