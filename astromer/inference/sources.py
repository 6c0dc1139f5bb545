"""Whatever holds light curves, as a stream of them in input order."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astromer.errors import ConfigError
from astromer.lightcurve import LightCurve, is_frame, light_curves_from_frame
from astromer.records import MANIFEST_NAME, Manifest, read_records

if TYPE_CHECKING:
    from astromer.surveys import Dropped

__all__ = ["Source", "chunks", "iterate_light_curves"]

Source = LightCurve | Iterable[Any] | str | Path | Any
"""A light curve, several, a long frame, a folder of records, or survey files."""


def iterate_light_curves(
    source: Source,
    *,
    survey: str | None = None,
    passband: str | None = None,
    dropped: Dropped | None = None,
    max_unreadable: float = 0.0,
) -> tuple[Iterator[LightCurve], int | None]:
    """Open a source of light curves.

    Parameters
    ----------
    source : light curves, frame, or paths
        A `LightCurve` or several; a pandas or polars long frame; a folder of records;
        survey files or folders.
    survey : str, optional
        Format of survey files; recognized if not given.
    passband : str, optional
        Take only light curves in this passband.
    dropped : Dropped, optional
        Receives what is lost of survey files.
    max_unreadable : float
        Largest share of survey files that may be unreadable; see `ReadOptions`.

    Returns
    -------
    light_curves : iterator of LightCurve
        In input order.
    number : int or None
        How many there are, where that is known beforehand.

    Raises
    ------
    ConfigError
        If the source holds something else, or nothing.
    """
    curves: Iterator[LightCurve]
    number = None
    if isinstance(source, str | Path):
        source = [source]
    if isinstance(source, LightCurve):
        _refuse_survey(survey, "a light curve")
        curves, number = iter([source]), 1
    elif is_frame(source):
        _refuse_survey(survey, "a frame")
        held = light_curves_from_frame(source)
        curves, number = iter(held), len(held)
    elif isinstance(source, Mapping):
        raise ConfigError(
            "A source is light curves, a frame or paths. Received: a mapping with the "
            f"keys {list(source)[:3]}. Give its values: list(source.values())."
        )
    elif isinstance(source, Iterable):
        from astromer.surveys import ReadOptions, read_light_curves

        items = source if isinstance(source, Iterator) else list(source)
        read = functools.partial(
            read_light_curves,
            survey=survey,
            passband=passband,
            options=ReadOptions(max_unreadable=max_unreadable),
            dropped=dropped,
        )
        curves, number = _open_items(items, survey, read)
    else:
        curves = iter([_check(source)])
    if passband is not None:
        curves, number = (c for c in curves if c.passband == passband), None
    first = next(curves, None)
    if first is None:
        only = f' with passband="{passband}"' if passband is not None else ""
        lost = dropped.reasons if dropped is not None else ""
        bad = f", and bad observations: {lost}" if lost else ""
        raise ConfigError(
            f"The source holds no light curves. Received: none{only}{bad}. "
            "Check the input and the passband's name."
        )
    return itertools.chain([first], curves), number


def chunks(
    light_curves: Iterator[LightCurve], num_observations: int, at_least: int = 1
) -> Iterator[list[LightCurve]]:
    """Group a stream so that each group holds about so many observations.

    Parameters
    ----------
    light_curves : iterator of LightCurve
    num_observations : int
        A group ends once it holds at least so many.
    at_least : int
        What the shortest light curve counts: a window takes its memory however few
        observations it holds.

    Yields
    ------
    group : list of LightCurve
        Never empty.
    """
    group: list[LightCurve] = []
    held = 0
    for curve in light_curves:
        group.append(curve)
        held += max(len(curve), at_least)
        if held >= num_observations:
            yield group
            group, held = [], 0
    if group:
        yield group


def _open_items(
    items: list[Any] | Iterator[Any],
    survey: str | None,
    read_files: Callable[[list[Path]], Iterator[LightCurve]],
) -> tuple[Iterator[LightCurve], int | None]:
    if isinstance(items, Iterator):
        first = list(itertools.islice(items, 1))
        items = itertools.chain(first, items)
        if not first or not isinstance(first[0], str | Path):
            _refuse_survey(survey, "light curves")
            return map(_check, items), None
        items = list(items)
    paths = [Path(item) for item in items if isinstance(item, str | Path)]
    if len(paths) != len(items):
        _refuse_survey(survey, "light curves")
        return map(_check, items), len(items)
    if not paths:
        return iter(()), 0
    records = [p for p in paths if (p / MANIFEST_NAME).is_file()]
    if survey is None and records:
        rest = [str(p) for p in paths if p not in records]
        if rest:
            raise ConfigError(
                "Records and survey files cannot be mixed. Received: "
                f"records={records[0]}, survey file={rest[0]}. Give them in turn."
            )
        number = sum(Manifest.load(path).num_light_curves() for path in records)
        return itertools.chain.from_iterable(read_records(p) for p in records), number
    return read_files(paths), None


def _refuse_survey(survey: str | None, source: str) -> None:
    if survey is not None:
        raise ConfigError(
            "`survey` names the format of files. "
            f'Received: survey="{survey}" with {source}. Leave it out.'
        )


def _check(item: Any) -> LightCurve:
    if not isinstance(item, LightCurve):
        advice = "Build light curves with `LightCurve.from_array`."
        if is_frame(item):
            advice = "Give one frame of all, or `light_curves_from_frame` of each."
        raise ConfigError(
            "A source must hold light curves, or else paths. "
            f"Received: an item of type {type(item).__name__}. "
            f"{advice}"
        )
    return item
