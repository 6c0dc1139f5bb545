import csv

import pytest

from astromer.surveys import detect_survey, read_light_curves

FILE = """\
oid,expid,hjd,mjd,mag,magerr,catflags,filtercode
462104100001036,1,2458204.6845,58204.1831,13.08,0.0125,0,zg
462104100001036,2,2458205.6845,58205.1831,13.18,0.0125,32768,zg
462204100002226,3,2458206.6845,58206.1831,12.5,0.01,2,zr
462204100002226,4,2458207.6845,58207.1831,12.75,0.01,32770,zr
"""


def test_ztf_flags_bit_15_alone(write, read):
    frame = read("ztf", write("x.csv", FILE))
    assert frame["flag"].to_list() == [None, "bad_photometry", None, "bad_photometry"]
    assert frame["mag"].to_list() == pytest.approx([13.08, 13.18, 12.5, 12.75])


def test_ztf_names_objects_by_oid_and_passbands_by_letter(write):
    curves = list(read_light_curves(write("x.csv", FILE)))
    assert [(c.object_id, c.passband) for c in curves] == [
        ("462104100001036", "g"),
        ("462204100002226", "r"),
    ]


def test_ztf_takes_heliocentric_time_where_asked(write, read):
    frame = read("ztf", write("x.csv", FILE), columns={"time": "hjd"})
    assert frame["time"].to_list() == pytest.approx(
        [58204.1845, 58205.1845, 58206.1845, 58207.1845], abs=1e-6
    )


def test_ztf_without_catflags_flags_nothing(write, read):
    path = write("x.csv", "oid,filtercode,mjd,mag,magerr\n1,zi,58000.5,15,0.5\n")
    assert detect_survey(path).name == "ztf"
    frame = read("ztf", path)
    assert frame["flag"].to_list() == [None]
    assert frame["passband"].to_list() == ["i"]


def test_ztf_fixture_agrees_with_a_plain_parse(shared, read):
    path = shared / "fixtures/ztf/18aaaawyw-zg1.csv"
    assert detect_survey(path).name == "ztf"
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    frame = read("ztf", path)
    assert frame["time"].to_list() == [float(row["mjd"]) for row in rows]
    assert frame["mag"].to_list() == pytest.approx([float(row["mag"]) for row in rows])
    bad = [int(row["catflags"]) >= 32768 for row in rows]
    assert frame["flag"].is_not_null().to_list() == bad
    assert set(frame["object_id"]) == {rows[0]["oid"]}


def test_ztf_is_recognized_below_a_comment(write):
    path = write("x.csv", f"# IRSA query\n\n{FILE}")
    assert detect_survey(path).name == "ztf"
    assert [len(curve.time) for curve in read_light_curves(path)] == [1, 1]
