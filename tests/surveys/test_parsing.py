import csv
import gzip

import polars as pl
import pytest

from astromer.errors import SurveyError
from astromer.surveys import FLAGS, count_flags, files, read_light_curves
from astromer.surveys.parsing import Layout, read_columns

HEADER = "id,mjd,mag,err\n"


def flags_of(read, write, row):
    # The good row keeps the file readable and goes first, as a typed read would.
    frame = read("table", write("x.csv", f"{HEADER}a,1,15.5,0.5\n{row}\n"))
    assert frame["flag"][0] is None
    return frame.row(1, named=True)


@pytest.mark.parametrize(
    ("row", "flag"),
    [
        ("a,1,,0.5", "missing_value"),
        ("a,,15.5,0.5", "missing_value"),
        ("a,1,15.5", "ragged_line"),
        ("a", "ragged_line"),
        (",", "ragged_line"),
        ("a,1,15.5,0.5,more", "ragged_line"),
        ("a,1,15.5,bad,more", "ragged_line"),
        ("a,1,15.5,0.5,,", "ragged_line"),
        ("a,1,-99,0.5", "missing_value"),
        ("a,1,-999.0,0.5", "missing_value"),
        ("a,1,99.990,99.990", "missing_value"),
        ("a,1,15.5,-99.0", "missing_value"),
        ("a,1,null,0.5", "missing_value"),
        ("a,1,--,None", "missing_value"),
        ("a,1,nan,0.5", "not_finite"),
        ("a,inf,15.5,0.5", "not_finite"),
        ("a,1,15.5,-Infinity", "not_finite"),
        ("a,1,1e60,0.5", "not_finite"),
        ("a,1,bright,0.5", "not_a_number"),
        ("a,1,15:30,", "not_a_number"),
        ("a,yesterday,15.5,0.5", "not_a_number"),
        ("a,1,>19.5,99.99", "upper_limit"),
        ("a,1,<19.5,", "upper_limit"),
        ("a,1,-98.9,98.9", None),
        ("a,1,15.5,-0.5", None),
        ("a,1, 15.5 ,0.5", None),
        ("a,1,15.5,0.5,", "ragged_line"),
        ('"a, b",1,15.5,0.5', None),
    ],
)
def test_each_kind_of_value_gets_its_flag(read, write, row, flag):
    result = flags_of(read, write, row)
    assert result["flag"] == flag
    assert flag is None or flag in FLAGS
    assert (result["mag"] is None) == (flag is not None)


def test_time_survives_where_the_magnitude_does_not(read, write):
    assert flags_of(read, write, "a,7.5,>19.5,1")["time"] == 7.5
    assert flags_of(read, write, "a,nan,19.5,1")["time"] is None


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("2451545.0", 51544.5),
        ("2400000.5", 0.0),
        ("2400000.0", 2400000.0),
        ("51544.5", 51544.5),
        ("-3.25", -3.25),
    ],
)
def test_julian_dates_become_modified_ones(read, write, written, days):
    # 2000 January 1, 12 h is JD 2,451,545.0 and MJD 51,544.5 by definition.
    assert flags_of(read, write, f"a,{written},15,1")["time"] == days


def test_time_keeps_double_precision(read, write):
    assert flags_of(read, write, "a,50000.123456789,15,1")["time"] == 50000.123456789


def test_tables_are_the_same_however_the_file_is_cut(read, write, monkeypatch):
    rows = "".join(f"{i % 7},{i}.5,1{i % 5}.25,0.5\n" for i in range(500))
    path = write("x.csv", HEADER + rows.replace("13.25", "x") + 'b,"7",1,1\n' + rows)
    whole = read("table", path)
    monkeypatch.setattr(files, "_BLOCK_BYTES", 700)
    assert read("table", path).equals(whole)
    assert read("table", path, rows_per_table=33).equals(whole)
    assert whole["line"].to_list() == list(range(2, 1003))


def test_rows_per_table_bounds_each_table(write):
    from astromer.surveys import ReadOptions, get_survey

    path = write("x.csv", HEADER + "a,1,2,3\n" * 100)
    tables = list(get_survey("table").read(path, ReadOptions(rows_per_table=30)))
    assert [table.frame.height for table in tables] == [30, 30, 30, 10]


def test_lines_are_ragged_where_their_fields_are_not_those_of_the_title(
    read, write, rng
):
    title = "mjd,night,mag,site,err,id,comment"
    lines = []
    for _ in range(3000):
        fields = ["1", "n", "15", "s", "0.5", "a", rng.choice(["", "c", '"c, d"'])]
        change = rng.choice(5)
        if change == 0:
            fields = fields[: rng.integers(1, 7)]
        elif change == 1:
            fields = ["shift", *fields]
        elif change == 2:
            fields += ["", "more"]
        lines.append(",".join(fields))
    path = write("x.csv", "\n".join([title, *lines]) + "\n")
    frame = read("table", path)
    expected = [len(fields) != 7 for fields in csv.reader(lines)]
    assert (frame["flag"] == "ragged_line").fill_null(False).to_list() == expected
    assert frame["flag"].drop_nulls().unique().to_list() == ["ragged_line"]
    assert frame["line"].to_list() == list(range(2, 3002))


def test_long_and_short_line_do_not_hide_each_other(read, write):
    # The file has as many separators as it should.
    rows = "a,1,15.5,0.5,x,y\n" * 3 + "b,1,15.5,0.5,x\n" + "c,1,15.5,0.5,x,y,z\n"
    frame = read("table", write("x.csv", f"id,mjd,mag,err,site,seeing\n{rows}"))
    assert frame["flag"].to_list() == [None] * 3 + ["ragged_line"] * 2
    assert frame["mag"].to_list() == [15.5] * 3 + [None] * 2
    assert frame["time"].to_list() == [1.0] * 3 + [None] * 2


def test_row_names_without_a_title_are_refused(read, write):
    # As R writes them: every value would be read from its neighbor's column.
    rows = "".join(f'"{i}","a",{i},15.5,0.5\n' for i in range(5))
    with pytest.raises(SurveyError, match=r"another number of fields.*at line 2\."):
        read("table", write("x.csv", HEADER + rows))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_that_end_in_a_separator_are_read(read, write, end):
    rows = ["id,mjd,mag,err", "a,1,15.5,0.5,", "b,2,16.5,0.5,", "c,3"]
    frame = read("table", write("x.csv", end.join(rows) + end))
    assert frame["flag"].to_list() == [None, None, "ragged_line"]
    assert frame["mag"].to_list() == [15.5, 16.5, None]


def test_blanks_around_columns_are_no_fields(read, write):
    rows = (
        "id mjd  mag err\n a 1\t15.5 0.5  \r\nb 2 15.5 \r\n  c 3 15.5 0.5 1  \nd 4 1 1 "
    )
    frame = read("table", write("x.tsv", rows))
    assert frame["flag"].to_list() == [None, "ragged_line", "ragged_line", None]


def test_unpaired_quote_spoils_its_own_line_only(read, write):
    path = write("x.csv", HEADER + 'a,1,15.5,0.5\n"b,1,2,3\nc,1,16.5,0.5\n')
    frame = read("table", path)
    assert frame["object_id"].to_list() == ["a", '"b', "c"]
    assert frame["flag"].null_count() == 3


def test_file_without_a_single_number_is_refused(read, write):
    path = write("x.csv", HEADER + "\n" + "a,b,c,d\n" * 3)
    with pytest.raises(SurveyError, match=r"No row.*x\.csv, 3 rows.*at line 3\."):
        read("table", path)


def test_file_of_missing_values_is_read(read, write):
    frame = read("table", write("x.csv", HEADER + "a,1,-99,-99\n"))
    assert count_flags(frame) == {"missing_value": 1}


def test_file_with_a_header_alone_is_refused(read, write):
    with pytest.raises(SurveyError, match=r"holds no observations.*x\.csv, 0 rows"):
        read("table", write("x.csv", HEADER))


@pytest.mark.parametrize("last", ["b,2,3,4", "b,2,3,bad"], ids=["clean", "text"])
@pytest.mark.parametrize("between", ["", "  ", "# clouds", "# a,b,c,d", "# a,1,2,3"])
def test_blank_lines_and_comments_are_no_rows(read, write, between, last):
    frame = read("table", write("x.csv", f"{HEADER}a,1,2,3\n{between}\n{last}\n"))
    assert frame["object_id"].to_list() == ["a", "b"]
    assert frame["line"].to_list() == [2, 4]


def test_text_that_is_not_utf8_is_refused(read, write):
    path = write("x.csv", HEADER.encode() + b"a,1,2,3\n" * 20_000 + b"\xe9,1,2,3\n")
    with pytest.raises(SurveyError, match=r"x\.csv.*UTF-8"):
        read("table", path)


def test_gzip_that_ends_early_is_refused_after_its_good_part(write, monkeypatch):
    from astromer.surveys import ReadOptions, get_survey

    monkeypatch.setattr(files, "_BLOCK_BYTES", 1000)
    rows = "".join(f"{i},{i * 7919 % 1000}.{i},15.5,0.5\n" for i in range(20_000))
    path = write("x.csv.gz", gzip.compress((HEADER + rows).encode())[:-5000])
    tables = get_survey("table").read(path, ReadOptions())
    assert next(tables).frame["time"][0] == 0.0
    with pytest.raises(SurveyError, match=r"cut short.*x\.csv\.gz"):
        list(tables)


def test_count_flags_counts_by_name():
    frame = pl.DataFrame({"flag": ["b", None, "a", "b"]})
    assert count_flags(frame) == {"a": 1, "b": 2}
    assert count_flags(frame.clear()) == {}


def test_read_columns_leaves_out_what_is_not_in_the_layout(write):
    path = write("x", "1 2 three\n  4\t5 six \n")
    layout = Layout(
        separator=" ", num_columns=3, first_line=1, numbers={"mag": 1}, texts={"w": 2}
    )
    (frame,) = read_columns(path, layout)
    assert frame.select("w", "mag", "line").rows() == [
        ("three", 2.0, 1),
        ("six", 5.0, 2),
    ]
    assert frame.schema["mag"] == pl.Float32


@pytest.mark.parametrize("other", ["b,g,2,15.5,0.5", "b,g,2,null,0.5"])
def test_blanks_around_a_text_go_whatever_other_lines_hold(read, write, other):
    lines = ["id,band,mjd,mag,err", "star1 ,\tg,1,15.5,0.5", other]
    frame = read("table", write("x.csv", "\n".join(lines) + "\n"))
    assert frame["object_id"].to_list() == ["star1", "b"]
    assert frame["passband"].to_list() == ["g", "g"]


def test_quotes_of_other_lines_survive_a_single_one(read, write):
    rows = (
        '"a,1",1,15.5,0.5\n# aperture 3" wide\n"b",2,5" tel,0.5\n"c ""2""",3,17,0.5\n'
    )
    frame = read("table", write("x.csv", HEADER + rows))
    assert frame["object_id"].to_list() == ["a,1", '"b"', 'c "2"']
    assert frame["flag"].to_list() == [None, "not_a_number", None]
    assert frame["line"].to_list() == [2, 4, 5]


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzipped"])
def test_quoted_line_ends_are_no_ends_of_blocks(read, write, monkeypatch, compress):
    text = "id,mjd,mag,err,remark\n" + "".join(
        f'"s{i % 2}",{i},15,0.5,"one\ntwo ""quoted""\nthree"\n' for i in range(40)
    )
    monkeypatch.setattr(files, "_BLOCK_BYTES", 100)
    path = write("x.csv", gzip.compress(text.encode()) if compress else text)
    frame = read("table", path)
    assert frame["flag"].null_count() == frame.height == 40
    assert frame["time"].to_list() == list(range(40))
    assert set(frame["object_id"]) == {"s0", "s1"}


@pytest.mark.parametrize("members", [False, True], ids=["plain", "gzip of members"])
def test_blocks_may_end_anywhere(read, write, monkeypatch, members):
    rows = [
        "a,R,1.5,15.25,0.5,one",
        "# a comment",
        '"b,1",R,2.5,15.5,0.25,"two\r\n""lines"""',
        "é★,R,3.5,16,0.5,three",
        "c,B,4.5,x,0.5,four",
    ]
    text = "\r\n".join(["id,band,mjd,mag,err,remark", *rows]).encode()
    parts = [text[i : i + 17] for i in range(0, len(text), 17)]
    path = write("x.csv", b"".join(map(gzip.compress, parts)) if members else text)
    whole = read("table", path)
    assert whole["object_id"].to_list() == ["a", "b,1", "é★", "c"]
    assert whole["flag"].to_list() == [None, None, None, "not_a_number"]
    assert whole["line"].to_list() == [2, 4, 6, 7]
    body = text.partition(b"\n")[2]
    for place in (b"\r", b"\n", b"#", b'"b', b'b,1"', b'\n"', b'""l', "é".encode()):
        for size in (body.index(place), body.index(place) + 1):
            monkeypatch.setattr(files, "_BLOCK_BYTES", size)
            assert read("table", path).equals(whole), (place, size)


def test_block_with_a_quote_that_never_ends_stays_small(write, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(files, "_MOST_QUOTED_LINES", 3)
    lines = [b'5" tel\n', *(b"line %03d\n" % number for number in range(100))]
    blocks = list(files.iterate_blocks(write("x", b"".join(lines)), 1))
    assert b"".join(blocks) == b"".join(lines)
    assert max(map(len, blocks)) <= 100 + 3 * len(lines[1])


@pytest.mark.parametrize("code", ["-999", "-9999.0", "-99999"])
def test_codes_in_place_of_a_time_are_missing(read, write, code):
    assert flags_of(read, write, f"a,{code},15.5,0.5")["flag"] == "missing_value"
    # Days before some event are times.
    assert flags_of(read, write, "a,-998,15.5,0.5")["flag"] is None


def test_words_for_unknown_classes_are_none(write):
    rows = "".join(f"{name},1,15,0.5,{name}\n" for name in ("nan", "None", "-", "NA"))
    path = write("x.csv", f"id,mjd,mag,err,class\n{rows}")
    curves = read_light_curves(path, "table")
    # NA are fast novae.
    assert [curve.class_name for curve in curves] == [None, None, None, "NA"]


def test_rows_between_two_single_quotes_are_kept(read, write):
    notes = {1: '"5 inch', 4: '"6 inch', 6: 'a "b"', 7: '"c, d"'}
    rows = "".join(f"S,{i},15,0.1,{notes.get(i, 'ok')}\n" for i in range(9))
    frame = read("table", write("x.csv", f"id,mjd,mag,err,note\n{rows}"))
    assert frame["time"].to_list() == list(range(9))
    assert frame["flag"].null_count() == 9
