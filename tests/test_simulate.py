"""The simulated survey: repeatable, plausible, and every argument does something."""

import csv
import dataclasses
import math
import time as clock

import numpy as np
import pytest

from astromer.errors import ConfigError, LightCurveError
from astromer.lightcurve import LightCurve
from astromer.simulate import (
    CADENCES,
    CLASS_NAMES,
    Cadence,
    Passband,
    draw_star,
    iterate_stars,
    iterate_survey,
    observe,
    simulate_survey,
    write_macho_csv,
)

# Header of the archive's CSV files.
MACHO_HEADER = (
    "fieldid,tileid,seqn,obsid,dateobs,exposure,airmass,rmag,rerr,rnormsky,rtype,"
    "rcrowd,rchi2,rmpix,rcosmicrf,ramp,rxpix,rypix,ravesky,rfwhm,rtobs,rcut,bmag,"
    "berr,bnormsky,btype,bcrowd,bchi2,bmpix,bcosmicrf,bamp,bxpix,bypix,bavesky,"
    "bfwhm,btobs,bcut"
)


def amplitude(light_curve):
    """Peak-to-peak amplitude of the inner 96 percent [mag]."""
    low, high = np.quantile(light_curve.mag, [0.02, 0.98])
    return high - low


def power(star, curve, periods):
    """Share of variance that a sine with one harmonic explains, at each period."""
    mag = curve.mag - curve.mag.mean(dtype=float)
    explained = []
    for period in periods:
        phase = 2 * np.pi * curve.time / period
        terms = [f(k * phase) for k in (1, 2) for f in (np.sin, np.cos)]
        design = np.column_stack([np.ones(len(curve)), *terms])
        residual = mag - design @ np.linalg.lstsq(design, mag, rcond=None)[0]
        explained.append(1 - residual.var() / mag.var())
    return np.array(explained)


# Repeatability


def test_survey_repeats_under_a_seed_and_changes_with_it():
    assert simulate_survey(10, seed=3) == simulate_survey(10, seed=3)
    pairs = zip(simulate_survey(10, seed=3), simulate_survey(10, seed=4), strict=True)
    assert all(one != other for one, other in pairs)


def test_light_curves_do_not_depend_on_how_many_are_drawn():
    assert simulate_survey(30)[:9] == simulate_survey(9)


def test_light_curves_do_not_depend_on_other_classes():
    everything = simulate_survey(24)
    alone = simulate_survey(classes={"LPV": 3})
    assert [curve for curve in everything if curve.class_name == "LPV"] == alone


def test_light_curve_is_made_from_seed_and_number_alone():
    expected = simulate_survey(24, survey="ztf", seed=5)[20]
    star = draw_star(CLASS_NAMES[20 % 8], 20 // 8, seed=5)
    assert observe(star, "ztf") == expected


def test_second_passband_leaves_the_first_unchanged():
    both = simulate_survey(4, passbands=["R", "B"])
    assert [curve.passband for curve in both] == ["R", "B"] * 4
    assert both[::2] == simulate_survey(4, passbands=["R"])
    assert both[1::2] == simulate_survey(4, passbands=["B"])


def test_iterator_gives_the_same_light_curves_one_by_one():
    curves = iterate_survey(10**9, seed=2)
    assert [next(curves) for _ in range(5)] == simulate_survey(5, seed=2)


def test_the_same_star_is_seen_by_every_survey():
    star = draw_star("RRab", 1)
    for survey in CADENCES:
        curve = observe(star, survey, noise_scale=0.0)
        wrong = star.period * np.array([0.93, 1.04, 1.3])
        right = power(star, curve, [star.period])[0]
        assert right > 0.6 > power(star, curve, wrong).max()


# What is drawn


def test_classes_take_turns_and_labels_are_their_places():
    curves = simulate_survey(19)
    assert [curve.class_name for curve in curves] == [
        *CLASS_NAMES * 2,
        *CLASS_NAMES[:3],
    ]
    assert [curve.label for curve in curves[:8]] == list(range(8))


def test_classes_can_be_chosen_and_counted():
    names = [c.class_name for c in simulate_survey(5, classes=["EC", "RRc"])]
    assert names == ["EC", "RRc", "EC", "RRc", "EC"]
    names = [c.class_name for c in simulate_survey(classes={"LPV": 1, "EC": 3})]
    assert names == ["LPV", "EC", "EC", "EC"]
    assert simulate_survey(0) == []


@pytest.mark.parametrize("survey", CADENCES)
def test_object_ids_are_unique(survey):
    curves = simulate_survey(40, survey=survey)
    assert len({curve.object_id for curve in curves}) == 40


def test_macho_object_ids_are_field_tile_sequence_and_never_repeat():
    stars = [draw_star("CONST", number) for number in (0, 249, 250, 251, 50_000)]
    names = {observe(star).object_id for star in stars}
    assert len(names) == len(stars)
    assert all(len([int(part) for part in name.split(".")]) == 3 for name in names)


# Ranges of the period [d] and the amplitude in V [mag], from the literature.
RANGES = {
    "Cep_0": ((1.5, 60.0), (0.25, 1.5)),
    "Cep_1": ((0.5, 7.0), (0.1, 0.6)),
    "EC": ((0.2, 60.0), (0.05, 3.0)),
    "LPV": ((100.0, 700.0), (0.3, 4.0)),
    "RRab": ((0.4, 0.85), (0.3, 1.4)),
    "RRc": ((0.2, 0.45), (0.2, 0.65)),
    "DSCT": ((0.03, 0.25), (0.03, 0.6)),
}


@pytest.mark.parametrize("class_name", RANGES)
def test_periods_and_amplitudes_are_those_of_the_class(class_name):
    stars = list(iterate_stars(200, classes=[class_name]))
    (short, long), (small, large) = RANGES[class_name]
    periods = np.array([star.period for star in stars])
    amplitudes = np.array([star.amplitude for star in stars])
    assert short <= periods.min() < periods.max() <= long
    assert small <= amplitudes.min() < amplitudes.max() <= large
    # A distribution, not a handful of values piled up at the limits.
    assert len(np.unique(periods)) > 150


def test_constant_stars_do_not_vary():
    star = draw_star("CONST")
    assert math.isnan(star.period)
    assert star.amplitude == 0.0
    assert np.ptp(observe(star, noise_scale=0.0).mag) == 0.0


@pytest.mark.parametrize("class_name", ["Cep_0", "Cep_1", "EC", "RRc"])
def test_periodic_classes_repeat_after_a_period(class_name):
    time = np.linspace(50_000.0, 50_100.0, 500)
    for star in iterate_stars(5, classes=[class_name]):
        later = star.variation(time + 7 * star.period)
        np.testing.assert_allclose(star.variation(time), later, atol=1e-6)


@pytest.mark.parametrize("class_name", ["Cep_0", "Cep_1", "EC", "RRc"])
def test_amplitude_is_peak_to_peak_and_the_mean_is_zero(class_name):
    for star in iterate_stars(10, classes=[class_name]):
        mag = star.variation(np.arange(4_000) / 4_000 * star.period)
        assert np.ptp(mag) == pytest.approx(star.amplitude, rel=0.02)
        assert mag.mean() == pytest.approx(0.0, abs=0.01)


def rise_fraction(star):
    """Share of a cycle between minimum and maximum light."""
    phase = np.arange(2_000) / 2_000
    mag = star.variation(50_000.0 + phase * star.period)
    return float((phase[np.argmin(mag)] - phase[np.argmax(mag)]) % 1.0)


def test_rr_lyrae_ab_rise_faster_than_rr_lyrae_c():
    ab = [rise_fraction(star) for star in iterate_stars(60, classes=["RRab"])]
    c = [rise_fraction(star) for star in iterate_stars(60, classes=["RRc"])]
    # Typical rise times are 0.1 to 0.3 of a cycle for type ab, 0.35 to 0.5 for type c.
    assert 0.08 < np.median(ab) < 0.3
    assert 0.33 < np.median(c) < 0.52


def test_rr_lyrae_ab_of_longer_period_have_smaller_amplitude():
    stars = list(iterate_stars(300, classes=["RRab"]))
    periods, amplitudes = zip(*[(s.period, s.amplitude) for s in stars], strict=True)
    assert np.corrcoef(periods, amplitudes)[0, 1] < -0.6


def test_cepheid_shape_follows_the_hertzsprung_progression():
    def r21(star):
        mag = star.variation(np.arange(512) / 512 * star.period)
        harmonics = np.abs(np.fft.rfft(mag))
        return harmonics[2] / harmonics[1]

    stars = list(iterate_stars(400, classes=["Cep_0"]))
    short = np.mean([r21(star) for star in stars if 2.0 < star.period < 4.0])
    ten = np.mean([r21(star) for star in stars if 9.0 < star.period < 11.5])
    long = np.mean([r21(star) for star in stars if star.period > 20.0])
    # The second harmonic nearly vanishes at ten days (Simon & Lee 1981).
    assert short > 0.35
    assert ten < 0.2
    assert long > 0.3


def test_eclipsing_binaries_have_two_eclipses_of_different_depth():
    phase = np.arange(2_000) / 2_000
    depths, widths = [], []
    for star in iterate_stars(40, classes=["EC"]):
        mag = star.variation(phase * star.period)
        primary = phase[np.argmax(mag)]
        from_primary = np.abs((phase - primary + 0.5) % 1.0 - 0.5)
        level = mag.min()
        depths.append((mag.max() - level, mag[from_primary > 0.2].max() - level))
        widths.append(np.mean(mag > level + 0.5 * (mag.max() - level)))
    first, second = np.array(depths).T
    assert (second > 0.01).all()
    assert np.quantile(first / second, 0.7) > 1.5
    # Algol-like eclipses take a few percent of a cycle, W UMa stars vary all along.
    assert min(widths) < 0.08
    assert max(widths) > 0.25


def test_long_period_variables_have_cycles_of_their_own():
    star = next(s for s in iterate_stars(20, classes=["LPV"]) if s.amplitude > 2.0)
    cycles = star.variation(
        48_000.0 + star.period * (np.arange(10)[:, None] + np.arange(200) / 200)
    )
    heights = np.ptp(cycles, axis=1)
    assert 0.02 < heights.std() / heights.mean() < 0.4


def test_some_delta_scuti_stars_pulsate_in_two_modes():
    repeats = []
    for star in iterate_stars(40, classes=["DSCT"]):
        time = 50_000.0 + np.linspace(0.0, star.period, 100)
        change = star.variation(time) - star.variation(time + 5 * star.period)
        repeats.append(np.abs(change).max() < 1e-6)
    assert 8 < sum(repeats) < 32


def test_one_galaxy_has_a_period_luminosity_relation():
    stars = list(iterate_stars(60, classes=["Cep_0"]))

    def correlation(survey):
        mags = [observe(star, survey).mag.mean() for star in stars]
        return np.corrcoef(np.log10([star.period for star in stars]), mags)[0, 1]

    assert correlation("macho") < -0.9
    assert abs(correlation("asas")) < 0.5


# How it is observed


@pytest.mark.parametrize("survey", CADENCES)
def test_cadence_keeps_to_its_survey(survey):
    cadence = CADENCES[survey]
    curves = simulate_survey(60, survey=survey)
    assert {curve.passband for curve in curves} == {cadence.passbands[0].name}
    for curve in curves:
        assert cadence.start <= curve.time[0]
        assert curve.time[-1] <= cadence.end + 2
        assert (np.diff(curve.time) > 0).all()
        # Written as surveys write them: microdays and millimagnitudes.
        np.testing.assert_array_equal(np.round(curve.time, 6), curve.time)
        np.testing.assert_allclose(np.round(curve.mag, 3), curve.mag, atol=2e-6)
        assert curve.mag_err.min() >= 0.001


# Quantiles of the real surveys: fewest and most observations, and the share of
# intervals below a quarter of a day.
@pytest.mark.parametrize(
    ("survey", "lengths", "same_night"),
    [
        ("macho", (200, 1300), (0.1, 0.4)),
        ("atlas", (100, 1200), (0.6, 0.9)),
        ("ogle", (150, 1500), (0.0, 0.2)),
        ("ztf", (60, 1000), (0.05, 0.3)),
        ("asas", (80, 1000), (0.05, 0.3)),
    ],
)
def test_cadence_looks_like_the_real_one(survey, lengths, same_night):
    curves = simulate_survey(80, survey=survey, seed=1)
    sizes = np.array([len(curve) for curve in curves])
    assert lengths[0] < np.quantile(sizes, 0.1)
    assert sizes.max() < lengths[1]
    gaps = np.concatenate([np.diff(curve.time) for curve in curves])
    assert same_night[0] < np.mean(gaps < 0.25) < same_night[1]


def test_asas_light_curves_are_as_long_as_the_real_ones(shared):
    import polars as pl

    path = shared / "data" / "asas_acvs.parquet"
    if not path.is_file():
        pytest.skip("needs asas_acvs.parquet in ../shared/data, which is not there")
    real = pl.read_parquet(path, columns=["mjd"], n_rows=2_000)["mjd"].list.len()
    ours = [len(curve) for curve in simulate_survey(200, survey="asas")]
    assert np.median(ours) == pytest.approx(real.median(), rel=0.35)


def test_seasons_leave_gaps_and_macho_has_none():
    def longest_gap(survey):
        return np.median(
            [np.diff(c.time).max() for c in simulate_survey(20, survey=survey)]
        )

    assert longest_gap("macho") < 60
    assert 100 < longest_gap("ztf") < 200


def test_atlas_filters_share_the_lunar_month():
    curves = simulate_survey(6, survey="atlas", passbands=["o", "c"])
    for o, c in zip(curves[::2], curves[1::2], strict=True):
        assert not set(np.floor(o.time)) & set(np.floor(c.time))


def test_macho_colors_are_taken_at_the_same_times():
    red, blue = simulate_survey(1, passbands=["R", "B"])
    assert np.isin(red.time, blue.time).mean() > 0.9


def test_amplitude_ratio_applies_to_pulsation_not_to_eclipses():
    def ratio(class_name):
        curves = simulate_survey(
            20,
            survey="ztf",
            classes=[class_name],
            passbands=["r", "g"],
            noise_scale=0.0,
        )
        values = [amplitude(curve) for curve in curves]
        return np.median(np.array(values[1::2]) / np.array(values[::2]))

    assert ratio("RRab") == pytest.approx(1.15 / 0.84, rel=0.05)
    assert ratio("EC") == pytest.approx(1.0, abs=0.05)


def test_quoted_errors_grow_toward_faint_magnitudes():
    curves = simulate_survey(80, survey="ogle", classes=["CONST"])
    mags = np.array([np.median(curve.mag) for curve in curves])
    errors = np.array([np.median(curve.mag_err) for curve in curves])
    faint = mags > np.quantile(mags, 0.8)
    bright = mags < np.quantile(mags, 0.2)
    assert np.median(errors[faint]) > 3 * np.median(errors[bright])
    assert errors.min() >= 0.003


def test_scatter_of_constant_stars_is_about_the_quoted_error():
    def excess(survey):
        curves = simulate_survey(
            60, survey=survey, classes=["CONST"], outlier_fraction=0.0
        )
        return np.median([c.mag.std() / np.median(c.mag_err) for c in curves])

    assert excess("asas") == pytest.approx(1.0, abs=0.25)
    # MACHO quotes a few millimagnitudes for bright stars, and is wrong by that.
    bright = [
        curve.mag.std() / np.median(curve.mag_err)
        for curve in simulate_survey(60, classes=["CONST"], outlier_fraction=0.0)
        if np.median(curve.mag) < -8
    ]
    assert np.median(bright) > 2


def test_noise_scale_changes_magnitudes_and_nothing_else():
    quiet, usual, loud = (
        simulate_survey(1, classes=["CONST"], noise_scale=scale)[0]
        for scale in (0.0, 1.0, 2.0)
    )
    assert np.ptp(quiet.mag) == 0.0
    np.testing.assert_allclose(
        loud.mag - quiet.mag, 2 * (usual.mag - quiet.mag), atol=0.002
    )
    np.testing.assert_array_equal(quiet.mag_err, loud.mag_err)
    np.testing.assert_array_equal(quiet.time, loud.time)


@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_outlier_fraction_is_the_share_of_outliers(fraction):
    curves = simulate_survey(
        20, survey="asas", classes=["CONST"], outlier_fraction=fraction
    )
    off = np.concatenate([c.mag - np.median(c.mag) for c in curves])
    # 55 percent of a normal distribution of mean 0.1 and scatter 0.4 lie beyond 0.25.
    share = np.mean(np.abs(off) > 0.25)
    assert share == pytest.approx(0.55 * fraction, abs=0.015 if fraction else 1e-3)


def test_own_cadence_is_used():
    cadence = Cadence(
        survey="backyard",
        passbands=(Passband(name="V", depth=16, amplitude_ratio=1, color_term=0),),
        start=60_000,
        end=60_030,
        night_fraction=1.0,
        clear_fraction=1.0,
        spell=1.0,
        season=365.25,
        midnight=0.0,
        visits=1,
        repeat_fraction=0.0,
        visit_spacing=0.1,
        mag_range=(10.0, 11.0),
        systematic_error=0.01,
        error_floor=0.01,
    )
    curve = simulate_survey(1, survey=cadence)[0]
    assert curve.object_id == "backyard-0000000"
    assert 10 < len(curve) <= 31
    cloudy = dataclasses.replace(cadence, clear_fraction=0.3)
    assert len(simulate_survey(1, survey=cloudy)[0]) < len(curve)
    hopeless = dataclasses.replace(cadence, night_fraction=0.0, mag_range=(18.0, 18.5))
    assert len(simulate_survey(1, survey=hopeless)[0]) == 1


@pytest.mark.parametrize("clear_fraction", [0.1, 0.3, 0.7, 0.95])
def test_clear_fraction_is_the_share_of_nights_without_clouds(clear_fraction):
    from astromer.simulate import _clear_nights

    cadence = dataclasses.replace(CADENCES["ztf"], clear_fraction=clear_fraction)
    clear = _clear_nights(cadence, 0, 200_000)
    assert clear.mean() == pytest.approx(clear_fraction, abs=0.02)
    runs = np.diff(np.flatnonzero(np.diff(clear, prepend=False, append=False)))
    assert runs.mean() > 1.5


def test_survey_is_fast():
    simulate_survey(16)
    start = clock.process_time()
    simulate_survey(160)
    # Measured at 1,500 per second of a free core; the rest is for busy machines.
    assert 160 / (clock.process_time() - start) > 200


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "number of stars is not given"),
        ({"num_objects": -1}, "`num_objects` must be at least 0. Received.*=-1"),
        ({"num_objects": 1.5}, "`num_objects` must be an integer.*1.5"),
        ({"num_objects": 1, "seed": -1}, "`seed` must be at least 0"),
        ({"num_objects": 1, "survey": "machos"}, 'Did you mean "macho"'),
        ({"num_objects": 1, "passbands": ["V"]}, "Unknown passband.*Known: B, R"),
        ({"num_objects": 1, "passbands": ["R", "R"]}, "each filter once"),
        ({"num_objects": 1, "passbands": []}, r"each filter once.*\[\]"),
        (
            {"num_objects": 1, "classes": ["RRb"]},
            'Unknown class. Received: class="RRb"',
        ),
        ({"num_objects": 1, "classes": ["EC", "EC"]}, "name each class once"),
        ({"num_objects": 1, "classes": []}, r"Received: classes=\[\]"),
        ({"num_objects": 1, "classes": {"EC": 1}}, "exclude each other"),
        ({"classes": {"EC": -2}}, r"`classes\['EC'\]` must be at least 0"),
        ({"num_objects": 1, "noise_scale": -0.1}, "`noise_scale` must be at least 0"),
        ({"num_objects": 1, "outlier_fraction": 1.1}, r"in \[0.0, 1.0\].*=1.1"),
    ],
)
@pytest.mark.parametrize("function", [simulate_survey, iterate_survey])
def test_survey_refuses_wrong_arguments_at_once(function, arguments, message):
    with pytest.raises(ConfigError, match=message):
        function(**arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"passbands": ()}, "needs a passband"),
        ({"end": 0.0}, "end after its start.*end=0.0"),
        ({"clear_fraction": 0.0}, "nights must be clear"),
        ({"night_fraction": 1.5}, r"`night_fraction` must be in \[0.0, 1.0\]"),
        ({"visits": 0}, "`visits` must be at least 1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_cadence_refuses_what_cannot_be_observed(changes, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(CADENCES["macho"], **changes)


def test_star_refuses_unknown_class_and_negative_number():
    with pytest.raises(ConfigError, match='Did you mean "RRab"'):
        draw_star("rrab")
    with pytest.raises(ConfigError, match="`number` must be at least 0"):
        draw_star("RRab", -1)


# Files


def read_macho_csv(path):
    """Read an archive file with the csv module: {(object, passband): rows}."""
    curves = {}
    with open(path, newline="") as stream:
        for row in csv.DictReader(stream):
            name = ".".join(row[key] for key in ("fieldid", "tileid", "seqn"))
            for band in "rb":
                if float(row[f"{band}mag"]) > -99:
                    values = (row["dateobs"], row[f"{band}mag"], row[f"{band}err"])
                    numbers = tuple(map(float, values))
                    curves.setdefault((name, band.upper()), []).append(numbers)
    return curves


def as_light_curves(rows, like):
    return [
        LightCurve.from_array(
            rows[curve.object_id, curve.passband],
            passband=curve.passband,
            object_id=curve.object_id,
            label=curve.label,
            class_name=curve.class_name,
        )
        for curve in like
    ]


@pytest.mark.parametrize(
    ("objects_per_file", "names"),
    [(1, None), (4, ["LC_00000.csv", "LC_00001.csv"]), (100, ["LC_00000.csv"])],
)
def test_macho_csv_round_trip_is_exact(tmp_path, objects_per_file, names):
    curves = simulate_survey(6, passbands=["R", "B"])
    paths = write_macho_csv(
        curves, tmp_path / "survey", objects_per_file=objects_per_file
    )
    expected = names or [f"LC_{curve.object_id}.csv" for curve in curves[::2]]
    assert [path.name for path in paths] == expected
    assert sorted(path.name for path in (tmp_path / "survey").iterdir()) == sorted(
        [*expected, "labels.csv"]
    )
    rows = {}
    for path in paths:
        assert path.read_text().splitlines()[0] == MACHO_HEADER
        rows |= read_macho_csv(path)
    assert as_light_curves(rows, curves) == curves


def test_macho_header_is_that_of_the_archive(shared):
    path = shared / "fixtures" / "macho" / "LC_1.3441.15.csv"
    if not path.is_file():
        pytest.skip("needs a MACHO file in ../shared/fixtures, which is not there")
    with open(path) as stream:
        assert stream.readline().strip() == MACHO_HEADER


def test_macho_csv_marks_a_missing_color(tmp_path):
    red = LightCurve([1.5, 2.5], [-7.5, -7.25], [0.125, 0.25], "R", "1.2.3")
    blue = LightCurve([2.5, 3.5], [-6.5, -6.75], [0.5, 0.75], "B", "1.2.3")
    (path,) = write_macho_csv([red, blue], tmp_path)
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["dateobs"] for row in rows] == ["1.5", "2.5", "3.5"]
    assert [row["rmag"] for row in rows] == ["-7.5", "-7.25", "-99.0"]
    assert [row["rerr"] for row in rows] == ["0.125", "0.25", "-99.0"]
    assert [row["bmag"] for row in rows] == ["-99.0", "-6.5", "-6.75"]
    assert [row["rcut"] for row in rows] == ["1", "1", "0"]
    assert [row["bchi2"] for row in rows] == ["999.0", "100.0", "100.0"]
    assert [row["obsid"] for row in rows] == ["1", "2", "3"]


def test_macho_labels_list_known_classes_once(tmp_path):
    curves = simulate_survey(3, passbands=["R", "B"])
    unknown = LightCurve([1.0], [-5.0], [0.1], "R", "1.1.1")
    write_macho_csv([*curves, unknown], tmp_path)
    assert (tmp_path / "labels.csv").read_text() == (
        "object_id,class_name\n7.1000.1,Cep_0\n7.1000.2,Cep_1\n7.1000.3,EC\n"
    )


def test_macho_csv_is_read_by_the_macho_reader(tmp_path):
    macho = pytest.importorskip("astromer.surveys.macho")
    from astromer.surveys.observations import ReadOptions

    curves = simulate_survey(2, passbands=["R", "B"])
    rows = {}
    for path in write_macho_csv(curves, tmp_path):
        assert macho.SURVEY.detect(path, path.read_bytes()[:4096])
        for table in macho.SURVEY.read(path, ReadOptions()):
            good = table.frame.filter(table.frame["flag"].is_null())
            columns = ["object_id", "passband", "time", "mag", "mag_err"]
            for name, band, *numbers in good.select(columns).iter_rows():
                rows.setdefault((name, band), []).append(numbers)
    assert as_light_curves(rows, curves) == curves


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ([("R", "star", [1.0])], 'named field.tile.sequence.*"star"'),
        ([("V", "1.2.3", [1.0])], r"passbands R and B.*\['V'\]"),
        ([("R", "1.2.3", [1.0]), ("R", "1.2.3", [1.0])], r"\['R', 'R'\]"),
        (
            [("R", "1.2.3", [1.0]), ("R", "1.2.4", [1.0]), ("B", "1.2.3", [1.0])],
            'follow each other. Received: object_id="1.2.3" twice',
        ),
        ([("R", "1.2.3", [1.0, 1.0])], "repeated times"),
    ],
    ids=["name", "passband", "twice", "scattered", "times"],
)
def test_macho_csv_refuses_what_the_format_cannot_hold(tmp_path, curves, message):
    light_curves = [
        LightCurve(time, [-5.0] * len(time), [0.1] * len(time), band, name)
        for band, name, time in curves
    ]
    with pytest.raises(LightCurveError, match=message):
        write_macho_csv(light_curves, tmp_path)


def test_macho_csv_refuses_no_objects_per_file(tmp_path):
    with pytest.raises(ConfigError, match="`objects_per_file` must be at least 1"):
        write_macho_csv([], tmp_path, objects_per_file=0)
