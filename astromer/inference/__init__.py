"""A trained model applied to light curves; results come in input order.

Names are imported when they are first used: loading a model does not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astromer.lazy import import_when_used

if TYPE_CHECKING:
    from astromer.inference.attention_weights import Attention, attention
    from astromer.inference.classification import Classifications, classify
    from astromer.inference.embedding import embed, embed_in_parts
    from astromer.inference.exporting import (
        Exported,
        ExportFormat,
        check_export_path,
        export,
    )
    from astromer.inference.reconstruction import Reconstructions, reconstruct
    from astromer.inference.vectors import Embeddings, Matches

__all__ = [
    "Attention",
    "Classifications",
    "Embeddings",
    "ExportFormat",
    "Exported",
    "Matches",
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
    "Embeddings": "vectors",
    "ExportFormat": "exporting",
    "Exported": "exporting",
    "Matches": "vectors",
    "Reconstructions": "reconstruction",
    "attention": "attention_weights",
    "check_export_path": "exporting",
    "classify": "classification",
    "embed": "embedding",
    "embed_in_parts": "embedding",
    "export": "exporting",
    "reconstruct": "reconstruction",
}

__getattr__, __dir__ = import_when_used(__name__, _HOMES)
