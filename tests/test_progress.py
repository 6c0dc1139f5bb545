import contextlib
import io
import re
import sys
import types

import pytest
import rich.progress

from astromer.progress import show_progress


class Terminal(io.StringIO):
    """A stream that says someone is looking."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)


def shown(verbose, *states, stream=None):
    """Return what is written to standard error while work is in these states."""
    stream = Terminal() if stream is None else stream
    with contextlib.redirect_stderr(stream), show_progress(verbose) as progress:
        for state in states:
            progress(*state)
    return stream.getvalue()


EMBED = [("embed", done, 2_000, "light curves") for done in (0, 1_000, 2_000)]


@pytest.mark.parametrize("verbose", [None, True])
def test_bar_tells_stage_count_and_unit_on_a_terminal(verbose, capsys):
    text = shown(verbose, *EMBED)
    assert "Embed" in text
    assert "2,000 of 2,000 light curves" in text
    assert "/s" in text
    assert capsys.readouterr().out == ""


def test_bar_tells_no_total_where_it_is_not_known():
    text = shown(True, ("embed", 2_000, None, "light curves"))
    assert "2,000 light curves" in text
    assert " of " not in text


def test_speed_is_that_of_what_was_done_while_someone_looked(monkeypatch):
    clock = iter([100.0, 104.0])
    fake = types.SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("astromer.progress.time", fake)
    first = ("write", 9_000, 10_000, "light curves")
    text = shown(True, first, ("write", 9_800, 10_000, "light curves"))
    assert text.count("/s") > 0
    assert set(re.findall(r"[\d,]+/s", text)) == {"200/s"}


def test_training_tells_details():
    detail = "epoch 2 of 9, loss 0.1234"
    text = shown(True, ("train", 64, 128, "windows", detail))
    assert f"64 of 128 windows  {detail}" in text


def test_each_stage_has_a_bar():
    text = shown(True, ("read", 1, 1, "files"), ("write", 3, 4, "shards"))
    assert "Read" in text
    assert "1 of 1 files" in text
    assert "Write" in text
    assert "3 of 4 shards" in text


@pytest.mark.parametrize(
    ("verbose", "stream"), [(False, Terminal()), (None, io.StringIO())]
)
def test_nothing_is_shown_when_told_so_or_where_nobody_looks(verbose, stream, capsys):
    assert shown(verbose, *EMBED, stream=stream) == ""
    assert capsys.readouterr() == ("", "")


def interrupted_work(stream):
    with contextlib.redirect_stderr(stream), show_progress(True) as progress:
        progress("embed", 1, 2, "light curves")
        raise KeyboardInterrupt


def test_interrupt_comes_through_and_leaves_the_cursor_visible():
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt):
        interrupted_work(stream)
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert stream.getvalue().rfind(show) > stream.getvalue().rfind(hide) >= 0


@pytest.mark.parametrize(("widgets", "expected"), [(object(), False), (None, True)])
def test_notebook_shows_bars_where_it_can(monkeypatch, widgets, expected):
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setattr("astromer.progress.find_spec", lambda _: widgets)
    disabled = []

    class Recorder(rich.progress.Progress):
        def __init__(self, *columns, **options):
            disabled.append(options["disable"])
            super().__init__(*columns, **options)

    monkeypatch.setattr("rich.progress.Progress", Recorder)
    shown(None, *EMBED, stream=io.StringIO())
    assert disabled == [expected]
