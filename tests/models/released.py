"""Weights of the reference arrays put into our models, by role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from astromer.models.reconstructor import Reconstructor

_BLOCK_ROLES = {
    "query": "attention.query",
    "key": "attention.key",
    "value": "attention.value",
    "attention_output": "attention.output_projection",
    "ffn_hidden": "intermediate",
    "ffn_output": "output_projection",
    "residual_1": "attention_residual",
    "residual_2": "output_residual",
    "layernorm_1": "attention_norm",
    "layernorm_2": "output_norm",
}


def set_weights(model: Reconstructor, weights: Mapping[str, np.ndarray]) -> None:
    """Assign every array to the variable of its role; every variable must be met."""
    assigned = 0
    for role, value in weights.items():
        variable = variable_of(model, role)
        if variable is not None:
            variable.assign(value.reshape(variable.shape))
            assigned += 1
    assert assigned == len(model.trainable_variables)


def variable_of(model: Reconstructor, role: str) -> Any:
    """Return the variable of a role; see the reference weights' names."""
    if role == "mask_token":
        return model.encoder.get_layer("visible_magnitude").token
    owner, *parts, name = role.split("/")
    if owner == "input_projection":
        layer = model.encoder.get_layer("magnitude_embedding")
    elif owner == "regression":
        layer = model.get_layer(
            "head_norm" if parts[0] == "layernorm" else "head_dense"
        )
    else:
        layer = model.encoder.get_layer(owner)
        for attribute in _BLOCK_ROLES[parts[0]].split("."):
            layer = getattr(layer, attribute)
    return getattr(layer, name)
