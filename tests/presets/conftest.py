"""Fixtures of presets: where they lie, and one that a model was saved as."""

import json

import pytest

from astromer.presets import registry


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Empty folders in the place of what ships and of what the user has."""
    shipped, mine = tmp_path / "shipped", tmp_path / "mine"
    shipped.mkdir()
    mine.mkdir()
    monkeypatch.setattr(registry, "bundled_folder", lambda _: shipped)
    monkeypatch.setenv(registry.PRESETS_VARIABLE, str(mine))
    monkeypatch.chdir(tmp_path)
    return shipped, mine


@pytest.fixture
def write_preset():
    """Return a function that writes by hand what can be known without weights."""

    def write(folder, name, **metadata):
        path = folder / name
        path.mkdir()
        config = {"format_version": 1, "kind": "reconstructor", "encoder": {}}
        (path / "config.json").write_text(json.dumps(config))
        (path / "metadata.json").write_text(json.dumps(metadata))
        return path

    return write
