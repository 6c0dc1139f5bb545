"""Native survey files, read as tables of flagged observations or as light curves.

A new survey is one module with a `Survey` named ``SURVEY`` and one line in
`astromer.surveys.registry`.
"""

from astromer.surveys.observations import (
    FLAGS,
    OBSERVATION_SCHEMA,
    Dropped,
    DroppedLightCurve,
    ObservationTable,
    ReadOptions,
    Survey,
)
from astromer.surveys.parsing import count_flags
from astromer.surveys.reading import find_files, read_light_curves, read_observations
from astromer.surveys.registry import detect_survey, get_survey, list_surveys

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
