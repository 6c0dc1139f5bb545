import gzip
import os
from pathlib import Path

import pytest

from astromer.errors import SurveyError
from astromer.surveys import files
from astromer.surveys.files import (
    WHITESPACE,
    expand_inputs,
    find_header,
    is_number,
    iterate_blocks,
    leading_lines,
    object_name,
    read_head,
)


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("size", [1, 7, 10, 64, 1000])
def test_blocks_hold_whole_lines_and_all_of_them(write, monkeypatch, size, compress):
    monkeypatch.setattr(files, "_BLOCK_BYTES", size)
    lines = [b"line %d\n" % number for number in range(20)] + [b"no end"]
    content = b"".join(lines)
    path = write("x", gzip.compress(content) if compress else content)
    blocks = list(iterate_blocks(path, 3))
    assert b"".join(blocks) == b"".join(lines[2:])
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert len(blocks) == 1 if size == 1000 else len(blocks) > 1


def test_head_is_decompressed_without_byte_order_mark(write):
    path = write("x", gzip.compress(b"\xef\xbb\xbfmjd,mag\n"))
    assert read_head(path) == b"mjd,mag\n"
    assert b"".join(iterate_blocks(path, 1)) == b"mjd,mag\n"


def test_leading_lines_leave_out_a_line_cut_in_two(write):
    lines = leading_lines(write("x", "0123456789\n" * 10_000))
    assert set(lines) == {"0123456789"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty.*x\.gz, 0 bytes"),
        (gzip.compress(b""), r"empty"),
        (gzip.compress(b"mjd,mag\n" * 999)[:40], r"cut short.*x\.gz"),
        (b"\x1f\x8b" + b"junk" * 9, r"damaged or cut short.*x\.gz"),
        (b"mjd\0mag\n1,2\n", r"binary, not text.*x\.gz"),
        (b"\xff\xfe\xe9\n", r"not the text.*utf-8.*x\.gz"),
    ],
    ids=["empty", "empty gzip", "truncated", "not gzip", "binary", "latin"],
)
def test_damage_is_named_with_the_file(write, content, message):
    with pytest.raises(SurveyError, match=message):
        leading_lines(write("x.gz", content))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(SurveyError, match=r"No such file.*nothing\.csv"):
        read_head(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("text", "names", "separator", "first_line"),
    [
        ("a,b c\n", ("a", "b c"), ",", 2),
        ("# x\n\n'a';b\n", ("'a'", "b"), ";", 4),
        ('"a, b"\tc\n', ("a, b", "c"), "\t", 2),
        ("a  b \n", ("a", "b"), WHITESPACE, 2),
    ],
)
def test_header_gives_names_separator_and_first_row(
    write, text, names, separator, first_line
):
    header = find_header(write("x", text))
    assert (header.names, header.separator) == (names, separator)
    assert header.first_line == first_line


def test_header_of_comments_alone_is_refused(write):
    with pytest.raises(SurveyError, match="only comments"):
        find_header(write("x", "# a\n#b\n"))


@pytest.mark.parametrize(
    "text", ["1", "-1.5", "+.5", "2.", "1e-9", "NaN", "-inf", " 1 "]
)
def test_is_number_accepts(text):
    assert is_number(text)


@pytest.mark.parametrize("text", ["", ".", "1,5", "mjd", "1 2", ">19.5", "e5"])
def test_is_number_rejects(text):
    assert not is_number(text)


def test_object_name_drops_one_ending_and_gz(tmp_path):
    assert object_name(tmp_path / "lc.v1.csv.gz") == "lc.v1"


def test_folders_and_globs_are_sorted_within_the_order_of_inputs(write, tmp_path):
    for name in ("b/2.csv", "b/1.csv.gz", "b/deep/0.csv", "b/.hidden.csv", "b/x.txt"):
        write(name, "x")
    first = write("a.dat", "x")
    found = expand_inputs([str(tmp_path / "b"), first], ["*.csv"])
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["b/1.csv.gz", "b/2.csv", "b/deep/0.csv", "a.dat"]
    globbed = expand_inputs(str(tmp_path / "**" / "[02].csv"), ["*.dat"])
    assert [path.name for path in globbed] == ["2.csv", "0.csv"]
    assert expand_inputs([first, str(first), tmp_path / "b"], ["*.dat", "2*"]) == [
        first,
        tmp_path / "b/2.csv",
    ]


def test_hidden_folders_are_not_searched(write, tmp_path):
    for name in (".checkpoints/a.csv", "b/.deep/c/a.csv", "b/c/a.csv"):
        write(f".data/{name}", "x")
    found = expand_inputs(tmp_path / ".data", ["*.csv"])
    assert found == [tmp_path / ".data/b/c/a.csv"]


def test_links_to_folders_are_searched_once(write, tmp_path):
    for name in ("data/real/1.csv", "data/0.csv", "elsewhere/2.csv"):
        write(name, "x")
    data = tmp_path / "data"
    # In both places in order, and one that leads back.
    for name, target in (
        ("a", data / "real"),
        ("b", tmp_path / "elsewhere"),
        ("z", tmp_path / "elsewhere"),
        ("real/loop", data),
        ("broken", data / "nothing"),
    ):
        (data / name).symlink_to(target)
    found = expand_inputs(data, ["*.csv"])
    assert found == [data / "0.csv", data / "b/2.csv", data / "real/1.csv"]
    (tmp_path / "link").symlink_to(data)
    found = expand_inputs(tmp_path / "link", ["1.csv"])
    assert found == [tmp_path / "link/real/1.csv"]


def test_glob_searches_the_folders_it_matches(write, tmp_path):
    path = write("night1/a.csv", "x")
    assert expand_inputs(str(tmp_path / "night*"), ["*.csv"]) == [path]


def test_name_with_brackets_is_a_file_before_a_glob(write):
    path = write("star[1].csv", "x")
    assert expand_inputs(str(path), ["*"]) == [path]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], r"At least one input.*inputs=\[\]"),
        ("{}/none.csv", r"does not exist.*none\.csv"),
        ("{}/*.csv", r"glob matches no file.*\*\.csv"),
        ("{}", r"no survey files.*looked for: \*\.csv"),
    ],
)
def test_inputs_without_files_are_refused(tmp_path, inputs, message):
    items = inputs.format(tmp_path) if isinstance(inputs, str) else inputs
    with pytest.raises(SurveyError, match=message):
        expand_inputs(items, ["*.csv"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(SurveyError, match=r"pipe.*pipe\.csv.*no file\. Save"):
        expand_inputs(tmp_path / "pipe.csv", ["*.csv"])


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux's account of memory"
)
def test_blocks_that_were_read_are_no_memory_of_the_process(tmp_path):
    def mapped_mib():
        text = Path("/proc/self/status").read_text()
        return int(text.partition("RssFile:")[2].split()[0]) / 1024

    line = b"0123456789abcde\n"
    path = tmp_path / "large.csv"
    path.write_bytes(line * (96 * 2**20 // len(line)))
    before = mapped_mib()
    sizes, most = [], 0.0
    for block in iterate_blocks(path, 1):
        sizes.append(len(block))
        most = max(most, mapped_mib() - before)
    assert sum(sizes) == path.stat().st_size
    # A block of 16 MiB at a time, and what the system read ahead.
    assert most < 48


def test_file_that_becomes_shorter_is_named(write, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 4096)
    path = write("x.csv", "0123456789abcde\n" * 4096)
    blocks = iterate_blocks(path, 1)
    assert len(next(blocks)) == 4096
    os.truncate(path, 8192)
    with pytest.raises(SurveyError, match=r"shorter.*x\.csv, 8192 of 65536 bytes"):
        next(blocks)


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_lines_end_at_line_feeds_alone(write, sign):
    path = write("x", f"# a{sign}b\nmjd,mag\r\r\n1,2\n")
    assert leading_lines(path) == [f"# a{sign}b", "mjd,mag", "1,2"]
    header = find_header(path)
    assert header.names == ("mjd", "mag")
    assert b"".join(iterate_blocks(path, header.first_line)) == b"1,2\n"


def test_carriage_returns_alone_are_refused(write):
    with pytest.raises(SurveyError, match=r"line feed.*x\.csv.*Unix or Windows"):
        leading_lines(write("x.csv", "mjd,mag\r1,2\r"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0001.CSV.GZ", "0001"),
        ("star.001", "star.001"),
        ("000006+2553.1", "000006+2553.1"),
        ("NGC.104.dat", "NGC.104"),
        ("star", "star"),
        (".csv", ".csv"),
    ],
)
def test_object_name_keeps_what_is_no_type_of_file(name, expected):
    assert object_name(Path(name)) == expected


def test_folders_are_searched_whatever_the_case(write, tmp_path):
    for name in ("A.CSV", "b.csv", "c.Csv.GZ", "d.CSVX"):
        write(name, "x")
    found = [path.name for path in expand_inputs(tmp_path, ("*.csv",))]
    assert found == ["A.CSV", "b.csv", "c.Csv.GZ"]
