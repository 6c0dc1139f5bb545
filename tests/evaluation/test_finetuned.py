"""Finetuning on a training set before the classifier: once, kept, and reported."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from astromer.evaluation import finetuned as module
from astromer.evaluation.few_shot import few_shot_benchmark
from astromer.evaluation.finetuned import Finetuning
from astromer.evaluation.objects import collect_objects
from astromer.evaluation.report import write_report
from astromer.inference import reconstruct
from astromer.presets import save_preset

QUICK = {"epochs": 1, "batch_size": 8}


@pytest.fixture
def preset(tiny_model, tmp_path):
    return save_preset(tiny_model, tmp_path / "tiny")


@pytest.fixture
def runs(monkeypatch):
    """Count finetuning runs and what they were given."""
    calls = []
    real = module.finetune

    def count(preset, records, out, **options):
        calls.append((records, options))
        return real(preset, records, out, **options)

    monkeypatch.setattr(module, "finetune", count)
    return calls


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_each_training_set_is_finetuned_on_once_for_all_methods(
    preset, make_survey, tmp_path, runs
):
    curves = make_survey(slow=8, fast=8)
    options = {
        "presets": [preset],
        "baselines": [],
        "classifiers": ["lr"],
        "layers": ["last", "all"],
        "sizes": [3],
        "num_folds": 2,
        "finetune": QUICK,
    }
    out = tmp_path / "out"
    results = few_shot_benchmark(curves, out, **options)
    assert len(runs) == 2
    assert [(row["method"], row["classifier"]) for row in results["rows"]] == [
        ("tiny/last", "lr"),
        ("tiny/all", "lr"),
        ("tiny finetuned", "lr last"),
        ("tiny finetuned", "lr all"),
    ]
    first, second = results["rows"][2:]
    assert results["rows"][0]["finetuning"] is None
    assert first["finetuning"] == second["finetuning"]
    assert set(first["finetuning"]) == {
        "rmse_before",
        "rmse_after",
        "hidden_rmse_before",
        "hidden_rmse_after",
        "minutes",
        "epochs",
    }
    assert first["finetuning"]["rmse_after"] != first["finetuning"]["rmse_before"]
    again = few_shot_benchmark(curves, out, **options, resume=True)
    assert len(runs) == 2
    assert again["rows"] == results["rows"]
    text = write_report(out, results)["results.md"].read_text("utf-8")
    assert "## Finetuning" in text
    assert "| tiny finetuned | 3 |" in text


@pytest.mark.timeout(180)
def test_finetuning_sees_training_objects_alone_and_each_once(
    tiny_model, preset, make_survey, tmp_path, runs
):
    objects = list(collect_objects(make_survey(slow=6, fast=6)).objects.values())
    train, test = objects[:10], objects[10:]
    labels = np.array([item.class_name == "slow" for item in train], dtype=np.int64)
    finetuning = Finetuning(preset, tiny_model, "tiny", tmp_path / "kept", QUICK)
    folder, embedding = finetuning.fit(
        [*train, train[0]], np.append(labels, labels[0]), 4
    )
    records, options = runs[0]
    given = [c.object_id for side in ("train", "validation") for c in records[side]]
    assert sorted(given) == sorted(item.object_id for item in train)
    assert len(records["validation"]) == 2
    assert options == {"seed": 4, **QUICK}
    assert embedding.weights_key != finetuning.key
    facts = finetuning.facts(folder, test)
    curves = [curve for item in test for curve in item.light_curves]
    before = reconstruct(tiny_model, curves, num_folds=0).rmse
    assert facts["rmse_before"] == pytest.approx(before, abs=1e-5)
    assert facts["epochs"] == 1
    # Another seed is another finetuning; the same is there already.
    assert finetuning.fit(train, labels, 4)[0] == folder
    assert len(runs) == 1


def test_finetuning_for_another_objective_is_another(tiny_model, tmp_path):
    keys = set()
    for loss in ("released", "scaled"):
        facts = {"license": "MIT", "objective": {"loss": loss}}
        preset = save_preset(tiny_model, tmp_path / loss / "tiny", metadata=facts)
        keys |= {Finetuning(preset, tiny_model, "tiny", tmp_path).key for _ in range(2)}
    assert len(keys) == 2


@pytest.mark.timeout(180)
def test_what_an_interrupted_finetuning_left_is_begun_anew(
    tiny_model, preset, make_survey, tmp_path, monkeypatch
):
    objects = list(collect_objects(make_survey(slow=6, fast=6)).objects.values())
    labels = np.array([item.class_name == "slow" for item in objects], dtype=np.int64)
    finetuning = Finetuning(preset, tiny_model, "tiny", tmp_path / "kept", QUICK)

    def stop(preset, records, out, **options):
        out.mkdir(parents=True)
        (out / "half").write_text("x")
        raise KeyboardInterrupt

    real = module.finetune
    monkeypatch.setattr(module, "finetune", stop)
    with pytest.raises(KeyboardInterrupt):
        finetuning.fit(objects, labels, 0)
    monkeypatch.setattr(module, "finetune", real)
    folder, _ = finetuning.fit(objects, labels, 0)
    assert not (folder / "half").exists()
    assert (folder / "finetuning.json").is_file()


def test_finetuning_of_another_process_is_left_alone(
    tiny_model, preset, make_survey, tmp_path, monkeypatch
):
    objects = list(collect_objects(make_survey(slow=6, fast=6)).objects.values())
    labels = np.array([item.class_name == "slow" for item in objects], dtype=np.int64)
    kept = tmp_path / "kept"

    def quick(preset, records, out, **options):
        saved = save_preset(tiny_model, out / "preset")
        return SimpleNamespace(preset=saved, epochs=7)

    def meanwhile(preset, records, out, **options):
        # Another one, which began earlier, ends while this one trains.
        result = quick(preset, records, out)
        with monkeypatch.context() as other:
            other.setattr(module, "finetune", quick)
            other.setattr(module.os, "getpid", lambda: 1)
            Finetuning(preset, tiny_model, "tiny", kept, QUICK).fit(objects, labels, 0)
        result.epochs = 8
        return result

    monkeypatch.setattr(module, "finetune", meanwhile)
    finetuning = Finetuning(preset, tiny_model, "tiny", kept, QUICK)
    folder, _ = finetuning.fit(objects, labels, 0)
    assert json.loads((folder / "finetuning.json").read_text())["epochs"] == 7
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
