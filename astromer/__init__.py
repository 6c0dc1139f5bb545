"""Astromer: a foundation model for light curves, from survey files to embeddings.

The public names, each imported when it is first used: `import astromer` is instant and
costs no TensorFlow.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from astromer._version import __version__

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
    "Astromer": "astromer.model",
    "Classifications": "astromer.inference",
    "Classifier": "astromer.model",
    "ClassifierConfig": "astromer.models",
    "Dropped": "astromer.surveys",
    "Embeddings": "astromer.inference",
    "Encoder": "astromer.models",
    "EncoderConfig": "astromer.models",
    "LightCurve": "astromer.lightcurve",
    "MaskingConfig": "astromer.pipeline",
    "Reconstructions": "astromer.inference",
    "convert": "astromer.records",
    "describe_preset": "astromer.presets.registry",
    "fetch_preset": "astromer.presets.released",
    "finetune": "astromer.training",
    "import_released": "astromer.presets.released",
    "light_curves_from_frame": "astromer.lightcurve",
    "list_presets": "astromer.presets.registry",
    "load_dataset": "astromer.pipeline",
    "pretrain": "astromer.training",
    "read_light_curves": "astromer.surveys",
    "read_records": "astromer.records",
    "sample_records": "astromer.records",
    "simulate_survey": "astromer.simulate",
    "train_classifier": "astromer.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
