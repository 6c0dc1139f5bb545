import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from astromer.errors import ConfigError, RecordError
from astromer.pipeline.curves import CurveArrays, collect_light_curves
from astromer.records import Manifest, read_records
from astromer.records.schema import iterate_frames, write_frame

FRAME = pd.DataFrame({"time": [1.0], "mag": [15.0], "mag_err": [0.1]})


def assert_holds(arrays, curves):
    assert len(arrays) == len(curves)
    assert arrays.time.dtype == np.float64
    assert arrays.mag.dtype == arrays.mag_err.dtype == np.float32
    for name in ("time", "mag", "mag_err"):
        whole = np.concatenate([getattr(curve, name) for curve in curves])
        np.testing.assert_array_equal(getattr(arrays, name), whole)
    for row, curve in enumerate(curves):
        assert arrays.time[arrays.first[row]] == curve.time[0]
        assert arrays.length[row] == len(curve)
        assert arrays.label[row] == curve.label
        assert arrays.object_id[row] == curve.object_id


def test_light_curves_lie_one_after_the_other(curves):
    assert_holds(CurveArrays.from_light_curves(curves), curves)


@pytest.mark.parametrize("split", [None, "train", "test"])
def test_records_are_read_as_written(records, split):
    arrays = CurveArrays.load(str(records), split)
    assert_holds(arrays, list(read_records(records, split)))


@pytest.mark.parametrize("kind", ["list", "generator", "one", "frame"])
def test_what_is_in_memory_is_a_source(curves, kind):
    source = {
        "list": curves,
        "generator": iter(curves),
        "one": curves[3],
        "frame": curves[3].to_pandas(),
    }[kind]
    expected = curves if kind in ("list", "generator") else [curves[3]]
    if kind == "frame":
        expected = [dataclasses.replace(curves[3], label=-1)]
    assert_holds(CurveArrays.load(source), expected)


def test_means_are_those_of_whole_light_curves(curves):
    arrays = CurveArrays.from_light_curves(curves)
    mean_time, mean_mag = arrays.means
    assert mean_time.dtype == mean_mag.dtype == np.float64
    expected = [curve.time.mean() for curve in curves]
    np.testing.assert_allclose(mean_time, expected, rtol=1e-14)
    expected = [curve.mag.astype(np.float64).mean() for curve in curves]
    np.testing.assert_allclose(mean_mag, expected, rtol=1e-14)


def test_no_light_curves_have_no_means():
    arrays = CurveArrays.from_light_curves([])
    assert len(arrays) == 0
    assert [mean.shape for mean in arrays.means] == [(0,), (0,)]


def test_class_names_alone_are_numbered_in_alphabetical_order(make_light_curve):
    names = ["RRab", None, "EC", "RRab"]
    curves = [make_light_curve(5, seed=i, class_name=n) for i, n in enumerate(names)]
    assert [c.label for c in collect_light_curves(curves)] == [1, -1, 0, 1]
    assert CurveArrays.load(curves).label.tolist() == [1, -1, 0, 1]


@pytest.fixture
def copied(tmp_path, records):
    folder = tmp_path / "records"
    shutil.copytree(records, folder)
    return folder


def test_shard_that_ends_between_two_records_is_noticed(copied):
    # Every checksum is right; the light curve is missing all the same.
    shard = Manifest.load(copied).shard_paths()[1]
    kept = list(iterate_frames(shard))[:-1]
    with open(shard, "wb") as stream:
        for record in kept:
            write_frame(stream, record)
    with pytest.raises(RecordError, match=rf"missing or cut.*{shard.name}"):
        CurveArrays.load(copied)


def test_light_curves_that_the_manifest_does_not_count_are_noticed(copied):
    path = copied / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][1]["num_light_curves"] += 1
    path.write_text(json.dumps(manifest))
    message = r"counts: 41 light curves.*Received: source="
    with pytest.raises(RecordError, match=message):
        CurveArrays.load(copied)


def test_shard_with_a_record_too_many_is_noticed(copied):
    shard = Manifest.load(copied).shard_paths()[1]
    with open(shard, "ab") as stream:
        write_frame(stream, next(iterate_frames(shard)))
    with pytest.raises(RecordError, match="Convert again, or restore"):
        CurveArrays.load(copied)


def test_damaged_record_is_named(copied):
    shard = Manifest.load(copied).shard_paths()[0]
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(content)
    with pytest.raises(RecordError, match=f"{shard.name}, record 0"):
        CurveArrays.load(copied)


def test_split_without_light_curves_is_refused(copied):
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["splits"]["test"]["num_light_curves"] = 0
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordError, match=r"no light curves to read.*split='test'"):
        CurveArrays.load(copied, "test")


@pytest.mark.parametrize(
    ("source", "split", "message"),
    [
        ([], None, "holds no light curves"),
        ([FRAME, FRAME], None, "type DataFrame.*`light_curves_from_frame` of each"),
        ([np.zeros((5, 3))], None, r"source\[0\] of type ndarray"),
        ([], "train", 'records on disk. Received: split="train"'),
    ],
)
def test_source_that_cannot_be_read_is_refused(source, split, message):
    with pytest.raises(ConfigError, match=message):
        CurveArrays.load(source, split)
