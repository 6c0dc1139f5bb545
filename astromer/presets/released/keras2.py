"""Keras 2 weights files (`weights.h5`) to arrays, with h5py alone.

HDF5 files of that age carry no checksum of their numbers: what can be noticed is a
missing or truncated part, not a changed digit. Links out of the file are not followed,
and only plain, uncompressed data are read.
"""

from __future__ import annotations

import io
from typing import Any, Final, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from astromer.errors import PresetError

__all__ = ["HDF5_MAGIC", "read_keras2_weights"]

HDF5_MAGIC: Final = b"\x89HDF\r\n\x1a\n"

_DAMAGE: Final = (
    AttributeError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What h5py raises on files that are damaged or something else."""


def read_keras2_weights(data: bytes, name: str) -> dict[str, NDArray[np.generic]]:
    """Read all weights of a file that Keras 2 wrote with ``save_weights``.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        Its name, for messages.

    Returns
    -------
    tensors : dict of numpy.ndarray
        By name, e.g. ``"encoder/dense/kernel:0"``, in the order of the model's layers.

    Raises
    ------
    PresetError
        If the file is damaged, not of this kind, or holds weights elsewhere.
    """
    if not data.startswith(HDF5_MAGIC):
        _refuse(name, "which is not an HDF5 file")
    tensors: dict[str, NDArray[np.generic]] = {}
    num_bytes = 0
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            if "layer_names" not in file.attrs:
                _refuse(name, "which lists no layers")
            for layer in _texts(file.attrs["layer_names"]):
                group = _descend(file, layer)
                for weight in _texts(group.attrs["weight_names"]):
                    if weight in tensors:
                        raise ValueError(f"{weight} twice")
                    tensors[weight] = _read(_descend(group, weight), weight)
                    num_bytes += tensors[weight].nbytes
                    if num_bytes > len(data):
                        raise ValueError(f"{weight} shares its bytes with others")
    except PresetError:
        raise  # a KeyError to whoever reads on
    except _DAMAGE as error:
        _refuse(name, f"damaged or incomplete: {error}")
    return tensors


def _texts(values: Any) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _descend(group: Any, path: str) -> Any:
    """Return what lies under a path, if every step of it is in this file."""
    for part in path.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path} is missing or a link")  # noqa: TRY004
        group = group[part]
    return group


def _read(dataset: Any, weight: str) -> NDArray[np.generic]:
    # External and virtual data are stored elsewhere, compressed ones may be a bomb,
    # and what was never written reads as zeros.
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{weight} is in another file")
    if dataset.id.get_storage_size() != dataset.nbytes:
        raise ValueError(f"{weight} is not stored whole and uncompressed")
    values: NDArray[np.generic] = dataset[()]
    return values


def _refuse(name: str, what: str) -> NoReturn:
    raise PresetError(
        "`weights.h5` must be a file that Keras 2 wrote with `save_weights`. "
        f"Received: path={name}, {what}. Download or copy it again."
    )
