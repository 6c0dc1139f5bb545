"""Numbers, tables and lines as they appear."""

import importlib.util
import io
import logging
import os
import sys

import pytest
from rich.console import Console

from astromer.cli import terminal
from astromer.errors import ConfigError


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3599, "59 min 59 s")],
)
def test_duration_reads_naturally(seconds, shown):
    assert terminal.duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "seconds", "shown"),
    [
        (0, 1, "0 x/s"),
        (999, 1, "999 x/s"),
        (1500, 1, "1.5 k x/s"),
        (3e6, 2, "1.5 M x/s"),
    ],
)
def test_rate_has_three_figures(number, seconds, shown):
    assert terminal.rate(number, seconds, "x") == shown


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (2.5e12, "2.5 TB"),
        (3e15, "3000.0 TB"),
    ],
)
def test_size_is_in_decimal_units(num_bytes, shown):
    assert terminal.size(num_bytes) == shown


def test_error_is_one_line_however_long(capsys):
    terminal.error("first line\n  second [line] " + "x" * 500)
    shown = capsys.readouterr()
    assert shown.err == "Error: first line second [line] " + "x" * 500 + "\n"
    assert shown.out == ""


def test_warnings_of_the_library_are_one_line_each(capsys):
    logger = logging.getLogger("astromer.of_a_test")
    for _ in range(2):
        terminal.show_warnings()
    logger.warning("%d columns [unused]\nin a file", 3)
    logger.info("nothing of note")
    shown = capsys.readouterr()
    assert shown.err == "Warning: 3 columns [unused] in a file\n"
    assert shown.out == ""


def test_table_aligns_numbers_to_the_right_and_keeps_units():
    table = terminal.make_table("Title", ["name", "length [d]"], numeric=["length [d]"])
    table.add_row("a", "1")
    table.add_row("b", "1,000")
    console = Console(file=io.StringIO(), width=60)
    console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[0] == "Title"
    assert "length [d]" in "".join(lines)
    ends = {len(line) for line in lines if line.startswith((" a", " b", "a", "b"))}
    assert len(ends) == 1


def test_output_keeps_a_line_on_one_line_and_drops_colors_in_a_pipe(capsys):
    terminal.output("[bold]" + "x y" * 100 + "[/bold]")
    assert capsys.readouterr().out == "x y" * 100 + "\n"


def test_output_of_a_table_to_a_pipe_is_wide(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    table = terminal.make_table("", ["name"])
    table.add_row("x" * (terminal.PIPE_WIDTH - 5))
    terminal.output(table)
    assert "x" * (terminal.PIPE_WIDTH - 5) in capsys.readouterr().out


NOISY = """
import os

os.write(2, b"a note from C++")


class config:
    def list_physical_devices():
        os.write(2, b"no GPU")
"""


@pytest.mark.parametrize(("level", "shown"), [("2", ""), ("0", "a note from C++")])
def test_start_tensorflow_drops_its_notes_unless_debugging(
    level, shown, tmp_path, monkeypatch, capfd
):
    (tmp_path / "tensorflow.py").write_text(NOISY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    terminal.start_tensorflow()
    # The stand-in must not stay: monkeypatch forgets what was not there before.
    del sys.modules["tensorflow"]
    sys.stderr.write("still heard\n")
    assert capfd.readouterr().err == shown + "still heard\n"


@pytest.mark.parametrize(
    ("given", "debug", "gpu", "level"),
    [
        (None, False, False, "3"),
        (None, False, True, "2"),
        (None, True, False, "0"),
        ("1", False, False, "1"),
    ],
)
def test_tensorflow_is_quiet_unless_asked_or_a_gpu_may_fail(
    given, debug, gpu, level, monkeypatch
):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "")  # put back in any case
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    if given is not None:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", given)
    monkeypatch.setattr(terminal, "has_nvidia_gpu", lambda: gpu)
    terminal.quiet_tensorflow(debug=debug)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == level


def test_tensorflow_does_not_call_new_models_retracing(monkeypatch, caplog):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "filters", [])
    for debug, expected in ((True, ["retracing", "other"]), (False, ["other"])):
        terminal.quiet_tensorflow(debug=debug)
        caplog.clear()
        logger.warning("5 out of the last %d calls triggered tf.function retracing.", 7)
        logger.warning("other")
        assert [
            record.getMessage()[-10:].strip(" .") for record in caplog.records
        ] == expected


def test_backend_is_chosen_before_keras_is_imported(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    found = {"jax": object()}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    terminal.choose_backend(None)
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    terminal.choose_backend("jax")
    assert os.environ["KERAS_BACKEND"] == "jax"
    with pytest.raises(ConfigError, match=r"not installed.*pip install torch"):
        terminal.choose_backend("torch")


def test_backend_cannot_change_in_a_process(monkeypatch):
    keras = pytest.importorskip("keras")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    with pytest.raises(ConfigError, match='backend="torch" after "tensorflow"'):
        terminal.choose_backend("torch")
