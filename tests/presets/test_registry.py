import os
import re
import subprocess
import sys
from pathlib import Path

import pooch
import pytest

from astromer.errors import PresetError
from astromer.presets import (
    describe_preset,
    find_preset,
    list_presets,
    list_unfetched,
    user_folder,
)
from astromer.presets.official import OFFICIAL

ROOT = Path(__file__).resolve().parents[2]


def test_list_puts_shipped_presets_first_and_sorts_by_name(folders, write_preset):
    shipped, mine = folders
    for name in ("macho", "atlas"):
        write_preset(shipped, name)
    for name in ("zoo", "Best"):
        write_preset(mine, name)
    (mine / "notes").mkdir()
    (mine / "notes.txt").touch()
    assert [p.name for p in list_presets()] == ["atlas", "macho", "Best", "zoo"]


def test_shipped_preset_wins_over_one_of_the_user(folders, write_preset):
    shipped, mine = folders
    write_preset(mine, "macho", survey="mine")
    expected = write_preset(shipped, "macho", survey="MACHO")
    assert find_preset("macho") == expected
    assert [(p.name, p.survey) for p in list_presets()] == [("macho", "MACHO")]


def test_list_is_empty_without_folders(folders, monkeypatch, tmp_path):
    monkeypatch.setenv("ASTROMER_PRESETS", str(tmp_path / "nowhere"))
    assert list_presets() == []


def test_user_folder_is_in_the_cache_unless_named(monkeypatch, folders):
    assert user_folder() == folders[1]
    monkeypatch.delenv("ASTROMER_PRESETS")
    assert user_folder() == Path(pooch.os_cache("astromer")) / "presets"


def test_describe_tells_what_the_metadata_hold(folders, write_preset):
    path = write_preset(
        folders[0],
        "macho",
        survey="MACHO",
        description="Trained here.",
        provenance="this project",
        license="MIT",
        num_parameters=123,
        training={"steps": 7},
    )
    preset = describe_preset("macho")
    assert (preset.name, preset.path, preset.survey) == ("macho", path, "MACHO")
    assert (preset.description, preset.provenance) == ("Trained here.", "this project")
    assert (preset.license, preset.num_parameters) == ("MIT", 123)
    assert preset.metadata["training"] == {"steps": 7}
    assert preset.card == "Trained here."
    (path / "README.md").write_text("# Karte für MACHO\n", encoding="utf-8")
    assert preset.card == "# Karte für MACHO\n"


def test_describe_takes_missing_facts_as_empty(folders, write_preset):
    write_preset(folders[0], "bare")
    preset = describe_preset("bare")
    assert (preset.survey, preset.license, preset.num_parameters) == ("", "", 0)


def test_unknown_name_suggests_the_nearest_and_lists_all(folders, write_preset):
    write_preset(folders[0], "macho")
    write_preset(folders[1], "atlas")
    message = (
        'Unknown preset. Received: preset="machoo". Did you mean "macho"? Known: '
        "atlas, macho, macho-astromer1-official, macho-astromer2-official. To download "
        "first: macho-astromer1-official, macho-astromer2-official."
    )
    with pytest.raises(PresetError, match=f"^{re.escape(message)}$"):
        find_preset("machoo")
    with pytest.raises(LookupError, match="Known: atlas, macho"):
        describe_preset("zoo")


def test_official_weights_are_presets_once_they_are_fetched(folders, write_preset):
    name = "macho-astromer1-official"
    assert [weights.name for weights in list_unfetched()] == list(OFFICIAL)
    message = rf'preset=\'{name}\'.*fetch_preset\("{name}"\).* presets fetch {name}\.$'
    with pytest.raises(PresetError, match=message):
        find_preset(name)
    path = write_preset(folders[1], name)
    assert find_preset(name) == path
    assert [weights.name for weights in list_unfetched()] == list(OFFICIAL)[1:]
    with pytest.raises(PresetError, match=r"To download first: macho-astromer2-\w+\.$"):
        find_preset("zoo")
    write_preset(folders[1], "macho-astromer2-official")
    with pytest.raises(PresetError, match=r"Known: [^.]+\.$"):
        find_preset("zoo")


@pytest.mark.parametrize("as_type", [str, Path])
def test_path_finds_a_preset_anywhere(as_type, tmp_path, write_preset):
    path = write_preset(tmp_path, "own")
    assert find_preset(as_type(path)) == path
    assert find_preset(as_type("./own")) == Path("own")


def test_name_of_a_folder_here_finds_it_unless_a_preset_has_the_name(
    folders, tmp_path, write_preset
):
    write_preset(tmp_path, "own")
    assert find_preset("own") == Path("own")
    named = write_preset(folders[1], "own")
    assert find_preset("own") == named
    assert find_preset(Path("own")) == Path("own")


def test_home_folder_is_found_by_tilde(tmp_path, monkeypatch, write_preset):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = write_preset(tmp_path, "own")
    assert find_preset("~/own") == path


@pytest.mark.parametrize(
    ("path", "reason"),
    [("./nowhere", "is not a folder"), ("./mine", "has none")],
)
def test_path_without_preset_raises(path, reason):
    with pytest.raises(PresetError, match=rf"`config\.json`\. Received: .*{reason}"):
        find_preset(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "`metadata.json` is not JSON. Received: path="),
        (b"\xff\xfe", "`metadata.json` is not JSON. Received: path="),
        (b"[1]", "`metadata.json` must hold an object. Received: path="),
        (None, "The preset has no `metadata.json`. Received: path="),
    ],
)
def test_damaged_metadata_raise(content, message, folders, write_preset):
    path = write_preset(folders[0], "macho") / "metadata.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PresetError, match=re.escape(message)):
        describe_preset("macho")


def test_damaged_preset_does_not_hide_the_others(folders, write_preset):
    write_preset(folders[0], "macho", survey="MACHO")
    (write_preset(folders[1], "mine") / "metadata.json").write_text("{")
    first, second = list_presets()
    assert (first.name, first.survey) == ("macho", "MACHO")
    assert second.name == "mine"
    assert second.description.startswith("damaged: `metadata.json` is not JSON")


def test_number_of_parameters_that_is_no_number_raises(folders, write_preset):
    write_preset(folders[0], "odd", num_parameters="many")
    with pytest.raises(PresetError, match="Received: num_parameters='many'"):
        describe_preset("odd")


def test_presets_are_listed_and_described_without_keras(folders, write_preset):
    write_preset(folders[1], "own", survey="mine")
    code = (
        "import sys; from astromer.presets import list_presets, describe_preset;"
        "from astromer import list_presets as again;"
        "from astromer.presets import find_official, list_unfetched;"
        "assert find_official(list_unfetched()[0].name);"
        "names = [p.name for p in list_presets()]; assert again() == list_presets();"
        "print(describe_preset('own').survey, 'own' in names,"
        " sorted({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "ASTROMER_PRESETS": str(folders[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "mine True []"


def test_presets_room_raises_for_unknown_name():
    with pytest.raises(ImportError, match="cannot import name 'load_presets'"):
        from astromer.presets import load_presets  # type: ignore[attr-defined] # noqa: F401


@pytest.mark.parametrize("as_text", [False, True])
def test_preset_of_a_run_is_found_in_its_folder(
    as_text, folders, tmp_path, write_preset
):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    expected = write_preset(run, "preset", survey="mine")
    # By its own name, and by its path.
    for given in ("run", str(run)) if as_text else (run,):
        assert find_preset(given).resolve() == expected
        assert describe_preset(given).survey == "mine"


def test_preset_that_is_being_saved_is_not_listed(folders, write_preset):
    for name in (".preset-half", "whole"):
        write_preset(folders[1], name)
    assert [preset.name for preset in list_presets()] == ["whole"]
