"""Cuts against values worked out by hand and against numpy, object by object."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from astromer.records import cleaning
from astromer.records.blocks import block_from_tables
from astromer.records.cleaning import (
    CleanPartition,
    clean_block,
    fulfils_noise_criteria,
    percentiles_by_curve,
)
from astromer.records.cuts import CUTS, CutCount
from astromer.surveys import FLAGS


def clean(options, *tables):
    return clean_block(
        block_from_tables(tables, [t.source.name for t in tables]), options
    )


def counts(partition):
    return {
        name: (cut.observations, cut.light_curves)
        for name, cut in partition.cuts.items()
    }


def test_clean_sorts_by_time_and_keeps_light_curves_apart(table, keep_all):
    part = clean(
        keep_all,
        table(
            object_id=["b", "a", "b", "a", "b"],
            passband=["R", "R", "B", "R", "R"],
            time=[5.0, 2.0, 1.0, 1.0, 3.0],
            mag=[15.0, 16.0, 17.0, 18.0, 19.0],
        ),
    )
    assert part.curves.select("object_id", "passband", "num_observations").rows() == [
        ("b", "R", 2),
        ("b", "B", 1),
        ("a", "R", 2),
    ]
    np.testing.assert_array_equal(part.time, [3, 5, 1, 1, 2])
    np.testing.assert_array_equal(part.mag, [19, 15, 17, 18, 16])


@pytest.mark.parametrize("span", [1e-9, 1.0, 1e9], ids=["dense", "usual", "wide"])
@pytest.mark.parametrize("num_curves", [1, 40])
def test_clean_sorts_like_numpy_whatever_the_time_scale(
    table, keep_all, rng, span, num_curves
):
    n = 3000
    curve = rng.integers(0, num_curves, n)
    # Half of the times lie so close that a coarse key cannot tell them apart.
    time = np.where(rng.random(n) < 0.5, rng.random(n), rng.random(n) * 1e-12) * span
    time = np.unique(time)
    rng.shuffle(time)
    curve = curve[: len(time)]
    part = clean(
        keep_all, table(object_id=[f"{c:02d}" for c in curve], time=time.tolist())
    )
    first_seen = {c: i for i, c in enumerate(dict.fromkeys(curve.tolist()))}
    order = np.lexsort((time, [first_seen[c] for c in curve.tolist()]))
    np.testing.assert_array_equal(part.time, time[order])


@pytest.mark.parametrize("shuffled", [False, True], ids=["by object", "shuffled"])
@pytest.mark.parametrize("noise_filter", ["off", "keep"])
def test_pieces_change_nothing(
    table, keep_all, rng, monkeypatch, shuffled, noise_filter
):
    lengths = rng.integers(1, 60, 40)
    objects = np.repeat([f"o{i:02d}" for i in range(40)], lengths)
    n = len(objects)
    columns = {
        "object_id": objects,
        "passband": rng.choice(["R", "B"], n),
        "time": rng.integers(0, 50, n).astype(float),
        "mag": rng.normal(15, 0.2, n),
        "mag_err": rng.uniform(-0.1, 1.5, n),
        "class_name": np.where(objects < "o20", "RR", "EB"),
        "flag": rng.choice(
            [None, "missing_value", "upper_limit"], n, p=[0.9, 0.05, 0.05]
        ),
    }
    # Or light curves one after the other, times as they come.
    one_by_one = np.lexsort((columns["passband"], objects))
    order = rng.permutation(n) if shuffled else one_by_one
    made = table(**{name: values[order].tolist() for name, values in columns.items()})
    options = keep_all.replace(
        clip_percentiles=(5, 95),
        max_error=1.0,
        min_observations=5,
        noise_filter=noise_filter,
    )
    whole = clean(options, made)
    monkeypatch.setattr(cleaning, "_ROWS_PER_PIECE", 37)
    monkeypatch.setattr(cleaning, "_ROWS_PER_PART", 51)
    pieces = clean(options, made)
    assert 0 < len(whole.time) < n
    for name in ("missing_value", "upper_limit"):
        # A flag goes with its row, also where rows were put in order.
        expected = np.count_nonzero(columns["flag"] == name)
        assert whole.cuts[name].observations == expected
    assert len(whole.cuts) >= 6
    assert whole.rejected.height > 0
    for field in dataclasses.fields(CleanPartition):
        one, other = getattr(whole, field.name), getattr(pieces, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
        elif isinstance(one, pl.DataFrame):
            assert_frame_equal(one, other)
        else:
            assert one == other, field.name


def test_flags_are_cut_and_counted_by_name(table, keep_all):
    flags = [None, *FLAGS, "missing_value", None]
    part = clean(
        keep_all,
        table(
            object_id=["a"] * (len(flags) - 1) + ["b"],
            mag=[None if flag == "missing_value" else 15.0 for flag in flags],
            flag=flags,
        ),
    )
    expected = dict.fromkeys(FLAGS, (1, 1))
    expected["missing_value"] = (2, 1)
    assert counts(part) == expected
    assert part.curves["num_observations"].to_list() == [1, 1]
    assert part.rows_read == len(flags)


def test_not_finite_rows_without_a_flag_are_cut(table, keep_all):
    part = clean(
        keep_all,
        table(
            time=[0.0, np.inf, 2.0, 3.0, 4.0],
            mag=[15.0, 15.0, np.nan, None, 15.0],
            mag_err=[0.1, 0.1, 0.1, 0.1, -np.inf],
        ),
    )
    assert counts(part) == {"not_finite": (4, 1)}
    assert part.time.tolist() == [0.0]


def test_errors_are_cut_at_zero_and_above_the_limit(table, keep_all):
    errors = [-99.0, -0.1, 0.0, 1e-6, 0.3, 0.300001, 2.0]
    part = clean(keep_all.replace(max_error=0.3), table(mag_err=errors))
    assert counts(part) == {"mag_err_not_positive": (3, 1), "mag_err_above_max": (2, 1)}
    np.testing.assert_array_equal(part.mag_err, np.float32([1e-6, 0.3]))
    part = clean(keep_all, table(mag_err=errors))
    assert counts(part) == {"mag_err_not_positive": (3, 1)}


def test_duplicate_times_keep_the_first_row_of_the_source(table, keep_all):
    part = clean(
        keep_all,
        table(
            object_id=["a", "b", "a", "a", "a"],
            time=[7.0, 7.0, 3.0, 7.0, 7.0],
            mag=[1.0, 2.0, 3.0, 4.0, 5.0],
        ),
    )
    assert counts(part) == {"duplicate_time": (2, 1)}
    assert part.mag.tolist() == [3.0, 1.0, 2.0]


def test_passbands_not_asked_for_are_counted_and_not_called_rejected(table, keep_all):
    part = clean(
        keep_all.replace(passbands=("R",)),
        table(
            passband=["R", "B", "R", "B"],
            flag=[None, None, "missing_value", "missing_value"],
        ),
    )
    assert counts(part) == {"passband_not_selected": (2, 1), "missing_value": (1, 1)}
    assert part.rejected.height == 0
    assert part.passbands_read == ["B", "R"]


@pytest.mark.parametrize("percentiles", [(1.0, 99.0), (10.0, 75.0), (50.0, 99.9)])
def test_clip_equals_numpy_percentiles_object_by_object(
    table, keep_all, rng, percentiles
):
    lengths = [1, 2, 3, 5, 100, 101, 257]
    mags = [np.round(rng.normal(-6, 2, n), 1).astype(np.float32) for n in lengths]
    part = clean(
        keep_all.replace(clip_percentiles=percentiles),
        table(
            object_id=[f"n{n}" for n in lengths for _ in range(n)],
            mag=np.concatenate(mags).tolist(),
        ),
    )
    expected = []
    for mag in mags:
        low, high = np.percentile(mag.astype(np.float64), percentiles)
        expected.append(mag[(mag > low) & (mag < high)])
    np.testing.assert_array_equal(part.mag, np.concatenate(expected))
    num_cut = sum(lengths) - sum(map(len, expected))
    assert part.cuts["outside_percentiles"].observations == num_cut


def test_percentile_0_clips_nothing_below(table, keep_all):
    options = keep_all.replace(clip_percentiles=(0, 90))
    part = clean(options, table(mag=[float(i) for i in range(11)]))
    assert part.mag.tolist() == list(range(9))


def test_percentiles_equal_numpy_across_signs_and_many_pieces(rng):
    lengths = rng.integers(0, 60, 4000)
    mag = rng.normal(0, 1, lengths.sum()).astype(np.float32)
    low, high = percentiles_by_curve(mag, lengths, (12.5, 80.0))
    ends = np.cumsum(lengths)
    for index in range(0, 4000, 37):
        piece = mag[ends[index] - lengths[index] : ends[index]].astype(np.float64)
        if len(piece) == 0:
            assert np.isnan(low[index])
            continue
        assert (low[index], high[index]) == tuple(np.percentile(piece, (12.5, 80.0)))


def test_light_curves_that_are_too_short_are_named_with_file_and_line(table, keep_all):
    options = keep_all.replace(min_observations=3, max_error=1.0)
    part = clean(
        options,
        table("one.csv", object_id=["a", "a", "a", "b", "b"], time=[1.0, 2, 3, 1, 2]),
        table(
            "two.csv",
            object_id=["c", "c", "c"],
            mag_err=[2.0, 2.0, 0.1],
            line=[9, 10, 11],
        ),
    )
    assert part.curves["object_id"].to_list() == ["a"]
    assert counts(part) == {"mag_err_above_max": (2, 1), "too_few_observations": (3, 2)}
    assert part.rejected.rows() == [
        ("b", "R", "too_few_observations", "one.csv", 5, 2, 2),
        ("c", "R", "too_few_observations", "two.csv", 9, 1, 3),
    ]
    assert part.rejected.columns == [
        "object_id", "passband", "reason", "source", "line", "n_observations", "n_read",
    ]  # fmt: skip


def test_noise_criteria_follow_analytic_moments():
    n = 10_000
    # Two points: std = half the distance, no skewness, kurtosis -2.
    two_points = np.tile([-1.0, 1.0], n // 2)
    # One point of n off by d: skewness -> sqrt(n), kurtosis -> n, std -> d / sqrt(n).
    spike = np.zeros(n)
    spike[0] = 1.0
    # One in m on each side: no skewness, excess kurtosis m / 2 - 3.
    symmetric = np.zeros(n)
    symmetric[:200], symmetric[200:400] = 1.0, -1.0  # m = 50: kurtosis 22
    milder = np.zeros(n)
    milder[:500], milder[500:1000] = 1.0, -1.0  # m = 20: kurtosis 7
    # A share p of ones: skewness (1 - 2p) / sqrt(p (1 - p)), for 0.25 it is 1.155.
    skewed = np.where(np.arange(n) < n // 4, 1.0, 0.0)
    less_skewed = np.where(np.arange(n) < n * 3 // 10, 1.0, 0.0)  # 0.873
    cases = [
        (0.101 * two_points, True),
        (0.099 * two_points, False),
        (0.5 * spike, True),
        (0.05 * symmetric, True),
        (0.05 * milder, False),
        (0.05 * skewed, True),
        (0.05 * less_skewed, False),
        (np.full(n, 0.1), False),
    ]
    mag = np.concatenate([15 + case for case, _ in cases]).astype(np.float32)
    found = fulfils_noise_criteria(mag, np.full(len(cases), n))
    assert found.tolist() == [expected for _, expected in cases]


@pytest.mark.parametrize(
    ("mode", "left"),
    [("off", ["loud", "quiet"]), ("keep", ["loud"]), ("drop", ["quiet"])],
)
def test_noise_filter_keeps_or_drops_what_fulfils_the_criteria(
    table, keep_all, mode, left
):
    options = keep_all.replace(noise_filter=mode, min_observations=2)
    part = clean(
        options,
        table(
            object_id=["short"] + ["loud"] * 4 + ["quiet"] * 4,
            mag=[9.0, 14.0, 16.0, 14.0, 16.0, 14.99, 15.01, 14.99, 15.01],
        ),
    )
    assert part.curves["object_id"].to_list() == left
    expected = {"too_few_observations": (1, 1)}
    if mode != "off":
        expected["noise_filter"] = (4, 1)
        assert part.rejected["reason"].to_list() == [
            "too_few_observations",
            "noise_filter",
        ]
        assert part.rejected["n_observations"].to_list() == [1, 4]
    assert counts(part) == expected


def test_curve_statistics_are_those_of_numpy(table, keep_all, rng):
    times = np.sort(rng.uniform(50_000, 51_000, 30))
    mags = rng.normal(15, 1, 31).astype(np.float32)
    part = clean(
        keep_all,
        table(
            object_id=["a"] * 30 + ["b"], time=[*times.tolist(), 1.0], mag=mags.tolist()
        ),
    )
    a, b = part.curves.rows(named=True)
    assert a["cadence"] == pytest.approx(np.median(np.diff(times)), rel=1e-6)
    assert a["duration"] == times[-1] - times[0]
    assert (a["mag_min"], a["mag_max"]) == (mags[:30].min(), mags[:30].max())
    assert b["cadence"] is None
    assert b["duration"] == 0


def test_class_of_an_object_holds_in_all_its_passbands_and_conflicts_count(
    table, keep_all
):
    part = clean(
        keep_all,
        table(
            object_id=["a", "a", "b", "b", "c"],
            passband=["R", "B", "R", "R", "R"],
            class_name=[None, "EB", "RRab", "EB", ""],
        ),
    )
    assert part.curves["class_name"].to_list() == ["EB", "EB", "RRab", None]
    assert part.num_conflicts == 1


def test_partition_is_the_same_after_saving_and_loading(table, keep_all, tmp_path):
    part = clean(
        keep_all.replace(min_observations=2),
        table(object_id=["a", "a", "b"], mag_err=[0.1, 0.1, 0.1]),
    )
    assert not CleanPartition.is_saved(tmp_path / "part")
    part.save(tmp_path / "part")
    assert CleanPartition.is_saved(tmp_path / "part")
    again = CleanPartition.load(tmp_path / "part")
    assert again.curves.equals(part.curves)
    assert again.rejected.equals(part.rejected)
    for name in ("time", "mag", "mag_err"):
        np.testing.assert_array_equal(getattr(again, name), getattr(part, name))
    assert again.cuts == part.cuts == {"too_few_observations": CutCount(1, 1)}
    assert (again.rows_read, again.num_conflicts) == (3, 0)
    assert again.passbands_read == ["R"]
    without = CleanPartition.load(tmp_path / "part", rows=False)
    assert without.curves.equals(part.curves)
    assert (len(without.time), len(without.mag), len(without.mag_err)) == (0, 0, 0)


def test_every_flag_is_a_cut_with_a_meaning():
    assert set(FLAGS) < set(CUTS)
    assert all(CUTS.values())
