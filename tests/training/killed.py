"""Pretrain, and be killed on the way. Run as a script, by `test_resume.py`.

A process of its own, since SIGKILL leaves nothing of one: no handler, no flush.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from astromer.training import pretrain
from tests.training.test_resume import CONFIG, OPTIONS

WRITES_BEFORE = 5
"""Files that are whole before the process dies while it writes the next."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(records: str, out: str, when: str) -> None:
    """Die after the fifth batch, or within the write of a file."""
    batches: list[int] = []
    syncs: list[int] = []
    fsync = os.fsync

    def progress(
        stage: str, done: int, total: Any, unit: str, detail: str = ""
    ) -> None:
        if "loss" in detail:
            batches.append(done)
        if when == "batch" and len(batches) == 5:
            die()

    def fsync_or_die(fd: Any) -> None:
        syncs.append(fd)
        # Two for each file that is whole.
        if when == "write" and len(syncs) > 2 * WRITES_BEFORE:
            die()
        fsync(fd)

    os.fsync = fsync_or_die  # type: ignore[assignment]
    pretrain(records, out, config=CONFIG, progress=progress, **OPTIONS)


if __name__ == "__main__":
    main(*sys.argv[1:])
