"""Trained models in folders: find, describe, save and load them.

Finding and describing do without Keras; all else imports it when used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    from astromer.presets.storage import golden_difference, load_preset, save_preset

__all__ = [
    "OfficialWeights",
    "PresetInfo",
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
    "fetch_preset": "astromer.presets.released",
    "golden_difference": "astromer.presets.storage",
    "import_released": "astromer.presets.released",
    "load_preset": "astromer.presets.storage",
    "save_preset": "astromer.presets.storage",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
