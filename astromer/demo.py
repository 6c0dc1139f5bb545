"""The whole road in two minutes: simulate, convert, embed, classify, draw."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError
from astromer.figures import plot_embedding_map, plot_reconstructions, save_figure
from astromer.inference import Embeddings
from astromer.model import Astromer
from astromer.presets import find_preset
from astromer.records import convert, read_records
from astromer.simulate import (
    CLASS_NAMES,
    iterate_stars,
    simulate_survey,
    write_macho_csv,
)

__all__ = ["ClassScore", "DemoResult", "run_demo"]

MARKER_NAME: Final = "demo.json"
"""Left in the folder, so that a second run may replace what the first has made."""

STARS_PER_CLASS: Final = 40
LABELED_SHARE: Final = 0.25

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class ClassScore:
    """How well one class is told from the others on stars without a label."""

    class_name: str
    """Class."""
    num_stars: int
    """Stars scored."""
    precision: float
    """Share of the stars called so that are."""
    recall: float
    """Share of the stars that are so called so."""

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demo run has found and written."""

    scores: tuple[ClassScore, ...]
    """One per class."""
    num_labeled: int
    """Stars whose label the classifier saw."""
    figures: tuple[Path, ...]
    """Pictures written."""
    records: Path
    """Folder of records written."""
    embeddings: Path
    """Embeddings of the unlabeled stars, Parquet."""
    seconds: float
    """Wall time."""

    @property
    def macro_f1(self) -> float:
        """Mean F1 over classes; guessing scores about one over their number."""
        return float(np.mean([score.f1 for score in self.scores]))


def run_demo(
    out: str | Path,
    *,
    preset: str = "mini",
    stars_per_class: int = STARS_PER_CLASS,
    seed: int = 0,
    report: Report | None = None,
) -> DemoResult:
    """Simulate a small survey and take it all the way to classes and figures.

    Stars are simulated, written as MACHO-style CSV, converted to records, embedded
    with a preset, and classified from a handful of labels by logistic regression.

    Parameters
    ----------
    out : str or pathlib.Path
        Folder for survey files, records, embeddings and figures; new, empty, or one
        that an earlier demo made.
    preset : str
        Preset that embeds.
    stars_per_class : int
        Stars of each class; a quarter of them have labels.
    seed : int
        Seed of stars, split and classifier.
    report : callable, optional
        Receives a line of text per stage.

    Returns
    -------
    result : DemoResult

    Raises
    ------
    ConfigError
        If the folder holds something else.
    PresetError
        If the preset does not exist.
    """
    start = time.monotonic()
    find_preset(preset)  # now, and not after the survey was made
    say = report or (lambda _: None)
    out = _prepare(Path(out))

    counts = dict.fromkeys(CLASS_NAMES, stars_per_class)
    stars = simulate_survey(classes=counts, passbands=["R", "B"], seed=seed)
    files = write_macho_csv(stars, out / "survey", objects_per_file=stars_per_class)
    rows = sum(len(curve) for curve in stars)
    say(
        f"Simulated {len(stars) // 2} stars of {len(counts)} classes in two passbands: "
        f"{rows:,} observations in {len(files)} MACHO-style CSV files."
    )

    manifest = convert(
        "macho",
        files,
        out / "records",
        labels=out / "survey" / "labels.csv",
        passbands="R",
        split={"labeled": LABELED_SHARE, "unlabeled": 1 - LABELED_SHARE},
        seed=seed,
    )
    cuts = ", ".join(
        f"{cut.observations:,} {name.replace('_', ' ')}"
        for name, cut in manifest.cuts.items()
        if cut.observations
    )
    say(
        f"Converted them to {len(manifest.shards)} shards of records, "
        f"{manifest.num_observations:,} observations; cut and counted: {cuts}."
    )

    model = Astromer.from_pretrained(preset)
    labeled, unlabeled = (
        model.embed(read_records(out / "records", split=split), layer="all")
        for split in ("labeled", "unlabeled")
    )
    path = unlabeled.write(out / "embeddings.parquet")
    say(
        f"Embedded {len(labeled) + len(unlabeled)} light curves with the preset "
        f"`{preset}`: all its blocks, {unlabeled.embedding.shape[1]} numbers each."
    )

    names = list(manifest.label_map)
    predicted = _classify(labeled, unlabeled, len(names), seed)
    scores = tuple(
        _score(name, predicted == number, unlabeled.label == number)
        for number, name in enumerate(names)
    )
    say(
        f"Trained a classifier on {len(labeled)} labels "
        f"and scored it on {len(unlabeled)} other stars."
    )
    figures = (
        _draw_reconstructions(model, out, seed),
        _draw_map(unlabeled, out, seed),
    )
    return DemoResult(
        scores=scores,
        num_labeled=len(labeled),
        figures=figures,
        records=out / "records",
        embeddings=path,
        seconds=time.monotonic() - start,
    )


def _prepare(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"The demo needs a folder. Received: out={out}, a file.")
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARKER_NAME).is_file():
            raise ConfigError(
                "The folder holds something that no demo has made. "
                f"Received: out={out}. Choose another with --out."
            )
        for name in ("survey", "records"):
            shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER_NAME).write_text(json.dumps({"made_by": "astromer demo"}) + "\n")
    return out


def _classify(
    labeled: Embeddings, unlabeled: Embeddings, num_classes: int, seed: int
) -> NDArray[np.int64]:
    """Return class numbers from a logistic regression on standardized embeddings."""
    keras.utils.set_random_seed(seed)
    scale = keras.layers.Normalization()
    scale.adapt(labeled.embedding)
    head = keras.Sequential(
        [
            scale,
            keras.layers.Dense(
                num_classes,
                activation="softmax",
                kernel_regularizer=keras.regularizers.L2(1e-3),
            ),
        ]
    )
    head.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    head.fit(labeled.embedding, labeled.label, epochs=100, batch_size=32, verbose=0)
    chances = np.asarray(head.predict(unlabeled.embedding, verbose=0))
    numbers: NDArray[np.int64] = chances.argmax(axis=1)
    return numbers


def _score(
    class_name: str, called: NDArray[np.bool_], is_so: NDArray[np.bool_]
) -> ClassScore:
    both = int((called & is_so).sum())
    return ClassScore(
        class_name=class_name,
        num_stars=int(is_so.sum()),
        precision=both / max(int(called.sum()), 1),
        recall=both / max(int(is_so.sum()), 1),
    )


def _draw_reconstructions(model: Astromer, out: Path, seed: int) -> Path:
    """Draw the first star of each class, folded, with what the model predicts."""
    first = dict.fromkeys(CLASS_NAMES, 1)
    stars = iterate_stars(classes=first, seed=seed)
    observed = simulate_survey(classes=first, seed=seed)
    periods = {
        curve.object_id: star.period
        for star, curve in zip(stars, observed, strict=True)
    }
    curves = [c for c in read_records(out / "records") if c.object_id in periods]
    curves.sort(key=lambda curve: list(periods).index(curve.object_id))
    result = model.reconstruct(curves, num_folds=2, seed=seed)
    bounds = np.cumsum([len(curve) for curve in curves])[:-1]
    axes = plot_reconstructions(
        curves,
        np.split(result.reconstruction, bounds),
        periods=[periods[curve.object_id] for curve in curves],
    )
    return save_figure(axes[0].figure, out / "reconstructions.png")


def _draw_map(embeddings: Embeddings, out: Path, seed: int) -> Path:
    names = embeddings.class_name.tolist()
    ax = plot_embedding_map(embeddings.embedding, names, method="ranks", seed=seed)
    return save_figure(ax.figure, out / "embeddings.png")
