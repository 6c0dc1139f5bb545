"""Where presets are found: a folder, the ones that ship, and the user's own.

A preset is a folder of fixed file names (see `astromer.presets.storage`). Its name is
the folder's. What ships wins over what a user has saved under the same name.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Final

from astromer.bundled import bundled_folder
from astromer.errors import PresetError, unknown_name
from astromer.presets.official import OFFICIAL, OfficialWeights

__all__ = [
    "CARD_NAME",
    "CONFIG_NAME",
    "METADATA_NAME",
    "PRESETS_VARIABLE",
    "RUN_PRESET_NAME",
    "WEIGHTS_NAME",
    "PresetInfo",
    "describe_preset",
    "downloads_folder",
    "find_preset",
    "list_presets",
    "list_unfetched",
    "preset_folders",
    "read_json",
    "user_folder",
]

CONFIG_NAME: Final = "config.json"
WEIGHTS_NAME: Final = "model.weights.h5"
METADATA_NAME: Final = "metadata.json"
CARD_NAME: Final = "README.md"

RUN_PRESET_NAME: Final = "preset"
"""Folder within a training run that holds its best model."""

PRESETS_VARIABLE: Final = "ASTROMER_PRESETS"
"""Environment variable that names another folder for the user's presets."""


@dataclasses.dataclass(frozen=True, slots=True)
class PresetInfo:
    """What is known of a preset without loading its weights."""

    name: str
    """Name to load it by."""
    path: Path
    """Folder that holds it."""
    survey: str
    """Survey whose light curves, or whose cadence, it was trained on."""
    description: str
    """One line."""
    provenance: str
    """Who trained it: the authors, or this project."""
    license: str
    """License of the weights."""
    num_parameters: int
    """Parameters of the model."""
    metadata: dict[str, Any]
    """Everything in `metadata.json`: training data, scores, versions, checksum."""

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        path = self.path / CARD_NAME
        return path.read_text(encoding="utf-8") if path.is_file() else self.description


def user_folder() -> Path:
    """Return the folder of the user's own presets; it need not exist.

    Returns
    -------
    path : pathlib.Path
        ``$ASTROMER_PRESETS`` if set, else a folder in the user's cache.
    """
    chosen = os.environ.get(PRESETS_VARIABLE)
    if chosen:
        return Path(chosen)
    # Not at the top: it brings the whole of HTTP along.
    import pooch

    return Path(pooch.os_cache("astromer")) / "presets"


def downloads_folder() -> Path:
    """Return the folder of downloaded files, among the user's presets but none."""
    return user_folder() / ".downloads"


def find_preset(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder of a preset.

    Parameters
    ----------
    name_or_path : str or path
        A name, such as ``"macho"``, or a folder that `save_pretrained` wrote, or the
        folder of a training run, whose best model is taken. A string with a separator,
        or one that starts with a dot, is taken as a path.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    PresetError
        If there is no such preset; the message names those that exist.
    """
    text = os.fspath(name_or_path)
    path = Path(text).expanduser()
    is_path = not isinstance(name_or_path, str) or len(path.parts) > 1
    is_path = is_path or text.startswith((".", "~"))
    folders = {} if is_path else preset_folders()
    if text in folders:
        return folders[text]
    # A run has a `config.json` of its own: its preset comes first.
    for candidate in (path / RUN_PRESET_NAME, path):
        if (candidate / CONFIG_NAME).is_file():
            _check_no_run(candidate)
            return candidate
    if is_path:
        raise PresetError(
            f"A preset is a folder with a `{CONFIG_NAME}`. Received: path={path}, "
            f"which {'has none' if path.is_dir() else 'is not a folder'}. "
            "Save one with `save_pretrained`."
        )
    if text in OFFICIAL:
        raise PresetError(
            f"The authors' weights must be downloaded once. Received: preset={text!r}. "
            f'Call fetch_preset("{text}"), or run: astromer presets fetch {text}.'
        )
    names = {*folders, *OFFICIAL}
    raise PresetError(unknown_name("preset", text, names) + _how_to_fetch())


def _check_no_run(path: Path) -> None:
    """Raise PresetError for the folder of a run that has no preset yet."""
    if not (path / WEIGHTS_NAME).is_file() and "format" in read_json(
        path / CONFIG_NAME
    ):
        raise PresetError(
            "A run has a preset once it has ended. "
            f"Received: path={path}, in which there is none yet. "
            "Go on with --resume, or wait for its end."
        )


def describe_preset(name_or_path: str | os.PathLike[str]) -> PresetInfo:
    """Return what is known of a preset, without loading its weights.

    Parameters
    ----------
    name_or_path : str or path
        See `find_preset`.

    Returns
    -------
    preset : PresetInfo

    Raises
    ------
    PresetError
        If there is no such preset, or its metadata cannot be read.
    """
    path = find_preset(name_or_path)
    metadata = read_json(path / METADATA_NAME)
    num_parameters = metadata.get("num_parameters", 0)
    if not isinstance(num_parameters, int):
        raise PresetError(
            "`num_parameters` must be a whole number. Received: "
            f"num_parameters={num_parameters!r} in {path / METADATA_NAME}. "
            "Save the preset again with `save_pretrained`."
        )
    return PresetInfo(
        name=path.name,
        path=path,
        survey=str(metadata.get("survey", "")),
        description=str(metadata.get("description", "")),
        provenance=str(metadata.get("provenance", "")),
        license=str(metadata.get("license", "")),
        num_parameters=num_parameters,
        metadata=metadata,
    )


def _how_to_fetch() -> str:
    unfetched = ", ".join(weights.name for weights in list_unfetched())
    return f" To download first: {unfetched}." if unfetched else ""


def list_presets() -> list[PresetInfo]:
    """Return the presets that can be loaded by name: those that ship come first.

    Returns
    -------
    presets : list of PresetInfo
        A preset that cannot be read says so in its description.
    """
    return [_describe_or_say_why_not(path) for path in preset_folders().values()]


def list_unfetched() -> list[OfficialWeights]:
    """Return the authors' weights that `fetch_preset` could add to the presets.

    Returns
    -------
    weights : list of OfficialWeights
        Those that are not among the presets yet.
    """
    folders = preset_folders()
    return [weights for name, weights in OFFICIAL.items() if name not in folders]


def _describe_or_say_why_not(path: Path) -> PresetInfo:
    """Describe a preset; one that is damaged must not hide the others."""
    try:
        return describe_preset(path)
    except PresetError as error:
        return PresetInfo(
            name=path.name,
            path=path,
            survey="",
            description=f"damaged: {error}",
            provenance="",
            license="",
            num_parameters=0,
            metadata={},
        )


def read_json(path: Path) -> dict[str, Any]:
    """Read a preset's JSON file; PresetError if it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PresetError(
            f"The preset has no `{path.name}`. Received: path={path.parent}. "
            "Save it again with `save_pretrained`."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PresetError(
            f"`{path.name}` is not JSON. Received: path={path} ({error}). "
            "Save the preset again with `save_pretrained`."
        ) from error
    if not isinstance(content, dict):
        raise PresetError(
            f"`{path.name}` must hold an object. Received: path={path}, "
            f"a {type(content).__name__}."
        )
    return content


def preset_folders() -> dict[str, Path]:
    """Return the folders of the presets that can be loaded by name.

    Returns
    -------
    folders : dict of pathlib.Path
        By name: those that ship come first, and win.
    """
    found: dict[str, Path] = {}
    for root in (bundled_folder("presets"), user_folder()):
        if root.is_dir():
            for path in sorted(root.iterdir()):
                # One that is being saved, or was when a process died.
                if path.name.startswith("."):
                    continue
                if (path / CONFIG_NAME).is_file():
                    found.setdefault(path.name, path)
    return found
