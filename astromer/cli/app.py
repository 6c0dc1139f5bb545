"""The `astromer` command: its verbs, and what becomes of an error."""

from __future__ import annotations

import _thread
import contextlib
import logging
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from astromer._version import __version__
from astromer.cli import (
    classification,
    demo,
    embeddings,
    evaluation,
    exporting,
    figures,
    presets,
    records,
    terminal,
    training,
    vectors,
)
from astromer.errors import AstromerError

__all__ = ["app", "main"]

EXIT_ERROR = 2
"""Bad input or options; 1 is kept for `verify` finding a difference."""
EXIT_INTERRUPTED = 130
"""128 plus the number of the interrupt signal, as shells count it."""


class _Verbs(TyperGroup):
    """A group of commands that turns an expected error into one red line."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            terminal.error(str(interrupt) or "Interrupted.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            # `astromer inspect DIR --json | head` has read enough: nothing is wrong.
            terminal.drop_output(1)
            raise typer.Exit from None
        except (AstromerError, ImportError, OSError) as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            terminal.error(str(error))
            raise typer.Exit(EXIT_ERROR) from None


app = typer.Typer(
    name="astromer",
    cls=_Verbs,
    help="From survey files to light-curve embeddings.",
    epilog="Start with [bold]astromer demo[/bold]: it needs no data and no download.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("convert")(records.convert)
app.command("inspect")(records.inspect)
app.command("verify")(records.verify)
app.command("pretrain")(training.pretrain)
app.command("finetune")(training.finetune)
app.command("train-classifier")(training.train_classifier)
app.command("embed")(embeddings.embed)
app.command("search")(vectors.search)
app.command("anomalies")(vectors.anomalies)
app.command("export")(exporting.export)
app.command("reconstruct")(embeddings.reconstruct)
app.command("predict")(classification.predict)
app.command("benchmark", cls=evaluation.SeveralValues)(evaluation.benchmark)
app.command("benchmark-reconstruction", cls=evaluation.SeveralValues)(
    evaluation.benchmark_reconstruction
)
app.add_typer(presets.app, name="presets")
app.add_typer(figures.app, name="figure")
app.command("demo")(demo.demo)


def _print_version(requested: bool) -> None:
    if requested:
        terminal.output(f"astromer {__version__}")
        raise typer.Exit


@app.callback()
def _set_up(
    version: Annotated[  # noqa: ARG001 - acts by its callback
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            metavar="",
            help="Print log messages and tracebacks of errors.",
        ),
    ] = False,
) -> None:
    terminal.quiet_tensorflow(debug=debug)
    if debug:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    else:
        terminal.show_warnings()


@contextlib.contextmanager
def _interrupts_passed_on() -> Iterator[None]:
    """Repeat a Ctrl-C that came where Python drops what is raised, as in a callback."""
    known = sys.unraisablehook

    def pass_on(failure: sys.UnraisableHookArgs) -> None:
        if issubclass(failure.exc_type, KeyboardInterrupt):
            # Not at once: here it would be dropped again.
            threading.Timer(0.01, _thread.interrupt_main).start()
        else:
            known(failure)

    sys.unraisablehook = pass_on
    try:
        yield
    finally:
        sys.unraisablehook = known


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    code : int
        0 if all went well, 1 if `verify` found a difference, 2 on bad input or
        options, 130 if interrupted.
    """
    arguments = None if argv is None else list(argv)
    terminal.prepare_streams()
    try:
        with _interrupts_passed_on():
            get_command(app).main(args=arguments, prog_name="astromer")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
