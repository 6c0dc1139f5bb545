"""`presets list`, `show`, `import` and `fetch` on a folder of the user's own."""

import json

import pytest

from astromer.cli import main
from astromer.presets import (
    describe_preset,
    downloads_folder,
    find_preset,
    released,
)
from tests.presets.released.layout import (
    CONF_JSON,
    released_tensors,
    write_release,
    zipped,
)


@pytest.fixture(autouse=True)
def preset(tmp_path, monkeypatch):
    """A preset of the user's own, without weights: the card needs none."""
    folder = tmp_path / "presets" / "mine"
    folder.mkdir(parents=True)
    metadata = {
        "survey": "ogle[/2]",
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
    for cell in ["ogle[/2]", "3,953,410", "MIT", "me", "trained on three stars"]:
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


# --- The authors' weights


@pytest.fixture
def release(tmp_path):
    """A made-up Astromer 1 as a zip."""
    folder = write_release(tmp_path / "release", released_tensors(residuals=False))
    return zipped(folder, tmp_path / "small.zip")


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_list_shows_what_could_be_fetched(capsys, tmp_path):
    assert main(["presets", "list"]) == 0
    shown = lines(capsys)
    titles = [line.strip() for line in shown]
    start = titles.index("The authors' weights, not fetched yet")
    for name, number in (
        ("macho-astromer1-official", "661,505"),
        ("macho-astromer2-official", "3,953,409"),
    ):
        row = next(line for line in shown[start:] if line.startswith(name))
        assert row.split()[1:3] == ["MACHO", number]
    assert shown[-1] == "Add: astromer presets fetch NAME"
    for name in ("macho-astromer1-official", "macho-astromer2-official"):
        fetched = tmp_path / "presets" / name
        fetched.mkdir()
        (fetched / "config.json").write_text("{}")
        (fetched / "metadata.json").write_text("{}")
    assert main(["presets", "list"]) == 0
    assert "fetch" not in capsys.readouterr().out


def test_import_says_what_it_became_and_what_is_next(release, tmp_path, capsys):
    assert main(["presets", "import", str(release), "--name", "small"]) == 0
    shown = lines(capsys)
    for start in (
        "hidden_magnitude   leak ",
        "attention_mask     released_astromer1 ",
        "time_base          10000.0 ",
        "small: Astromer 1, imported from small.zip, 557 parameters, license not stated",
        "Card: astromer presets show small",
        "Next: astromer embed small INPUT --out ",
    ):
        assert any(line.startswith(start) for line in shown), start
    path = tmp_path / "presets" / "small"
    assert any(line.endswith(f"in {path}") for line in shown)
    assert main(["presets", "show", "small"]) == 0
    assert "small.zip" in capsys.readouterr().out


def test_import_takes_settings_of_every_type(release, capsys):
    settings = {"hidden_magnitude": "zero", "time_base": 1_000.0, "window_size": 10}
    sets = [
        word for item in settings.items() for word in ("--set", "{}={}".format(*item))
    ]
    assert main(["presets", "import", str(release), *sets]) == 0
    assert "set at import" in capsys.readouterr().out
    config = json.loads((find_preset("small") / "config.json").read_text())["encoder"]
    assert {name: config[name] for name in settings} == settings
    assert type(config["window_size"]) is int


def test_import_replaces_only_if_told(release, capsys):
    command = ["presets", "import", str(release)]
    assert main(command) == 0
    assert main(command) == 2
    assert "A preset of this name exists" in capsys.readouterr().err
    assert main([*command, "--replace", "--set", "hidden_magnitude=zero"]) == 0
    assert describe_preset("small").metadata["overrides"]


def test_import_ignores_what_it_is_told_to(tmp_path, capsys):
    options = {**CONF_JSON, "strange": 1}
    folder = write_release(tmp_path / "odd", released_tensors(residuals=False), options)
    assert main(["presets", "import", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "strange=1 (an unknown option)" in error
    assert error.count("\n") == 1
    assert main(["presets", "import", str(folder), "--ignore", "strange"]) == 0


@pytest.mark.parametrize("setting", ["hidden_magnitude", "=zero", ""])
def test_setting_without_a_value_is_refused(release, setting, capsys):
    assert main(["presets", "import", str(release), "--set", setting]) == 2
    assert "`--set` takes OPTION=VALUE. Received: --set" in capsys.readouterr().err


def test_import_of_nothing_is_refused_before_tensorflow(modules_imported_by):
    modules = modules_imported_by("presets", "import", "nowhere.zip", exit_code=2)
    assert not modules & {"keras", "tensorflow"}


def test_unknown_official_name_is_refused_before_tensorflow(modules_imported_by):
    modules = modules_imported_by("presets", "fetch", "nothing", exit_code=2)
    assert not modules & {"keras", "tensorflow"}


def test_fetch_shows_the_preset_or_the_way_by_hand(preset, capsys, monkeypatch):
    def fetched(name, *, url, replace, progress):
        assert (url, replace) == ("http://mirror/x.zip", False)
        progress("download", 1, 2, "bytes")
        downloads_folder().mkdir()
        (downloads_folder() / "macho_a0.zip").touch()
        preset.rename(preset.parent / name)
        return preset.parent / name

    monkeypatch.setattr(released, "fetch_preset", fetched)
    command = ["presets", "fetch", "macho-astromer1-official"]
    assert main([*command, "--url", "http://mirror/x.zip"]) == 0
    shown = lines(capsys)
    assert "3,953,410 parameters" in shown[0]
    kept = downloads_folder() / "macho_a0.zip"
    assert shown[-1] == f"To import it with other options: {kept}"
    # What is there is shown, not fetched again: `fetched` would fail.
    assert main(command) == 0
    assert lines(capsys)[0].startswith("macho-astromer1-official: trained on three")
