"""A trained model applied to light curves; results come in input order."""

from astromer.inference.embedding import Embeddings, embed
from astromer.inference.reconstruction import Reconstructions, reconstruct

__all__ = ["Embeddings", "Reconstructions", "embed", "reconstruct"]
