"""Records back to light curves, one by one and without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from astromer.bundled import bundled_folder
from astromer.errors import ConfigError, RecordError
from astromer.lightcurve import LightCurve
from astromer.records.manifest import Manifest
from astromer.records.schema import decode_example, iterate_frames

__all__ = ["read_records", "sample_records"]


def sample_records() -> Path:
    """Return the folder of the small sample set that ships with the package.

    Returns
    -------
    path : pathlib.Path
        Records of simulated stars on a MACHO cadence, with their manifest.

    Examples
    --------
    >>> len(list(read_records(sample_records(), split="test")))
    16
    """
    return bundled_folder("records")


def read_records(
    path: str | Path | Sequence[str | Path], split: str | None = None
) -> Iterator[LightCurve]:
    """Read light curves from a folder of records, or from shards.

    Parameters
    ----------
    path : path or sequence of paths
        A folder with a manifest, or TFRecord files.
    split : str, optional
        Split of the folder; None reads all, in the manifest's order.

    Returns
    -------
    light_curves : iterator of LightCurve
        In the order written. Paths, sizes and split are checked at once, checksums as
        the records are read.

    Raises
    ------
    ConfigError
        If a split is given for files.
    RecordError
        If the manifest or a record is missing or damaged; names file and record.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    if len(paths) == 1 and not paths[0].is_file():
        manifest = Manifest.load(paths[0])
        paths = manifest.shard_paths(split)
        manifest.check_sizes(paths)
        return _iterate(paths)
    if split is not None:
        raise ConfigError(
            f'Shards belong to no split. Received: split="{split}" with files. '
            "Give the folder that holds the manifest."
        )
    return _iterate(paths)


def _iterate(shards: Sequence[Path]) -> Iterator[LightCurve]:
    for shard in shards:
        if not shard.is_file():
            raise RecordError(
                f"A shard is missing. Received: path={shard}. "
                "Convert again with resume."
            )
        for index, record in enumerate(iterate_frames(shard)):
            try:
                yield decode_example(record)
            except RecordError as error:
                raise RecordError(
                    f"{error} In path={shard}, record {index}."
                ) from error
