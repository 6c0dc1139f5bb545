import csv

import numpy as np
import pandas as pd
import polars as pl
import pytest

from astromer.errors import ConfigError
from astromer.inference.tables import check_suffix, write_table


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
        check_suffix(tmp_path / name)
    assert not (tmp_path / "new").exists()
