import pytest

from astromer.errors import SurveyError
from astromer.surveys import detect_survey, read_light_curves

ROWS = "5265.82049 16.978 0.013\n2455266.80405  16.991 0.013\n\n# end\n55000.5 17 0.1\n"


def test_dates_of_all_lengths_share_one_scale(write, read):
    frame = read("ogle", write("OGLE-BLG-RRLYR-00001.dat", ROWS))
    # 2455265.82049 - 2400000.5, then the next day, then a date that is MJD already.
    assert frame["time"].to_list() == pytest.approx(
        [55265.32049, 55266.30405, 55000.5], abs=1e-6
    )
    assert frame["line"].to_list() == [1, 2, 5]
    assert frame["object_id"].unique().to_list() == ["OGLE-BLG-RRLYR-00001"]


def test_short_dates_after_2023_exceed_ten_thousand(write, read):
    frame = read("ogle", write("a.dat", "10001.5 16.0 0.1\n"))
    assert frame["time"].to_list() == [60001.0]


def test_first_row_says_how_many_columns_there_are(write, read):
    rows = "5265.5 16.5 0.01 2 1.1\n5266.5 16.5 0.01 2 1.1\n5267.5 16.5 0.01\n"
    frame = read("ogle", write("a.dat", rows))
    assert frame["mag"].to_list() == [16.5, 16.5, None]
    assert frame["flag"].to_list() == [None, None, "ragged_line"]


def test_passband_comes_from_options_then_folder_then_is_i(write, read):
    assert read("ogle", write("a.dat", ROWS))["passband"][0] == "I"
    path = write("phot/V/a.dat", ROWS)
    assert read("ogle", path)["passband"][0] == "V"
    assert read("ogle", path, passband="K")["passband"][0] == "K"


def test_ogle_is_detected_by_suffix_and_three_numbers(write):
    assert detect_survey(write("a.dat", ROWS)).name == "ogle"
    assert detect_survey(write("b.dat", "mjd mag err\n1 2 3\n")).name == "table"


@pytest.mark.parametrize("name", ["OGLE-BLG-ECL-001923", "OGLE-GD-ECL-00031"])
def test_ogle_fixture_agrees_with_a_plain_parse(shared, name):
    path = shared / f"fixtures/ogle/{name}.dat"
    rows = sorted(
        tuple(map(float, line.split())) for line in path.read_text().splitlines()
    )
    (curve,) = read_light_curves(path)
    assert (curve.object_id, curve.passband) == (name, "I")
    assert curve.time == pytest.approx([row[0] + 49999.5 for row in rows], abs=1e-9)
    assert curve.mag == pytest.approx([row[1] for row in rows])


def test_ogle_title_in_a_comment_is_believed(write, read):
    frame = read("ogle", write("x.dat", "# mag HJD err\n15.5 2455000.5 0.5\n"))
    assert frame.row(0, named=True)["mag"] == 15.5
    with pytest.raises(SurveyError, match=r"needs a column for `mag`.*flux"):
        read("ogle", write("y.dat", "# HJD flux err\n2455000.5 15.5 0.5\n"))
    # A form feed ends no line.
    rows = "".join(f"{day}.5 15.5 0.5\n" for day in range(5))
    assert read("ogle", write("z.dat", f"# page 1\f\n{rows}")).height == 5


@pytest.mark.parametrize(
    "comment",
    ["HJD-2450000 I err", "JD Imag Ierr", "time in HJD", "t m e", "HJD I mag"],
)
def test_ogle_comment_of_three_words_is_no_title(write, read, comment):
    frame = read("ogle", write("x.dat", f"# {comment}\n5000.5 15.5 0.5\n"))
    assert frame["mag"].to_list() == [15.5]
    assert frame["time"].to_list() == [55_000.0]


def test_ogle_columns_may_be_chosen(write, read):
    path = write("x.dat", "# HJD flux mag err\n2455000.5 7 15.5 0.5\n")
    assert read("ogle", path)["mag"].to_list() == [15.5]
    columns = {"mag": "flux"}
    assert read("ogle", path, columns=columns)["mag"].to_list() == [7]
