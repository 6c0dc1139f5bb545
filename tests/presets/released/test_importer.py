"""Released models to presets: the same numbers, or nothing at all."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from astromer import Astromer, LightCurve
from astromer.errors import ConfigError, PresetError
from astromer.models import EncoderConfig, Reconstructor
from astromer.presets import (
    describe_preset,
    golden_difference,
    import_released,
    list_presets,
    load_preset,
    registry,
)
from astromer.presets.official import OFFICIAL
from astromer.presets.released import importer
from astromer.presets.released.translate import variables_of
from tests.models.windows import make_inputs
from tests.presets.released.layout import (
    CONF_JSON,
    CONFIG_TOML,
    WINDOW,
    compute,
    released_tensors,
    write_release,
)

ROOT = Path(__file__).resolve().parents[3]
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def windows(rng):
    inputs = make_inputs(rng, sizes=(WINDOW, 7, 3), window_size=WINDOW)
    # Slow enough for float32 sines.
    inputs["time"] /= 10.0
    return inputs


def everything_below(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


# --- The same numbers


def test_imported_model_computes_what_the_released_code_does(release, tensors, rng):
    path = import_released(release)
    assert path == registry.user_folder() / "macho_x"
    model = Astromer.from_pretrained("macho_x")
    inputs = windows(rng)
    valid = inputs["valid"]
    expected = compute(tensors, inputs)
    found = np.asarray(model(inputs))
    np.testing.assert_allclose(found[valid], expected[valid], atol=2e-5)
    # Nothing hidden is another result, so the mask is at work.
    other = compute(tensors, {**inputs, "hidden": np.zeros_like(valid)})
    assert np.abs(other - expected)[valid].max() > 1e-3
    assert golden_difference(path, model) == 0.0


def test_folder_gives_the_same_as_its_zip(release, tensors, tmp_path):
    first = load_preset(import_released(release), Reconstructor)
    second = import_released(tmp_path / "release")
    assert second.name == "release"
    for a, b in zip(
        first.get_weights(),
        load_preset(second, Reconstructor).get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_checkpoint_of_a_training_run_is_imported(tensors, tmp_path):
    beside = {
        "optimizer/_iterations": np.array(7),
        "layer_with_weights-0/inp_transform/bias/.OPTIMIZER_SLOT/optimizer/m": np.ones(
            6, np.float32
        ),
        "save_counter": np.array(3),
    }
    path = import_released(write_release(tmp_path / "run", {**tensors, **beside}))
    left_out = describe_preset(path).metadata["left_out_tensors"]
    assert set(left_out) == {f"{name}{VALUE}" for name in beside}
    assert "save_counter" in describe_preset(path).card


# Layers as Keras 2 lists them: released path and name in the file, in order.
KERAS2 = {
    "inp_transform": "encoder/dense",
    "mha/wq": "encoder/{layer}/multi_head_attention/WQ",
    "mha/wk": "encoder/{layer}/multi_head_attention/WK",
    "mha/wv": "encoder/{layer}/multi_head_attention/WV",
    "mha/dense": "encoder/{layer}/multi_head_attention/MixerDense",
    "ffn/layer_with_weights-0": "dense_{first}",
    "ffn/layer_with_weights-1": "dense_{second}",
    "layernorm1": "encoder/{layer}/layer_normalization",
    "layernorm2": "encoder/{layer}/layer_normalization_1",
    "bn_0": "regression/layer_normalization_4",
    "reg_layer": "regression/RegLayer",
}


def write_keras2(path, tensors):
    names = {}
    for key, values in tensors.items():
        owner, _, variable = key.rpartition("/")
        found = re.search(r"enc_layers/(\d+)/(.+)", owner)
        index, part = (int(found[1]), found[2]) if found else (0, owner.split("/")[1])
        layer = "encoder_layer" + (f"_{index}" if index else "")
        name = KERAS2[part].format(
            layer=layer, first=2 * index + 1, second=2 * index + 2
        )
        names[f"{name}/{variable}:0"] = values
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"input", b"encoder", b"regression"]
        file.create_group("input").attrs["weight_names"] = []
        for group in ("encoder", "regression"):
            mine = [n for n in names if n.startswith("regr") == (group[0] == "r")]
            file.create_group(group).attrs["weight_names"] = [n.encode() for n in mine]
            for name in mine:
                file[group][name] = names[name]


def test_keras2_weights_give_the_same_as_the_checkpoint(tmp_path, rng):
    tensors = released_tensors(residuals=False)
    folder = write_release(tmp_path / "checkpoint", tensors)
    write_keras2(tmp_path / "weights.h5", tensors)
    with zipfile.ZipFile(tmp_path / "atlas.zip", "w") as archive:
        archive.write(tmp_path / "weights.h5", "atlas/weights.h5")
        archive.write(folder / "conf.json", "atlas/conf.json")
    inputs = windows(rng)
    first = load_preset(import_released(folder), Reconstructor)
    second = load_preset(import_released(tmp_path / "atlas.zip"), Reconstructor)
    np.testing.assert_array_equal(first(inputs), second(inputs))


def test_global_precision_does_not_reach_the_weights(simple):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        path = import_released(simple)
    finally:
        keras.config.set_dtype_policy("float32")
    assert golden_difference(path, load_preset(path, Reconstructor)) == 0.0


JAX_SCRIPT = """
import json, sys
import numpy as np
from astromer.models import Reconstructor
from astromer.presets import import_released, load_preset

model = load_preset(import_released(sys.argv[1]), Reconstructor)
outputs = np.asarray(model(dict(np.load(sys.argv[2])))).tolist()
assert "tensorflow" not in sys.modules
print(json.dumps(outputs))
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_import_needs_no_tensorflow(simple, tmp_path, rng):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax, which is not installed")
    inputs = windows(rng)
    np.savez(tmp_path / "inputs.npz", **inputs)
    done = subprocess.run(
        [sys.executable, "-c", JAX_SCRIPT, simple, tmp_path / "inputs.npz"],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    found, valid = np.array(json.loads(done.stdout)), inputs["valid"]
    expected = compute(released_tensors(residuals=False), inputs)
    np.testing.assert_allclose(found[valid], expected[valid], atol=2e-5)


# --- What the preset says of itself


def test_metadata_name_source_switches_and_options(release, tensors):
    residuals = any("reshape_leak" in path for path in tensors)
    info = describe_preset(import_released(release))
    number = sum(values.size for values in tensors.values())
    assert info.num_parameters == number
    assert info.description == f"Astromer {1 + residuals}, imported from macho_x.zip"
    assert (info.survey, info.provenance) == ("not stated", "not stated")
    assert info.license == "not stated by the authors"
    assert ("2026" if residuals else "2023") in info.metadata["citation"]
    source = info.metadata["source"]
    assert source["file"] == "macho_x.zip"
    assert source["sha256"] == hashlib.sha256(release.read_bytes()).hexdigest()
    with zipfile.ZipFile(release) as archive:
        assert source["files"] == {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in sorted(archive.namelist())
        }
    switches = {k: v["value"] for k, v in info.metadata["switches"].items()}
    expected = {"hidden_magnitude": "leak", "time_base": 10_000.0}
    if not residuals:
        expected["attention_mask"] = "released_astromer1"
    assert switches == expected
    options = CONFIG_TOML if residuals else CONF_JSON
    assert info.metadata["training"]["lr"] == options["lr"]
    overruled = {said["option"] for said in info.metadata["overruled_options"]}
    assert overruled == ({"pe_base"} if residuals else {"base", "head_dim"})
    assert info.metadata["overrides"] == {}


def test_card_says_all_of_it_and_how_to_mask_honestly(release, tensors):
    info = describe_preset(import_released(release, name="mine"))
    card = info.card
    assert card.startswith("# mine\n\nAstromer ")
    source = info.metadata["source"]
    for text in (source["file"], source["sha256"], *source["files"].values()):
        assert text in card
    for text in (info.license, info.metadata["citation"], f"{info.num_parameters:,}"):
        assert text in card
    for field, switch in info.metadata["switches"].items():
        assert f"| {field} | {switch['value']} | {switch['why']} |" in card
    for said in info.metadata["overruled_options"]:
        assert f"| {said['option']} | {said['said']} | {said['counts']} |" in card
    command = re.search(r"astromer presets import (.+)", card)[1].split()
    assert command[:3] == ["macho_x.zip", "--name", "mine-masked"]
    sets = dict(text.split("=") for text in command[4::2])
    assert sets["hidden_magnitude"] == "zero"
    # What it advises hides magnitudes.
    masked = load_preset(
        import_released(release, name=command[2], overrides=sets), Reconstructor
    )
    inputs = windows(np.random.default_rng(2))
    changed = np.where(inputs["hidden"], inputs["mag"] + 9.0, inputs["mag"])
    np.testing.assert_array_equal(
        masked(inputs), masked({**inputs, "mag": changed.astype(np.float32)})
    )
    again = describe_preset(command[2])
    assert "Honest masking" not in again.card
    assert again.metadata["overrides"] == sets
    assert "| hidden_magnitude | zero |" in again.card
    assert again.description.endswith("with other options")


def test_options_that_json_does_not_know_are_written_as_text(tmp_path):
    folder = write_release(tmp_path / "r", released_tensors(residuals=True))
    with open(folder / "config.toml", "a") as stream:
        stream.write("\nexp_name = 2025-01-02T03:04:05\n")
    metadata = describe_preset(import_released(folder)).metadata
    assert metadata["training"]["exp_name"] == "2025-01-02 03:04:05"


# --- Tokens


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({}, 0.25),
        ({"hidden_magnitude": "token"}, 0.25),
        ({"hidden_magnitude": "zero"}, None),
    ],
)
def test_token_of_the_release_is_kept_unless_it_is_not_wanted(
    tmp_path, overrides, expected
):
    tensors = released_tensors(residuals=True)
    tensors["layer_with_weights-2/msk_token"] = np.full((1, 1), 0.25, np.float32)
    path = import_released(write_release(tmp_path / "r", tensors), overrides=overrides)
    token = variables_of(load_preset(path, Reconstructor)).get("mask_token")
    assert token is None if expected is None else float(token) == expected
    left_out = describe_preset(path).metadata["left_out_tensors"]
    assert len(left_out) == (expected is None)


def test_token_that_the_release_lacks_starts_at_zero(simple):
    path = import_released(simple, overrides={"hidden_magnitude": "token"})
    token = variables_of(load_preset(path, Reconstructor))["mask_token"]
    assert float(token) == 0.0


# --- Names and places


def test_folder_is_where_the_preset_goes(simple, tmp_path):
    path = import_released(simple, name="mine", folder=tmp_path / "new" / "place")
    assert path == tmp_path / "new" / "place" / "mine"
    assert [p.name for p in path.parent.iterdir()] == ["mine"]
    assert golden_difference(path, Astromer.from_pretrained(path)) == 0.0
    assert list_presets() == []


def test_existing_preset_is_replaced_only_if_told(simple, tmp_path):
    path = import_released(simple)
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    with pytest.raises(
        PresetError, match=r"exists\. Received: name=macho_x.*--replace"
    ):
        import_released(simple, overrides={"hidden_magnitude": "zero"})
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before
    import_released(simple, overrides={"hidden_magnitude": "zero"}, replace=True)
    assert describe_preset("macho_x").metadata["overrides"]
    assert [p.name for p in path.parent.iterdir()] == ["macho_x"]


def test_failed_replacement_leaves_the_preset(simple, monkeypatch):
    path = import_released(simple)
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    rename = Path.rename

    def fail(self, target):
        if target == path and self.name == "macho_x":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space left"):
        import_released(simple, replace=True)
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before
    assert [p.name for p in path.parent.iterdir()] == ["macho_x"]


def test_failed_save_leaves_nothing(simple, monkeypatch, folders):
    def fail(model, path, **_):
        path.mkdir()
        (path / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importer, "save_preset", fail)
    with pytest.raises(OSError, match="No space left"):
        import_released(simple)
    assert everything_below(folders[1]) == []


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../up", "a b", "-x", "ä"])
def test_name_that_is_no_name_is_refused(simple, name, folders):
    with pytest.raises(PresetError, match=rf"Received: name={re.escape(repr(name))}"):
        import_released(simple, name=name)
    assert everything_below(folders[1]) == []


def test_name_of_what_ships_is_refused(simple, folders, write_preset):
    write_preset(folders[0], "macho")
    for replace in (False, True):
        with pytest.raises(PresetError, match=r"ships.*Received: name=macho"):
            import_released(simple, name="macho", replace=replace)
    # Elsewhere it takes nobody's place.
    import_released(simple, name="macho", folder=folders[1].parent / "other")


def test_place_of_something_else_is_refused(simple, folders):
    (folders[1] / "mine").mkdir()
    (folders[1] / "mine" / "notes.txt").write_text("kept")
    with pytest.raises(PresetError, match="Something else is in the preset's place"):
        import_released(simple, name="mine", replace=True)
    assert (folders[1] / "mine" / "notes.txt").read_text() == "kept"


def test_official_name_stands_for_the_official_file(simple, folders):
    name = "macho-astromer1-official"
    found = hashlib.sha256(simple.read_bytes()).hexdigest()
    expected = OFFICIAL[name].checksum
    message = f"macho_a0.zip with sha256 {expected}.*sha256 {found}.*another `name`"
    with pytest.raises(PresetError, match=message):
        import_released(simple, name=name)
    with pytest.raises(PresetError, match="md5 none, as it is a folder"):
        import_released(simple.parent / "release", name="macho-astromer2-official")
    assert everything_below(folders[1]) == []


# --- Refusals


def assert_refused(path, message, folders, **options):
    with pytest.raises(PresetError, match=message):
        import_released(path, **options)
    assert everything_below(folders[1]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {
                "layer_with_weights-0/enc_layers/1/ffn/layer_with_weights-0/kernel": (
                    6,
                    4,
                )
            },
            r"-0/kernel\S* \(block_1/ffn_hidden/kernel\) of shape \(6, 4\), expected \(6",
        ),
        (
            {"layer_with_weights-0/enc_layers/1/mha/wk/bias": None},
            r"missing: block_1/key/bias; left over: none",
        ),
        (
            {"layer_with_weights-1/reg_layer/kernel": None},
            r"missing: regression/dense/kernel; left",
        ),
        (
            {"layer_with_weights-2/kernel": (6, 4)},
            r"missing: none; left over: layer_with_weights-2/kernel",
        ),
        (
            {"layer_with_weights-0/enc_layers/3/mha/wk/bias": (6,)},
            r"layers=2 \(the weights say num_layers=3\)",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, folders, change, message):
    tensors = released_tensors(residuals=False)
    for key, shape in change.items():
        tensors.pop(key, None)
        if shape is not None:
            tensors[key] = np.zeros(shape, np.float32)
    assert_refused(write_release(tmp_path / "r", tensors), message, folders)


def test_blocks_with_a_gap_are_named(tmp_path, folders):
    tensors = released_tensors(residuals=False)
    moved = {
        key.replace("layers/1/", "layers/999999999/"): v for key, v in tensors.items()
    }
    message = r"missing: block_1/query/kernel.*left over: .*enc_layers/999999999/mha/wq"
    assert_refused(write_release(tmp_path / "r", moved), message, folders)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((6, 1), np.nan, np.float32), "NaN or infinity"),
        (np.full((6, 1), np.inf, np.float32), "NaN or infinity"),
        (np.zeros((6, 1)), "float64"),
        (np.zeros((6, 1), np.int32), "int32"),
    ],
)
def test_values_that_are_no_weights_are_refused(tmp_path, folders, values, message):
    tensors = released_tensors(residuals=True)
    tensors["layer_with_weights-1/reg_layer/kernel"] = values
    message = rf"layer_with_weights-1/reg_layer/kernel\S* .*{message}"
    assert_refused(write_release(tmp_path / "r", tensors), message, folders)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_layers": 3}, "missing: block_2/query/kernel"),
        ({"num_layers": 1}, "left over: .*enc_layers/1/mha/wq/kernel"),
        ({"intermediate_dim": 7}, r"of shape \(6, 5\), expected \(6, 7\)"),
        ({"head_dim": 2}, r"of shape \(6, 6\), expected \(6, 4\)"),
    ],
)
def test_override_that_the_weights_contradict_is_refused(
    simple, folders, overrides, message
):
    assert_refused(simple, message, folders, overrides=overrides)


def test_invalid_override_is_the_callers_error(simple, folders):
    with pytest.raises(ConfigError, match="Unknown hidden_magnitude"):
        import_released(simple, overrides={"hidden_magnitude": "none"})
    assert everything_below(folders[1]) == []


def test_unknown_option_stops_unless_decided(tmp_path, folders):
    options = {**CONFIG_TOML, "mask_format": "first", "new": 1}
    folder = write_release(tmp_path / "r", released_tensors(residuals=True), options)
    message = rf"mask_format='first'.*new=1.*in {folder}/config\.toml"
    assert_refused(folder, message, folders)
    path = import_released(
        folder, overrides={"attention_mask": "exclude"}, ignore=["new"]
    )
    card = describe_preset(path).card
    assert "| mask_format | first | attention_mask='exclude' | set at import" in card
    assert "| new | 1 | nothing | ignored at import, as told |" in card


@pytest.mark.parametrize("head", ["classifier", "none"])
def test_weights_without_reconstruction_head_are_refused(tmp_path, folders, head):
    tensors = {
        path: values
        for path, values in released_tensors(residuals=True).items()
        if not path.startswith("layer_with_weights-1")
    }
    expected = "none"
    if head == "classifier":
        tensors["layer_with_weights-1/kernel"] = np.zeros((6, 8), np.float32)
        tensors["layer_with_weights-1/bias"] = np.zeros(8, np.float32)
        expected = "layer_with_weights-1/bias"
    message = rf"no reconstruction head: .*Received: path=\S+, with other.*{expected}"
    assert_refused(write_release(tmp_path / "r", tensors), message, folders)


def test_checkpoint_of_another_model_is_refused(tmp_path, folders):
    tensors = {"dense/kernel": np.zeros((2, 2), np.float32)}
    folder = write_release(tmp_path / "r", tensors)
    message = r"not those of a released model.*1 others \(dense/kernel"
    assert_refused(folder, message, folders)


def test_damaged_checkpoint_leaves_nothing(tmp_path, folders):
    folder = write_release(tmp_path / "r", released_tensors(residuals=True))
    for suffix in (".index", ".data-00000-of-00001"):
        path = folder / f"weights{suffix}"
        content = path.read_bytes()
        path.write_bytes(content[:-1] + b"\xff")
        assert_refused(folder, "Received: path=", folders)
        path.write_bytes(content)
    (folder / "weights.data-00000-of-00001").unlink()
    assert_refused(folder, "A shard of the checkpoint is missing", folders)


def test_refusal_does_not_make_the_folder(simple, tmp_path):
    with pytest.raises(PresetError, match="expected"):
        import_released(
            simple, folder=tmp_path / "new", overrides={"intermediate_dim": 7}
        )
    assert not (tmp_path / "new").exists()


# --- The published files

REFERENCES = {
    "macho_a0.zip": "astromer1_macho",
    "released_layout_astromer2_random": "astromer2_random",
}
NAMES = {
    "macho_a0.zip": "macho-astromer1-official",
    "released_layout_astromer2_random": "released_layout_astromer2_random",
}


@pytest.mark.parametrize("file", REFERENCES)
def test_published_weights_arrive_exactly_and_reconstruct(shared, file):
    folder = shared / "reference"
    assert import_released(folder / file).name == NAMES[file]
    model = Astromer.from_pretrained(NAMES[file])
    variables = variables_of(model)
    with np.load(folder / f"{REFERENCES[file]}_weights.npz") as stored:
        weights = {role: stored[role] for role in stored if role != "mask_token"}
    assert set(weights) == set(variables)
    for role, expected in weights.items():
        np.testing.assert_array_equal(np.asarray(variables[role]), expected, role)

    with np.load(folder / f"{REFERENCES[file]}.npz") as stored:
        arrays = dict(stored)
    valid = np.arange(200) < arrays["lengths"][:, None]
    probed = "probed_" if file == "macho_a0.zip" else "probed_asbuilt_"
    for prefix, result in (("", ""), ("probed_", probed)):
        inputs = {
            "time": arrays["times"][..., 0],
            "mag": arrays[f"{prefix}input"][..., 0],
            "valid": valid,
            "hidden": (arrays[f"{prefix}mask_in"][..., 0] > 0) & valid,
        }
        np.testing.assert_allclose(
            np.asarray(model(inputs))[valid],
            arrays[f"{result}reconstruction"][..., 0][valid],
            atol=2e-4,
        )


def test_published_model_embeds_what_the_authors_library_does(shared):
    import_released(shared / "reference" / "macho_a0.zip")
    model = Astromer.from_pretrained("macho-astromer1-official")
    with np.load(shared / "reference" / "astromer1_macho.npz") as arrays:
        for number in range(8):
            curve = arrays[f"curve_{number}"]
            expected = arrays[f"library_encode_{number}"]
            # The library rounds MJD to float32 before it takes their mean, so that its
            # times are off by up to 0.017 d. A wrong padding would be off by 0.3 to 7.
            found = np.asarray(
                model.embed(LightCurve.from_array(curve), per="observation")
            )
            np.testing.assert_allclose(found, expected, atol=0.1)
            np.testing.assert_allclose(found.mean(0), expected.mean(0), atol=0.01)


def test_published_keras2_weights_embed_a_curve(shared, make_light_curve):
    path = import_released(shared / "reference" / "atlas_a0.zip")
    model = Astromer.from_pretrained("atlas_a0")
    assert model.count_params() == 661_505
    assert model.config == EncoderConfig.from_name(
        "astromer1", hidden_magnitude="leak", attention_mask="released_astromer1"
    )
    curves = [make_light_curve(60, seed=seed) for seed in range(2)]
    found = np.asarray(model.embed(curves))
    assert found.shape == (2, 256)
    assert np.isfinite(found).all()
    assert np.abs(found[0] - found[1]).max() > 0.01
    assert describe_preset(path).metadata["source"]["files"]


def test_published_mask_format_stops_unless_decided(shared, folders):
    path = shared / "reference" / "macho_1.zip"
    message = r"mask_format='first' \(only 'K' is understood\); in \S+/config\.toml\."
    assert_refused(path, message, folders)
    made = import_released(path, overrides={"attention_mask": "exclude"})
    assert load_preset(made, Reconstructor).config.dropout == 0.0


def test_official_file_keeps_its_name_for_itself(shared, folders):
    path = shared / "reference" / "macho_a0.zip"
    name = "macho-astromer1-official"
    overrides = {"hidden_magnitude": "zero"}
    assert_refused(path, "as released", folders, name=name, overrides=overrides)
    assert import_released(path, overrides=overrides).name == "macho_a0"
    info = describe_preset(import_released(path))
    assert (info.name, info.provenance, info.survey) == (name, "the authors", "MACHO")
    assert info.metadata["source"]["url"] == OFFICIAL[name].url


def test_published_classifiers_are_refused(shared, tmp_path, folders):
    text = (shared / "reference" / "released_index_shapes.txt").read_text()
    kinds = {part.split("\n")[0]: part for part in text.split("===== ")[1:]}
    assert len(kinds) == 14
    # The two layouts: an encoder whole, and one in pieces.
    for kind in ("alcock_avg", "alcock_skip"):
        shapes = dict(re.findall(r"^ +(\S+) \[(.*)\]$", kinds[kind], re.MULTILINE))
        tensors = {
            key: np.zeros(json.loads(f"[{shape}]"), np.float32)
            for key, shape in shapes.items()
        }
        folder = write_release(tmp_path / kind, tensors)
        assert_refused(folder, "they are of a classifier", folders)
        shutil.rmtree(folder)
