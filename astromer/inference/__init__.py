"""A trained model applied to light curves; results come in input order."""

from astromer.inference.attention import Attention, attention
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
