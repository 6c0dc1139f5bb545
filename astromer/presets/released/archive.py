"""The files of a released model, read into memory from a zip or a folder.

Nothing is unpacked to disk. A zip is looked through before anything in it is read:
names that lead out of it, links, members that unfold to far more than they are, and
whatever is not weights where weights should be are refused.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, NoReturn

from astromer.errors import PresetError
from astromer.presets.released.checkpoint import INDEX_SUFFIX, SHARD_MARKER

__all__ = ["MAX_BYTES", "MAX_MEMBERS", "MAX_RATIO", "Release", "read_release"]

MAX_MEMBERS: Final = 10_000
MAX_BYTES: Final = 1 << 30
"""Most bytes of an archive, packed or not; the published models have 16 million."""
MAX_RATIO: Final = 100
"""Most that a member may unfold to, in multiples of its packed size; it is 1.1 for
published weights and 12 for the authors' logs."""
_SMALL: Final = 1 << 20
"""Members up to this size may unfold as they like."""

OPTION_FILES: Final = ("conf.json", "config.toml")
_HDF5_SUFFIXES: Final = (".h5", ".hdf5")
_CODE_SUFFIXES: Final = (".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth")


class _File(NamedTuple):
    """A file that has not been read yet."""

    size: int
    read: Callable[[], bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """The files that make a released model."""

    path: Path
    """Zip or folder that they come from."""
    digests: Mapping[str, str]
    """SHA-256 and MD5 of the zip, by algorithm; none for a folder."""
    weights: str
    """Name of the HDF5 file, or of the checkpoint without suffix."""
    options: str
    """Name of the file of options."""
    files: Mapping[str, bytes]
    """The files by name, and no others; names begin with the path."""

    @property
    def is_checkpoint(self) -> bool:
        """Whether the weights are a TensorFlow checkpoint, not an HDF5 file."""
        return self.weights not in self.files

    @property
    def file_digests(self) -> dict[str, str]:
        """SHA-256 of each file, by its name inside."""
        start = len(f"{self.path}/")
        return {
            name[start:]: hashlib.sha256(content).hexdigest()
            for name, content in sorted(self.files.items())
        }


def read_release(path: str | os.PathLike[str]) -> Release:
    """Read the files of a released model.

    Parameters
    ----------
    path : str or path
        A zip, or a folder, with one TensorFlow checkpoint (``weights.index`` and
        ``weights.data-*``) or one Keras 2 ``weights.h5`` in it or below it, and
        ``conf.json`` or ``config.toml`` beside or above that.

    Returns
    -------
    release : Release

    Raises
    ------
    PresetError
        If there is no such file, it is not safe to read, or it does not hold one
        model and its options.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _choose(path, {}, _files_of_folder(path))
    try:
        # Before it is opened: a device or a pipe has no end.
        if not stat.S_ISREG(path.stat().st_mode):
            _refuse(path, "which is neither")
        if path.stat().st_size > MAX_BYTES:
            _refuse(path, f"of more than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except FileNotFoundError:
        _refuse(path, "which does not exist")
    if not data.startswith(b"PK"):
        _refuse(path, f"which is {_kind_of(data)}")
    digests = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
    }
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _choose(path, digests, _files_of_zip(path, archive))
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,  # a compression that Python does not know
        OSError,
        RuntimeError,  # a password
        ValueError,
    ) as error:
        raise PresetError(
            f"The zip is damaged. Received: path={path} ({error}). Download it again."
        ) from error


def _files_of_zip(path: Path, archive: zipfile.ZipFile) -> dict[str, _File]:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        _refuse(path, f"with {len(members):,} members, over {MAX_MEMBERS:,}")
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES:
        _refuse(path, f"which unfolds to {total:,} bytes, over {MAX_BYTES:,}")
    files: dict[str, _File] = {}
    for member in members:
        name = member.filename
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            _refuse(path, f"with a link or device as member {name!r}")
        if _leads_out(name) or _leads_out(member.orig_filename):
            _refuse(path, f"with a member that leads out of it: {name!r}")
        most = MAX_RATIO * max(member.compress_size, 1)
        if member.file_size > max(_SMALL, most):
            _refuse(
                path,
                f"with a member that unfolds from {member.compress_size:,} to "
                f"{member.file_size:,} bytes: {name!r}",
            )
        if name in files:
            _refuse(path, f"with two members of one name: {name!r}")
        if not member.is_dir():
            # Reading stops at the stated size, and verifies the checksum.
            read = functools.partial(archive.read, member)
            files[name] = _File(member.file_size, read)
    return files


def _leads_out(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    rooted = parts[0] == "" or re.match("[A-Za-z]:", name) is not None
    return rooted or ".." in parts or "\0" in name


def _files_of_folder(path: Path) -> dict[str, _File]:
    files: dict[str, _File] = {}
    for folder, folders, names in os.walk(path):
        for name in [*folders, *names]:
            file = Path(folder, name)
            inside, status = file.relative_to(path).as_posix(), file.lstat()
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                _refuse(path, f"with a link or device in it: {inside!r}")
            if name in names:
                files[inside] = _File(status.st_size, file.read_bytes)
        if len(files) > MAX_MEMBERS:
            _refuse(path, f"with more than {MAX_MEMBERS:,} files in it")
    return files


# --- Which files are the model


def _choose(
    path: Path, digests: Mapping[str, str], found: Mapping[str, _File]
) -> Release:
    names = [name for name in found if not _is_junk(name)]
    weights = _the_weights(path, names)
    options = _the_options(path, names, weights)
    needed = [
        name
        for name in names
        if name in (weights, options, weights + INDEX_SUFFIX)
        or name.startswith(weights + SHARD_MARKER)
    ]
    if (total := sum(found[name].size for name in needed)) > MAX_BYTES:
        _refuse(path, f"with {total:,} bytes of weights, over {MAX_BYTES:,}")
    files = {name: found[name].read() for name in needed}
    for name in (weights, weights + INDEX_SUFFIX):
        if (kind := _kind_of(files.get(name, b""))) in _UNSAFE:
            raise PresetError(
                f"{name} is {kind}, not weights. Received: path={path}. It may run "
                "code when it is opened, and is not read; ask whoever gave it to you "
                "for the published file."
            )
    return Release(
        path,
        digests,
        weights=f"{path}/{weights}",
        options=f"{path}/{options}",
        files={f"{path}/{name}": content for name, content in files.items()},
    )


def _is_junk(name: str) -> bool:
    """Tell what macOS puts into zips beside the files."""
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name.startswith("._")


def _the_weights(path: Path, names: list[str]) -> str:
    found = [n.removesuffix(INDEX_SUFFIX) for n in names if n.endswith(INDEX_SUFFIX)]
    found += [name for name in names if name.endswith(_HDF5_SUFFIXES)]
    if not found:
        shards = [name for name in names if SHARD_MARKER in name]
        code = [name for name in names if name.endswith(_CODE_SUFFIXES)]
        what = f"{len(names)} other files"
        if shards:
            what = f"{shards[0]} without its {INDEX_SUFFIX}"
        elif code:
            what = f"{code[0]}, a kind of file that may run code when it is opened"
        _refuse(path, f"with {what}")
    if len(found) > 1:
        raise PresetError(
            f"A released model has one set of weights. Received: path={path}, with "
            f"{', '.join(sorted(found))}. Unpack it and name the folder of one."
        )
    return found[0]


def _the_options(path: Path, names: Iterable[str], weights: str) -> str:
    """Return the file of options beside the weights, or in the nearest folder above."""
    for folder in PurePosixPath(weights).parents:
        beside = {(folder / name).as_posix() for name in OPTION_FILES}
        found = sorted(beside.intersection(names))
        if len(found) == 1:
            return found[0]
        if found:
            raise PresetError(
                "A released model has one file of options. Received: "
                f"path={path}, with {' and '.join(found)}. Remove the wrong one."
            )
    raise PresetError(
        "The options of the model are missing: the shapes of weights do not tell "
        f"heads or masks. Received: path={path}, with {weights} but neither "
        f"{' nor '.join(OPTION_FILES)} beside or above it. Add the one published "
        "with it."
    )


_UNSAFE: Final = ("a pickle", "a zip")


def _kind_of(data: bytes) -> str:
    """Name what a file is, by how it begins."""
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle"
    if data.startswith(b"PK\x03\x04"):
        return "a zip"
    if data.startswith(b"\x1f\x8b"):
        return "compressed by gzip"
    if data.startswith(b"\x89HDF"):
        return "weights without options: name their folder"
    return "something else"


def _refuse(path: Path, what: str) -> NoReturn:
    raise PresetError(
        "A released model is a zip or a folder with a TensorFlow checkpoint "
        "(weights.index, weights.data-*) or weights.h5, and "
        f"{' or '.join(OPTION_FILES)}. Received: path={path}, {what}."
    )
