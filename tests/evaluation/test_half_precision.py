"""The comparison of precisions on made stars: scores and errors belong together."""

import pytest

from astromer.evaluation import collect_objects, make_splits
from astromer.models import Reconstructor
from astromer.presets import save_preset
from benchmarks import half_precision
from tests.models.windows import tiny_config

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture
def found(make_survey, tmp_path):
    preset = save_preset(
        Reconstructor(tiny_config(magnitude_scale="visible"), seed=0),
        tmp_path / "tiny",
        metadata={},
        card="# tiny",
    )
    objects = collect_objects(make_survey())
    splits = make_splits(
        objects.labels,
        objects.classes,
        sizes=(2, 4),
        num_folds=2,
        test_per_class=3,
        seed=0,
        dataset="made",
    )
    return half_precision.compare(str(preset), objects, splits)


def test_scores_and_their_differences_are_of_the_same_sizes(found):
    assert [each["samples_per_class"] for each in found["differences"]] == [2, 4]
    pairs = zip(*(found["macro_f1"][p] for p in half_precision.PRECISIONS), strict=True)
    for (exact, half), change in zip(pairs, found["differences"], strict=True):
        assert change["difference"] == pytest.approx(half - exact, abs=2e-4)
        assert change["low"] <= change["difference"] <= change["high"]
    assert 0.5 < found["cosine_5th_percentile"] <= found["cosine_median"] <= 1.0


def test_page_has_a_row_per_preset_and_size(found, tmp_path, monkeypatch):
    monkeypatch.setattr(half_precision, "HERE", tmp_path)
    half_precision.write({"command": "c", "presets": {"tiny": found}})
    text = (tmp_path / "half_precision.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| tiny")]
    assert len(rows) == 2
    exact = found["macro_f1"]["float32"]
    for row, size, score in zip(rows, (2, 4), exact, strict=True):
        assert f"| {size} | {score:.3f} |" in row
