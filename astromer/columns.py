"""Which column plays which role, recognized by name: in files and in frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

__all__ = ["ALIASES", "match_columns"]

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": (
        *("time", "mjd", "hjd", "bjd", "jd", "bjd_tdb", "mjd_obs", "obsmjd"),
        *("obstime", "date", "dateobs", "t"),
    ),
    "mag": ("mag", "magnitude", "mags", "magpsf", "psfmag", "m"),
    "mag_err": (
        *("mag_err", "err_mag", "mag_error", "magnitude_error"),
        *("err", "error", "e_mag", "dmag", "sigma_mag", "sigmapsf", "sigma", "dm"),
    ),
    "object_id": (
        *("object_id", "objid", "id", "oid", "source_id"),
        *("star_id", "lcid", "ato_id", "asas_sn_id", "name", "object"),
        *("object_name", "objname", "star_name", "star", "obj"),
        *("target_id", "target_name", "target", "kic", "kic_id", "kepid"),
        *("tic", "tic_id", "epic", "epic_id", "gaia_id", "asas_id", "ogle_id"),
    ),
    "passband": (
        *("passband", "band", "filter", "filtercode", "phot_filter", "filt", "fid"),
        *("band_name", "filter_name", "filter_id", "lsst_band"),
    ),
    "class_name": ("class_name", "class", "label", "type", "var_type"),
    "path": ("path", "file", "filename", "filepath"),
}
"""Names by which a column is recognized, best first, by role.

Each role is its own first. Case, blanks and punctuation do not matter.
"""


def match_columns(
    names: Sequence[str],
    roles: Iterable[str],
    chosen: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Find columns by role.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    roles : iterable of str
        Keys of `ALIASES`.
    chosen : mapping of str to str, optional
        Names that the user gave by role. They stand in place of aliases, and such a
        column plays no other role by an alias.

    Returns
    -------
    columns : dict of str to int
        Position by role, for the roles that have a column. The best alias wins, and
        among equal names the first.

    Examples
    --------
    >>> match_columns(["ID", "HJD", "mjd"], ["object_id", "time", "mag"])
    {'object_id': 0, 'time': 2}
    """
    chosen = chosen or {}
    taken = {role: _first_match(names, (name,)) for role, name in chosen.items()}
    free = [
        "" if position in taken.values() else name
        for position, name in enumerate(names)
    ]
    places = {
        role: taken[role] if role in taken else _first_match(free, ALIASES[role])
        for role in roles
    }
    return {role: place for role, place in places.items() if place is not None}


def _first_match(names: Sequence[str], aliases: Iterable[str]) -> int | None:
    # Backwards, so that the first of equal names stays.
    backwards = list(enumerate(names))[::-1]
    exact = {name: position for position, name in backwards}
    plain = {_plain(name): position for position, name in backwards}
    # What has neither letters nor digits would equal all others that have none.
    plain.pop("", None)
    for alias in aliases:
        if alias in exact:
            return exact[alias]
        if _plain(alias) in plain:
            return plain[_plain(alias)]
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())
