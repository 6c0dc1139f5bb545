"""Pretraining: learn to predict hidden magnitudes from light curves without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from astromer.errors import ConfigError
from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig
from astromer.presets import check_metadata
from astromer.progress import TrainingProgress
from astromer.training.data import Splits
from astromer.training.options import PretrainOptions
from astromer.training.reconstruction import StartingModel, reconstruction_run
from astromer.training.run import Report, RunResult
from astromer.training.run_folder import RunFolder, resolve_options
from astromer.training.strategy import join_workers

__all__ = ["pretrain"]


def pretrain(
    records: str | Path | Mapping[str, Sequence[LightCurve]],
    out: str | Path,
    *,
    config: EncoderConfig | Mapping[str, Any] | str | None = None,
    preset: str | Path | None = None,
    options: PretrainOptions | str | Path | None = None,
    resume: bool = False,
    metadata: Mapping[str, Any] | None = None,
    progress: TrainingProgress | None = None,
    report: Report | None = None,
    **overrides: Any,
) -> RunResult:
    """Pretrain a model in a folder of its own.

    Half of each window is probed, most of it hidden, and the model learns to predict
    it. Every epoch is scored on fixed windows and masks of the split ``"validation"``;
    the best epoch's weights become the preset, and are scored on ``"test"``.

    Source: Donoso-Oliva et al. (2026), Sects. 2.3-2.5 and 3.3.

    Parameters
    ----------
    records : path or mapping
        A folder of records with a split ``"train"``, or light curves in memory by
        split. Labels are not needed.
    out : str or pathlib.Path
        Folder of the run: `config.json`, `metrics.csv`, `tensorboard/`, `checkpoints/`,
        `preset/`, `result.json`, and `README.md` with the learning curves.
    config : EncoderConfig, mapping or str, optional
        Options of a new encoder, or the name of an architecture; ``"astromer2"`` by
        default.
    preset : str or path, optional
        Preset to start from, in place of `config`.
    options : PretrainOptions, str or pathlib.Path, optional
        Options of the training, or a TOML file with some; its table ``[encoder]`` is
        taken for `config` where that is not given, and changes the architecture where
        that is a name.
    resume : bool
        Go on with the run in the folder, from its last checkpoint. What is not given is
        taken from it; more `epochs` may be given.
    metadata : mapping, optional
        Facts for the preset, e.g. ``license``; see `astromer.presets.save_preset`.
    progress : TrainingProgress, optional
        Called after every batch; see `astromer.progress.show_progress`.
    report : callable, optional
        Takes a line of text at the start and after each epoch.
    **overrides
        Fields of `PretrainOptions` that win over `options`.

    Returns
    -------
    result : RunResult

    Raises
    ------
    ConfigError
        If an option is not valid, or there are fewer light curves than a batch takes.
    PresetError
        If there is no such preset.
    RecordError
        If there is no split to train on, or the records have another schema.
    RunError
        If the folder is in use or its run was begun otherwise, the loss is no longer a
        number, or the disk is full.
    WorkerError
        If another worker of ``strategy="multiworker"`` did not come or was lost.
    """
    check_metadata(metadata)
    folder = RunFolder.open(out, "pretrain", resume=resume)
    chosen, table = resolve_options(PretrainOptions, folder, options, overrides)
    workers = join_workers(chosen.strategy, chosen.devices)
    if isinstance(config, str) and table is not None:
        config = {**table, "name": config}
    start = _starting_model(folder, table if config is None else config, preset)
    return reconstruction_run(
        "pretrain",
        folder,
        start,
        Splits.open(records),
        chosen,
        workers=workers,
        metadata=metadata,
        progress=progress,
        report=report,
    )


def _starting_model(
    folder: RunFolder,
    config: EncoderConfig | Mapping[str, Any] | str | None,
    preset: str | Path | None,
) -> StartingModel:
    if config is not None and preset is not None:
        raise ConfigError(
            "A preset has its own architecture. Received: preset="
            f'"{preset}" and config={config!r}. Leave one of them out.'
        )
    if preset is not None:
        return StartingModel.from_preset(preset)
    if isinstance(config, EncoderConfig):
        return StartingModel(config)
    if isinstance(config, str):
        return StartingModel(EncoderConfig.from_name(config))
    if config is not None:
        given = {"name": "astromer2", **config}
        return StartingModel(EncoderConfig.from_name(given.pop("name"), **given))
    return StartingModel.from_run(folder) or StartingModel(EncoderConfig())
