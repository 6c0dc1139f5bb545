"""The folder of a run: what it was asked to do, and what has come of it so far.

Every file is written beside its place and moved there in one step, so that whenever a
process ends the folder holds whole files, old or new.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import importlib.metadata
import io
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from astromer._version import __version__
from astromer.errors import ConfigError, RunError
from astromer.outputs import LOCK_NAME, claim_folder, is_full_disk
from astromer.training.options import TrainingOptions, read_options_file

__all__ = [
    "RunFolder",
    "RunPlan",
    "disk_errors_explained",
    "installed_versions",
    "resolve_options",
    "write_whole",
]

FORMAT: Final = "astromer run"
FORMAT_VERSION: Final = 1
"""Raised whenever a reader of older runs would misread newer ones."""

Options = TypeVar("Options", bound=TrainingOptions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What a run is asked to do; two runs with equal plans give equal weights."""

    kind: str
    """What is trained, e.g. ``"pretrain"``."""
    options: TrainingOptions
    """Options of the training."""
    model: dict[str, Any]
    """The model and what it starts from, as plain JSON values."""
    data: dict[str, Any]
    """The light curves: how many, from where, and their SHA-256; plain JSON values."""

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {
            "kind": self.kind,
            "options": self.options.to_dict(),
            "model": self.model,
            "data": self.data,
        }


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths and files of a run's folder."""

    path: Path
    is_new: bool = dataclasses.field(default=False, compare=False)
    """Whether there was no run in it when it was opened."""

    @property
    def config(self) -> Path:
        """The plan, and the versions that it was begun with."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """A row of scores per epoch."""
        return self.path / "metrics.csv"

    @property
    def result(self) -> Path:
        """Scores of the best epoch, time and energy; written when all is done."""
        return self.path / "result.json"

    @property
    def tensorboard(self) -> Path:
        """Folder of event files."""
        return self.path / "tensorboard"

    @property
    def last(self) -> Path:
        """Checkpoint to go on from."""
        return self.path / "checkpoints" / "last.npz"

    @property
    def best(self) -> Path:
        """Weights of the best epoch."""
        return self.path / "checkpoints" / "best.npz"

    @property
    def preset(self) -> Path:
        """The best model."""
        return self.path / "preset"

    @property
    def card(self) -> Path:
        """What was trained on what, and how well."""
        return self.path / "README.md"

    @property
    def curves(self) -> Path:
        """The picture in the card."""
        return self.path / "learning_curves.png"

    @classmethod
    def open(cls, path: str | Path, kind: str, *, resume: bool) -> RunFolder:
        """Open a folder for a run; nothing is written yet.

        Parameters
        ----------
        path : str or pathlib.Path
        kind : str
            What is to be trained.
        resume : bool
            Whether a run in the folder is to be gone on with. If there is none, one
            begins.

        Returns
        -------
        folder : RunFolder

        Raises
        ------
        RunError
            If the folder holds something else, or a run and `resume` is False.
        """
        folder = cls(Path(path))
        stored = folder.read_config()
        if stored is None:
            if folder.path.exists() and (
                not folder.path.is_dir()
                or any(path.name != LOCK_NAME for path in folder.path.iterdir())
            ):
                raise RunError(
                    "A run begins in a new or empty folder. Received: "
                    f"out={folder.path}, which holds something else. Name another."
                )
            return dataclasses.replace(folder, is_new=True)
        if not resume:
            raise RunError(
                f"The folder holds a run already. Received: out={folder.path}. "
                "Resume it, or name another folder."
            )
        if stored["kind"] != kind:
            raise RunError(
                "A run goes on with what it has begun. Received: "
                f'out={folder.path}, a run of kind "{stored["kind"]}", not "{kind}".'
            )
        return folder

    def read_config(self) -> dict[str, Any] | None:
        """Read the stored plan; None if no run has begun here.

        Returns
        -------
        config : dict or None

        Raises
        ------
        RunError
            If it is damaged, or was written by a newer version.
        """
        try:
            stored = json.loads(self.config.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise RunError(
                f"The run's configuration is not JSON. Received: path={self.config} "
                f"({error}). Start a new run."
            ) from error
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise RunError(
                f'A run\'s configuration says format="{FORMAT}". Received: '
                f"path={self.config}. Name another folder."
            )
        if stored.get("format_version") != FORMAT_VERSION:
            raise RunError(
                f"This version reads runs of format_version {FORMAT_VERSION}. Received: "
                f"format_version={stored.get('format_version')} in {self.config}. "
                "Resume with the version of astromer that began it."
            )
        return stored

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """Keep other processes from training here until the block ends, however it does.

        The system lets go of what a killed process has claimed. On Windows nothing is
        claimed.

        Raises
        ------
        RunError
            If another process, or another run of this one, has claimed it, or has
            begun a run here since the folder was opened for a new one.
        """
        if os.name != "posix":
            yield
            return
        with claim_folder(self.path) as is_claimed:
            if not is_claimed:
                raise RunError(
                    "One process trains in a run's folder at a time. Received: "
                    f"out={self.path}, in which another is training. Wait for its end, "
                    "or name another folder."
                )
            if self.is_new and self.read_config() is not None:
                raise RunError(
                    "A run begins in a new or empty folder. Received: "
                    f"out={self.path}, in which another process has begun one just now. "
                    "Resume it, or name another folder."
                )
            # What a process that was killed had begun to write.
            for left in self.path.glob(".preset-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield

    def begin(self, plan: RunPlan) -> None:
        """Write the plan.

        Parameters
        ----------
        plan : RunPlan
        """
        stored = self.read_config()
        versions = installed_versions() if stored is None else stored["versions"]
        self.path.mkdir(parents=True, exist_ok=True)
        header = {"format": FORMAT, "format_version": FORMAT_VERSION}
        values = {**header, **plan.to_dict(), "versions": versions}
        self.write_json(self.config, values)

    def compare(self, plan: RunPlan) -> None:
        """Compare a plan with that of the run that is resumed, if there is one.

        Parameters
        ----------
        plan : RunPlan

        Raises
        ------
        RunError
            If the run was begun with another model, other light curves or other
            options.
        """
        stored = self.read_config()
        if stored is None:
            return
        before = type(plan.options).from_dict(stored["options"])
        different = {
            name: (getattr(before, name), getattr(plan.options, name))
            for name in plan.options.differences(before)
        }
        for name, now in (("model", plan.model), ("data", plan.data)):
            different |= {
                f"{name}.{key}": (stored[name].get(key), value)
                for key in {**stored[name], **now}
                if (value := json.loads(json.dumps(now.get(key))))
                != stored[name].get(key)
            }
        if different:
            name, (old, new) = next(iter(different.items()))
            others = "".join(f", {name}" for name in list(different)[1:])
            raise RunError(
                "A run is resumed with what it was begun with. Received: "
                f"{name}={_short(new)}, begun with {_short(old)}{others and '; also'}"
                f"{others[1:]}. Leave it out, or start a new run in another folder."
            )

    def write_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the scores of all epochs.

        Parameters
        ----------
        rows : sequence of mapping
            With the same keys in the same order.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.metrics, lambda stream: stream.write(text.getvalue().encode()))

    def write_json(self, path: Path, values: Mapping[str, Any]) -> None:
        """Write plain JSON values."""
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        write_whole(path, lambda stream: stream.write(text.encode()))


def resolve_options(
    options_class: type[Options],
    folder: RunFolder,
    options: Options | str | Path | None,
    overrides: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Options, dict[str, Any] | None]:
    """Put together options from an object or a file, single ones, and a stored run.

    What is not given is taken from the run that is resumed, else from the defaults.
    A recipe, like complete options, leaves nothing to `defaults`.

    Parameters
    ----------
    options_class : type
        E.g. `PretrainOptions`.
    folder : RunFolder
        Its run, if there is one, is resumed.
    options : options_class, str or pathlib.Path, optional
        Complete options, or a TOML file with some.
    overrides : mapping
        Single options that win over both.
    defaults : mapping, optional
        Single options that win over those of the class.

    Returns
    -------
    options : options_class
        The cosine's length is always given, so that a later, longer run is noticed.
    encoder : dict or None
        The file's table ``[encoder]``.
    """
    stored = folder.read_config()
    encoder = None
    if isinstance(options, options_class):
        chosen = options.replace(**overrides)
    elif isinstance(options, str | Path):
        given = read_options_file(options)
        encoder = given.pop("encoder", None)
        chosen = _choose(options_class, stored, {**given, **overrides}, defaults)
    elif options is None:
        chosen = _choose(options_class, stored, overrides, defaults)
    else:
        raise ConfigError(
            f"`options` must be {options_class.__name__} or the path of a TOML file. "
            f"Received: options={options!r}."
        )
    if chosen.schedule == "cosine" and chosen.decay_epochs is None:
        chosen = chosen.replace(decay_epochs=chosen.epochs)
    return chosen, encoder


def _choose(
    options_class: type[Options],
    stored: Mapping[str, Any] | None,
    given: Mapping[str, Any],
    defaults: Mapping[str, Any] | None,
) -> Options:
    if "recipe" in given:
        return options_class.from_dict(given)
    if stored is None:
        return options_class.from_dict({**(defaults or {}), **given})
    return options_class.from_dict(stored["options"]).replace(**given)


def write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file so that it is there as a whole or not at all, even without power.

    Parameters
    ----------
    path : pathlib.Path
        A file of that name is replaced, once all bytes are on the disk.
    write : callable
        Takes the open file.

    Raises
    ------
    RunError
        If the disk is full; a file of that name is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with disk_errors_explained(path), open(temporary, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def disk_errors_explained(path: Path) -> Iterator[None]:
    """Turn a full disk into an error that says so.

    Parameters
    ----------
    path : pathlib.Path
        What is being written.

    Raises
    ------
    RunError
        If the disk or the quota is full.
    """
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise RunError(
            f"The disk is full. Received: path={path} ({error.strerror}). "
            "The last checkpoint is intact: make room, then resume."
        ) from error


def installed_versions() -> dict[str, str]:
    """Return the versions that may change a number's last digits."""
    from keras import backend

    versions = {"astromer": __version__, "python": platform.python_version()}
    for name in ("keras", backend.backend(), "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _short(value: object, width: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."
