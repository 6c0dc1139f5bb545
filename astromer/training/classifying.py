"""Training a classifier on the encoder of a preset, from light curves with labels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from astromer.errors import ConfigError
from astromer.lightcurve import LightCurve
from astromer.models import ClassifierNetwork, EncoderConfig, Reconstructor
from astromer.models.encoded import head_of
from astromer.presets import check_metadata, describe_preset, load_preset
from astromer.progress import TrainingProgress
from astromer.training.card import markdown_table
from astromer.training.classification import (
    ClassificationLoss,
    balanced_class_weights,
    classification_metrics,
)
from astromer.training.data import (
    TEST,
    TRAIN,
    VALIDATION,
    RunData,
    Splits,
    damage_explained,
)
from astromer.training.encoding import SplitTiles, bytes_to_encode, encode
from astromer.training.finishing import finish_run
from astromer.training.labels import Classes, number_classes
from astromer.training.optimizers import make_optimizer
from astromer.training.options import ClassifierOptions
from astromer.training.run import Report, RunResult, logger, run_training
from astromer.training.run_folder import RunFolder, RunPlan, resolve_options
from astromer.training.scoring import ClassificationScores, Confusion, SplitScorer

__all__ = ["ClassifierResult", "train_classifier"]

_SHOWN = {
    "loss": "loss",
    "macro_f1": "F1 of windows",
    "macro_f1_object": "F1 of light curves",
}
_PANELS = {
    "loss": "loss",
    "macro_f1": "macro F1 of windows",
    "macro_f1_object": "macro F1 of light curves",
}
_NOTE = (
    "A light curve longer than a window has several: their probabilities are averaged, "
    "each weighted by its number of observations. A star in two passbands has two light "
    "curves. Macro F1 is the mean F1 of the classes, each counting alike, however rare."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierResult(RunResult):
    """What a classifier's run has come to; the same is in its folder."""

    class_names: tuple[str, ...]
    """Names of the classes, by label."""
    confusion: dict[str, Confusion]
    """Which light curves the best model took for what, by split."""


def train_classifier(
    preset: str | Path,
    records: str | Path | Mapping[str, Sequence[LightCurve]],
    out: str | Path,
    *,
    options: ClassifierOptions | str | Path | None = None,
    resume: bool = False,
    metadata: Mapping[str, Any] | None = None,
    progress: TrainingProgress | None = None,
    report: Report | None = None,
    **overrides: Any,
) -> ClassifierResult:
    """Train a classifier in a folder of its own; the encoder is frozen by default.

    Every epoch is scored on all windows of the split ``"validation"``, pooled by light
    curve; the weights of the best epoch become the preset, and are scored on ``"test"``.
    Light curves without a label are left out.

    Source: Donoso-Oliva et al. (2026), Sect. 5.4.

    Parameters
    ----------
    preset : str or path
        Preset whose encoder is used, or the folder of a run.
    records : path or mapping
        A folder of records with labels, or light curves in memory by split. The
        manifest, or the alphabet, orders the classes.
    out, resume, metadata, progress, report
        As for `pretrain`.
    options : ClassifierOptions, str or pathlib.Path, optional
        Options of the training, or a TOML file with some.
    **overrides
        Fields of `ClassifierOptions` that win over `options`, e.g. ``head="mean"``.

    Returns
    -------
    result : ClassifierResult

    Raises
    ------
    ConfigError, PresetError, RunError
        As for `pretrain`; also if the head does not go with the encoder.
    RecordError
        As for `pretrain`; also if there are no labels, a class to validate or test is
        not among those to train on, or a class has one object to train on.
    """
    check_metadata(metadata)
    folder = RunFolder.open(out, "train-classifier", resume=resume)
    chosen, table = resolve_options(ClassifierOptions, folder, options, overrides)
    if table is not None:
        raise ConfigError(
            "A preset has its own architecture. Received: a table [encoder] in "
            f"{options}. Leave it out."
        )
    report = logger.info if report is None else report
    start = load_preset(preset, Reconstructor, dtype="float32")
    splits = _leave_out_unlabeled(Splits.open(number_classes(records)), report)
    if "validation" not in splits.sources:
        # In training there are windows alone.
        own = chosen.monitor.removeprefix("val_").removesuffix("_object")
        chosen = chosen.replace(monitor=own)
    facts = describe_preset(preset)
    origin = {"preset": facts.name, "sha256": facts.metadata.get("weights_sha256")}
    run = _Run(start, chosen, splits, origin, report, progress)
    return run.train(folder, dict(metadata or {}))


class _Run:
    """The model, what it is trained on, and how it is scored."""

    def __init__(
        self,
        start: Reconstructor,
        options: ClassifierOptions,
        splits: Splits,
        origin: dict[str, Any],
        report: Report,
        progress: TrainingProgress | None,
    ) -> None:
        self.start = start
        self.report = report
        self.progress = progress
        self.options = options
        self.origin = origin
        self.encoder: EncoderConfig = start.config
        self.classes = Classes.of(splits)
        self.config = options.classifier_config(self.classes.names)
        self.data = RunData(
            splits=splits,
            options=options,
            encoder=self.encoder,
            task="classify",
            is_tiled=options.is_tiled,
        )
        self.scorers: dict[str, SplitScorer] = {}
        balanced = options.class_weights == "balanced"
        self.loss = ClassificationLoss(
            options.label_smoothing,
            balanced_class_weights(self.classes.counts[TRAIN]) if balanced else None,
        )

    def train(self, folder: RunFolder, metadata: dict[str, Any]) -> ClassifierResult:
        """Train in a folder, score the best epoch, and save it."""
        plan = RunPlan(
            kind="train-classifier",
            options=self.options,
            model={
                "encoder": self.encoder.to_dict(),
                "classifier": self.config.to_dict(),
                "start": self.origin,
            },
            data={**self.data.to_dict(), "classes": self._count_classes()},
        )
        self.scorers = {
            split: SplitScorer(self.data, split, len(self.classes.names), self.loss)
            for split in (VALIDATION, TEST)
            if split in self.data.splits.sources
        }
        trained = run_training(
            folder,
            plan,
            self.data,
            self.build,
            shown=_SHOWN,
            validate=self.scorers.get(VALIDATION),
            progress=self.progress,
            report=self.report,
        )
        # Where a head alone was trained, its layers are the network's.
        model = self.network
        trained = dataclasses.replace(trained, model=model)
        with trained.strategy.scope():
            if self.options.precision != "float32":
                model = self.make_model("float32")
                model.set_weights(self.network.get_weights())
            found = {s: scorer.score(model) for s, scorer in self.scorers.items()}
        confusion = {split: scores.objects for split, scores in found.items()}
        result = finish_run(
            folder,
            plan,
            trained,
            model,
            scores={split: scores.to_dict() for split, scores in found.items()},
            table=_rows(found),
            notes=self._describe_scores(found),
            panels=_PANELS,
            description=self._describe(),
            metadata=metadata,
            details={
                "class_names": self.classes.names,
                "confusion": {s: c.counts.tolist() for s, c in confusion.items()},
            },
        )
        values = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
        return ClassifierResult(
            **values, class_names=self.classes.names, confusion=confusion
        )

    def build(self, steps_per_epoch: int) -> keras.Model:
        """Make and compile what is trained: the network, or its head alone."""
        self.network = self.make_model(self.options.precision)
        model = head_of(self.network) if self._encode() else self.network
        model.compile(
            optimizer=make_optimizer(self.options, steps_per_epoch),
            loss=self.loss,
            metrics=classification_metrics(len(self.classes.names)),
        )
        return model

    def _encode(self) -> bool:
        """Run the encoder once over all windows, where that is possible."""
        if not (self.options.is_tiled and self.options.is_frozen):
            return False
        curves = self.data.stream.curves
        length, label = (v[curves.label >= 0] for v in (curves.length, curves.label))
        tiles = {TRAIN: SplitTiles.lay(length, label, self.encoder.window_size)}
        if VALIDATION in self.scorers:
            tiles[VALIDATION] = self.scorers[VALIDATION].tiles
        total = sum(map(len, tiles.values()))
        needed = bytes_to_encode(self.network, total) / 1e9
        if needed > self.options.encoded_gb:
            self.report(
                f"What the encoder gives for {total:,} windows takes {needed:.2g} GB, "
                f"more than encoded_gb={self.options.encoded_gb:g}: it runs in every "
                "epoch."
            )
            return False
        self.report(f"The frozen encoder runs once, over {total:,} windows.")
        found, done = {}, 0
        for split, part in tiles.items():
            count = functools.partial(self._show_encoded, done, total)
            with damage_explained(self.data.splits):
                found[split] = encode(self.network, self.data, split, part, count)
            done += len(part)
        stream: Any = self.data.stream
        stream.encoded = found[TRAIN]
        if VALIDATION in found:
            self.scorers[VALIDATION].encoded = found[VALIDATION]
        return True

    def _show_encoded(self, before: int, total: int, done: int) -> None:
        if self.progress is not None:
            self.progress("encode", before + done, total, "windows")

    def make_model(self, dtype: str) -> ClassifierNetwork:
        """Put a new classifier on the preset's encoder."""
        model = ClassifierNetwork(
            self.encoder,
            self.config,
            seed=self.options.seed,
            name="classifier",
            dtype=dtype,
        )
        model.take_encoder_weights(self.start.encoder)
        return model

    def _count_classes(self) -> dict[str, dict[str, int]]:
        return {
            split: dict(zip(self.classes.names, counts, strict=True))
            for split, counts in self.classes.counts.items()
        }

    def _describe(self) -> str:
        survey = f"{self.data.splits.survey} " if self.data.splits.survey else ""
        unfrozen = self.config.unfrozen_blocks
        blocks = "block" if unfrozen == 1 else f"{unfrozen} blocks"
        state = {0: "frozen", "all": "trained along"}.get(
            unfrozen, f"its last {blocks} trained along"
        )
        return (
            f"A classifier of {len(self.classes.names)} classes, head "
            f"`{self.config.head}`, trained on {sum(self.classes.counts[TRAIN]):,} "
            f"labeled {survey}light curves; the encoder is that of the preset "
            f"{self.origin['preset']}, {state}"
        )

    def _describe_scores(self, found: Mapping[str, ClassificationScores]) -> list[str]:
        """Return the card's tables of classes, of the last split that there is."""
        if not found:
            return []
        split, scores = list(found.items())[-1]
        confusion, names = scores.objects, self.classes.names
        classes = [
            {
                "Class": name,
                "Precision": float(confusion.precision[label]),
                "Recall": float(confusion.recall[label]),
                "F1": float(confusion.f1[label]),
                "Light curves": int(confusion.support[label]),
                "To train on": self.classes.counts[TRAIN][label],
            }
            for label, name in enumerate(names)
        ]
        taken = [
            {"Class": name, **dict(zip(names, map(int, row), strict=True))}
            for name, row in zip(names, confusion.counts, strict=True)
        ]
        lines = [_NOTE, "", f"## Classes in {split}", ""]
        lines += [*markdown_table(classes), "", f"## Confusion in {split}", ""]
        lines += [
            "Rows are true classes, columns what light curves were taken for.",
            "",
        ]
        return [*lines, *markdown_table(taken)]


def _leave_out_unlabeled(splits: Splits, report: Report) -> Splits:
    """Drop splits without a label; say what else is left out."""
    for split, number in splits.num_light_curves.items():
        missing = number - splits.num_labeled[split]
        if missing:
            report(
                f"{missing:,} of {number:,} light curves in {split} have no class and "
                "are left out."
            )
    kept = [s for s in splits.sources if s == TRAIN or splits.num_labeled[s]]
    return dataclasses.replace(
        splits,
        sources={split: splits.sources[split] for split in kept},
        num_light_curves={split: splits.num_light_curves[split] for split in kept},
        num_labeled={split: splits.num_labeled[split] for split in kept},
    )


def _rows(found: Mapping[str, ClassificationScores]) -> list[dict[str, Any]]:
    return [
        {
            "Split": split,
            "Macro F1 of light curves": scores.objects.macro_f1,
            "Accuracy": scores.objects.accuracy,
            "Macro F1 of windows": scores.windows.macro_f1,
            "Accuracy of windows": scores.windows.accuracy,
            "Loss": scores.loss,
            "Light curves": int(scores.objects.support.sum()),
            "Windows": int(scores.windows.support.sum()),
        }
        for split, scores in found.items()
    ]
