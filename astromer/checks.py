"""The rules that options keep: one wording for each, wherever the option lives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, TypeGuard, get_args

from astromer.errors import ConfigError, unknown_name

__all__ = [
    "check_flag",
    "check_integer",
    "check_known",
    "check_names",
    "check_not_negative",
    "check_number",
    "check_positive",
    "is_integer",
    "is_number",
    "numpy_seed",
    "require",
    "unwrap_scalars",
]


def is_integer(value: object) -> TypeGuard[int]:
    """Tell whether a value is an integer of Python or numpy, and no truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a finite number of Python or numpy, and no truth value."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value)


def require(holds: bool, rule: str, **received: object) -> None:
    """Raise ConfigError with the rule and what was received, unless it holds."""
    if not holds:
        ((name, value),) = received.items()
        raise ConfigError(f"{rule}. Received: {name}={value!r}.")


def check_integer(**numbers: object) -> None:
    """Raise ConfigError unless every number is an integer."""
    for name, value in numbers.items():
        require(is_integer(value), f"`{name}` must be an integer", **{name: value})


def numpy_seed(seed: int) -> int:
    """Return a seed as numpy takes it, not negative; raise ConfigError if it is none.

    Parameters
    ----------
    seed : int

    Returns
    -------
    seed : int
        The same unless it is negative.

    Raises
    ------
    ConfigError
        If it is no whole number.
    """
    check_integer(seed=seed)
    return int(seed) % 2**64


def check_positive(**sizes: object) -> None:
    """Raise ConfigError unless every size is a positive integer."""
    for name, value in sizes.items():
        holds = is_integer(value) and value >= 1
        require(holds, f"`{name}` must be a positive integer", **{name: value})


def check_not_negative(**numbers: object) -> None:
    """Raise ConfigError unless every number is an integer, zero or more."""
    for name, value in numbers.items():
        holds = is_integer(value) and value >= 0
        require(holds, f"`{name}` must be an integer, zero or more", **{name: value})


def check_number(**numbers: object) -> None:
    """Raise ConfigError unless every number is one; infinity and NaN are."""
    for name, value in numbers.items():
        holds = isinstance(value, Real) and not isinstance(value, bool)
        require(holds, f"`{name}` must be a number", **{name: value})


def check_flag(**flags: object) -> None:
    """Raise ConfigError unless every flag is True or False."""
    for name, value in flags.items():
        holds = isinstance(value, bool)
        require(holds, f"`{name}` must be True or False", **{name: value})


def check_names(**options: tuple[object, Any]) -> None:
    """Raise ConfigError where an option's value is none of its names.

    Parameters
    ----------
    **options
        Value and the `typing.Literal` of the names, by option.
    """
    for option, (name, known) in options.items():
        if name not in get_args(known):
            raise ConfigError(unknown_name(option, str(name), get_args(known)))


def check_known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigError for the first name that does not exist.

    Parameters
    ----------
    kind : str
        What the names stand for, e.g. ``"option"``.
    names : iterable of str
        The names received.
    known : iterable of str
        The names that exist.
    """
    there = list(known)
    for name in names:
        if name not in there:
            raise ConfigError(unknown_name(kind, str(name), there))


def unwrap_scalars(options: Any) -> None:
    """Put Python's numbers in place of numpy's in a frozen dataclass of options.

    They compare alike, but JSON knows only the former.
    """
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, bool | int | float | str):
            continue
        if isinstance(value, Real):
            plain = int(value) if isinstance(value, Integral) else float(value)
            object.__setattr__(options, field.name, plain)
