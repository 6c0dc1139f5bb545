"""Where the data that ships with the package lies: in a wheel, or in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["bundled_folder"]


def bundled_folder(name: Literal["presets", "records"]) -> Path:
    """Return a top-level data folder.

    Parameters
    ----------
    name : {"presets", "records"}

    Returns
    -------
    path : pathlib.Path
        ``astromer/_presets`` where a wheel was installed, else the folder beside the
        package, as in a checkout.
    """
    package = Path(__file__).resolve().parent
    installed = package / f"_{name}"
    return installed if installed.is_dir() else package.parent / name
