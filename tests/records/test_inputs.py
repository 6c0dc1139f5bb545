from __future__ import annotations

import os

import pytest

from astromer.errors import SurveyError
from astromer.records.inputs import (
    name_below_common_folder,
    name_survey,
    summarize_inputs,
)


@pytest.fixture
def files(tmp_path):
    """Two files of one name in two folders."""
    paths = [tmp_path / "survey" / field / "lc.csv" for field in ("f1", "f2")]
    for path, content in zip(paths, ("time,mag,mag_err\n", "1,2,3"), strict=True):
        path.parent.mkdir(parents=True)
        path.write_text(content)
    return paths


def summarize(files, labels=None):
    return summarize_inputs(files, name_below_common_folder(files), labels)


def test_files_are_named_from_the_folder_they_share(files):
    assert list(name_below_common_folder(files).values()) == ["f1/lc.csv", "f2/lc.csv"]
    assert name_below_common_folder(files[:1]) == {files[0]: "lc.csv"}
    assert name_below_common_folder([]) == {}


def test_survey_is_named_as_given_or_as_the_files_look(tmp_path, files):
    ogle = tmp_path / "OGLE-LMC-CEP-0001.dat"
    ogle.write_text("2450000.5 15.1 0.01\n")
    assert name_survey("macho", files) == "macho"
    assert name_survey(None, files) == "table"
    assert name_survey(None, [*files, ogle]) == "mixed"
    files[1].write_bytes(b"\0\0\0")
    with pytest.raises(SurveyError, match="format is not known"):
        name_survey(None, files)
    assert name_survey(None, files, skip_unreadable=True) == "table"
    with pytest.raises(SurveyError, match="Unknown survey"):
        name_survey("machoo", files)


def test_summary_counts_files_and_bytes(files):
    summary = summarize(files)
    assert (summary.num_files, summary.bytes) == (2, 17 + 5)
    assert summary.files == [
        {"name": "f1/lc.csv", "bytes": 17},
        {"name": "f2/lc.csv", "bytes": 5},
    ]


def test_summary_lists_the_first_hundred_files_and_counts_all(tmp_path):
    files = [tmp_path / f"{number:03d}.csv" for number in range(103)]
    for file in files:
        file.write_text("x")
    summary = summarize(files)
    assert (summary.num_files, summary.bytes, len(summary.files)) == (103, 103, 100)


@pytest.mark.parametrize("change", ["size", "time", "name", "order", "labels", "label"])
def test_fingerprint_changes_with_the_input(tmp_path, files, change):
    labels = tmp_path / "labels.csv"
    labels.write_text("id,class\na,EB\n")
    before = summarize(files, labels).fingerprint
    assert before == summarize(files, labels).fingerprint
    times = files[0].stat().st_atime_ns, files[0].stat().st_mtime_ns
    if change == "size":
        files[0].write_text("longer than it was before")
        os.utime(files[0], ns=times)
    elif change == "time":
        os.utime(files[0], ns=(times[0], times[1] + 10**9))
    elif change == "name":
        files[0] = files[0].rename(files[0].with_name("other.csv"))
    elif change == "order":
        files.reverse()
    elif change == "labels":
        labels = None
    else:
        labels.write_text("id,class\na,RR\n")
    assert summarize(files, labels).fingerprint != before


def test_fingerprint_does_not_depend_on_where_the_files_lie(tmp_path, files):
    before = summarize(files).fingerprint
    (tmp_path / "survey").rename(tmp_path / "moved")
    moved = [tmp_path / "moved" / file.parent.name / file.name for file in files]
    assert summarize(moved).fingerprint == before


@pytest.mark.skipif(os.name != "posix", reason="names are text on Windows")
def test_name_that_is_not_utf8_is_refused(tmp_path):
    file = tmp_path / os.fsdecode(b"caf\xe9.csv")
    try:
        file.write_text("time,mag,mag_err\n")
    except OSError:
        pytest.skip("a file system that takes no such name")
    with pytest.raises(SurveyError, match=r"UTF-8.*path=b'.*caf\\xe9.csv'\. Rename"):
        summarize([file])
