"""Reasons to leave observations out of records, and what each of them removed."""

from __future__ import annotations

import dataclasses
from typing import Final

from astromer.surveys.observations import FLAGS

__all__ = ["CUTS", "CutCount"]

CUTS: Final = {
    "passband_not_selected": "a passband that was not asked for",
    **FLAGS,
    "mag_err_not_positive": "an uncertainty of zero or below",
    "mag_err_above_max": "an uncertainty above max_error",
    "duplicate_time": "a later observation at a time that the light curve has already",
    "outside_percentiles": "a magnitude not strictly between clip_percentiles",
    "too_few_observations": "a light curve with fewer than min_observations left",
    "noise_filter": "a light curve that noise_filter rejects",
}
"""Reasons to leave observations out, in the order in which they are applied."""


@dataclasses.dataclass(slots=True)
class CutCount:
    """What one cut removed."""

    observations: int = 0
    """Observations left out."""
    light_curves: int = 0
    """Light curves that lost at least one observation to it."""
