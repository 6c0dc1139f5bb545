"""The benchmark in one call: options have effects, wrong ones are refused."""

import json

import pytest

from astromer.errors import ConfigError, PresetError
from astromer.evaluation import few_shot as module
from astromer.evaluation.classifiers import CLASSIFIERS
from astromer.evaluation.few_shot import few_shot_benchmark, make_methods
from astromer.evaluation.heads import WITHOUT_BLOCKS
from astromer.evaluation.splits import make_splits
from astromer.presets import save_preset

FAST = {"sizes": [2], "num_folds": 2, "classifiers": ["lr"], "baselines": []}


@pytest.fixture
def preset(tiny_model, tmp_path):
    return save_preset(tiny_model, tmp_path / "tiny")


def test_methods_are_presets_then_baselines(preset, tmp_path):
    # This encoder describes nothing: its embedding is its last block, named once.
    layers = ["last", "embedding", 0]
    methods = make_methods([preset], layers=layers, cache=tmp_path)
    assert [(method.name, method.classifier) for method in methods] == [
        ("tiny/last", "lr"),
        ("tiny/last", "rf"),
        ("tiny/0", "lr"),
        ("tiny/0", "rf"),
        ("features", "rf"),
        ("features", "hgb"),
        ("features", "lr"),
        ("features-no-periodogram", "rf"),
        ("features-no-periodogram", "hgb"),
        ("statistics", "rf"),
        ("features+tiny/last", "rf"),
        ("features+tiny/0", "rf"),
        ("features+tiny/last", "lr"),
        ("features+tiny/0", "lr"),
    ]


def test_heads_follow_their_presets_and_networks_come_last(preset, tmp_path):
    methods = make_methods(
        [preset],
        classifiers=["lr"],
        heads=["gamma", "max"],
        baselines=["input-mean", "statistics", "raw-gru"],
        cache=tmp_path,
    )
    assert [(method.name, method.classifier) for method in methods] == [
        ("tiny/last", "lr"),
        ("tiny", "gamma"),
        ("tiny", "max"),
        ("no encoder", "input_mean"),
        ("statistics", "rf"),
        ("no encoder", "raw_gru"),
    ]
    # They see the windows that the preset sees.
    assert methods[3].config.window_size == 8
    assert make_methods(baselines=["raw-gru"])[0].config.window_size == 200


def test_all_methods_together_run_and_share_a_cache(
    preset, make_survey, tmp_path, monkeypatch
):
    monkeypatch.setattr("astromer.evaluation.classifiers.NUM_TREES", 10)
    monkeypatch.setattr("astromer.evaluation.classifiers.NUM_BOOSTING_ROUNDS", 10)
    curves = make_survey(slow=8, fast=8)
    options = {"presets": [preset], "sizes": [3], "num_folds": 2}
    results = few_shot_benchmark(curves, tmp_path / "a", **options)
    assert results["reference"] == ["features", "rf"]
    assert len(results["rows"]) == 10
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "cache",
        "cells",
        "splits.json",
    ]
    monkeypatch.setattr("astromer.evaluation.representations.extract_features", None)
    again = few_shot_benchmark(
        curves, tmp_path / "b", cache=tmp_path / "a" / "cache", **options
    )
    assert [r["per_fold"] for r in again["rows"]] == [
        r["per_fold"] for r in results["rows"]
    ]


def test_options_are_in_the_results(preset, make_survey, tmp_path):
    results = few_shot_benchmark(
        make_survey(),
        tmp_path / "out",
        presets=[preset],
        layers=["all"],
        classes="calm=slow+flat,fast",
        dataset="toy",
        min_observations=7,
        **FAST,
    )
    assert results["options"] == {
        "presets": [str(preset)],
        "baselines": [],
        "classifiers": ["lr"],
        "layers": ["all"],
        "heads": [],
        "finetune": False,
        "splits": None,
        "classes": {"calm": ["slow", "flat"], "fast": ["fast"]},
        "passband": None,
        "min_observations": 7,
        "seed": 0,
    }
    assert results["classes"] == ["calm", "fast"]
    assert results["dataset"] == "toy"
    assert results["rows"][0]["method"] == "tiny/all"


def test_given_splits_are_used_as_they_are(preset, make_survey, tmp_path):
    curves = make_survey(slow=8, fast=8)
    labels = {curve.object_id: curve.class_name for curve in curves}
    splits = make_splits(labels, sizes=[2, 4], num_folds=3, seed=5, dataset="named")
    path = splits.save(tmp_path / "splits.json")
    options = {**FAST, "sizes": None, "num_folds": None, "presets": [preset]}
    results = few_shot_benchmark(curves, tmp_path / "out", splits=path, **options)
    assert results["splits_digest"] == splits.digest
    assert results["dataset"] == "named"
    assert results["options"]["splits"] == "splits.json"
    assert json.loads((tmp_path / "out" / "splits.json").read_text()) == (
        splits.to_dict()
    )
    fewer = few_shot_benchmark(
        curves, tmp_path / "few", splits=path, **{**FAST, "presets": [preset]}
    )
    assert (fewer["num_folds"], len(fewer["rows"])) == (2, 1)


def test_seed_and_test_size_change_the_splits(preset, make_survey, tmp_path):
    digests = {
        few_shot_benchmark(
            make_survey(), tmp_path / str(i), presets=[preset], **FAST, **options
        )["splits_digest"]
        for i, options in enumerate([{}, {"seed": 1}, {"test_per_class": 1}])
    }
    assert len(digests) == 3


def test_passband_is_the_only_one_read(preset, make_star, tmp_path):
    curves = [
        make_star(name, number, passband=band)
        for name in ("slow", "fast")
        for band, numbers in (("R", range(5)), ("B", range(4, 9)))
        for number in numbers
    ]
    # One test and four training objects of each class are all there are.
    options = {**FAST, "sizes": [4], "num_folds": 1, "presets": [preset]}
    for band in ("R", "B"):
        results = few_shot_benchmark(curves, tmp_path / band, passband=band, **options)
        split = json.loads((tmp_path / band / "splits.json").read_text())
        assert split["labels"] == {
            curve.object_id: curve.class_name
            for curve in curves
            if curve.passband == band
        }
        assert results["options"]["passband"] == band


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baselines": ["feature"]}, 'baseline="feature".*Did you mean "features"'),
        ({"classifiers": ["svm"]}, 'classifier="svm"'),
        ({"heads": ["gama"]}, 'head="gama".*Did you mean "gamma"'),
        ({"heads": ["raw_gru"]}, 'head="raw_gru"'),
        ({"baselines": []}, r"presets=\[\], baselines=\[\]"),
        (
            {"baselines": ["statistics"], "reference": ("features", "rf")},
            'reference="features rf".*Known: statistics rf',
        ),
        ({"baselines": ["joined"]}, "nothing to compare"),
    ],
)
def test_wrong_options_are_refused_before_data_are_read(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        few_shot_benchmark([None], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_unknown_preset_is_named(tmp_path):
    with pytest.raises(PresetError, match=r"Known: .*macho"):
        make_methods(["nacho"], cache=tmp_path)


def test_finetuning_needs_a_folder(preset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"kept in the cache.*cache=None"):
        make_methods([preset], finetune=True)
    assert {path.name for path in tmp_path.iterdir()} == {"tiny"}


def test_presets_of_one_name_are_refused(preset, tiny_model, tmp_path):
    other = save_preset(tiny_model, tmp_path / "elsewhere" / "tiny")
    with pytest.raises(ConfigError, match="names of their own"):
        make_methods([preset, other])


def test_every_baseline_names_known_classifiers():
    used = {name for chosen in module.BASELINES.values() for name in chosen}
    assert used <= {*CLASSIFIERS, *WITHOUT_BLOCKS}
    assert set(module.DEFAULT_BASELINES) <= set(module.BASELINES)
