"""Zips and folders: what is read of them, and what is refused unread."""

import hashlib
import io
import os
import pickle
import re
import stat
import struct
import zipfile

import pytest

from astromer.errors import PresetError
from astromer.presets.released import archive
from astromer.presets.released.archive import read_release

FILES = {
    "macho/conf.json": b"{}",
    "macho/weights.index": b"an index",
    "macho/weights.data-00000-of-00001": b"data",
    "macho/checkpoint": b"not needed",
    "macho/logs/train/events.v2": b"not needed",
}


def write_zip(path, files, *, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@pytest.fixture(params=["zip", "folder"])
def write(request, tmp_path):
    """Return a function that writes files as a zip, or as a folder."""
    if request.param == "zip":
        return lambda files: write_zip(tmp_path / "a.zip", files)
    return lambda files: write_folder(tmp_path / "a", files)


def test_needed_files_are_read_and_no_others(write):
    path = write(FILES)
    release = read_release(str(path))
    assert release.is_checkpoint
    assert release.weights == f"{path}/macho/weights"
    assert release.options == f"{path}/macho/conf.json"
    needed = list(FILES)[:3]
    assert release.files == {f"{path}/{name}": FILES[name] for name in needed}
    assert release.file_digests == {
        name: hashlib.sha256(FILES[name]).hexdigest() for name in sorted(needed)
    }


def test_digests_are_those_of_the_zip(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    content = path.read_bytes()
    assert read_release(path).digests == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content).hexdigest(),
    }
    assert read_release(write_folder(tmp_path / "a", FILES)).digests == {}


@pytest.mark.parametrize(
    ("names", "weights", "options"),
    [
        (["weights.h5", "conf.json"], "weights.h5", "conf.json"),
        (["a/w/w.index", "a/config.toml"], "a/w/w", "a/config.toml"),
        (["a/w/w.index", "config.toml"], "a/w/w", "config.toml"),
        # The nearest counts.
        (["a/w/w.index", "a/config.toml", "conf.json"], "a/w/w", "a/config.toml"),
        # What macOS adds does not count.
        (
            ["weights.h5", "conf.json", "__MACOSX/._weights.h5", "._conf.json"],
            "weights.h5",
            "conf.json",
        ),
    ],
)
def test_options_are_beside_or_above_the_weights(write, names, weights, options):
    path = write(dict.fromkeys(names, b"x"))
    release = read_release(path)
    assert release.weights == f"{path}/{weights}"
    assert release.options == f"{path}/{options}"
    assert release.is_checkpoint == (not weights.endswith(".h5"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["conf.json"], "with 1 other files"),
        (["a/conf.json", "a/weights.data-00000-of-00001"], "without its .index"),
        (["conf.json", "model.pkl"], "model.pkl, a kind of file that may run code"),
        (["conf.json", "a.index", "b.h5"], "one set of weights.*a, b.h5"),
        (["a.index", "conf.json", "config.toml"], "conf.json and config.toml"),
        (["w/a.index", "v/conf.json"], "The options of the model are missing"),
    ],
)
def test_what_is_not_one_model_is_refused(write, names, message):
    with pytest.raises(PresetError, match=rf"{message}"):
        read_release(write(dict.fromkeys(names, b"x")))


@pytest.mark.parametrize("name", ["weights.index", "weights.h5"])
def test_pickle_in_the_place_of_weights_is_refused_unread(write, name):
    content = pickle.dumps({"weights": [1.0]})
    message = rf"{re.escape(name)} is a pickle, not weights\. Received: path="
    with pytest.raises(PresetError, match=message):
        read_release(write({"conf.json": b"{}", name: content}))


def test_zip_in_the_place_of_weights_is_refused_unread(write):
    content = b"PK\x03\x04 a model of another library"
    with pytest.raises(PresetError, match=r"weights\.h5 is a zip, not weights"):
        read_release(write({"conf.json": b"{}", "weights.h5": content}))


def test_weights_over_the_limit_are_refused(write, monkeypatch):
    # 15 bytes are needed; compressed, the zip as a whole is larger than that.
    path = write(FILES)
    monkeypatch.setattr(archive, "MAX_BYTES", 13)
    with pytest.raises(PresetError, match=r"bytes|over 13"):
        read_release(path)


def test_files_over_the_limit_are_refused(write, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 4)
    with pytest.raises(PresetError, match=r"with (5 members, over|more than) 4"):
        read_release(write(FILES))


# --- Zips alone


def test_member_that_is_the_folder_itself_is_ignored(tmp_path):
    path = write_zip(tmp_path / "a.zip", {".": b"x", "./": b"", **FILES})
    assert len(read_release(path).files) == 3


@pytest.mark.parametrize(
    "name",
    [
        "../weights.index",
        "macho/../../weights.index",
        "/etc/weights.index",
        "..\\weights.index",
        "macho\\..\\weights.index",
        "\\weights.index",
        "C:/weights.index",
        "c:weights.index",
        "weights.index\0.txt",
    ],
)
def test_member_that_leads_out_is_refused(tmp_path, name):
    # Under another name first: Python's writer mends some of these.
    other = "@" * len(name)
    path = write_zip(tmp_path / "a.zip", {**FILES, other: b"x"})
    path.write_bytes(path.read_bytes().replace(other.encode(), name.encode()))
    with pytest.raises(PresetError, match="with a member that leads out of it"):
        read_release(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_member_that_is_no_file_is_refused(tmp_path, kind):
    path = write_zip(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(path, "a") as made:
        link = zipfile.ZipInfo("macho/link")
        link.create_system = 3
        link.external_attr = (kind | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    with pytest.raises(PresetError, match="a link or device as member 'macho/link'"):
        read_release(path)


def test_member_that_unfolds_to_much_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {**FILES, "bomb": bytes(3 << 20)})
    assert path.stat().st_size < 10_000
    message = r"unfolds from 3,\d{3} to 3,145,728 bytes: 'bomb'"
    with pytest.raises(PresetError, match=message):
        read_release(path)


def test_members_that_unfold_to_much_together_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1 << 20)
    files = {f"bomb{number}": bytes(1 << 16) for number in range(20)}
    path = write_zip(tmp_path / "a.zip", {**FILES, **files})
    with pytest.raises(PresetError, match=r"unfolds to 1,310,\d{3} bytes, over 1,048"):
        read_release(path)


def test_size_that_the_zip_understates_is_not_exceeded(tmp_path):
    content = bytes(range(256)) * 1_000
    files = {"weights.h5": content, "conf.json": b"{}"}
    path = write_zip(tmp_path / "a.zip", files, kind=zipfile.ZIP_STORED)
    # Both headers of the member, made to say 16 bytes.
    said = struct.pack("<II", len(content), len(content))
    path.write_bytes(path.read_bytes().replace(said, struct.pack("<II", 16, 16)))
    with pytest.raises(PresetError, match=r"The zip is damaged.*CRC-32"):
        read_release(path)


def test_members_of_one_name_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(path, "a") as made,
    ):
        made.writestr("macho/weights.index", b"another")
    with pytest.raises(PresetError, match="two members of one name"):
        read_release(path)


def test_folders_in_a_zip_are_no_files(tmp_path):
    path = write_zip(
        tmp_path / "a.zip", {"macho/": b"", "macho/x.index/": b"", **FILES}
    )
    assert len(read_release(path).files) == 3


def test_flipped_byte_of_a_member_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES, kind=zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"an index", b"am index"))
    with pytest.raises(PresetError, match=r"The zip is damaged\. .*CRC-32"):
        read_release(path)


@pytest.mark.parametrize("part", [0.3, 0.7, 0.99])
def test_truncated_zip_is_refused(tmp_path, part):
    path = write_zip(tmp_path / "a.zip", FILES)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(PresetError, match=r"The zip is damaged\. Received: path="):
        read_release(path)


def test_encrypted_zip_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", FILES)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(mark)
        while start >= 0:
            content[start + offset] |= 1
            start = content.find(mark, start + 1)
    path.write_bytes(content)
    with pytest.raises(PresetError, match=r"The zip is damaged.*encrypted"):
        read_release(path)


# --- What is no zip and no folder


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (pickle.dumps([1]), "a pickle"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"\x89HDF\r\n\x1a\n", "weights without options"),
        (b"text", "something else"),
        (b"", "something else"),
    ],
)
def test_file_of_another_kind_is_named(tmp_path, content, what):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(PresetError, match=f"is a zip or a folder .*which is {what}"):
        read_release(path)


def test_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(PresetError, match=r"nowhere\.zip, which does not exist"):
        read_release(tmp_path / "nowhere.zip")


def test_zip_over_the_limit_is_refused_unread(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", FILES)
    monkeypatch.setattr(archive, "MAX_BYTES", path.stat().st_size - 1)
    monkeypatch.setattr(io, "BytesIO", None)
    with pytest.raises(PresetError, match="of more than"):
        read_release(path)


def test_pipe_is_refused_unread(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PresetError, match="which is neither"):
        read_release(tmp_path / "pipe")


@pytest.mark.parametrize("target", ["/etc", "/etc/passwd", "nowhere"])
def test_link_in_a_folder_is_refused(tmp_path, target):
    folder = write_folder(tmp_path / "a", FILES)
    (folder / "macho" / "link").symlink_to(target)
    with pytest.raises(PresetError, match="a link or device in it: 'macho/link'"):
        read_release(folder)


def test_pipe_in_a_folder_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", FILES)
    os.mkfifo(folder / "pipe")
    with pytest.raises(PresetError, match="a link or device in it: 'pipe'"):
        read_release(folder)
