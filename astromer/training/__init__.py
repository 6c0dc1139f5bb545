"""Training: losses and metrics for Keras's own `compile` and `fit`, and whole runs.

Names are imported when they are first used: options cost no Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astromer.lazy import import_when_used
from astromer.training.energy import EnergyConfig, EnergyEstimate
from astromer.training.options import (
    ClassifierOptions,
    FinetuneOptions,
    LossForm,
    PretrainOptions,
    SignatureOptions,
    TrainingOptions,
)

if TYPE_CHECKING:
    from astromer.training.classification import (
        ClassificationLoss,
        MacroF1,
        balanced_class_weights,
        check_takes_logits,
        classification_metrics,
    )
    from astromer.training.classifying import ClassifierResult, train_classifier
    from astromer.training.finetuning import finetune, set_trainable
    from astromer.training.losses import ReconstructionLoss
    from astromer.training.metrics import R2, RMSE, Subset, reconstruction_metrics
    from astromer.training.optimizers import Adam, learning_rate_schedule
    from astromer.training.pretraining import pretrain
    from astromer.training.run import RunResult
    from astromer.training.signature import (
        contrastive_loss,
        draw_views,
        fit_signature,
        signature_of,
    )
    from astromer.training.strategy import make_strategy

__all__ = [
    "R2",
    "RMSE",
    "Adam",
    "ClassificationLoss",
    "ClassifierOptions",
    "ClassifierResult",
    "EnergyConfig",
    "EnergyEstimate",
    "FinetuneOptions",
    "LossForm",
    "MacroF1",
    "PretrainOptions",
    "ReconstructionLoss",
    "RunResult",
    "SignatureOptions",
    "Subset",
    "TrainingOptions",
    "balanced_class_weights",
    "check_takes_logits",
    "classification_metrics",
    "contrastive_loss",
    "draw_views",
    "finetune",
    "fit_signature",
    "learning_rate_schedule",
    "make_strategy",
    "pretrain",
    "reconstruction_metrics",
    "set_trainable",
    "signature_of",
    "train_classifier",
]

_HOMES = {
    "R2": "metrics",
    "RMSE": "metrics",
    "Adam": "optimizers",
    "ClassificationLoss": "classification",
    "check_takes_logits": "classification",
    "ClassifierResult": "classifying",
    "MacroF1": "classification",
    "ReconstructionLoss": "losses",
    "RunResult": "run",
    "Subset": "metrics",
    "balanced_class_weights": "classification",
    "classification_metrics": "classification",
    "contrastive_loss": "signature",
    "draw_views": "signature",
    "finetune": "finetuning",
    "fit_signature": "signature",
    "learning_rate_schedule": "optimizers",
    "make_strategy": "strategy",
    "pretrain": "pretraining",
    "reconstruction_metrics": "metrics",
    "set_trainable": "finetuning",
    "signature_of": "signature",
    "train_classifier": "classifying",
}

__getattr__, __dir__ = import_when_used(__name__, _HOMES)
