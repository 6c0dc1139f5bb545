"""Keras 2 weights files, written by h5py as that Keras wrote them, and damaged."""

import io
import re
import zipfile

import h5py
import numpy as np
import pytest

from astromer.errors import PresetError
from astromer.presets.released.keras2 import read_keras2_weights


def write(layers, change=None):
    """Return a file: each layer a group with its weights' names, in order."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        file.attrs["backend"] = b"tensorflow"
        for layer, weights in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name, values in weights.items():
                group[name] = values
        if change is not None:
            change(file)
    return stream.getvalue()


@pytest.fixture
def layers(rng):
    return {
        "input": {},
        "encoder": {
            "encoder/dense/kernel:0": rng.normal(size=(1, 3)).astype(np.float32),
            "dense_1/bias:0": rng.normal(size=3).astype(np.float32),
        },
        "regression": {"regression/RegLayer/bias:0": np.zeros(1, np.float32)},
    }


def test_weights_are_read_by_name_in_order(layers):
    found = read_keras2_weights(write(layers), "weights.h5")
    expected = {k: v for weights in layers.values() for k, v in weights.items()}
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, strict=True)


def test_published_file_is_read(shared):
    with zipfile.ZipFile(shared / "reference" / "atlas_a0.zip") as archive:
        found = read_keras2_weights(archive.read("atlas/weights.h5"), "atlas")
    assert len(found) == 38
    assert sum(values.size for values in found.values()) == 661_505
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["encoder/dense/kernel:0"].shape == (1, 256)


def test_any_truncation_is_refused(layers):
    content = write(layers)
    for length in [*range(0, len(content), 97), len(content) - 1]:
        with pytest.raises(PresetError, match=r"Received: path=weights\.h5"):
            read_keras2_weights(content[:length], "weights.h5")


NAME = "encoder/encoder/dense/kernel:0"


def replace(file, make):
    del file[NAME]
    make(file["encoder/encoder/dense"])


def soft_link(group):
    group["kernel:0"] = h5py.SoftLink("/encoder/dense_1/bias:0")


def external_link(group):
    group["kernel:0"] = h5py.ExternalLink("other.h5", "/x")


def external_data(group):
    group.create_dataset(
        "kernel:0", (1, 3), "<f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


def virtual_data(group):
    layout = h5py.VirtualLayout((1, 3), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (1, 3))
    group.create_virtual_dataset("kernel:0", layout)


def bomb(group):
    group.create_dataset(
        "kernel:0", (1 << 15, 1 << 15), "<f4", chunks=(256, 256), compression="gzip"
    )


def never_written(group):
    group.create_dataset("kernel:0", (1, 3), "<f4")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (soft_link, "is missing or a link"),
        (external_link, "is missing or a link"),
        (external_data, "is in another file"),
        (virtual_data, "is in another file"),
        (bomb, "not stored whole and uncompressed"),
        (never_written, "not stored whole and uncompressed"),
        (lambda group: None, "is missing or a link"),
    ],
)
def test_weights_that_are_elsewhere_are_refused(layers, make, reason):
    content = write(layers, lambda file: replace(file, make))
    with pytest.raises(PresetError, match=f"damaged or incomplete: .*{reason}"):
        read_keras2_weights(content, "weights.h5")


def test_weights_that_share_their_bytes_are_refused(layers):
    def link(file):
        names = [f"again{number}" for number in range(2_000)]
        for name in names:
            file[f"encoder/{name}"] = file[NAME]
        file["encoder"].attrs["weight_names"] = [name.encode() for name in names]

    layers["encoder"]["encoder/dense/kernel:0"] = np.zeros((100, 10_000), np.float32)
    content = write(layers, link)
    with pytest.raises(PresetError, match=r"again1 shares its bytes with others"):
        read_keras2_weights(content, "weights.h5")


def drop_names(file):
    del file["encoder"].attrs["weight_names"]


def drop_layer(file):
    del file["encoder"]


def repeat(file):
    file.attrs["layer_names"] = [b"encoder", b"encoder"]


def no_layers(file):
    del file.attrs["layer_names"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop_names, "weight_names"),
        (drop_layer, "encoder is missing or a link"),
        (repeat, "encoder/dense/kernel:0 twice"),
        (no_layers, "which lists no layers"),
    ],
)
def test_file_of_another_kind_is_refused(layers, change, reason):
    content = write(layers, change)
    with pytest.raises(PresetError, match=rf"path=weights\.h5, .*{re.escape(reason)}"):
        read_keras2_weights(content, "weights.h5")


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"PK\x03\x04"])
def test_file_that_is_no_hdf5_is_refused(content):
    with pytest.raises(PresetError, match="which is not an HDF5 file"):
        read_keras2_weights(content, "weights.h5")
