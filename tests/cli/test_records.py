"""`convert`, `inspect` and `verify` on a small survey written by hand."""

import inspect
import json
import os
import sys

import numpy as np
import pytest
import typer.main

from astromer.cli import main, terminal
from astromer.cli import records as commands
from astromer.cli.app import app
from astromer.records import ConvertOptions, Manifest, parse_split
from astromer.surveys import list_surveys

NUM_STARS = 20
NUM_TIMES = 12


@pytest.fixture
def survey(tmp_path):
    """A CSV of 20 stars of two classes with 12 observations each, one of them bad."""
    rng = np.random.default_rng(7)
    lines = ["object_id,passband,time,mag,mag_err,class_name"]
    for star in range(NUM_STARS):
        name = "RRab" if star % 2 else "Ceph"
        for time in np.sort(rng.uniform(50_000, 50_400, NUM_TIMES)):
            mag = 15 + rng.normal(0, 0.3)
            lines.append(f"star{star:02d},V,{time:.5f},{mag:.4f},0.02,{name}")
    fields = lines[1].split(",")
    lines[1] = ",".join([*fields[:4], "5.0", fields[5]])
    path = tmp_path / "survey.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def records(survey, tmp_path, capsys):
    folder = tmp_path / "records"
    assert main(["convert", "table", str(survey), "--out", str(folder)]) == 0
    capsys.readouterr()
    return folder


def test_convert_writes_records_and_ends_with_one_line(survey, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["convert", "table", str(survey), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    manifest = Manifest.load(out)
    assert manifest.num_light_curves() == NUM_STARS
    assert manifest.rows_read == NUM_STARS * NUM_TIMES
    last = shown.out.rstrip().splitlines()[-1]
    assert f"{len(manifest.shards)} shards, {NUM_STARS} light curves" in last
    assert f"{manifest.num_observations} observations in" in last
    assert "mag_err_above_max" in shown.out
    assert shown.err == ""


def test_convert_and_inspect_name_unreadable_files(survey, tmp_path, capsys):
    empty, out = tmp_path / "empty.csv", tmp_path / "out"
    empty.write_text("")
    arguments = ["convert", "table", str(survey), str(empty), "--out", str(out)]
    assert main(arguments) == 2
    assert "The file is empty" in capsys.readouterr().err
    assert main([*arguments, "--max-unreadable", "0.5"]) == 0
    assert main(["inspect", str(out)]) == 0
    for shown in capsys.readouterr().out.split("Records (survey")[1:]:
        table = shown[shown.index("Unreadable") :].splitlines()
        assert table[3].split("  ")[0] == "The file is empty."
        assert table[3].split()[-2:] == ["1", "empty.csv"]


def test_convert_recognizes_the_format(survey, tmp_path):
    out = tmp_path / "out"
    assert main(["convert", "auto", str(survey), "--out", str(out)]) == 0
    assert Manifest.load(out).survey == "table"


def test_convert_dry_run_writes_nothing(survey, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["convert", "table", str(survey), "--out", str(out), "--dry-run"]
    assert main(arguments) == 0
    assert not list(tmp_path.glob("out/*"))
    assert "nothing was written" in capsys.readouterr().out


def test_convert_says_how_labels_and_objects_met(survey, tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text("object_id,class\nstar00,RRc\nstar-00,RRc\nstar-01,RRab\n")
    arguments = ["convert", "table", str(survey), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--labels", str(labels)]) == 0
    assert "0 objects without a label, 2 labels without an object" in (
        capsys.readouterr().out
    )


OPTIONS = {
    "--labels FILE": {"labels": "FILE"},
    "--passband V --passband B": {"passbands": ("V", "B")},
    "--objects-per-shard 7": {"objects_per_shard": 7},
    "--rows-per-partition 9": {"rows_per_partition": 9},
    "--jobs 2": {"jobs": 2},
    "--min-observations 3": {"min_observations": 3},
    "--max-error 0.5": {"max_error": 0.5},
    "--clip-percentiles 2 98": {"clip_percentiles": (2.0, 98.0)},
    "--noise-filter drop": {"noise_filter": "drop"},
    "--split train=0.5,test=0.5": {"split": {"train": 0.5, "test": 0.5}},
    "--seed 3": {"seed": 3},
    "--column time=t --column mag=m": {"columns": {"time": "t", "mag": "m"}},
    "--file-passband I": {"file_passband": "I"},
    "--max-unreadable 0.01": {"max_unreadable": 0.01},
    "--resume": {"resume": True},
    "--dry-run": {"dry_run": True},
}


@pytest.mark.parametrize("flags", [pytest.param(flags, id=flags) for flags in OPTIONS])
def test_convert_passes_on_what_was_given_and_nothing_else(
    flags, records, survey, monkeypatch, tmp_path
):
    received = {}

    def receive(name, inputs, out, **options):
        received.update(options, survey=name, inputs=inputs, out=out)
        return Manifest.load(records)

    monkeypatch.setattr("astromer.records.convert", receive)
    given = [str(survey) if word == "FILE" else word for word in flags.split()]
    out = tmp_path / "other"
    assert main(["convert", "table", str(survey), "--out", str(out), *given]) == 0
    always = {"survey": "table", "inputs": [survey], "out": out, "options": None}
    expected = {
        **always,
        "resume": False,
        "dry_run": False,
        **{k: survey if v == "FILE" else v for k, v in OPTIONS[flags].items()},
    }
    assert callable(received.pop("progress"))
    assert received == expected


def test_every_option_of_the_library_is_offered_and_tested():
    offered = {name for options in OPTIONS.values() for name in options}
    fields = set(ConvertOptions.__dataclass_fields__) | {"resume", "dry_run"}
    # How many rows a reader hands on at once is no choice for the command line.
    assert fields - offered == {"survey", "rows_per_table"}


def test_defaults_in_the_help_are_those_of_the_library():
    library = ConvertOptions()
    for name, parameter in inspect.signature(commands.convert).parameters.items():
        if name == "split":
            assert parse_split(parameter.default) == library.split
        elif hasattr(library, name) and name != "survey":
            assert parameter.default == getattr(library, name), name


def test_surveys_in_the_help_are_those_of_the_registry():
    command = typer.main.get_command(app).commands["convert"]
    described = next(p.help for p in command.params if p.name == "survey")
    names = described.removeprefix("Format of the files: ").split(", ")[:-1]
    assert sorted(names) == sorted(survey.name for survey in list_surveys())


def test_flags_win_over_the_config_file(survey, tmp_path):
    config = tmp_path / "convert.toml"
    config.write_text("min_observations = 4\nseed = 9\n", encoding="utf-8")
    out = tmp_path / "out"
    arguments = ["convert", "table", str(survey), "--out", str(out)]
    assert main([*arguments, "--config", str(config), "--seed", "0"]) == 0
    options = Manifest.load(out).options
    # The flag has the default's value and still wins: it was given.
    assert (options["min_observations"], options["seed"]) == (4, 0)


def test_config_file_with_unknown_field_names_the_nearest(survey, tmp_path, capsys):
    config = tmp_path / "convert.toml"
    config.write_text("min_observation = 4\n", encoding="utf-8")
    arguments = ["convert", "table", str(survey), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--config", str(config)]) == 2
    assert 'Did you mean "min_observations"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "train"], "Received: "),
        (["--split", "train=0.5"], "sum to 1"),
        (["--column", "time"], r"--column"),
        (["--min-observations", "0"], "min_observations"),
        (["--clip-percentiles", "99", "1"], "clip_percentiles"),
    ],
)
def test_bad_option_is_one_line_and_writes_nothing(
    arguments, message, survey, tmp_path, capsys
):
    out = tmp_path / "out"
    assert main(["convert", "table", str(survey), "--out", str(out), *arguments]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Error: ")
    assert message in shown
    assert not list(tmp_path.glob("out/*"))


def test_unknown_survey_suggests_the_nearest(survey, tmp_path, capsys):
    arguments = ["convert", "machoo", str(survey), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert 'Did you mean "macho"?' in capsys.readouterr().err


def test_missing_input_is_named(tmp_path, capsys):
    missing = tmp_path / "nothing.csv"
    assert main(["convert", "table", str(missing), "--out", str(tmp_path / "o")]) == 2
    assert "nothing.csv" in capsys.readouterr().err


def test_inspect_shows_the_counts_of_the_manifest(records, capsys):
    assert main(["inspect", str(records)]) == 0
    shown = capsys.readouterr().out
    manifest = Manifest.load(records)
    for name, split in manifest.splits.items():
        row = next(line for line in shown.splitlines() if line.split()[:1] == [name])
        numbers = [split.num_objects, split.num_light_curves, split.num_observations]
        assert row.split()[1:4] == [terminal.count(number) for number in numbers]
    ceph = next(line for line in shown.splitlines() if line.split()[:1] == ["Ceph"])
    assert ceph.split()[-1] == str(NUM_STARS // 2)
    assert "median time step [d]" in shown
    assert "50 %" in shown
    assert shown.splitlines()[-1].startswith(f"{len(manifest.shards)} shards")


def test_inspect_as_json_holds_the_same_counts(records, capsys):
    assert main(["inspect", str(records), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["totals"]["num_light_curves"] == NUM_STARS
    assert {row["class_name"] for row in printed["classes"]} == {"Ceph", "RRab"}


def test_inspect_does_not_import_tensorflow(records, modules_imported_by):
    modules = modules_imported_by("inspect", str(records))
    assert not modules & {"tensorflow", "keras", "matplotlib"}


def test_verify_passes_on_records_as_written(records, capsys):
    assert main(["verify", str(records)]) == 0
    shown = capsys.readouterr().out
    assert f"{NUM_STARS} light curves" in shown


def flip_a_byte(folder):
    path = max(folder.glob("*.tfrecord"), key=lambda shard: shard.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove_a_shard(folder):
    next(folder.glob("*.tfrecord")).unlink()


def change_a_count(folder):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    next(iter(manifest["splits"].values()))["num_observations"] += 1
    path.write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize("damage", [flip_a_byte, remove_a_shard, change_a_count])
def test_verify_exits_with_1_on_any_difference(damage, records, capsys):
    damage(records)
    assert main(["verify", str(records)]) == 1
    shown = capsys.readouterr()
    assert "differ" in shown.out + shown.err
    assert "Traceback" not in shown.err


def test_reader_that_hangs_up_does_not_change_what_is_found(records, monkeypatch):
    def code_of(*arguments):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            return main(list(arguments))

    assert code_of("inspect", str(records)) == 0
    assert code_of("verify", str(records)) == 0
    flip_a_byte(records)
    assert code_of("verify", str(records)) == 1


def test_objects_with_several_classes_are_counted(survey, tmp_path, capsys):
    text = survey.read_text(encoding="utf-8").replace("0.02,Ceph", "0.02,RRab", 1)
    survey.write_text(text, encoding="utf-8")
    out = tmp_path / "out[/b]"
    assert main(["convert", "table", str(survey), "--out", str(out)]) == 0
    assert main(["inspect", str(out)]) == 0
    assert capsys.readouterr().out.count("1 object with several classes") == 2
    next(out.glob("*.tfrecord")).write_bytes(b"")
    assert main(["verify", str(out)]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "differs from its manifest" in shown
