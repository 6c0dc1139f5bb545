"""Astromer: a foundation model for light curves, from survey files to embeddings.

The public names, each imported when it is first used: `import astromer` is instant and
costs no TensorFlow.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from astromer._version import __version__
from astromer.lazy import import_when_used

if TYPE_CHECKING:
    from astromer.inference import Classifications, Embeddings, Reconstructions
    from astromer.lightcurve import LightCurve, light_curves_from_frame
    from astromer.model import Astromer, Classifier
    from astromer.models import ClassifierConfig, Encoder, EncoderConfig
    from astromer.pipeline import MaskingConfig, load_dataset
    from astromer.presets import fetch_preset, import_released
    from astromer.presets.registry import describe_preset, list_presets
    from astromer.records import convert, read_records, sample_records
    from astromer.simulate import simulate_survey
    from astromer.surveys import Dropped, read_light_curves
    from astromer.training import finetune, pretrain, train_classifier

__all__ = [
    "Astromer",
    "Classifications",
    "Classifier",
    "ClassifierConfig",
    "Dropped",
    "Embeddings",
    "Encoder",
    "EncoderConfig",
    "LightCurve",
    "MaskingConfig",
    "Reconstructions",
    "__version__",
    "convert",
    "describe_preset",
    "fetch_preset",
    "finetune",
    "import_released",
    "light_curves_from_frame",
    "list_presets",
    "load_dataset",
    "pretrain",
    "read_light_curves",
    "read_records",
    "sample_records",
    "simulate_survey",
    "train_classifier",
]

# TensorFlow reads this when it is imported. On processors without AVX-512 it leaves
# oneDNN out by default, and a training step takes four tenths longer.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_HOMES = {
    "Astromer": "model",
    "Classifications": "inference",
    "Classifier": "model",
    "ClassifierConfig": "models",
    "Dropped": "surveys",
    "Embeddings": "inference",
    "Encoder": "models",
    "EncoderConfig": "models",
    "LightCurve": "lightcurve",
    "MaskingConfig": "pipeline",
    "Reconstructions": "inference",
    "convert": "records",
    "describe_preset": "presets.registry",
    "fetch_preset": "presets.released",
    "finetune": "training",
    "import_released": "presets.released",
    "light_curves_from_frame": "lightcurve",
    "list_presets": "presets.registry",
    "load_dataset": "pipeline",
    "pretrain": "training",
    "read_light_curves": "surveys",
    "read_records": "records",
    "sample_records": "records",
    "simulate_survey": "simulate",
    "train_classifier": "training",
}

__getattr__, __dir__ = import_when_used(__name__, _HOMES)
