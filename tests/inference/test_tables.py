import csv
import dataclasses
import errno
import weakref

import numpy as np
import pandas as pd
import polars as pl
import pytest

from astromer.errors import ConfigError
from astromer.inference.tables import Table, check_result, write_parts, write_table


@pytest.fixture
def columns(rng):
    return {
        "object_id": np.array(["1.3444.614", "007", "", 'a,"b"']),
        "time": 59_000.0 + rng.uniform(0, 1, 4),
        "label": np.array([-1, 0, 3, 2**40]),
        "embedding": (10.0 ** rng.uniform(-20, 20, (4, 3))).astype(np.float32),
    }


def test_parquet_gives_back_every_bit(tmp_path, columns):
    path = write_table(tmp_path / "table.parquet", columns)
    frame = pl.read_parquet(path)
    assert frame.columns == list(columns)
    assert frame.schema["embedding"] == pl.Array(pl.Float32, 3)
    assert frame.schema["label"] == pl.Int64
    for name, values in columns.items():
        np.testing.assert_array_equal(frame[name].to_numpy(), values)
    stacked = np.stack(pd.read_parquet(path)["embedding"].to_numpy())
    np.testing.assert_array_equal(stacked, columns["embedding"])


def test_csv_gives_back_every_bit(tmp_path, columns):
    path = write_table(tmp_path / "table.csv", columns)
    with open(path, newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head == ["object_id", "time", "label", *(f"embedding_{c}" for c in range(3))]
    ids, times, labels, *channels = zip(*rows, strict=True)
    assert list(ids) == columns["object_id"].tolist()
    assert [float(time) for time in times] == columns["time"].tolist()
    assert [int(label) for label in labels] == columns["label"].tolist()
    found = np.array(channels).T.astype(np.float32)
    np.testing.assert_array_equal(found, columns["embedding"])


def test_npz_gives_back_every_bit_without_pickle(tmp_path, columns):
    path = write_table(tmp_path / "table.npz", columns)
    assert path.name == "table.npz"
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == sorted(columns)
        for name, values in columns.items():
            assert arrays[name].dtype == values.dtype
            np.testing.assert_array_equal(arrays[name], values)


def test_folder_of_a_table_is_made(tmp_path, columns):
    path = write_table(str(tmp_path / "new" / "folder" / "table.csv"), columns)
    assert path.is_file()


@pytest.mark.parametrize("name", ["table.txt", "table", "table.parquet.gz", "t.CSV"])
def test_other_suffix_is_refused_before_anything_is_written(tmp_path, columns, name):
    message = rf"ends in \.parquet, \.csv, \.npz\. Received: path=.*{name}"
    with pytest.raises(ConfigError, match=message):
        write_table(tmp_path / "new" / name, columns)
    with pytest.raises(ConfigError, match=message):
        check_result(tmp_path / name)
    assert not (tmp_path / "new").exists()


@dataclasses.dataclass(frozen=True, eq=False)
class Rows(Table):
    object_id: np.ndarray
    time: np.ndarray
    label: np.ndarray
    embedding: np.ndarray


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_parts_are_written_as_one_table(tmp_path, columns, suffix):
    whole = write_table(tmp_path / f"whole{suffix}", columns)
    cut = [Rows(**{n: v[part] for n, v in columns.items()}) for part in
           (slice(1), slice(1, 3), slice(3, 4))]  # fmt: skip
    path = tmp_path / "new" / f"parts{suffix}"
    assert write_parts(path, iter(cut)) == 4
    if suffix == ".parquet":
        assert pl.read_parquet(path).equals(pl.read_parquet(whole))
    elif suffix == ".csv":
        assert path.read_bytes() == whole.read_bytes()
    else:
        with np.load(path) as found, np.load(whole) as expected:
            assert list(found) == list(expected)
            for name in found:
                np.testing.assert_array_equal(found[name], expected[name])
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_interrupted_parts_leave_what_was_there(tmp_path, columns, suffix):
    path = tmp_path / f"parts{suffix}"
    path.write_text("before")

    def parts():
        yield Rows(**columns)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_parts(path, parts())
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_parts_are_not_held_together(tmp_path, columns):
    alive = weakref.WeakSet()

    def parts():
        for _ in range(5):
            assert len(alive) <= 1
            part = Rows(**columns)
            alive.add(part)
            yield part
            del part

    assert write_parts(tmp_path / "parts.parquet", parts()) == 20


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_table_that_cannot_be_written_leaves_what_was_there(tmp_path, columns, suffix):
    path = write_table(tmp_path / f"table{suffix}", columns)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r"."):
        write_table(path, {"time": columns["time"], "wrong": np.array([{}, [], "", 1])})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_place_that_takes_no_file_is_refused_before_the_work(tmp_path, suffix):
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    file = tmp_path / "file"
    file.write_text("")

    def parts():
        raise AssertionError("worked before it looked")
        yield

    for path, message in (
        (folder, "which is a folder. Name a file in it"),
        (file / f"x{suffix}", "but .*file is no folder. Name another place"),
    ):
        with pytest.raises(ConfigError, match=message):
            write_parts(path, parts())


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_full_disk_is_named_with_the_file(tmp_path, columns, suffix, monkeypatch):
    def fill(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill_in_rust(*args, **kwargs):
        raise pl.exceptions.ComputeError("No space left on device (os error 28)")

    monkeypatch.setattr(np, "savez", fill)
    monkeypatch.setattr(pl.DataFrame, "write_csv", fill_in_rust)
    monkeypatch.setattr(pl.DataFrame, "write_parquet", fill_in_rust)
    with pytest.raises(ConfigError, match=rf"quota is full.*out{suffix}, which is not"):
        write_table(tmp_path / f"out{suffix}", columns)
    assert not list(tmp_path.iterdir())
