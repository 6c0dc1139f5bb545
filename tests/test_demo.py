"""The demo from simulated stars to scores, with a model small enough for a test."""

import numpy as np
import polars as pl
import pytest

from astromer import Astromer, EncoderConfig
from astromer.demo import MARKER_NAME, ClassScore, _score, run_demo
from astromer.errors import ConfigError, PresetError
from astromer.records import Manifest, verify_records
from astromer.simulate import CLASS_NAMES

STARS = 4


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """Preset of a tiny model with random weights."""
    config = EncoderConfig(
        num_layers=1, num_heads=1, head_dim=4, hidden_dim=8, intermediate_dim=4
    )
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    return str(Astromer(config, seed=0).save_pretrained(folder))


@pytest.fixture(scope="module")
def demo(tmp_path_factory, preset):
    """One run: its result, its folder, and the lines it reported."""
    out, lines = tmp_path_factory.mktemp("demo") / "out", []
    result = run_demo(out, preset=preset, stars_per_class=STARS, report=lines.append)
    return result, out, lines


def test_demo_writes_survey_records_embeddings_and_figures(demo):
    result, out, lines = demo
    assert len(list((out / "survey").glob("*.csv"))) == len(CLASS_NAMES) + 1
    assert all(check.passed for check in verify_records(result.records))
    table = pl.read_parquet(result.embeddings)
    assert table.height == len(CLASS_NAMES) * 3
    assert table["embedding"].dtype == pl.Array(pl.Float32, 2 * 8)
    assert [path.name for path in result.figures] == [
        "reconstructions.png",
        "embeddings.png",
    ]
    for path in result.figures:
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(lines) == 4


def test_demo_keeps_labels_and_scores_apart(demo):
    result, out, _ = demo
    manifest = Manifest.load(out / "records")
    assert result.num_labeled == manifest.num_light_curves("labeled") == 8
    assert sum(score.num_stars for score in result.scores) == 24
    assert {score.class_name for score in result.scores} == set(CLASS_NAMES)
    assert result.macro_f1 == pytest.approx(np.mean([s.f1 for s in result.scores]))


@pytest.mark.slow
def test_demo_replaces_what_an_earlier_demo_has_made(demo, preset):
    result, out, _ = demo
    before = pl.read_parquet(result.embeddings)
    again = run_demo(out, preset=preset, stars_per_class=STARS)
    assert again.scores == result.scores
    assert pl.read_parquet(again.embeddings).equals(before)


def test_demo_refuses_a_folder_with_something_else_and_a_file(tmp_path, preset):
    (tmp_path / "thesis.tex").write_text("Chapter 1")
    with pytest.raises(ConfigError, match=r"no demo has made.*Received: out="):
        run_demo(tmp_path, preset=preset)
    with pytest.raises(ConfigError, match="needs a folder"):
        run_demo(tmp_path / "thesis.tex", preset=preset)
    assert not (tmp_path / MARKER_NAME).exists()


def test_demo_names_an_unknown_preset_before_it_works(tmp_path):
    with pytest.raises(PresetError, match=r'Unknown preset.*"machoo"'):
        run_demo(tmp_path / "out", preset="machoo", stars_per_class=STARS)
    assert not (tmp_path / "out").exists()


def test_score_counts_stars_called_so_and_stars_that_are_so():
    called = np.array([True, True, True, True, False, False])
    is_so = np.array([True, True, False, False, True, False])
    assert _score("EC", called, is_so) == ClassScore("EC", 3, 2 / 4, 2 / 3)
    nothing = np.zeros(3, bool)
    assert _score("EC", nothing, nothing) == ClassScore("EC", 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("precision", "recall", "f1"),
    [(1.0, 1.0, 1.0), (0.5, 1.0, 2 / 3), (0.0, 0.0, 0.0)],
)
def test_f1_is_the_harmonic_mean(precision, recall, f1):
    assert ClassScore("EC", 3, precision, recall).f1 == pytest.approx(f1)
