import contextlib
import errno
import os

import pytest

from astromer.errors import ConfigError
from astromer.outputs import (
    check_output,
    claim_folder,
    full_disk_explained,
    is_full_disk,
    whole_file,
)


def test_file_may_be_there_and_folders_above_it_need_not(tmp_path):
    old = tmp_path / "old"
    old.write_text("")
    for path in (old, tmp_path / "new" / "folders" / "file"):
        assert check_output(str(path)) == path
    assert list(tmp_path.iterdir()) == [old]


def test_places_that_take_no_file_are_named(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match=r"which is a folder\. Name a file in it"):
        check_output(tmp_path)
    with pytest.raises(ConfigError, match=r"file is no folder\. Name another place"):
        check_output(file / "x")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match=r"cannot be written\. Name another place"):
        check_output(tmp_path / "x")


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError("writing failed (os error 28)"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("28"), False),
    ],
)
def test_a_full_disk_alone_is_explained(error, full):
    assert is_full_disk(error) is full
    expected = ConfigError if full else type(error)
    with pytest.raises(expected) as caught, full_disk_explained("made.csv"):
        raise error
    assert ("made.csv" in str(caught.value)) is full


@pytest.mark.skipif(os.name != "posix", reason="claims nothing on Windows")
def test_a_folder_is_claimed_once_and_nothing_is_left(tmp_path):
    folder = tmp_path / "new" / "out"
    for _ in range(2):
        with claim_folder(folder) as first, claim_folder(folder) as second:
            assert (first, second) == (True, False)
        assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="claims nothing on Windows")
def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with claim_folder(tmp_path) as is_claimed:
        assert is_claimed


@pytest.mark.parametrize(
    ("end", "seen"),
    [
        (None, "new"),
        (KeyboardInterrupt(), "old"),
        (OSError(errno.ENOSPC, "No space left on device"), "old"),
    ],
)
def test_a_file_is_there_as_a_whole_or_as_it_was(tmp_path, end, seen):
    path = tmp_path / "made.txt"
    path.write_text("old")
    with contextlib.suppress(KeyboardInterrupt, ConfigError), whole_file(path) as made:
        assert made.name == path.name
        made.write_text("new")
        if end is not None:
            raise end
    assert path.read_text() == seen
    assert list(tmp_path.iterdir()) == [path]
