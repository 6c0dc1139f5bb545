"""Keras 3 models on `keras.ops` alone: they run on every backend."""

from astromer.models.config import EncoderConfig
from astromer.models.encoder import Encoder
from astromer.models.reconstructor import Reconstructor

__all__ = ["Encoder", "EncoderConfig", "Reconstructor"]
