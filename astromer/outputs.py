"""Files to be written, looked at before the work of minutes and not after."""

from __future__ import annotations

import os
from pathlib import Path

from astromer.errors import ConfigError

__all__ = ["check_output"]


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
