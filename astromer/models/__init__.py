"""Keras 3 models on `keras.ops` alone: they run on every backend."""

from astromer.models.classifier import ClassifierNetwork
from astromer.models.config import ClassifierConfig, EncoderConfig
from astromer.models.encoder import Encoder
from astromer.models.reconstructor import Reconstructor

__all__ = [
    "ClassifierConfig",
    "ClassifierNetwork",
    "Encoder",
    "EncoderConfig",
    "Reconstructor",
]
