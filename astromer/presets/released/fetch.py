"""The authors' weights, downloaded once, verified, and made a preset."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pooch

from astromer.errors import PresetError
from astromer.presets.official import OfficialWeights, find_official
from astromer.presets.registry import downloads_folder, preset_folders
from astromer.presets.released.importer import import_released
from astromer.progress import Progress

__all__ = ["fetch_preset"]

_TIMEOUT_S: Final = 30
_CHUNK_BYTES: Final = 1 << 16


def fetch_preset(
    name: str,
    *,
    url: str | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Download weights that the authors have published, and make a preset of them.

    What is there already is neither downloaded nor imported again. The downloaded file
    is kept, so that it can be imported once more with other options.

    Parameters
    ----------
    name : str
        Name of official weights, e.g. ``"macho-astromer2-official"``.
    url : str, optional
        Another address of the same file, such as a mirror; its checksum must be the
        published one.
    replace : bool
        Whether to import again where the preset exists.
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    path : pathlib.Path
        Folder of the preset; `Astromer.from_pretrained` loads it by name.

    Raises
    ------
    PresetError
        If the name is not known; if the file cannot be downloaded or is not the
        published one - the message says how to give it by hand; or if it cannot be
        imported, see `import_released`.
    """
    weights = find_official(name)
    folders = preset_folders()
    if name in folders and not replace:
        return folders[name]
    file = _download(weights, url or weights.url, progress)
    return import_released(file, name=name, replace=replace)


def _download(weights: OfficialWeights, url: str, progress: Progress | None) -> Path:
    """Return the verified file; one that was downloaded before is not again."""
    bar = False if progress is None else _Bar(progress)
    try:
        with _quiet():
            file = pooch.retrieve(
                url,
                known_hash=f"{weights.algorithm}:{weights.checksum}",
                fname=weights.file_name,
                path=downloads_folder(),
                downloader=pooch.HTTPDownloader(
                    progressbar=bar, chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_S
                ),
            )
    # A refused, cut or missing connection is an OSError, a wrong checksum a ValueError.
    except (OSError, ValueError) as error:
        raise PresetError(
            f"`{weights.name}` could not be downloaded. Received: url={url} "
            f"({str(error).rstrip('.')}). Download {weights.url} by hand, and then: "
            f"astromer presets import {weights.file_name} --name {weights.name}."
        ) from error
    return Path(file)


class _Bar:
    """What pooch tells its progress bar, told on in bytes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self.total = 0

    def update(self, amount: int) -> None:
        self._done += amount
        # The last chunk is counted whole.
        done = min(self._done, self.total) if self.total else self._done
        self._progress("download", done, self.total or None, "bytes")

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep pooch from writing to standard error."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
