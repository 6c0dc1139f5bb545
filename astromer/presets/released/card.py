"""What a preset says of the release that it came from: metadata, and a model card."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

from astromer.models import EncoderConfig
from astromer.presets.official import CITATIONS, OfficialWeights
from astromer.presets.released.archive import Release
from astromer.presets.released.options import Family, Translation

__all__ = ["HONEST", "describe_release", "switches_of", "write_card"]

HONEST: Final = {"hidden_magnitude": "zero", "attention_mask": "exclude"}
"""Fields with which no output depends on a hidden magnitude."""

_TITLES: Final[dict[Family, str]] = {
    "astromer1": "Astromer 1",
    "astromer2": "Astromer 2",
}
_SWITCHES: Final[dict[tuple[str, object], str]] = {
    ("hidden_magnitude", "leak"): (
        "the released model reads hidden magnitudes as they are: what should replace "
        "them is dropped when it is built"
    ),
    ("attention_mask", "released_astromer1"): (
        "the released code adds 1 to the attention logits of hidden and padded "
        "observations, which gives them more weight, not none"
    ),
    ("time_base", 10_000.0): (
        "the released time encoding has this base, whatever its options say"
    ),
}


def switches_of(config: EncoderConfig) -> dict[str, dict[str, Any]]:
    """Return the options that make a model compute what the released code does.

    Parameters
    ----------
    config : EncoderConfig

    Returns
    -------
    switches : dict
        By field of the configuration, its ``value`` and ``why`` it is so.
    """
    values = config.to_dict()
    return {
        field: {"value": value, "why": why}
        for (field, value), why in _SWITCHES.items()
        if values[field] == value
    }


def describe_release(
    release: Release,
    translation: Translation,
    *,
    official: OfficialWeights | None,
    overrides: Mapping[str, Any],
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """Return the metadata of an imported preset.

    Parameters
    ----------
    release : Release
    translation : Translation
    official : OfficialWeights, optional
        The published file that the release is.
    overrides : mapping
        Fields that the caller decided.
    left_out : mapping of str to str
        Tensors of the release that the preset lacks, and why.

    Returns
    -------
    metadata : dict
        JSON-ready, for `save_preset`.
    """
    family, title = translation.family, _TITLES[translation.family]
    described = f"{title}, imported from {release.path.name}"
    if official is not None:
        described = official.description
    if overrides:
        described += ", with other options"
    metadata = {
        "description": described,
        "survey": official.survey if official else "not stated",
        "provenance": "the authors" if official else "not stated",
        "license": official.license if official else "not stated by the authors",
        "citation": CITATIONS[family],
        "source": {
            "file": release.path.name,
            "url": official.url if official else None,
            "sha256": release.digests.get("sha256"),
            "files": release.file_digests,
        },
        "switches": switches_of(translation.config),
        "overrides": dict(overrides),
        "overruled_options": [dataclasses.asdict(said) for said in translation.said],
        "left_out_tensors": dict(left_out),
        "training": translation.training,
    }
    if translation.masking is not None:
        metadata["objective"] = {"masking": translation.masking}
    # TOML knows dates, JSON does not.
    plain: dict[str, Any] = json.loads(json.dumps(metadata, default=str))
    return plain


def write_card(name: str, metadata: Mapping[str, Any], config: EncoderConfig) -> str:
    """Write the model card, Markdown.

    Parameters
    ----------
    name : str
        Name of the preset.
    metadata : mapping
        From `describe_release`, with the ``num_parameters``.
    config : EncoderConfig

    Returns
    -------
    card : str
    """
    source = metadata["source"]
    lines = [f"# {name}", "", f"{metadata['description']}.", ""]
    lines += _table(
        ["", ""],
        [
            (
                "Source",
                source["file"] + (f", {source['url']}" if source["url"] else ""),
            ),
            *([("SHA-256", source["sha256"])] if source["sha256"] else []),
            *((f"SHA-256 of {file}", sha) for file, sha in source["files"].items()),
            ("Trained on", metadata["survey"]),
            ("License", metadata["license"]),
            ("Cite", metadata["citation"]),
            ("Parameters", f"{metadata['num_parameters']:,}"),
        ],
    )
    switches, overrides = metadata["switches"], metadata["overrides"]
    if switches:
        lines += ["", "## Compatibility switches", ""]
        lines += ["These make the model compute what the released code computes:", ""]
        lines += _table(
            ["Option", "Value", "Why"],
            [(field, s["value"], s["why"]) for field, s in switches.items()],
        )
    if overrides:
        lines += ["", "## Set at import", ""]
        lines += ["Whoever imported the weights decided these, not the release:", ""]
        lines += _table(["Option", "Value"], list(overrides.items()))
    if metadata["overruled_options"]:
        lines += ["", "## Options of the release that do not count", ""]
        lines += _table(
            ["Option", "Says", "Counts", "Why"],
            [tuple(said.values()) for said in metadata["overruled_options"]],
        )
    if metadata["left_out_tensors"]:
        lines += ["", "## Tensors of the release that are left out", ""]
        lines += _table(["Tensor", "Why"], list(metadata["left_out_tensors"].items()))
    changes = {
        k: v for k, v in HONEST.items() if config.to_dict()[k] not in (v, "token")
    }
    if changes:
        lines += ["", "## Honest masking", "", *_honest(name, source["file"], changes)]
    for title, content in (
        ("Training, as the release says", metadata["training"]),
        ("Encoder", config.to_dict()),
    ):
        lines += ["", f"## {title}", "", "```json"]
        lines += [json.dumps(content, indent=2), "```"]
    return "\n".join([*lines, ""])


def _honest(name: str, file: str, changes: Mapping[str, str]) -> list[str]:
    """Say how to import the same weights without the leak."""
    sets = " ".join(f"--set {field}={value}" for field, value in changes.items())
    return [
        "The weights were trained with the switches above, which tell the model what",
        "it is asked for. To hide magnitudes from it, import the file once more:",
        "",
        "```bash",
        f"astromer presets import {file} --name {name}-masked {sets}",
        "```",
        "",
        "No output then depends on a hidden magnitude, and scores on hidden",
        "observations are not the published ones.",
    ]


def _table(heading: list[str], rows: list[tuple[Any, ...]]) -> list[str]:
    def row(cells: Any) -> str:
        return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"

    return [row(heading), "|" + "---|" * len(heading), *map(row, rows)]
