import csv
from collections import Counter

import pytest

from astromer.errors import SurveyError
from astromer.surveys import detect_survey, read_light_curves

FORCED = """\
###MJD          m      dm   uJy   duJy F err chi/N     RA       Dec
57313.580745  13.075  0.002 21377   52 c  0 103.58 107.71417   2.46099
57322.561605 -21.740  1.398    -7   10 o  0   7.91 107.71417   2.46099
57322.598056  13.166  0.108 19652 2114 o  1   1.17 107.71417   2.46099
58031.649323   3.355  4.349 -79792 3470 o  0   1.33 107.71417   2.46099
59694.262162   0.000  0.000    -0    0 H  0  -0.00 107.71417   2.46099
59694.300000  14.500  0.010  9000    5 H  0    nan 107.71417   2.46099
"""
LIMITS = """\
#expname,ra,dec,mag,dm,snr,filter,zp,mjd,uJy
01a59181o0712o,170.4,20.1,>19.53,0.0,3.0,o,22.2,59181.55059065,25.5
01a59185o0920o,170.4,20.1,None,None,None,o,22.2,59185.60888545,None
01a59190c0712o,170.4,20.1,18.71,0.21,5.0,c,22.2,59190.55059065,119.2
"""
DETECTIONS = """\
ATO_ID,ra,dec,mjd,filter,m,dm
J010.0001+20.0,10.0,20.0,57400.25,o,15.25,0.02
J010.0001+20.0,10.0,20.0,57401.25,c,15.75,0.03
J011.0001+20.0,11.0,20.0,57402.25,o,16.25,0.04
"""


def test_forced_photometry_flags_each_kind_of_bad_row(write, read):
    frame = read("atlas", write("star-atlas.txt", FORCED))
    assert frame["flag"].to_list() == [
        None,
        "negative_flux",
        "bad_photometry",
        "negative_flux",
        "missing_value",
        None,
    ]
    assert frame["passband"].to_list() == ["c", "o", "o", "o", "H", "H"]
    assert frame["object_id"].unique().to_list() == ["star-atlas"]
    assert frame["line"].to_list() == [2, 3, 4, 5, 6, 7]
    # Bad photometry keeps its numbers; what means nothing is null.
    assert frame["mag"].to_list() == pytest.approx(
        [13.075, None, 13.166, None, None, 14.5]
    )


def test_upper_limits_and_words_are_flagged(write, read):
    frame = read("atlas", write("pages.txt", LIMITS))
    assert frame["flag"].to_list() == ["upper_limit", "missing_value", None]
    assert frame["passband"].to_list() == ["o", "o", "c"]
    assert frame["mag"].to_list() == pytest.approx([None, None, 18.71])
    assert frame["mag_err"][2] == pytest.approx(0.21)
    assert frame["time"].to_list() == [59181.55059065, 59185.60888545, 59190.55059065]


def test_detections_hold_several_objects_and_filters(write):
    curves = list(read_light_curves(write("detections.csv", DETECTIONS)))
    assert [(c.object_id, c.passband, c.mag.tolist()) for c in curves] == [
        ("J010.0001+20.0", "o", [15.25]),
        ("J010.0001+20.0", "c", [15.75]),
        ("J011.0001+20.0", "o", [16.25]),
    ]


def test_detections_may_use_common_names(write, read):
    text = DETECTIONS.replace("ATO_ID", "ato_id").replace(",m,dm", ",mag,mag_err")
    path = write("detections.csv", text)
    assert detect_survey(path).name == "atlas"
    assert read("atlas", path)["mag"].to_list() == [15.25, 15.75, 16.25]


def test_column_err_is_the_error_where_there_is_no_other(write, read):
    path = write("x.csv", "ATO_ID,mjd,filter,m,err\na,57000.5,o,15.0,0.5\n")
    frame = read("atlas", path)
    assert frame["flag"].to_list() == [None]
    assert frame["mag_err"].to_list() == [0.5]


def test_atlas_lists_the_columns_found_when_one_is_missing(write, read):
    path = write("x.txt", FORCED.replace("###MJD", "###Date_X"))
    with pytest.raises(SurveyError, match=r"`time`.*x\.txt.*'Date_X', 'm'.*by role"):
        read("atlas", path)


@pytest.mark.parametrize("content", [FORCED, LIMITS, DETECTIONS])
def test_atlas_is_detected_by_content(write, content):
    assert detect_survey(write("anything.csv", content)).name == "atlas"


@pytest.mark.parametrize(
    "name", ["18aaaawyw-atlas.txt", "nsv18927-atlas.txt", "job01088_AT2020wol.txt"]
)
def test_forced_fixture_agrees_with_a_plain_parse(shared, read, name):
    path = shared / "fixtures/atlas" / name
    rows = [line.split() for line in path.read_text().splitlines()[1:]]
    frame = read("atlas", path)
    assert frame.height == len(rows)
    assert Counter(frame["passband"]) == Counter(row[5] for row in rows)
    positive = [row for row in rows if float(row[1]) > 0 and float(row[3]) >= 0]
    good = frame.filter(frame["flag"].is_null())
    assert good["time"].to_list() == [float(row[0]) for row in positive]
    assert good["mag"].to_list() == pytest.approx([float(row[1]) for row in positive])
    assert good["mag_err"].to_list() == pytest.approx(
        [float(row[2]) for row in positive], abs=1e-6
    )


def test_limits_fixture_agrees_with_a_plain_parse(shared, read):
    path = shared / "fixtures/atlas/2022abqw_raw_atlaspages.txt"
    with open(path, newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["mag"]]
    frame = read("atlas", path)
    flags = Counter(frame["flag"])
    assert flags["upper_limit"] == sum(row["mag"].startswith(">") for row in rows)
    assert flags["missing_value"] == sum(row["mag"] == "None" for row in rows)
    detected = [row for row in rows if row["mag"][0] not in ">N"]
    good = frame.filter(frame["flag"].is_null())
    assert good["mag"].to_list() == pytest.approx(
        [float(row["mag"]) for row in detected]
    )
    assert good["passband"].to_list() == [row["filter"] for row in detected]
