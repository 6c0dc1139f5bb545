import csv
import gzip

import pytest

from astromer.errors import SurveyError
from astromer.surveys import detect_survey, read_light_curves

MJD_FILE = """\
#Field Tile Seq RA(hour) Dec(deg) Filter mean_Mag med_Mag mean_(B-R) med_(B-R)
#1 3444 614 5.02878 -69.171 B -5.912 -5.962 -0.335 -0.348
#MJD Mag Err
48823.477419 -6.081 0.156
48823.487014 -6.041  0.141
48823.496759 -99.0 -99.0
"""
ARCHIVE_FILE = """\
fieldid,tileid,seqn,obsid,dateobs,exposure,rmag,rerr,rcut,bmag,berr,bcut\r
1,3441,15,278,48823.6441,300.0,-9.702,0.009,1,-9.332,0.012,1\r
1,3441,16,278,48823.6441,300.0,-8.5,0.02,1,-8.25,0.03,1\r
1,3441,15,280,48823.6537,300.0,-99.0,-99.0,0,-9.396,0.01,1\r
"""


def dump_row(sequence, time, red, red_err, blue, blue_err):
    fields = [""] * 39
    fields[1:5] = ["1", "3441", str(sequence), str(time)]
    fields[5:9] = ["278", "West", "300.0", "2.371"]
    fields[9:11] = [str(red), str(red_err)]
    fields[24:26] = [str(blue), str(blue_err)]
    return ";".join(fields)


def test_mjd_file_gives_object_and_passband_of_its_title(write, read):
    frame = read("macho", write("x.mjd", MJD_FILE))
    assert frame["object_id"].unique().to_list() == ["1.3444.614"]
    assert frame["passband"].unique().to_list() == ["B"]
    assert frame["time"].to_list() == [48823.477419, 48823.487014, 48823.496759]
    assert frame["mag"].to_list() == pytest.approx([-6.081, -6.041, None])
    assert frame["line"].to_list() == [4, 5, 6]
    assert frame["flag"].to_list() == [None, None, "missing_value"]


def test_mjd_file_without_title_is_named_by_its_file_name(write, read):
    rows = "".join(MJD_FILE.splitlines(keepends=True)[3:])
    frame = read("macho", write("lc_2.4907.2086.R.mjd", rows))
    assert frame["object_id"][0] == "2.4907.2086"
    assert frame["passband"][0] == "R"
    assert frame["line"].to_list() == [1, 2, 3]
    other = read("macho", write("star.mjd", rows), passband="V")
    assert (other["object_id"][0], other["passband"][0]) == ("star", "V")


def test_mjd_file_with_a_short_title_is_named_by_its_file_name(write, read):
    title, _, rest = MJD_FILE.split("\n", maxsplit=2)
    path = write("lc_1.3444.614.B.mjd", f"{title}\n#1\n{rest}")
    frame = read("macho", path)
    assert frame.row(0)[:2] == ("1.3444.614", "B")


def test_archive_row_gives_both_passbands_of_each_object(write, read):
    frame = read("macho", write("field.csv", ARCHIVE_FILE))
    rows = frame.select("object_id", "passband", "mag", "line", "flag").rows()
    assert rows == [
        ("1.3441.15", "R", pytest.approx(-9.702), 2, None),
        ("1.3441.15", "B", pytest.approx(-9.332), 2, None),
        ("1.3441.16", "R", pytest.approx(-8.5), 3, None),
        ("1.3441.16", "B", pytest.approx(-8.25), 3, None),
        ("1.3441.15", "R", None, 4, "missing_value"),
        ("1.3441.15", "B", pytest.approx(-9.396), 4, None),
    ]


def test_ragged_archive_row_is_bad_in_both_passbands(write, read):
    row = "1,3441,15,281,48824.6537,300.0,-9.6,0.02,1,-9.396,0.01\n"
    frame = read("macho", write("field.csv", ARCHIVE_FILE + row))
    assert frame["flag"].to_list()[-2:] == ["ragged_line", "ragged_line"]


def test_first_row_of_an_mjd_file_says_how_many_columns_there_are(write, read):
    rows = "48823.5 -6.0 0.1 1 good\n48824.5 -6.0 0.1 1 good\n48825.5 -6.0 0.1 1\n"
    frame = read("macho", write("a.mjd", rows))
    assert frame["flag"].to_list() == [None, None, "ragged_line"]


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzipped"])
def test_dump_gives_both_passbands_in_columns_10_and_25(write, read, compress):
    rows = [
        dump_row(15, 48823.6441, -9.702, 0.009, -9.332, 0.012),
        dump_row(15, 48824.6441, -99.0, -99.0, -9.3, 0.02),
        dump_row(7, 48823.6441, -5.0, 0.1, -4.5, 0.2),
    ]
    text = ("\n".join(rows) + "\n").encode()
    path = write("F_1.3441.gz", gzip.compress(text) if compress else text)
    assert detect_survey(path).name == "macho"
    curves = {(c.object_id, c.passband): c for c in read_light_curves(path)}
    assert list(curves) == [
        ("1.3441.15", "R"),
        ("1.3441.15", "B"),
        ("1.3441.7", "R"),
        ("1.3441.7", "B"),
    ]
    blue = curves["1.3441.15", "B"]
    assert blue.time.tolist() == [48823.6441, 48824.6441]
    assert blue.mag_err.tolist() == pytest.approx([0.012, 0.02])
    assert len(curves["1.3441.15", "R"]) == 1


def test_macho_names_its_forms_for_another_file(write, read):
    path = write("other.csv", "id,mjd,mag,err\na,1,2,3\n")
    with pytest.raises(SurveyError, match=r"none of the forms.*other\.csv.*id,mjd"):
        read("macho", path)


@pytest.mark.parametrize(
    "content", [MJD_FILE, ARCHIVE_FILE, dump_row(1, 48000.5, -1, 0.1, -2, 0.1)]
)
def test_macho_is_detected_by_content(write, content):
    assert detect_survey(write("anything.txt", content)).name == "macho"


@pytest.mark.parametrize(
    "name", ["LC_1.3441.15.csv", "LC_1.3442.172.csv", "LC_1.3443.26.csv"]
)
def test_archive_fixture_agrees_with_a_plain_parse(shared, read, name):
    path = shared / "fixtures/macho" / name
    frame = read("macho", path)
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert frame.height == 2 * len(rows)
    for passband, letter in (("R", "r"), ("B", "b")):
        expected = [
            (float(row["dateobs"]), float(row[f"{letter}mag"]), line)
            for line, row in enumerate(rows, start=2)
            # One row holds a magnitude with the error -849.
            if min(float(row[f"{letter}mag"]), float(row[f"{letter}err"])) > -99
        ]
        good = frame.filter(
            (frame["passband"] == passband) & frame["flag"].is_null()
        ).sort("line")
        assert good["time"].to_list() == [row[0] for row in expected]
        assert good["mag"].to_list() == pytest.approx([row[1] for row in expected])
        assert good["line"].to_list() == [row[2] for row in expected]
        assert set(good["object_id"]) == {name[3:-4]}


@pytest.mark.parametrize("passband", ["R", "B"])
@pytest.mark.parametrize("name", ["1.3444.614", "2.4907.2086"])
def test_mjd_fixture_agrees_with_a_plain_parse(shared, name, passband):
    path = shared / f"fixtures/macho/lc_{name}.{passband}.mjd"
    lines = path.read_text().splitlines()[3:]
    expected = sorted(tuple(map(float, line.split())) for line in lines)
    (curve,) = read_light_curves(path)
    assert (curve.object_id, curve.passband) == (name, passband)
    assert curve.time.tolist() == [row[0] for row in expected]
    assert sorted(curve.mag) == pytest.approx(sorted(row[1] for row in expected))
