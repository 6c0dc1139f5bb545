"""`presets list` and `presets show` on a folder of presets made by hand."""

import json

import pytest

from astromer.cli import main


@pytest.fixture(autouse=True)
def preset(tmp_path, monkeypatch):
    """A preset of the user's own, without weights: the card needs none."""
    folder = tmp_path / "presets" / "mine"
    folder.mkdir(parents=True)
    metadata = {
        "survey": "ogle",
        "description": "trained on three stars",
        "provenance": "me",
        "license": "MIT",
        "num_parameters": 3_953_410,
    }
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    (folder / "config.json").write_text("{}", encoding="utf-8")
    card = "# Mine\n\nTrained on **three stars**.\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    monkeypatch.setenv("ASTROMER_PRESETS", str(folder.parent))
    return folder


def test_list_shows_name_survey_parameters_and_origin(capsys):
    assert main(["presets", "list"]) == 0
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if line.split()[:1] == ["mine"])
    for cell in ["ogle", "3,953,410", "MIT", "me", "trained on three stars"]:
        assert cell in row


def test_show_prints_the_card_and_the_facts(preset, capsys):
    assert main(["presets", "show", "mine"]) == 0
    shown = capsys.readouterr().out
    assert "Trained on three stars." in shown
    assert "mine: 3,953,410 parameters, license MIT" in shown
    assert str(preset) in shown.replace("\n", "")


def test_show_takes_a_folder(preset, capsys):
    assert main(["presets", "show", str(preset)]) == 0
    assert "three stars" in capsys.readouterr().out


def test_show_suggests_the_nearest_name(capsys):
    assert main(["presets", "show", "mime"]) == 2
    assert 'Did you mean "mine"?' in capsys.readouterr().err
