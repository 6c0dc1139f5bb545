"""One object's observations in one passband, checked once and then trusted.

Everything that enters Astromer by hand becomes a `LightCurve` here; everything
further down may rely on sorted, finite, equally long arrays.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astromer.columns import match_columns
from astromer.errors import LightCurveError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FRAME_COLUMNS",
    "MISSING_MAG",
    "MOST_TIME_STEP_D",
    "LightCurve",
    "is_frame",
    "largest_step",
    "light_curves_from_frame",
]

FRAME_COLUMNS = ("object_id", "passband", "time", "mag", "mag_err", "class_name")
"""Columns of a long frame by role, one row per observation; time and magnitudes are
needed, with their uncertainties."""

MOST_TIME_STEP_D: Final = 0.01
"""Steps of rounded times above which a light curve is refused [d]."""

MISSING_MAG: Final = 99.0
"""Magnitudes and uncertainties of this size or more are codes, e.g. -99 [mag]."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class LightCurve:
    """Observations of one object in one passband, sorted by time.

    Arrays are copied, sorted by time (stable), checked and made read-only.
    Observations at equal times are kept in the order given.

    Parameters
    ----------
    time : array-like, shape (n,)
        Observation times in days (MJD, HJD or any other day count), finite.
    mag : array-like, shape (n,)
        Magnitudes [mag], finite and not a missing-value code such as -99 or 99.99.
        Stored as float32.
    mag_err : array-like, shape (n,)
        Uncertainties of `mag` [mag], finite, not negative and no such code. Stored as
        float32.
    passband : str
        Name of the filter, e.g. ``"R"``. None, NaN and pandas' NA are the empty name.
    object_id : str
        Name of the object; as `passband`.
    label : int
        Class number, or -1 (or None and the like) where unknown.
    class_name : str, optional
        Class name, or None (or NaN and the like) where unknown.

    Raises
    ------
    LightCurveError
        If the arrays are empty, not one-dimensional, of different lengths, not
        finite, or hold missing-value codes, or if an uncertainty is negative, or times
        are float32 and so large that they step by more than `MOST_TIME_STEP_D`.

    Examples
    --------
    >>> curve = LightCurve([2.0, 1.0], [15.1, 15.3], [0.1, 0.1], object_id="star")
    >>> curve.time.tolist(), len(curve)
    ([1.0, 2.0], 2)
    """

    time: NDArray[np.float64]
    """Times [d], float64: float32 near MJD 50,000 steps by 5.6 minutes."""
    mag: NDArray[np.float32]
    """Magnitudes [mag]."""
    mag_err: NDArray[np.float32]
    """Uncertainties [mag]."""
    passband: str = ""
    """Filter name."""
    object_id: str = ""
    """Object name."""
    label: int = -1
    """Class number, -1 where unknown."""
    class_name: str | None = None
    """Class name, None where unknown."""

    if TYPE_CHECKING:
        # Anything array-like goes in; arrays of one type come out.
        def __init__(
            self,
            time: ArrayLike,
            mag: ArrayLike,
            mag_err: ArrayLike,
            passband: str | None = "",
            object_id: str | None = "",
            label: int | None = -1,
            class_name: str | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        where = f'object_id="{_as_text(self.object_id)}"'
        arrays = {
            "time": _as_column(self.time, np.float64, "time", where),
            "mag": _as_column(self.mag, np.float32, "mag", where),
            "mag_err": _as_column(self.mag_err, np.float32, "mag_err", where),
        }
        lengths = {name: len(values) for name, values in arrays.items()}
        if len(set(lengths.values())) != 1:
            received = ", ".join(f"len({k})={v}" for k, v in lengths.items())
            raise LightCurveError(
                "`time`, `mag` and `mag_err` must have one length. "
                f"Received: {received} for {where}."
            )
        if lengths["time"] == 0:
            raise LightCurveError(
                "A light curve needs at least one observation. "
                f"Received: 0 observations for {where}."
            )
        for name, values in arrays.items():
            finite = np.isfinite(values)
            if not finite.all():
                index = int(np.argmin(finite))
                raise LightCurveError(
                    f"`{name}` must be finite. Received: {name}[{index}]="
                    f"{values[index]} for {where}. Drop such observations first."
                )
        for name in ("mag", "mag_err"):
            coded = np.abs(arrays[name]) >= MISSING_MAG
            if coded.any():
                index = int(np.argmax(coded))
                raise LightCurveError(
                    f"`{name}` must not hold codes for missing values. Received: "
                    f"{name}[{index}]={arrays[name][index]} for {where}. "
                    "Drop such observations first."
                )
        if (arrays["mag_err"] < 0).any():
            index = int(np.argmax(arrays["mag_err"] < 0))
            raise LightCurveError(
                f"`mag_err` must not be negative. Received: mag_err[{index}]="
                f"{arrays['mag_err'][index]} for {where}. Drop such observations first."
            )
        time = arrays["time"]
        if (time[1:] < time[:-1]).any():
            order = np.argsort(time, kind="stable")
            arrays = {name: values[order] for name, values in arrays.items()}
        for name, values in arrays.items():
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        object.__setattr__(self, "object_id", _as_text(self.object_id))
        object.__setattr__(self, "passband", _as_text(self.passband))
        label = -1 if _is_missing(self.label) else self.label
        try:
            object.__setattr__(self, "label", operator.index(label))
        except TypeError:
            hint = " A class name goes in `class_name`." * isinstance(label, str)
            raise LightCurveError(
                "`label` must be an integer, -1 where unknown. "
                f"Received: label={label!r} for {where}.{hint}"
            ) from None
        # An empty name is unknown, too, as in the records.
        object.__setattr__(self, "class_name", _as_text(self.class_name) or None)

    def __len__(self) -> int:
        return len(self.time)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LightCurve):
            return NotImplemented
        return (
            self.object_id == other.object_id
            and self.passband == other.passband
            and self.label == other.label
            and self.class_name == other.class_name
            and np.array_equal(self.time, other.time)
            and np.array_equal(self.mag, other.mag)
            and np.array_equal(self.mag_err, other.mag_err)
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[LightCurve], tuple[Any, ...]]:
        # Through the constructor: arrays come out of a pickle writable.
        names = (field.name for field in dataclasses.fields(self))
        return type(self), tuple(getattr(self, name) for name in names)

    def __repr__(self) -> str:
        kind = self.class_name if self.class_name is not None else "unlabeled"
        return (
            f"LightCurve({self.object_id!r}, passband={self.passband!r}, "
            f"{len(self)} observations over {np.ptp(self.time):.1f} d, {kind})"
        )

    @property
    def duration(self) -> float:
        """Time between the first and the last observation [d]."""
        return float(self.time[-1] - self.time[0])

    @classmethod
    def from_array(cls, observations: ArrayLike, **attributes: Any) -> LightCurve:
        """Build from one array of times, magnitudes and uncertainties.

        Parameters
        ----------
        observations : array-like, shape (n, 3)
            Columns: time [d], magnitude [mag], uncertainty [mag].
        **attributes
            `passband`, `object_id`, `label`, `class_name`.

        Returns
        -------
        light_curve : LightCurve

        Raises
        ------
        LightCurveError
            If the shape is not ``(n, 3)`` or the values are not valid.
        """
        try:
            # float64 throughout: magnitudes of a float64 array are rounded once.
            array = np.asarray(observations, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise LightCurveError(
                "Observations must be numbers of shape (n, 3): time, mag, mag_err. "
                f"Received: {type(observations).__name__} ({error})."
            ) from error
        if array.ndim != 2 or array.shape[1] != 3:
            raise LightCurveError(
                "Observations must have shape (n, 3): time, mag, mag_err. "
                f"Received: shape={array.shape}."
            )
        where = f'object_id="{attributes.get("object_id", "")}"'
        _check_precision(np.asarray(observations)[:, 0], where)
        return cls(array[:, 0], array[:, 1], array[:, 2], **attributes)

    def to_array(self) -> NDArray[np.float64]:
        """Return times, magnitudes and uncertainties as one array.

        Returns
        -------
        observations : numpy.ndarray, shape (n, 3), float64
        """
        return np.column_stack([self.time, self.mag, self.mag_err]).astype(np.float64)

    @classmethod
    def from_frame(cls, frame: Any, **columns: str | None) -> LightCurve:
        """Build from a pandas or polars long frame that holds one light curve.

        Parameters
        ----------
        frame : pandas.DataFrame or polars.DataFrame
            One row per observation; see `light_curves_from_frame`.
        **columns : str or None
            Names of the columns by role where they are not recognized, e.g.
            ``time="day"``; see there.

        Returns
        -------
        light_curve : LightCurve

        Raises
        ------
        LightCurveError
            If a column is missing or the frame holds more than one light curve.
        """
        curves = light_curves_from_frame(frame, **columns)
        if len(curves) != 1:
            raise LightCurveError(
                "The frame must hold one object in one passband. "
                f"Received: {len(curves)} light curves. "
                "Use `light_curves_from_frame` for several."
            )
        return curves[0]

    def to_pandas(self) -> pd.DataFrame:
        """Return a long frame with the columns `FRAME_COLUMNS`.

        Returns
        -------
        frame : pandas.DataFrame
            One row per observation; times in days, magnitudes in mag.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "object_id": self.object_id,
                "passband": self.passband,
                "time": self.time,
                "mag": self.mag,
                "mag_err": self.mag_err,
                "class_name": self.class_name,
            }
        )

    @classmethod
    def from_time_series(cls, series: Any, **attributes: Any) -> LightCurve:
        """Build from a `lightkurve.LightCurve` or `astropy.timeseries.TimeSeries`.

        Neither package is needed: anything with a ``time`` that has ``.mjd`` (or is a
        number in days) and magnitude columns works. Columns ``mag`` and
        ``mag_err`` are taken if they exist; else a column in magnitudes is looked
        for under ``flux`` and ``flux_err``, which must then carry the unit mag.

        Parameters
        ----------
        series : object
            A time series with ``time`` and magnitude columns.
        **attributes
            `passband`, `object_id`, `label`, `class_name`; what is not given is
            taken from ``series.meta`` if it is there.

        Returns
        -------
        light_curve : LightCurve
            Masked and non-finite observations are left out.

        Raises
        ------
        LightCurveError
            If there are no times or magnitudes, or fluxes are not in magnitudes.
        """
        names = _series_columns(series)
        if "time" not in names:
            raise LightCurveError(
                f"A time series needs times. Received: columns={sorted(names)}."
            )
        time = series["time"]
        if "mag" in names:
            mag, mag_err = _series_values(series, "mag", "mag_err", names)
        else:
            unit = _unit(series["flux"]) if "flux" in names else ""
            if not _is_magnitude(unit):
                raise LightCurveError(
                    "A time series needs the columns `mag` and `mag_err`, or `flux` "
                    f"in magnitudes. Received: columns={sorted(names)}, unit of "
                    f"flux={unit!r}. Convert fluxes to magnitudes first."
                )
            mag, mag_err = _series_values(series, "flux", "flux_err", names)
        days = _plain(getattr(time, "mjd", time))
        keep = np.isfinite(days) & np.isfinite(mag) & np.isfinite(mag_err)
        meta = getattr(series, "meta", None) or {}
        name = meta.get("OBJECT") or meta.get("LABEL") or meta.get("object_id") or ""
        attributes.setdefault("object_id", str(name))
        for key in ("passband", "label", "class_name"):
            if key in meta:
                attributes.setdefault(key, meta[key])
        return cls(days[keep], mag[keep], mag_err[keep], **attributes)

    def to_time_series(self) -> Any:
        """Return an `astropy.timeseries.TimeSeries` (needs astropy).

        Returns
        -------
        series : astropy.timeseries.TimeSeries
            Columns ``time`` (format ``mjd``), ``mag`` and ``mag_err``; the
            attributes are in ``meta``, from where `from_time_series` takes them.

        Raises
        ------
        ImportError
            If astropy is not installed.
        """
        try:
            from astropy import units
            from astropy.time import Time
            from astropy.timeseries import TimeSeries
        except ImportError as error:
            raise ImportError(
                "`to_time_series` needs astropy: pip install astropy."
            ) from error
        series = TimeSeries(time=Time(self.time, format="mjd"))
        series["mag"] = np.array(self.mag) * units.mag
        series["mag_err"] = np.array(self.mag_err) * units.mag
        series.meta.update(
            OBJECT=self.object_id,
            passband=self.passband,
            label=self.label,
            class_name=self.class_name,
        )
        return series


def largest_step(time: NDArray[Any]) -> tuple[float, float]:
    """Tell in which steps times are kept where they are largest.

    Parameters
    ----------
    time : numpy.ndarray
        Times [d]; those that are not finite do not count.

    Returns
    -------
    largest, step : float
        The largest size of a time, and to what it was rounded [d]; 0 for types that
        are as fine as float64, and for what is not floating.

    Examples
    --------
    >>> largest_step(np.array([2_450_000.0, np.nan], np.float32))
    (2450000.0, 0.25)
    """
    if time.dtype.kind != "f" or time.dtype.itemsize >= 8:
        return 0.0, 0.0
    largest = np.abs(time[np.isfinite(time)]).max(initial=0)
    return float(largest), float(np.spacing(largest))


def is_frame(source: object) -> bool:
    """Tell whether `light_curves_from_frame` may take a source.

    Parameters
    ----------
    source : object

    Returns
    -------
    found : bool
        True for a pandas or polars frame, a lazy one too, and what has columns as they
        do.
    """
    # A lazy frame has columns, but warns of what it costs to name them.
    return hasattr(type(source), "collect_schema") or hasattr(source, "columns")


def light_curves_from_frame(frame: Any, **columns: str | None) -> list[LightCurve]:
    """Split a long frame into light curves, in order of first appearance.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or polars.LazyFrame
        Or a table of astropy or pyarrow. One row per observation; a time series without
        a column of objects or passbands is what `LightCurve.from_time_series` makes of
        it, and times of astropy are MJD in days. Needs ``time`` [d],
        ``mag`` [mag] and ``mag_err`` [mag]; ``object_id``, ``passband`` and
        ``class_name`` are optional. A named index of pandas is a column, too. Usual
        names stand for these, such as ``id``, ``band`` or ``mjd``; see
        `astromer.columns.ALIASES`.
    **columns : str or None
        Names of the columns by role where they are not recognized, e.g.
        ``time="day"``; None where no column plays an optional role.

    Returns
    -------
    light_curves : list of LightCurve
        One per object and passband.

    Raises
    ------
    LightCurveError
        If a column or an object id is missing, the frame is empty, values are not
        valid, or a light curve has two class names.
    """
    unknown = sorted(set(columns) - set(FRAME_COLUMNS))
    if unknown:
        raise LightCurveError(
            f"Unknown column roles. Received: {unknown}. "
            f"Known: {', '.join(FRAME_COLUMNS)}."
        )
    if not columns and _is_time_series(frame):
        return [LightCurve.from_time_series(frame)]
    frame = _as_frame(frame)
    present = [str(name) for name in frame.columns]
    needed = ("time", "mag", "mag_err")
    chosen = {role: name for role, name in columns.items() if name is not None}
    wanted = [role for role in FRAME_COLUMNS if columns.get(role, role) is not None]
    found = match_columns(present, wanted, chosen)
    required = [role for role in FRAME_COLUMNS if role in needed or role in chosen]
    missing = [chosen.get(role, role) for role in required if role not in found]
    if missing:
        raise LightCurveError(
            "The frame needs the columns "
            f"{', '.join(chosen.get(role, role) for role in required)}. "
            f"Received: columns={sorted(present)}; missing: {', '.join(missing)}. "
            'Name other columns by role, e.g. time="day".'
        )
    if len(frame) == 0:
        raise LightCurveError("The frame holds no observations. Received: 0 rows.")
    places = {role: frame.columns[position] for role, position in found.items()}

    def column(role: str) -> NDArray[Any] | None:
        return frame[places[role]].to_numpy() if role in places else None

    codes, owners = _curve_codes(column("object_id"), column("passband"), len(frame))
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    ends = np.cumsum(counts)
    class_names = _class_names(
        column("class_name"),
        order,
        ends - counts,
        owners,
        str(places.get("class_name", "")),
    )
    time, mag, mag_err = (np.asarray(column(role))[order] for role in needed)
    return [
        LightCurve(
            time[end - count : end],
            mag[end - count : end],
            mag_err[end - count : end],
            object_id=object_id,
            passband=passband,
            class_name=class_name,
        )
        for (object_id, passband), class_name, count, end in zip(
            owners, class_names, counts, ends, strict=True
        )
    ]


def _factorize(values: NDArray[Any]) -> tuple[NDArray[np.int64], list[str]]:
    """Return numbers by first appearance, -1 where missing, and names as text."""
    import pandas as pd

    codes, unique = pd.factorize(values)
    return codes.astype(np.int64), [_as_text(value) for value in unique]


def _is_of_astropy(table: Any) -> bool:
    """Whether it is a table of astropy, or of a package that builds on them."""
    modules = (base.__module__ for base in type(table).__mro__)
    return hasattr(table, "colnames") and any(m.startswith("astropy.") for m in modules)


def _is_time_series(table: Any) -> bool:
    """Whether it is one light curve whose times know their own format."""
    return (
        _is_of_astropy(table)
        and "time" in table.colnames
        and hasattr(table["time"], "mjd")
        and not match_columns(table.colnames, ("object_id", "passband"))
    )


def _without_time_objects(table: Any) -> pd.DataFrame:
    """Make a frame of a table of astropy; its times become MJD, not dates."""
    from astropy.table import QTable

    frame: pd.DataFrame = QTable(table, copy=False).to_pandas(index=False)
    for name in table.colnames:
        if hasattr(table[name], "mjd"):
            frame[name] = _plain(table[name].mjd)
    return frame


def _as_frame(table: Any) -> Any:
    """Return a frame in memory, also of a lazy one, or of a table of another library."""
    if _is_of_astropy(table):
        table = _without_time_objects(table)
    elif type(table).__module__.startswith("pyarrow."):
        table = table.to_pandas()
    table = table.collect() if hasattr(table, "collect") else table
    names = getattr(getattr(table, "index", None), "names", ())
    levels = [
        level
        for level, name in enumerate(names)
        if name is not None and name not in table.columns
    ]
    return table.reset_index(level=levels) if levels else table


def _as_text(value: object) -> str:
    """Return a name as text, empty where it is missing; FITS tables give bytes.

    Integers become floats in a pandas column in which one is missing.
    """
    if _is_missing(value):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return value.decode() if isinstance(value, bytes) else str(value)


def _is_missing(value: object) -> bool:
    """Whether a value stands for none: None, NaN, or the NA of pandas."""
    try:
        return value is None or not operator.eq(value, value)
    except TypeError:
        # Whether NA equals itself is not known either.
        return True


def _curve_codes(
    object_ids: NDArray[Any] | None, passbands: NDArray[Any] | None, num_rows: int
) -> tuple[NDArray[np.int64], list[tuple[str, str]]]:
    """Return each row's light curve by number, and each number's (object, passband)."""
    nothing = np.zeros(num_rows, dtype=np.int64)
    objects, object_names = nothing, [""]
    bands, band_names = nothing, [""]
    if object_ids is not None:
        objects, object_names = _factorize(object_ids)
        if (objects < 0).any():
            raise LightCurveError(
                "Every observation needs an object. Received: no object_id in row "
                f"{int(np.argmin(objects))}. Drop such rows first."
            )
    if passbands is not None:
        bands, band_names = _factorize(passbands)
        # The code -1 of a missing passband counts from the end: the empty name.
        band_names = [*band_names, ""]
        bands = bands % len(band_names)
    codes, keys = _factorize_codes(objects * len(band_names) + bands)
    objects_of, bands_of = np.divmod(keys, len(band_names))
    owners = [
        (object_names[place], band_names[band])
        for place, band in zip(objects_of, bands_of, strict=True)
    ]
    return codes, owners


def _factorize_codes(
    values: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    import pandas as pd

    codes, unique = pd.factorize(values)
    return codes.astype(np.int64), np.asarray(unique, dtype=np.int64)


def _class_names(
    values: NDArray[Any] | None,
    order: NDArray[np.intp],
    starts: NDArray[np.int64],
    owners: list[tuple[str, str]],
    name: str,
) -> list[str | None]:
    """Return the one class name of each light curve, None where unknown."""
    if values is None:
        return [None] * len(owners)
    codes, names = _factorize(values)
    if "" in names:
        codes[codes == names.index("")] = -1
    codes = codes[order]
    highest = np.maximum.reduceat(codes, starts)
    lowest = np.minimum.reduceat(np.where(codes < 0, len(names), codes), starts)
    mixed = (highest >= 0) & (highest != lowest)
    if mixed.any():
        place = int(np.argmax(mixed))
        raise LightCurveError(
            "A light curve has one class. Received: "
            f'class_name="{names[lowest[place]]}" and "{names[highest[place]]}" '
            f'for object_id="{owners[place][0]}" in the column {name!r}. '
            "Correct it, or do without: class_name=None."
        )
    return [None if code < 0 else names[code] for code in highest]


def _as_column(values: ArrayLike, dtype: Any, name: str, where: str) -> NDArray[Any]:
    if getattr(getattr(values, "dtype", None), "kind", "") in ("M", "m"):
        raise LightCurveError(
            f"`{name}` must hold numbers. Received: dates or durations for {where}. "
            "Convert them to days first, e.g. MJD."
        )
    if np.iscomplexobj(values):
        raise LightCurveError(
            f"`{name}` must hold numbers. Received: complex numbers for {where}."
        )
    try:
        if isinstance(values, np.ma.MaskedArray):
            values = np.ma.filled(values.astype(np.float64), np.nan)
        # Too large for float32 becomes infinite, which is refused by name below.
        with np.errstate(over="ignore"):
            array = np.array(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise LightCurveError(
            f"`{name}` must hold numbers. Received: {name} that is not numeric "
            f"for {where} ({error})."
        ) from error
    if array.ndim != 1:
        raise LightCurveError(
            f"`{name}` must be one-dimensional. "
            f"Received: shape={array.shape} for {where}."
        )
    if name == "time":
        _check_precision(np.asarray(values), where)
    return array


def _check_precision(time: NDArray[Any], where: str) -> None:
    """Refuse times that were rounded to coarse steps before they came here."""
    largest, step = largest_step(time)
    if step > MOST_TIME_STEP_D:
        raise LightCurveError(
            "`time` must be float64 where its numbers are large. "
            f"Received: {time.dtype} near {largest:.0f} in steps of {step:g} d "
            f"for {where}. Read the column as float64; or use days since some "
            "epoch, e.g. MJD."
        )


def _plain(values: Any) -> NDArray[np.float64]:
    """Turn a quantity or masked column into floats, NaN where masked."""
    mask = getattr(values, "mask", None)
    values = getattr(values, "unmasked", values)
    array = np.array(getattr(values, "value", values), dtype=np.float64)
    # A pandas Series has a method of that name.
    if mask is not None and not callable(mask):
        array[np.broadcast_to(mask, array.shape)] = np.nan
    return array


def _series_columns(series: Any) -> set[str]:
    names: Iterable[str] | None = getattr(series, "colnames", None)
    if names is None:
        names = getattr(series, "columns", None)
    if names is None:
        raise LightCurveError(
            "A time series has named columns. "
            f"Received: {type(series).__name__}. Use `LightCurve.from_array` for arrays."
        )
    if isinstance(names, Mapping):
        names = names.keys()
    return {str(name) for name in names}


def _series_values(
    series: Any, mag: str, mag_err: str, names: set[str]
) -> Iterator[NDArray[np.float64]]:
    if mag_err not in names:
        raise LightCurveError(
            f"A time series needs uncertainties in the column `{mag_err}`. "
            f"Received: columns={sorted(names)}."
        )
    for name in (mag, mag_err):
        unit = _unit(series[name])
        if unit and not _is_magnitude(unit):
            raise LightCurveError(
                "Magnitudes must be in mag. "
                f"Received: unit of {name}={unit!r}. Convert the column first."
            )
    return iter((_plain(series[mag]), _plain(series[mag_err])))


def _unit(column: Any) -> str:
    """Return a column's unit as text, empty where it has none."""
    unit = getattr(column, "unit", None)
    return "" if unit is None else str(unit)


def _is_magnitude(unit: str) -> bool:
    """Whether a unit is mag, plain or in a system such as ``mag(AB)``."""
    return unit == "mag" or unit.startswith("mag(")
