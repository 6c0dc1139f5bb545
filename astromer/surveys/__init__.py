"""Native survey files, read as tables of flagged observations or as light curves.

A new survey is one module with a `Survey` named ``SURVEY`` and one line in
`astromer.surveys.registry`. The readers, and polars with them, are imported when they
are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astromer.lazy import import_when_used
from astromer.surveys.observations import (
    FLAGS,
    Dropped,
    DroppedLightCurve,
    ObservationTable,
    ReadOptions,
    Survey,
)

if TYPE_CHECKING:
    from astromer.surveys.parsing import count_flags
    from astromer.surveys.reading import (
        find_files,
        read_light_curves,
        read_observations,
    )
    from astromer.surveys.registry import detect_survey, get_survey, list_surveys
    from astromer.surveys.schema import OBSERVATION_SCHEMA

__all__ = [
    "FLAGS",
    "OBSERVATION_SCHEMA",
    "Dropped",
    "DroppedLightCurve",
    "ObservationTable",
    "ReadOptions",
    "Survey",
    "count_flags",
    "detect_survey",
    "find_files",
    "get_survey",
    "list_surveys",
    "read_light_curves",
    "read_observations",
]

_HOMES = {
    "OBSERVATION_SCHEMA": "schema",
    "count_flags": "parsing",
    "detect_survey": "registry",
    "find_files": "reading",
    "get_survey": "registry",
    "list_surveys": "registry",
    "read_light_curves": "reading",
    "read_observations": "reading",
}

__getattr__, __dir__ = import_when_used(__name__, _HOMES)
