"""Weights files, read several times as fast as Keras reads them.

Keras looks at every attribute of every object of a model. Where a file holds what the
model's layers are expected to hold, they are filled from it directly.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras.src.utils.naming import to_snake_case
from numpy.typing import NDArray

__all__ = ["load_weights"]

_VARIABLES = "vars"
"""Group in which Keras stores the variables of one layer, by their number."""


def load_weights(model: keras.Model, path: Path) -> None:
    """Load what `save_weights` wrote for a model of the same configuration.

    Parameters
    ----------
    model : keras.Model
        Functional, of functional models and layers.
    path : pathlib.Path
        A ``.weights.h5`` file.

    Raises
    ------
    ValueError, OSError, KeyError
        As Keras raises them, who reads whatever is not as expected.
    """
    if not _fill(model, _read(path)):
        model.load_weights(path)


def _fill(
    model: keras.Model, stored: dict[str, dict[str, NDArray[np.generic]]]
) -> bool:
    """Fill all layers of a model, or return False."""
    layers = dict(_find_layers(model, "", set()))
    number = sum(map(len, stored.values()))
    if number != len(model.weights) or not stored.keys() <= layers.keys():
        return False
    try:
        for place, variables in stored.items():
            layers[place].load_own_variables(variables)
    except ValueError:
        return False
    return True


def _read(path: Path) -> dict[str, dict[str, NDArray[np.generic]]]:
    """Return the variables by their layer's place in the file and their number."""
    found: dict[str, dict[str, NDArray[np.generic]]] = {}

    def note(name: str, item: Any) -> None:
        # An earlier version wrote the optimizer's moments, too.
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            place, _, number = name.rpartition(f"{_VARIABLES}/")
            found.setdefault(place, {})[number] = item[()]

    with h5py.File(path) as file:
        file.visititems(note)
    return found


def _find_layers(
    layer: keras.Layer, place: str, seen: set[int]
) -> Iterator[tuple[str, keras.Layer]]:
    """Yield a layer and all within it, each with its place in the file."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield place, layer
    if isinstance(layer, keras.Model):
        numbers: dict[str, int] = {}
        for child in layer.layers:
            name = to_snake_case(type(child).__name__)
            number = numbers[name] = numbers.get(name, -1) + 1
            yield from _find_layers(
                child, f"{place}layers/{name}{f'_{number}' if number else ''}/", seen
            )
        return
    # As Keras has it: a layer under two names is stored under the first, public ones
    # before private ones.
    for name in sorted(vars(layer), key=lambda name: (name.startswith("_"), name)):
        child = getattr(layer, name)
        if isinstance(child, keras.Layer):
            yield from _find_layers(child, f"{place}{name}/", seen)
