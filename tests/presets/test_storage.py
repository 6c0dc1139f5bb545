import hashlib
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from astromer._version import __version__
from astromer.bundled import bundled_folder
from astromer.errors import ConfigError, PresetError
from astromer.models import ClassifierConfig, ClassifierNetwork, Reconstructor
from astromer.presets import (
    describe_preset,
    golden_difference,
    list_presets,
    load_preset,
    save_preset,
)
from tests.models.windows import make_inputs, randomize, tiny_config

CONFIG = tiny_config(residual="none", normalization="light_curve", time_base=1_000.0)
METADATA = {
    "survey": "MACHO",
    "description": "A model for tests.",
    "provenance": "this project",
    "license": "MIT",
    "training": {"steps": 7},
    "metrics": {"r2_hidden": 0.5},
}


@pytest.fixture(scope="module")
def model():
    model = Reconstructor(CONFIG, seed=0)
    randomize(model, np.random.default_rng(5))
    return model


@pytest.fixture(scope="module")
def original(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("presets") / "tiny"
    return save_preset(model, path, metadata=METADATA)


@pytest.fixture
def preset(original, tmp_path):
    """A copy that may be damaged."""
    return Path(shutil.copytree(original, tmp_path / "tiny"))


def edit(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


def test_saved_preset_loads_bit_equal(preset, model, rng):
    loaded = load_preset(preset, Reconstructor)
    assert type(loaded) is Reconstructor
    assert loaded.config == CONFIG
    inputs = make_inputs(rng)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert golden_difference(preset, loaded) == 0.0


def test_golden_difference_sees_a_changed_weight(preset, model):
    loaded = load_preset(preset, Reconstructor)
    kernel = loaded.encoder.blocks[1].attention.value.kernel
    kernel.assign(kernel + 0.01)
    assert golden_difference(preset, loaded) > 1e-4
    (preset / "golden.npz").unlink()
    with pytest.raises(PresetError, match=r"no golden values\. Received: path="):
        golden_difference(preset, model)


def test_preset_loads_by_name(original, folders, model):
    shutil.copytree(original, folders[1] / "mine-2")
    loaded = load_preset("mine-2", Reconstructor)
    assert golden_difference("mine-2", loaded) == 0.0
    assert loaded.name == "astromer_mine_2"


def test_metadata_hold_what_was_given_and_what_is_measured(preset, model):
    info = describe_preset(preset)
    metadata = info.metadata
    assert {name: metadata[name] for name in METADATA} == METADATA
    assert (info.survey, info.license, info.provenance) == (
        "MACHO",
        "MIT",
        "this project",
    )
    assert info.num_parameters == model.count_params()
    weights = (preset / "model.weights.h5").read_bytes()
    assert metadata["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert metadata["versions"]["astromer"] == __version__
    assert metadata["versions"]["keras"] == keras.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", metadata["saved"])


def test_metadata_of_a_user_claim_nothing(model, tmp_path):
    info = describe_preset(save_preset(model, tmp_path / "mine"))
    assert (info.provenance, info.license) == ("saved by a user", "not stated")
    assert (info.survey, info.description) == ("", "")


def test_measured_facts_cannot_be_given(model, tmp_path):
    path = save_preset(model, tmp_path / "mine", metadata={"num_parameters": 1})
    assert describe_preset(path).num_parameters == model.count_params()


def test_metadata_that_are_not_json_leave_a_preset_as_it_was(preset, model):
    before = {path.name: path.read_bytes() for path in preset.iterdir()}
    with pytest.raises(ConfigError, match=r"plain JSON values\..*float32"):
        save_preset(model, preset, metadata={"metrics": {"r2": np.float32(0.5)}})
    assert {path.name: path.read_bytes() for path in preset.iterdir()} == before


def test_config_holds_every_option(preset):
    config = json.loads((preset / "config.json").read_text())
    assert config == {
        "format_version": 1,
        "kind": "reconstructor",
        "encoder": CONFIG.to_dict(),
    }


def test_card_tells_what_the_metadata_hold(preset):
    card = describe_preset(preset).card
    assert card.startswith("# tiny\n\nA model for tests.\n")
    for text in ("| survey | MACHO |", "| license | MIT |", '"steps": 7'):
        assert text in card
    for text in ('"r2_hidden": 0.5', '"time_base": 1000.0', "## Versions"):
        assert text in card


def test_card_given_is_kept(model, tmp_path):
    path = save_preset(model, tmp_path / "mine", card="# Größe\n")
    assert describe_preset(path).card == "# Größe\n"


def test_save_replaces_a_preset_and_keeps_other_files(preset, rng):
    (preset / "notes.txt").write_text("kept")
    other = Reconstructor(tiny_config(num_layers=1), seed=1)
    save_preset(other, preset)
    loaded = load_preset(preset, Reconstructor)
    assert golden_difference(preset, loaded) == 0.0
    inputs = make_inputs(rng)
    np.testing.assert_array_equal(loaded(inputs), other(inputs))
    assert (preset / "notes.txt").read_text() == "kept"


def test_load_without_weights_gives_the_architecture(preset, model):
    (preset / "model.weights.h5").unlink()
    fresh = load_preset(preset, Reconstructor, load_weights=False)
    assert fresh.config == CONFIG
    assert golden_difference(preset, fresh) > 1e-3


def test_load_draws_no_weights_that_a_file_holds(preset, monkeypatch):
    draws = []
    original = keras.initializers.VarianceScaling.__call__
    monkeypatch.setattr(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda self, *args, **kwargs: (
            draws.append(args[0]) or original(self, *args, **kwargs)
        ),
    )
    load_preset(preset, Reconstructor)
    while_loading = len(draws)
    # The four projections and two of the network, in each block.
    load_preset(preset, Reconstructor, load_weights=False)
    assert len(draws) - while_loading >= while_loading + 6 * CONFIG.num_layers
    # What is built afterwards starts as ever.
    assert np.any(Reconstructor(CONFIG).encoder.get_layer("block_0").get_weights()[0])


def test_load_takes_a_dtype(preset, model):
    mixed = load_preset(preset, Reconstructor, dtype="mixed_bfloat16")
    assert mixed.dtype_policy.name == "mixed_bfloat16"
    assert 0.0 < golden_difference(preset, mixed) < 0.3
    for values, same in zip(mixed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(values, same)


def test_load_returns_the_class_asked_for(preset):
    class Child(Reconstructor):
        pass

    assert type(load_preset(preset, Child, load_weights=False)) is Child


def test_damaged_weights_raise(preset):
    path = preset / "model.weights.h5"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(PresetError, match=f"damaged: .*sha256={found}, expected "):
        load_preset(preset, Reconstructor)


def test_missing_weights_raise(preset):
    (preset / "model.weights.h5").unlink()
    with pytest.raises(PresetError, match=r"has no `model\.weights\.h5`.*load_weights"):
        load_preset(preset, Reconstructor)


def test_missing_checksum_raises(preset):
    edit(preset / "metadata.json", weights_sha256=None)
    with pytest.raises(PresetError, match="expected None"):
        load_preset(preset, Reconstructor)


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"format_version": 2}, "format_version=2, kind=reconstructor"),
        ({"format_version": None}, "format_version=None"),
        ({"kind": "regressor"}, "format_version=1, kind=regressor"),
    ],
)
def test_foreign_format_raises(preset, changes, received):
    edit(preset / "config.json", **changes)
    message = f"format 1 and kind reconstructor or classifier.*{received}.*Install"
    with pytest.raises(PresetError, match=message):
        load_preset(preset, Reconstructor)


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        ({"num_layer": 2}, 'Did you mean "num_layers"'),
        ({"dropout": 2.0}, "`dropout` must be at least 0"),
        ({"dropout": "a"}, "`dropout` must be a number"),
        (None, "NoneType"),
    ],
)
def test_config_that_is_no_encoder_raises(preset, encoder, reason):
    edit(preset / "config.json", encoder=encoder)
    with pytest.raises(PresetError, match=f"does not describe a reconstr.*{reason}"):
        load_preset(preset, Reconstructor)


def test_config_without_encoder_raises(preset):
    (preset / "config.json").write_text(
        '{"format_version": 1, "kind": "reconstructor"}'
    )
    with pytest.raises(PresetError, match=r"not describe a reconstructor.*'encoder'"):
        load_preset(preset, Reconstructor)


@pytest.mark.parametrize("change", [{"num_layers": 3}, {"head_dim": 2}])
def test_weights_of_another_config_raise(preset, change):
    edit(preset / "config.json", encoder={**CONFIG.to_dict(), **change})
    with pytest.raises(
        PresetError, match=r"weights do not fit `config\.json`.*could not"
    ):
        load_preset(preset, Reconstructor)


def test_shipped_presets_give_what_they_gave_when_saved(monkeypatch):
    monkeypatch.undo()
    shipped = bundled_folder("presets")
    presets = [preset for preset in list_presets() if preset.path.parent == shipped]
    assert [preset.name for preset in presets] == ["macho", "macho-period", "mini"]
    for preset in presets:
        kind = json.loads((preset.path / "config.json").read_text())["kind"]
        classes = {"reconstructor": Reconstructor, "classifier": ClassifierNetwork}
        model = load_preset(preset.name, classes[kind])
        assert golden_difference(preset.name, model) < 1e-4, preset.name
        assert preset.num_parameters == model.count_params()
        assert preset.card.startswith("#")


# --- Classifiers

CLASSIFIER = ClassifierConfig(
    class_names=("EB", "RRab", "RRc"), hidden_units=(5,), dropout=0.1, unfrozen_blocks=1
)


@pytest.fixture
def classifier():
    model = ClassifierNetwork(CONFIG, CLASSIFIER, seed=0)
    randomize(model, np.random.default_rng(5))
    return model


def test_saved_classifier_loads_bit_equal(classifier, tmp_path, rng):
    path = save_preset(classifier, tmp_path / "mine", metadata=METADATA)
    loaded = load_preset(path, ClassifierNetwork)
    assert (loaded.config, loaded.classifier_config) == (CONFIG, CLASSIFIER)
    inputs = make_inputs(rng)
    np.testing.assert_array_equal(loaded(inputs), classifier(inputs))
    assert golden_difference(path, loaded) == 0.0
    kernel = loaded.get_layer("output").kernel
    kernel.assign(kernel + 0.01)
    assert golden_difference(path, loaded) > 1e-4
    trainable = len(loaded.trainable_weights)
    assert trainable == len(classifier.trainable_weights) < len(loaded.weights)


def test_config_of_a_classifier_holds_both_parts(classifier, tmp_path):
    path = save_preset(classifier, tmp_path / "mine")
    assert json.loads((path / "config.json").read_text()) == {
        "format_version": 1,
        "kind": "classifier",
        "encoder": CONFIG.to_dict(),
        "classifier": CLASSIFIER.to_dict(),
    }
    card = describe_preset(path).card
    assert '"RRab"' in card.partition("## Classifier")[2]
    assert '"time_base": 1000.0' in card.partition("## Encoder")[2]


def test_classifier_of_a_reconstructors_preset_names_both_and_the_way(preset):
    message = (
        "`ClassifierNetwork` loads a classifier, and the preset holds a reconstructor, "
        f"the class `Astromer`. Received: preset={preset}, kind=reconstructor. Put a "
        "new classifier on it with `ClassifierNetwork.from_astromer("
        f'Astromer.from_pretrained("{preset}"), class_names)`.'
    )
    with pytest.raises(PresetError, match=f"^{re.escape(message)}$"):
        load_preset(preset, ClassifierNetwork)


def test_reconstructor_of_a_classifiers_preset_names_both_and_the_way(
    classifier, tmp_path
):
    path = save_preset(classifier, tmp_path / "mine")
    message = (
        "`Reconstructor` loads a reconstructor, and the preset holds a classifier, the "
        f"class `Classifier`. Received: preset={path}, kind=classifier. "
        f'Load it with `Classifier.from_pretrained("{path}")`.'
    )
    with pytest.raises(PresetError, match=f"^{re.escape(message)}$"):
        load_preset(path, Reconstructor)


@pytest.mark.parametrize(
    ("section", "options", "reason"),
    [
        ("classifier", None, "NoneType"),
        ("classifier", {"class_names": ["a"]}, "two or more different classes"),
        ("classifier", {"head": "gamma"}, "class_names"),
        (
            "classifier",
            {"class_names": ["a", "b"], "unfrozen_blocks": 3},
            "num_layers=2",
        ),
        ("encoder", {"dropout": 2.0}, "`dropout` must be at least 0"),
    ],
)
def test_config_that_is_no_classifier_raises(
    section, options, reason, classifier, tmp_path
):
    path = save_preset(classifier, tmp_path / "mine")
    edit(path / "config.json", **{section: options})
    with pytest.raises(PresetError, match=f"does not describe a classifier.*{reason}"):
        load_preset(path, ClassifierNetwork)


def test_loading_says_in_one_line_what_the_preset_is(preset, caplog):
    with caplog.at_level("INFO", logger="astromer"):
        loaded = load_preset(preset, Reconstructor)
    (line,) = caplog.messages
    assert line == (
        f"{preset.name}: A model for tests. {loaded.count_params():,} parameters; "
        "this project; license: MIT."
    )


def test_preset_that_cannot_be_written_leaves_the_one_there_was(
    preset, model, monkeypatch
):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in preset.iterdir()}
    other = Reconstructor(CONFIG, seed=9)
    monkeypatch.setattr("astromer.presets.storage.np.savez", fail)
    with pytest.raises(OSError, match="No space left"):
        save_preset(other, preset)
    assert {path.name: path.read_bytes() for path in preset.iterdir()} == before
    assert not list(preset.parent.glob(".preset-*"))
    np.testing.assert_array_equal(
        load_preset(preset, Reconstructor).get_weights()[0], model.get_weights()[0]
    )


def test_home_is_understood_where_a_preset_is_saved(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert save_preset(model, "~/mine") == tmp_path / "mine"
    assert describe_preset("~/mine").path == tmp_path / "mine"


def test_preset_in_a_folder_with_an_accent_is_a_model_to_call(model, tmp_path, rng):
    path = save_preset(model, tmp_path / "étoile")
    loaded = load_preset(path, Reconstructor)
    assert loaded.name == "astromer__toile"
    inputs = make_inputs(rng)
    found = loaded.predict(inputs, verbose=0)
    np.testing.assert_allclose(found, model(inputs), atol=1e-6)


def test_run_without_a_preset_yet_says_so(tmp_path):
    (tmp_path / "config.json").write_text('{"format": "astromer run"}')
    with pytest.raises(PresetError, match=r"once it has ended.*none yet.*--resume"):
        load_preset(tmp_path, Reconstructor)
