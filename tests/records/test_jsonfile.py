from __future__ import annotations

import json

import pytest

from astromer.records.jsonfile import write_json


def test_json_is_written_for_people_and_replaces_a_file(tmp_path):
    path = tmp_path / "note.json"
    path.write_text("old")
    write_json(path, {"name": "Größe", "count": 3})
    assert (
        path.read_text(encoding="utf-8") == '{\n  "name": "Größe",\n  "count": 3\n}\n'
    )
    assert [file.name for file in tmp_path.iterdir()] == ["note.json"]


def test_json_that_cannot_be_written_leaves_the_file(tmp_path):
    path = tmp_path / "note.json"
    write_json(path, {"count": 3})
    with pytest.raises(TypeError):
        write_json(path, {"count": object()})
    assert json.loads(path.read_text()) == {"count": 3}
