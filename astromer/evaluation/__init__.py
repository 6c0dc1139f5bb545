"""Whether a representation is worth something: few-shot classes, hidden points."""

from astromer.evaluation.classes import ClassMap, read_classes
from astromer.evaluation.classifiers import CLASSIFIERS
from astromer.evaluation.few_shot import (
    BASELINES,
    DEFAULT_BASELINES,
    few_shot_benchmark,
    make_methods,
)
from astromer.evaluation.heads import HEADS, HeadMethod, HeadTraining
from astromer.evaluation.interpolators import INTERPOLATORS
from astromer.evaluation.masked import (
    MaskedWindows,
    draw_windows,
    hide,
    read_windows,
)
from astromer.evaluation.methods import Method, Predictor, VectorMethod
from astromer.evaluation.objects import LabeledObject, ObjectSet, collect_objects
from astromer.evaluation.protocol import Benchmark, run_benchmark
from astromer.evaluation.reconstruction import (
    Interpolation,
    PresetReconstruction,
    run_reconstruction,
    score_reconstruction,
)
from astromer.evaluation.report import (
    describe_few_shot,
    describe_reconstruction,
    write_report,
)
from astromer.evaluation.representations import (
    Features,
    FrozenEmbedding,
    Joined,
    Statistics,
)
from astromer.evaluation.splits import Fold, Splits, load_splits, make_splits

__all__ = [
    "BASELINES",
    "CLASSIFIERS",
    "DEFAULT_BASELINES",
    "HEADS",
    "INTERPOLATORS",
    "Benchmark",
    "ClassMap",
    "Features",
    "Fold",
    "FrozenEmbedding",
    "HeadMethod",
    "HeadTraining",
    "Interpolation",
    "Joined",
    "LabeledObject",
    "MaskedWindows",
    "Method",
    "ObjectSet",
    "Predictor",
    "PresetReconstruction",
    "Splits",
    "Statistics",
    "VectorMethod",
    "collect_objects",
    "describe_few_shot",
    "describe_reconstruction",
    "draw_windows",
    "few_shot_benchmark",
    "hide",
    "load_splits",
    "make_methods",
    "make_splits",
    "read_classes",
    "read_windows",
    "run_benchmark",
    "run_reconstruction",
    "score_reconstruction",
    "write_report",
]
