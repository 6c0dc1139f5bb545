from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from astromer.errors import ConfigError
from astromer.records import ConvertOptions, parse_split


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("passbands", (), "passbands"),
        ("passbands", (1,), "passbands"),
        ("objects_per_shard", 0, "positive integer"),
        ("jobs", True, "positive integer"),
        ("min_observations", 2.5, "positive integer"),
        ("rows_per_partition", -1, "positive integer"),
        ("seed", "x", "integer"),
        ("max_error", 0.0, "positive number"),
        ("max_error", float("nan"), "positive number"),
        ("clip_percentiles", (99, 1), "rising"),
        ("clip_percentiles", (1, 101), "rising"),
        ("clip_percentiles", 5, "rising"),
        ("noise_filter", "on", "Known: drop, keep, off"),
        ("split", {}, "names"),
        ("split", {"a b": 1.0}, "names"),
        ("split", {"train": 0.8, "test": 0.1}, "sum to 1"),
        ("split", {"train": 1.5, "test": -0.5}, "positive"),
        ("columns", "mjd", "map roles"),
        ("max_unreadable", -0.1, "share of files"),
        ("max_unreadable", 2, "share of files"),
        ("max_unreadable", "all", "share of files"),
    ],
)
def test_options_name_the_rule_and_the_value(field, value, message):
    with pytest.raises(ConfigError, match=message) as caught:
        ConvertOptions(**{field: value})
    assert f"Received: {field}=" in str(caught.value)


def test_options_bring_values_into_one_form():
    options = ConvertOptions(
        labels="labels.csv",
        passbands="R",
        clip_percentiles=[2, 98],
        max_error=1,
    )
    assert options.labels == Path("labels.csv")
    assert options.passbands == ("R",)
    assert options.clip_percentiles == (2.0, 98.0)


def test_clip_percentiles_of_everything_mean_off():
    assert ConvertOptions(clip_percentiles=(0, 100)).clip_percentiles is None


def test_from_toml_reads_fields_and_flags_win(tmp_path):
    file = tmp_path / "convert.toml"
    file.write_text(
        'survey = "macho"\nlabels = "labels.csv"\npassbands = ["R", "B"]\n'
        "max_error = false\nseed = 3\nclip_percentiles = [5, 95]\n"
        "max_unreadable = 0.05\n"
        "[split]\ntrain = 0.5\ntest = 0.5\n[columns]\ntime = 'hjd'\n"
    )
    options = ConvertOptions.from_toml(file, seed=4, passbands="B")
    assert options.survey == "macho"
    assert options.labels == tmp_path / "labels.csv"
    assert options.passbands == ("B",)
    assert options.max_error is None
    assert options.seed == 4
    assert options.clip_percentiles == (5.0, 95.0)
    assert options.split == {"train": 0.5, "test": 0.5}
    assert options.read_options().columns == {"time": "hjd"}
    assert options.read_options().max_unreadable == 0.05


def test_from_toml_refuses_an_unknown_key_and_suggests_one(tmp_path):
    file = tmp_path / "convert.toml"
    file.write_text("max_eror = 2\n")
    with pytest.raises(ConfigError, match=r'Did you mean "max_error".*Known:.*labels'):
        ConvertOptions.from_toml(file)


@pytest.mark.parametrize("text", ["seed = ", None], ids=["damaged", "absent"])
def test_from_toml_names_a_file_that_cannot_be_read(tmp_path, text):
    file = tmp_path / "convert.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=r"TOML file. Received: path=.*convert.toml"):
        ConvertOptions.from_toml(file)


def test_to_dict_is_json_and_holds_every_field_that_shapes_the_bytes():
    fields = ConvertOptions(
        labels=Path("/far/away/labels.csv"), passbands=("R",)
    ).to_dict()
    assert json.loads(json.dumps(fields)) == fields
    assert fields["labels"] == "labels.csv"
    names = {field.name for field in dataclasses.fields(ConvertOptions)}
    assert names - set(fields) == {"jobs", "rows_per_table"}


@pytest.mark.parametrize("text", ["train", "train=x", "a=0.5,a=0.5", ""])
def test_parse_split_shows_the_form_wanted(text):
    with pytest.raises(ConfigError, match=r"name=fraction.*Received: split="):
        parse_split(text)
