"""Whether a representation is worth something: few-shot classes, hidden points."""

from astromer.evaluation.classes import ClassMap, read_classes
from astromer.evaluation.classifiers import CLASSIFIERS
from astromer.evaluation.methods import Method, Predictor, VectorMethod
from astromer.evaluation.objects import LabeledObject, ObjectSet, collect_objects
from astromer.evaluation.protocol import Benchmark, run_benchmark
from astromer.evaluation.representations import (
    Features,
    FrozenEmbedding,
    Joined,
    Statistics,
)
from astromer.evaluation.splits import Fold, Splits, load_splits, make_splits

__all__ = [
    "CLASSIFIERS",
    "Benchmark",
    "ClassMap",
    "Features",
    "Fold",
    "FrozenEmbedding",
    "Joined",
    "LabeledObject",
    "Method",
    "ObjectSet",
    "Predictor",
    "Splits",
    "Statistics",
    "VectorMethod",
    "collect_objects",
    "load_splits",
    "make_splits",
    "read_classes",
    "run_benchmark",
]
