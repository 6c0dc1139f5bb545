"""What a conversion remembers of its input files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from astromer.errors import SurveyError
from astromer.records.manifest import InputSummary
from astromer.surveys import detect_survey, get_survey

__all__ = ["name_below_common_folder", "name_survey", "summarize_inputs"]

FILES_IN_MANIFEST: Final = 100


def name_survey(
    survey: str | None, files: Sequence[Path], *, skip_unreadable: bool = False
) -> str:
    """Return the survey's name: the given one, or what the files look like."""
    if survey is not None:
        return get_survey(survey).name
    names = set()
    for file in files:
        try:
            names.add(detect_survey(file).name)
        except SurveyError:
            if not skip_unreadable:
                raise
    return names.pop() if len(names) == 1 else "mixed"


def name_below_common_folder(files: Sequence[Path]) -> dict[Path, str]:
    """Name files without the machine's folders, yet apart from each other."""
    folders = {path: path.resolve().parent for path in files}
    if not folders:
        return {}
    common = Path(os.path.commonpath([str(folder) for folder in folders.values()]))
    return {
        path: (folder.relative_to(common) / path.name).as_posix()
        for path, folder in folders.items()
    }


def summarize_inputs(
    files: Sequence[Path],
    names: dict[Path, str],
    labels: Path | None,
    listed: Iterable[Path] = (),
) -> InputSummary:
    """Describe the input so that a changed one is noticed when resuming.

    Parameters
    ----------
    files : sequence of pathlib.Path
    names : dict of pathlib.Path to str
        As `name_below_common_folder` returns them.
    labels : pathlib.Path, optional
    listed : iterable of pathlib.Path
        Files that others name, and that may not exist. They count for the
        fingerprint alone.

    Returns
    -------
    summary : InputSummary

    Raises
    ------
    SurveyError
        If a file's name is no text, which nothing that names the file could hold.
    """
    digest = hashlib.sha256()
    total = 0
    first: list[dict[str, Any]] = []
    for path in files:
        try:
            names[path].encode()
        except UnicodeEncodeError as error:
            raise SurveyError(
                "Names of files must be UTF-8. "
                f"Received: path={os.fsencode(path)!r}. Rename the file."
            ) from error
        facts = path.stat()
        total += facts.st_size
        digest.update(f"{names[path]}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        if len(first) < FILES_IN_MANIFEST:
            first.append({"name": names[path], "bytes": facts.st_size})
    for path in listed:
        # Their names are what the table holds.
        if path.is_file():
            facts = path.stat()
            digest.update(f"{facts.st_size}\0{facts.st_mtime_ns}".encode())
        digest.update(b"\n")
    if labels is not None and labels.is_file():
        digest.update(labels.read_bytes())
    return InputSummary(
        num_files=len(files),
        bytes=total,
        fingerprint=digest.hexdigest(),
        files=first,
    )
