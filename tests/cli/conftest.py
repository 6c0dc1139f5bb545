"""Fixtures of the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def modules_imported_by():
    """Return a function that runs `astromer` in a new process.

    It returns the top-level modules imported by then. How long it took is a matter of
    `python -m benchmarks`.
    """

    def run(*arguments, exit_code=0):
        code = (
            "import sys; from astromer.cli import main;"
            f"code = main({list(arguments)!r});"
            "print('MODULES', *{name.split('.')[0] for name in sys.modules});"
            "sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == exit_code, done.stderr
        return set(done.stdout.rpartition("MODULES")[2].split())

    return run
