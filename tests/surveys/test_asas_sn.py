import csv
from collections import Counter

import pytest

from astromer.surveys import detect_survey

FILE = """\
HJD,UT Date,Camera,FWHM,Limit,mag,mag_err,flux(mJy),flux_err,Filter
2455888.71687,2011-11-23.2,bb,2.00,99.990,99.990,99.990,99.990,99.990,V
2456589.80944,2013-10-24.3,bc,1.56,15.944,>15.944,99.990,-0.157,0.322,V
2460320.61953,2024-01-11.1,br,1.57,17.028,16.500,0.125,0.441,0.112,g
"""


def test_asas_sn_flags_missing_values_and_limits(write, read):
    path = write("star.csv", FILE)
    assert detect_survey(path).name == "asas_sn"
    frame = read("asas_sn", path)
    assert frame["flag"].to_list() == ["missing_value", "upper_limit", None]
    assert frame["passband"].to_list() == ["V", "V", "g"]
    assert frame["mag"].to_list() == [None, None, 16.5]
    assert frame["time"].to_list() == pytest.approx(
        [55888.21687, 56589.30944, 60320.11953], abs=1e-6
    )
    assert frame["object_id"].unique().to_list() == ["star"]


def test_asas_sn_without_filter_is_v_unless_told(write, read):
    path = write("x.csv", "hjd,camera,mag,mag_err\n2456000.5,ba,12.5,0.5\n")
    assert detect_survey(path).name == "asas_sn"
    assert read("asas_sn", path)["passband"].to_list() == ["V"]
    assert read("asas_sn", path, passband="g")["passband"].to_list() == ["g"]


def test_asas_sn_fixture_agrees_with_a_plain_parse(shared, read):
    path = shared / "fixtures/asassn/rybka2-asassn.csv"
    assert detect_survey(path).name == "asas_sn"
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    frame = read("asas_sn", path)
    kinds = Counter(
        "upper_limit"
        if row["mag"].startswith(">")
        else "missing_value"
        if float(row["mag"]) > 99
        else None
        for row in rows
    )
    assert Counter(frame["flag"]) == kinds
    detected = [row for row in rows if float(row["mag_err"]) < 99]
    good = frame.filter(frame["flag"].is_null())
    assert good["mag"].to_list() == pytest.approx(
        [float(row["mag"]) for row in detected]
    )
    assert good["passband"].to_list() == [row["Filter"] for row in detected]
    assert good["time"].to_list() == pytest.approx(
        [float(row["HJD"]) - 2400000.5 for row in detected], abs=1e-8
    )
