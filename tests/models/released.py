"""Weights of the reference arrays put into our models, by role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from astromer.models.reconstructor import Reconstructor
from astromer.presets.released.translate import variables_of


def set_weights(model: Reconstructor, weights: Mapping[str, np.ndarray]) -> None:
    """Assign to every variable the array of its role."""
    for role, variable in variables_of(model).items():
        variable.assign(weights[role].reshape(variable.shape))


def variable_of(model: Reconstructor, role: str) -> Any:
    """Return the variable of a role; None if the model has none."""
    return variables_of(model).get(role)
