import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import astromer
from astromer import Astromer, Classifier, ClassifierConfig, inference
from astromer.errors import ConfigError, PresetError
from astromer.presets import golden_difference
from astromer.training import R2, RMSE, ClassificationLoss, ReconstructionLoss
from tests.models.windows import make_inputs, make_targets, tiny_config

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def model():
    return Astromer(tiny_config(), seed=0)


def test_package_offers_the_class():
    assert astromer.Astromer is Astromer


def test_pretrained_model_returns_from_its_folder(model, tmp_path, rng):
    path = model.save_pretrained(tmp_path / "mine", metadata={"survey": "mine"})
    assert path == tmp_path / "mine"
    loaded = Astromer.from_pretrained(path)
    assert type(loaded) is Astromer
    inputs = make_inputs(rng)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert golden_difference(path, loaded) == 0.0
    assert astromer.describe_preset(path).survey == "mine"


def test_from_pretrained_passes_its_options_on(model, tmp_path, rng):
    path = model.save_pretrained(tmp_path / "mine")
    fresh = Astromer.from_pretrained(str(path), load_weights=False, dtype="bfloat16")
    assert fresh.dtype_policy.name == "bfloat16"
    inputs = make_inputs(rng)
    assert np.abs(np.asarray(fresh(inputs)) - np.asarray(model(inputs))).max() > 0.1


def test_from_pretrained_raises_for_unknown_name():
    with pytest.raises(PresetError, match=r'preset\. Received: preset="nowhere"'):
        Astromer.from_pretrained("nowhere")


def test_child_class_loads_as_itself(model, tmp_path):
    class Child(Astromer):
        pass

    path = model.save_pretrained(tmp_path / "mine")
    assert type(Child.from_pretrained(path)) is Child


def test_compile_takes_loss_of_the_paper_and_honest_metrics_by_default(model):
    model.compile()
    assert type(model.loss) is ReconstructionLoss
    assert type(model.optimizer) is keras.optimizers.Adam
    names = [metric.name for metric in model.metrics]
    assert names == ["loss", "r2_hidden", "rmse_hidden", "rmse_valid"]


def test_compile_takes_what_it_is_given(model, rng):
    model.compile("sgd", "mse", [RMSE("probed")], run_eagerly=True)
    assert type(model.optimizer) is keras.optimizers.SGD
    inputs = make_inputs(rng)
    targets = make_targets(rng, inputs)
    scores = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "rmse_probed"}
    model.compile(metrics=[])
    assert [metric.name for metric in model.metrics] == ["loss"]


def test_scores_are_those_of_its_outputs(model, rng):
    inputs = make_inputs(rng)
    targets = make_targets(rng, inputs)
    model.compile(run_eagerly=True)
    scores = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    residual = targets["mag"] - np.asarray(model(inputs))
    for name, mask in (("hidden", inputs["hidden"]), ("valid", inputs["valid"])):
        expected = np.sqrt(np.mean(residual[mask] ** 2))
        assert scores[f"rmse_{name}"] == pytest.approx(expected, rel=1e-5)
    weight = targets["probed"] * targets["weight"]
    per_window = (weight * residual**2).sum(axis=1) / targets["probed"].sum(axis=1)
    assert scores["loss"] == pytest.approx(np.sqrt(per_window.mean()), rel=1e-5)


def test_keras_file_restores_the_class(model, tmp_path, rng):
    model.compile(keras.optimizers.Adam(2e-3), metrics=[R2("valid")], run_eagerly=True)
    inputs = make_inputs(rng)
    model.fit(inputs, make_targets(rng, inputs), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is Astromer
    np.testing.assert_array_equal(again(inputs), model(inputs))
    assert type(again.loss) is ReconstructionLoss
    assert [metric.name for metric in again.metrics] == ["loss", "r2_valid"]
    assert float(again.optimizer.learning_rate) == pytest.approx(2e-3)


FRESH_PROCESS_SCRIPT = """
import sys
import keras
from astromer import Astromer
late = [name for name in sys.modules if name.startswith("astromer.inference.")]
print(type(keras.saving.load_model(sys.argv[1]).loss).__name__, *late)
"""


def test_import_of_the_class_is_enough_for_its_keras_file(model, tmp_path):
    model.compile()
    model.save(tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS_SCRIPT, tmp_path / "model.keras"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    # And no more than needed: what applies a model is imported when it is used.
    assert done.stdout.split() == ["ReconstructionLoss"]


def test_fit_and_predict_take_a_dataset_of_light_curves(model, make_light_curve):
    curves = [make_light_curve(length, seed=length) for length in (12, 9, 30)]
    dataset = astromer.load_dataset(curves, window_size=8, batch_size=2, seed=1)
    model.compile(run_eagerly=True)
    history = model.fit(dataset, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    inputs, _ = next(iter(dataset))
    assert model.predict(inputs, verbose=0).shape == (2, 8)


def test_embed_and_reconstruct_are_those_of_inference(model, make_light_curve, capsys):
    curves = [make_light_curve(length) for length in (12, 5)]
    found = model.embed(curves, verbose=False, per="window", layer="all")
    expected = inference.embed(model, curves, per="window", layer="all")
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert np.asarray(found).shape == (3, 3 * 8)
    restored = model.reconstruct(curves, verbose=False, num_folds=2, seed=1)
    same = inference.reconstruct(model, curves, num_folds=2, seed=1)
    np.testing.assert_array_equal(restored.reconstruction, same.reconstruction)
    assert capsys.readouterr() == ("", "")


def test_embed_shows_progress_when_asked(model, make_light_curve, monkeypatch):
    calls = []

    class Recorder:
        def __enter__(self):
            return lambda *state: calls.append(state)

        def __exit__(self, *_):
            return None

    def record(verbose):
        calls.append(verbose)
        return Recorder()

    monkeypatch.setattr("astromer.model.show_progress", record)
    model.embed(make_light_curve(5), verbose=True)
    assert calls == [True, ("embed", 1, 1, "light curves")]


OTHER_BACKEND_SCRIPT = """
import json, sys
import keras, numpy as np
from astromer import Astromer, LightCurve

inputs = dict(np.load(sys.argv[1]))
model = Astromer.from_pretrained(sys.argv[2])
outputs = keras.ops.convert_to_numpy(model(inputs)).tolist()
curve = LightCurve(*np.load(sys.argv[3]))
embedding = np.asarray(model.embed(curve)).tolist()
reconstruction = model.reconstruct(curve).reconstruction.tolist()
targets = {"mag": inputs["mag"], "probed": inputs["valid"]}
targets["weight"] = np.ones_like(inputs["mag"])
# Steps long enough to stand out from dropout, whose draws differ from run to run.
model.compile(keras.optimizers.Adam(2e-2))
losses = model.fit(inputs, targets, epochs=10, verbose=0).history["loss"]
assert losses[-1] < losses[0], losses
assert "tensorflow" not in sys.modules
print(json.dumps([keras.backend.backend(), outputs, embedding, reconstruction]))
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_model_gives_the_same_on_another_backend_and_trains_there(
    backend, model, tmp_path, rng, make_light_curve
):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    inputs, curve = make_inputs(rng), make_light_curve(19)
    np.savez(tmp_path / "inputs.npz", **inputs)
    np.save(tmp_path / "curve.npy", curve.to_array().T)
    path = model.save_pretrained(tmp_path / "mine")
    files = [tmp_path / "inputs.npz", path, tmp_path / "curve.npy"]
    done = subprocess.run(
        [sys.executable, "-c", OTHER_BACKEND_SCRIPT, *files],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    found, outputs, embedding, reconstruction = json.loads(done.stdout)
    assert found == backend
    valid = inputs["valid"]
    expected = np.asarray(model(inputs))
    np.testing.assert_allclose(np.array(outputs)[valid], expected[valid], atol=1e-4)
    np.testing.assert_allclose(embedding, np.asarray(model.embed(curve)), atol=1e-4)
    expected = model.reconstruct(curve).reconstruction
    np.testing.assert_allclose(reconstruction, expected, atol=1e-4)


# --- Classifier

CLASS_NAMES = ["CEP", "EB", "RRab"]
SMALL = {"hidden_units": (6,), "gru_units": 4}


@pytest.fixture
def classifier(model):
    return Classifier.from_astromer(model, CLASS_NAMES, seed=1, **SMALL)


def test_package_offers_the_classifier():
    assert astromer.Classifier is Classifier
    config = astromer.ClassifierConfig(class_names=("a", "b"), **SMALL)
    model = Classifier(tiny_config(), config, seed=0)
    assert model.class_names == ("a", "b")


@pytest.mark.parametrize("head", ["gamma", "input_gru", "raw_gru"])
def test_classifier_takes_what_it_needs_of_a_trained_model(model, head, rng):
    token = model.encoder.get_layer("visible_magnitude").token
    token.assign(0.25)
    classifier = Classifier.from_astromer(
        model, CLASS_NAMES, head=head, dropout=0.1, name="mine", **SMALL
    )
    assert classifier.classifier_config == ClassifierConfig(
        class_names=CLASS_NAMES, head=head, dropout=0.1, **SMALL
    )
    assert (classifier.config, classifier.name) == (model.config, "mine")
    names = {layer.name for layer in classifier.layers}
    assert ("visible_magnitude" in names) == (head != "raw_gru")
    if head != "raw_gru":
        copied = classifier.get_layer("visible_magnitude").token
        assert float(np.asarray(copied)) == 0.25
    if head == "gamma":
        inputs = make_inputs(rng)
        np.testing.assert_array_equal(classifier.encoder(inputs), model.encoder(inputs))
        # A copy: what one learns is not forced on the other.
        token.assign(0.5)
        assert float(np.asarray(copied)) == 0.25


def test_classifier_stands_on_an_encoder_and_its_precision(rng):
    model = Astromer(tiny_config(), seed=0, dtype="mixed_bfloat16")
    first = Classifier.from_astromer(model.encoder, CLASS_NAMES, seed=3, **SMALL)
    again = Classifier.from_astromer(model, CLASS_NAMES, seed=3, **SMALL)
    assert first.dtype_policy.name == "mixed_bfloat16"
    inputs = make_inputs(rng)
    np.testing.assert_array_equal(first(inputs), again(inputs))
    full = Classifier.from_astromer(model, CLASS_NAMES, dtype="float32", **SMALL)
    assert full.dtype_policy.name == "float32"


def test_classifier_refuses_an_unknown_option(model):
    with pytest.raises(
        ConfigError, match=r'"hiden_units"\. Did you mean "hidden_units"'
    ):
        Classifier.from_astromer(model, CLASS_NAMES, hiden_units=(3,))


def test_classifier_returns_from_its_folder(classifier, tmp_path, make_light_curve):
    curves = [make_light_curve(length) for length in (12, 5)]
    path = classifier.save_pretrained(tmp_path / "mine", metadata={"survey": "here"})
    loaded = Classifier.from_pretrained(path)
    assert type(loaded) is Classifier
    np.testing.assert_array_equal(
        loaded.classify(curves, verbose=False),
        classifier.classify(curves, verbose=False),
    )
    assert golden_difference(path, loaded) == 0.0
    assert astromer.describe_preset(path).survey == "here"
    with pytest.raises(PresetError, match=r"Load it with `Classifier\.from_pretrained"):
        Astromer.from_pretrained(path)


def test_preset_of_a_reconstructor_tells_how_to_classify(model, tmp_path):
    path = model.save_pretrained(tmp_path / "mine")
    with pytest.raises(
        PresetError, match=r"`Classifier\.from_astromer\(Astromer\.from"
    ):
        Classifier.from_pretrained(path)


def test_classifier_compiles_with_loss_and_scores_of_windows(classifier, rng):
    inputs, labels = make_inputs(rng), np.array([0, 2, 2])
    classifier.compile(run_eagerly=True)
    assert type(classifier.loss) is ClassificationLoss
    scores = classifier.evaluate(inputs, labels, verbose=0, return_dict=True)
    logits = np.asarray(classifier(inputs), dtype=np.float64)
    assert set(scores) == {"loss", "accuracy", "macro_f1"}
    assert scores["accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    log_sum = np.log(np.exp(logits).sum(axis=1))
    expected = np.mean(log_sum - logits[np.arange(3), labels])
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)
    classifier.compile("sgd", ClassificationLoss(0.1), [], run_eagerly=True)
    assert type(classifier.optimizer) is keras.optimizers.SGD
    scores = classifier.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert set(scores) == {"loss"}
    assert scores["loss"] != pytest.approx(expected, rel=1e-3)


def test_keras_file_restores_the_classifier(classifier, tmp_path, rng):
    inputs, labels = make_inputs(rng), np.array([0, 1, 2])
    classifier.compile(
        keras.optimizers.Adam(2e-3),
        ClassificationLoss(0.1, [1.0, 2.0, 3.0]),
        run_eagerly=True,
    )
    classifier.fit(inputs, labels, verbose=0)
    classifier.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is Classifier
    np.testing.assert_array_equal(again(inputs), classifier(inputs))
    assert again.loss.class_weights == [1.0, 2.0, 3.0]
    assert float(again.optimizer.learning_rate) == pytest.approx(2e-3)
    scores = again.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "accuracy", "macro_f1"}


def test_classifier_fits_and_classifies_light_curves(classifier, make_light_curve):
    curves = [
        make_light_curve(length, seed=length, label=length % 3, class_name=name)
        for length, name in zip((12, 9, 30, 8), "CABC", strict=True)
    ]
    dataset = astromer.load_dataset(
        curves, task="classify", window_size=8, batch_size=2
    )
    classifier.compile(run_eagerly=True)
    history = classifier.fit(dataset, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    found = classifier.classify(curves, verbose=False)
    same = inference.classify(classifier, curves)
    np.testing.assert_array_equal(found, same)
    assert found.class_names == tuple(CLASS_NAMES)
    windows = classifier.classify(curves, verbose=False, per="window")
    assert len(windows) == 2 + 2 + 4 + 1
    vectors = classifier.embed(curves, verbose=False)
    assert np.asarray(vectors).shape == (4, 8)


BACKEND_SCRIPT = """
import json, sys
import keras, numpy as np
from astromer import Classifier, LightCurve

curve = LightCurve(*np.load(sys.argv[1]))
found = {"backend": keras.backend.backend()}
for path in sys.argv[3:]:
    model = Classifier.from_pretrained(path)
    found[path] = np.asarray(model.classify(curve, per="window")).tolist()
inputs = dict(np.load(sys.argv[2]))
model.compile(keras.optimizers.Adam(2e-2))
labels = np.arange(len(inputs["mag"])) % 3
losses = model.fit(inputs, labels, epochs=8, verbose=0).history["loss"]
assert losses[-1] < losses[0], losses
assert "tensorflow" not in sys.modules
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_classifier_gives_the_same_on_another_backend_and_trains_there(
    backend, model, tmp_path, rng, make_light_curve
):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    curve = make_light_curve(19)
    np.save(tmp_path / "curve.npy", curve.to_array().T)
    np.savez(tmp_path / "inputs.npz", **make_inputs(rng))
    expected = {}
    # The last one is trained there, too.
    for head in ("raw_gru", "cls", "attention", "gamma"):
        classifier = Classifier.from_astromer(
            model, CLASS_NAMES, head=head, seed=2, **SMALL
        )
        path = classifier.save_pretrained(tmp_path / head)
        expected[str(path)] = np.asarray(classifier.classify(curve, per="window"))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            BACKEND_SCRIPT,
            tmp_path / "curve.npy",
            tmp_path / "inputs.npz",
            *expected,
        ],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    found = json.loads(done.stdout)
    assert found.pop("backend") == backend
    assert set(found) == set(expected)
    for path, probabilities in expected.items():
        np.testing.assert_allclose(found[path], probabilities, atol=1e-4, err_msg=path)
