"""Periods of a window's visible observations, found inside the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import keras
import numpy as np
from keras import ops

from astromer.models.config import NUM_STATISTICS, PERIOD_CHANNELS

__all__ = [
    "SMALLEST_SCATTER_MAG",
    "MagnitudeStatistics",
    "PeriodSearch",
    "VisibleScale",
]

SMALLEST_SCATTER_MAG: Final = 1e-3
"""Added to the scatter of a window, so that a constant one has a scale too [mag]."""

SMALLEST_SCATTER: Final = 1e-3
"""The same in units of the scatter, where it is measured again without outliers."""

NUM_PEAKS: Final = 12
"""Highest peaks of the periodogram that are fitted."""

OFFSET: Final = 0.35
"""Steps of the grid between the fits at a peak and those below and above it."""

_BIN: Final = 32
_RIDGE: Final = 0.3
_PHASES: Final = 48
_TIE: Final = 1e-5
"""What decides between equals: more than rounding, less than a difference that counts."""
_TINY: Final = 1e-12
_TWO_PI: Final = 2.0 * math.pi


@keras.saving.register_keras_serializable("astromer")
class VisibleScale(keras.layers.Layer):
    """Give magnitudes the mean and scatter of what is visible of their window.

    Call arguments: ``mag`` [mag], ``valid`` and ``hidden``, each of shape ``(batch,
    window_size)``. Returns ``scaled`` of that shape, dimensionless, zero where hidden
    or padding; ``mean`` and ``scatter``, of shape ``(batch, 1)`` [mag].
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, mag: Any, valid: Any, hidden: Any) -> Any:
        visible = ops.logical_and(valid, ops.logical_not(hidden))
        weight = ops.cast(visible, "float32")
        count = ops.maximum(ops.sum(weight, axis=1, keepdims=True), 1.0)
        mag = ops.where(visible, mag, 0.0)
        mean = ops.sum(mag, axis=1, keepdims=True) / count
        centered = ops.where(visible, mag - mean, 0.0)
        variance = ops.sum(ops.square(centered), axis=1, keepdims=True) / count
        scatter = ops.sqrt(ops.maximum(variance, _TINY)) + SMALLEST_SCATTER_MAG
        return centered / scatter, mean, scatter

    def compute_output_shape(self, mag_shape: Any, *_: Any, **__: Any) -> Any:
        return mag_shape, (mag_shape[0], 1), (mag_shape[0], 1)


@keras.saving.register_keras_serializable("astromer")
class MagnitudeStatistics(keras.layers.Layer):
    """Describe the distribution of the visible magnitudes of a window.

    Call arguments: ``scaled`` magnitudes, shape ``(batch, window_size)``, and
    ``scatter``, shape ``(batch, 1)`` [mag], from `VisibleScale`, with ``valid`` and
    ``hidden``. Returns ``(batch, 3)``, dimensionless: the decimal logarithm of the
    scatter, 0 at 0.1 mag; half the skewness, and the decimal logarithm of the kurtosis,
    0 for a normal distribution, both within -2 and 2.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, scaled: Any, scatter: Any, valid: Any, hidden: Any) -> Any:
        weight = ops.cast(ops.logical_and(valid, ops.logical_not(hidden)), "float32")
        count = ops.maximum(ops.sum(weight, axis=1, keepdims=True), 1.0)
        weight = weight / count
        skewness = ops.sum(weight * scaled**3, axis=1, keepdims=True)
        kurtosis = ops.sum(weight * scaled**4, axis=1, keepdims=True)
        moments = [0.5 * skewness, ops.log10((kurtosis + _TINY) / 3.0)]
        moments = ops.clip(ops.concatenate(moments, axis=1), -2.0, 2.0)
        return ops.concatenate([ops.log10(scatter) + 1.0, moments], axis=1)

    def compute_output_shape(self, scaled_shape: Any, *_: Any, **__: Any) -> Any:
        return scaled_shape[0], NUM_STATISTICS


class _Fits(NamedTuple):
    """Least-squares fits of a mean and harmonics, one per frequency."""

    frequency: Any
    """(batch, n) [1/d]."""
    explained: Any
    """(batch, n): share of the variance that is explained, less what the ridge takes."""
    coefficients: Any
    """(batch, n, 1 + 2 * num_harmonics): mean, then cosine and sine of each harmonic."""


@keras.saving.register_keras_serializable("astromer")
class PeriodSearch(keras.layers.Layer):
    """Find the periods of what is visible, and say where they put each observation.

    A periodogram on a linear grid of frequencies, whose highest peaks are fitted by a
    few harmonics, and by as many of half their frequency. The fits that explain most
    are the window's candidates. All of it is a function of times and visible
    magnitudes; nothing is trained, and no gradient passes.

    On a grid of frequencies ``a +- b`` the sums over observations of ``y cos(f t)`` and
    ``y sin(f t)`` are sums and differences of four matrix products, of the cosines and
    sines of ``a t`` with those of ``b t``: a hundred thousand frequencies cost a window
    as much as a small encoder.

    Call arguments: ``time`` [d], ``scaled`` magnitudes from `VisibleScale`, ``valid``
    and ``hidden``, each of shape ``(batch, window_size)``. Returns

    - per observation ``(batch, window_size, num_periods * (2 num_harmonics + 1))``: of
      each candidate, the fitted magnitude and sines and cosines of the phase and its
      multiples, times the share that the fit explains;
    - per window ``(batch, num_periods * (2 num_harmonics + 2 PERIOD_CHANNELS + 2))``:
      of each candidate, the logarithm of its frequency, the share explained, and the
      harmonics, their phases counted from the faintest phase.

    Parameters
    ----------
    num_periods : int
        Candidates.
    num_harmonics : int
        Harmonics of each fit.
    max_frequency : float
        Highest frequency searched [1/d].
    num_frequencies : int
        Frequencies searched, a power of two.
    outlier_limit : float, optional
        Distance from the mean, in scatters of the window, beyond which an observation
        counts for less: its weight falls with the square of the distance. By default
        all count alike.
    """

    def __init__(
        self,
        num_periods: int,
        num_harmonics: int,
        max_frequency: float,
        num_frequencies: int,
        outlier_limit: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_periods = num_periods
        self.num_harmonics = num_harmonics
        self.max_frequency = max_frequency
        self.num_frequencies = num_frequencies
        self.outlier_limit = outlier_limit
        self._columns = 1 << (num_frequencies.bit_length() // 2)
        self._rows = num_frequencies // self._columns
        self._step = max_frequency / num_frequencies

    def call(self, time: Any, scaled: Any, valid: Any, hidden: Any) -> Any:
        visible = ops.logical_and(valid, ops.logical_not(hidden))
        weight = ops.cast(visible, "float32")
        count = ops.maximum(ops.sum(weight, axis=1, keepdims=True), 1.0)
        weight = weight / count
        if self.outlier_limit is not None:
            weight, count = _trust(scaled, weight, self.outlier_limit)
            mean, scatter = _moments(scaled, weight)
            scaled = (scaled - mean) / scatter
        peaks = self._peaks(time, weight * scaled)
        candidates = self._candidates(time, scaled, weight, count, peaks)
        frequency = self._select(time, visible, candidates)
        fits = fit_harmonics(time, scaled, weight, count, frequency, self.num_harmonics)
        harmonics, start, share = self._from_faintest(fits)
        per_window = self._describe_window(fits, harmonics, share)
        if self.outlier_limit is not None:
            fits = _scale_back(fits, mean, scatter)
        per_observation = self._describe_observations(time, fits, start, share)
        return ops.stop_gradient(per_observation), ops.stop_gradient(per_window)

    def compute_output_shape(self, time_shape: Any, *_: Any, **__: Any) -> Any:
        batch, size = time_shape
        harmonics = 2 * self.num_harmonics
        return (
            (batch, size, self.num_periods * (harmonics + 1)),
            (batch, self.num_periods * (harmonics + 2 * PERIOD_CHANNELS + 2)),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_periods": self.num_periods,
            "num_harmonics": self.num_harmonics,
            "max_frequency": self.max_frequency,
            "num_frequencies": self.num_frequencies,
            "outlier_limit": self.outlier_limit,
        }

    def _peaks(self, time: Any, values: Any) -> Any:
        """Return the frequencies of the highest peaks, (batch, NUM_PEAKS)."""
        rows, half = self._rows, self._columns // 2
        # Row r holds the frequencies r C + 1 to (r + 1) C about its middle; each is
        # half a step and some whole ones above or below.
        first = _cycles(
            ops.expand_dims(time, 1) * np.float32(self._step * (half + 0.5))
        )
        pace = _cycles(
            ops.expand_dims(time, 1) * np.float32(self._step * self._columns)
        )
        numbers = np.arange(rows, dtype=np.float32)[:, None]
        middle = _TWO_PI * _cycles(first + _cycles(ops.multiply(pace, numbers)))
        offset = (np.arange(half) + 0.5) * self._step
        offset = _cycles(
            ops.multiply(ops.expand_dims(time, 2), offset.astype(np.float32))
        )
        offset = _TWO_PI * offset
        middle = ops.concatenate([ops.cos(middle), ops.sin(middle)], axis=1)
        offset = ops.concatenate([ops.cos(offset), ops.sin(offset)], axis=2)
        products = ops.matmul(middle * ops.expand_dims(values, 1), offset)
        cos_cos, cos_sin = products[:, :rows, :half], products[:, :rows, half:]
        sin_cos, sin_sin = products[:, rows:, :half], products[:, rows:, half:]
        above = ops.square(cos_cos - sin_sin) + ops.square(sin_cos + cos_sin)
        below = ops.square(cos_cos + sin_sin) + ops.square(sin_cos - cos_sin)
        power = ops.concatenate([ops.flip(below, axis=2), above], axis=2)
        power = ops.reshape(power, (-1, self.num_frequencies // _BIN, _BIN))
        height = ops.max(power, axis=-1)
        # A slope is no peak.
        left = ops.pad(height[:, :-1], ((0, 0), (1, 0)))
        right = ops.pad(height[:, 1:], ((0, 0), (0, 1)))
        is_peak = ops.logical_and(height >= left, height >= right)
        peaks = ops.where(is_peak, height, 0.0 * height)
        peaks = peaks - _handicap(np.arange(height.shape[1], dtype=np.float32))
        bins = ops.cast(ops.top_k(peaks, NUM_PEAKS)[1], "int32")
        within = ops.take_along_axis(power, ops.expand_dims(bins, 2), axis=1)
        within = within - np.float32(_TIE / _BIN) * np.arange(_BIN, dtype=np.float32)
        index = bins * _BIN + _argmax(within)
        return (ops.cast(index, "float32") + 1.0) * np.float32(self._step)

    def _candidates(
        self, time: Any, scaled: Any, weight: Any, count: Any, peaks: Any
    ) -> _Fits:
        """Fit around each peak and its half; return the best of each."""
        shape = (-1, NUM_PEAKS * 2, 3)
        offset = OFFSET * self._step
        fits = fit_around_peaks(
            time, scaled, weight, count, peaks, offset, self.num_harmonics
        )
        explained = ops.reshape(fits.explained, shape)
        center = ops.reshape(fits.frequency, shape)[..., 1]
        low, middle, high = explained[..., 0], explained[..., 1], explained[..., 2]
        # The vertex of the parabola through the three.
        curvature = 2.0 * middle - low - high
        shift = 0.5 * (high - low) / ops.maximum(curvature, 1e-6)
        shift = ops.clip(shift, -1.5, 1.5) * np.float32(offset)
        scale = np.tile(np.array([1.0, 0.5], np.float32), NUM_PEAKS)
        frequency = center + shift * scale
        return _Fits(frequency, ops.max(explained, axis=-1), None)

    def _select(self, time: Any, visible: Any, fits: _Fits) -> Any:
        """Return the frequencies of the best fits, no two alike.

        Shape (batch, num_periods), the best one first.
        """
        last = ops.max(ops.where(visible, time, -1e9), axis=1, keepdims=True)
        first = ops.min(ops.where(visible, time, 1e9), axis=1, keepdims=True)
        width = 1.0 / ops.maximum(last - first, 1.0)
        explained = fits.explained
        frequencies = []
        handicap = _handicap(fits.frequency / np.float32(_BIN * self._step))
        for _ in range(self.num_periods):
            best = ops.expand_dims(_argmax(explained - handicap), 1)
            chosen = ops.take_along_axis(fits.frequency, best, axis=1)
            frequencies.append(chosen)
            near = ops.abs(fits.frequency - chosen) < width
            explained = ops.where(near, -1.0, explained)
        return ops.concatenate(frequencies, axis=1)

    def _from_faintest(self, fits: _Fits) -> tuple[Any, Any, Any]:
        """Return harmonics counted from the faintest phase, that phase, and the share.

        The first, cosine and sine of each harmonic, have shape (batch, num_periods,
        num_harmonics, 2); the phase [rad], and the share of the variance that the fit
        explains, (batch, num_periods).
        """
        phase = np.arange(_PHASES) * (_TWO_PI / _PHASES)
        order = np.arange(1, self.num_harmonics + 1)[:, None]
        waves = np.stack([np.cos(order * phase), np.sin(order * phase)], axis=1)
        waves = waves.reshape(2 * self.num_harmonics, _PHASES).astype(np.float32)
        profile = ops.matmul(fits.coefficients[..., 1:], ops.convert_to_tensor(waves))
        profile = profile - np.float32(_TIE) * np.arange(_PHASES, dtype=np.float32)
        start = ops.cast(_argmax(profile), "float32") * (_TWO_PI / _PHASES)
        angle = ops.multiply(
            ops.expand_dims(start, -1),
            np.arange(1, self.num_harmonics + 1, dtype=np.float32),
        )
        cosine, sine = fits.coefficients[..., 1::2], fits.coefficients[..., 2::2]
        turned = ops.stack(
            [
                cosine * ops.cos(angle) + sine * ops.sin(angle),
                sine * ops.cos(angle) - cosine * ops.sin(angle),
            ],
            axis=-1,
        )
        return turned, start, ops.clip(fits.explained, 0.0, 1.0)

    def _describe_observations(
        self, time: Any, fits: _Fits, start: Any, share: Any
    ) -> Any:
        phase = _TWO_PI * _cycles(
            ops.expand_dims(time, 2) * ops.expand_dims(fits.frequency, 1)
        )
        original = []
        waves = []
        for order in range(1, self.num_harmonics + 1):
            angle = phase * float(order)
            original += [ops.cos(angle), ops.sin(angle)]
            angle = (phase - ops.expand_dims(start, 1)) * float(order)
            waves += [ops.cos(angle), ops.sin(angle)]
        original = ops.stack(original, axis=-1)  # (batch, size, K, 2 H)
        coefficients = ops.expand_dims(fits.coefficients, 1)
        fitted = coefficients[..., 0] + ops.sum(
            original * coefficients[..., 1:], axis=-1
        )
        waves = ops.stack(waves, axis=-1) * ops.expand_dims(share, (1, 3))
        channels = ops.concatenate([ops.expand_dims(fitted, -1), waves], axis=-1)
        width = self.num_periods * (2 * self.num_harmonics + 1)
        return ops.reshape(channels, (-1, ops.shape(time)[1], width))

    def _describe_window(self, fits: _Fits, harmonics: Any, share: Any) -> Any:
        lowest = math.log(self._step / 2)
        span = math.log(self.max_frequency) - lowest
        place = (ops.log(ops.maximum(fits.frequency, self._step / 2)) - lowest) / span
        angle = ops.multiply(
            ops.expand_dims(place, -1),
            np.pi * np.arange(1, PERIOD_CHANNELS + 1, dtype=np.float32),
        )
        flat = ops.reshape(harmonics, (-1, self.num_periods, 2 * self.num_harmonics))
        parts = [
            ops.cos(angle),
            ops.sin(angle),
            ops.expand_dims(place, -1),
            ops.expand_dims(share, -1),
            flat,
        ]
        values = ops.concatenate(parts, axis=-1)
        width = 2 * PERIOD_CHANNELS + 2 + 2 * self.num_harmonics
        return ops.reshape(values, (-1, self.num_periods * width))


def _trust(scaled: Any, weight: Any, limit: float) -> tuple[Any, Any]:
    """Take weight from observations far from the mean, and say how many are left.

    The number is that of equal weights which would scatter a mean as much.
    """
    weight = weight / ops.maximum(1.0, ops.square(scaled / limit))
    weight = weight / ops.maximum(ops.sum(weight, axis=1, keepdims=True), _TINY)
    squares = ops.sum(ops.square(weight), axis=1, keepdims=True)
    return weight, ops.maximum(1.0 / ops.maximum(squares, _TINY), 1.0)


def _moments(scaled: Any, weight: Any) -> tuple[Any, Any]:
    """Return the weighted mean and scatter, each of shape (batch, 1)."""
    mean = ops.sum(weight * scaled, axis=1, keepdims=True)
    variance = ops.sum(weight * ops.square(scaled - mean), axis=1, keepdims=True)
    return mean, ops.sqrt(ops.maximum(variance, _TINY)) + SMALLEST_SCATTER


def _scale_back(fits: _Fits, mean: Any, scatter: Any) -> _Fits:
    """Return fits in the units that magnitudes had before these were taken off."""
    coefficients = ops.expand_dims(scatter, -1) * fits.coefficients
    mean = ops.expand_dims(mean, -1) + coefficients[..., :1]
    return fits._replace(
        coefficients=ops.concatenate([mean, coefficients[..., 1:]], axis=-1)
    )


def fit_harmonics(
    time: Any, values: Any, weight: Any, count: Any, frequency: Any, num_harmonics: int
) -> _Fits:
    """Fit a mean and harmonics at many frequencies, with a ridge.

    The normal equations hold nothing but sums of powers of one complex exponential.
    The ridge is that of harmonics expected to fall with their order.
    """
    phase = _TWO_PI * _cycles(ops.expand_dims(frequency, 2) * ops.expand_dims(time, 1))
    columns = ops.stack([weight, weight * values], axis=-1)
    orders = range(1, 2 * num_harmonics + 1)
    real, imaginary = [], []
    for cosine, sine in _powers(ops.cos(phase), ops.sin(phase), orders):
        real.append(ops.matmul(cosine, columns))
        imaginary.append(ops.matmul(sine, columns))
    real, imaginary = ops.stack(real, axis=2), ops.stack(imaginary, axis=2)
    mean = ops.sum(weight * values, axis=1, keepdims=True)
    return _solve(frequency, real, imaginary, mean, count)


def fit_around_peaks(
    time: Any,
    values: Any,
    weight: Any,
    count: Any,
    peaks: Any,
    offset: float,
    num_harmonics: int,
) -> _Fits:
    """Fit at peaks and half their frequencies, and somewhat below and above both.

    The light curve of an eclipsing binary repeats at half the frequency of its highest
    peak. Fits come peak by peak, the three of the whole frequency before those of half.
    The same as `fit_harmonics` at frequencies (peak - offset, peak, peak + offset) and
    half of these, for less. All that a peak needs are powers of one complex
    exponential, at half its frequency. Below and above, they are products with powers
    of a slow one, which all peaks of a window share: a third factor in the sums.
    """
    half = 0.5 * ops.expand_dims(peaks, 2) * ops.expand_dims(time, 1)
    slow = (0.5 * offset) * ops.expand_dims(time, 1)
    phase = _TWO_PI * _cycles(ops.concatenate([half, slow], axis=1))
    columns = ops.stack([weight, weight * values], axis=-1)
    # Harmonics of half a frequency, and then those of a whole one not yet among them.
    at_half = range(1, 2 * num_harmonics + 1)
    orders = [*at_half, *range(at_half[-1] + 2, 2 * at_half[-1] + 1, 2)]
    real, imaginary = [], []
    for cosine, sine in _powers(ops.cos(phase), ops.sin(phase), orders):
        factors = ops.concatenate(
            [
                columns,
                columns * ops.expand_dims(cosine[:, -1], 2),
                columns * ops.expand_dims(sine[:, -1], 2),
            ],
            axis=-1,
        )
        real.append(ops.matmul(cosine[:, :-1], factors))
        imaginary.append(ops.matmul(sine[:, :-1], factors))
    real, imaginary = ops.stack(real, axis=2), ops.stack(imaginary, axis=2)
    at = real[..., :2], imaginary[..., :2]
    by_cosine = real[..., 2:4], imaginary[..., 2:4]
    by_sine = real[..., 4:], imaginary[..., 4:]
    real = [by_cosine[0] + by_sine[1], at[0], by_cosine[0] - by_sine[1]]
    imaginary = [by_cosine[1] - by_sine[0], at[1], by_cosine[1] + by_sine[0]]
    places = [[orders.index(base * order) for order in at_half] for base in (2, 1)]

    def arranged(parts: list[Any]) -> Any:
        """Return (batch, fits, harmonics, 2)."""
        each = ops.stack(parts, axis=2)  # (batch, peaks, 3, orders, 2)
        each = ops.stack([ops.take(each, place, axis=3) for place in places], axis=2)
        return ops.reshape(each, (-1, peaks.shape[1] * 6, len(at_half), 2))

    tried = ops.expand_dims(peaks, 2) + np.array([-offset, 0.0, offset], np.float32)
    tried = ops.stack([tried, 0.5 * tried], axis=2)
    tried = ops.reshape(tried, (-1, peaks.shape[1] * 6))
    mean = ops.sum(weight * values, axis=1, keepdims=True)
    return _solve(tried, arranged(real), arranged(imaginary), mean, count)


def _powers(cosine: Any, sine: Any, orders: Iterable[int]) -> Iterator[tuple[Any, Any]]:
    """Yield cosine and sine of multiples of an angle.

    Orders begin with 1 and 2, and each is one or two more than that before it.
    """
    held = {1: (cosine, sine)}
    before = 0
    for order in orders:
        if order > 1:
            (real, imaginary), (x, y) = held[before], held[order - before]
            held[order] = real * x - imaginary * y, imaginary * x + real * y
        before = order
        yield held[order]


def _solve(frequency: Any, real: Any, imaginary: Any, mean: Any, count: Any) -> _Fits:
    """Solve the normal equations of fits, given sums of powers of an exponential.

    `real` and `imaginary` have shape (batch, n, 2 * num_harmonics, 2): sums over
    observations of weights, and of weights times values; `mean`, of shape (batch, 1),
    is the latter's power of zero.
    """
    ones = ops.expand_dims(ops.ones_like(frequency), -1)
    num_harmonics = real.shape[2] // 2
    size = 2 * num_harmonics + 1
    products = ops.matmul(
        ops.concatenate([ones, real[..., 0], imaginary[..., 0]], axis=-1),
        ops.convert_to_tensor(_products_from_sums(num_harmonics)),
    )
    matrix = ops.reshape(products, (-1, frequency.shape[1], size, size))
    waves = ops.stack([real[..., 1], imaginary[..., 1]], axis=-1)[:, :, :num_harmonics]
    waves = ops.reshape(waves, (-1, frequency.shape[1], size - 1))
    vector = ops.concatenate([ops.expand_dims(mean, -1) * ones, waves], axis=-1)
    orders = (np.arange(size) + 1) // 2
    ridge = np.diag(_RIDGE * orders**2 + 1e-4).astype(np.float32)
    matrix = matrix + ops.multiply(1.0 / ops.expand_dims(count, (2, 3)), ridge)
    coefficients = solve_positive(matrix, vector)
    return _Fits(frequency, ops.sum(coefficients * vector, axis=-1), coefficients)


def _products_from_sums(num_harmonics: int) -> Any:
    """Return what makes the sums of products of two harmonics from sums of powers.

    Shape (1 + 4 * num_harmonics, (1 + 2 * num_harmonics)**2): the product of two
    sines or cosines is half a sum of the cosines or sines of two angles.
    """
    size = 2 * num_harmonics + 1
    made = np.zeros((1 + 2 * (size - 1), size, size), np.float32)
    for row, column in np.ndindex(size, size):
        j, row_is_sine = (row + 1) // 2, row > 0 and row % 2 == 0
        k, column_is_sine = (column + 1) // 2, column > 0 and column % 2 == 0
        total, difference = j + k, abs(j - k)
        if row_is_sine == column_is_sine:
            made[difference, row, column] += 0.5
            made[total, row, column] += -0.5 if row_is_sine else 0.5
        else:
            # sin a cos b = (sin(a + b) + sin(a - b)) / 2
            made[size - 1 + total, row, column] += 0.5
            sign = np.sign(j - k) if row_is_sine else np.sign(k - j)
            if difference:
                made[size - 1 + difference, row, column] += 0.5 * sign
    return made.reshape(-1, size * size)


def solve_positive(matrix: Any, vector: Any) -> Any:
    """Solve small positive definite systems by elimination without pivoting.

    Unlike a library's solver it is nothing but products, which every backend and
    exported file has.
    """
    size = matrix.shape[-1]
    both = ops.concatenate([matrix, ops.expand_dims(vector, -1)], axis=-1)
    for i in range(size):
        here = np.eye(size, dtype=np.float32)[i][:, None]
        pivot = both[..., i : i + 1, :] / both[..., i : i + 1, i : i + 1]
        factor = ops.multiply(both[..., :, i : i + 1], 1.0 - here)
        both = ops.multiply(both, 1.0 - here) + ops.multiply(pivot, here)
        both = both - factor * pivot
    return both[..., -1]


def _handicap(place: Any) -> Any:
    """Return what is taken from a frequency, so that of equals the lowest is chosen.

    Magnitudes that are constant, few, or taken at one time of the day leave many equal,
    of which each engine, and each size of a batch, would choose another. Frequencies
    are counted in bins.
    """
    return np.float32(_TIE) * ops.log(1.0 + ops.maximum(place, 0.0))


def _argmax(values: Any) -> Any:
    """Return the place of the largest along the last axis.

    `ops.argmax` looks at bits on TensorFlow, which ONNX cannot.
    """
    return ops.cast(ops.top_k(values, 1)[1][..., 0], "int32")


def _cycles(turns: Any) -> Any:
    return turns - ops.floor(turns)
