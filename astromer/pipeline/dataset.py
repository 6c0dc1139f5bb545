"""The data graph from records or light curves to batches; the order of its stages.

Stage by stage: read (and cache) -> shuffle -> batch -> cut windows -> normalize -> mask
-> prefetch. The cache holds light curves, since one behind anything random would
freeze the draw; everything after batching works on whole batches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from astromer import batch
from astromer.errors import ConfigError, RecordError
from astromer.pipeline.curves import Source, collect_light_curves, open_manifest
from astromer.pipeline.masking import apply_masks, select_masks
from astromer.pipeline.normalization import curve_means, subtract_means, window_means
from astromer.pipeline.options import (
    DEFAULT_WINDOW_SIZE,
    ErrorWeights,
    MaskingConfig,
    Normalization,
    Task,
    Tiling,
    check_labels,
    check_masking_task,
    check_names,
    check_positive,
    count_tiles,
)
from astromer.pipeline.weights import weigh_errors
from astromer.pipeline.windows import (
    Curves,
    Windows,
    cut_windows,
    parse_curves,
    sample_starts,
    tile_starts,
)
from astromer.records.schema import encode_light_curve, iterate_frames

__all__ = ["load_dataset"]

_READ_CYCLE = 4


def load_dataset(
    source: Source,
    *,
    split: str | None = None,
    task: Task = "pretrain",
    window_size: int = DEFAULT_WINDOW_SIZE,
    batch_size: int = 64,
    seed: int = 0,
    training: bool | None = None,
    tiling: Tiling = "exact",
    normalization: Normalization = "window",
    masking: MaskingConfig | None = None,
    error_weights: ErrorWeights = "off",
    shuffle_buffer: int = 20_000,
    cache: bool = False,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """Build the `tf.data` graph that feeds a model.

    Windows, normalization and masks are computed on the fly, a batch at a time. When
    training, each light curve gives one random window per epoch, and windows, masks
    and order are fresh in every epoch; the same seed repeats them. Otherwise light
    curves come in source order, tiled so that each observation is seen exactly once,
    with masks that are the same in every pass.

    Source: Donoso-Oliva et al. (2026), Sects. 2.1 and 2.3.

    Parameters
    ----------
    source : path, light curves or frame
        A folder of records with its manifest; a `LightCurve` or several; or a pandas
        or polars long frame (see `light_curves_from_frame`).
    split : str, optional
        Part of the records, e.g. ``"train"``; None takes all. Records only.
    task : {"pretrain", "classify", "embed"}
        - pretrain: ``(inputs, targets)`` with the probed magnitudes as targets.
        - classify: ``(inputs, label)``; light curves without a label are left out.
          Class names without numbers are numbered in alphabetical order.
        - embed: ``(inputs, origin)`` with the window's light curve, start and
          uncertainties.
    window_size : int
        Observations per window; shorter light curves are padded with zeros.
    batch_size : int
        Windows per batch.
    seed : int
        Seed of order, windows and masks. `tf.data` adds TensorFlow's global seed, if
        one is set: what repeats is the pair.
    training : bool, optional
        Whether to draw at random; by default True for the split ``"train"`` and where
        there are no splits, and never for the task ``"embed"``.
    tiling : {"exact", "released"}
        How windows lie when not training: each observation in one window, or, as in
        the released code, with a full last window that repeats some.
    normalization : {"window", "light_curve"}
        Whose mean time and magnitude are subtracted.
    masking : MaskingConfig, optional
        Shares of probed, visible and random observations. Task ``"pretrain"`` only.
    error_weights : {"off", "released", "paper"}
        Weights of the loss from uncertainties. Task ``"pretrain"`` only.
    shuffle_buffer : int
        Light curves among which the next one is drawn, when training from disk;
        in memory the whole source is shuffled.
    cache : bool
        Read all light curves - not windows - into memory first. Faster where they fit.
    drop_remainder : bool
        Leave out the last batch if it is not full, for a static batch size.

    Returns
    -------
    dataset : tf.data.Dataset
        Of pairs of dictionaries (or a dictionary and labels) whose names, shapes and
        units are those of `astromer.batch`.

    Raises
    ------
    ConfigError
        If an option is not valid or does not go with the source or the task.
    RecordError
        If the folder holds no records, a shard is missing or cut, or the split does
        not exist. A record damaged within is found as it is read: tf.data then raises
        `tf.errors.DataLossError`, and `astromer verify` names the record.
    """
    check_names(
        task=(task, Task),
        tiling=(tiling, Tiling),
        normalization=(normalization, Normalization),
        error_weights=(error_weights, ErrorWeights),
    )
    check_positive(
        window_size=window_size, batch_size=batch_size, shuffle_buffer=shuffle_buffer
    )
    check_masking_task(task, masking, error_weights)
    records = _open(source, split)
    if task == "classify":
        check_labels(records.num_labeled, records.num_curves)
    if training is None:
        # Tiles asked for by name are tiles, not draws.
        training = task != "embed" and split in (None, "train") and tiling == "exact"
    if training and tiling == "released":
        raise ConfigError(
            "`tiling` says how windows lie when they are not drawn at random. "
            'Received: tiling="released" with training=True. Leave one of them out.'
        )
    if training and task == "embed":
        raise ConfigError(
            'task="embed" keeps the source\'s order. Received: training=True.'
        )

    stages = _Stages(
        task=task,
        window_size=window_size,
        tiling=tiling,
        normalization=normalization,
        masking=masking or MaskingConfig(),
        error_weights=error_weights,
        sample=training,
        keep_unlabeled=task != "classify" or records.num_labeled == records.num_curves,
    )
    if cache:
        records = records.in_memory()
    dataset = (
        records.shuffled_batches(batch_size, seed, shuffle_buffer)
        if training
        else records.batches(batch_size)
    )
    draws = (
        tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
        if training
        else tf.data.Dataset.counter()
    )
    dataset = tf.data.Dataset.zip(dataset, tf.data.Dataset.counter(), draws)

    def to_windows(serialized: tf.Tensor, number: tf.Tensor, draw: tf.Tensor) -> Any:
        curves = parse_curves(serialized, number * batch_size)
        return stages(curves, tf.stack([tf.constant(seed, tf.int64), draw]))

    dataset = dataset.map(
        to_windows, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    if not (training and stages.keep_unlabeled) or drop_remainder:
        # A batch of light curves has become a batch of another number of windows.
        dataset = dataset.rebatch(batch_size, drop_remainder=drop_remainder)
    # Keras warns of data that run out where it does not know how many there are.
    num_windows = (
        records.num_labeled
        if training and task == "classify"
        else records.num_curves
        if training
        else int(count_tiles(records.lengths, window_size, tiling).sum())
    )
    if training or stages.keep_unlabeled:
        batches = num_windows / batch_size
        number = int(batches) if drop_remainder else int(np.ceil(batches))
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(number))
    return dataset.prefetch(tf.data.AUTOTUNE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Stages:
    """From a batch of light curves to a batch of windows, as one graph function."""

    task: Task
    window_size: int
    tiling: Tiling
    normalization: Normalization
    masking: MaskingConfig
    error_weights: ErrorWeights
    sample: bool
    keep_unlabeled: bool

    def __call__(self, curves: Curves, seed: tf.Tensor) -> Any:
        if not self.keep_unlabeled:
            curves = curves.take(tf.where(curves.label >= 0)[:, 0])
        # Before tiling: a long light curve would be decoded whole for each window.
        means = curve_means(curves) if self.normalization == "light_curve" else ()
        if self.sample:
            start = sample_starts(
                curves.length, self.window_size, tf.random.fold_in(seed, 0)
            )
        else:
            row, start = tile_starts(curves.length, self.window_size, self.tiling)
            curves = curves.take(row)
            means = tuple(tf.gather(mean, row) for mean in means)
        windows = cut_windows(curves, start, self.window_size)
        time, mag = subtract_means(windows, *(means or window_means(windows)))
        inputs = {
            batch.TIME: time,
            batch.MAG: mag,
            batch.VALID: windows.valid,
            batch.HIDDEN: tf.zeros_like(windows.valid),
        }
        if self.task == "classify":
            return inputs, curves.label
        if self.task == "embed":
            return inputs, {
                batch.CURVE_INDEX: curves.index,
                batch.WINDOW_START: windows.start,
                batch.MAG_ERR: windows.mag_err,
            }
        return self._mask(inputs, windows, seed)

    def _mask(self, inputs: dict[str, Any], windows: Windows, seed: tf.Tensor) -> Any:
        mag = inputs[batch.MAG]
        masks = select_masks(
            windows.size, self.window_size, self.masking, tf.random.fold_in(seed, 1)
        )
        shown = apply_masks(mag, masks, windows.size, tf.random.fold_in(seed, 2))
        targets = {
            batch.MAG: mag,
            batch.PROBED: masks.probed,
            batch.WEIGHT: weigh_errors(
                windows.mag_err, windows.valid, self.error_weights
            ),
        }
        return {**inputs, batch.MAG: shown, batch.HIDDEN: masks.hidden}, targets


@dataclasses.dataclass(frozen=True)
class _Records:
    """Where serialized light curves come from: shards, or a list in memory."""

    lengths: NDArray[np.int64]
    num_labeled: int
    paths: tuple[str, ...] = ()
    serialized: Any = None

    @property
    def num_curves(self) -> int:
        """Light curves in all."""
        return len(self.lengths)

    def in_memory(self) -> _Records:
        """Read all shards now, so that every epoch starts from memory."""
        if self.serialized is not None:
            return self
        # Unlike tf.data, this names the file of a damaged record.
        records = [r for path in self.paths for r in iterate_frames(Path(path))]
        serialized = np.array(records, dtype=object)
        return dataclasses.replace(self, serialized=tf.constant(serialized))

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """Return batches of serialized light curves in source order."""
        if self.serialized is None:
            return tf.data.TFRecordDataset(list(self.paths)).batch(batch_size)
        starts = tf.data.Dataset.range(0, self.num_curves, batch_size)
        return starts.map(lambda start: self.serialized[start : start + batch_size])

    def shuffled_batches(
        self, batch_size: int, seed: int, buffer: int
    ) -> tf.data.Dataset:
        """Return batches in an order that is new in every epoch."""
        if self.serialized is None:
            paths = tf.data.Dataset.from_tensor_slices(list(self.paths))
            paths = paths.shuffle(
                len(self.paths), seed=seed, reshuffle_each_iteration=True
            )
            # In parallel it would be slower: handing a record over costs more than
            # reading it.
            curves = paths.interleave(
                tf.data.TFRecordDataset, cycle_length=_READ_CYCLE, block_length=16
            )
            curves = curves.shuffle(
                min(buffer, self.num_curves), seed=seed, reshuffle_each_iteration=True
            )
            return curves.batch(batch_size)

        def epoch(draw: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(self.num_curves), tf.stack([tf.constant(seed, tf.int64), draw])
            )
            starts = tf.data.Dataset.range(0, self.num_curves, batch_size)
            return starts.map(
                lambda start: tf.gather(
                    self.serialized, order[start : start + batch_size]
                )
            )

        # A second stream of random numbers, so that order and windows are independent.
        epochs = tf.data.Dataset.random(seed=seed + 1, rerandomize_each_iteration=True)
        return epochs.take(1).flat_map(epoch)


def _open(source: Source, split: str | None) -> _Records:
    if isinstance(source, (str, Path)):
        return _open_folder(Path(source), split)
    curves = collect_light_curves(source, split)
    return _Records(
        lengths=np.array([len(curve) for curve in curves]),
        num_labeled=sum(curve.label >= 0 for curve in curves),
        serialized=tf.constant([encode_light_curve(curve) for curve in curves]),
    )


def _open_folder(path: Path, split: str | None) -> _Records:
    manifest = open_manifest(path, split)
    chosen = manifest.splits if split is None else [split]
    splits = [manifest.splits[name] for name in chosen]
    paths = manifest.shard_paths(split)
    _check_sizes(paths, {shard.name: shard.bytes for shard in manifest.shards})
    lengths = [(int(n), count) for part in splits for n, count in part.lengths.items()]
    return _Records(
        lengths=np.repeat(*np.array(lengths).T),
        num_labeled=manifest.num_light_curves(split)
        - sum(part.classes.get("", 0) for part in splits),
        paths=tuple(str(path) for path in paths),
    )


def _check_sizes(paths: Iterable[Path], written: Mapping[str, int]) -> None:
    # A shard that ends between two records would lose light curves in silence.
    for path in paths:
        size = path.stat().st_size if path.is_file() else 0
        if size != written[path.name]:
            raise RecordError(
                "A shard is missing or cut. Received: "
                f"path={path}, {size} of {written[path.name]} bytes. "
                "Convert again, or restore the file."
            )
