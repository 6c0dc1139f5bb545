import gzip
import logging

import polars as pl
import pytest

from astromer.errors import ConfigError, SurveyError
from astromer.surveys import (
    Dropped,
    ReadOptions,
    find_files,
    get_survey,
    read_light_curves,
    read_observations,
)

TABLE = """\
id,band,mjd,mag,err
a,R,3,15.5,0.5
b,R,1,12.5,0.5
a,B,1,16.5,0.5
a,R,1,15.25,0.25
a,R,2,-99,0.5
b,R,2,12.5,-0.5
b,R,2,nan,0.5
c,R,1,oops,0.5
a,R,1,15.75,0.5
"""


def test_light_curves_are_grouped_in_order_of_appearance(write):
    curves = list(read_light_curves(write("x.csv", TABLE)))
    assert [(c.object_id, c.passband) for c in curves] == [
        ("a", "R"),
        ("b", "R"),
        ("a", "B"),
    ]
    # Sorted by time; equal times stay in the order of the file.
    assert curves[0].time.tolist() == [1.0, 1.0, 3.0]
    assert curves[0].mag.tolist() == [15.25, 15.75, 15.5]
    assert curves[1].mag.tolist() == [12.5]


@pytest.mark.parametrize("rows_per_table", [1, 2, 3, 100])
def test_object_over_several_tables_is_one_light_curve(write, rows_per_table):
    path = write("x.csv", TABLE)
    options = ReadOptions(rows_per_table=rows_per_table)
    assert list(read_light_curves(path, options=options)) == list(
        read_light_curves(path)
    )


@pytest.mark.parametrize("rows_per_table", [1, 2, 100])
def test_class_name_may_come_late_in_a_file(write, rows_per_table):
    rows = ["a,,1", "b,nan,1", "a,,2", "b,,2", "a,RRab,3", "b,EB,3", "a,EB,4"]
    lines = ["id,class,mjd,mag,err", *(f"{row},15.5,0.5" for row in rows)]
    path = write("x.csv", "\n".join(lines) + "\n")
    options = ReadOptions(rows_per_table=rows_per_table)
    found = [
        (c.object_id, c.class_name) for c in read_light_curves(path, options=options)
    ]
    assert found == [("a", "RRab"), ("b", "EB")]


@pytest.mark.parametrize("rows_per_table", [0, -1])
def test_tables_have_at_least_one_row(rows_per_table):
    with pytest.raises(ConfigError, match=f"Received: rows_per_table={rows_per_table}"):
        ReadOptions(rows_per_table=rows_per_table)


def test_dropped_observations_are_counted_and_logged_once(write, caplog):
    paths = [write("1.csv", TABLE), write("2.csv", TABLE)]
    dropped = Dropped()
    dropped.observations["not_finite"] = 1
    with caplog.at_level(logging.INFO, logger="astromer"):
        assert len(list(read_light_curves(paths, dropped=dropped))) == 6
    assert dropped.observations == {
        "missing_value": 2,
        "negative_error": 2,
        "not_finite": 3,
        "not_a_number": 2,
    }
    assert dropped.reasons.startswith("not_finite 3, missing_value 2, negative_error 2")
    *_, message = [record.getMessage() for record in caplog.records]
    assert message == (
        "read 6 light curves; left out: 2 without a good observation, 0 unreadable "
        "files; dropped observations: missing_value 2, negative_error 2, "
        "not_a_number 2, not_finite 2"
    )


@pytest.mark.parametrize("rows_per_table", [1, 2, 100])
def test_light_curves_without_a_good_observation_are_named(write, rows_per_table):
    rows = (
        "d,B,1,nan,0.5\nd,R,1,15,-0.5\nb,V,1,x,1\nd,R,2,15,0.5\nd,B,9,15,-1\n,R,1,2,3\n"
    )
    paths = [write("1.csv", TABLE), write("2.csv", TABLE + rows)]
    dropped = Dropped()
    options = ReadOptions(rows_per_table=rows_per_table)
    curves = list(read_light_curves(paths, options=options, dropped=dropped))
    assert dropped.light_curves == [
        ("c", "R", paths[0], 9),
        ("c", "R", paths[1], 9),
        ("d", "B", paths[1], 11),
        ("b", "V", paths[1], 13),
    ]
    # Every light curve of the files is in one place or in the other.
    read = [(c.object_id, c.passband) for c in curves]
    assert len(read) == 7
    assert not set(read[3:]) & {curve[:2] for curve in dropped.light_curves}


@pytest.mark.parametrize("told", [True, False])
def test_lost_light_curves_are_a_warning_unless_the_caller_is_told(write, caplog, told):
    dropped = Dropped() if told else None
    with caplog.at_level(logging.WARNING, logger="astromer"):
        list(read_light_curves(write("x.csv", TABLE), dropped=dropped))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (0 if told else 1)
    assert told or "1 without a good observation" in messages[0]


def test_same_object_in_two_files_gives_two_light_curves(write):
    paths = [write("1.csv", TABLE), write("2.csv", TABLE)]
    curves = list(read_light_curves(paths))
    assert curves[:3] == curves[3:]


def test_passband_selects_and_counts_only_its_rows(write):
    dropped = Dropped()
    (curve,) = read_light_curves(write("x.csv", TABLE), passband="B", dropped=dropped)
    assert (curve.object_id, len(curve)) == ("a", 1)
    assert dropped == Dropped()


def test_unknown_passband_names_the_ones_found(write):
    curves = read_light_curves(write("x.csv", TABLE), passband="Q")
    with pytest.raises(SurveyError, match='passband="Q"; found: B, R'):
        list(curves)


def test_class_name_is_the_first_known_one(write):
    path = write("x.csv", "id,mjd,mag,err,class\na,1,2,3,\na,2,2,3,RR\na,3,2,3,EB\n")
    (curve,) = read_light_curves(path)
    assert curve.class_name == "RR"
    assert curve.label == -1


def test_each_file_is_detected_by_itself(write, tmp_path):
    write("b.dat", "5265.5 16.5 0.5\n")
    write("a.csv", TABLE)
    write("c/d.txt", "###MJD m dm F\n57000 15.5 0.5 c\n")
    curves = list(read_light_curves(tmp_path, survey="auto"))
    assert [c.object_id for c in curves] == ["a", "b", "a", "b", "d"]


def test_named_survey_is_used_by_name_or_as_object(write):
    path = write("x.dat", "5265.5 16.5 0.5\n")
    for survey in ("table", get_survey("table")):
        (curve,) = read_light_curves(path, survey)
        assert (curve.time[0], curve.passband) == (5265.5, "")
    (curve,) = read_light_curves(path, "ogle", options=ReadOptions(passband="V"))
    assert (curve.time[0], curve.passband) == (55265.0, "V")


def test_observations_keep_every_row(write):
    tables = list(read_observations(write("x.csv", TABLE)))
    (frame,) = [table.frame for table in tables]
    assert frame.height == 9
    assert frame["flag"].drop_nulls().to_list() == [
        "missing_value",
        "not_finite",
        "not_a_number",
    ]


def test_names_and_paths_are_checked_before_anything_is_read(write, tmp_path):
    path = write("x.csv", TABLE)
    for read in (read_observations, read_light_curves):
        with pytest.raises(SurveyError, match="Did you mean"):
            read(path, "mach")
        with pytest.raises(SurveyError, match="does not exist"):
            read(tmp_path / "y.csv")


def test_find_files_uses_the_patterns_of_the_survey(write, tmp_path):
    mjd, csv = write("a.mjd", "x"), write("b.csv", "x")
    dat = write("c.dat", "x")
    assert find_files(tmp_path, "macho") == [mjd, csv]
    assert find_files([tmp_path], get_survey("ogle")) == [dat]
    assert find_files(str(tmp_path)) == [mjd, csv, dat]


def test_folder_without_survey_files_is_refused(tmp_path):
    with pytest.raises(SurveyError, match=r"no survey files.*\*\.dat"):
        read_light_curves(tmp_path, "ogle")


def test_file_without_good_observations_gives_no_light_curve(write):
    path = write("x.csv", "id,mjd,mag,err\na,1,-99,-99\n")
    dropped = Dropped()
    assert list(read_light_curves(path, dropped=dropped)) == []
    assert dropped.observations == {"missing_value": 1}
    assert dropped.light_curves == [("a", "", path, 2)]


# --- Files that cannot be read


@pytest.fixture
def files(write):
    """Twenty files of which the 8th is cut short and the 12th has a title alone."""
    rows = "".join(f"s,{day},15.{day * 7919 % 1000},0.5\n" for day in range(20_000))
    whole = gzip.compress(f"id,mjd,mag,err\n{rows}".encode())
    paths = [write(f"{i:02d}.csv", "id,mjd,mag,err\ns,1,15,0.5\n") for i in range(20)]
    paths[7].write_bytes(whole[:-5000])
    paths[11].write_text("id,mjd,mag,err\n")
    return paths


REASONS = {
    "07.csv": "The compressed file is damaged or cut short.",
    "11.csv": "The file holds no observations.",
}


def test_first_unreadable_file_is_an_error_by_default(files):
    with pytest.raises(SurveyError, match=r"cut short.*07\.csv"):
        list(read_light_curves(files))


@pytest.mark.parametrize("rows_per_table", [100, 2_000_000])
@pytest.mark.parametrize("survey", [None, "table"])
def test_unreadable_files_are_left_out_whole_and_named(files, survey, rows_per_table):
    dropped = Dropped()
    options = ReadOptions(max_unreadable=0.1, rows_per_table=rows_per_table)
    curves = list(read_light_curves(files, survey, options=options, dropped=dropped))
    # Nothing comes from the good part of the damaged file.
    assert [len(curve) for curve in curves] == [1] * 18
    assert {path.name: why for path, why in dropped.files.items()} == REASONS


def test_file_larger_than_a_table_is_read_whole_where_others_may_be_skipped(write):
    path = write("x.csv", TABLE)
    options = ReadOptions(max_unreadable=0.5, rows_per_table=2)
    expected = list(read_light_curves(path))
    assert list(read_light_curves(path, options=options)) == expected


def test_more_unreadable_files_than_allowed_are_an_error_in_the_end(files):
    options = ReadOptions(max_unreadable=0.09)
    curves = read_light_curves(files, options=options)
    assert [len(next(curves)) for _ in range(17)] == [1] * 17
    message = r"2 of 20, where max_unreadable=0\.09; the first is .*07\.csv: The comp"
    with pytest.raises(SurveyError, match=message):
        list(curves)


def test_unreadable_files_of_a_list_are_left_out_one_by_one(write):
    good = "mjd,mag,err\n1,15,0.5\n"
    paths = [write(f"{name}.csv", good) for name in "abcd"]
    paths[1].write_text("")
    rows = "".join(f"{name},{name}.csv\n" for name in "abcde")
    table = write("list.csv", f"id,path\n{rows}")
    dropped = Dropped()
    options = ReadOptions(max_unreadable=0.4)
    curves = list(read_light_curves(table, options=options, dropped=dropped))
    assert [curve.object_id for curve in curves] == ["a", "c", "d"]
    assert dropped.files == {
        paths[1]: "The file is empty.",
        table.parent / "e.csv": "A listed file does not exist.",
    }


def test_file_of_no_known_format_is_unreadable_too(write):
    paths = [write("a.csv", TABLE), write("b.bin", b"\0\1\2" * 50)]
    options = ReadOptions(max_unreadable=0.5)
    tables = list(read_observations(paths, options=options))
    assert [table.error for table in tables] == [None, "The format is not known."]
    assert tables[1].source == paths[1]
    assert tables[1].frame.height == 0


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_share_of_unreadable_files_lies_between_0_and_1(share):
    with pytest.raises(ConfigError, match=f"max_unreadable={share}"):
        ReadOptions(max_unreadable=share)


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_that_may_name_the_object_unnoticed_are_named_once(
    tmp_path, caplog, kind
):
    for number in "12":
        frame = pl.DataFrame({"who": ["a", "b"], "mjd": [1, 2], "mag": [15, 16]})
        frame = frame.with_columns(err=0.5)
        path = tmp_path / f"{number}.{kind}"
        frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    assert len(list(read_light_curves(tmp_path))) == 2
    (message,) = warnings_of(caplog)
    assert "Columns not used: who (" in message
    assert "--column object_id=who" in message
    caplog.clear()
    options = ReadOptions(columns={"object_id": "who"})
    assert len(list(read_light_curves(tmp_path, options=options))) == 4
    assert warnings_of(caplog) == []


def test_many_columns_that_are_not_used_are_named_in_part(write, caplog):
    others = [f"x{number}" for number in range(12)]
    rows = ",".join(["mjd", "mag", "err", *others]) + "\n" + ",".join(["1"] * 15)
    list(read_observations(write("x.csv", rows + "\n")))
    (message,) = warnings_of(caplog)
    assert "x9, ... (" in message
    assert "--column object_id=NAME" in message


def test_file_of_one_star_and_listed_files_are_no_cause_to_warn(write, caplog):
    write("lcs/1.csv", "mjd,mag,err,camera\n1,15,0.5,b\n")
    listed = write("list.csv", "object_id,path,ra\nstar,lcs/1.csv,5\n")
    plain = write("star.csv", "mjd,mag,err\n1,15,0.5\n")
    assert [c.object_id for c in read_light_curves([listed, plain])] == ["star"] * 2
    assert warnings_of(caplog) == []
