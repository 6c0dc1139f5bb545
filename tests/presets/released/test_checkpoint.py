"""The reader against TensorFlow's: the same tensors, or a refusal."""

import re
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import PresetError
from astromer.presets.released import checkpoint
from astromer.presets.released.checkpoint import read_checkpoint
from tests.presets.released.checkpoints import (
    block,
    by_hand,
    entry,
    field,
    floats,
    header,
    read_files,
    table,
    write_checkpoint,
)

DTYPES = (
    *("float16", "float32", "float64", "complex64", "complex128", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)


def assert_same_as_tensorflow(folder, prefix, left_out=()):
    found = read_checkpoint(read_files(folder), prefix)
    reader = tf.train.load_checkpoint(str(folder / prefix))
    assert set(found) == set(reader.get_variable_to_shape_map()) - set(left_out)
    for key, values in found.items():
        expected = reader.get_tensor(key)
        np.testing.assert_array_equal(values, expected, err_msg=key, strict=True)
    return found


@pytest.mark.parametrize("num_shards", [1, 2, 5])
def test_tensors_are_those_that_tensorflow_reads(tmp_path, rng, num_shards):
    tensors = {
        f"{dtype}/{shape}": rng.uniform(0, 90, shape).astype(dtype)
        for dtype in DTYPES
        for shape in [(), (7,), (3, 0), (2, 3, 4)]
    }
    write_checkpoint(tmp_path / "w", tensors, num_shards)
    assert len(read_files(tmp_path)) == 1 + num_shards
    found = assert_same_as_tensorflow(tmp_path, "w")
    for key, values in tensors.items():
        np.testing.assert_array_equal(found[key], values, strict=True)
        assert not found[key].flags.writeable


def test_index_of_many_blocks_is_read(tmp_path, rng):
    # TensorFlow begins a block after 256 kB.
    keys = ["".join(map(chr, rng.integers(97, 123, 400))) for _ in range(2_000)]
    tensors = {key: np.float32(number) for number, key in enumerate(keys)}
    write_checkpoint(tmp_path / "w", tensors)
    assert len((tmp_path / "w.index").read_bytes()) > 2.5 * 2**18
    assert_same_as_tensorflow(tmp_path, "w")


def test_objects_are_read_and_their_graph_is_left_out(tmp_path):
    objects = tf.train.Checkpoint(
        step=tf.Variable(3), layers=[tf.Variable([1.0, 2.0]), tf.Variable([[4.0]])]
    )
    objects.write(str(tmp_path / "w"))
    found = assert_same_as_tensorflow(tmp_path, "w", ["_CHECKPOINTABLE_OBJECT_GRAPH"])
    assert found["step/.ATTRIBUTES/VARIABLE_VALUE"] == 3
    # With a counter of its own.
    objects.save(str(tmp_path / "v"))
    assert_same_as_tensorflow(tmp_path, "v-1", ["_CHECKPOINTABLE_OBJECT_GRAPH"])


@pytest.mark.parametrize("folder", ["macho_a0", "random"])
def test_published_layouts_are_read_as_tensorflow_reads_them(shared, tmp_path, folder):
    source = shared / "reference" / "released_layout_astromer2_random"
    if folder == "macho_a0":
        with zipfile.ZipFile(shared / "reference" / "macho_a0.zip") as archive:
            archive.extractall(tmp_path)
        source = tmp_path / "macho"
    assert_same_as_tensorflow(source, "weights", ["_CHECKPOINTABLE_OBJECT_GRAPH"])


# --- Damage


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint of an object graph and three small tensors, in two shards."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tensors = {
        "_CHECKPOINTABLE_OBJECT_GRAPH": np.array(b"a graph"),
        "b/OBJECT_CONFIG_JSON": np.array([b"{}", b""]),
        "c": np.arange(3, dtype=np.float32),
        "d/kernel": np.arange(8, dtype=np.int64).reshape(2, 4),
    }
    write_checkpoint(folder / "w", tensors, 2)
    return read_files(folder)


def test_whole_checkpoint_is_read(files):
    assert sorted(read_checkpoint(files, "w")) == ["c", "d/kernel"]


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_any_flipped_bit_is_refused(files, bit):
    for name, content in files.items():
        for position in range(len(content)):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            with pytest.raises(PresetError, match="Received: path="):
                read_checkpoint({**files, name: bytes(damaged)}, "w")


def test_any_truncation_is_refused(files):
    for name, content in files.items():
        for length in range(len(content)):
            with pytest.raises(PresetError, match="Received: path="):
                read_checkpoint({**files, name: content[:length]}, "w")


@pytest.mark.parametrize("shift", [-4, 4, 512])
def test_shifted_index_is_refused(files, shift):
    index = files["w.index"]
    moved = index[-shift:] if shift < 0 else bytes(shift) + index
    with pytest.raises(PresetError, match="damaged or incomplete"):
        read_checkpoint({**files, "w.index": moved}, "w")


def test_missing_shard_is_named(files):
    whole = dict(files)
    del whole["w.data-00001-of-00002"]
    message = (
        r"missing: w\.data-00001-of-00002\. Received: path=w\.index, which needs 2, "
        r"beside w\.data-00000-of-00002"
    )
    with pytest.raises(PresetError, match=message):
        read_checkpoint(whole, "w")


def test_shard_of_another_checkpoint_is_refused(files):
    swapped = {
        "w.index": files["w.index"],
        "w.data-00000-of-00002": files["w.data-00001-of-00002"],
        "w.data-00001-of-00002": files["w.data-00000-of-00002"],
    }
    with pytest.raises(PresetError, match=r"path=w\.data-0000\d-of-00002"):
        read_checkpoint(swapped, "w")


# --- What is no such checkpoint


def test_table_by_hand_is_read():
    content = floats(1.0, -2.0)
    found = read_checkpoint(by_hand({"x": entry(content, (2, 1))}, content), "w")
    np.testing.assert_array_equal(found["x"], [[1.0], [-2.0]])


def test_snappy_is_named():
    files = by_hand({}, b"")
    files["w.index"] = table([(b"", header())], compression=1)
    with pytest.raises(PresetError, match=r"Compressed .*Received: path=w.*snappy"):
        read_checkpoint(files, "w")


X = floats(1.0, 2.0)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"x": entry(X, (3,))}, r"x of shape (3,), but 8 bytes"),
        ({"x": entry(X, (2,), f6=0)}, "the checksum of x is wrong"),
        ({"x": entry(X, (2,), f4=1)}, "8 bytes, but x ends at byte 9"),
        ({"x": entry(X, (2,), f3=1)}, "x in shard 1 of 1"),
        (
            {"x": entry(X, (2,)), "y": entry(X[4:], (1,), f4=4)},
            "y begins within another tensor",
        ),
        ({"x": b"\x12\xff"}, "an entry b'x' that describes no tensor"),
        ({"x": field(1, b"text")}, "field 1 is no integer"),
        ({"x": entry(X, (4,), dtype=14)}, "of TensorFlow's type 14"),
        ({"x": entry(X, (2,), f7=b"")}, "A tensor is partitioned"),
        ({"x/.ATTRIBUTES/VARIABLE_VALUE": entry(X, dtype=7)}, "TensorFlow's type 7"),
        ({"_CHECKPOINTABLE_OBJECT_GRAPH": entry(b"", (9,), dtype=7)}, "checksum of _C"),
        ({"y": entry(X, (2,)), "x": entry(X, (2,))}, "keys are not in order"),
        ({"x": entry(X, (2,), f5=1 << 62, f4=1 << 62)}, "x ends at byte"),
    ],
)
def test_entry_that_cannot_be_is_refused(entries, message):
    with pytest.raises(PresetError, match=re.escape(message)):
        read_checkpoint(by_hand(entries, X), "w")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (header(f2=1), "Little-endian .* byte order 1"),
        (header(f3=field(2, 2)), "version=2"),
        (header(f3=5), "a header that is none"),
        (header(num_shards=3), "missing: w.data-00000-of-00003"),
        (b"\xff", "a header that is none"),
        (field(1, b"2"), "field 1 is no integer"),
    ],
)
def test_header_that_cannot_be_is_refused(head, message):
    with pytest.raises(PresetError, match=message):
        read_checkpoint(by_hand({}, b"", head), "w")


def test_table_of_something_else_is_refused():
    files = {"w.index": table([(b"key", b"value")])}
    with pytest.raises(PresetError, match="without a checkpoint's header"):
        read_checkpoint(files, "w")


def test_table_with_bytes_that_no_block_holds_is_refused():
    files = by_hand({"x": entry(X, (2,))}, X)
    index = files["w.index"]
    files["w.index"] = index[:-48] + block([]) + index[-48:]
    with pytest.raises(PresetError, match="blocks end at byte"):
        read_checkpoint(files, "w")


def test_keys_that_unfold_to_much_are_refused(monkeypatch):
    files = by_hand({"x": entry(X, (2,)), "y" * 500: entry(b"", (0,))}, X)
    assert len(read_checkpoint(files, "w")) == 2
    monkeypatch.setattr(checkpoint, "_MAX_UNFOLDED", 500)
    with pytest.raises(PresetError, match="more than 500 bytes of keys"):
        read_checkpoint(files, "w")


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"x" * 100])
def test_file_that_is_no_table_is_refused(content):
    with pytest.raises(PresetError, match="ends with the mark of a LevelDB table"):
        read_checkpoint({"w.index": content}, "w")


def test_partitioned_tensor_is_refused(tmp_path):
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "w"),
        tensor_names=["x"],
        shape_and_slices=["4 2 0,2:-"],
        tensors=[tf.zeros((2, 2))],
    )
    with pytest.raises(PresetError, match=r"A tensor is partitioned.*tensor=x"):
        read_checkpoint(read_files(tmp_path), "w")


def test_bfloat16_is_refused(tmp_path):
    write_checkpoint(tmp_path / "w", {"x": tf.zeros(2, tf.bfloat16)})
    with pytest.raises(PresetError, match=r"type 14, .*Received: path=w\.data.*x\."):
        read_checkpoint(read_files(tmp_path), "w")
