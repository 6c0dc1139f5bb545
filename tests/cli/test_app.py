"""The command as a whole: help, version, errors, exit codes, what it imports."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from astromer._version import __version__
from astromer.cli import main, terminal
from astromer.records import Manifest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"keras", "matplotlib", "numpy", "pandas", "polars", "tensorflow"}


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"astromer {__version__}\n"


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    verbs = ["convert", "inspect", "verify", "embed", "reconstruct", "presets", "demo"]
    verbs += ["export", "figure"]
    assert [verb for verb in verbs if f" {verb} " not in shown] == []


def test_help_imports_nothing_heavy(modules_imported_by):
    modules = modules_imported_by("--help")
    assert not modules & HEAVY


@pytest.mark.parametrize(
    "verb", ["convert", "embed", "export", "demo", "presets", "figure"]
)
def test_help_of_a_verb_imports_nothing_heavy(verb, modules_imported_by):
    modules = modules_imported_by(verb, "--help")
    assert not modules & HEAVY


def test_inspect_does_without_readers_and_models(modules_imported_by):
    modules = modules_imported_by("inspect", "records")
    assert "numpy" in modules
    assert not modules & (HEAVY - {"numpy"})


def test_model_does_without_the_readers_of_files():
    code = "import sys; from astromer import Astromer; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = done.stdout.split()
    assert "keras" in modules
    assert not {"polars", "pooch", "astromer.surveys.reading"} & set(modules)


def test_module_can_be_run():
    done = subprocess.run(
        [sys.executable, "-m", "astromer.cli", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["astromer", __version__]


def test_error_becomes_one_line_on_stderr_and_exit_code_2(capsys, tmp_path):
    assert main(["inspect", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Error: ")
    assert "manifest.json" in shown.err
    assert shown.err.count("\n") == 1


def test_debug_adds_the_traceback(capsys, tmp_path):
    assert main(["--debug", "inspect", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "Error: " in shown.splitlines()[-1]


def test_operating_system_error_becomes_one_line(capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Manifest, "load", full)
    assert main(["inspect", str(tmp_path)]) == 2
    assert "No space left on device" in capsys.readouterr().err


def test_defect_of_the_package_keeps_its_traceback(tmp_path, monkeypatch):
    def defect(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(Manifest, "load", defect)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", str(tmp_path)])


def test_interrupt_becomes_one_line_and_exit_code_130(capsys, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Manifest, "load", interrupt)
    assert main(["inspect", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "Error: Interrupted.\n"


def test_reader_that_hangs_up_is_no_error(tmp_path, monkeypatch):
    def hang_up(*_):
        raise BrokenPipeError

    redirected = []
    monkeypatch.setattr("os.dup2", lambda *pair: redirected.append(pair))
    monkeypatch.setattr(Manifest, "load", hang_up)
    assert main(["inspect", str(tmp_path)]) == 0
    assert redirected[0][1] == 1


def test_output_that_cannot_be_encoded_becomes_question_marks(tmp_path, monkeypatch):
    path = tmp_path / "shown"
    with path.open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["--version"]) == 0
        terminal.output("in \N{LATIN SMALL LETTER U WITH DIAERESIS}/records")
    assert path.read_text(encoding="ascii").endswith("in ?/records\n")


@pytest.mark.parametrize("descriptors", [(1,), (2,), (0, 1, 2)])
def test_closed_streams_are_no_error(descriptors, tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "class config: list_physical_devices = list"
    )
    code = (
        f"import os, sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from astromer.cli import main, terminal;"
        "code = main(['--version']);"
        "terminal.start_tensorflow();"
        "nowhere = os.stat(os.devnull);"
        f"lead = all(os.path.samestat(os.fstat(n), nowhere) for n in {descriptors});"
        "os._exit(7 if lead and code == 0 else 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: [os.close(number) for number in descriptors],
        check=False,
    )
    assert done.returncode == 7


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["no-such-verb"], id="verb"),
        pytest.param(["inspect", "no-such-folder"], id="folder"),
        pytest.param(["inspect", ".", "--no-such-option"], id="option"),
        pytest.param(["embed", "macho"], id="missing input"),
        pytest.param(["convert", "macho", ".", "--out", "x", "--seed", "y"], id="type"),
    ],
)
def test_wrong_usage_exits_with_2(capsys, arguments):
    assert main(arguments) == 2
    assert "Usage: astromer" in capsys.readouterr().err


def test_interrupt_that_python_drops_is_repeated(tmp_path, monkeypatch):
    class Callback:
        def __del__(self):
            raise KeyboardInterrupt

    def work(folder):
        del folder
        Callback()
        time.sleep(5)

    monkeypatch.setattr("astromer.records.summarize_records", work)
    hook = sys.unraisablehook
    assert main(["inspect", str(tmp_path)]) == 130
    assert sys.unraisablehook is hook
