"""The benchmark of neighbors on vectors whose scores are known."""

import numpy as np
import pytest

from astromer.evaluation import collect_objects, make_splits
from astromer.models import Reconstructor
from astromer.presets import save_preset
from benchmarks import neighbors
from tests.inference.test_vectors import make
from tests.models.windows import tiny_config


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


@pytest.mark.usefixtures("untraced")
def test_stars_of_the_splits_are_embedded_once(make_survey, tmp_path, monkeypatch):
    curves = make_survey()
    objects = collect_objects(curves)
    splits = make_splits(
        objects.labels,
        objects.classes,
        sizes=(2,),
        num_folds=2,
        test_per_class=3,
        seed=0,
        dataset="made",
    )
    model = Reconstructor(tiny_config(magnitude_scale="visible"), seed=0)
    path = str(save_preset(model, tmp_path / "tiny", metadata={}, card="# tiny"))
    monkeypatch.setattr(neighbors, "SURVEYS", {"made": ("", "", "")})
    monkeypatch.setattr(neighbors, "load_splits", lambda _: splits)
    monkeypatch.setattr(neighbors, "labeled_records", lambda *_: curves)
    monkeypatch.setattr(neighbors, "read_classes", lambda _: None)
    monkeypatch.setattr(neighbors, "score", lambda *given: given)
    stars, vectors = neighbors.measure("made", tmp_path, tmp_path, [path])
    assert sorted(stars.object_id) == splits.names()
    labels = [objects.labels[name] for name in stars.object_id]
    assert stars.class_name.tolist() == labels
    assert list(vectors) == [path, "features", "statistics"]
    assert {len(values) for values in vectors.values()} == {len(stars)}
    np.testing.assert_array_equal(vectors[path], stars)
