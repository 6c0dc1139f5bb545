from pathlib import Path

import pytest

from astromer.errors import SurveyError
from astromer.surveys.columns import find_columns, has_columns

PATH = Path("x.csv")


@pytest.mark.parametrize(
    "name", ["mag_err", "MagErr", "mag err", "#e_Mag", "DM", "errMag"]
)
def test_case_and_punctuation_of_names_do_not_matter(name):
    columns = find_columns(PATH, ["mjd", name, "mag"], needed=["mag_err", "mag"])
    assert columns == {"mag_err": 1, "mag": 2}


def test_best_alias_wins_over_column_order():
    names = ["label", "hjd", "class", "mjd"]
    columns = find_columns(PATH, names, needed=["time"], optional=["class_name"])
    assert columns == {"time": 3, "class_name": 2}


def test_exact_name_wins_over_another_spelling():
    columns = find_columns(PATH, ["MAG", "mag"], needed=["mag"])
    assert columns == {"mag": 1}


def test_first_of_equal_names_is_taken():
    assert find_columns(PATH, ["mag", "mag"], needed=["mag"]) == {"mag": 0}
    assert find_columns(PATH, ["MAG", "Mag"], needed=["mag"]) == {"mag": 0}


def test_optional_role_is_absent_unless_chosen():
    assert find_columns(PATH, ["mjd"], needed=["time"], optional=["passband"]) == {
        "time": 0
    }
    with pytest.raises(SurveyError, match=r"`passband`.*looked for: color"):
        find_columns(
            PATH,
            ["mjd"],
            needed=["time"],
            optional=["passband"],
            chosen={"passband": "color"},
        )


def test_missing_column_says_how_to_name_it():
    with pytest.raises(SurveyError, match=r"column for `mag`\..*--column mag=NAME"):
        find_columns(PATH, ["mjd"], needed=["mag"])


def test_has_columns_needs_every_role():
    assert has_columns(["MJD", "mag"], "time", "mag")
    assert not has_columns(["MJD", "mag"], "time", "mag_err")
