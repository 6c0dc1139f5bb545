"""Old options to new ones: what is believed, what is not, and what stops."""

import dataclasses
import json
import re

import pytest

from astromer.errors import ConfigError, PresetError
from astromer.models import EncoderConfig
from astromer.pipeline import MaskingConfig
from astromer.presets.released.options import (
    Said,
    parse_options,
    translate_options,
)
from astromer.presets.released.translate import Sizes
from tests.presets.released.layout import CONF_JSON, CONFIG_TOML

JSON_NAME, TOML_NAME = "a.zip/macho/conf.json", "a.zip/config.toml"
SIZES = Sizes(
    num_layers=2,
    hidden_dim=6,
    embedding_dim=6,
    intermediate_dim=5,
    attention_dim=6,
    has_residuals=False,
    has_token=False,
)
RESIDUAL_SIZES = dataclasses.replace(SIZES, has_residuals=True)
COMMON = {
    "num_layers": 2,
    "num_heads": 2,
    "head_dim": 3,
    "hidden_dim": 6,
    "intermediate_dim": 5,
    "dropout": 0.1,
    "time_encoding": "sinusoidal",
    "time_base": 10_000.0,
    "hidden_magnitude": "leak",
    "window_size": 12,
    "normalization": "window",
}


def from_json(changes=None, sizes=SIZES, overrides=None, ignore=()):
    options = {**CONF_JSON, **(changes or {})}
    options = {name: value for name, value in options.items() if value is not None}
    return translate_options(
        options, JSON_NAME, sizes, overrides=overrides or {}, ignore=ignore
    )


def from_toml(changes=None, sizes=RESIDUAL_SIZES, overrides=None, ignore=()):
    options = {**CONFIG_TOML, **(changes or {})}
    options = {name: value for name, value in options.items() if value is not None}
    return translate_options(
        options, TOML_NAME, sizes, overrides=overrides or {}, ignore=ignore
    )


def test_conf_json_is_that_of_astromer1():
    found = from_json()
    assert found.family == "astromer1"
    assert found.config == EncoderConfig(
        **COMMON, residual="none", attention_mask="released_astromer1"
    )
    assert [(said.option, said.said, said.counts) for said in found.said] == [
        ("base", 1000, "10000"),
        ("head_dim", 6, "3"),
    ]
    assert found.training == {
        name: CONF_JSON[name]
        for name in ("data", "batch_size", "lr", "msk_frac", "exp_date")
    }


def test_config_toml_is_that_of_astromer2():
    found = from_toml()
    assert found.family == "astromer2"
    assert found.config == EncoderConfig(
        **COMMON, residual="dense", attention_mask="exclude"
    )
    assert [(said.option, said.counts) for said in found.said] == [("pe_base", "10000")]
    assert found.training == {n: CONFIG_TOML[n] for n in ("data", "probed", "lr")}


def test_masking_is_that_of_the_training():
    shares = {"msk_frac": 0.4, "same_frac": 0.3, "rnd_frac": 0}
    expected = {
        "policy": "released",
        "probed_fraction": 0.4,
        "visible_fraction": 0.3,
        "random_fraction": 0,
    }
    assert from_json(shares).masking == expected
    MaskingConfig(**expected)
    assert from_toml({"probed": 0.4, "same": 0.3, "rs": 0}).masking == expected
    # Without all of them, or with what cannot be, nothing is known.
    assert from_json().masking is None
    assert from_json({**shares, "rnd_frac": 1.5}).masking is None
    assert from_toml({"probed": "0.4", "same": 0.3, "rs": 0}).masking is None


def test_published_options_are_understood(shared):
    for name, sizes in (
        ("astromer1_macho_weights", Sizes(2, 256, 256, 128, 256, False, False)),
        ("astromer2_random_weights", Sizes(6, 256, 256, 512, 256, True, False)),
    ):
        stored = json.loads((shared / "reference" / f"{name}.json").read_text())
        file = "config.toml" if sizes.has_residuals else "conf.json"
        found = translate_options(stored["config"], file, sizes, overrides={})
        family = "astromer2" if sizes.has_residuals else "astromer1"
        changes = {"hidden_magnitude": "leak"}
        if family == "astromer1":
            changes["attention_mask"] = "released_astromer1"
        assert found.config == EncoderConfig.from_name(family, **changes)


@pytest.mark.parametrize(
    ("option", "value", "field", "expected"),
    [
        ("heads", 3, "num_heads", 3),
        ("heads", 3, "head_dim", 2),
        ("max_obs", 50, "window_size", 50),
        ("dropout", 0.25, "dropout", 0.25),
    ],
)
def test_option_that_only_the_file_tells_is_taken(option, value, field, expected):
    assert from_json({option: value}).config.to_dict()[field] == expected


def test_token_in_the_weights_stands_for_hidden_magnitudes():
    sizes = dataclasses.replace(RESIDUAL_SIZES, has_token=True)
    assert from_toml(sizes=sizes).config.hidden_magnitude == "token"


def test_embedding_of_other_size_is_kept():
    sizes = dataclasses.replace(RESIDUAL_SIZES, embedding_dim=4)
    assert from_toml({"pe_dim": 4}, sizes).config.embedding_dim == 4
    assert from_toml().config.embedding_dim is None


def test_head_dim_may_be_right_in_either_file():
    assert "head_dim" not in {said.option for said in from_json({"head_dim": 3}).said}
    assert from_toml({"head_dim": 3}).config.head_dim == 3
    assert from_toml({"head_dim": None}).config.head_dim == 3


def test_inert_option_that_is_right_is_not_reported():
    assert [s.option for s in from_json({"base": 10_000}).said] == ["head_dim"]
    assert from_toml({"pe_base": 10_000.0}).said == ()
    assert [s.option for s in from_toml({"pe_exp": 3}).said] == ["pe_base", "pe_exp"]


@pytest.mark.parametrize(
    ("read", "changes", "received", "step"),
    [
        (from_json, {"heads": 4}, "heads=4 (the weights have 6 channels", "num_heads"),
        (from_json, {"heads": 0}, "heads=0 (`num_heads` must be", "num_heads"),
        (from_json, {"heads": None}, "no heads", "num_heads"),
        (from_json, {"max_obs": None}, "no max_obs", "window_size"),
        (from_json, {"max_obs": "200"}, "max_obs='200' (`window_size`", "window_size"),
        (from_json, {"dropout": 1.5}, "dropout=1.5 (`dropout` must", "dropout"),
        (from_json, {"layers": 4}, "layers=4 (the weights say num_layers=2", "num_l"),
        (from_json, {"dff": 64}, "the weights say intermediate_dim=5", "intermediate"),
        (from_json, {"head_dim": 2}, "6 channels for 2 heads", "num_heads"),
        (from_json, {"use_leak": True}, "only False is understood", "residual"),
        (from_toml, {"head_dim": 6}, "6 channels for 2 heads", "num_heads"),
        (from_toml, {"pe_dim": 4}, "the weights say embedding_dim=6", "embedding_dim"),
        (from_toml, {"use_leak": False}, "the weights say residual='dense'", "resid"),
        (from_toml, {"use_leak": "yes"}, "only True or False is understood", "residu"),
        (from_toml, {"mask_format": "first"}, "only 'K' is understood", "attention_m"),
        (from_toml, {"mask_format": None}, "no mask_format", "attention_mask"),
        (from_toml, {"mask_format": "Q"}, "mask_format='Q'", "attention_mask"),
        (from_toml, {"m_alpha": 1.0}, "m_alpha=1.0", "attention_mask"),
        (from_toml, {"norm": "standardize"}, "norm='standardize'", "normalization"),
    ],
)
def test_option_that_a_field_would_settle_stops(read, changes, received, step):
    message = f"must be understood. Received: .*{re.escape(received)}"
    with pytest.raises(PresetError, match=message) as caught:
        read(changes)
    assert re.search(rf"Decide {step}\w* yourself.*--set {step}\w*=VALUE", str(caught))
    assert "--ignore" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("arch", "zero"),
        ("encoder_mode", "other"),
        ("avg_layers", True),
        ("temperature", 0.5),
        ("num_experts", 8),
        ("mask_format2", [1, {"a": 2}]),
        ("heads", 4),  # a word of the other kind of file
    ],
)
def test_option_that_no_field_settles_stops_unless_ignored(option, value):
    received = re.escape(f"{option}={value!r}")
    with pytest.raises(PresetError, match=f"Received: {received}.*--ignore OPTION"):
        from_toml({option: value})
    found = from_toml({option: value}, ignore=[option])
    assert found.config == from_toml().config
    said = Said(option, value, "nothing", "ignored at import, as told")
    assert said in found.said


def test_everything_in_the_way_is_named_at_once():
    with pytest.raises(PresetError) as caught:
        from_toml({"mask_format": "first", "num_experts": 8, "arch": "zero"})
    message = str(caught.value)
    for part in ("mask_format='first'", "num_experts=8", "arch='zero'", TOML_NAME):
        assert part in message
    assert "If arch, num_experts cannot shape" in message


def test_weights_with_residuals_do_not_go_with_conf_json():
    with pytest.raises(PresetError, match=r"residual='none' \(the weights say"):
        from_json(sizes=RESIDUAL_SIZES)


def test_weights_without_residuals_may_go_with_config_toml():
    found = from_toml({"use_leak": None}, SIZES)
    assert (found.family, found.config.residual) == ("astromer1", "none")


@pytest.mark.parametrize(
    ("changes", "overrides", "counts"),
    [
        (
            {"mask_format": "first"},
            {"attention_mask": "exclude"},
            "attention_mask='exclude'",
        ),
        ({"mask_format": None}, {"attention_mask": "exclude"}, None),
        ({"num_heads": 5}, {"num_heads": 3}, None),
        (
            {"norm": "median"},
            {"normalization": "light_curve"},
            "normalization='light_curve'",
        ),
        ({"window_size": 0}, {"window_size": 20}, "window_size=20"),
    ],
)
def test_override_settles_what_is_in_the_way(changes, overrides, counts):
    changes.setdefault("head_dim", None)
    found = from_toml(changes, overrides=overrides)
    values = found.config.to_dict()
    assert {name: values[name] for name in overrides} == overrides
    assert values["head_dim"] == 6 // values["num_heads"]
    settled = [said for said in found.said if said.option in changes]
    assert [said.counts for said in settled] == ([counts] if counts else [])
    assert all(said.why.startswith("set at import: ") for said in settled)


def test_override_of_what_is_known_is_taken():
    overrides = {"hidden_magnitude": "zero", "time_base": 1_000.0}
    found = from_json(overrides=overrides)
    assert found.config == dataclasses.replace(from_json().config, **overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"attention_masks": "exclude"}, 'Did you mean "attention_mask"'),
        ({"attention_mask": "first"}, 'Unknown attention_mask. Received: .*="first"'),
        ({"num_heads": 0}, "`num_heads` must be a positive integer"),
        ({"num_heads": 4, "head_dim": 1.5}, "`head_dim` must be a positive integer"),
    ],
)
def test_override_that_is_no_option_is_the_callers_error(overrides, message):
    with pytest.raises(ConfigError, match=message):
        from_json(overrides=overrides)


def test_ignored_option_must_be_there():
    with pytest.raises(ConfigError, match=r"Unknown ignored option.*mean \"mask_form"):
        from_toml(ignore=["mask_formt"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("conf.json", b"{", r"cannot be read\. Received: path=conf\.json"),
        ("config.toml", b"a = ", r"cannot be read\. Received: path=config\.toml"),
        ("conf.json", b"\xff", "cannot be read"),
        ("config.toml", b"\xff", "cannot be read"),
        ("conf.json", b"[" * 100_000, "cannot be read"),
        ("conf.json", b"[1]", "Received: path=conf.json, a list"),
    ],
)
def test_file_without_options_is_refused(name, content, message):
    with pytest.raises(PresetError, match=message):
        parse_options(content, name)


def test_options_are_parsed_as_the_name_says():
    assert parse_options(b'{"a": 1}', "x/conf.json") == {"a": 1}
    assert parse_options(b"a = 1e-5\nb = true", "x/config.toml") == {
        "a": 1e-5,
        "b": True,
    }
