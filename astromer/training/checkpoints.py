"""Checkpoints: every variable of a run and its state, in one file.

One `.npz` that numpy alone reads; it is replaced as a whole, so that a process killed
while it writes leaves the one before.
"""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from keras import ops
from numpy.typing import NDArray

from astromer.errors import RunError
from astromer.training.run_folder import write_whole

__all__ = ["Checkpoint", "read_checkpoint", "restore", "write_checkpoint"]

_STATE: Final = "state.json"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What was read from a file."""

    path: Path
    state: dict[str, Any]
    """What is no variable: counts, scores, as plain JSON values."""
    groups: dict[str, list[tuple[str, NDArray[Any]]]]
    """Names and values of variables, by group."""


def write_checkpoint(
    path: Path, groups: Mapping[str, Sequence[Any]], state: Mapping[str, Any]
) -> None:
    """Write variables and state in one step.

    Parameters
    ----------
    path : pathlib.Path
    groups : mapping of str to sequence of keras.Variable
        E.g. those of model, optimizer and metrics.
    state : mapping
        Plain JSON values.

    Raises
    ------
    RunError
        If the disk is full; an earlier checkpoint is intact.
    """
    arrays = {
        f"{group}/{index:05d}/{variable.name}": ops.convert_to_numpy(variable)
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }
    # Plain bytes: numpy would store text with four for each letter.
    arrays[_STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    write_whole(path, lambda stream: np.savez(stream, allow_pickle=False, **arrays))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; every array's checksum is verified.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    checkpoint : Checkpoint

    Raises
    ------
    RunError
        If the file is damaged.
    """
    groups: dict[str, list[tuple[str, NDArray[Any]]]] = {}
    try:
        # Opened here: numpy leaves a damaged file open.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            state = json.loads(stored[_STATE].tobytes())
            for key in sorted(set(stored.files) - {_STATE}):
                group, _, name = key.split("/", 2)
                groups.setdefault(group, []).append((name, stored[key]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(
            f"The checkpoint is damaged. Received: path={path} ({error}). "
            "Copy it again, or start a new run."
        ) from error
    return Checkpoint(path, state, groups)


def restore(variables: Sequence[Any], checkpoint: Checkpoint, group: str) -> None:
    """Give variables the values of a checkpoint.

    Parameters
    ----------
    variables : sequence of keras.Variable
    checkpoint : Checkpoint
    group : str
        Group of the checkpoint.

    Raises
    ------
    RunError
        If they belong to another model; nothing is changed then.
    """
    stored = checkpoint.groups.get(group, [])
    expected = [(_kind(v.name), tuple(v.shape)) for v in variables]
    found = [(_kind(name), values.shape) for name, values in stored]
    if expected != found:
        pairs = zip(expected, found, strict=False)
        first = next((f"{b} for {a}" for a, b in pairs if a != b), "another number")
        raise RunError(
            f"The checkpoint's {group} is that of another model. Received: "
            f"path={checkpoint.path}, {len(found)} variables for {len(expected)}; the "
            f"first difference: {first}. Resume with the model that wrote it."
        )
    for variable, (_, values) in zip(variables, stored, strict=True):
        variable.assign(values)


def _kind(name: str) -> str:
    """Drop the numbers that Keras counts layers of one kind with, in each process."""
    return re.sub(r"_\d+(?=_|$)", "", name)
