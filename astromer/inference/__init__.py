"""A trained model applied to light curves; results come in input order.

Names are imported when they are first used, so that a model is loaded before them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astromer.inference.attention_weights import Attention, attention
    from astromer.inference.classification import Classifications, classify
    from astromer.inference.embedding import Embeddings, embed, embed_in_parts
    from astromer.inference.exporting import (
        Exported,
        ExportFormat,
        check_export_path,
        export,
    )
    from astromer.inference.reconstruction import Reconstructions, reconstruct

__all__ = [
    "Attention",
    "Classifications",
    "Embeddings",
    "ExportFormat",
    "Exported",
    "Reconstructions",
    "attention",
    "check_export_path",
    "classify",
    "embed",
    "embed_in_parts",
    "export",
    "reconstruct",
]

_HOMES = {
    "Attention": "attention_weights",
    "Classifications": "classification",
    "Embeddings": "embedding",
    "ExportFormat": "exporting",
    "Exported": "exporting",
    "Reconstructions": "reconstruction",
    "attention": "attention_weights",
    "check_export_path": "exporting",
    "classify": "classification",
    "embed": "embedding",
    "embed_in_parts": "embedding",
    "export": "exporting",
    "reconstruct": "reconstruction",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module = importlib.import_module(f"astromer.inference.{_HOMES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
