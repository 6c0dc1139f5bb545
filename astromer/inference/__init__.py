"""A trained model applied to light curves; results come in input order."""

from astromer.inference.classification import Classifications, classify
from astromer.inference.embedding import Embeddings, embed
from astromer.inference.reconstruction import Reconstructions, reconstruct

__all__ = [
    "Classifications",
    "Embeddings",
    "Reconstructions",
    "classify",
    "embed",
    "reconstruct",
]
