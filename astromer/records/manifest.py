"""The manifest: what a folder of records holds, how it was made, and what was cut."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from astromer.errors import RecordError, unknown_name
from astromer.records.cuts import CutCount
from astromer.records.jsonfile import write_json
from astromer.records.schema import SCHEMA_VERSION

__all__ = [
    "MANIFEST_NAME",
    "REJECTED_NAME",
    "InputSummary",
    "LabelCounts",
    "Manifest",
    "Rejections",
    "ShardInfo",
    "SplitInfo",
]

MANIFEST_NAME: Final = "manifest.json"
REJECTED_NAME: Final = "rejected.csv"
FORMAT: Final = "astromer records"
"""Tells our manifests from other files of the same name."""


@dataclasses.dataclass(frozen=True, slots=True)
class ShardInfo:
    """One TFRecord file."""

    name: str
    """File name."""
    split: str
    """Split that it belongs to."""
    num_light_curves: int
    """Records in the file."""
    num_observations: int
    """Observations in all of them."""
    bytes: int
    """Size; 0 in a dry run."""
    sha256: str
    """Checksum in hexadecimal; empty in a dry run."""


@dataclasses.dataclass(frozen=True, slots=True)
class SplitInfo:
    """What one split holds."""

    num_objects: int
    """Objects."""
    num_light_curves: int
    """Light curves: an object has one per passband."""
    num_observations: int
    """Observations."""
    classes: dict[str, int]
    """Light curves by class name; "" where unknown."""
    passbands: dict[str, int]
    """Light curves by passband."""
    lengths: dict[str, int]
    """Light curves by number of observations, as text: JSON has no other keys. From
    them the number of windows is known for any window size."""
    quantiles: dict[str, dict[str, float]]
    """Quantiles over light curves, by quantity and quantile: `num_observations`,
    `cadence` (median time step [d]), `duration` [d], `mag_min`, `mag_max` [mag]."""


@dataclasses.dataclass(frozen=True, slots=True)
class InputSummary:
    """The files that the records were made from."""

    num_files: int = 0
    """Files given."""
    bytes: int = 0
    """Their size together."""
    fingerprint: str = ""
    """SHA-256 over names, sizes and times of change of all files, and sizes and times
    of those that a table among them lists."""
    files: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """`name` (below the inputs' common folder) and `bytes` of the first files."""
    unreadable: list[dict[str, str]] = dataclasses.field(default_factory=list)
    """`name` and `reason` of every file that was left out as a whole."""


@dataclasses.dataclass(frozen=True, slots=True)
class LabelCounts:
    """How labels and objects met."""

    objects_without_label: int = 0
    """Objects written whose class is unknown."""
    labels_without_object: int = 0
    """Rows of the label file whose object is not in the input."""
    conflicting_objects: int = 0
    """Objects that the input puts in several classes; the first was taken."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rejections:
    """Light curves with nothing left after the cuts."""

    by_reason: dict[str, int] = dataclasses.field(default_factory=dict)
    """Light curves by reason."""
    first: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """The first of them; all are in `rejected.csv`."""

    @property
    def num_light_curves(self) -> int:
        """Light curves rejected for any reason."""
        return sum(self.by_reason.values())


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """Contents and origin of a folder of records."""

    survey: str
    """Native format that the records came from."""
    versions: dict[str, str]
    """Versions of astromer, Python and the libraries that made the records."""
    options: dict[str, Any]
    """Options of the conversion; see `ConvertOptions`."""
    inputs: InputSummary
    """Files given, and which of them could not be read."""
    rows_read: int
    """Observations read."""
    cuts: dict[str, CutCount]
    """Observations left out by name of cut, in order; see `CUTS`."""
    rejected: Rejections
    """Light curves left out as a whole."""
    labels: LabelCounts
    """How labels and objects met."""
    label_map: dict[str, int]
    """Class number by class name, sorted by name."""
    splits: dict[str, SplitInfo]
    """Contents by split."""
    shards: list[ShardInfo]
    """Files in order."""
    schema_version: int = SCHEMA_VERSION
    """Version of the records' layout."""
    folder: Path | None = None
    """Folder that the manifest was loaded from or saved to; not in the file."""

    @property
    def num_observations(self) -> int:
        """Observations in all splits."""
        return sum(split.num_observations for split in self.splits.values())

    def num_light_curves(self, split: str | None = None) -> int:
        """Count the light curves of one split, or of all.

        Parameters
        ----------
        split : str, optional

        Returns
        -------
        count : int
        """
        names = list(self.splits) if split is None else [self._known(split)]
        return sum(self.splits[name].num_light_curves for name in names)

    def shard_paths(self, split: str | None = None) -> list[Path]:
        """List the shards of one split, or of all, in order.

        Parameters
        ----------
        split : str, optional

        Returns
        -------
        paths : list of pathlib.Path

        Raises
        ------
        RecordError
            If the split does not exist or the manifest lies in no folder.
        """
        if split is not None:
            self._known(split)
        if self.folder is None:
            raise RecordError(
                "Shards have paths once the manifest lies in a folder. "
                "Received: folder=None. Load the manifest from its folder."
            )
        return [
            self.folder / shard.name
            for shard in self.shards
            if split is None or shard.split == split
        ]

    def check_sizes(self, paths: Iterable[Path]) -> None:
        """Make sure that shards are as long as they were written.

        One that ends between two records would lose light curves in silence.

        Parameters
        ----------
        paths : iterable of pathlib.Path
            Of `shard_paths`.

        Raises
        ------
        RecordError
            If a shard is missing, or shorter or longer.
        """
        written = {shard.name: shard.bytes for shard in self.shards}
        for path in paths:
            size = path.stat().st_size if path.is_file() else 0
            if size != written[path.name]:
                raise RecordError(
                    "A shard is missing or cut. Received: "
                    f"path={path}, {size} of {written[path.name]} bytes. "
                    "Convert again, or restore the file."
                )

    def _known(self, split: str) -> str:
        if split not in self.splits:
            raise RecordError(unknown_name("split", split, self.splits))
        return split

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain JSON values.

        Returns
        -------
        values : dict
        """
        values = dataclasses.asdict(self)
        del values["folder"]
        version = values.pop("schema_version")
        return {"format": FORMAT, "schema_version": version, **values}

    def save(self, folder: str | Path) -> Manifest:
        """Write `manifest.json` into a folder, at once or not at all.

        Parameters
        ----------
        folder : str or pathlib.Path

        Returns
        -------
        manifest : Manifest
            A copy that knows its folder.
        """
        folder = Path(folder)
        write_json(folder / MANIFEST_NAME, self.to_dict())
        return dataclasses.replace(self, folder=folder)

    @classmethod
    def load(cls, path: str | Path) -> Manifest:
        """Read a manifest from a folder of records, or from the file itself.

        Parameters
        ----------
        path : str or pathlib.Path

        Returns
        -------
        manifest : Manifest

        Raises
        ------
        RecordError
            If it is missing, damaged, not ours, or newer than this package.
        """
        path = Path(path)
        file = path / MANIFEST_NAME if path.is_dir() else path
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            state = "" if path.exists() else ", which does not exist"
            raise RecordError(
                f"A folder of records holds a {MANIFEST_NAME}. "
                f"Received: path={path}{state}. "
                "An interrupted conversion is finished with resume; records of the "
                "released code are read by `read_released_records`."
            ) from error
        except (OSError, ValueError) as error:
            raise RecordError(
                f"The manifest must be JSON. Received: path={file} ({error}). "
                "Convert the input again."
            ) from error
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise RecordError(
                f'The manifest must say format="{FORMAT}". Received: path={file}. '
                "The folder was written by something else."
            )
        version = values.get("schema_version")
        if version != SCHEMA_VERSION:
            raise RecordError(
                f"This package reads records of schema_version {SCHEMA_VERSION}. "
                f"Received: schema_version={version} in {file}. "
                "Update astromer, or convert the input again."
            )
        try:
            return cls(
                **{
                    **values,
                    "inputs": InputSummary(**values["inputs"]),
                    "cuts": {n: CutCount(**v) for n, v in values["cuts"].items()},
                    "rejected": Rejections(**values["rejected"]),
                    "labels": LabelCounts(**values["labels"]),
                    "splits": {n: SplitInfo(**v) for n, v in values["splits"].items()},
                    "shards": [ShardInfo(**v) for v in values["shards"]],
                    "folder": file.parent,
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise RecordError(
                f"The manifest lacks or adds a field. Received: path={file} "
                f"({type(error).__name__}: {error}). Convert the input again."
            ) from error
