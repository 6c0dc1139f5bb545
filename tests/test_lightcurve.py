"""The light curve: what goes in is checked, what is in cannot change."""

import copy
import dataclasses
import pickle
import time as clock

import numpy as np
import pandas as pd
import polars as pl
import pytest

from astromer.errors import LightCurveError
from astromer.lightcurve import FRAME_COLUMNS, LightCurve, light_curves_from_frame

TIME = [50_002.5, 50_000.25, 50_001.0]
MAG = [15.3, 15.1, 15.2]
MAG_ERR = [0.03, 0.01, 0.02]


@pytest.fixture
def curve():
    return LightCurve(
        TIME, MAG, MAG_ERR, passband="R", object_id="1.2.3", label=4, class_name="RRab"
    )


def test_light_curve_is_sorted_by_time(curve):
    assert curve.time.tolist() == [50_000.25, 50_001.0, 50_002.5]
    np.testing.assert_array_equal(curve.mag, np.float32([15.1, 15.2, 15.3]))
    np.testing.assert_array_equal(curve.mag_err, np.float32([0.01, 0.02, 0.03]))
    assert (curve.time.dtype, curve.mag.dtype) == (np.float64, np.float32)
    assert len(curve) == 3
    assert curve.duration == 2.25


def test_equal_times_keep_the_order_given():
    curve = LightCurve([2.0, 1.0, 2.0, 1.0], [1, 2, 3, 4], [0.1] * 4)
    assert curve.mag.tolist() == [2.0, 4.0, 1.0, 3.0]


def test_time_keeps_float64_precision():
    second = 1.0 / 86_400.0
    curve = LightCurve([50_000.0, 50_000.0 + second], [1.0, 1.0], [0.1, 0.1])
    assert curve.duration == pytest.approx(second, rel=1e-5)


@pytest.mark.parametrize("name", ["time", "mag", "mag_err"])
def test_arrays_are_copied_and_read_only(name):
    arrays = {
        "time": np.array([1.0, 2.0]),
        "mag": np.float32([15.0, 16.0]),
        "mag_err": np.float32([0.1, 0.2]),
    }
    curve = LightCurve(**arrays)
    before = getattr(curve, name).copy()
    arrays[name][:] = 9.0
    np.testing.assert_array_equal(getattr(curve, name), before)
    with pytest.raises(ValueError, match="read-only"):
        getattr(curve, name)[0] = 9.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(curve, name, before)


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda curve: pickle.loads(pickle.dumps(curve)),
        dataclasses.replace,
    ],
    ids=["copy", "deepcopy", "pickle", "replace"],
)
def test_duplicates_are_equal_and_stay_immutable(curve, duplicate):
    twin = duplicate(curve)
    assert twin == curve
    assert not any(a.flags.writeable for a in (twin.time, twin.mag, twin.mag_err))


@pytest.mark.parametrize(
    "change",
    [
        {"time": [50_002.5, 50_000.25, 50_001.5]},
        {"mag": [15.3, 15.1, 15.4]},
        {"mag_err": [0.03, 0.01, 0.5]},
        {"passband": "B"},
        {"object_id": "1.2.4"},
        {"label": 5},
        {"class_name": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_light_curves_differ_in_any_field(curve, change):
    fields = {"time": TIME, "mag": MAG, "mag_err": MAG_ERR}
    names = {"passband": "R", "object_id": "1.2.3", "label": 4, "class_name": "RRab"}
    assert LightCurve(**fields, **names) == curve
    assert LightCurve(**(fields | names | change)) != curve


def test_light_curve_equals_no_other_type_and_has_no_hash(curve):
    assert curve != "RRab"
    with pytest.raises(TypeError, match="unhashable"):
        hash(curve)


def test_repr_says_what_it_is(curve):
    shown = repr(curve)
    assert "'1.2.3'" in shown
    assert "3 observations over 2.2 d, RRab" in shown
    assert "unlabeled" in repr(LightCurve([1.0], [1.0], [0.1]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": [1.0]}, r"one length.*len\(time\)=1, len\(mag\)=2"),
        ({"time": [], "mag": [], "mag_err": []}, "at least one observation"),
        ({"time": [1.0, np.nan]}, r"`time` must be finite.*time\[1\]=nan"),
        ({"mag": [np.inf, 1.0]}, r"`mag` must be finite.*mag\[0\]=inf"),
        ({"mag": [1.0, 1e300]}, r"`mag` must be finite.*mag\[1\]=inf"),
        ({"mag_err": [0.1, np.nan]}, r"`mag_err` must be finite.*mag_err\[1\]"),
        ({"mag_err": [0.1, -0.5]}, r"not be negative.*mag_err\[1\]=-0.5"),
        ({"mag": [15.0, -99.0]}, r"codes for missing values.*mag\[1\]=-99.0"),
        ({"mag_err": [99.5, 0.1]}, r"codes for missing values.*mag_err\[0\]=99.5"),
        ({"time": np.array(["2020-01-01"] * 2, "M8[s]")}, "`time` must hold.*to days"),
        ({"mag": ["faint", "bright"]}, "`mag` must hold numbers"),
        ({"mag": [None, object()]}, "`mag` must hold numbers"),
        ({"time": [[1.0, 2.0]]}, r"one-dimensional.*shape=\(1, 2\)"),
        ({"time": 1.0}, r"one-dimensional.*shape=\(\)"),
        ({"label": 1.5}, "`label` must be an integer.*label=1.5"),
        ({"label": "RRab"}, "`label` must be.*label='RRab'.*goes in `class_name`"),
    ],
)
def test_light_curve_refuses_what_is_wrong_and_names_the_object(changes, message):
    good = {"time": [1.0, 2.0], "mag": [15.0, 15.1], "mag_err": [0.1, 0.1]}
    with pytest.raises(LightCurveError, match=message) as caught:
        LightCurve(**(good | changes), object_id="star 7")
    assert 'object_id="star 7"' in str(caught.value)


def test_masked_observations_are_refused_not_unmasked():
    mag = np.ma.MaskedArray([15.0, 99.0], mask=[False, True])
    with pytest.raises(LightCurveError, match=r"mag\[1\]=nan"):
        LightCurve([1.0, 2.0], mag, [0.1, 0.1])


def test_attributes_are_plain_types():
    curve = LightCurve(
        [1.0],
        [1.0],
        [0.1],
        passband=np.str_("R"),
        object_id=12,
        label=np.int64(3),
        class_name=np.str_("LPV"),
    )
    values = (curve.passband, curve.object_id, curve.label, curve.class_name)
    assert values == ("R", "12", 3, "LPV")
    assert [type(value) for value in values] == [str, str, int, str]
    assert LightCurve([1.0], [1.0], [0.1], class_name=np.nan).class_name is None


@pytest.mark.parametrize(
    "missing", [None, np.nan, np.float32("nan"), pd.NA, pd.NaT], ids=str
)
def test_what_is_missing_is_no_name(missing):
    curve = LightCurve(
        [1.0],
        [1.0],
        [0.1],
        passband=missing,
        object_id=missing,
        label=missing,
        class_name=missing,
    )
    assert curve == LightCurve([1.0], [1.0], [0.1])
    assert curve.class_name is None


def test_array_round_trip_keeps_every_number(curve):
    array = curve.to_array()
    assert (array.shape, array.dtype) == ((3, 3), np.float64)
    np.testing.assert_array_equal(array[:, 0], curve.time)
    again = LightCurve.from_array(
        array, passband="R", object_id="1.2.3", label=4, class_name="RRab"
    )
    assert again == curve


@pytest.mark.parametrize("wrong", [[["a", "b", "c"]], [[1, 2, 3], [1, 2]], [[{}] * 3]])
def test_from_array_refuses_what_is_no_array_of_numbers(wrong):
    with pytest.raises(LightCurveError, match=r"numbers of shape \(n, 3\).*list"):
        LightCurve.from_array(wrong)


@pytest.mark.parametrize("shape", [(3,), (3, 2), (0, 4), (1, 3, 3)])
def test_from_array_refuses_other_shapes(shape):
    with pytest.raises(LightCurveError, match=r"shape \(n, 3\).*Received: shape="):
        LightCurve.from_array(np.ones(shape))


# Frames


@pytest.fixture(params=["pandas", "polars"])
def make_frame(request):
    return pd.DataFrame if request.param == "pandas" else pl.DataFrame


def long_table(**extra):
    """Two objects in up to two passbands, interleaved: s2/R, s1/R, s2/B."""
    return {
        "object_id": ["s2", "s1", "s2", "s1", "s2"],
        "passband": ["R", "R", "B", "R", "R"],
        "time": [3.0, 2.0, 1.0, 1.0, 2.0],
        "mag": [13.0, 12.0, 11.0, 10.0, 14.0],
        "mag_err": [0.3, 0.2, 0.1, 0.1, 0.4],
    } | extra


def test_frame_splits_by_object_and_passband_in_order_of_first_appearance(make_frame):
    curves = light_curves_from_frame(make_frame(long_table()))
    names = [(curve.object_id, curve.passband) for curve in curves]
    assert names == [("s2", "R"), ("s1", "R"), ("s2", "B")]
    assert [curve.time.tolist() for curve in curves] == [[2.0, 3.0], [1.0, 2.0], [1.0]]
    assert [curve.mag.tolist() for curve in curves] == [[14, 13], [10, 12], [11]]
    assert all(curve.class_name is None for curve in curves)


def test_frame_grouping_equals_a_plain_loop(make_frame, rng):
    num_rows = 400
    table = {
        "object_id": rng.integers(0, 20, num_rows).tolist(),
        "passband": rng.choice(["R", "B"], num_rows).tolist(),
        "time": rng.integers(0, 50, num_rows).astype(float).tolist(),
        "mag": rng.normal(15, 1, num_rows).tolist(),
        "mag_err": rng.uniform(0, 1, num_rows).tolist(),
    }
    groups = {}
    for row in zip(*table.values(), strict=True):
        groups.setdefault((str(row[0]), row[1]), []).append(row[2:])
    expected = [
        LightCurve.from_array(rows, object_id=object_id, passband=passband)
        for (object_id, passband), rows in groups.items()
    ]
    assert light_curves_from_frame(make_frame(table)) == expected


def test_frame_integer_object_ids_become_text(make_frame):
    table = long_table(object_id=[20, 1, 20, 1, 20])
    curves = light_curves_from_frame(make_frame(table))
    assert [curve.object_id for curve in curves] == ["20", "1", "20"]


def test_frame_class_names_may_be_missing_in_part(make_frame):
    table = long_table(class_name=[None, "LPV", "EC", "LPV", "EC"])
    curves = light_curves_from_frame(make_frame(table))
    assert [curve.class_name for curve in curves] == ["EC", "LPV", "EC"]


@pytest.mark.parametrize("missing", [None, ""])
def test_frame_class_names_without_a_value_are_unknown(make_frame, missing):
    table = long_table(class_name=[missing, "LPV", missing, "LPV", missing])
    curves = light_curves_from_frame(make_frame(table))
    assert [curve.class_name for curve in curves] == [None, "LPV", None]


def test_frame_nan_class_names_are_unknown():
    nan = float("nan")
    frame = pd.DataFrame(long_table(class_name=[nan, "LPV", nan, "LPV", nan]))
    curves = light_curves_from_frame(frame.astype({"class_name": object}))
    assert [curve.class_name for curve in curves] == [None, "LPV", None]


def test_frame_refuses_two_classes_for_one_light_curve(make_frame):
    table = long_table(class_name=["EC", "LPV", "EC", "RRc", "EC"])
    match = 'one class. Received: class_name="LPV" and "RRc" for object_id="s1"'
    with pytest.raises(LightCurveError, match=match):
        light_curves_from_frame(make_frame(table))


def test_frame_missing_passband_is_the_empty_name(make_frame):
    table = long_table(passband=["R", None, "B", None, "R"])
    curves = light_curves_from_frame(make_frame(table))
    names = [(curve.object_id, curve.passband) for curve in curves]
    assert names == [("s2", "R"), ("s1", ""), ("s2", "B")]


def test_frame_refuses_a_missing_object_id(make_frame):
    table = long_table(object_id=["s2", "s1", None, "s1", "s2"])
    with pytest.raises(LightCurveError, match="no object_id in row 2"):
        light_curves_from_frame(make_frame(table))


def test_frame_categories_work_as_text():
    frame = pd.DataFrame(long_table()).astype({"passband": "category"})
    polars_frame = pl.DataFrame(long_table()).with_columns(
        pl.col("passband").cast(pl.Categorical)
    )
    assert light_curves_from_frame(frame) == light_curves_from_frame(polars_frame)


def test_frame_columns_are_found_by_role(make_frame):
    table = long_table()
    table["mjd"] = table.pop("time")
    table["oid"] = table.pop("object_id")
    renamed = light_curves_from_frame(make_frame(table), time="mjd", object_id="oid")
    assert renamed == light_curves_from_frame(make_frame(long_table()))


@pytest.mark.parametrize(
    "names",
    [
        {"object_id": "id", "passband": "band", "class_name": "label"},
        {"object_id": "star_id", "passband": "filter", "class_name": "Class"},
        {"object_id": "source_id", "passband": "fid", "class_name": "type"},
        {"object_id": "ID", "time": "mjd", "mag": "magpsf", "mag_err": "sigmapsf"},
    ],
)
def test_frame_columns_have_the_names_that_tables_have(make_frame, names):
    table = long_table(class_name=["EC", "LPV", "EC", "LPV", "EC"])
    renamed = {names.get(role, role): values for role, values in table.items()}
    expected = light_curves_from_frame(make_frame(table))
    assert light_curves_from_frame(make_frame(renamed)) == expected


def test_frame_column_of_the_role_itself_wins_over_an_alias(make_frame):
    other = {"id": [1, 2, 3, 4, 5], "band": list("vwxyz"), "mjd": [0.0] * 5}
    frame = make_frame(other | long_table())
    assert light_curves_from_frame(frame) == light_curves_from_frame(
        make_frame(long_table())
    )


@pytest.mark.parametrize("role", FRAME_COLUMNS)
def test_frame_column_that_was_named_must_be_there(make_frame, role):
    with pytest.raises(LightCurveError, match=r"needs the columns.*missing: nowhere\."):
        light_curves_from_frame(make_frame(long_table()), **{role: "nowhere"})


def test_frame_role_may_be_left_without_a_column(make_frame):
    frame = make_frame(long_table(label=[1, 2, 3, 4, 5]))
    with pytest.raises(LightCurveError, match=r"column 'label'.*class_name=None"):
        light_curves_from_frame(frame)
    curves = light_curves_from_frame(frame, class_name=None, passband=None)
    names = [(curve.object_id, curve.passband, len(curve)) for curve in curves]
    assert names == [("s2", "", 3), ("s1", "", 2)]


@pytest.mark.parametrize(
    "index", ["object_id", "id", ["id", "band"], ["nothing", "id"]], ids=str
)
def test_frame_of_pandas_may_name_objects_in_its_index(index):
    table = long_table(nothing=[0] * 5)
    expected = light_curves_from_frame(pd.DataFrame(table))
    names = {"object_id": "object_id" if index == "object_id" else "id"}
    names["passband"] = "band"
    frame = pd.DataFrame(table).rename(columns=names).set_index(index)
    assert light_curves_from_frame(frame) == expected


def test_frame_without_names_is_one_light_curve(make_frame):
    table = {key: long_table()[key] for key in ("time", "mag", "mag_err")}
    curve = LightCurve.from_frame(make_frame(table))
    assert (curve.object_id, curve.passband, len(curve)) == ("", "", 5)


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (long_table(), {"band": "R"}, r"Unknown column roles. Received: \['band'\]"),
        (long_table(), {"time": "mjd"}, "missing: mjd.*by role"),
        ({"time": [1.0], "mag": [1.0]}, {}, "missing: mag_err"),
        ({key: [] for key in FRAME_COLUMNS}, {}, "Received: 0 rows"),
        (long_table(mag=[1, 2, None, 4, 5]), {}, "`mag` must be finite"),
    ],
    ids=["role", "renamed", "column", "empty", "null"],
)
def test_frame_errors_name_what_was_received(make_frame, table, columns, message):
    with pytest.raises(LightCurveError, match=message):
        light_curves_from_frame(make_frame(table), **columns)


def test_from_frame_refuses_several_light_curves(make_frame):
    with pytest.raises(LightCurveError, match="Received: 3 light curves"):
        LightCurve.from_frame(make_frame(long_table()))


def test_pandas_round_trip_keeps_all_but_the_label(curve):
    frame = curve.to_pandas()
    assert tuple(frame.columns) == FRAME_COLUMNS
    assert LightCurve.from_frame(frame) == dataclasses.replace(curve, label=-1)
    unnamed = dataclasses.replace(curve, class_name=None, label=-1)
    assert LightCurve.from_frame(unnamed.to_pandas()) == unnamed


def test_frame_of_many_rows_is_grouped_without_a_loop_over_rows(rng):
    num_rows = 300_000
    frame = pl.DataFrame(
        {
            "object_id": rng.integers(0, 500, num_rows),
            "time": rng.uniform(50_000, 51_000, num_rows),
            "mag": rng.normal(15, 1, num_rows),
            "mag_err": rng.uniform(0.01, 0.1, num_rows),
        }
    )
    light_curves_from_frame(frame.head(10))
    start = clock.process_time()
    curves = light_curves_from_frame(frame)
    assert sum(map(len, curves)) == num_rows
    # A loop over rows takes several times as long even on a fast machine.
    assert clock.process_time() - start < 1.0


# Time series of other packages


class FakeUnitColumn:
    """A quantity as astropy writes it: a value and a unit."""

    def __init__(self, value, unit):
        self.value = np.asarray(value)
        self.unit = unit


class FakeTime:
    def __init__(self, mjd):
        self.mjd = np.asarray(mjd)


class FakeSeries(dict):
    """What lightkurve and astropy share: columns by name, `colnames` and `meta`."""

    def __init__(self, meta=None, **columns):
        super().__init__(columns)
        self.colnames = list(columns)
        self.meta = meta or {}


def test_time_series_gives_finite_observations_and_the_name():
    series = FakeSeries(
        meta={"OBJECT": "RR Lyr"},
        time=FakeTime([50_001.0, 50_000.0, 50_002.0, 50_003.0]),
        mag=FakeUnitColumn([7.1, 7.0, np.nan, 7.3], "mag"),
        mag_err=np.ma.MaskedArray([0.01, 0.02, 0.03, 0.04], mask=[0, 0, 0, 1]),
    )
    curve = LightCurve.from_time_series(series, passband="V")
    assert curve == LightCurve(
        [50_001.0, 50_000.0], [7.1, 7.0], [0.01, 0.02], "V", "RR Lyr"
    )


def test_time_series_flux_in_magnitudes_is_taken():
    series = FakeSeries(
        time=np.array([1.0, 2.0]),
        flux=FakeUnitColumn([7.1, 7.0], "mag"),
        flux_err=FakeUnitColumn([0.1, 0.1], "mag"),
    )
    curve = LightCurve.from_time_series(series, object_id="mine")
    assert (curve.object_id, curve.mag.tolist()) == (
        "mine",
        np.float32([7.1, 7]).tolist(),
    )


def test_time_series_of_pandas_columns_works():
    frame = pd.DataFrame({"time": [1.0, 2.0], "mag": [7.0, 8.0], "mag_err": [0.1, 0.1]})
    assert len(LightCurve.from_time_series(frame)) == 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"mag": [1.0], "mag_err": [0.1]}, "needs times"),
        (
            {"time": [1.0], "flux": FakeUnitColumn([5.0], "electron / s")},
            "`flux` in magnitudes.*electron / s",
        ),
        ({"time": [1.0], "counts": [5.0]}, "columns `mag` and `mag_err`"),
        ({"time": [1.0], "mag": [5.0]}, "uncertainties in the column `mag_err`"),
    ],
    ids=["time", "flux", "counts", "error"],
)
def test_time_series_errors_name_the_columns(columns, message):
    with pytest.raises(LightCurveError, match=message) as caught:
        LightCurve.from_time_series(FakeSeries(**columns))
    assert str(sorted(columns)) in str(caught.value)


@pytest.mark.parametrize("name", ["mag", "mag_err"])
def test_time_series_in_another_unit_is_refused(name):
    columns = {"time": [1.0], "mag": [15.0], "mag_err": [0.1]}
    columns[name] = FakeUnitColumn([15.0], "mmag")
    with pytest.raises(LightCurveError, match=f"unit of {name}='mmag'"):
        LightCurve.from_time_series(FakeSeries(**columns))


def test_time_series_in_a_magnitude_system_is_taken():
    flux = {name: FakeUnitColumn([15.0], "mag(AB)") for name in ("flux", "flux_err")}
    curve = LightCurve.from_time_series(FakeSeries(time=[1.0], **flux))
    assert curve.mag.tolist() == [15.0]


def test_time_series_without_columns_is_refused():
    with pytest.raises(LightCurveError, match=r"named columns\. Received: list"):
        LightCurve.from_time_series([1.0, 2.0])


def test_astropy_round_trip_keeps_everything(curve):
    pytest.importorskip("astropy")
    series = curve.to_time_series()
    assert str(series["mag"].unit) == "mag"
    again = LightCurve.from_time_series(series)
    # MJD to Julian day and back is good to a few nanoseconds.
    np.testing.assert_allclose(again.time, curve.time, rtol=0, atol=1e-9)
    assert dataclasses.replace(again, time=curve.time) == curve


def test_astropy_masked_quantity_is_left_out():
    pytest.importorskip("astropy")
    from astropy import units
    from astropy.time import Time
    from astropy.timeseries import TimeSeries
    from astropy.utils.masked import Masked

    series = TimeSeries(time=Time([50_000.0, 50_001.0], format="mjd"))
    series["mag"] = Masked(np.array([15.0, 99.0]) * units.mag, mask=[False, True])
    series["mag_err"] = np.array([0.1, 0.1]) * units.mag
    assert LightCurve.from_time_series(series).mag.tolist() == [15.0]


def test_astropy_time_series_is_a_frame_of_one_light_curve(curve):
    pytest.importorskip("astropy")
    series = curve.to_time_series()
    (found,) = light_curves_from_frame(series)
    assert found == LightCurve.from_time_series(series)
    series["mag"][0] = np.nan
    assert len(LightCurve.from_frame(series)) == len(curve) - 1


@pytest.mark.parametrize("kind", ["TimeSeries", "QTable"])
def test_astropy_times_of_several_objects_are_mjd(kind):
    pytest.importorskip("astropy")
    from astropy import table, timeseries, units
    from astropy.time import Time

    make = table.QTable if kind == "QTable" else timeseries.TimeSeries
    columns = {"time": Time([50_000.5, 50_001.0, 50_002.0], format="mjd")}
    for name, values in (("mag", [15.0, 16.0, 17.0]), ("mag_err", [0.1, 0.2, 0.3])):
        columns[name] = values * units.mag
    whole = make(columns)
    assert len(LightCurve.from_frame(whole)) == 3
    whole["id"] = ["a", "b", "a"]
    found = light_curves_from_frame(whole)
    assert [curve.object_id for curve in found] == ["a", "b"]
    np.testing.assert_allclose(found[0].time, [50_000.5, 50_002.0], rtol=0, atol=1e-8)
    assert found[1].mag.tolist() == [16.0]


def test_time_series_without_astropy_says_how_to_get_it(curve, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "astropy", None)
    with pytest.raises(ImportError, match="pip install astropy"):
        curve.to_time_series()


@pytest.mark.parametrize("make", ["columns", "array", "frame"])
def test_coarse_times_are_refused(make):
    """Near 2,450,000 float32 steps by a quarter of a day: no period survives it."""
    days = np.arange(3)
    for epoch, refused in ((2_450_000.0, True), (50_000.0, False), (0.0, False)):
        time = (days + epoch).astype(np.float32)
        ones = np.ones(3, np.float32)

        def build(time=time, ones=ones):
            if make == "columns":
                return LightCurve(time, ones, ones)
            if make == "array":
                return LightCurve.from_array(np.column_stack([time, ones, ones]))
            return LightCurve.from_frame(
                pd.DataFrame({"time": time, "mag": ones, "mag_err": ones})
            )

        if refused:
            with pytest.raises(LightCurveError, match=r"float32 near .*0\.25 d"):
                build()
        else:
            np.testing.assert_array_equal(build().time, days + epoch)


def test_complex_numbers_are_refused():
    with pytest.raises(LightCurveError, match=r"`time` must hold numbers.*complex"):
        LightCurve(np.array([1j]), [15.0], [0.1])


def test_integers_that_became_floats_are_integers_again(make_frame):
    name = 1001006006382.0
    frame = make_frame(long_table(object_id=[name] * 5, class_name=[2.0] * 5))
    curves = light_curves_from_frame(frame)
    assert {(c.object_id, c.class_name) for c in curves} == {("1001006006382", "2")}
    assert LightCurve([1.0], [15.0], [0.1], object_id=1.5).object_id == "1.5"


def test_what_is_wrong_besides_float32_is_named_as_before():
    with pytest.raises(LightCurveError, match=r"shape \(n, 3\).*shape=\(\)"):
        LightCurve.from_array(5.0)
    with pytest.raises(LightCurveError, match="`time` must be finite"):
        LightCurve(np.full(3, np.nan, np.float32), [1, 2, 3], [0.1] * 3)
    with pytest.raises(LightCurveError, match=r"^`time` must be float64.*float16"):
        LightCurve(np.array([100, 200], np.float16), [1, 2], [0.1] * 2)
