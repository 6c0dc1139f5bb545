"""The scripts that trained the bundled presets: what they hand on."""

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from astromer.models import Reconstructor
from astromer.presets import describe_preset, save_preset
from tests.models.windows import tiny_config

PRESETS = Path(__file__).resolve().parents[2] / "presets"
DESCRIBED = {"magnitude_scale": "visible", "description": True, "signature_dim": 3}


def script_of(preset):
    path = PRESETS / preset / "train.py"
    spec = importlib.util.spec_from_file_location(f"train_{preset}", path)
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look for the module that they are in.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script():
    return script_of("macho-period")


def signature(model):
    return model.encoder.get_layer("signature").get_weights()


@pytest.fixture
def source(tmp_path):
    model = Reconstructor(tiny_config(**DESCRIBED), seed=1)
    facts = {"training": {"minutes": 9.0, "signature": {"steps": 7}}}
    path = save_preset(model, tmp_path / "source", metadata=facts, card="# s")
    return model, str(path)


def test_signature_of_a_preset_is_copied_and_nothing_else(script, source):
    theirs, preset = source
    model = Reconstructor(tiny_config(**DESCRIBED), seed=2)
    before = model.get_layer("head_dense").get_weights()
    script.copy_signature(preset, model)
    for one, other in zip(signature(theirs), signature(model), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        before, model.get_layer("head_dense").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "value"), [("window_size", 5), ("outlier_limit", 2.0)]
)
def test_signature_of_other_descriptions_is_refused(script, source, name, value):
    model = Reconstructor(tiny_config(**{**DESCRIBED, name: value}), seed=2)
    with pytest.raises(SystemExit, match=rf"Received: {name}={value}\."):
        script.copy_signature(source[1], model)


def test_run_is_signed_with_another_preset_and_published(script, source, tmp_path):
    theirs, preset = source
    options = theirs.config.to_dict()
    plain = Reconstructor(tiny_config(**{**DESCRIBED, "signature_dim": 0}), seed=3)
    run, out = tmp_path / "run", tmp_path / "published"
    run.mkdir()
    out.mkdir()
    (out / "README.md").write_text("# mine\n")
    plain.save_weights(run / "stage_1.weights.h5")
    report = {"stages": [{}], "encoder": plain.config.to_dict()}
    (run / "training.json").write_text(json.dumps(report))
    (run / "scores.json").write_text(json.dumps({"ASAS": {"f1": 0.5}}))
    arguments = argparse.Namespace(
        out=run,
        window_size=options["window_size"],
        signature_dim=3,
        signature_of=preset,
    )
    script.sign(arguments)
    script.publish(run, out, "small")
    found = describe_preset(str(out))
    assert found.card == "# mine\n"
    assert found.metadata["description"] == "small; trained by this project on a CPU"
    assert found.metadata["metrics"] == {"ASAS": {"f1": 0.5}}
    assert found.metadata["training"]["signature"] == {"of": preset, "steps": 7}
    model = script.load_preset(str(out), Reconstructor)
    for one, other in zip(signature(theirs), signature(model), strict=True):
        np.testing.assert_array_equal(one, other)
    for layer in ("head_norm", "head_dense"):
        for one, other in zip(
            plain.get_layer(layer).get_weights(),
            model.get_layer(layer).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)


def test_run_may_start_from_a_preset_with_another_attention(script, source):
    theirs, preset = source
    options = {**DESCRIBED, "signature_dim": 0, "rotary_time": True}
    model = Reconstructor(tiny_config(**options), seed=2)
    script.copy_weights(script.load_preset(preset, Reconstructor), model)
    found = dict(zip(*by_path(model), strict=True))
    given = dict(zip(*by_path(theirs), strict=True))
    assert given.keys() - found.keys() == {
        path for path in given if "signature" in path
    }
    for path, values in found.items():
        np.testing.assert_array_equal(values, given[path])


def by_path(model):
    weights = [weight for weight in model.weights if "seed" not in weight.path]
    return [weight.path for weight in weights], [w.numpy() for w in weights]


def test_run_trains_on_real_and_simulated_light_curves(
    script, tmp_path, rng, monkeypatch
):
    # Real ones have names of classes, simulated ones numbers as well.
    data, held_out, out = tmp_path / "a.parquet", tmp_path / "h.json", tmp_path / "run"
    pl.DataFrame(
        {
            "id": [f"star {number}" for number in range(6)],
            "label": ["RRAB", "MIRA"] * 3,
            "band": ["V"] * 6,
            "mjd": np.sort(rng.uniform(5e4, 5.1e4, (6, 30))).tolist(),
            "mag": rng.normal(15, 0.3, (6, 30)).tolist(),
            "err": np.full((6, 30), 0.02).tolist(),
        }
    ).write_parquet(data)
    held_out.write_text(json.dumps(["star 3"]))
    monkeypatch.setattr(script, "STAGES", ((16, 4, 0.6, 1.0),))
    tiny = tiny_config(magnitude_scale="visible", num_periods=1, num_frequencies=1024)
    paths = [str(data), "--held-out", str(held_out), "--out", str(out)]
    options = ["--minutes", "0.001", "--simulated", "4"]
    options += ["--encoder", json.dumps(tiny.to_dict())]
    monkeypatch.setattr(sys, "argv", ["train.py", *paths, *options])
    monkeypatch.setattr(script, "sign", lambda _: None)
    script.main()
    report = json.loads((out / "training.json").read_text())
    assert (report["real_light_curves"], report["simulated_light_curves"]) == (5, 4)
    (stage,) = report["stages"]
    assert (stage["window_size"], stage["batch"]) == (16, 4)
    assert stage["steps"] >= 1
    assert (out / "stage_1.weights.h5").is_file()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_objective_is_that_of_the_last_stage(script, share):
    found = script.objective(share)
    assert (found.loss, found.masking.probed_fraction) == ("scaled", 0.5)
    assert found.masking.whole_nights == share
    assert script.objective(0.0, 0.6).masking.probed_fraction == 0.6


def test_run_of_macho_is_published_with_its_loss_and_scores(tmp_path):
    script, run, out = script_of("macho"), tmp_path / "run", tmp_path / "macho"
    before = describe_preset(str(PRESETS / "macho")).metadata["training"]
    report = {"minutes": 30, "loss": "scaled", "start": before}
    run.mkdir()
    scores = {"asas_acvs": {"r2_hidden": 0.5}}
    (run / "training.json").write_text(json.dumps({**report, "scores": scores}))
    (run / "scores.json").write_text(json.dumps({"ASAS": {"f1": 0.5}}))
    shutil.copy(PRESETS / "macho" / "model.weights.h5", run)
    out.mkdir()
    (out / "README.md").write_text("# mine\n")
    script.publish(run, out)
    found = describe_preset(str(out))
    assert found.card == "# mine\n"
    assert found.metadata["training"] == report
    assert found.metadata["objective"]["loss"] == "scaled"
    assert found.metadata["metrics"] == {**scores, "ASAS": {"f1": 0.5}}
