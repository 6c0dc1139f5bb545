"""Finetuning: go on from a preset with the same objective, on other light curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from astromer.errors import ConfigError, unknown_name
from astromer.lightcurve import LightCurve
from astromer.models import Reconstructor
from astromer.presets import check_metadata, describe_preset
from astromer.progress import TrainingProgress
from astromer.training.data import Splits
from astromer.training.options import FinetuneOptions
from astromer.training.reconstruction import StartingModel, reconstruction_run
from astromer.training.run import Report, RunResult
from astromer.training.run_folder import RunFolder, resolve_options
from astromer.training.strategy import join_workers

__all__ = ["finetune", "set_trainable"]

HEAD: Final = ("head_norm", "head_dense")
"""Layers of the reconstruction head."""


def finetune(
    preset: str | Path,
    records: str | Path | Mapping[str, Sequence[LightCurve]],
    out: str | Path,
    *,
    options: FinetuneOptions | str | Path | None = None,
    resume: bool = False,
    metadata: Mapping[str, Any] | None = None,
    progress: TrainingProgress | None = None,
    report: Report | None = None,
    **overrides: Any,
) -> RunResult:
    """Finetune a preset in a folder of its own; what is trained may be chosen.

    Source: Donoso-Oliva et al. (2026), Sect. 5.2: the pretraining objective on the
    light curves of another survey, or of few labeled stars. Loss, error weights and
    masking are those that the preset was trained with, where it says so (`objective` in
    its metadata) and nothing else is given.

    Parameters
    ----------
    preset : str or path
        Preset to start from.
    records, out, resume, metadata, progress, report
        As for `pretrain`.
    options : FinetuneOptions, str or pathlib.Path, optional
        Options of the training, complete, or a TOML file with some.
    **overrides
        Fields of `FinetuneOptions` that win over `options`, e.g. ``trainable="head"``.

    Returns
    -------
    result : RunResult

    Raises
    ------
    ConfigError, PresetError, RecordError, RunError, WorkerError
        As for `pretrain`; also if a layer to train does not exist.
    """
    check_metadata(metadata)
    folder = RunFolder.open(out, "finetune", resume=resume)
    objective = describe_preset(preset).metadata.get("objective")
    chosen, table = resolve_options(
        FinetuneOptions, folder, options, overrides, defaults=objective
    )
    if table is not None:
        raise ConfigError(
            "A preset has its own architecture. Received: a table [encoder] in "
            f"{options}. Leave it out."
        )
    workers = join_workers(chosen.strategy, chosen.devices)
    return reconstruction_run(
        "finetune",
        folder,
        StartingModel.from_preset(preset),
        Splits.open(records),
        chosen,
        workers=workers,
        freeze=lambda model: set_trainable(model, chosen.trainable),
        metadata=metadata,
        progress=progress,
        report=report,
    )


def set_trainable(model: Reconstructor, which: str | int | Sequence[str]) -> None:
    """Choose the layers of a model that training changes; call it before `compile`.

    Dropout acts in what is trained: frozen, a layer does as in inference.

    Parameters
    ----------
    model : Reconstructor
    which : "all", "head", int or sequence of str
        Everything; the reconstruction head; so many blocks, counted from the last, and
        the head; or layers by name, where ``head`` stands for the head's two.

    Raises
    ------
    ConfigError
        If a layer does not exist, or the model has fewer blocks.
    """
    layers = {
        layer.name: layer
        for layer in [*model.encoder.layers, *map(model.get_layer, HEAD)]
        if layer.weights
    }
    blocks = [block.name for block in model.encoder.blocks]
    if which == "all":
        chosen = set(layers)
    elif isinstance(which, int):
        if which > len(blocks):
            raise ConfigError(
                f"The model has {len(blocks)} blocks. Received: trainable={which}. "
                'Use trainable="all" for all layers.'
            )
        chosen = {*blocks[-which:], *HEAD}
    else:
        names = [which] if isinstance(which, str) else which
        chosen = {
            part for name in names for part in (HEAD if name == "head" else [name])
        }
    for name in sorted(chosen - set(layers)):
        raise ConfigError(unknown_name("layer", name, ["head", *layers]))
    for name, layer in layers.items():
        layer.trainable = name in chosen
    # It has no weights, and stands between these two.
    between = {"magnitude_embedding", blocks[0]}
    model.encoder.get_layer("input_dropout").trainable = bool(between & chosen)
