"""What a run trains on: light curves by split, as endless stream and as fixed batches.

The two functions at the end are the only ones that make batches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from astromer.errors import ConfigError, RecordError
from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig
from astromer.pipeline.options import ErrorWeights, MaskingConfig, Task
from astromer.records.manifest import MANIFEST_NAME, Manifest
from astromer.records.schema import encode_light_curve
from astromer.training.options import TrainingOptions

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

    @property
    def windows_per_pass(self) -> int:
        """Windows of one pass: one from each light curve."""
        labeled = self.task == "classify"
        counts = self.splits.num_labeled if labeled else self.splits.num_light_curves
        return counts[TRAIN]

    @property
    def batches_per_pass(self) -> int:
        """Batches of one pass, the last of which may be smaller."""
        return -(-self.windows_per_pass // self.options.batch_size)

    def windows_until(self, batch: int) -> int:
        """Count the windows before a batch of the endless stream."""
        passes, batches = divmod(batch, self.batches_per_pass)
        rest = min(batches * self.options.batch_size, self.windows_per_pass)
        return passes * self.windows_per_pass + rest

    def check(self) -> None:
        """Refuse what cannot be trained on.

        Raises
        ------
        ConfigError
            If there are fewer windows than a batch takes.
        """
        if self.windows_per_pass < self.options.batch_size:
            raise ConfigError(
                "A batch takes as many windows as there are light curves to train on, "
                f"at most. Received: batch_size={self.options.batch_size}, "
                f"{self.windows_per_pass} light curves. Lower `batch_size`."
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
            In the order of the batch's windows.
        """
        from astromer.pipeline.dataset import object_ids_of_batch

        source, split = self.source(TRAIN)
        return object_ids_of_batch(
            source, batch, split=split, task=self.task, **self.order_options()
        )

    def source(self, split: str) -> tuple[Any, str | None]:
        """Return the source of a split for `load_dataset`, and its option `split`."""
        return self.splits.sources[split], split if self.splits.folder else None

    def order_options(self) -> dict[str, Any]:
        """Return what says which light curves a batch holds."""
        names = ("batch_size", "seed", "shuffle_buffer", "cache")
        return {name: getattr(self.options, name) for name in names}

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
    stream : tf.data.Dataset
        For `keras.Model.fit`, with `steps_per_epoch`.
    """
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


def fixed_batches(data: RunData, split: str) -> Any:
    """Make the batches of a split that are the same in every pass.

    Parameters
    ----------
    data : RunData
    split : {"validation", "test"}

    Returns
    -------
    batches : tf.data.Dataset or None
        All windows of the split, in order; None if there is no such split.
    """
    if split not in data.splits.sources:
        return None
    from astromer.pipeline import load_dataset

    source, name = data.source(split)
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
