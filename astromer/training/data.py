"""What a run trains on: light curves by split, as endless stream and as fixed batches.

The two functions at the end are the only ones that make batches: with tf.data on
TensorFlow, with numpy on other backends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import keras

from astromer.errors import ConfigError, RecordError
from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig
from astromer.pipeline.options import ErrorWeights, MaskingConfig, Task
from astromer.pipeline.stream import BatchStream, fixed_windows
from astromer.records.manifest import MANIFEST_NAME, Manifest
from astromer.records.schema import encode_light_curve
from astromer.training.options import TrainingOptions
from astromer.training.strategy import devices_in_scope
from astromer.training.tiles import TileStream
from astromer.training.workers import Workers

__all__ = [
    "FIXED_SEED",
    "RunData",
    "Splits",
    "damage_explained",
    "fixed_batches",
    "train_stream",
]

FIXED_SEED: Final = 1
"""Seed of the masks in validation and test: always the same, so that the scores of runs
with different seeds compare."""

TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclasses.dataclass(frozen=True)
class Splits:
    """Light curves to train on, to validate and to test, on disk or in memory."""

    sources: dict[str, Any]
    """What `load_dataset` takes as source, by split."""
    num_light_curves: dict[str, int]
    """Light curves by split."""
    num_labeled: dict[str, int]
    """Those with a label, by split."""
    survey: str
    """Where they come from, if known."""
    sha256: str
    """SHA-256 of the records' manifest, which holds that of every shard; in memory, of
    the light curves themselves."""
    folder: Path | None = None
    """Folder of the records; None in memory."""
    files: tuple[int, ...] = ()
    """Light curves to train on in each file; empty in memory."""

    @classmethod
    def open(cls, records: str | Path | Mapping[str, Sequence[LightCurve]]) -> Self:
        """Find out what there is, without reading light curves.

        Parameters
        ----------
        records : path or mapping
            A folder of records, or light curves by split.

        Returns
        -------
        splits : Splits

        Raises
        ------
        ConfigError
            If a mapping has other splits than train, validation and test.
        RecordError
            If the folder holds no records, or records of another schema; or if there is
            nothing to train on.
        """
        if isinstance(records, Mapping):
            return cls._in_memory(records)
        manifest = Manifest.load(records)
        folder = manifest.folder or Path(records)
        splits = {
            name: split
            for name, split in manifest.splits.items()
            if name in {TRAIN, VALIDATION, TEST} and split.num_light_curves
        }
        _require_train(list(splits), list(manifest.splits), str(records))
        content = (folder / MANIFEST_NAME).read_bytes()
        return cls(
            sources=dict.fromkeys(splits, folder),
            num_light_curves={n: s.num_light_curves for n, s in splits.items()},
            num_labeled={
                n: s.num_light_curves - s.classes.get("", 0) for n, s in splits.items()
            },
            survey=manifest.survey,
            sha256=hashlib.sha256(content).hexdigest(),
            folder=folder,
            files=tuple(
                shard.num_light_curves
                for shard in manifest.shards
                if shard.split == TRAIN
            ),
        )

    @classmethod
    def _in_memory(cls, curves: Mapping[str, Sequence[LightCurve]]) -> Self:
        known = (TRAIN, VALIDATION, TEST)
        unknown = [name for name in curves if name not in known]
        if unknown:
            raise ConfigError(
                "Light curves in memory are given as train, validation and test. "
                f'Received: split="{unknown[0]}".'
            )
        sources = {name: list(curves[name]) for name in known if curves.get(name)}
        _require_train(list(sources), list(curves), "light curves in memory")
        digest = hashlib.sha256()
        for name, light_curves in sources.items():
            digest.update(name.encode())
            for curve in light_curves:
                digest.update(encode_light_curve(curve))
        return cls(
            sources=sources,
            num_light_curves={name: len(source) for name, source in sources.items()},
            num_labeled={
                name: sum(c.label >= 0 or c.class_name is not None for c in source)
                for name, source in sources.items()
            },
            survey="",
            sha256=digest.hexdigest(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what identifies the light curves, as plain JSON values."""
        return {
            "survey": self.survey,
            "light_curves": self.num_light_curves,
            "sha256": self.sha256,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunData:
    """Splits, and how windows are made from them."""

    splits: Splits
    options: TrainingOptions
    """Batch size, seed, buffer and cache."""
    encoder: EncoderConfig
    """Window size and normalization."""
    task: Task = "pretrain"
    masking: MaskingConfig | None = None
    """Task ``"pretrain"`` only, as the next."""
    error_weights: ErrorWeights = "off"
    is_tiled: bool = False
    """Whether training windows are the light curves' tiles; see `TileStream`."""
    workers: Workers = dataclasses.field(default_factory=Workers)
    """Who trains on them together, each on its own part."""

    @property
    def is_tf(self) -> bool:
        """Whether tf.data makes the training batches, not numpy."""
        return keras.backend.backend() == "tensorflow" and not self.is_tiled

    @functools.cached_property
    def stream(self) -> BatchStream:
        """Training batches by number, where numpy makes them."""
        source, split = self.source(TRAIN)
        stream_class = TileStream if self.is_tiled else BatchStream
        return stream_class(
            source,
            split=split,
            batch_size=self.options.batch_size,
            seed=self.options.seed,
            **self.window_options(),
        )

    @property
    def windows_per_pass(self) -> int:
        """Windows of one pass: one from each light curve."""
        labeled = self.task == "classify"
        counts = self.splits.num_labeled if labeled else self.splits.num_light_curves
        return counts[TRAIN]

    @property
    def batches_per_pass(self) -> int:
        """Batches that hold as many windows as a pass; the same on every worker.

        On TensorFlow the last batch of a pass may be smaller; several workers each end
        passes of their own, and numpy's passes flow into each other.
        """
        return -(-self.windows_per_pass // self.options.batch_size)

    @property
    def parts(self) -> list[int]:
        """Windows that each worker has in a pass over its own part."""
        number = len(self.workers)
        if number == 1:
            return [self.windows_per_pass]
        counts = self.splits.files or (1,) * self.windows_per_pass
        return [sum(counts[index::number]) for index in range(number)]

    def windows_until(self, batch: int) -> int:
        """Count the windows before a batch of the endless stream, of all workers."""
        if not self.is_tf:
            return batch * self.options.batch_size
        size = self.options.batch_size // len(self.workers)
        total = 0
        for part in self.parts:
            passes, batches = divmod(batch, -(-part // size))
            total += passes * part + min(batches * size, part)
        return total

    def check(self) -> None:
        """Refuse what cannot be trained on.

        Raises
        ------
        ConfigError
            If there are fewer windows than a batch takes, or workers cannot share them.
        """
        if self.options.strategy == "multiworker" and self.task != "pretrain":
            raise ConfigError(
                "Workers read their own parts to pretrain and finetune; a classifier is "
                f'trained on one host. Received: strategy="multiworker" with task='
                f'"{self.task}". Use strategy="mirrored" for the devices of one host.'
            )
        if self.windows_per_pass < self.options.batch_size:
            raise ConfigError(
                "A batch takes as many windows as there are light curves to train on, "
                f"at most. Received: batch_size={self.options.batch_size}, "
                f"{self.windows_per_pass} light curves. Lower `batch_size`."
            )
        if len(self.workers) > 1:
            self._check_parts()

    def _check_parts(self) -> None:
        number, batch_size = len(self.workers), self.options.batch_size
        if batch_size % number:
            raise ConfigError(
                "Every worker has the same share of a batch. Received: batch_size="
                f"{batch_size} for {number} workers. Use a multiple of {number}."
            )
        files = len(self.splits.files)
        if self.splits.folder and files < number:
            raise ConfigError(
                f"Every worker reads files of its own. Received: {files} files to train "
                f"on for {number} workers. Convert again with a lower "
                "`--objects-per-shard`."
            )
        if min(self.parts) < batch_size // number:
            raise ConfigError(
                "Every worker needs the light curves of its share of a batch. Received: "
                f"batch_size={batch_size} for workers with "
                f"{', '.join(map(str, self.parts))} light curves. Lower `batch_size`, "
                "or convert again with a lower `--objects-per-shard`."
            )

    def object_ids(self, batch: int) -> list[str]:
        """Name the objects in a batch of the endless stream.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.

        Returns
        -------
        object_ids : list of str
            In the order of the batch's windows; those of this worker's part.
        """
        if not self.is_tf:
            names = self.stream.curves.object_id
            return [names[place] for place in self.stream.curves_of(batch)]
        from astromer.pipeline.dataset import object_ids_of_batch

        source, split = self.source(TRAIN)
        return object_ids_of_batch(
            source, batch, split=split, task=self.task, **self.order_options()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what decides which windows come when, as plain JSON values."""
        return {
            **self.splits.to_dict(),
            "drawn_by": "tf.data" if self.is_tf else "numpy",
            "workers": len(self.workers),
        }

    def source(self, split: str) -> tuple[Any, str | None]:
        """Return the source of a split for `load_dataset`, and its option `split`."""
        return self.splits.sources[split], split if self.splits.folder else None

    def order_options(self) -> dict[str, Any]:
        """Return what says which light curves a batch holds."""
        names = ("seed", "shuffle_buffer", "cache")
        number = len(self.workers)
        return {
            "batch_size": self.options.batch_size // number,
            "shard": (self.workers.index, number),
            **{name: getattr(self.options, name) for name in names},
        }

    def window_options(self) -> dict[str, Any]:
        """Return what says how windows are made of them."""
        options: dict[str, Any] = {
            "task": self.task,
            "window_size": self.encoder.window_size,
            "normalization": self.encoder.normalization,
        }
        if self.task == "pretrain":
            options |= {"masking": self.masking, "error_weights": self.error_weights}
        return options


@contextlib.contextmanager
def damage_explained(splits: Splits) -> Iterator[None]:
    """Turn TensorFlow's error for a damaged record into one that says what to do.

    Parameters
    ----------
    splits : Splits
        What is being read.

    Raises
    ------
    RecordError
        If a record's checksum is wrong.
    """
    try:
        yield
    except Exception as error:
        # By name: on another backend there may be no TensorFlow.
        if type(error).__name__ != "DataLossError":
            raise
        raise RecordError(
            f"A record is damaged. Received: source={splits.folder}. `astromer verify` "
            "names it; convert again, then resume."
        ) from error


def train_stream(data: RunData, start_batch: int = 0) -> Any:
    """Make the endless stream of batches that a run trains on.

    Parameters
    ----------
    data : RunData
    start_batch : int
        Number of the first batch; the stream is the whole one without those before.

    Returns
    -------
    stream : tf.data.Dataset or iterator
        This worker's part, for `keras.Model.fit` with `steps_per_epoch`.
    """
    if data.is_tiled and keras.backend.backend() == "tensorflow":
        return _as_dataset(data.stream, start_batch)
    if not data.is_tf:
        return data.stream.iterate(start_batch)
    from astromer.pipeline import load_dataset

    source, split = data.source(TRAIN)
    return load_dataset(
        source,
        split=split,
        training=True,
        repeat=True,
        start_batch=start_batch,
        **data.order_options(),
        **data.window_options(),
    )


def _as_dataset(stream: BatchStream, start_batch: int) -> Any:
    """Make tf.data of numpy's batches, which several devices can share."""
    import tensorflow as tf

    from astromer.pipeline.dataset import prefetch

    # With the size of a batch, which Keras leaves open: where a strategy cannot tell it,
    # it gives every device a whole batch.
    spec = keras.tree.map_structure(
        lambda values: tf.TensorSpec(values.shape, values.dtype),
        stream.batch(start_batch),
    )
    batches = tf.data.Dataset.from_generator(
        lambda: stream.iterate(start_batch), output_signature=spec
    )
    return prefetch(batches)


def fixed_batches(data: RunData, split: str) -> Any:
    """Make the batches of a split that are the same in every pass.

    Parameters
    ----------
    data : RunData
    split : {"validation", "test"}

    Returns
    -------
    batches : tf.data.Dataset, iterable or None
        All windows of the split, whoever trains; None if there is no such split. In
        memory, on other backends than TensorFlow; call this in the strategy's scope
        there, for batches that its devices can share.
    """
    if split not in data.splits.sources:
        return None
    source, name = data.source(split)
    if keras.backend.backend() != "tensorflow":
        from astromer.training.jax_devices import FixedBatches

        windows = fixed_windows(
            source, split=name, seed=FIXED_SEED, **data.window_options()
        )
        return FixedBatches(windows, data.options.batch_size, devices_in_scope())
    from astromer.pipeline import load_dataset

    return load_dataset(
        source,
        split=name,
        training=False,
        batch_size=data.options.batch_size,
        seed=FIXED_SEED,
        cache=data.options.cache,
        **data.window_options(),
    )


def _require_train(found: list[str], all_names: list[str], source: str) -> None:
    if TRAIN not in found:
        raise RecordError(
            f"There is nothing to train on: no split `{TRAIN}`, or an empty one. "
            f"Received: source={source}, splits {', '.join(all_names) or 'none'}. "
            "Convert again with `--split train=0.8,validation=0.1,test=0.1`."
        )
