"""Names of columns: which role each plays, in files and in frames."""

import pytest

from astromer.columns import ALIASES, match_columns


def plain(name):
    return "".join(filter(str.isalnum, name.lower()))


def test_aliases_differ_in_more_than_punctuation():
    names = [plain(name) for aliases in ALIASES.values() for name in aliases]
    assert len(names) == len(set(names))


def test_each_role_is_its_own_best_alias():
    assert all(aliases[0] == role for role, aliases in ALIASES.items())


@pytest.mark.parametrize("name", ["star_id", "starid", "Star ID", "STAR-ID", "#starID"])
def test_case_blanks_and_punctuation_do_not_matter(name):
    assert match_columns(["mjd", name], ["object_id"]) == {"object_id": 1}


@pytest.mark.parametrize(
    ("role", "name"),
    [
        *(("object_id", name) for name in ("KIC", "TIC", "kepid", "ticid", "starid")),
        *(("object_id", name) for name in ("lc_id", "gaia_id", "asas_id", "star")),
        *(("object_id", name) for name in ("target", "targetname", "obj", "EPIC")),
        *(("passband", name) for name in ("bandname", "lsst_band", "filterid")),
    ],
)
def test_names_of_missions_and_catalogs_are_known(role, name):
    assert match_columns(["mjd", name], [role]) == {role: 1}


def test_chosen_column_plays_no_other_role_by_an_alias():
    chosen = {"object_id": "label"}
    roles = ("object_id", "class_name")
    assert match_columns(["label", "mag"], roles, chosen) == {"object_id": 0}
    assert match_columns(["label", "type"], roles, chosen) == {
        "object_id": 0,
        "class_name": 1,
    }
    both = {"object_id": "label", "class_name": "label"}
    assert match_columns(["label"], roles, both) == {"object_id": 0, "class_name": 0}


def test_names_of_signs_alone_are_not_all_the_same():
    assert match_columns(["#", "mag"], ["object_id"], {"object_id": "星"}) == {}
    assert match_columns(["#", "星"], ["object_id"], {"object_id": "星"}) == {
        "object_id": 1
    }
