import math

import numpy as np
import pytest

from astromer.surveys import Dropped, detect_survey, read_light_curves

TITLE = (
    "source_id,transit_id,band,time,mag,flux,flux_error,flux_over_error,"
    "rejected_by_photometry,rejected_by_variability,other_flags,solution_id\n"
)
FILE = TITLE + (
    '5,1,"G",1707.3886,15.5,9000.0,90.0,100.0,false,false,1,7\n'
    '5,2,"G",1707.4626,15.7,8000.0,400.0,20.0,"false","true",1,7\n'
    '5,3,"G",1730.0,15.9,7000.0,70.0,100.0,true,false,1,7\n'
    '5,4,"G",1731.0,,-3.0,70.0,-0.04,false,false,1,7\n'
    '5,1,"BP",1707.3888,16.0,4000.0,200.0,20.0,False,False,0,7\n'
    '6,9,"RP",1800.0,14.0,9999.0,99.0,101.0,false,false,0,7\n'
)


def test_gaia_times_are_days_of_the_modified_julian_date(write, read):
    path = write("x.csv", FILE)
    assert detect_survey(path).name == "gaia"
    frame = read("gaia", path)
    # BJD 2,455,197.5 is MJD 55,197.0.
    assert frame["time"][0] == pytest.approx(56904.3886, abs=1e-9)
    assert frame["mag"][0] == pytest.approx(15.5)


def test_gaia_uncertainties_follow_from_the_flux(write, read):
    frame = read("gaia", write("x.csv", FILE))
    flux, error = 9000.0, 90.0
    above, below = (-2.5 * math.log10(flux + sign * error) for sign in (-1, 1))
    assert frame["mag_err"][0] == pytest.approx((above - below) / 2, rel=1e-3)
    assert frame["mag_err"][4] == pytest.approx(1.0857 / 20, rel=1e-4)


def test_gaia_flags_what_the_mission_rejected(write, read):
    frame = read("gaia", write("x.csv", FILE))
    bad = "bad_photometry"
    assert frame["flag"].to_list() == [None, bad, bad, "missing_value", None, None]


def test_gaia_light_curves_are_those_of_a_source_and_band(write):
    dropped = Dropped()
    curves = list(read_light_curves(write("x.csv", FILE), dropped=dropped))
    assert [(c.object_id, c.passband, len(c)) for c in curves] == [
        ("5", "G", 1),
        ("5", "BP", 1),
        ("6", "RP", 1),
    ]
    assert dropped.observations == {"bad_photometry": 2, "missing_value": 1}


@pytest.mark.parametrize("lines_of_header", [0, 200], ids=["short", "long"])
def test_gaia_without_flags_and_as_ecsv(write, lines_of_header):
    text = (
        "# %ECSV 1.0\n# ---\n# delimiter: ' '\n"
        + "# - {name: other_flags, description: bits}\n" * lines_of_header
        + "source_id transit_id band time mag flux_over_error\n"
        "5 1 G 0.5 15.0 50.0\n5 2 G 1.5 15.1 50.0\n"
    )
    path = write("x.ecsv", text)
    assert detect_survey(path).name == "gaia"
    (curve,) = read_light_curves(path)
    np.testing.assert_allclose(curve.time, [55197.5, 55198.5])
    np.testing.assert_allclose(curve.mag_err, 1.0857362 / 50, rtol=1e-6)


def test_gaia_takes_chosen_columns_as_they_are(write, read):
    text = TITLE.replace("other_flags", "my_error").replace("solution_id", "mjd")
    path = write("x.csv", text + "5,1,G,1.0,15,9,1,9,false,false,0.25,58000.5\n")
    chosen = {"time": "mjd", "mag_err": "my_error"}
    frame = read("gaia", path, columns=chosen)
    assert frame["time"].to_list() == [58000.5]
    assert frame["mag_err"].to_list() == [0.25]
