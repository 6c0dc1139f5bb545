"""The manifest as small tables, for people and for `astromer inspect`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from astromer.records.cuts import CUTS
from astromer.records.manifest import Manifest

__all__ = ["RecordsSummary", "summarize_records"]

_Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class RecordsSummary:
    """Tables of what a folder of records holds; each is a list of equal rows."""

    survey: str
    """Native format that the records came from."""
    totals: _Row
    """`num_objects`, `num_light_curves`, `num_observations`, `rows_read`,
    `num_shards`, `bytes`."""
    splits: list[_Row]
    """By split: `split`, `num_objects`, `num_light_curves`, `num_observations`,
    `num_shards`, `bytes`."""
    classes: list[_Row]
    """By class: `class_name`, `label`, and light curves by split."""
    passbands: list[_Row]
    """By passband: `passband`, and light curves by split."""
    quantiles: list[_Row]
    """By split and quantity: `split`, `quantity`, `unit`, and values by quantile."""
    cuts: list[_Row]
    """By cut: `cut`, `meaning`, `observations`, `light_curves`."""
    rejected: list[_Row]
    """By reason: `reason`, `light_curves`."""
    labels: _Row
    """`given` (whether there was a file of labels), `objects_without_label`,
    `labels_without_object`, `conflicting_objects`."""
    unreadable: list[_Row]
    """Files left out by reason: `reason`, `files`, `first` (name of the first)."""

    def to_dict(self) -> dict[str, Any]:
        """Return all tables as plain JSON values.

        Returns
        -------
        tables : dict
        """
        return dataclasses.asdict(self)


_UNITS = {
    "num_observations": "",
    "cadence": "d",
    "duration": "d",
    "mag_min": "mag",
    "mag_max": "mag",
}


def summarize_records(source: str | Path | Manifest) -> RecordsSummary:
    """Summarize a folder of records from its manifest, without reading the records.

    Parameters
    ----------
    source : str, pathlib.Path or Manifest
        Folder with a manifest, or the manifest itself, e.g. that of a dry run.

    Returns
    -------
    summary : RecordsSummary

    Raises
    ------
    RecordError
        If there is no readable manifest.
    """
    manifest = source if isinstance(source, Manifest) else Manifest.load(source)
    counts = ("num_objects", "num_light_curves", "num_observations")
    splits = []
    for name, info in manifest.splits.items():
        shards = [shard for shard in manifest.shards if shard.split == name]
        splits.append(
            {
                "split": name,
                **{count: getattr(info, count) for count in counts},
                "num_shards": len(shards),
                "bytes": sum(shard.bytes for shard in shards),
            }
        )
    numeric = [*counts, "num_shards", "bytes"]
    totals = {name: sum(row[name] for row in splits) for name in numeric}
    class_names: list[str] = [*manifest.label_map]
    if any("" in info.classes for info in manifest.splits.values()):
        class_names.append("")
    passbands = sorted({b for info in manifest.splits.values() for b in info.passbands})
    return RecordsSummary(
        survey=manifest.survey,
        totals={**totals, "rows_read": manifest.rows_read},
        splits=splits,
        classes=[
            {
                "class_name": name,
                "label": manifest.label_map.get(name, -1),
                **{s: info.classes.get(name, 0) for s, info in manifest.splits.items()},
            }
            for name in class_names
        ],
        passbands=[
            {
                "passband": name,
                **{
                    s: info.passbands.get(name, 0)
                    for s, info in manifest.splits.items()
                },
            }
            for name in passbands
        ],
        quantiles=[
            {"split": name, "quantity": quantity, "unit": _UNITS[quantity], **values}
            for name, info in manifest.splits.items()
            for quantity, values in info.quantiles.items()
        ],
        cuts=[
            {"cut": name, "meaning": CUTS[name], **dataclasses.asdict(count)}
            for name, count in manifest.cuts.items()
        ],
        rejected=[
            {"reason": reason, "light_curves": count}
            for reason, count in manifest.rejected.by_reason.items()
        ],
        labels={
            "given": manifest.options["labels"] is not None,
            **dataclasses.asdict(manifest.labels),
        },
        unreadable=[
            {"reason": reason, "files": len(names), "first": names[0]}
            for reason, names in _names_by_reason(manifest.inputs.unreadable).items()
        ],
    )


def _names_by_reason(files: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for file in files:
        names.setdefault(file["reason"], []).append(file["name"])
    return names
