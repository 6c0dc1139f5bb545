from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from astromer.records import Manifest, convert_tables, writer
from astromer.records.manifest import ShardInfo
from astromer.records.writer import finished_shard, note_shard


@pytest.mark.parametrize("size", [1, 500, 3_000])
def test_size_of_the_buffer_does_not_change_a_shard(
    tmp_path, survey_tables, monkeypatch, keep_all, size
):
    (whole,) = convert_tables(survey_tables(), tmp_path / "whole", keep_all).shards
    monkeypatch.setattr(writer, "BUFFER_BYTES", size)
    (pieces,) = convert_tables(survey_tables(), tmp_path / "pieces", keep_all).shards
    assert pieces == whole
    data = (tmp_path / "pieces" / pieces.name).read_bytes()
    assert data == (tmp_path / "whole" / whole.name).read_bytes()
    assert (pieces.bytes, pieces.sha256) == (
        len(data),
        hashlib.sha256(data).hexdigest(),
    )


def test_shard_is_finished_if_it_is_the_one_that_its_note_describes(tmp_path):
    content = b"a shard"
    shard = tmp_path / "a.tfrecord"
    info = ShardInfo(
        shard.name, "train", 1, 3, len(content), hashlib.sha256(content).hexdigest()
    )
    assert finished_shard(shard.name, tmp_path, tmp_path) is None
    note_shard(info, tmp_path)
    assert finished_shard(shard.name, tmp_path, tmp_path) is None
    shard.write_bytes(content)
    assert finished_shard(shard.name, tmp_path, tmp_path) == info
    shard.write_bytes(content[:-1])
    assert finished_shard(shard.name, tmp_path, tmp_path) is None


def test_a_shard_under_its_final_name_has_a_note(
    tmp_path, survey_tables, monkeypatch, keep_all
):
    out = tmp_path / "out"
    written = []
    replace = Path.replace

    class InterruptedByTestError(Exception):
        pass

    def interrupt(path, target):
        written.append(Path(target).name)
        if str(target).endswith(".tfrecord"):
            raise InterruptedByTestError
        replace(path, target)
        return target

    monkeypatch.setattr("pathlib.Path.replace", interrupt)
    with pytest.raises(InterruptedByTestError):
        convert_tables(survey_tables(), out, keep_all)
    assert written[-2:] == [
        "survey-all-00000-of-00001.tfrecord.json",
        "survey-all-00000-of-00001.tfrecord",
    ]
    assert list(out.glob("*.tfrecord")) == []
    monkeypatch.undo()
    convert_tables(survey_tables(), out, keep_all, resume=True)
    assert Manifest.load(out).num_light_curves() == 60
