"""How long work says how far it is: a protocol, and a bar for whoever watches."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Protocol

__all__ = ["Progress", "TrainingProgress", "show_progress"]


class Progress(Protocol):
    """What long work calls; an exception raised in it stops the work."""

    def __call__(self, stage: str, done: int, total: int | None, unit: str) -> None:
        """Receive the state of a stage.

        Parameters
        ----------
        stage : str
            What is being done, e.g. ``"embed"``.
        done : int
            Amount done so far.
        total : int or None
            Amount in all; None where it is not known.
        unit : str
            What is counted, e.g. ``"light curves"``.
        """


class TrainingProgress(Protocol):
    """What training calls; it has more to tell than how far it is."""

    def __call__(
        self, stage: str, done: int, total: int | None, unit: str, detail: str = ""
    ) -> None:
        """Receive the state of a stage; see `Progress`.

        Parameters
        ----------
        stage, done, total, unit
            As for `Progress`.
        detail : str
            What else is worth a look, e.g. epoch, loss and score.
        """


@contextlib.contextmanager
def show_progress(verbose: bool | None = None) -> Iterator[TrainingProgress]:
    """Show a bar per stage on standard error, with count, rate, detail and time left.

    Parameters
    ----------
    verbose : bool, optional
        Whether to show anything; by default on a terminal, and in notebooks
        where ipywidgets is installed.

    Yields
    ------
    progress : TrainingProgress
    """
    # Not at the top: these imports are a tenth of the time that --help takes.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True, highlight=False)
    if verbose is None:
        # Without ipywidgets a notebook would get a warning in the place of a bar.
        verbose = console.is_terminal or (
            "ipykernel" in sys.modules and find_spec("ipywidgets") is not None
        )
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not verbose,
    ) as bars:
        tasks: dict[str, Any] = {}
        starts: dict[str, tuple[float, int]] = {}

        def update(
            stage: str, done: int, total: int | None, unit: str, detail: str = ""
        ) -> None:
            now = time.monotonic()
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage.capitalize(), total=None, state="")
                # What is done by the first call took an unknown time, perhaps in
                # an earlier run.
                starts[stage] = now, done
            began, done_before = starts[stage]
            elapsed, new = now - began, done - done_before
            of = "" if total is None else f" of {total:,}"
            speed = f"  [cyan]{new / elapsed:,.0f}/s[/cyan]" if new and elapsed else ""
            state = f"{done:,}{of} {unit}{speed}{detail and f'  {detail}'}"
            bars.update(tasks[stage], completed=done, total=total, state=state)

        yield update
