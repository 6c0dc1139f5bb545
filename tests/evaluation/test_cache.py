"""Rows by content on disk: found again, never taken for another's."""

import numpy as np
import pytest

from astromer.errors import RecordError
from astromer.evaluation.cache import VectorCache, content_hash, hash_of, write_arrays
from astromer.lightcurve import LightCurve


def test_content_hash_depends_on_observations_alone(make_light_curve):
    curve = make_light_curve(object_id="one", passband="R")
    same = make_light_curve(object_id="two", passband="B", class_name="x")
    assert content_hash(curve) == content_hash(same)
    for name in ("time", "mag", "mag_err"):
        arrays = {n: getattr(curve, n).copy() for n in ("time", "mag", "mag_err")}
        arrays[name][-1] += 0.01
        assert content_hash(LightCurve(**arrays)) != content_hash(curve)


def test_hash_of_keeps_parts_apart():
    assert hash_of("ab", "c") != hash_of("a", "bc")
    assert hash_of("ab") == hash_of(b"ab")
    assert len(hash_of()) == 32


def test_rows_are_found_by_another_process(tmp_path):
    rows = [np.arange(6.0).reshape(2, 3), np.ones((1, 3)), np.zeros((3, 3))]
    first = VectorCache(tmp_path / "cache")
    first.add(["a", "b"], rows[:2])
    first.add(["c"], rows[2:])
    second = VectorCache(tmp_path / "cache")
    assert second.missing(["c", "x", "a", "x", "y"]) == ["x", "y"]
    assert "b" in second
    for key, expected in zip("abc", rows, strict=True):
        np.testing.assert_array_equal(second[key], expected)


def test_a_cache_in_memory_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = VectorCache(None)
    cache.add(["a"], [np.ones((1, 2))])
    cache.add([], [])
    assert "a" in cache
    assert not list(tmp_path.iterdir())


def test_a_damaged_part_is_named(tmp_path):
    VectorCache(tmp_path).add(["a"], [np.ones((1, 2))])
    path = next(tmp_path.glob("*.npz"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RecordError, match=rf"path={path}.*Delete it"):
        VectorCache(tmp_path)


def test_an_interrupted_write_leaves_nothing_to_read(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "a.npz", {"x": np.ones(1)})
    assert not list(tmp_path.glob("*.npz"))
