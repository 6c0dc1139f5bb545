import logging
from collections import Counter

import pytest

from astromer.errors import SurveyError
from astromer.surveys import (
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


def test_dropped_observations_are_counted_and_logged_once(write, caplog):
    paths = [write("1.csv", TABLE), write("2.csv", TABLE)]
    dropped = Counter({"not_finite": 1})
    with caplog.at_level(logging.INFO, logger="astromer"):
        assert len(list(read_light_curves(paths, dropped=dropped))) == 6
    assert dropped == {
        "missing_value": 2,
        "negative_error": 2,
        "not_finite": 3,
        "not_a_number": 2,
    }
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == (
        "read 6 light curves; dropped observations: missing_value 2, "
        "negative_error 2, not_a_number 2, not_finite 2"
    )


def test_same_object_in_two_files_gives_two_light_curves(write):
    paths = [write("1.csv", TABLE), write("2.csv", TABLE)]
    curves = list(read_light_curves(paths))
    assert curves[:3] == curves[3:]


def test_passband_selects_and_counts_only_its_rows(write):
    dropped = Counter()
    (curve,) = read_light_curves(write("x.csv", TABLE), passband="B", dropped=dropped)
    assert (curve.object_id, len(curve)) == ("a", 1)
    assert not dropped


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


def test_object_without_good_observations_does_not_appear(write):
    path = write("x.csv", "id,mjd,mag,err\na,1,-99,-99\n")
    dropped = Counter()
    assert list(read_light_curves(path, dropped=dropped)) == []
    assert dropped == {"missing_value": 1}
