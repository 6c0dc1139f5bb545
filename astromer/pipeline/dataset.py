"""The data graph from records or light curves to batches; the order of its stages.

Stage by stage: read (and cache) -> shuffle -> batch -> cut windows -> normalize -> mask
-> prefetch. The cache holds light curves, since one behind anything random would
freeze the draw; everything after batching works on whole batches.

What is random in training follows from the seed, a number drawn for the pass, and the
batch's number in it; nothing is carried from batch to batch. An endless dataset numbers
its passes from 0, so that it can start anywhere.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from astromer import batch
from astromer.checks import (
    check_integer,
    check_names,
    check_not_negative,
    check_positive,
)
from astromer.errors import ConfigError
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
from astromer.records.schema import (
    OBJECT_ID_KEY,
    encode_light_curve,
    iterate_frames,
)

__all__ = ["load_dataset", "object_ids_of_batch", "prefetch"]

PREFETCHED_BATCHES = 4
"""Batches that wait ready while a model works."""
MOST_PARALLEL_BATCHES = 16
"""Most batches that are made at a time, where there are cores for them."""
_CURVES_PER_DRAW = 64
"""Light curves whose windows share a draw of masks when not training, whatever the
size of a batch."""
_READ_CYCLE = 4
_LABEL_CHUNK = 256
_ORDER, _FILES = -1, -2


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
    repeat: bool = False,
    start_batch: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Build the `tf.data` graph that feeds a model.

    Windows, normalization and masks are computed on the fly, a batch at a time. When
    training, each light curve gives one random window per epoch, and windows, masks
    and order are fresh in every epoch; the same seed repeats them. Otherwise light
    curves come in source order, tiled so that each observation is seen exactly once,
    with masks that are the same in every pass and for every size of a batch.

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
        Leave out the last batch of a pass if it is not full, for a static batch size.
    repeat : bool
        Go on for ever, one pass after the other, each as fresh as an epoch. A batch
        then follows from `seed` and its number alone, whatever TensorFlow's global
        seed. Training only.
    start_batch : int
        Number of the first batch of an endless dataset. Light curves before it in its
        pass are read, where they lie on disk, but no window is cut from them.
    shard : (index, number)
        Which of how many workers this is, each of which reads its own part: every
        `number`-th file of the records from `index` on, or every such light curve of
        those in memory, with its own draws. Task ``"pretrain"`` in training only.

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
    _check_shard(shard)
    records = _open(source, split, shard, task)
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
    if repeat and not training:
        raise ConfigError(
            "An endless dataset is one to train on; others would repeat the same "
            "batches. Received: repeat=True with training=False. Leave it out."
        )
    _check_start(start_batch, repeat)
    if shard[1] > 1 and not (training and task == "pretrain"):
        raise ConfigError(
            "Workers read their own parts to pretrain; everything else needs the whole. "
            f'Received: shard={shard} with task="{task}", training={training}. '
            "`astromer.training.worker_loop.take_part` shares whole batches."
        )
    check_integer(seed=seed)
    seed = _seed_of(seed, shard)

    stages = _Stages(
        task=task,
        window_size=window_size,
        tiling=tiling,
        normalization=normalization,
        masking=masking or MaskingConfig(),
        error_weights=error_weights,
        sample=training,
        # In training they are left out before they are drawn.
        keep_unlabeled=training
        or task != "classify"
        or records.num_labeled == records.num_curves,
    )
    if cache:
        records = records.in_memory()
    read_size = batch_size if training else _CURVES_PER_DRAW
    if training:
        if task == "classify":
            records = records.labeled()
        batches = records.shuffled_batches(
            batch_size,
            seed=seed,
            buffer=shuffle_buffer,
            drop_remainder=drop_remainder,
            start_batch=start_batch if repeat else None,
        )
    else:
        # Without draws, batches are numbered through.
        counter = tf.data.Dataset.counter()
        batches = tf.data.Dataset.zip(records.batches(read_size), counter, counter)

    def to_windows(serialized: tf.Tensor, draw: tf.Tensor, number: tf.Tensor) -> Any:
        curves = parse_curves(serialized, number * read_size)
        draws = tf.stack([tf.constant(seed, tf.int64), draw])
        return stages(curves, tf.random.fold_in(draws, number) if training else draws)

    dataset = batches.map(
        to_windows, num_parallel_calls=_num_parallel_calls(), deterministic=True
    )
    if not training or drop_remainder:
        # A batch of light curves has become a batch of another number of windows. Where
        # all are full, this only makes their size static.
        dataset = dataset.rebatch(batch_size, drop_remainder=drop_remainder)
    # Keras warns of data that run out where it does not know how many there are.
    if repeat:
        infinite = tf.data.experimental.INFINITE_CARDINALITY
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(infinite))
    elif stages.keep_unlabeled:
        num_windows = (
            records.num_curves
            if training
            else int(count_tiles(records.lengths, window_size, tiling).sum())
        )
        number = _count_batches(num_windows, batch_size, drop_remainder=drop_remainder)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(number))
    # Batches are made in parallel; to cut each into parts for threads costs more than
    # it gains.
    options = tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    return prefetch(dataset).with_options(options)


def prefetch(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Make a few batches ahead, and leave tf.data's tuner out.

    The tuner's thread may sleep through the end of an iterator, which then waits for
    it: up to a minute at the end of `fit` or `evaluate` (TensorFlow 2.21).

    Parameters
    ----------
    dataset : tf.data.Dataset
        Batches; no number in it is left to the tuner.

    Returns
    -------
    dataset : tf.data.Dataset
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(PREFETCHED_BATCHES).with_options(options)


def _num_parallel_calls() -> int:
    """Return how many batches are made at a time."""
    return min(os.cpu_count() or 1, MOST_PARALLEL_BATCHES)


def object_ids_of_batch(
    source: Source,
    batch: int,
    *,
    split: str | None = None,
    task: Task = "pretrain",
    batch_size: int = 64,
    seed: int = 0,
    shuffle_buffer: int = 20_000,
    cache: bool = False,
    drop_remainder: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> list[str]:
    """Name the objects whose windows are in a batch of an endless dataset.

    Batches carry no names; this finds out what was in one that went wrong.

    Parameters
    ----------
    source : path, light curves or frame
        See `load_dataset`, also for the other options, which must be the same.
    batch : int
        Number of the batch, from 0.

    Returns
    -------
    object_ids : list of str
        In the order of the batch's windows. The light curves are not looked at: they
        may be what is wrong.

    Raises
    ------
    ConfigError, RecordError
        As `load_dataset` does.
    """
    check_positive(batch_size=batch_size, shuffle_buffer=shuffle_buffer)
    _check_start(batch, repeat=True)
    _check_shard(shard)
    records = _open(source, split, shard, task)
    if cache:
        records = records.in_memory()
    if task == "classify":
        check_labels(records.num_labeled, records.num_curves)
        records = records.labeled()
    batches = records.shuffled_batches(
        batch_size,
        seed=_seed_of(seed, shard),
        buffer=shuffle_buffer,
        drop_remainder=drop_remainder,
        start_batch=batch,
    )
    serialized, _, _ = next(batches.as_numpy_iterator())
    feature = {OBJECT_ID_KEY: tf.io.FixedLenFeature([], tf.string)}
    names = tf.io.parse_example(serialized, feature)[OBJECT_ID_KEY]
    return [name.decode() for name in names.numpy()]


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
            inputs[batch.TIME], windows.size, self.masking, tf.random.fold_in(seed, 1)
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

    lengths: NDArray[np.int64] | None
    num_labeled: int
    num_read: int
    paths: tuple[str, ...] = ()
    serialized: Any = None
    only_labeled: bool = False

    @property
    def num_curves(self) -> int:
        """Light curves in all."""
        return self.num_labeled if self.only_labeled else self.num_read

    def in_memory(self) -> _Records:
        """Read all shards now, so that every epoch starts from memory."""
        if self.serialized is not None:
            return self
        # Unlike tf.data, this names the file of a damaged record.
        records = [r for path in self.paths for r in iterate_frames(Path(path))]
        serialized = np.array(records, dtype=object)
        return dataclasses.replace(self, serialized=tf.constant(serialized))

    def labeled(self) -> _Records:
        """Leave out light curves without a label, before anything is drawn."""
        if self.num_labeled == self.num_curves:
            return self
        kept = self.serialized if self.serialized is None else _labeled(self.serialized)
        return dataclasses.replace(self, serialized=kept, only_labeled=True)

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """Return batches of serialized light curves in source order."""
        if self.serialized is None:
            return tf.data.TFRecordDataset(list(self.paths)).batch(batch_size)
        starts = tf.data.Dataset.range(0, self.num_curves, batch_size)
        return starts.map(lambda start: self.serialized[start : start + batch_size])

    def shuffled_batches(
        self,
        batch_size: int,
        *,
        seed: int,
        buffer: int,
        drop_remainder: bool,
        start_batch: int | None,
    ) -> tf.data.Dataset:
        """Return batches in an order that is new in every pass.

        One pass with a number drawn at random, or, from a start batch on, pass after
        pass. Each batch comes with its pass's number and its own number in the pass.
        """

        def one_pass(draw: tf.Tensor, first: tf.Tensor) -> tf.data.Dataset:
            draws = tf.stack([tf.constant(seed, tf.int64), draw])
            batches = (
                self._shuffled_on_disk(batch_size, draws, buffer, first)
                if self.serialized is None
                else self._shuffled_in_memory(batch_size, draws, first)
            )
            if drop_remainder:
                batches = batches.take(tf.cast(per_pass, tf.int64) - first)
            numbers = tf.data.Dataset.range(first, tf.int64.max)
            return tf.data.Dataset.zip(batches, numbers).map(
                lambda serialized, number: (serialized, draw, number)
            )

        per_pass = _count_batches(
            self.num_curves, batch_size, drop_remainder=drop_remainder
        )
        zero = tf.constant(0, tf.int64)
        if start_batch is None:
            # A second stream of random numbers beside the user's own of that seed.
            draws = tf.data.Dataset.random(
                seed=seed + 1, rerandomize_each_iteration=True
            )
            return draws.take(1).flat_map(lambda draw: one_pass(draw, zero))
        if per_pass == 0:
            raise ConfigError(
                "An endless dataset of full batches needs light curves for one. "
                f"Received: batch_size={batch_size}, {self.num_curves} light curves. "
                "Lower `batch_size`."
            )
        first_pass, skipped = divmod(start_batch, per_pass)
        passes = tf.data.Dataset.range(first_pass, tf.int64.max)
        return passes.flat_map(
            lambda number: one_pass(
                number,
                tf.where(number == first_pass, tf.constant(skipped, tf.int64), 0),
            )
        )

    def _shuffled_in_memory(
        self, batch_size: int, draws: tf.Tensor, first: tf.Tensor
    ) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(self.num_curves), tf.random.fold_in(draws, _int64(_ORDER))
        )
        starts = tf.data.Dataset.range(
            first * batch_size, _int64(self.num_curves), _int64(batch_size)
        )
        return starts.map(
            lambda start: tf.gather(self.serialized, order[start : start + batch_size])
        )

    def _shuffled_on_disk(
        self, batch_size: int, draws: tf.Tensor, buffer: int, first: tf.Tensor
    ) -> tf.data.Dataset:
        # In a dataset's function this holds there alone: the order must not follow
        # TensorFlow's global seed, which another process may not set.
        tf.random.set_seed(1)
        files = tf.random.experimental.stateless_shuffle(
            tf.constant(self.paths), tf.random.fold_in(draws, _int64(_FILES))
        )
        # In parallel it would be slower: handing a record over costs more than
        # reading it.
        curves = tf.data.Dataset.from_tensor_slices(files).interleave(
            tf.data.TFRecordDataset, cycle_length=_READ_CYCLE, block_length=16
        )
        if self.only_labeled:
            curves = curves.batch(_LABEL_CHUNK).map(_labeled).unbatch()
        curves = curves.shuffle(
            min(buffer, self.num_curves),
            seed=tf.random.fold_in(draws, _int64(_ORDER))[0],
            reshuffle_each_iteration=False,
        )
        return curves.skip(first * batch_size).batch(batch_size)


def _labeled(serialized: tf.Tensor) -> tf.Tensor:
    """Keep the light curves that have a label."""
    label = parse_curves(serialized, _int64(0)).label
    return tf.boolean_mask(serialized, label >= 0)


def _int64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)


def _count_batches(num_windows: int, batch_size: int, *, drop_remainder: bool) -> int:
    full, rest = divmod(num_windows, batch_size)
    return full if drop_remainder else full + (rest > 0)


def _open(
    source: Source, split: str | None, shard: tuple[int, int], task: Task
) -> _Records:
    index, number = shard
    if isinstance(source, (str, Path)):
        return _open_folder(Path(source), split, shard)
    curves = collect_light_curves(source, split, classes=task == "classify")
    if len(curves) < number:
        raise ConfigError(
            "Every worker needs a light curve of its own. Received: "
            f"{len(curves)} light curves for {number} workers. Use fewer workers."
        )
    curves = curves[index::number]
    return _Records(
        lengths=np.array([len(curve) for curve in curves]),
        num_labeled=sum(curve.label >= 0 for curve in curves),
        num_read=len(curves),
        serialized=tf.constant([encode_light_curve(curve) for curve in curves]),
    )


def _open_folder(path: Path, split: str | None, shard: tuple[int, int]) -> _Records:
    manifest = open_manifest(path, split)
    chosen = manifest.splits if split is None else [split]
    splits = [manifest.splits[name] for name in chosen]
    index, number = shard
    every = [info for info in manifest.shards if info.split in chosen]
    if len(every) < number:
        raise ConfigError(
            "Every worker reads files of its own. "
            f"Received: {len(every)} files, split={split!r}, for {number} workers. "
            "Convert again with a lower `--objects-per-shard`, now "
            f"{manifest.options.get('objects_per_shard')}."
        )
    own, paths = every[index::number], manifest.shard_paths(split)[index::number]
    manifest.check_sizes(paths)
    # The manifest counts lengths by split, not by file.
    lengths = [(int(n), count) for part in splits for n, count in part.lengths.items()]
    return _Records(
        lengths=np.repeat(*np.array(lengths).T) if number == 1 else None,
        num_labeled=manifest.num_light_curves(split)
        - sum(part.classes.get("", 0) for part in splits),
        num_read=sum(info.num_light_curves for info in own),
        paths=tuple(str(path) for path in paths),
    )


def _seed_of(seed: int, shard: tuple[int, int]) -> int:
    """Return the seed of a worker, so that no two draw the same masks."""
    if shard[1] == 1:
        return seed
    return int(np.random.SeedSequence([seed % 2**64, *shard]).generate_state(1)[0])


def _check_shard(shard: tuple[int, int]) -> None:
    index, number = shard
    check_positive(number_of_workers=number)
    check_not_negative(index_of_worker=index)
    if index >= number:
        raise ConfigError(
            "Workers are counted from 0. "
            f"Received: shard={shard}, worker {index} of {number}."
        )


def _check_start(start_batch: int, repeat: bool) -> None:
    check_not_negative(start_batch=start_batch)
    if start_batch and not repeat:
        raise ConfigError(
            "`start_batch` counts the batches of an endless dataset from 0. "
            f"Received: start_batch={start_batch}, repeat={repeat}."
        )
