"""How the command line looks: consoles, tables, numbers, one-line ends.

Results go to standard output, everything else to standard error, so that a pipe
carries only results.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import itertools
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from astromer.errors import ConfigError

__all__ = [
    "choose_backend",
    "count",
    "counted",
    "drop_output",
    "duration",
    "error",
    "listed",
    "make_table",
    "output",
    "prepare_streams",
    "rate",
    "show_warnings",
    "size",
    "start_tensorflow",
    "stderr",
    "stdout",
]

PIPE_WIDTH = 120
"""Columns of a table where standard output is not a terminal."""


class _Console(Console):
    """A console that is silent from when its reader has hung up.

    The command goes on, so that its files are written and its exit code is what it
    found.
    """

    def on_broken_pipe(self) -> None:
        drop_output(self.file.fileno())


def drop_output(descriptor: int) -> None:
    """Send what is still written to a file descriptor nowhere."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, descriptor)
    os.close(sink)


def prepare_streams() -> None:
    """Let no command fail because of where its output goes.

    Standard streams that are closed (``2>&-``) lead nowhere, and characters that
    standard output cannot encode become question marks.
    """
    # In this order each takes the descriptor of its own, the lowest that is free.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - stays
            setattr(sys, name, stream)
    # Standard error never fails: it writes what it cannot encode as an escape.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def stdout() -> Console:
    """Return a console on today's standard output; tests and pipes replace it."""
    console = _Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, PIPE_WIDTH)
    return console


def stderr() -> Console:
    """Return a console on today's standard error."""
    return _Console(stderr=True, highlight=False)


def output(*lines: Any) -> None:
    """Print results: lines of text with markup, or rich objects such as tables."""
    console = stdout()
    for line in lines:
        # A line stays a line, so that paths can be copied and output searched.
        console.print(line, soft_wrap=isinstance(line, str))
        if isinstance(line, Table):
            console.print()


def error(message: str) -> None:
    """Print one clear red line; line breaks in the message become spaces."""
    _print_line("Error: ", message, "red")


def show_warnings() -> None:
    """Print what the library warns of in its log as one yellow line each."""
    logger = logging.getLogger("astromer")
    if not any(isinstance(handler, _WarningLines) for handler in logger.handlers):
        logger.addHandler(_WarningLines(logging.WARNING))


class _WarningLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _print_line("Warning: ", record.getMessage(), "yellow")


def _print_line(title: str, message: str, color: str) -> None:
    text = Text(title, style=f"bold {color}")
    text.append(" ".join(message.split()), style=f"not bold {color}")
    # Never folded: one line can be searched for and copied, also from a log.
    stderr().print(text, soft_wrap=True)


def count(number: float) -> str:
    """Write a whole number with thousands separators.

    Examples
    --------
    >>> count(5370938)
    '5,370,938'
    """
    return f"{int(number):,}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> counted(1, "light curve"), counted(1200, "light curve")
    ('1 light curve', '1,200 light curves')
    """
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """Write the first few of many names in one line.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2), listed("ab", most=2)
    ('a, b, ...', 'a, b')
    """
    first = list(itertools.islice(names, most + 1))
    if len(first) > most:
        first[most] = "..."
    return ", ".join(first)


def duration(seconds: float) -> str:
    """Write a time span as one reads it.

    Examples
    --------
    >>> duration(6.07), duration(134.2), duration(7260)
    ('6.1 s', '2 min 14 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def rate(number: float, seconds: float, unit: str) -> str:
    """Write a rate per second with three figures.

    Examples
    --------
    >>> rate(3_100_000, 2.0, "rows"), rate(12, 8, "light curves")
    ('1.55 M rows/s', '1.5 light curves/s')
    """
    value = number / max(seconds, 1e-9)
    for factor, prefix in ((1e6, "M "), (1e3, "k ")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}/s"
    return f"{value:.3g} {unit}/s"


def size(num_bytes: float) -> str:
    """Write a number of bytes in decimal units.

    Examples
    --------
    >>> size(812), size(91_284_112)
    ('812 B', '91.3 MB')
    """
    value, unit = float(num_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def make_table(
    title: str, columns: Iterable[str], *, numeric: Iterable[str] = ()
) -> Table:
    """Make an empty table in the one style that all commands share.

    Parameters
    ----------
    title : str
    columns : iterable of str
        Headings, with units in brackets where there are any.
    numeric : iterable of str
        Headings of columns that are aligned to the right.

    Returns
    -------
    table : rich.table.Table
    """
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
        show_edge=False,
    )
    right = set(numeric)
    for number, column in enumerate(columns):
        # Headings may hold units such as [mag], which is no markup.
        heading = Text(column)
        table.add_column(
            heading,
            justify="right" if column in right else "left",
            no_wrap=number == 0 or column in right,
        )
    return table


def choose_backend(name: str | None) -> None:
    """Say what Keras computes on, before it is imported.

    Parameters
    ----------
    name : {"tensorflow", "jax", "torch"}, optional
        None leaves it to the environment variable ``KERAS_BACKEND``.

    Raises
    ------
    ConfigError
        If it is not installed, or Keras already runs on another one.
    """
    if name is None:
        return
    if importlib.util.find_spec(name) is None:
        raise ConfigError(
            f'The backend is not installed. Received: backend="{name}". '
            f"Install it: pip install {name}."
        )
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() != name:
        raise ConfigError(
            "Keras has one backend in a process. Received: "
            f'backend="{name}" after "{keras.backend.backend()}". Start a new process.'
        )
    os.environ["KERAS_BACKEND"] = name


def has_nvidia_gpu() -> bool:
    """Say whether there is a GPU whose failure a user must hear of."""
    return any(Path("/dev").glob("nvidia*"))


def quiet_tensorflow(*, debug: bool) -> None:
    """Choose what TensorFlow may log, unless the user has, before it is imported.

    Its notes help nobody, and what it calls errors are none where there is no GPU.
    """
    level = "2" if has_nvidia_gpu() else "3"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else level)
    if not debug:
        logging.getLogger("tensorflow").addFilter(_is_no_retracing)


def _is_no_retracing(record: logging.LogRecord) -> bool:
    # A benchmark makes a model for every fold, and each model is one graph: TensorFlow
    # takes them for one function that is traced again and again.
    return "triggered tf.function retracing" not in record.getMessage()


def start_tensorflow() -> None:
    """Import TensorFlow without the notes that it writes to standard error.

    TensorFlow 2.21 writes some whatever the log level, and calls a machine without a
    GPU an error. With the environment variable ``TF_CPP_MIN_LOG_LEVEL=0``, which
    ``--debug`` sets, all of them come through.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        importlib.import_module("tensorflow")
        return
    sys.stderr.flush()
    # The notes come from C++, below sys.stderr.
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        tensorflow = importlib.import_module("tensorflow")
        # Where there is a GPU, a failure to use it must be heard.
        if not has_nvidia_gpu():
            tensorflow.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
