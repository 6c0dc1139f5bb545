"""Files and folders to be written, looked at before the work of minutes."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from astromer.errors import ConfigError

__all__ = [
    "LOCK_NAME",
    "check_output",
    "claim_folder",
    "full_disk_explained",
    "is_full_disk",
    "whole_file",
]

LOCK_NAME: Final = ".lock"
"""File in a folder that a process has claimed."""

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What some file systems of several computers answer."""


def check_output(path: str | Path) -> Path:
    """Return the path of a file if it can be written there.

    Parameters
    ----------
    path : str or pathlib.Path
        A file of that name may exist, folders above it need not.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    ConfigError
        If it is a folder, or the nearest folder above it that exists is none or cannot
        be written.
    """
    path = Path(path)
    if path.is_dir():
        raise ConfigError(
            "The result is a file. "
            f"Received: path={path}, which is a folder. Name a file in it."
        )
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        reason = "cannot be written" if above.is_dir() else "is no folder"
        raise ConfigError(
            "The result goes where it can be written. "
            f"Received: path={path}, but {above} {reason}. Name another place."
        )
    return path


@contextlib.contextmanager
def claim_folder(folder: Path) -> Iterator[bool]:
    """Keep a folder for this process until the block ends, however it does.

    The system lets go of what a killed process has claimed. On Windows, and where the
    file system knows no locks, nothing is claimed.

    Parameters
    ----------
    folder : pathlib.Path
        Made, with those above it, if it does not exist.

    Yields
    ------
    is_claimed : bool
        False if another process, or another block of this one, has claimed it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.name != "posix":
        yield True
        return
    lock = folder / LOCK_NAME
    with open(lock, "ab") as stream:
        if not _takes(stream, lock):
            yield False
            return
        try:
            yield True
        finally:
            lock.unlink(missing_ok=True)


def _takes(stream: BinaryIO, lock: Path) -> bool:
    """Lock a file, unless another process has; it is given back when closed."""
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who has just ended takes the file along: a lock on that is none.
        return os.path.samestat(os.fstat(stream.fileno()), lock.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return True


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that the disk or the quota is full."""
    # Libraries in Rust have errors of their own, with the system's text in them.
    return getattr(error, "errno", None) in _FULL or any(
        f"os error {number}" in str(error) for number in _FULL
    )


@contextlib.contextmanager
def full_disk_explained(path: str | Path) -> Iterator[None]:
    """Turn a full disk into an error that says so.

    Parameters
    ----------
    path : str or pathlib.Path
        What is being written.

    Raises
    ------
    ConfigError
        If the disk or the quota is full.
    """
    try:
        yield
    except Exception as error:
        if not is_full_disk(error):
            raise
        raise ConfigError(
            f"The disk or the quota is full. Received: path={path}, which is not "
            "whole. Make room, or name another place."
        ) from error


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file in a folder of its own, and put it in its place when it is whole.

    Work of hours may be interrupted, and the disk may be full: what was there stays.

    Parameters
    ----------
    path : pathlib.Path
        Its folder exists; a file of that name is replaced.

    Yields
    ------
    made : pathlib.Path
        A file of the same name to be written.

    Raises
    ------
    ConfigError
        If the disk or the quota is full.
    """
    with (
        full_disk_explained(path),
        tempfile.TemporaryDirectory(dir=path.parent, prefix=".parts-") as folder,
    ):
        made = Path(folder) / path.name
        yield made
        made.replace(path)
