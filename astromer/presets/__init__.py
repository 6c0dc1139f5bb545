"""Trained models in folders: find, describe, save and load them.

Finding and describing do without Keras; loading and saving import it when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astromer.presets.registry import (
    PresetInfo,
    describe_preset,
    find_preset,
    list_presets,
    user_folder,
)

if TYPE_CHECKING:
    from astromer.presets.storage import golden_difference, load_preset, save_preset

__all__ = [
    "PresetInfo",
    "describe_preset",
    "find_preset",
    "golden_difference",
    "list_presets",
    "load_preset",
    "save_preset",
    "user_folder",
]


def __getattr__(name: str) -> Any:
    if name in ("golden_difference", "load_preset", "save_preset"):
        from astromer.presets import storage

        return getattr(storage, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
