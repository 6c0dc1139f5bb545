"""The native formats that exist, by name and by what a file looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from astromer.errors import SurveyError, unknown_name
from astromer.surveys import asas_sn, atlas, gaia, macho, ogle, table, ztf
from astromer.surveys.files import read_head
from astromer.surveys.observations import Survey

__all__ = ["detect_survey", "get_survey", "list_surveys"]

# Detection asks in this order: the more specific first, plain tables last.
_SURVEYS: Final = {
    survey.name: survey
    for survey in (
        macho.SURVEY,
        atlas.SURVEY,
        ztf.SURVEY,
        gaia.SURVEY,
        asas_sn.SURVEY,
        ogle.SURVEY,
        table.SURVEY,
    )
}


def list_surveys() -> tuple[Survey, ...]:
    """List the formats that can be read, in the order of detection.

    Returns
    -------
    surveys : tuple of Survey

    Examples
    --------
    >>> [survey.name for survey in list_surveys()]
    ['macho', 'atlas', 'ztf', 'gaia', 'asas_sn', 'ogle', 'table']
    """
    return tuple(_SURVEYS.values())


def get_survey(name: str) -> Survey:
    """Look a format up by name.

    Parameters
    ----------
    name : str
        A name from `list_surveys`.

    Returns
    -------
    survey : Survey

    Raises
    ------
    SurveyError
        If there is no such format; suggests the nearest name.
    """
    try:
        return _SURVEYS[name]
    except KeyError:
        raise SurveyError(unknown_name("survey", name, _SURVEYS)) from None


def detect_survey(path: str | Path) -> Survey:
    """Recognize the format of a file by its name and first bytes.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    survey : Survey
        The first that fits in the order of `list_surveys`.

    Raises
    ------
    SurveyError
        If no format fits, or the file is missing, empty, or damaged.
    """
    path = Path(path)
    head = read_head(path)
    for survey in _SURVEYS.values():
        if survey.detect(path, head):
            return survey
    raise SurveyError(
        f"The format is not known. Received: path={path}, first bytes={head[:40]!r}. "
        f"Known surveys: {', '.join(_SURVEYS)}. Name the survey if it is one of them."
    )
