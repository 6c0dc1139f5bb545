"""What a card says, beside what the importer's tests read of it."""

import dataclasses

from astromer.models import EncoderConfig
from astromer.presets.official import CITATIONS, OFFICIAL
from astromer.presets.released.archive import Release
from astromer.presets.released.card import (
    HONEST,
    describe_release,
    switches_of,
    write_card,
)
from astromer.presets.released.options import Said, Translation
from tests.presets.released.layout import CONFIG_TOML

RELEASED = EncoderConfig.from_name(
    "astromer1", hidden_magnitude="leak", attention_mask="released_astromer1"
)
HONEST_CONFIG = dataclasses.replace(RELEASED, **HONEST)
PAPER = dataclasses.replace(HONEST_CONFIG, time_base=1_000.0)


def describe(
    tmp_path, config=RELEASED, official=None, said=(), masking=None, **options
):
    release = Release(
        tmp_path / "x.zip",
        {"sha256": "a" * 64},
        weights=f"{tmp_path}/x.zip/weights",
        options=f"{tmp_path}/x.zip/conf.json",
        files={f"{tmp_path}/x.zip/conf.json": b"{}"},
    )
    translation = Translation(config, "astromer1", said, {"lr": 0.1}, masking)
    facts = {"overrides": {}, "left_out": {}, **options}
    return describe_release(release, translation, official=official, **facts)


def test_switches_are_what_repeats_the_release():
    assert list(switches_of(RELEASED)) == [
        "hidden_magnitude",
        "attention_mask",
        "time_base",
    ]
    assert list(switches_of(HONEST_CONFIG)) == ["time_base"]
    assert switches_of(PAPER) == {}
    for switch in switches_of(RELEASED).values():
        assert "released" in switch["why"]


def test_metadata_of_official_weights_are_those_of_the_list(tmp_path):
    official = OFFICIAL["macho-astromer1-official"]
    found = describe(tmp_path, official=official)
    for key in ("description", "survey", "license"):
        assert found[key] == getattr(official, key)
    assert found["provenance"] == "the authors"
    assert found["citation"] == CITATIONS["astromer1"]
    assert found["source"]["url"] == official.url
    # The path on this machine is nobody's business.
    assert str(tmp_path) not in str(found)
    assert list(found["source"]["files"]) == ["conf.json"]


def test_metadata_say_how_to_go_on_training_where_that_is_known(tmp_path):
    assert "objective" not in describe(tmp_path)
    masking = {"policy": "released", "probed_fraction": 0.5}
    assert describe(tmp_path, masking=masking)["objective"] == {"masking": masking}


def test_card_has_the_sections_that_there_is_something_for(tmp_path):
    def sections(config, **options):
        facts = {**describe(tmp_path, config, **options), "num_parameters": 1_234}
        card = write_card("x", facts, config)
        assert "| Parameters | 1,234 |" in card
        return [line[3:] for line in card.splitlines() if line.startswith("## ")]

    always = ["Training, as the release says", "Encoder"]
    assert sections(PAPER) == always
    assert sections(HONEST_CONFIG) == ["Compatibility switches", *always]
    assert sections(
        RELEASED,
        said=(Said("base", CONFIG_TOML["pe_base"], "10000", "because"),),
        overrides={"dropout": 0.0},
        left_out={"save_counter": "a counter"},
    ) == [
        "Compatibility switches",
        "Set at import",
        "Options of the release that do not count",
        "Tensors of the release that are left out",
        "Honest masking",
        *always,
    ]


def test_cell_with_a_bar_stays_one_cell(tmp_path):
    said = (Said("mask_format", "a|b", "nothing", "because"),)
    facts = {**describe(tmp_path, said=said), "num_parameters": 1}
    card = write_card("x", facts, RELEASED)
    assert "| mask_format | a\\|b | nothing | because |" in card
