"""Which column of a file plays which role: by name, or guessed from aliases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from astromer.columns import ALIASES, match_columns
from astromer.errors import SurveyError, unknown_name
from astromer.surveys.files import WHITESPACE, split_line

__all__ = ["comment_title", "find_columns", "has_columns"]

_OTHER_QUANTITY: Final = re.compile(r"flux|phase|counts|jy\b", re.IGNORECASE)


def find_columns(
    path: Path,
    names: Sequence[str],
    *,
    needed: Iterable[str],
    optional: Iterable[str] = (),
    chosen: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Find the columns of a file by role.

    Parameters
    ----------
    path : pathlib.Path
        The file, for messages.
    names : sequence of str
        Column names in the file.
    needed, optional : iterable of str
        Roles, keys of `ALIASES`.
    chosen : mapping of str to str, optional
        Names that the user gave by role; see `match_columns`.

    Returns
    -------
    columns : dict of str to int
        Position of the column by role; optional roles only if they were found.

    Raises
    ------
    SurveyError
        If a needed or chosen column is not there; lists the columns found.
    """
    chosen = chosen or {}
    for role in chosen:
        if role not in ALIASES:
            raise SurveyError(unknown_name("column role", role, ALIASES))
    needed = tuple(needed)
    roles = (*needed, *optional)
    columns = match_columns(names, roles, chosen)
    for role in roles:
        if role not in columns and (role in needed or role in chosen):
            aliases = (chosen[role],) if role in chosen else ALIASES[role]
            raise SurveyError(
                f"The file needs a column for `{role}`. Received: path={path}, "
                f"columns={list(names)}; looked for: {', '.join(aliases)}. "
                f'Name it by role: columns={{"{role}": NAME}}, or with '
                f"`astromer convert` --column {role}=NAME."
            )
    return columns


def comment_title(
    lines: Sequence[str], first: int, separator: str
) -> tuple[str, ...] | None:
    """Take the comment above the first row as its title, if it reads like one.

    Parameters
    ----------
    lines : sequence of str
        The lines at the start of the file.
    first : int
        Position of the first row in `lines`.
    separator : str
        What separates the fields of the row.

    Returns
    -------
    names : tuple of str or None
        As many as the row has fields, if they have all that a row of observations
        needs, or one that says that it has no magnitudes: a flux, or a phase in place of
        a time.
    """
    comment = lines[first - 1].lstrip("# ") if 0 < first < len(lines) else ""
    num_fields = len(split_line(lines[first], separator)) if comment else 0
    for names in (split_line(comment, separator), split_line(comment, WHITESPACE)):
        is_title = has_columns(names, "time", "mag", "mag_err") or any(
            _OTHER_QUANTITY.search(name) for name in names
        )
        if len(names) == num_fields and is_title:
            return tuple(names)
    return None


def has_columns(names: Sequence[str], *roles: str) -> bool:
    """Whether every role is found among the column names by its aliases."""
    return len(match_columns(names, roles)) == len(set(roles))
