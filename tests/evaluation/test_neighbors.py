"""The benchmark of neighbors on vectors whose scores are known."""

import numpy as np
import pytest

from benchmarks import neighbors
from tests.inference.test_vectors import make


@pytest.fixture
def stars(rng):
    stars = make(rng.normal(size=(150, 2)))
    stars.class_name[:] = np.repeat(["EB", "LP", "RR"], 50)
    return stars


def test_classes_that_lie_apart_are_all_found(stars, rng):
    centers = np.eye(3)[np.repeat([0, 1, 2], 50)]
    apart = centers + rng.normal(0, 0.01, (150, 3))
    (found,) = neighbors.score(stars, {"apart": apart}).values()
    assert found["precision"] == 1
    # The rare class has too few for the twentieth neighbor to be one of its own.
    assert found["by_class"] == {"EB": 1, "LP": 1, "RR": 1}
    assert found["anomaly"] == 1
    assert found["forest"] > 0.9


def test_vectors_without_meaning_are_at_chance(stars, rng):
    (found,) = neighbors.score(stars, {"noise": rng.normal(size=(150, 5))}).values()
    assert found["precision"] == pytest.approx(49 / 149, abs=0.05)
    assert found["anomaly"] == pytest.approx(0.5, abs=0.1)


def test_features_that_are_missing_lie_at_the_mean(rng):
    values = rng.normal(3, 2, (100, 2))
    values[0] = np.nan
    values[1, 0] = 1e9
    scaled = neighbors.standardized(values)
    assert scaled[0].tolist() == [0, 0]
    assert scaled.max() == 5
    assert scaled[1:, 1].std() == pytest.approx(1)


def test_page_has_a_table_per_survey(stars, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(neighbors, "HERE", tmp_path)
    scores = neighbors.score(stars, {"noise": rng.normal(size=(150, 5))})
    neighbors.write({"command": "c", "surveys": {"made": scores}})
    text = (tmp_path / "neighbors.md").read_text(encoding="utf-8")
    assert "## made" in text
    assert f"| noise | {scores['noise']['precision']:.3f} |" in text
    assert (tmp_path / "neighbors.json").is_file()
