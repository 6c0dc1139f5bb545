"""Models that the authors' code saved, to presets: read, verified, translated."""

from astromer.presets.released.fetch import fetch_preset
from astromer.presets.released.importer import import_released

__all__ = ["fetch_preset", "import_released"]
