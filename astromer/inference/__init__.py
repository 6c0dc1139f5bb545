"""A trained model applied to light curves; results come in input order."""

from astromer.inference.attention import Attention, attention
from astromer.inference.classification import Classifications, classify
from astromer.inference.embedding import Embeddings, embed
from astromer.inference.reconstruction import Reconstructions, reconstruct

__all__ = [
    "Attention",
    "Classifications",
    "Embeddings",
    "Reconstructions",
    "attention",
    "classify",
    "embed",
    "reconstruct",
]
