"""A sample survey that needs no download: variable stars seen on survey cadences.

Stars are drawn first (class, period, shape), then observed (nights, weather, noise),
with a random stream of its own for each star, survey and passband. A light curve
therefore depends on the seed and its own number alone, however many are drawn, and
the same star can be looked at by several surveys. The shapes are good enough for
demonstrations, tests and augmentation; they are no substitute for real photometry.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError, LightCurveError, unknown_name
from astromer.lightcurve import LightCurve

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "CADENCES",
    "CLASS_NAMES",
    "Cadence",
    "Passband",
    "Star",
    "draw_star",
    "iterate_stars",
    "iterate_survey",
    "observe",
    "simulate_survey",
    "write_macho_csv",
]

Floats = NDArray[np.float64]

CLASS_NAMES: Final = (
    "Cep_0",
    "Cep_1",
    "EC",
    "LPV",
    "RRab",
    "RRc",
    "DSCT",
    "CONST",
)
"""Classes, in the order of their labels; the first six are those of the MACHO catalog:
Cepheids (fundamental, first overtone), eclipsing binaries, long-period variables,
RR Lyrae of type ab and c; then delta Scuti stars and stars that do not vary."""

DAYS_PER_YEAR: Final = 365.25
LUNAR_MONTH_D: Final = 29.530588
NEW_MOON_MJD: Final = 51549.76
"""A new moon (2000 January 6), the origin of lunar phases [MJD]."""
DETECTION_SIGMA: Final = 3.0
"""Fainter measurements, in units of the sky's noise, are not reported."""
MACHO_MISSING: Final = -99.0
"""What the MACHO archive writes for a magnitude that was not measured."""


def _check_number(
    name: str, value: float, least: float, most: float = math.inf
) -> None:
    if isinstance(least, int) and not isinstance(value, int | np.integer):
        raise ConfigError(f"`{name}` must be an integer. Received: {name}={value!r}.")
    if not least <= value <= most:
        limit = f"at least {least}" if most == math.inf else f"in [{least}, {most}]"
        raise ConfigError(f"`{name}` must be {limit}. Received: {name}={value}.")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Passband:
    """One filter of a survey."""

    name: str
    """Name of the filter, e.g. ``"R"``."""
    depth: float
    """Magnitude measured at five sigma on a good night [mag]."""
    amplitude_ratio: float
    """Amplitude of a pulsating star relative to the V band."""
    color_term: float
    """Mean magnitude falls by this many times the star's V-R color."""
    visit_fraction: float = 1.0
    """Share of the visits in which this filter is used and measured."""
    moon: Literal["any", "dark", "bright"] = "any"
    """Half of the lunar month in which the filter is used."""
    delay: float = 0.0
    """Time after the visit's start at which the filter is exposed [d]."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cadence:
    """When a survey observes, how deep, and how well it knows its errors."""

    survey: str
    """Name of the survey."""
    passbands: tuple[Passband, ...]
    """Filters; the first one is observed unless others are asked for."""
    start: float
    """First night [MJD]."""
    end: float
    """Last night [MJD]."""
    night_fraction: float
    """Share of clear nights on which the best-covered field is visited."""
    clear_fraction: float
    """Share of nights without clouds."""
    spell: float
    """Mean length of a run of cloudy nights [d]."""
    season: float
    """Days of a year in which a field can be seen; 365.25 if it never sets."""
    midnight: float
    """Local midnight as a fraction of the MJD day."""
    visits: int
    """Most visits in a night."""
    repeat_fraction: float
    """Probability that one visit is followed by the next in the same night."""
    visit_spacing: float
    """Mean time between the visits of one night [d]."""
    mag_range: tuple[float, float]
    """Mean magnitudes of the stars, brightest and faintest [mag]."""
    zero_point: float = 0.0
    """Reported minus standard magnitude [mag]."""
    distance_modulus: float | None = None
    """Distance modulus of the galaxy looked at, None where stars lie at any distance."""
    systematic_error: float
    """Real scatter of a bright star [mag]."""
    error_floor: float
    """Least quoted uncertainty [mag]; below `systematic_error`, errors are too small."""

    def __post_init__(self) -> None:
        if not self.passbands:
            raise ConfigError(
                "A cadence needs a passband. Received: passbands=(). Give at least one."
            )
        if not self.start < self.end:
            raise ConfigError(
                "A survey must end after its start. "
                f"Received: start={self.start}, end={self.end}."
            )
        for name in ("night_fraction", "clear_fraction", "repeat_fraction"):
            _check_number(name, getattr(self, name), 0.0, 1.0)
        if self.clear_fraction == 0.0:
            raise ConfigError(
                "Some nights must be clear. Received: clear_fraction=0.0. Raise it."
            )
        _check_number("visits", self.visits, 1)


def _cadences(*cadences: Cadence) -> Mapping[str, Cadence]:
    return MappingProxyType({cadence.survey: cadence for cadence in cadences})


CADENCES: Final = _cadences(
    Cadence(
        survey="macho",
        # Instrumental magnitudes of the Large Magellanic Cloud, which never sets.
        passbands=(
            Passband(
                name="R",
                depth=-3.9,
                amplitude_ratio=0.80,
                color_term=1.0,
                visit_fraction=0.7,
            ),
            Passband(
                name="B",
                depth=-4.1,
                amplitude_ratio=1.05,
                color_term=-0.1,
                visit_fraction=0.95,
            ),
        ),
        start=48_823.0,
        end=51_546.0,
        night_fraction=0.65,
        clear_fraction=0.7,
        spell=2.5,
        season=365.25,
        midnight=0.60,
        visits=4,
        repeat_fraction=0.22,
        visit_spacing=0.11,
        mag_range=(-10.0, -5.0),
        zero_point=-24.2,
        distance_modulus=18.5,
        systematic_error=0.012,
        error_floor=0.002,
    ),
    Cadence(
        survey="atlas",
        passbands=(
            Passband(
                name="o",
                depth=19.2,
                amplitude_ratio=0.75,
                color_term=0.9,
                moon="bright",
            ),
            Passband(
                name="c",
                depth=19.6,
                amplitude_ratio=1.02,
                color_term=0.2,
                moon="dark",
            ),
        ),
        start=57_400.0,
        end=58_900.0,
        night_fraction=0.65,
        clear_fraction=0.7,
        spell=2.0,
        season=240.0,
        midnight=0.43,
        visits=4,
        repeat_fraction=0.96,
        visit_spacing=0.012,
        mag_range=(12.5, 17.5),
        systematic_error=0.008,
        error_floor=0.003,
    ),
    Cadence(
        survey="ogle",
        passbands=(
            Passband(name="I", depth=21.2, amplitude_ratio=0.62, color_term=1.9),
            Passband(
                name="V",
                depth=21.8,
                amplitude_ratio=1.0,
                color_term=0.0,
                visit_fraction=0.12,
                delay=0.004,
            ),
        ),
        start=52_100.0,
        end=54_950.0,
        night_fraction=0.55,
        clear_fraction=0.8,
        spell=2.0,
        season=270.0,
        midnight=0.21,
        visits=2,
        repeat_fraction=0.08,
        visit_spacing=0.06,
        mag_range=(13.5, 19.5),
        distance_modulus=18.5,
        systematic_error=0.006,
        error_floor=0.004,
    ),
    Cadence(
        survey="ztf",
        passbands=(
            Passband(name="r", depth=20.5, amplitude_ratio=0.84, color_term=0.8),
            Passband(
                name="g",
                depth=20.7,
                amplitude_ratio=1.15,
                color_term=-0.5,
                visit_fraction=0.85,
                delay=0.06,
            ),
        ),
        start=58_200.0,
        end=60_300.0,
        night_fraction=0.6,
        clear_fraction=0.72,
        spell=3.0,
        season=230.0,
        midnight=0.32,
        visits=2,
        repeat_fraction=0.12,
        visit_spacing=0.08,
        mag_range=(13.5, 19.0),
        systematic_error=0.012,
        error_floor=0.010,
    ),
    Cadence(
        survey="asas",
        passbands=(
            Passband(name="V", depth=15.6, amplitude_ratio=1.0, color_term=0.0),
        ),
        start=51_868.0,
        end=54_575.0,
        night_fraction=0.38,
        clear_fraction=0.75,
        spell=2.5,
        season=255.0,
        midnight=0.20,
        visits=3,
        repeat_fraction=0.12,
        visit_spacing=0.008,
        mag_range=(8.5, 13.8),
        systematic_error=0.025,
        error_floor=0.032,
    ),
)
"""Cadences by survey, each close to the real one in length, gaps, depth and errors."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Star:
    """One simulated star, before anybody looks at it."""

    class_name: str
    """One of `CLASS_NAMES`."""
    number: int
    """Number of the star within its class, from 0."""
    seed: int
    """Seed of the sample that the star belongs to."""
    period: float
    """Period of the variation [d]; NaN for a star that does not vary."""
    amplitude: float
    """Typical peak-to-peak amplitude in the V band [mag]."""
    color: float
    """V-R color [mag]."""
    absolute_mag: float | None
    """Mean absolute V magnitude [mag]; None for stars at any distance."""
    chromaticity: float
    """Exponent with which a passband's amplitude ratio acts: 1 pulsation, 0 gray."""
    variation: Callable[[Floats], Floats]
    """V magnitude relative to the mean [mag], as a function of time [d]."""

    @property
    def label(self) -> int:
        """Position of the class in `CLASS_NAMES`."""
        return CLASS_NAMES.index(self.class_name)

    @property
    def index(self) -> int:
        """Number of the star among the stars of all classes; unique within a seed."""
        return self.number * len(CLASS_NAMES) + self.label


def simulate_survey(
    num_objects: int | None = None,
    *,
    survey: str | Cadence = "macho",
    classes: Sequence[str] | Mapping[str, int] | None = None,
    passbands: Sequence[str] | None = None,
    seed: int = 0,
    noise_scale: float = 1.0,
    outlier_fraction: float = 0.005,
) -> list[LightCurve]:
    """Simulate light curves of variable stars on a survey's cadence.

    Every light curve is a function of the seed, the survey, the passband, the
    class and the star's number within its class: drawing more of them, or other
    classes beside them, changes none.

    Parameters
    ----------
    num_objects : int, optional
        Stars to draw; class follows class in turn. Must be left out where
        `classes` gives counts.
    survey : str or Cadence
        Name in `CADENCES`, or a cadence of your own.
    classes : sequence of str or mapping of str to int, optional
        Classes to draw from, or how many stars of each; all of `CLASS_NAMES`
        by default.
    passbands : sequence of str, optional
        Filters, each of which gives a light curve per star; by default the
        first of the survey, e.g. MACHO's R.
    seed : int
        Not negative. The same seed gives the same light curves.
    noise_scale : float
        Factor on the noise; 0 gives curves without noise or outliers. The quoted
        uncertainties stay as they are.
    outlier_fraction : float, in [0, 1]
        Share of observations that are off by much more than their uncertainty.

    Returns
    -------
    light_curves : list of LightCurve
        Star by star, within a star by passband. Times are MJD [d]; labels are
        positions in `CLASS_NAMES`.

    Raises
    ------
    ConfigError
        If a name is unknown or a number is out of range.

    Examples
    --------
    >>> curves = simulate_survey(2, classes=["RRab"], passbands=["R", "B"])
    >>> [(curve.object_id, curve.passband) for curve in curves]
    [('7.1000.5', 'R'), ('7.1000.5', 'B'), ('7.1000.13', 'R'), ('7.1000.13', 'B')]
    """
    return list(
        iterate_survey(
            num_objects,
            survey=survey,
            classes=classes,
            passbands=passbands,
            seed=seed,
            noise_scale=noise_scale,
            outlier_fraction=outlier_fraction,
        )
    )


def iterate_survey(
    num_objects: int | None = None,
    *,
    survey: str | Cadence = "macho",
    classes: Sequence[str] | Mapping[str, int] | None = None,
    passbands: Sequence[str] | None = None,
    seed: int = 0,
    noise_scale: float = 1.0,
    outlier_fraction: float = 0.005,
) -> Iterator[LightCurve]:
    """Return the light curves of `simulate_survey` one by one.

    Arguments, order and errors are the same; nothing is kept in memory.

    Returns
    -------
    light_curves : iterator of LightCurve

    Raises
    ------
    ConfigError
        At once, not at the first light curve.
    """
    stars = iterate_stars(num_objects, classes=classes, seed=seed)
    cadence = _find_cadence(survey)
    names = [cadence.passbands[0].name] if passbands is None else list(passbands)
    for name in names:
        _find_passband(cadence, name)
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"`passbands` must name each filter once. Received: passbands={names}."
        )
    _check_number("noise_scale", noise_scale, 0.0)
    _check_number("outlier_fraction", outlier_fraction, 0.0, 1.0)
    return (
        observe(
            star,
            cadence,
            passband=name,
            noise_scale=noise_scale,
            outlier_fraction=outlier_fraction,
        )
        for star in stars
        for name in names
    )


def iterate_stars(
    num_objects: int | None = None,
    *,
    classes: Sequence[str] | Mapping[str, int] | None = None,
    seed: int = 0,
) -> Iterator[Star]:
    """Return the stars behind `simulate_survey`, in the same order.

    Parameters
    ----------
    num_objects : int, optional
        Stars to draw. Must be left out where `classes` gives counts.
    classes : sequence of str or mapping of str to int, optional
        As for `simulate_survey`.
    seed : int
        Not negative.

    Returns
    -------
    stars : iterator of Star
        With counts, the classes take turns until their stars are used up.

    Raises
    ------
    ConfigError
        If a name is unknown or a number is out of range.
    """
    counts = _class_counts(num_objects, classes)
    _check_number("seed", seed, 0)

    def turns() -> Iterator[Star]:
        for number in range(max(counts.values(), default=0)):
            for name, count in counts.items():
                if number < count:
                    yield draw_star(name, number, seed=seed)

    return turns()


def draw_star(class_name: str, number: int = 0, *, seed: int = 0) -> Star:
    """Draw one star: its period, amplitude, color and light-curve shape.

    Parameters
    ----------
    class_name : str
        One of `CLASS_NAMES`.
    number : int
        Number of the star within its class, not negative.
    seed : int
        Not negative.

    Returns
    -------
    star : Star
        A function of the three arguments alone.

    Raises
    ------
    ConfigError
        If the class is unknown, or a number is negative.
    """
    if class_name not in CLASS_NAMES:
        raise ConfigError(unknown_name("class", class_name, CLASS_NAMES))
    _check_number("number", number, 0)
    _check_number("seed", seed, 0)
    rng = np.random.default_rng([seed, CLASS_NAMES.index(class_name), number])
    kind = _KINDS[class_name]
    period, amplitude, variation = kind.draw(rng)
    absolute_mag = None
    if kind.luminosity is not None:
        at_one_day, slope = kind.luminosity
        absolute_mag = at_one_day + slope * math.log10(period) + rng.normal(0.0, 0.15)
    return Star(
        class_name=class_name,
        number=number,
        seed=seed,
        period=period,
        amplitude=amplitude,
        color=kind.color + float(rng.normal(0.0, kind.color_scatter)),
        absolute_mag=absolute_mag,
        chromaticity=kind.chromaticity,
        variation=variation,
    )


def observe(
    star: Star,
    survey: str | Cadence = "macho",
    *,
    passband: str | None = None,
    noise_scale: float = 1.0,
    outlier_fraction: float = 0.005,
) -> LightCurve:
    """Observe a star on a survey's cadence.

    Uncertainties follow Ivezic et al. (2019), Eq. 5, for nights of varying depth,
    plus a floor. What is fainter than three sigma is not reported. One in thirty
    uncertainties is quoted two to four times too small.

    Parameters
    ----------
    star : Star
        From `draw_star` or `iterate_stars`.
    survey : str or Cadence
        Name in `CADENCES`, or a cadence of your own.
    passband : str, optional
        Filter; the first of the survey by default.
    noise_scale : float
        Factor on the noise, not negative.
    outlier_fraction : float, in [0, 1]
        Share of outliers.

    Returns
    -------
    light_curve : LightCurve
        Times in MJD [d], to a microday; magnitudes to a millimagnitude.

    Raises
    ------
    ConfigError
        If a name is unknown or a number is out of range.
    """
    cadence = _find_cadence(survey)
    band = _find_passband(cadence, passband)
    _check_number("noise_scale", noise_scale, 0.0)
    _check_number("outlier_fraction", outlier_fraction, 0.0, 1.0)

    # Streams of their own: a second passband or survey leaves the first as it was.
    stream = [star.seed, star.label, star.number, zlib.crc32(cadence.survey.encode())]
    visits_rng = np.random.default_rng(stream)
    rng = np.random.default_rng([*stream, zlib.crc32(band.name.encode())])

    mean_mag = _mean_mag(star, cadence, visits_rng) - band.color_term * star.color
    time = _visit_times(cadence, star.seed, visits_rng)
    time = time[_used_visits(band, time, rng)] + band.delay
    gain = band.amplitude_ratio**star.chromaticity
    mag = mean_mag + gain * star.variation(time)

    depth = band.depth + np.minimum(rng.normal(-0.15, 0.3, len(time)), 0.4)
    photon = _photon_error(mag, depth)
    real_error = np.hypot(photon, cadence.systematic_error)
    outlier = rng.random(len(time)) < outlier_fraction
    noise = rng.standard_normal(len(time)) * real_error
    noise += outlier * rng.normal(0.1, 0.4, len(time))
    mag = mag + noise_scale * noise
    quoted = np.hypot(photon, cadence.error_floor) * rng.lognormal(0.0, 0.15, len(time))
    too_small = rng.random(len(time)) < 1 / 30
    quoted = np.where(too_small, quoted / rng.uniform(2.0, 4.0, len(time)), quoted)

    seen = photon < 1.0857 / DETECTION_SIGMA
    if not seen.any():
        # A star below the limit on every night: its one best night remains.
        seen[np.argmin(photon)] = True
    return LightCurve(
        np.round(time[seen], 6),
        np.round(mag[seen], 3),
        np.maximum(np.round(quoted[seen], 3), 0.001),
        passband=band.name,
        object_id=_object_id(star, cadence),
        label=star.label,
        class_name=star.class_name,
    )


def _find_cadence(survey: str | Cadence) -> Cadence:
    if isinstance(survey, Cadence):
        return survey
    if survey not in CADENCES:
        raise ConfigError(unknown_name("survey", survey, CADENCES))
    return CADENCES[survey]


def _find_passband(cadence: Cadence, name: str | None) -> Passband:
    if name is None:
        return cadence.passbands[0]
    for band in cadence.passbands:
        if band.name == name:
            return band
    known = [band.name for band in cadence.passbands]
    raise ConfigError(unknown_name("passband", name, known))


def _object_id(star: Star, cadence: Cadence) -> str:
    if cadence.survey != "macho":
        return f"{cadence.survey}-{star.index:07d}"
    # MACHO names stars by field, tile and sequence; the last two are unique here.
    tile, sequence = divmod(star.index, 2000)
    return f"{tile % 82 + 7}.{tile + 1000}.{sequence + 1}"


def _mean_mag(star: Star, cadence: Cadence, rng: np.random.Generator) -> float:
    """Draw the mean V magnitude as the survey reports it."""
    bright, faint = cadence.mag_range
    # More faint stars than bright ones, as anywhere in the sky.
    anywhere = bright + (faint - bright) * rng.beta(2.2, 1.3)
    if star.absolute_mag is None or cadence.distance_modulus is None:
        return float(anywhere)
    extinction = rng.gamma(2.0, 0.08)
    mag = star.absolute_mag + cadence.distance_modulus + extinction
    return float(mag + cadence.zero_point)


def _clear_nights(cadence: Cadence, seed: int, nights: int) -> NDArray[np.bool_]:
    """Alternate runs of clear and cloudy nights, the same for all stars."""
    if cadence.clear_fraction == 1.0:
        return np.ones(nights, dtype=bool)
    rng = np.random.default_rng([seed, zlib.crc32(cadence.survey.encode())])
    odds = cadence.clear_fraction / (1.0 - cadence.clear_fraction)
    # A run lasts a night at least; where that binds, both kinds are stretched.
    cloudy_spell = max(cadence.spell, 1.0, 1.0 / odds)
    pairs = 2 + int(2 * nights / (cloudy_spell * (1.0 + odds)))
    lengths = np.empty((pairs, 2), dtype=np.int64)
    lengths[:, 0] = rng.geometric(1.0 / (cloudy_spell * odds), pairs)
    lengths[:, 1] = rng.geometric(1.0 / cloudy_spell, pairs)
    clear = np.repeat(np.tile([True, False], pairs), lengths.ravel())
    return np.resize(clear, nights)


def _visit_times(cadence: Cadence, seed: int, rng: np.random.Generator) -> Floats:
    """Draw the start times of the visits to one field, ascending [MJD]."""
    nights = np.arange(int(cadence.start), int(cadence.end) + 1)
    coverage = cadence.night_fraction * rng.beta(3.0, 1.2)
    observed = rng.random(len(nights)) < coverage
    observed &= _clear_nights(cadence, seed, len(nights))
    # Days from opposition: a field is seen late at night before, early after it.
    opposition = rng.uniform(0.0, DAYS_PER_YEAR)
    half_year = DAYS_PER_YEAR / 2
    from_opposition = (nights - opposition + half_year) % DAYS_PER_YEAR - half_year
    observed &= np.abs(from_opposition) <= cadence.season / 2
    if not observed.any():
        observed[np.argmin(np.abs(from_opposition))] = True
    nights, from_opposition = nights[observed], from_opposition[observed]

    meridian = cadence.midnight - 0.14 * from_opposition / half_year
    first = nights + meridian + rng.uniform(-0.12, 0.12, len(nights))
    more = rng.random((len(nights), cadence.visits - 1)) < cadence.repeat_fraction
    follows = np.logical_and.accumulate(more, axis=1)
    gaps = cadence.visit_spacing * rng.uniform(0.7, 1.3, follows.shape)
    later = first[:, None] + np.cumsum(gaps, axis=1)
    return np.sort(np.concatenate([first, later[follows]]))


def _used_visits(
    band: Passband, time: Floats, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose the visits in which a filter is exposed; at least one."""
    used = rng.random(len(time)) < band.visit_fraction
    if band.moon != "any":
        # Local evening to morning is one lunar age: a night keeps its filter.
        age = (np.floor(time) - NEW_MOON_MJD) / LUNAR_MONTH_D % 1.0
        dark = (age < 0.25) | (age > 0.75)
        used &= dark if band.moon == "dark" else ~dark
    if not used.any():
        used[len(time) // 2] = True
    return used


def _photon_error(mag: Floats, depth: Floats) -> Floats:
    """Return the photon noise [mag]: sqrt((0.04 - g) x + g x^2), x = 10^0.4(m - m5)."""
    x = 10.0 ** (0.4 * (mag - depth))
    gamma = 0.039
    return np.asarray(np.sqrt((0.04 - gamma) * x + gamma * x**2))


_Drawn = tuple[float, float, Callable[[Floats], Floats]]


def _clipped_normal(
    rng: np.random.Generator, mean: float, scatter: float, low: float, high: float
) -> float:
    return float(np.clip(rng.normal(mean, scatter), low, high))


def _fourier_shape(
    ratios: Sequence[float] | Floats, phases: Sequence[float]
) -> tuple[Floats, Floats]:
    """Return coefficients of a cosine series with peak-to-peak amplitude 1.

    `ratios` are R_k1 and `phases` phi_k1 [rad] for k = 2, 3, ...; phi_11 is 0.
    """
    order = len(ratios) + 1
    amplitudes = np.array([1.0, *ratios])
    angles = np.array([0.0, *phases])
    grid = np.arange(128) / 128
    k = np.arange(1, order + 1)
    shape = amplitudes @ np.cos(2 * np.pi * np.outer(k, grid) + angles[:, None])
    return amplitudes / np.ptp(shape), angles


def _evaluate(shape: tuple[Floats, Floats], cycles: Floats) -> Floats:
    amplitudes, angles = shape
    # Harmonics as powers of one complex exponential: several times faster.
    turn = np.exp(2j * np.pi * cycles)
    powers = np.ones_like(turn)
    total = np.zeros_like(cycles)
    for amplitude, angle in zip(amplitudes, angles, strict=True):
        powers = powers * turn
        total += amplitude * (powers * np.exp(1j * angle)).real
    return total


def _draw_rrab(rng: np.random.Generator) -> _Drawn:
    """RR Lyrae ab: steep rise, Bailey's period-amplitude relation, some Blazhko."""
    period = _clipped_normal(rng, 0.57, 0.07, 0.40, 0.85)
    amplitude = 1.2 - 3.0 * (period - 0.45) + rng.normal(0.0, 0.12)
    amplitude = float(np.clip(amplitude, 0.3, 1.35))
    # Jurcsik & Kovacs (1996): metallicity from period and phi31 (of a sine series).
    metallicity = _clipped_normal(rng, -1.5, 0.3, -2.3, -0.4)
    phi31 = (metallicity + 5.038 + 5.394 * period) / 1.345
    phi21 = 2.4 + 0.45 * (phi31 - 5.0)
    sine_phases = [phi21 + (k - 2) * (phi31 - phi21) for k in range(2, 8)]
    # A sine series' phi_k1 becomes a cosine series' by adding (k - 1) pi / 2.
    phases = [phase + (i + 1) * math.pi / 2 for i, phase in enumerate(sine_phases)]
    ratios = np.array([0.48, 0.34, 0.22, 0.14, 0.09, 0.05])
    shape = _fourier_shape(ratios * (0.75 + 0.25 * amplitude), phases)
    blazhko = rng.uniform(0.08, 0.3) if rng.random() < 0.3 else 0.0
    blazhko_period, origin = rng.uniform(25.0, 120.0), rng.random()
    zero = rng.random()

    def variation(time: Floats) -> Floats:
        cycle = 2 * np.pi * (time / blazhko_period + origin)
        cycles = time / period + zero + 0.06 * blazhko * np.cos(cycle)
        return amplitude * (1 + blazhko * np.sin(cycle)) * _evaluate(shape, cycles)

    return period, amplitude, variation


def _periodic(
    rng: np.random.Generator,
    period: float,
    amplitude: float,
    ratios: Sequence[float],
    phases: Sequence[float],
) -> _Drawn:
    """Finish a strictly periodic star: a Fourier series at a random phase."""
    shape = _fourier_shape(ratios, phases)
    zero = rng.random()
    return (
        period,
        amplitude,
        lambda time: amplitude * _evaluate(shape, time / period + zero),
    )


def _draw_rrc(rng: np.random.Generator) -> _Drawn:
    """RR Lyrae c: nearly a sine, a small bump before maximum."""
    period = _clipped_normal(rng, 0.325, 0.04, 0.22, 0.43)
    amplitude = _clipped_normal(rng, 0.45, 0.08, 0.2, 0.65)
    ratios = [_clipped_normal(rng, 0.12, 0.05, 0.0, 0.25), 0.06]
    return _periodic(rng, period, amplitude, ratios, [rng.normal(4.8, 0.3), 2.8])


# Fourier parameters of fundamental Cepheids against log10 of the period [d]: the
# Hertzsprung progression, in which the bump crosses maximum light near ten days.
_CEPHEID_LOG_PERIOD = (0.2, 0.5, 0.7, 0.85, 0.95, 1.02, 1.15, 1.4, 1.8)
_CEPHEID_AMPLITUDE = (0.75, 0.75, 0.70, 0.60, 0.52, 0.55, 0.80, 1.05, 1.0)
_CEPHEID_R21 = (0.45, 0.43, 0.38, 0.28, 0.18, 0.14, 0.22, 0.38, 0.35)
_CEPHEID_R31 = (0.26, 0.22, 0.15, 0.08, 0.08, 0.10, 0.12, 0.22, 0.22)
_CEPHEID_PHI21 = (4.1, 4.35, 4.6, 5.0, 5.5, 5.8, 4.9, 4.7, 5.0)
_CEPHEID_PHI31 = (1.9, 2.4, 2.9, 3.7, 4.7, 5.4, 6.6, 7.9, 8.5)


def _draw_cepheid(rng: np.random.Generator) -> _Drawn:
    """Fundamental Cepheid: shape by period, along the Hertzsprung progression."""
    log_period = _clipped_normal(rng, 0.62, 0.26, 0.2, 1.75)

    def at(values: tuple[float, ...]) -> float:
        return float(np.interp(log_period, _CEPHEID_LOG_PERIOD, values))

    amplitude = at(_CEPHEID_AMPLITUDE) * _clipped_normal(rng, 1.0, 0.18, 0.4, 1.4)
    r21, r31 = at(_CEPHEID_R21), at(_CEPHEID_R31)
    phi21 = at(_CEPHEID_PHI21) + rng.normal(0.0, 0.08)
    phi31 = at(_CEPHEID_PHI31) + rng.normal(0.0, 0.12)
    ratios = [r21, r31, 0.6 * r31, 0.3 * r31]
    phases = [phi21, phi31, 2 * phi31 - phi21, 3 * phi31 - 2 * phi21]
    return _periodic(rng, 10.0**log_period, amplitude, ratios, phases)


def _draw_overtone_cepheid(rng: np.random.Generator) -> _Drawn:
    """First-overtone Cepheid: shorter, smaller, rounder; R21 dips near three days."""
    log_period = _clipped_normal(rng, 0.32, 0.17, -0.2, 0.8)
    amplitude = _clipped_normal(rng, 0.38, 0.08, 0.12, 0.6)
    r21 = 0.06 + 0.6 * abs(log_period - 0.48)
    phi21 = 4.2 + 1.1 * np.tanh((log_period - 0.4) / 0.2) + rng.normal(0.0, 0.15)
    ratios = [min(r21, 0.3), 0.05]
    return _periodic(rng, 10.0**log_period, amplitude, ratios, [phi21, 3.2])


def _draw_delta_scuti(rng: np.random.Generator) -> _Drawn:
    """Delta Scuti star: short, small, half of them with a second mode."""
    period = float(np.clip(rng.lognormal(math.log(0.085), 0.4), 0.03, 0.25))
    amplitude = float(np.clip(rng.lognormal(math.log(0.18), 0.5), 0.04, 0.6))
    r21 = 0.1 + 0.4 * amplitude
    shape = _fourier_shape([r21, 0.4 * r21], [4.0, 1.9])
    second = rng.uniform(0.15, 0.6) if rng.random() < 0.5 else 0.0
    # First overtone over fundamental, or a nonradial mode nearby.
    ratio = 0.773 if rng.random() < 0.6 else rng.uniform(0.8, 0.97)
    zero, second_zero = rng.random(), rng.random()

    def variation(time: Floats) -> Floats:
        main = _evaluate(shape, time / period + zero)
        mode = np.cos(2 * np.pi * (time / (ratio * period) + second_zero))
        return amplitude * (main + 0.5 * second * mode)

    return period, amplitude, variation


def _draw_eclipsing_binary(rng: np.random.Generator) -> _Drawn:
    """Eclipsing binary: contact, semi-detached or detached, by separation."""
    kind = rng.choice(3, p=[0.35, 0.25, 0.4])
    if kind == 0:
        period = float(np.clip(rng.lognormal(math.log(0.42), 0.28), 0.22, 1.5))
        width, sharpness = rng.uniform(0.060, 0.075), 1.0
        depth, depth_ratio = rng.uniform(0.08, 0.3), rng.uniform(0.75, 1.0)
        ellipsoidal = rng.uniform(0.1, 0.25)
    elif kind == 1:
        period = float(np.clip(rng.lognormal(math.log(1.6), 0.45), 0.5, 8.0))
        width, sharpness = rng.uniform(0.035, 0.055), rng.uniform(0.7, 1.0)
        depth, depth_ratio = rng.uniform(0.25, 0.65), rng.uniform(0.12, 0.6)
        ellipsoidal = rng.uniform(0.03, 0.12)
    else:
        period = float(np.clip(rng.lognormal(math.log(4.0), 0.7), 0.8, 60.0))
        width = rng.uniform(0.018, 0.032) * min(1.0, (4.0 / period) ** 0.3)
        sharpness = rng.uniform(0.6, 2.0)
        depth, depth_ratio = rng.uniform(0.12, 0.6), rng.uniform(0.2, 1.0)
        ellipsoidal = rng.uniform(0.0, 0.02)
    # Tides have made close orbits round: only wide pairs are eccentric.
    eccentricity = rng.beta(1.2, 5.0) if kind == 2 and period > 4.0 else 0.0
    second_phase = 0.5 + eccentricity * rng.uniform(-0.5, 0.5)
    spots = rng.normal(0.0, 0.008) if kind == 0 else 0.0
    zero = rng.random()

    def eclipse(phase: Floats) -> Floats:
        # Mikulasek (2015): one smooth function from V-shaped to flat eclipses.
        x = np.minimum(np.abs((phase + 0.5) % 1.0 - 0.5) / width, 5.0)
        return 1.0 - (1.0 - np.exp(1.0 - np.cosh(x))) ** sharpness

    def brightness(phase: Floats) -> Floats:
        flux = 1.0 - depth * eclipse(phase)
        flux -= depth * depth_ratio * eclipse(phase - second_phase)
        flux -= ellipsoidal * 0.5 * (1.0 + np.cos(4 * np.pi * phase))
        flux += spots * np.sin(2 * np.pi * phase)
        return -2.5 * np.log10(np.maximum(flux, 0.03))

    whole = brightness(np.linspace(0.0, 1.0, 257))
    mean = float(whole.mean())
    return (
        period,
        float(np.ptp(whole)),
        lambda time: brightness((time / period + zero) % 1.0) - mean,
    )


# Cycles of a long-period variable are numbered from here on [MJD].
_LPV_EPOCH = 40_000.0


def _draw_long_period_variable(rng: np.random.Generator) -> _Drawn:
    """Mira or semiregular variable: no cycle is quite like the one before."""
    mira = rng.random() < 0.45
    if mira:
        period = float(np.clip(rng.lognormal(math.log(310.0), 0.35), 120.0, 700.0))
        amplitude = float(np.clip(rng.normal(2.6 + period / 700.0, 0.6), 1.5, 4.0))
        irregularity, jitter, drift = 0.10, 0.02, 0.10
    else:
        period = float(np.clip(rng.lognormal(math.log(160.0), 0.4), 100.0, 500.0))
        amplitude = float(np.clip(rng.lognormal(math.log(0.6), 0.4), 0.3, 1.5))
        irregularity, jitter, drift = 0.3, 0.05, 0.25
    r21 = rng.uniform(0.05, 0.25)
    shape = _fourier_shape([r21, 0.3 * r21], [rng.normal(4.2, 0.4), 2.4])
    long_amplitude = rng.uniform(0.2, 0.6) if not mira and rng.random() < 0.35 else 0.0
    long_period = period * rng.uniform(8.0, 10.0)
    zero = rng.random()
    # Enough cycles for any survey; interpolated, so that the curve stays smooth.
    cycle_numbers = np.arange(int(26_000.0 / period) + 3)
    draws = rng.standard_normal((3, len(cycle_numbers)))
    heights = np.maximum(1.0 + irregularity * draws[0], 0.3)
    delays = jitter * np.cumsum(draws[1])
    levels = drift * amplitude * draws[2]

    def variation(time: Floats) -> Floats:
        position = (time - _LPV_EPOCH) / period
        height = np.interp(position, cycle_numbers, heights)
        delay = np.interp(position, cycle_numbers, delays)
        level = np.interp(position / 4.0, cycle_numbers, levels)
        slow = 0.5 * long_amplitude * np.cos(2 * np.pi * (time / long_period + zero))
        cycles = position + zero + delay
        mag = amplitude * (height * _evaluate(shape, cycles) + slow) + 0.5 * level
        return np.asarray(mag, dtype=np.float64)

    return period, amplitude, variation


def _draw_constant(rng: np.random.Generator) -> _Drawn:
    """Return a star that does not vary."""
    del rng
    return math.nan, 0.0, lambda time: np.zeros(len(time))


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """What the stars of a class have in common."""

    draw: Callable[[np.random.Generator], _Drawn]
    luminosity: tuple[float, float] | None
    color: float
    color_scatter: float
    chromaticity: float


# Luminosity: absolute V magnitude at one day, and its slope with log10 of the period.
_KINDS: Final[Mapping[str, _Kind]] = {
    "Cep_0": _Kind(_draw_cepheid, (-1.40, -2.75), 0.42, 0.06, 1.0),
    "Cep_1": _Kind(_draw_overtone_cepheid, (-1.95, -3.1), 0.36, 0.05, 1.0),
    "EC": _Kind(_draw_eclipsing_binary, None, 0.15, 0.20, 0.05),
    "LPV": _Kind(_draw_long_period_variable, (-1.5, -0.35), 1.30, 0.25, 1.0),
    "RRab": _Kind(_draw_rrab, (0.50, -1.2), 0.26, 0.05, 1.0),
    "RRc": _Kind(_draw_rrc, (0.10, -1.2), 0.20, 0.05, 1.0),
    "DSCT": _Kind(_draw_delta_scuti, None, 0.18, 0.06, 1.0),
    "CONST": _Kind(_draw_constant, None, 0.45, 0.30, 0.0),
}


def _class_counts(
    num_objects: int | None, classes: Sequence[str] | Mapping[str, int] | None
) -> dict[str, int]:
    """Return how many stars of each class to draw."""
    names = list(CLASS_NAMES if classes is None else classes)
    for name in names:
        if name not in CLASS_NAMES:
            raise ConfigError(unknown_name("class", name, CLASS_NAMES))
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"`classes` must name each class once. Received: classes={names}. "
            "Give counts as a mapping to weight the classes."
        )
    if isinstance(classes, Mapping):
        if num_objects is not None:
            raise ConfigError(
                "`num_objects` and counts in `classes` exclude each other. "
                f"Received: num_objects={num_objects}, classes={dict(classes)}. "
                "Give one of them."
            )
        for name, count in classes.items():
            _check_number(f"classes[{name!r}]", count, 0)
        return dict(classes)
    if num_objects is None:
        raise ConfigError(
            "The number of stars is not given. Received: num_objects=None. "
            "Give `num_objects`, or `classes` as a mapping of class to count."
        )
    _check_number("num_objects", num_objects, 0)
    rounds, rest = divmod(num_objects, len(names))
    return {name: rounds + (place < rest) for place, name in enumerate(names)}


# Quality columns of one color in the archive's order: a plausible value where the
# magnitude was measured, and the archive's own code where it was not.
_MACHO_QUALITY: Final = {
    "normsky": (0.0, 999.0),
    "type": (1.0, 999.0),
    "crowd": (60.0, 999.0),
    "chi2": (100.0, 999.0),
    "mpix": (0.0, 999.0),
    "cosmicrf": (0.0, 999.0),
    "amp": (5.0, 5.0),
    "xpix": (-99.0, -99.0),
    "ypix": (-99.0, -99.0),
    "avesky": (2500.0, 2500.0),
    "fwhm": (4.0, 4.0),
    "tobs": (2418, 2418),
    "cut": (1, 0),
}
_MACHO_EXPOSURE_S = 300.0
_MACHO_AIRMASS = 1.5


def write_macho_csv(
    light_curves: Iterable[LightCurve],
    folder: str | Path,
    *,
    objects_per_file: int = 1,
) -> list[Path]:
    """Write light curves as the MACHO archive serves them: CSV, both colors in a row.

    A magnitude that is missing in one color is written as -99. Quality columns hold
    plausible constants. Beside the files, ``labels.csv`` lists `object_id` and
    `class_name` of every object whose class is known.

    Parameters
    ----------
    light_curves : iterable of LightCurve
        Passbands R or B; object ids of the form ``field.tile.sequence``, with the
        passbands of an object next to each other.
    folder : str or pathlib.Path
        Made if it does not exist; files of the same name are replaced.
    objects_per_file : int
        Objects in one file. A single object's file is named after it.

    Returns
    -------
    paths : list of pathlib.Path
        The files with observations, in order; ``labels.csv`` is not among them.

    Raises
    ------
    LightCurveError
        If an object id or a passband is not MACHO's, or an object has one passband
        twice.
    ConfigError
        If `objects_per_file` is not positive.
    """
    import polars as pl

    _check_number("objects_per_file", objects_per_file, 1)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    by_object = (
        (object_id, list(curves))
        for object_id, curves in itertools.groupby(
            light_curves, key=lambda curve: curve.object_id
        )
    )
    paths: list[Path] = []
    classes: dict[str, str | None] = {}
    while group := list(itertools.islice(by_object, objects_per_file)):
        frames = []
        for object_id, curves in group:
            if object_id in classes:
                raise LightCurveError(
                    "The light curves of an object must follow each other. "
                    f'Received: object_id="{object_id}" twice. Sort them by object.'
                )
            frames.append(_macho_frame(object_id, curves))
            classes[object_id] = curves[0].class_name
        name = group[0][0] if objects_per_file == 1 else f"{len(paths):05d}"
        paths.append(folder / f"LC_{name}.csv")
        pl.concat(frames).write_csv(paths[-1])
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("object_id", "class_name"))
        writer.writerows(item for item in classes.items() if item[1] is not None)
    return paths


def _macho_frame(object_id: str, curves: Sequence[LightCurve]) -> pl.DataFrame:
    """Lay out one object's observations, a row per time."""
    import polars as pl

    parts = object_id.split(".")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise LightCurveError(
            "A MACHO object is named field.tile.sequence, three whole numbers. "
            f'Received: object_id="{object_id}".'
        )
    by_band = {curve.passband: curve for curve in curves}
    if not set(by_band) <= {"R", "B"} or len(by_band) < len(curves):
        raise LightCurveError(
            "A MACHO object has the passbands R and B, each at most once. "
            f"Received: passbands={[curve.passband for curve in curves]} for "
            f'object_id="{object_id}".'
        )
    time = np.unique(np.concatenate([curve.time for curve in curves]))
    field, tile, sequence = (int(part) for part in parts)
    constants = {"fieldid": field, "tileid": tile, "seqn": sequence}
    columns: dict[str, object] = {
        "obsid": np.arange(1, len(time) + 1),
        "dateobs": time,
        "exposure": np.full(len(time), _MACHO_EXPOSURE_S),
        "airmass": np.full(len(time), _MACHO_AIRMASS),
    }
    for band in ("R", "B"):
        columns.update(_macho_color(band.lower(), by_band.get(band), time))
    return pl.DataFrame(columns).select(
        *(pl.lit(value).alias(name) for name, value in constants.items()),
        pl.all(),
    )


def _macho_color(
    prefix: str, curve: LightCurve | None, time: Floats
) -> dict[str, NDArray[np.generic]]:
    """Return the columns of one color at the times of all rows."""
    mag = np.full(len(time), MACHO_MISSING, dtype=np.float32)
    mag_err = mag.copy()
    measured = np.zeros(len(time), dtype=bool)
    if curve is not None:
        if len(np.unique(curve.time)) < len(curve):
            raise LightCurveError(
                "A MACHO file holds one measurement per time and color. Received: "
                f'repeated times in object_id="{curve.object_id}", '
                f'passband="{curve.passband}". Merge them first.'
            )
        rows = np.searchsorted(time, curve.time)
        mag[rows], mag_err[rows], measured[rows] = curve.mag, curve.mag_err, True
    columns: dict[str, NDArray[np.generic]] = {
        f"{prefix}mag": mag,
        f"{prefix}err": mag_err,
    }
    for name, (value, missing) in _MACHO_QUALITY.items():
        columns[prefix + name] = np.where(measured, value, missing)
    return columns
