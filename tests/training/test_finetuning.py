import keras
import numpy as np
import pytest

from astromer.errors import ConfigError, RunError
from astromer.models import Reconstructor
from astromer.presets import describe_preset, load_preset, save_preset
from astromer.training import (
    FinetuneOptions,
    PretrainOptions,
    finetune,
    set_trainable,
)
from astromer.training.run_folder import RunFolder
from tests.models.windows import make_inputs, tiny_config
from tests.training.conftest import make_curves

CURVES = {"train": make_curves(16)}
QUICK = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 8, "learning_rate": 0.1}
NAMES = ("visible_magnitude", "magnitude_embedding", "block_0", "block_1", "block_2")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A preset of three blocks, without dropout."""
    path = tmp_path_factory.mktemp("finetune") / "start"
    model = Reconstructor(tiny_config(num_layers=3, dropout=0.0), seed=1)
    return save_preset(model, path, metadata={"license": "MIT"})


def by_layer(model):
    """Return the weights of each layer that has some."""
    layers = [*model.encoder.layers, *map(model.get_layer, ("head_norm", "head_dense"))]
    return {layer.name: layer.get_weights() for layer in layers if layer.weights}


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("all", {*NAMES, "head_norm", "head_dense"}),
        ("head", {"head_norm", "head_dense"}),
        (1, {"block_2", "head_norm", "head_dense"}),
        (3, {"block_0", "block_1", "block_2", "head_norm", "head_dense"}),
        (("block_0", "head_norm"), {"block_0", "head_norm"}),
        (
            ["head", "visible_magnitude"],
            {"head_norm", "head_dense", "visible_magnitude"},
        ),
    ],
)
def test_layers_to_train_are_chosen(which, expected):
    model = Reconstructor(tiny_config(num_layers=3), seed=1)
    set_trainable(model, which)
    found = {
        name for name in by_layer(model) if _layer(model, name).trainable_variables
    }
    assert found == expected
    # The choice may be taken back.
    set_trainable(model, "all")
    assert len(model.trainable_variables) == len(model.weights)


def _layer(model, name):
    source = model if name.startswith("head") else model.encoder
    return source.get_layer(name)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (4, r"has 3 blocks\. Received: trainable=4"),
        (["block_3"], 'layer="block_3".*block_2'),
        (["haed"], 'Did you mean "head"'),
    ],
)
def test_layer_that_does_not_exist_is_refused(which, message):
    model = Reconstructor(tiny_config(num_layers=3), seed=1)
    with pytest.raises(ConfigError, match=message):
        set_trainable(model, which)


def test_only_what_is_trainable_moves(preset, tmp_path):
    result = finetune(preset, CURVES, tmp_path / "run", trainable="1", **QUICK)
    before = by_layer(load_preset(preset, Reconstructor))
    after = by_layer(load_preset(result.preset, Reconstructor))
    moved = {
        name
        for name in before
        if any((a != b).any() for a, b in zip(before[name], after[name], strict=True))
    }
    assert moved == {"block_2", "head_norm", "head_dense"}
    stored = describe_preset(result.preset).metadata["training"]
    assert stored["kind"] == "finetune"
    options = FinetuneOptions.from_dict(stored["options"])
    assert options.trainable == 1
    # The preset says of no objective.
    assert options.objective == PretrainOptions().objective
    assert stored["model"]["start"]["preset"] == "start"
    assert "from the preset start" in describe_preset(result.preset).description
    card = (result.folder / "README.md").read_text()
    assert "finetuned to predict hidden magnitudes of 16 light curves" in card


def test_objective_is_handed_down_but_for_what_is_given(tmp_path):
    masking = {"probed_fraction": 0.4, "random_fraction": 0.0}
    learned = PretrainOptions(
        loss="scaled", error_weights="released", masking=masking
    ).objective
    facts = {"license": "MIT", "objective": learned}
    model = Reconstructor(tiny_config(num_layers=1, dropout=0.0), seed=1)
    start = save_preset(model, tmp_path / "start", metadata=facts)
    first = finetune(start, CURVES, tmp_path / "first", **QUICK)
    second = finetune(first.preset, CURVES, tmp_path / "second", loss="paper", **QUICK)
    for result, expected in ((first, learned), (second, {**learned, "loss": "paper"})):
        stored = describe_preset(result.preset).metadata
        options = FinetuneOptions.from_dict(stored["training"]["options"])
        assert stored["objective"] == options.objective == expected


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_two_and_two_epochs_are_four(preset, tmp_path):
    options = {**QUICK, "steps_per_epoch": 2, "schedule": "constant"}
    whole = finetune(preset, CURVES, tmp_path / "whole", **{**options, "epochs": 4})
    finetune(preset, CURVES, tmp_path / "parts", **{**options, "epochs": 2})
    parts = finetune(preset, CURVES, tmp_path / "parts", resume=True, epochs=4)
    assert parts.history == whole.history
    models = [load_preset(r.preset, Reconstructor) for r in (whole, parts)]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


def test_run_is_not_resumed_from_another_preset(preset, tmp_path):
    finetune(preset, CURVES, tmp_path / "run", **QUICK)
    other = Reconstructor(tiny_config(num_layers=3, dropout=0.0), seed=2)
    save_preset(other, tmp_path / "start")
    with pytest.raises(RunError, match=r"model\.start="):
        finetune(tmp_path / "start", CURVES, tmp_path / "run", resume=True)
    with pytest.raises(RunError, match='"finetune", not "pretrain"'):
        RunFolder.open(tmp_path / "run", "pretrain", resume=True)


def test_file_with_an_architecture_is_refused(preset, tmp_path):
    (tmp_path / "run.toml").write_text("[encoder]\nnum_layers = 2\n")
    with pytest.raises(ConfigError, match="preset has its own architecture"):
        finetune(preset, CURVES, tmp_path / "run", options=tmp_path / "run.toml")


@pytest.mark.parametrize(
    ("which", "acts"),
    [("all", True), ("head", False), (1, False), ("magnitude_embedding", True)],
)
def test_dropout_does_not_act_on_what_a_frozen_encoder_gives(which, acts, rng):
    model = Reconstructor(tiny_config(dropout=0.5), seed=0)
    set_trainable(model, which)
    inputs = make_inputs(rng)
    first = model.encoder.layer_sequences[0]
    network = keras.Model(model.encoder.input, first)
    trained, inferred = (network(inputs, training=on) for on in (True, False))
    assert (np.asarray(trained) != np.asarray(inferred)).any() == acts
