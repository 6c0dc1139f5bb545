"""The model once more, in float64 numpy, from the paper's equations alone."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def sinusoidal_encoding(time: Array, dim: int, time_base: float) -> Array:
    """Eqs. 1 and 2, with the exponent 2 j / d for every channel j."""
    encoded = np.empty((*time.shape, dim))
    for j in range(dim):
        angle = time.astype(np.float64) * time_base ** (-2.0 * j / dim)
        encoded[..., j] = np.sin(angle) if j % 2 == 0 else np.cos(angle)
    return encoded


def attention(layer: Any, x: Array, bias: Array) -> tuple[Array, Array]:
    """Eq. 3, head by head; returns outputs and weights."""
    query, key, value = (_dense(d, x) for d in (layer.query, layer.key, layer.value))
    outputs, weights = [], []
    for head in range(layer.num_heads):
        part = slice(head * layer.head_dim, (head + 1) * layer.head_dim)
        logits = query[..., part] @ np.swapaxes(key[..., part], 1, 2)
        logits = logits / np.sqrt(layer.head_dim) + bias[:, 0]
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        weights.append(exponentials / exponentials.sum(axis=-1, keepdims=True))
        outputs.append(weights[-1] @ value[..., part])
    mixed = np.concatenate(outputs, axis=-1)
    return _dense(layer.output_projection, mixed), np.stack(weights, axis=1)


def block(layer: Any, x: Array, bias: Array) -> Array:
    """One block in inference, with any of the three paths around, and either norm."""
    around = {
        "none": (lambda _: 0.0, lambda _: 0.0),
        "identity": (lambda x: x, lambda h: h),
        "dense": (
            lambda x: _dense(layer.attention_residual, x),
            lambda h: _dense(layer.output_residual, h),
        ),
    }[layer.residual]
    norms = [
        lambda x: layer_norm(layer.attention_norm, x),
        lambda h: layer_norm(layer.output_norm, h),
    ]
    keep = [lambda x: x] * 2
    before, after = (norms, keep) if layer.norm == "before" else (keep, norms)
    attended = attention(layer.attention, before[0](x), bias)[0]
    h = after[0](around[0](x) + attended)
    hidden = np.tanh(_dense(layer.intermediate, before[1](h), linear=True))
    return after[1](around[1](h) + _dense(layer.output_projection, hidden))


def layer_norm(layer: Any, x: Array) -> Array:
    centered = x - x.mean(axis=-1, keepdims=True)
    variance = (centered**2).mean(axis=-1, keepdims=True)
    scale, shift = _value(layer.gamma), _value(layer.beta)
    return scale * centered / np.sqrt(variance + 1e-6) + shift


def reconstruct(model: Any, inputs: dict[str, Array]) -> list[Array]:
    """Input embedding, every block's output, and the reconstruction."""
    config, encoder = model.config, model.encoder
    valid, hidden = inputs["valid"], inputs["hidden"]
    token = _value(encoder.get_layer("visible_magnitude").token)
    mag = np.where(hidden, token, np.where(valid, inputs["mag"], 0.0))[..., None]
    x = _dense(encoder.get_layer("magnitude_embedding"), mag)
    x = x + sinusoidal_encoding(inputs["time"], config.input_dim, config.time_base)
    bias = np.where(valid & ~hidden, 0.0, -1e9)[:, None, None, :]
    outputs = [x]
    for layer in encoder.blocks:
        outputs.append(block(layer, outputs[-1], bias))
    last = layer_norm(model.get_layer("head_norm"), outputs[-1])
    return [*outputs, _dense(model.get_layer("head_dense"), last)[..., 0]]


def _dense(layer: Any, x: Array, *, linear: bool = False) -> Array:
    assert linear or layer.activation.__name__ == "linear"
    return x @ _value(layer.kernel) + _value(layer.bias)


def _value(variable: Any) -> Array:
    return np.asarray(variable).astype(np.float64)
