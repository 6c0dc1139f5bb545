"""Trained models in folders: find, describe, save and load them.

Finding and describing do without Keras; all else imports it when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astromer.lazy import import_when_used
from astromer.presets.official import OfficialWeights, find_official
from astromer.presets.registry import (
    PresetInfo,
    describe_preset,
    downloads_folder,
    find_preset,
    list_presets,
    list_unfetched,
    user_folder,
)

if TYPE_CHECKING:
    from astromer.presets.released import fetch_preset, import_released
    from astromer.presets.storage import (
        check_metadata,
        golden_difference,
        load_preset,
        save_preset,
    )

__all__ = [
    "OfficialWeights",
    "PresetInfo",
    "check_metadata",
    "describe_preset",
    "downloads_folder",
    "fetch_preset",
    "find_official",
    "find_preset",
    "golden_difference",
    "import_released",
    "list_presets",
    "list_unfetched",
    "load_preset",
    "save_preset",
    "user_folder",
]


_HOMES = {
    "check_metadata": "storage",
    "fetch_preset": "released",
    "golden_difference": "storage",
    "import_released": "released",
    "load_preset": "storage",
    "save_preset": "storage",
}

__getattr__, __dir__ = import_when_used(__name__, _HOMES)
