"""One small example of every figure, for what all figures must do alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from astromer import figures
from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig

CLASS_NAMES = ["EA", "EW", "LPV", "RRab", "RRc", "RS_CVn"]
SIZES = (20, 100, 500)


def light_curve(length: int = 40, **attributes: Any) -> LightCurve:
    """Make a sinusoid at MJD near 50,000 with a period of 0.61 d."""
    rng = np.random.default_rng(length)
    time = 50_000.0 + np.sort(rng.uniform(0.0, 300.0, length))
    mag = 15.0 + 0.4 * np.sin(2 * np.pi * time / 0.61) + rng.normal(0, 0.02, length)
    attributes = {"passband": "V", "object_id": f"star{length}", **attributes}
    return LightCurve(time, mag, np.full(length, 0.02), **attributes)


def curves() -> list[LightCurve]:
    """Make a light curve of each class."""
    return [
        light_curve(30 + 5 * place, class_name=name)
        for place, name in enumerate(CLASS_NAMES)
    ]


def masked_window() -> figures.MaskedWindow:
    """Make a window of 20: 10 probed, of which 6 are hidden and 2 random."""
    curve = light_curve(20)
    place = np.arange(20)
    random = np.isin(place, [7, 8])
    shown = np.where(random, curve.mag[::-1], curve.mag)
    return figures.MaskedWindow(curve, shown, place < 10, place < 6, random)


def history(epochs: int = 8) -> dict[str, np.ndarray]:
    """Make a training run with columns of baselines."""
    epoch = np.arange(1, epochs + 1)
    return {
        "epoch": epoch,
        "rmse_hidden": 0.2 + 0.1 / epoch,
        "val_rmse_hidden": 0.22 + 0.01 * (epoch - 5.0) ** 2,
        "val_rmse_hidden_mean": np.full(epochs, 0.31),
    }


def finetuning() -> list[dict[str, Any]]:
    """Make two data sets, three sizes and three folds."""
    return [
        {
            "dataset": dataset,
            "samples_per_class": size,
            "rmse_before": 0.2,
            "rmse_after": 0.19 - 0.01 * place - 0.002 * fold,
            "minutes": 0.5 * (1 + place) + 0.1 * fold,
        }
        for dataset in ("ASAS", "Catalina")
        for place, size in enumerate(SIZES)
        for fold in range(3)
    ]


def scores() -> list[dict[str, Any]]:
    """Make two methods at three sizes."""
    return [
        {
            "method": method,
            "classifier": "gamma",
            "samples_per_class": size,
            "macro_f1_mean": 0.6 + 0.05 * place + 0.01 * number,
            "macro_f1_std": 0.02,
        }
        for number, method in enumerate(["Astromer 1", "Astromer 2"])
        for place, size in enumerate(SIZES)
    ]


def confusion(seed: int = 0) -> np.ndarray:
    """Make counts of six classes."""
    return np.random.default_rng(seed).integers(0, 40, (6, 6)) + 50 * np.eye(
        6, dtype=int
    )


def classifier_options(**options: Any) -> SimpleNamespace:
    """Make the options of the paper's classifier, some of them changed."""
    return SimpleNamespace(
        **{
            "class_names": CLASS_NAMES,
            "head": "gamma",
            "hidden_units": (1024, 512, 256),
            "output_norm": True,
            "dropout": 0.0,
            "gru_units": 256,
            "unfrozen_blocks": 0,
            **options,
        }
    )


def embeddings(layers: int = 3) -> tuple[list[np.ndarray], list[str | None]]:
    """Make classes that stand farther apart after every block."""
    rng = np.random.default_rng(5)
    names = [*np.repeat(CLASS_NAMES, 6).tolist(), None, None]
    centers = rng.normal(size=(6, 5))
    where = np.array([CLASS_NAMES.index(name) if name else 0 for name in names])
    noise = rng.normal(size=(len(names), 5))
    return [noise + 3 * layer * centers[where] for layer in range(layers)], names


def relative_attention(number: int, blocks: int = 2, heads: int = 2) -> np.ndarray:
    """Make received attention in units of an equal share."""
    draw = np.random.default_rng(number).lognormal(0, 0.7, (blocks, heads, number))
    return draw / draw.mean(axis=-1, keepdims=True)


EXAMPLES: dict[str, Any] = {
    "plot_architecture": lambda: figures.plot_architecture(EncoderConfig()),
    "plot_attention": lambda: figures.plot_attention(
        light_curve(), relative_attention(40)[0, 0], period=0.61
    ),
    "plot_attention_blocks": lambda: figures.plot_attention_blocks(
        light_curve(), relative_attention(40), period=0.61
    ),
    "plot_attention_classes": lambda: figures.plot_attention_classes(
        curves()[:3], [relative_attention(len(c))[0] for c in curves()[:3]]
    ),
    "plot_block_maps": lambda: figures.plot_block_maps(*embeddings(), method="pca"),
    "plot_classifier_architecture": lambda: figures.plot_classifier_architecture(
        EncoderConfig(), classifier_options()
    ),
    "plot_confusion": lambda: figures.plot_confusion(confusion(), CLASS_NAMES),
    "plot_confusions": lambda: figures.plot_confusions(
        {f"{size} per class": confusion(size) for size in SIZES}, CLASS_NAMES
    ),
    "plot_embedding_map": lambda: figures.plot_embedding_map(
        embeddings()[0][2], embeddings()[1]
    ),
    "plot_f1": lambda: figures.plot_f1(scores(), chance=1 / 6),
    "plot_finetuning": lambda: figures.plot_finetuning(finetuning()),
    "plot_gamma": lambda: figures.plot_gamma(
        {f"{size} per class": np.full((3, 7), 1 / 7) for size in SIZES}
    ),
    "plot_learning_curves": lambda: figures.plot_learning_curves(history(), test=0.23),
    "plot_light_curve": lambda: figures.plot_light_curve(light_curve(), period=0.61),
    "plot_magnitudes": lambda: figures.plot_magnitudes(
        {curve.class_name or "": curve.mag for curve in curves()}
    ),
    "plot_masking": lambda: figures.plot_masking(masked_window()),
    "plot_reconstructions": lambda: figures.plot_reconstructions(
        curves()[:4], [curve.mag for curve in curves()[:4]]
    ),
    "plot_survey_gallery": lambda: figures.plot_survey_gallery(curves()[:4]),
    "plot_time_steps": lambda: figures.plot_time_steps(
        {curve.class_name or "": figures.time_steps([curve]) for curve in curves()}
    ),
}
