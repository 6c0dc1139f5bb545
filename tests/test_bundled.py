"""What ships: found in a checkout and in an installed package, and undamaged."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

import astromer.bundled
from astromer import EncoderConfig, describe_preset, read_records, sample_records
from astromer.bundled import bundled_folder
from astromer.models import Reconstructor
from astromer.presets import load_preset
from astromer.records import Manifest, verify_records
from astromer.training import PretrainOptions

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["presets", "records"])
def test_folder_beside_the_package_serves_a_checkout(name):
    assert bundled_folder(name) == ROOT / name


def test_folder_inside_the_package_comes_first(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "astromer"
    (package / "_presets").mkdir(parents=True)
    monkeypatch.setattr(astromer.bundled, "__file__", str(package / "bundled.py"))
    assert bundled_folder("presets") == package / "_presets"
    assert bundled_folder("records") == tmp_path / "site-packages" / "records"


def test_sample_records_pass_their_own_verification():
    assert [c for c in verify_records(sample_records()) if not c.passed] == []


def test_sample_records_are_what_their_script_makes(tmp_path):
    script = ROOT / "records" / "make_sample.py"
    spec = importlib.util.spec_from_file_location("make_sample", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make(tmp_path)
    shards = Manifest.load(sample_records()).shards
    for shard in shards:
        made = (tmp_path / shard.name).read_bytes()
        assert made == (sample_records() / shard.name).read_bytes()


def test_sample_records_hold_every_class_in_every_split():
    manifest = Manifest.load(sample_records())
    assert len(manifest.label_map) == 8
    for split in manifest.splits:
        names = {curve.class_name for curve in read_records(sample_records(), split)}
        assert names == set(manifest.label_map)


def test_card_of_the_preset_says_whose_training_it_was():
    preset = describe_preset("macho")
    assert preset.num_parameters == 3_953_410
    assert "not the authors' weights" in preset.provenance
    for words in ("this project trained itself", "## Scores", "## Limits", "train.py"):
        assert words in preset.card
    assert preset.metadata["metrics"].keys() >= {"asas_acvs", "simulated_macho"}


@pytest.mark.parametrize("name", ["macho", "macho-period", "mini"])
def test_card_has_the_scores_of_the_metadata(name):
    preset = describe_preset(name)
    # In a row of the card's tables stands what `embed` and `reconstruct` reach.
    rows = [line for line in preset.card.splitlines() if line.startswith(f"| **{name}")]
    for survey in ("ASAS", "Catalina"):
        scores = preset.metadata["metrics"][survey]
        assert len(scores) == 5
        for score in scores.values():
            assert any(f"{score:.3f}" in row for row in rows), score


@pytest.mark.parametrize(
    ("name", "parameters"), [("macho-period", 1_143_552), ("mini", 586_848)]
)
def test_card_of_a_period_preset_has_scores_and_limits(name, parameters):
    preset = describe_preset(name)
    assert preset.num_parameters == parameters
    stored = json.loads((preset.path / "config.json").read_text(encoding="utf-8"))
    config = EncoderConfig.from_dict(stored["encoder"])
    assert f"# {config.vector_channels} values per light curve" in preset.card
    assert preset.metadata["metrics"].keys() == {"ASAS", "Catalina"}
    for words in ("## Data", "## Scores", "## Limits", "train.py", "MIT license"):
        assert words in preset.card
    assert not re.search(r"\{\w*\}|@\w+@", preset.card)


@pytest.mark.parametrize(
    ("name", "loss", "random"),
    [
        ("macho", "scaled", 0.1),
        ("macho-period", "scaled", 0.0),
        ("mini", "scaled", 0),
    ],
)
def test_presets_say_what_they_were_trained_to_do(name, loss, random):
    objective = describe_preset(name).metadata["objective"]
    options = PretrainOptions.from_dict(objective)
    assert options.objective == objective
    assert (options.loss, options.masking.random_fraction) == (loss, random)


def test_bundled_presets_are_small():
    for folder in bundled_folder("presets").iterdir():
        weights = folder / "model.weights.h5"
        assert weights.stat().st_size < 16 * 2**20, folder.name


def test_presets_that_find_periods_share_a_signature():
    found = [
        load_preset(name, Reconstructor).encoder.get_layer("signature").get_weights()
        for name in ("macho-period", "mini")
    ]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
