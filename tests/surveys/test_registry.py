import gzip

import pytest

from astromer.errors import SurveyError
from astromer.surveys import detect_survey, get_survey, list_surveys


def test_registry_finds_every_survey_by_name():
    names = [survey.name for survey in list_surveys()]
    assert set(names) == {"macho", "atlas", "ogle", "ztf", "asas_sn", "gaia", "table"}
    assert names[-1] == "table"
    assert [get_survey(name).name for name in names] == names


def test_unknown_survey_suggests_the_nearest():
    with pytest.raises(SurveyError, match=r'"machoo".*Did you mean "macho".*asas_sn'):
        get_survey("machoo")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("macho", "macho"),
        ("atlas", "atlas"),
        ("ogle", "ogle"),
        ("ztf", "ztf"),
        ("asassn", "asas_sn"),
    ],
)
def test_every_fixture_is_detected(shared, folder, name):
    for path in (shared / "fixtures" / folder).iterdir():
        assert detect_survey(path).name == name, path


def test_detection_looks_into_gzip(write):
    path = write("x.gz", gzip.compress(b"###MJD m dm F\n57000 15 1 c\n"))
    assert detect_survey(path).name == "atlas"


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0",
        b"dear reader\nhow are you\n",
        b"# only a comment\n",
        b"dear,reader\rhow,are,you\r",
    ],
    ids=["binary", "prose", "comment", "old line ends"],
)
def test_unknown_format_lists_the_known_ones(write, content):
    with pytest.raises(SurveyError, match=r"not known.*x\.dat.*macho, atlas.*table"):
        detect_survey(write("x.dat", content))


def test_empty_file_is_refused(write):
    with pytest.raises(SurveyError, match=r"empty.*x\.csv"):
        detect_survey(write("x.csv", ""))
