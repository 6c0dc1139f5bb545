"""Losses and metrics for Keras's own `compile`, `fit` and `evaluate`."""

from astromer.training.classification import (
    ClassificationLoss,
    MacroF1,
    balanced_class_weights,
    classification_metrics,
)
from astromer.training.losses import LossForm, ReconstructionLoss
from astromer.training.metrics import R2, RMSE, Subset, reconstruction_metrics

__all__ = [
    "R2",
    "RMSE",
    "ClassificationLoss",
    "LossForm",
    "MacroF1",
    "ReconstructionLoss",
    "Subset",
    "balanced_class_weights",
    "classification_metrics",
    "reconstruction_metrics",
]
