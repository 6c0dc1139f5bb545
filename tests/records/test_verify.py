"""Every kind of damage must fail the check that is made for it, and only needed ones."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from astromer.errors import ConfigError, RecordError
from astromer.records import Manifest, read_records, summarize_records, verify_records
from astromer.records.schema import (
    decode_example,
    encode_arrays,
    encode_light_curve,
    iterate_frames,
    write_frame,
)


def failed(folder):
    return [(r.test, r.target) for r in verify_records(folder) if not r.passed]


def rewrite(folder, change):
    """Change the records of the first shard and put its new checksum in the manifest."""
    manifest = Manifest.load(folder)
    shard = manifest.shards[0]
    path = folder / shard.name
    frames = change(list(iterate_frames(path)))
    with open(path, "wb") as stream:
        for frame in frames:
            write_frame(stream, frame)
    data = path.read_bytes()
    new = dataclasses.replace(
        shard, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    dataclasses.replace(manifest, shards=[new, *manifest.shards[1:]]).save(folder)
    return shard


def test_verify_passes_and_describes_every_check(records):
    results = verify_records(records)
    assert all(result.passed for result in results)
    assert {result.test for result in results} == {
        "files", "bytes", "contents", "counts", "splits", "rows", "rejected",
    }  # fmt: skip
    assert all(result.description for result in results)


def test_verify_tells_progress(records):
    seen = []
    verify_records(records, progress=lambda *told: seen.append(told))
    assert seen[-1] == ("verify", 60, 60, "light curves")


def test_verify_finds_a_flipped_byte(records):
    path = Manifest.load(records).shard_paths()[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    assert {("bytes", path.name), ("contents", path.name)} <= set(failed(records))
    contents = next(
        r for r in verify_records(records) if r.test == "contents" and not r.passed
    )
    assert path.name in contents.description
    assert "record" in contents.description


def test_verify_finds_a_truncated_and_a_missing_and_a_foreign_shard(records):
    first, second, *_ = Manifest.load(records).shard_paths()
    first.write_bytes(first.read_bytes()[:-5])
    second.rename(records / "foreign.tfrecord")
    found = failed(records)
    assert ("files", records.name) in found
    for path in (first, second):
        assert ("bytes", path.name) in found
        assert ("contents", path.name) in found


def test_verify_finds_unsorted_times(records):
    def reverse(frames):
        curve = decode_example(frames[0])
        frames[0] = encode_arrays(
            curve.time[::-1], curve.mag, curve.mag_err,
            object_id=curve.object_id, passband=curve.passband,
            label=curve.label, class_name=curve.class_name,
        )  # fmt: skip
        return frames

    shard = rewrite(records, reverse)
    assert ("contents", shard.name) in failed(records)


def test_verify_finds_times_that_are_not_finite(records):
    def spoil(frames):
        curve = decode_example(frames[0])
        time = curve.time.copy()
        time[1] = np.nan
        frames[0] = encode_arrays(
            time, curve.mag, curve.mag_err,
            object_id=curve.object_id, passband=curve.passband,
            label=curve.label, class_name=curve.class_name,
        )  # fmt: skip
        return frames

    shard = rewrite(records, spoil)
    result = next(
        r for r in verify_records(records) if r.target == shard.name and not r.passed
    )
    assert "finite" in result.description


def test_verify_finds_a_label_that_is_not_that_of_the_class(records):
    def relabel(frames):
        curves = [decode_example(frame) for frame in frames]
        curves[0] = dataclasses.replace(curves[0], label=7)
        return [encode_light_curve(curve) for curve in curves]

    shard = rewrite(records, relabel)
    result = next(
        r for r in verify_records(records) if r.target == shard.name and not r.passed
    )
    assert "label=7" in result.description


def test_verify_finds_a_lost_record_and_an_object_on_two_sides(records):
    shard = rewrite(records, lambda frames: frames[:-1])
    found = failed(records)
    assert ("contents", shard.name) in found
    assert ("counts", shard.split) in found
    manifest = Manifest.load(records)
    stolen = next(iterate_frames(manifest.shard_paths("test")[0]))
    rewrite(records, lambda frames: [*frames, stolen])
    assert ("splits", "all") in failed(records)


def test_verify_finds_a_wrong_manifest_and_a_lost_list_of_rejections(records):
    manifest = Manifest.load(records)
    dataclasses.replace(manifest, rows_read=manifest.rows_read + 1).save(records)
    (records / "rejected.csv").unlink()
    assert failed(records) == [("rows", "all"), ("rejected", "rejected.csv")]


@pytest.mark.parametrize(
    "change",
    [
        {"num_objects": 1},
        {"num_light_curves": 1},
        {"num_observations": 1},
        {"classes": {"EB": 1}},
        {"passbands": {"R": 1}},
        {"lengths": {"5": 1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_verify_finds_wrong_counts_of_a_split(records, change):
    manifest = Manifest.load(records)
    wrong = dataclasses.replace(manifest.splits["test"], **change)
    splits = {**manifest.splits, "test": wrong}
    dataclasses.replace(manifest, splits=splits).save(records)
    assert ("counts", "test") in failed(records)


@pytest.mark.parametrize(
    ("field", "check"),
    [
        ("bytes", "bytes"),
        ("num_light_curves", "contents"),
        ("num_observations", "contents"),
    ],
)
def test_verify_finds_a_wrong_number_of_a_shard(records, field, check):
    manifest = Manifest.load(records)
    first, *rest = manifest.shards
    wrong = dataclasses.replace(first, **{field: getattr(first, field) + 1})
    dataclasses.replace(manifest, shards=[wrong, *rest]).save(records)
    assert failed(records) == [(check, first.name)]


# Reading ------------------------------------------------------------------------


def test_read_records_by_split_folder_and_file(records):
    manifest = Manifest.load(records)
    everything = list(read_records(records))
    assert len(everything) == 60
    parts = [list(read_records(records, split)) for split in manifest.splits]
    assert [curve for part in parts for curve in part] == everything
    paths = manifest.shard_paths("train")
    assert list(read_records(paths)) == parts[0]
    assert len(list(read_records(str(paths[0])))) == manifest.shards[0].num_light_curves


def test_read_records_refuses_a_split_that_does_not_exist(records):
    with pytest.raises(RecordError, match='Did you mean "train"'):
        read_records(records, "trian")
    with pytest.raises(ConfigError, match="belong to no split"):
        read_records(Manifest.load(records).shard_paths(), "train")


def test_read_records_names_the_missing_shard_and_the_damaged_record(records):
    first, second, *_ = Manifest.load(records).shard_paths()
    first.unlink()
    with pytest.raises(RecordError, match=f"shard is missing.*{first.name}"):
        next(read_records(records))
    with open(second, "wb") as stream:
        write_frame(stream, b"\x0a\x00")
    with pytest.raises(
        RecordError, match=f"not a light curve.*{second.name}, record 0"
    ):
        next(read_records(second))


# The manifest -------------------------------------------------------------------


def test_folder_that_does_not_exist_is_said_not_to(tmp_path):
    with pytest.raises(RecordError, match="nowhere, which does not exist"):
        Manifest.load(tmp_path / "nowhere")


def test_manifest_is_the_same_after_saving_and_loading(records, tmp_path):
    manifest = Manifest.load(records)
    assert Manifest.load(records / "manifest.json") == manifest
    (tmp_path / "copy").mkdir()
    assert manifest.save(tmp_path / "copy").to_dict() == manifest.to_dict()
    copied = (tmp_path / "copy" / "manifest.json").read_bytes()
    assert copied == (records / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds a manifest.json"),
        ("{", "must be JSON"),
        ("[]", 'must say format="astromer records"'),
        ('{"format": "coco", "schema_version": 1}', "written by something else"),
        ('{"format": "astromer records", "schema_version": 99}', "schema_version=99"),
        (
            '{"format": "astromer records", "schema_version": 1}',
            "lacks or adds a field",
        ),
    ],
    ids=["missing", "damaged", "list", "foreign", "newer", "incomplete"],
)
def test_manifest_that_is_not_ours_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    for function in (Manifest.load, verify_records, summarize_records, read_records):
        with pytest.raises(RecordError, match=message):
            function(tmp_path)


def test_manifest_without_a_folder_has_no_paths(records):
    loose = dataclasses.replace(Manifest.load(records), folder=None)
    with pytest.raises(RecordError, match="folder=None"):
        loose.shard_paths()


# The summary --------------------------------------------------------------------


def test_summary_adds_up_and_is_json(records):
    manifest = Manifest.load(records)
    summary = summarize_records(records)
    tables = summary.to_dict()
    assert json.loads(json.dumps(tables)) == tables
    assert summary.totals["num_light_curves"] == 60
    assert summary.totals["bytes"] == sum(
        p.stat().st_size for p in manifest.shard_paths()
    )
    assert [row["class_name"] for row in summary.classes] == ["EB", "RRab", ""]
    assert [row["label"] for row in summary.classes] == [0, 1, -1]
    for rows in (summary.classes, summary.passbands):
        for split in manifest.splits:
            assert sum(row[split] for row in rows) == manifest.num_light_curves(split)
    cut = sum(row["observations"] for row in summary.cuts)
    assert summary.totals["rows_read"] - cut == summary.totals["num_observations"]
    cadence = next(row for row in summary.quantiles if row["quantity"] == "cadence")
    assert cadence["unit"] == "d"
    assert cadence["0"] <= cadence["0.5"] <= cadence["1"]


def test_summary_lists_rejections_by_reason(tmp_path, table, keep_all):
    from astromer.records import convert_tables

    convert_tables(
        [table(object_id=["a", "a", "b"])],
        tmp_path / "out",
        keep_all.replace(min_observations=2),
    )
    assert summarize_records(tmp_path / "out").rejected == [
        {"reason": "too_few_observations", "light_curves": 1}
    ]
