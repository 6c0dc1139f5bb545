"""A released model, whole and understood, becomes a preset - or nothing happens."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from astromer.errors import PresetError
from astromer.models import EncoderConfig, Reconstructor
from astromer.presets.official import OFFICIAL, OfficialWeights, identify
from astromer.presets.registry import CONFIG_NAME, preset_folders, user_folder
from astromer.presets.released.archive import Release, read_release
from astromer.presets.released.card import describe_release, write_card
from astromer.presets.released.checkpoint import read_checkpoint
from astromer.presets.released.keras2 import read_keras2_weights
from astromer.presets.released.options import parse_options, translate_options
from astromer.presets.released.translate import (
    MASK_TOKEN,
    Roles,
    measure,
    roles_of_checkpoint,
    roles_of_keras2,
    shapes_of,
    variables_of,
)
from astromer.presets.storage import save_preset

__all__ = ["import_released"]

_LOGGER = logging.getLogger(__name__)


def import_released(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    ignore: Iterable[str] = (),
    replace: bool = False,
) -> Path:
    """Make a preset of a model that the authors' code saved.

    All is read, verified and translated before anything is written. The preset
    computes what the released code does, mistakes included; its card names the
    switches that make it so.

    Parameters
    ----------
    path : str or path
        A zip or a folder with a TensorFlow checkpoint (``weights.index``,
        ``weights.data-*``) or a Keras 2 ``weights.h5``, and ``conf.json`` or
        ``config.toml``.
    name : str, optional
        Name of the preset; the official name of a published file, else the name of
        the zip or folder.
    folder : str or path, optional
        Folder to write the preset to, `user_folder` by default.
    overrides : mapping, optional
        Fields of `EncoderConfig` to decide otherwise, e.g.
        ``{"hidden_magnitude": "zero", "attention_mask": "exclude"}`` so that no output
        depends on a hidden magnitude.
    ignore : iterable of str, optional
        Unknown options of the release that are known to shape no numbers.
    replace : bool
        Whether a preset of this name may be replaced.

    Returns
    -------
    path : pathlib.Path
        Folder of the new preset; `Astromer.from_pretrained` loads it by name.

    Raises
    ------
    PresetError
        If a file is missing, damaged or not safe to read; an option or a tensor is not
        known or does not fit; or the name is taken. Nothing is written then.
    ConfigError
        If an override is not a valid option.
    """
    overrides = dict(overrides or {})
    release = read_release(path)
    official = identify(release.digests)
    name = _checked_name(name, release, official, overrides)
    root = user_folder() if folder is None else Path(folder).expanduser()
    _check_free(root / name, replace=replace, by_name=folder is None)

    roles = _read_roles(release)
    translation = translate_options(
        parse_options(release.files[release.options], release.options),
        release.options,
        measure(roles),
        overrides=overrides,
        ignore=ignore,
    )
    config = translation.config
    left_out = _check_fit(roles, config, release, overrides)
    model = _build(config, roles)
    metadata = describe_release(
        release,
        translation,
        official=official,
        overrides=overrides,
        left_out=left_out,
    )
    facts = {**metadata, "num_parameters": int(model.count_params())}
    card = write_card(name, facts, config)

    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".importing-", dir=root) as scratch:
        new = save_preset(model, Path(scratch) / name, metadata=metadata, card=card)
        _put(new, root / name, Path(scratch) / "replaced")
    _LOGGER.info("imported %s from %s", root / name, release.path)
    return root / name


# --- Names


def _checked_name(
    name: str | None,
    release: Release,
    official: OfficialWeights | None,
    overrides: Mapping[str, Any],
) -> str:
    """Return the preset's name; an official one stands for its file alone."""
    if name is None:
        path = release.path.resolve()
        name = path.name if path.is_dir() else path.stem
        if official is not None and not overrides:
            name = official.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise PresetError(
            "A preset's name has letters, digits, dots, dashes and underscores, and "
            f"begins with a letter or digit. Received: name={name!r}. Choose a `name`."
        )
    expected = OFFICIAL.get(name)
    if expected is None:
        return name
    if official is not expected:
        found = release.digests.get(expected.algorithm, "none, as it is a folder")
        raise PresetError(
            f"`{name}` stands for the file {expected.file_name} with "
            f"{expected.algorithm} {expected.checksum}. Received: "
            f"path={release.path}, {expected.algorithm} {found}. Download it from "
            f"{expected.url}, or choose another `name` for this one."
        )
    if overrides:
        raise PresetError(
            f"`{name}` stands for the authors' weights as released. Received: "
            f"overrides={dict(overrides)}. Choose another `name` for this variant."
        )
    return name


def _check_free(path: Path, *, replace: bool, by_name: bool) -> None:
    found = preset_folders().get(path.name) if by_name else None
    if found is not None and found != path:
        raise PresetError(
            "A preset that ships with the package has this name and would be loaded "
            f"instead. Received: name={path.name}. Choose another `name`."
        )
    if not path.exists():
        return
    if not (path / CONFIG_NAME).is_file():
        raise PresetError(
            f"Something else is in the preset's place. Received: path={path}. "
            "Choose another `name`."
        )
    if not replace:
        raise PresetError(
            f"A preset of this name exists. Received: name={path.name}, in {path}. "
            "Choose another `name`, or give replace=True (--replace)."
        )


# --- Tensors


def _read_roles(release: Release) -> Roles:
    if release.is_checkpoint:
        roles = roles_of_checkpoint(read_checkpoint(release.files, release.weights))
    else:
        content = release.files[release.weights]
        roles = roles_of_keras2(read_keras2_weights(content, release.weights))
    if roles.tensors and not roles.has_head:
        others = ", ".join(roles.unknown[:3]) or "none"
        raise PresetError(
            "A preset reconstructs magnitudes, and these weights have no "
            "reconstruction head: they are of a classifier, or of an encoder alone. "
            f"Received: path={release.weights}, with other tensors {others}. Import "
            "the pretrained model that it was made from."
        )
    return roles


def _check_fit(
    roles: Roles,
    config: EncoderConfig,
    release: Release,
    overrides: Mapping[str, Any],
) -> dict[str, str]:
    """Compare tensors with what the model needs; return those that it leaves out."""
    expected = shapes_of(config)
    missing = [role for role in expected if role not in roles.tensors]
    extra = [name for role, name in roles.names.items() if role not in expected]
    left_out = dict.fromkeys(roles.training, "an optimizer's or a counter")
    if "hidden_magnitude" in overrides:
        # The one tensor that may come or go: a new token starts at zero.
        missing = [role for role in missing if role != MASK_TOKEN]
        token = roles.names.get(MASK_TOKEN)
        if token in extra:
            extra.remove(token)
            left_out[token] = f"hidden_magnitude={config.hidden_magnitude!r}, as told"
    if missing or extra or roles.unknown:
        raise PresetError(
            "The tensors are not those of the model. Received: "
            f"path={release.weights}, missing: {', '.join(missing) or 'none'}; left "
            f"over: {', '.join([*extra, *roles.unknown]) or 'none'}. Give the whole "
            "checkpoint of a pretrained model."
        )
    for role, shape in expected.items():
        if role not in roles.tensors:
            continue
        tensor, where = roles.tensors[role], f"{roles.names[role]} ({role})"
        is_scalar = shape == () and tensor.size == 1
        if tensor.shape != shape and not is_scalar:
            raise PresetError(
                "A tensor does not have the shape that the others ask for. Received: "
                f"path={release.weights}, {where} of shape {tensor.shape}, expected "
                f"{shape}. Give the checkpoint and the options of one model."
            )
        if tensor.dtype != np.float32:
            raise PresetError(
                "Released weights are float32. Received: "
                f"path={release.weights}, {where} of {tensor.dtype}. Save it as float32."
            )
        if not np.isfinite(tensor).all():
            raise PresetError(
                "Weights must be finite. Received: "
                f"path={release.weights}, {where} with NaN or infinity. "
                "Download or copy the file again."
            )
    return left_out


def _build(config: EncoderConfig, roles: Roles) -> Reconstructor:
    model = Reconstructor(config, dtype="float32")
    for role, variable in variables_of(model).items():
        if role in roles.tensors:
            variable.assign(roles.tensors[role].reshape(variable.shape))
    return model


# --- Disk


def _put(new: Path, path: Path, aside: Path) -> None:
    """Move a finished preset to its place; what was there returns if that fails."""
    if path.exists():
        path.rename(aside)
    try:
        new.rename(path)
    except OSError:
        if aside.exists():
            aside.rename(path)
        raise
