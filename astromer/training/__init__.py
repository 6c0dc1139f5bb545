"""Losses and metrics for Keras's own `compile`, `fit` and `evaluate`."""

from astromer.training.losses import LossForm, ReconstructionLoss
from astromer.training.metrics import R2, RMSE, Subset, reconstruction_metrics

__all__ = [
    "R2",
    "RMSE",
    "LossForm",
    "ReconstructionLoss",
    "Subset",
    "reconstruction_metrics",
]
