"""The few-shot benchmark in one call: from records to scores of all methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from astromer.errors import ConfigError, unknown_name
from astromer.evaluation.classes import ClassMap, read_classes
from astromer.evaluation.classifiers import CLASSIFIERS, CLASSIFIERS_VERSION
from astromer.evaluation.finetuned import FinetunedMethod, Finetuning
from astromer.evaluation.heads import HEADS, HeadMethod, HeadTraining
from astromer.evaluation.methods import Method, VectorMethod
from astromer.evaluation.objects import MIN_OBSERVATIONS, collect_objects
from astromer.evaluation.protocol import run_benchmark
from astromer.evaluation.report import describe_few_shot
from astromer.evaluation.representations import (
    EmbeddingLayer,
    Features,
    FrozenEmbedding,
    Joined,
    Representation,
    Sequences,
    Statistics,
)
from astromer.evaluation.splits import (
    NUM_FOLDS,
    SIZES,
    TEST_PER_CLASS,
    load_splits,
    make_splits,
)
from astromer.inference.sources import Source
from astromer.models import Reconstructor
from astromer.presets import describe_preset, load_preset
from astromer.progress import Progress
from astromer.surveys import Dropped

__all__ = ["BASELINES", "DEFAULT_BASELINES", "few_shot_benchmark", "make_methods"]

BASELINES: Final[dict[str, tuple[str, ...]]] = {
    "features": ("rf", "hgb", "lr"),
    "features-no-periodogram": ("rf", "hgb"),
    "statistics": ("rf",),
    "joined": ("rf", "lr"),
    "raw-gru": ("raw_gru",),
    "input-gru": ("input_gru",),
    "input-mean": ("input_mean",),
}
"""Classifiers of each baseline. ``joined`` stands for features beside the embedding of
each preset; the last three are networks without an encoder's blocks. See
`astromer.evaluation.features` and `astromer.models.ClassifierConfig`."""

DEFAULT_BASELINES: Final = (
    "features",
    "features-no-periodogram",
    "statistics",
    "joined",
)
"""Those that take no training of recurrent networks."""

CACHE_NAME: Final = "cache"
FINETUNED: Final = "finetuned"
"""Folder of finetuned presets, in the cache."""


def few_shot_benchmark(
    source: Source,
    out: str | Path,
    *,
    presets: Sequence[str | Path] = (),
    baselines: Sequence[str] = DEFAULT_BASELINES,
    heads: Sequence[str] = (),
    finetune: bool | Mapping[str, Any] = False,
    classifiers: Sequence[str] = ("lr", "rf"),
    layers: Sequence[EmbeddingLayer] = ("embedding",),
    sizes: Iterable[int] | None = None,
    num_folds: int | None = None,
    test_per_class: int = TEST_PER_CLASS,
    splits: str | Path | None = None,
    classes: ClassMap | str | Path | Mapping[str, Any] | None = None,
    dataset: str | None = None,
    survey: str | None = None,
    passband: str | None = None,
    min_observations: int = MIN_OBSERVATIONS,
    reference: tuple[str, str] | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
    num_jobs: int = 1,
    resume: bool = False,
    dropped: Dropped | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare presets and baselines on few labels (Sect. 5.1-5.4).

    Parameters
    ----------
    source : light curves, frame, or paths
        Labeled light curves; see `astromer.inference.embed`.
    out : str or pathlib.Path
        Folder for splits and results; new or empty, unless `resume`.
    presets : sequence of str or path
        Names or folders of presets.
    baselines : sequence of str
        Of `BASELINES`; ``joined`` needs a preset.
    classifiers : sequence of str
        What is trained on frozen embeddings; see
        `astromer.evaluation.classifiers.CLASSIFIERS`.
    layers : sequence of int, "embedding", "last" or "all"
        Layers of the embeddings, each a method of its own.
    heads : sequence of str
        The paper's classifiers on frozen encoders; see `astromer.evaluation.heads`.
    finetune : bool or mapping
        Whether classifiers and heads also get the encoder finetuned on each training
        set; options of `astromer.training.FinetuneOptions`.
    sizes : iterable of int, optional
        Labeled objects per class: 20, 100 and 500 by default, or those of `splits`.
    num_folds : int, optional
        3 by default, or those of `splits`.
    test_per_class : int
        Objects per class to test on; without effect where `splits` are given.
    splits : str or pathlib.Path, optional
        JSON file of splits to use; see `load_splits`.
    classes : ClassMap, str, path or mapping, optional
        Which classes count, and which of them as one; see `read_classes`.
    dataset : str, optional
        Name of the data, for reports.
    survey, passband : str, optional
        Format of survey files, where it is not recognized; passband to take.
    min_observations : int
        Shorter light curves are left out.
    reference : (str, str), optional
        Method and classifier that all others are compared with; features with a random
        forest by default, if they are there.
    seed : int
        Seed of splits and classifiers; without effect where `splits` are given.
    cache : str or pathlib.Path, optional
        Folder that keeps embeddings and features, which several benchmarks may share;
        one in `out` by default.
    num_jobs : int
        Threads for features and random forests. Never changes the numbers.
    resume : bool
        Go on in a folder that holds results.
    dropped : Dropped, optional
        Receives what survey files lose.
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    results : dict
        See `describe_few_shot`; `write_report` writes it.

    Raises
    ------
    ConfigError
        If an option is not valid, or classes and splits do not fit the data.
    PresetError
        If a preset does not exist.
    """
    out = Path(out)
    methods = make_methods(
        presets,
        baselines=baselines,
        heads=heads,
        finetune=finetune,
        classifiers=classifiers,
        layers=layers,
        cache=out / CACHE_NAME if cache is None else Path(cache),
        num_jobs=num_jobs,
    )
    names = [(method.name, method.classifier) for method in methods]
    if reference is None:
        reference = ("features", "rf") if ("features", "rf") in names else names[0]
    elif reference not in names:
        known = (" ".join(name) for name in names)
        raise ConfigError(unknown_name("reference", " ".join(reference), known))
    grouping = None
    if classes is not None:
        grouping = classes if isinstance(classes, ClassMap) else read_classes(classes)
    given = None
    if splits is not None:
        given = load_splits(splits).select(sizes, num_folds)
    objects = collect_objects(
        source,
        classes=grouping,
        survey=survey,
        passband=passband,
        min_observations=min_observations,
        dropped=dropped,
    )
    folds = given or make_splits(
        objects.labels,
        objects.classes,
        sizes=SIZES if sizes is None else sizes,
        num_folds=NUM_FOLDS if num_folds is None else num_folds,
        test_per_class=test_per_class,
        seed=seed,
        dataset=dataset or "",
    )
    if dataset is not None:
        folds = folds.rename(dataset)
    benchmark = run_benchmark(
        objects, folds, methods, out, resume=resume, progress=progress
    )
    options = {
        "presets": [str(preset) for preset in presets],
        "baselines": list(baselines),
        "classifiers": list(classifiers),
        "layers": list(layers),
        "heads": list(heads),
        "finetune": finetune if isinstance(finetune, bool) else dict(finetune),
        "splits": None if splits is None else Path(splits).name,
        "classes": None if grouping is None else grouping.groups,
        "passband": passband,
        "min_observations": min_observations,
        "seed": seed,
    }
    return describe_few_shot(benchmark, objects, reference=reference, options=options)


def make_methods(
    presets: Sequence[str | Path] = (),
    *,
    baselines: Sequence[str] = DEFAULT_BASELINES,
    heads: Sequence[str] = (),
    finetune: bool | Mapping[str, Any] = False,
    classifiers: Sequence[str] = ("lr", "rf"),
    layers: Sequence[EmbeddingLayer] = ("embedding",),
    cache: Path | None = None,
    num_jobs: int = 1,
) -> list[Method]:
    """Make the methods of a benchmark, presets first.

    Parameters
    ----------
    presets, baselines, heads, finetune, classifiers, layers, num_jobs
        As for `few_shot_benchmark`.
    cache : pathlib.Path, optional
        Folder that keeps embeddings and features; finetuning needs one.

    Returns
    -------
    methods : list of Method

    Raises
    ------
    ConfigError
        If a name is unknown, no method is left, or finetuning has no folder.
    PresetError
        If a preset does not exist.
    """
    for kind, names, known in (
        ("baseline", baselines, BASELINES),
        ("classifier", classifiers, CLASSIFIERS),
        ("head", heads, HEADS),
    ):
        for name in names:
            if name not in known:
                raise ConfigError(unknown_name(kind, name, known))
    models = _load_models(presets)
    frozen = [
        FrozenEmbedding(model, name, cache=cache) for name, (_, model) in models.items()
    ]
    # By name: what `embed` gives is the last block where nothing is described.
    by_layer = list(
        {
            each.name: each
            for embedding in frozen
            for each in map(embedding.at, layers)
        }.values()
    )
    methods: list[Method] = [
        VectorMethod(embedding, classifier, num_jobs=num_jobs)
        for embedding in by_layer
        for classifier in classifiers
    ]
    for embedding in frozen:
        sequences = Sequences(embedding, cache)
        methods += [HeadMethod(h, embedding, sequences=sequences) for h in heads]
    if finetune is not False:
        if cache is None:
            raise ConfigError(
                "Finetuned presets are kept in the cache. Received: "
                f"finetune={finetune!r}, cache=None. Name a folder as `cache`."
            )
        options = {} if finetune is True else dict(finetune)
        for name, (preset, model) in models.items():
            finetuning = Finetuning(preset, model, name, cache / FINETUNED, options)
            methods += _finetuned(finetuning, classifiers, layers, heads, num_jobs)
    features = Features(cache, num_threads=num_jobs)
    few = Features(cache, periodogram=False, num_threads=num_jobs)
    vectors: dict[str, Sequence[Representation]] = {
        "features": [features],
        "features-no-periodogram": [few],
        "statistics": [Statistics()],
        "joined": [Joined(features, embedding) for embedding in by_layer],
    }
    for name in baselines:
        for classifier in BASELINES[name]:
            if name in vectors:
                methods += [
                    VectorMethod(vector, classifier, num_jobs=num_jobs)
                    for vector in vectors[name]
                ]
            else:
                config = frozen[0].encoder.config if frozen else None
                methods.append(HeadMethod(classifier, config=config))
    if not methods:
        raise ConfigError(
            "There is nothing to compare. Received: "
            f"presets={list(presets)}, baselines={list(baselines)}. Name a preset or a "
            "baseline."
        )
    return methods


def _load_models(
    presets: Sequence[str | Path],
) -> dict[str, tuple[str | Path, Reconstructor]]:
    """Return presets and their models by name."""
    names = [describe_preset(preset).name for preset in presets]
    if len(set(names)) < len(names):
        raise ConfigError(
            "Presets of a benchmark need names of their own, which are those of their "
            f"folders. Received: presets={[str(p) for p in presets]}. Rename a folder."
        )
    return {
        name: (preset, load_preset(preset, Reconstructor))
        for name, preset in zip(names, presets, strict=True)
    }


def _finetuned(
    finetuning: Finetuning,
    classifiers: Sequence[str],
    layers: Sequence[EmbeddingLayer],
    heads: Sequence[str],
    num_jobs: int,
) -> list[Method]:
    """Return the methods that stand on a finetuned encoder."""

    def vectors(classifier: str, layer: EmbeddingLayer) -> Method:
        return FinetunedMethod(
            finetuning,
            lambda embedding: VectorMethod(
                embedding.at(layer), classifier, num_jobs=num_jobs
            ),
            classifier=classifier if len(layers) == 1 else f"{classifier} {layer}",
            key=f"{classifier} {layer} {CLASSIFIERS_VERSION}",
        )

    def head(name: str) -> Method:
        return FinetunedMethod(
            finetuning,
            lambda embedding: HeadMethod(name, embedding),
            classifier=name,
            key=f"{name} {HeadTraining()}",
        )

    return [
        *(vectors(name, layer) for layer in layers for name in classifiers),
        *map(head, heads),
    ]
