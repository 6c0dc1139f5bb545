"""Windows with hidden observations, drawn with a seed or read from a file."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from astromer.checks import numpy_seed
from astromer.errors import ConfigError, unknown_name
from astromer.evaluation.cache import hash_of
from astromer.lightcurve import LightCurve
from astromer.pipeline.options import NIGHT_GAP_D

__all__ = [
    "Hiding",
    "MaskedWindows",
    "draw_windows",
    "hide",
    "nights_of",
    "read_windows",
]

Hiding = Literal["points", "nights"]
"""One by one at random, or whole nights at a time."""

WINDOW_SIZE: Final = 200
WINDOWS_PER_CLASS: Final = 100
HIDDEN_FRACTION: Final = 0.5
MIN_VISIBLE: Final = 5
UNKNOWN: Final = "unknown"

_ARRAYS: Final = {
    "time": ("mjd", "time"),
    "mag": ("mag",),
    "mag_err": ("err", "mag_err"),
    "hidden": ("hidden",),
    "valid": ("valid",),
    "object_id": ("id", "object_id"),
    "class_name": ("label", "class_name"),
}
"""Names under which a file may hold each array."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class MaskedWindows:
    """Windows of real light curves, padded at the end, some observations hidden."""

    time: NDArray[np.float64]
    """(num_windows, window_size): times [d], rising; 0 on padding."""
    mag: NDArray[np.float64]
    """(num_windows, window_size): observed magnitudes, hidden ones included [mag]."""
    mag_err: NDArray[np.float64]
    """(num_windows, window_size): their uncertainties [mag]."""
    valid: NDArray[np.bool_]
    """(num_windows, window_size): a real observation."""
    hidden: NDArray[np.bool_]
    """(num_windows, window_size): to be predicted from the others; never padding."""
    object_id: NDArray[np.str_]
    """(num_windows,): object names."""
    class_name: NDArray[np.str_]
    """(num_windows,): classes."""

    def __len__(self) -> int:
        return len(self.valid)

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(num_windows, window_size): what a method may look at."""
        return self.valid & ~self.hidden

    @property
    def digest(self) -> str:
        """A name for exactly these windows."""
        arrays = self.time, self.mag, self.mag_err, self.valid, self.hidden
        return hash_of(*(array.tobytes() for array in arrays))

    def visible_mean(self) -> NDArray[np.float64]:
        """Return the mean magnitude of the visible, shape ``(num_windows,)`` [mag]."""
        total = np.where(self.visible, self.mag, 0.0).sum(axis=1)
        mean: NDArray[np.float64] = total / self.visible.sum(axis=1)
        return mean


def read_windows(path: str | Path) -> MaskedWindows:
    """Read masked windows from an NPZ file.

    Parameters
    ----------
    path : str or pathlib.Path
        Arrays of shape ``(num_windows, window_size)``: ``mjd`` or ``time`` [d],
        ``mag``, ``err`` or ``mag_err``, ``hidden`` and ``valid``; of shape
        ``(num_windows,)``: ``id`` or ``object_id``, and ``label`` or ``class_name``.

    Returns
    -------
    windows : MaskedWindows

    Raises
    ------
    ConfigError
        If the file is something else, or a window has nothing hidden or next to
        nothing visible.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            held = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"Masked windows are an NPZ file. Received: path={path} ({error})."
        ) from error
    found = {
        role: next((held[name] for name in names if name in held), None)
        for role, names in _ARRAYS.items()
    }
    missing = [role for role, values in found.items() if values is None]
    shapes = {role: getattr(values, "shape", ()) for role, values in found.items()}
    table, column = shapes["valid"], shapes["valid"][:1]
    if missing or any(
        shapes[role] != (column if role in ("object_id", "class_name") else table)
        for role in found
    ):
        raise ConfigError(
            "Masked windows need the arrays "
            f"{', '.join(' or '.join(names) for names in _ARRAYS.values())}, one shape "
            f"for all but the last two. Received: path={path}, "
            f"{', '.join(f'{name}: {np.shape(held[name])}' for name in held)}."
        )
    values: dict[str, Any] = found
    valid = values["valid"].astype(bool)
    # Observations in the order of time, before the padding.
    time = np.where(valid, values["time"], np.inf)
    order = np.argsort(time, axis=1, kind="stable")
    for role in ("time", "mag", "mag_err", "hidden", "valid"):
        values[role] = np.take_along_axis(values[role], order, axis=1)
    valid = values["valid"].astype(bool)
    wrong = [
        (role, int(np.argmax(bad)))
        for role in ("time", "mag", "mag_err")
        if (bad := (valid & ~np.isfinite(values[role])).any(axis=1)).any()
    ]
    if wrong:
        raise ConfigError(
            "Observations of masked windows must be finite. Received: "
            f"path={path}, {wrong[0][0]} that is not in window {wrong[0][1]}. Leave "
            "such observations out, or mark them as padding in `valid`."
        )
    windows = MaskedWindows(
        time=np.where(valid, values["time"], 0.0).astype(np.float64),
        mag=np.where(valid, values["mag"], 0.0).astype(np.float64),
        mag_err=np.where(valid, values["mag_err"], 0.0).astype(np.float64),
        valid=valid,
        hidden=values["hidden"].astype(bool) & valid,
        object_id=values["object_id"].astype(str),
        class_name=values["class_name"].astype(str),
    )
    visible, hidden = windows.visible.sum(axis=1), windows.hidden.sum(axis=1)
    poor = np.flatnonzero((visible < MIN_VISIBLE) | (hidden < 1))
    if len(poor) or not len(windows):
        raise ConfigError(
            f"Each window needs a hidden observation and {MIN_VISIBLE} visible ones. "
            f"Received: path={path}, {len(windows)} windows, {len(poor)} of them "
            f"without, e.g. window {poor[0] if len(poor) else 'none'}."
        )
    return windows


def draw_windows(
    light_curves: Iterable[LightCurve],
    *,
    window_size: int = WINDOW_SIZE,
    windows_per_class: int = WINDOWS_PER_CLASS,
    hidden_fraction: float = HIDDEN_FRACTION,
    hiding: Hiding = "points",
    seed: int = 0,
) -> MaskedWindows:
    """Draw a random window of some light curves of each class and hide a part of it.

    Parameters
    ----------
    light_curves : iterable of LightCurve
        Those without a class are one, `UNKNOWN`.
    window_size : int
        Most observations in a window.
    windows_per_class : int
        Most light curves of a class, one window each.
    hidden_fraction : float, in (0, 1)
    hiding : {"points", "nights"}
        See `hide`.
    seed : int
        Which light curves, where their windows start, and what is hidden.

    Returns
    -------
    windows : MaskedWindows
        Class by class. Light curves of which too little would stay visible are passed
        over.

    Raises
    ------
    ConfigError
        If a number is out of range or no light curve is long enough.
    """
    if min(window_size, windows_per_class) < 1 or seed < 0:
        raise ConfigError(
            "`window_size` and `windows_per_class` must be positive, `seed` not "
            f"negative. Received: window_size={window_size}, "
            f"windows_per_class={windows_per_class}, seed={seed}."
        )
    _check_fraction(hidden_fraction)
    by_class: dict[str, list[LightCurve]] = {}
    for curve in light_curves:
        by_class.setdefault(curve.class_name or UNKNOWN, []).append(curve)
    drawn: list[tuple[LightCurve, slice]] = []
    for name, curves in sorted(by_class.items()):
        rng = np.random.default_rng([seed, *name.encode()])
        usable = sorted(
            (c for c in curves if _can_hide(c, window_size, hidden_fraction)),
            key=lambda c: (c.object_id, c.passband),
        )
        for place in rng.permutation(len(usable))[:windows_per_class]:
            curve = usable[place]
            start = int(rng.integers(max(len(curve) - window_size, 0) + 1))
            drawn.append((curve, slice(start, start + window_size)))
    if not drawn:
        raise ConfigError(
            "No light curve is long enough to hide a part of it. Received: "
            f"{sum(map(len, by_class.values())):,} light curves, "
            f"window_size={window_size}, hidden_fraction={hidden_fraction}; "
            f"{MIN_VISIBLE} observations of a window must stay visible."
        )
    shape = len(drawn), window_size
    arrays = {name: np.zeros(shape) for name in ("time", "mag", "mag_err")}
    valid = np.zeros(shape, dtype=bool)
    for row, (curve, part) in enumerate(drawn):
        size = len(curve.time[part])
        valid[row, :size] = True
        for name, array in arrays.items():
            array[row, :size] = getattr(curve, name)[part]
    windows = MaskedWindows(
        **arrays,
        valid=valid,
        hidden=np.zeros(shape, dtype=bool),
        object_id=np.array([curve.object_id for curve, _ in drawn]),
        class_name=np.array([curve.class_name or UNKNOWN for curve, _ in drawn]),
    )
    return hide(windows, hiding, hidden_fraction=hidden_fraction, seed=seed)


def hide(
    windows: MaskedWindows,
    hiding: Hiding,
    *,
    hidden_fraction: float = HIDDEN_FRACTION,
    seed: int = 0,
) -> MaskedWindows:
    """Hide other observations of the same windows.

    Parameters
    ----------
    windows : MaskedWindows
    hiding : {"points", "nights"}
        Observations one by one: the fraction, rounded down. Or whole nights in random
        order, as long as no more than the fraction is hidden; what lies within a night
        of four visits is then no longer told by its neighbors. A window with a single
        night, or none that fits, is left out.
    hidden_fraction : float, in (0, 1)
        Of a window's observations.
    seed : int

    Returns
    -------
    windows : MaskedWindows

    Raises
    ------
    ConfigError
        If the way is unknown, the fraction is out of range, or no window is left.
    """
    if hiding not in get_args(Hiding):
        raise ConfigError(unknown_name("hiding", hiding, get_args(Hiding)))
    _check_fraction(hidden_fraction)
    rng = np.random.default_rng(numpy_seed(seed))
    hidden = np.zeros_like(windows.valid)
    for row, valid in enumerate(windows.valid):
        size = int(valid.sum())
        most = int(hidden_fraction * size)
        if hiding == "points":
            groups: Sequence[NDArray[np.int64]] = [np.array([i]) for i in range(size)]
        else:
            groups = nights_of(windows.time[row, :size])
        left = most
        for place in rng.permutation(len(groups)):
            if len(groups[place]) <= left:
                hidden[row, groups[place]] = True
                left -= len(groups[place])
    kept = hidden.any(axis=1)
    kept &= (windows.valid & ~hidden).sum(axis=1) >= MIN_VISIBLE
    if not kept.any():
        raise ConfigError(
            "No window is left to hide a part of. Received: "
            f'{len(windows)} windows, hiding="{hiding}", '
            f"hidden_fraction={hidden_fraction}."
        )
    values = {
        field.name: getattr(windows, field.name)[kept]
        for field in dataclasses.fields(windows)
    }
    return MaskedWindows(**{**values, "hidden": hidden[kept]})


def nights_of(time: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Return the places of the observations of each night.

    Parameters
    ----------
    time : numpy.ndarray, shape (n,)
        Rising times [d].

    Returns
    -------
    nights : list of numpy.ndarray
        A gap of `NIGHT_GAP_D` or more ends a night.
    """
    ends = np.flatnonzero(np.diff(time) >= NIGHT_GAP_D) + 1
    return np.split(np.arange(len(time)), ends)


def _check_fraction(hidden_fraction: float) -> None:
    if not 0 < hidden_fraction < 1:
        raise ConfigError(
            "`hidden_fraction` must lie between 0 and 1. "
            f"Received: hidden_fraction={hidden_fraction}."
        )


def _can_hide(curve: LightCurve, window_size: int, hidden_fraction: float) -> bool:
    size = min(len(curve), window_size)
    hidden = int(hidden_fraction * size)
    return hidden >= 1 and size - hidden >= MIN_VISIBLE
