import gzip

import numpy as np
import polars as pl
import pytest

from astromer.errors import SurveyError
from astromer.surveys import ReadOptions, detect_survey, read_light_curves
from astromer.surveys.reading import find_listed_files

LONG = """\
object_id,passband,time,mag,mag_err,class_name
a,R,50000.5,15.25,0.125,RRab
b,R,50000.5,12.5,0.25,
a,B,50000.5,15.75,0.125,RRab
a,R,50001.5,15.5,0.125,RRab
"""
EXPECTED = [("a", "R", 15.25), ("b", "R", 12.5), ("a", "B", 15.75), ("a", "R", 15.5)]


def rows_of(frame):
    return frame.select("object_id", "passband", "mag").rows()


def test_long_csv_keeps_row_order_and_class_names(write, read):
    frame = read("table", write("long.csv", LONG))
    assert rows_of(frame) == EXPECTED
    assert frame["class_name"].to_list() == ["RRab", None, "RRab", "RRab"]
    assert frame["line"].to_list() == [2, 3, 4, 5]
    assert frame["flag"].null_count() == 4


@pytest.mark.parametrize(
    ("separator", "name"),
    [(";", "x.csv"), ("\t", "x.tsv"), ("|", "x.csv"), ("  ", "x.txt")],
    ids=["semicolon", "tab", "bar", "blanks"],
)
def test_long_file_may_use_any_common_separator(write, read, separator, name):
    lines = LONG.replace("12.5,0.25,\n", "12.5,0.25,null\n").replace(",", separator)
    path = write(name, lines)
    assert detect_survey(path).name == "table"
    assert rows_of(read("table", path)) == EXPECTED


@pytest.mark.parametrize(
    "prepare",
    [
        lambda text: gzip.compress(text.encode()),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: "# made by hand\n\n" + text,
        lambda text: text.replace("a,", '"a",').rstrip("\n"),
        lambda text: text.replace("mag,mag_err", "Magnitude , e-Mag"),
        lambda text: text.replace(",", " , "),
    ],
    ids=["gzip", "crlf", "mark", "blank", "comment", "quotes", "names", "spaces"],
)
def test_long_csv_survives_how_programs_write_it(write, read, prepare):
    frame = read("table", write("long.csv", prepare(LONG)))
    assert rows_of(frame) == EXPECTED
    assert frame["flag"].null_count() == 4


def test_line_numbers_count_blank_and_comment_lines(write, read):
    text = "\n# about\nmjd,mag,err\n\n1,2,3\n\n# bad\n2,x,3\n  \n3,4,5\n"
    frame = read("table", write("x.csv", text))
    assert frame["line"].to_list() == [5, 8, 10]
    assert frame["flag"].to_list() == [None, "not_a_number", None]


def test_object_is_named_by_its_file_where_no_column_names_it(write, read):
    frame = read("table", write("star 7.csv.gz", "mjd,mag,err\n1,2,3\n"), passband="g")
    assert frame.row(0)[:2] == ("star 7", "g")


@pytest.mark.parametrize(
    "content",
    [
        "mjd,mag,errmag\n50000.5,15.5,0.25\n",
        "50000.5,15.5,0.25\n",
        "50000.5   15.5  0.25\n",
        "# mag err mjd\n15.5 0.25 50000.5\n",
        "2450001.0;15.5;0.25\n",
    ],
    ids=["header", "none", "blanks", "comment", "julian"],
)
def test_single_object_file_needs_no_header(write, read, content):
    frame = read("table", write("star.txt", content))
    assert frame.select("object_id", "time", "mag", "mag_err").rows() == [
        ("star", 50000.5, 15.5, 0.25)
    ]


def test_chosen_columns_win_over_aliases(write, read):
    path = write("x.csv", "mjd,mag,err,flux_mag,who\n1,2,3,4,z\n")
    frame = read("table", path, columns={"mag": "flux_mag", "object_id": "who"})
    assert frame.select("object_id", "mag").rows() == [("z", 4.0)]


def test_missing_column_is_named_with_what_was_found(write, read):
    path = write("x.csv", "mjd,brightness,err\n1,2,3\n")
    with pytest.raises(SurveyError, match=r"`mag`.*x\.csv.*'brightness'.*columns=\{"):
        read("table", path)
    with pytest.raises(SurveyError, match=r"`mag`.*looked for: lum"):
        read("table", path, columns={"mag": "lum"})


def test_unknown_role_suggests_the_nearest(write, read):
    path = write("x.csv", LONG)
    with pytest.raises(SurveyError, match='Did you mean "passband"'):
        read("table", path, columns={"passbands": "band"})


def test_rows_without_an_object_are_flagged(write, read):
    path = write("x.csv", "id,mjd,mag,err\na,1,2,3\n,1,2,3\n")
    assert read("table", path)["flag"].to_list() == [None, "missing_value"]


@pytest.fixture
def listed(write):
    """Metadata as the released code used it, with one file of each form."""
    write("LCs/1.csv", "mjd,mag,errmag\n50000.5,15.25,0.5\n50001.5,15.5,0.5\n")
    write("LCs/2.dat", "50000.5 12.5 0.25\n")
    parquet = write("LCs/3.parquet", "")
    pl.DataFrame({"mjd": [50002.5], "mag": [11.5], "errmag": [0.5]}).write_parquet(
        parquet
    )
    return write(
        "metadata.csv",
        "ID,Class,Band,Path,Label\n"
        "one,RRab,R,LCs/1.csv,0\n"
        "two,EB,B,LCs/2.dat,1\n"
        "three,EB,B,LCs/3.parquet,1\n",
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_metadata_names_the_files_beside_it(listed, kind):
    path = listed
    if kind == "parquet":
        path = listed.with_suffix(".parquet")
        pl.read_csv(listed).write_parquet(path)
    curves = list(read_light_curves(path))
    found = [(c.object_id, c.passband, c.class_name, c.mag.tolist()) for c in curves]
    assert found == [
        ("one", "R", "RRab", [15.25, 15.5]),
        ("two", "B", "EB", [12.5]),
        ("three", "B", "EB", [11.5]),
    ]


def test_metadata_gives_each_file_as_source(listed):
    tables = list(detect_survey(listed).read(listed, ReadOptions()))
    assert [t.source.name for t in tables] == ["1.csv", "2.dat", "3.parquet"]


@pytest.mark.parametrize("survey", [None, "table"])
def test_listed_files_are_found_before_they_are_read(listed, write, survey):
    parquet = listed.with_suffix(".parquet")
    pl.read_csv(listed).write_parquet(parquet)
    (listed.parent / "LCs/2.dat").unlink()
    others = [write("long.csv", LONG), write("bad.csv", b"\0\0")]
    files = ("1.csv", "2.dat", "3.parquet")
    expected = [listed.parent / "LCs" / name for name in files]
    assert find_listed_files([*others, listed, parquet], survey) == expected * 2
    assert find_listed_files([listed], "macho") == []
    renamed = write("renamed.csv", "ID,where\none,LCs/1.csv\n")
    options = ReadOptions(columns={"path": "where"})
    assert find_listed_files([renamed], survey, options) == expected[:1]


def test_metadata_may_hold_comments_and_blank_lines(listed):
    text = listed.read_text()
    listed.write_text(text.replace("two,", "# the second\n\ntwo,"))
    assert [c.object_id for c in read_light_curves(listed)] == ["one", "two", "three"]


def test_ragged_line_of_metadata_is_refused_by_number(listed, read):
    text = listed.read_text()
    listed.write_text(text.rstrip("\n") + ",more\n")
    last = text.count("\n")
    with pytest.raises(SurveyError, match=f"more or fewer at line {last} of .*csv"):
        read("table", listed)


def test_metadata_names_line_of_a_file_that_is_not_there(listed, read):
    (listed.parent / "LCs/2.dat").unlink()
    with pytest.raises(SurveyError, match=r"2\.dat at line 3 of .*metadata\.csv"):
        read("table", listed)


def test_metadata_names_the_listed_file_that_is_damaged(listed, read):
    (listed.parent / "LCs/2.dat").write_text("")
    with pytest.raises(SurveyError, match=r"empty.*2\.dat"):
        read("table", listed)


def test_long_parquet_equals_long_csv(write, read):
    path = write("long.parquet", "")
    pl.read_csv(LONG.encode()).write_parquet(path)
    frame = read("table", path)
    expected = read("table", write("long.csv", LONG))
    assert frame.drop("line").equals(expected.drop("line"))
    assert frame["line"].to_list() == [1, 2, 3, 4]


def test_parquet_may_hold_text_integers_and_nulls(write, read):
    path = write("x.parquet", "")
    columns = {
        "id": [7, 7, 8, 8],
        "mjd": [1, 2, None, 4],
        "mag": ["15.5", ">19", "16", "bright"],
        "err": [0.5, 0.5, 0.5, float("inf")],
    }
    pl.DataFrame(columns).write_parquet(path)
    frame = read("table", path)
    assert frame["object_id"].to_list() == ["7", "7", "8", "8"]
    assert frame["flag"].to_list() == [
        None,
        "upper_limit",
        "missing_value",
        "not_a_number",
    ]


def test_parquet_lists_unfold_with_the_row_as_line(write):
    path = write("lists.parquet", "")
    columns = {
        "id": ["a", "b", "c"],
        "label": ["RR", None, "EB"],
        "band": ["V", "V", "g"],
        "mjd": [[1.0, 2.0], [], [3.0]],
        "mag": [[15.0, 15.5], [], [12.0]],
        "err": [[0.5, 0.25], [], [0.125]],
    }
    pl.DataFrame(columns, schema_overrides={"mag": pl.List(pl.Float32)}).write_parquet(
        path
    )
    (table,) = detect_survey(path).read(path, ReadOptions())
    assert table.frame["line"].to_list() == [1, 1, 2, 3]
    # The object without observations is counted, not lost.
    assert table.frame["flag"].to_list() == [None, None, "missing_value", None]
    curves = list(read_light_curves(path))
    assert [(c.object_id, c.class_name, len(c)) for c in curves] == [
        ("a", "RR", 2),
        ("c", "EB", 1),
    ]


def test_parquet_lists_of_different_lengths_name_the_row(write, read):
    path = write("lists.parquet", "")
    columns = {"mjd": [[1.0], [1.0, 2.0]], "mag": [[1.0], [1.0]], "err": [[1.0], [1.0]]}
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(SurveyError, match=r"one length.*'time': 2.*row 2 of"):
        read("table", path)


def test_parquet_dates_are_refused(write, read):
    path = write("x.parquet", "")
    columns = {"time": np.array(["2020-01-01"], "M8[ms]"), "mag": [1.0], "err": [1.0]}
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(SurveyError, match=r"`time` must hold numbers.*Datetime"):
        read("table", path)


def test_truncated_parquet_is_named(write, read):
    path = write("x.parquet", b"PAR1" + b"\x15" * 50)
    with pytest.raises(SurveyError, match=r"damaged.*x\.parquet"):
        read("table", path)


@pytest.mark.parametrize("name", ["asas_acvs", "crts_labelled", "crts_unlabelled"])
def test_shared_parquet_agrees_with_its_lists(shared, name):
    path = shared / f"data/{name}.parquet"
    table = next(detect_survey(path).read(path, ReadOptions()))
    stars = pl.scan_parquet(path).head(60).collect()
    parts = table.frame.partition_by("object_id", maintain_order=True)
    assert len(parts) > stars.height
    for part, star in zip(parts, stars.iter_rows(named=True), strict=False):
        assert set(part["object_id"]) == {star["id"]}
        assert set(part["passband"]) == {star["band"]}
        assert set(part["class_name"]) == {star["label"]}
        assert part["flag"].null_count() == part.height
        assert part["time"].to_list() == star["mjd"]
        assert part["mag"].to_list() == star["mag"]
        assert part["mag_err"].to_list() == star["err"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_passband_of_the_options_stands_where_the_column_is_empty(tmp_path, read, kind):
    frame = pl.DataFrame(
        {"id": ["a", "a"], "band": ["g", None], "mjd": [1, 2], "mag": [15, 16]}
    ).with_columns(err=0.5)
    path = tmp_path / f"x.{kind}"
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    assert read("table", path, passband="V")["passband"].to_list() == ["g", "V"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_brackets_in_a_path_are_no_pattern(tmp_path, read, kind):
    for name, mag in (("x[1]", 15), ("x1", 10)):
        frame = pl.DataFrame({"id": [name], "mjd": [1.0], "mag": [mag], "err": [0.5]})
        path = tmp_path / f"{name}.{kind}"
        frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    listed = pl.DataFrame({"object_id": ["b"], "path": [f"x[1].{kind}"]})
    lists = tmp_path / f"list[1].{kind}"
    listed.write_csv(lists) if kind == "csv" else listed.write_parquet(lists)
    assert read("table", tmp_path / f"x[1].{kind}")["mag"].to_list() == [15]
    assert read("table", lists)["mag"].to_list() == [15]


@pytest.mark.parametrize(
    "title",
    ["# mjd flux flux_err", "#time,pdcsap_flux,pdcsap_flux_err", "# phase mag err"],
)
def test_comment_that_names_other_columns_is_believed(write, read, title):
    separator = "," if "," in title else " "
    rows = "".join(f"{separator.join((str(day), '1.001', '0.1'))}\n" for day in (1, 2))
    with pytest.raises(SurveyError, match="needs a column for"):
        read("table", write("x.csv", f"{title}\n{rows}"))
    # Words that name no column are a remark.
    frame = read("table", write("y.csv", f"# an old star\n{rows}"))
    assert frame["mag"].to_list() == pytest.approx([1.001, 1.001])


def test_parquet_arrays_unfold_like_lists(tmp_path, read):
    lists = {"id": ["a", "b"]}
    for name in ("mjd", "mag", "err"):
        lists[name] = pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float64, 2))
    pl.DataFrame(lists).write_parquet(tmp_path / "x.parquet")
    frame = read("table", tmp_path / "x.parquet")
    assert frame["object_id"].to_list() == ["a", "a", "b", "b"]
    assert frame["mag"].to_list() == [1, 2, 3, 4]


def test_parquet_list_that_is_null_beside_others_is_refused(tmp_path, read):
    frame = pl.DataFrame(
        {
            "id": ["a", "b"],
            "mjd": [[1.0], [2.0]],
            "mag": [[1.0], None],
            "err": [[1.0]] * 2,
        }
    )
    frame.write_parquet(tmp_path / "x.parquet")
    with pytest.raises(SurveyError, match=r"one length.*in row 2"):
        read("table", tmp_path / "x.parquet")


@pytest.mark.parametrize("gap", [None, float("nan"), float("inf"), float("-inf")])
def test_parquet_times_that_were_rounded_are_refused(tmp_path, read, gap):
    path = tmp_path / "x.parquet"
    frame = pl.DataFrame({"id": ["a"] * 2, "mag": [15.0] * 2, "err": [0.1] * 2})
    for epoch in (2_450_000, 50_000):
        times = pl.Series("mjd", [epoch, gap], dtype=pl.Float32)
        frame.with_columns(times).write_parquet(path)
        if epoch == 50_000:
            assert read("table", path)["time"][0] == epoch
            continue
        with pytest.raises(SurveyError, match=r"float64.*x\.parquet, float32.*0\.25 d"):
            read("table", path)


@pytest.mark.parametrize("kind", ["csv", "parquet", "float32"])
@pytest.mark.parametrize("rows_per_table", [1, 100])
def test_integers_that_became_floats_are_integers_again(
    tmp_path, read, kind, rows_per_table
):
    """As pandas writes them where one is missing; as frames are read, too."""
    frame = pl.DataFrame(
        {
            "id": [None, 7.0, 12.0],
            "fid": [1.0, 2.0, None],
            "label": [None, float("nan"), 3.0],
            "mjd": [1.0, 2.0, 3.0],
            "mag": [15.0] * 3,
            "err": [0.5] * 3,
        },
        schema_overrides={"id": pl.Float32} if kind == "float32" else None,
    )
    path = tmp_path / f"x.{kind}"
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    found = read("table", path, rows_per_table=rows_per_table)
    assert found["object_id"].to_list() == ["", "7", "12"]
    assert found["passband"].to_list() == ["1", "2", ""]
    curves = list(read_light_curves(path))
    assert [(c.object_id, c.class_name) for c in curves] == [("7", None), ("12", "3")]


@pytest.mark.parametrize("rows_per_table", [1, 100])
def test_names_that_look_like_floats_in_part_stay_what_they_are(
    write, read, rows_per_table
):
    rows = "1.0,1,15,0.5\n1.5,1,15,0.5\n2.0,1,15,0.5\n"
    path = write("x.csv", f"id,mjd,mag,err\n{rows}")
    frame = read("table", path, rows_per_table=rows_per_table)
    assert frame["object_id"].to_list() == ["1.0", "1.5", "2.0"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_listed_objects_that_became_floats_are_integers_again(tmp_path, read, kind):
    (tmp_path / "1.0").write_text("mjd,mag,err\n1,15,0.5\n")
    frame = pl.DataFrame({"id": [7.0, None], "path": ["1.0", "1.0"]})
    path = tmp_path / f"list.{kind}"
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    assert read("table", path)["object_id"].to_list() == ["7", "1.0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "id;mjd;mag;err\na;58000,55;15,2;0,02\n",
            r'line 2\. It reads "a;58000,55;15,2;0,02" \(58000,55: a decimal comma\?',
        ),
        ("mjd mag err\n1,5 15,2 0,02\n", r"line 2.*\(1,5: a decimal comma\?"),
        (
            "id,date,mag,err\na,2017-09-04T10:00:00,15.2,0.1\n",
            r"line 2.*\(2017-09-04: a date\? Times are days, such as MJD\)",
        ),
        (
            "# x\n\nmjd,mag,err\n1,oops,0.1\n",
            r'line 4\. It reads "1,oops,0\.1"\. Check',
        ),
        ("mjd,mag,err\n1,oops,0.1" + "7" * 99, r'"1,oops,0\.17{70}\.\.\."\. Check'),
    ],
    ids=["semicolons", "blanks", "date", "word", "long"],
)
def test_line_of_a_file_without_numbers_is_shown(write, read, content, message):
    with pytest.raises(SurveyError, match=message):
        read("table", write("x.csv", content))


def test_parquet_of_words_is_refused_without_a_line_to_show(tmp_path, read):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"mjd": [1.0], "mag": ["faint"], "err": [0.1]}).write_parquet(path)
    with pytest.raises(SurveyError, match=r"the first at line 1\. Check"):
        read("table", path)


@pytest.mark.parametrize("rows_per_table", [7, 10_000])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_many_stars_without_an_object_column_are_refused(
    tmp_path, read, kind, rows_per_table
):
    path = tmp_path / f"x.{kind}"
    days = np.tile(np.arange(50_000.0, 50_010.0), 150)
    frame = pl.DataFrame({"who": np.repeat(np.arange(150), 10), "mjd": days})
    frame = frame.with_columns(mag=15.0, err=0.1)
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    with pytest.raises(SurveyError, match=r"start anew 149 times.*not used: who\."):
        read("table", path, rows_per_table=rows_per_table)
    named = read("table", path, columns={"object_id": "who"})
    assert named["object_id"].n_unique() == 150


@pytest.mark.parametrize(
    "order", ["any", "backwards", "by camera", "by night", "codes"]
)
def test_one_star_may_be_in_any_order(tmp_path, read, rng, order):
    days = np.arange(2000.0)
    if order == "any":
        days = rng.permutation(days)
    elif order == "backwards":
        days = days[::-1]
    elif order == "by camera":
        days = np.tile(np.arange(100.0), 20)
    elif order == "by night":
        # Ten exposures in each of two bands, which begin at dusk both.
        days = np.repeat(np.arange(100.0), 20) + np.tile(np.arange(10) / 99, 200)
    else:
        days[::10] = -9999
    path = tmp_path / "x.parquet"
    frame = pl.DataFrame({"mjd": days, "camera": 1.0, "mag": 15.0, "err": 0.1})
    frame.write_parquet(path)
    assert read("table", path).height == 2000
