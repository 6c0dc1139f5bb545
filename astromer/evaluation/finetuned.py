"""Finetune on a training set, freeze, train the classifier (Sects. 5.1 and 5.2)."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from astromer.evaluation.cache import hash_of
from astromer.evaluation.classifiers import tuning_folds
from astromer.evaluation.methods import Method, Predictor, WindowProbabilities
from astromer.evaluation.objects import LabeledObject
from astromer.evaluation.representations import FrozenEmbedding
from astromer.inference import reconstruct
from astromer.models import Reconstructor
from astromer.presets import describe_preset, load_preset
from astromer.progress import Progress
from astromer.records.jsonfile import write_json
from astromer.training import FinetuneOptions, finetune

__all__ = ["FinetunedMethod", "Finetuning"]

FACTS_NAME: Final = "finetuning.json"
VECTORS: Final = "vectors"
"""Folder of embeddings, so that the next classifier on the same encoder has them."""
MINUTES_PER_SECOND: Final = 1 / 60


class Finetuning:
    """Encoders finetuned on training sets, each trained once and kept.

    Methods that stand on the same preset share one of these: what is finetuned for the
    first of them serves all.

    Parameters
    ----------
    preset : str or pathlib.Path
        What finetuning starts from.
    model : Reconstructor
        The preset, loaded.
    name : str
        The preset's name.
    folder : pathlib.Path
        Keeps the finetuned presets.
    options : mapping, optional
        Fields of `astromer.training.FinetuneOptions`.
    """

    def __init__(
        self,
        preset: str | Path,
        model: Reconstructor,
        name: str,
        folder: Path,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.key = hash_of(
            FrozenEmbedding(model, name).weights_key,
            repr(sorted((options or {}).items())),
            repr(describe_preset(preset).metadata.get("objective")),
        )
        self._preset, self._model, self._folder = preset, model, folder
        self._options = dict(options or {})
        self._current: tuple[Path, FrozenEmbedding, Reconstructor] | None = None

    def fit(
        self, objects: Sequence[LabeledObject], labels: NDArray[np.int64], seed: int
    ) -> tuple[Path, FrozenEmbedding]:
        """Finetune on the light curves of objects; their labels only balance.

        A fifth of the objects decides which epoch is kept.

        Parameters
        ----------
        objects : sequence of LabeledObject
            May repeat; each is there once.
        labels : numpy.ndarray, shape (n,), int64
            Class numbers, so that both parts hold every class.
        seed : int

        Returns
        -------
        folder : pathlib.Path
            Where the finetuned preset and its facts are kept.
        embedding : FrozenEmbedding
        """
        digests = sorted({d for item in objects for d in item.digests})
        folder = self._folder / hash_of(self.key, str(seed), *digests)
        if not (folder / FACTS_NAME).is_file():
            self._run(folder, objects, labels, seed)
        if self._current is None or self._current[0] != folder:
            facts = json.loads((folder / FACTS_NAME).read_text(encoding="utf-8"))
            model = load_preset(folder / facts["preset"], Reconstructor)
            name = f"{self.name} finetuned"
            embedding = FrozenEmbedding(model, name, cache=folder / VECTORS)
            self._current = folder, embedding, model
        return folder, self._current[1]

    def facts(self, folder: Path, objects: Sequence[LabeledObject]) -> dict[str, Any]:
        """Return what finetuning has changed on other objects, and how long it took.

        Parameters
        ----------
        folder : pathlib.Path
            From `fit`, called last.
        objects : sequence of LabeledObject
            Of the test set.

        Returns
        -------
        facts : dict
            ``rmse_before`` and ``rmse_after`` over all observations with nothing
            hidden, as in Fig. 7, and ``hidden_rmse_before`` and ``hidden_rmse_after``,
            each observation predicted unseen [mag]; ``minutes`` and ``epochs``.
        """
        facts = json.loads((folder / FACTS_NAME).read_text(encoding="utf-8"))
        assert self._current is not None
        asked = hash_of(*(d for item in objects for d in item.digests))
        path = folder / f"rmse-{asked}.json"
        if not path.is_file():
            curves = [curve for item in objects for curve in item.light_curves]
            scores = {}
            for when, model in (("before", self._model), ("after", self._current[2])):
                for prefix, num_folds in (("", 0), ("hidden_", 2)):
                    rmse = reconstruct(model, curves, num_folds=num_folds).rmse
                    scores[f"{prefix}rmse_{when}"] = round(rmse, 5)
            write_json(path, scores)
        scores = json.loads(path.read_text(encoding="utf-8"))
        return {**scores, "minutes": facts["minutes"], "epochs": facts["epochs"]}

    def _run(
        self,
        folder: Path,
        objects: Sequence[LabeledObject],
        labels: NDArray[np.int64],
        seed: int,
    ) -> None:
        start = time.monotonic()
        names = [item.object_id for item in objects]
        _, first, group = np.unique(names, return_index=True, return_inverse=True)
        folds = tuning_folds(labels, group, 5, seed)
        held_out = set(group[folds[0][1]]) if folds else set()
        sides: dict[str, list[Any]] = {"train": [], "validation": []}
        for number, place in enumerate(first):
            curves = objects[place].light_curves
            if number in held_out or not folds:
                sides["validation"] += curves
            if number not in held_out:
                sides["train"] += curves
        # Its own until it is whole: others may share the cache.
        run = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(run, ignore_errors=True)
        run.parent.mkdir(parents=True, exist_ok=True)
        options = {"seed": seed, **self._options}
        # Twenty objects of two classes are less than a batch.
        batch_size = options.get("batch_size", FinetuneOptions().batch_size)
        options["batch_size"] = min(batch_size, len(sides["train"]))
        result = finetune(self._preset, sides, run, **options)
        facts = {
            "preset": str(result.preset.relative_to(run)),
            "minutes": round((time.monotonic() - start) * MINUTES_PER_SECOND, 2),
            "epochs": result.epochs,
        }
        write_json(run / FACTS_NAME, facts)
        if (folder / FACTS_NAME).is_file():
            shutil.rmtree(run)  # another process was faster
            return
        # Whatever an interrupted run has left is no preset.
        shutil.rmtree(folder, ignore_errors=True)
        run.replace(folder)


class FinetunedMethod:
    """A method on an encoder that is finetuned on each training set first.

    Parameters
    ----------
    finetuning : Finetuning
    make : callable
        ``make(embedding)`` returns the method that stands on a frozen encoder.
    classifier : str
        What that method trains.
    key : str
        What tells that method from others on the same encoder.
    """

    def __init__(
        self,
        finetuning: Finetuning,
        make: Callable[[FrozenEmbedding], Method],
        classifier: str,
        key: str,
    ) -> None:
        self.name = f"{finetuning.name} finetuned"
        self.classifier = classifier
        self.key = hash_of("finetuned", finetuning.key, key)
        self._finetuning, self._make = finetuning, make

    def prepare(
        self, objects: Sequence[LabeledObject], progress: Progress | None = None
    ) -> None:
        """Do nothing: the encoder is another one for each training set."""

    def fit(
        self,
        objects: Sequence[LabeledObject],
        labels: NDArray[np.int64],
        *,
        num_classes: int,
        seed: int,
    ) -> Predictor:
        """Finetune on the objects, then train on what the encoder makes of them."""
        folder, embedding = self._finetuning.fit(objects, labels, seed)
        method = self._make(embedding)
        method.prepare(objects)
        predictor = method.fit(objects, labels, num_classes=num_classes, seed=seed)
        return _FinetunedPredictor(self._finetuning, folder, method, predictor)


@dataclasses.dataclass(eq=False, slots=True)
class _FinetunedPredictor:
    finetuning: Finetuning
    folder: Path
    method: Method
    predictor: Predictor
    found: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        return {**self.predictor.facts, **self.found}

    def predict_proba(self, objects: Sequence[LabeledObject]) -> NDArray[np.float64]:
        self.method.prepare(objects)
        self.found = {"finetuning": self.finetuning.facts(self.folder, objects)}
        return self.predictor.predict_proba(objects)

    def predict_windows(
        self, objects: Sequence[LabeledObject]
    ) -> WindowProbabilities | None:
        self.method.prepare(objects)
        return self.predictor.predict_windows(objects)
