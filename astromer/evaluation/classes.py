"""Which class names count, and which of them count as one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from astromer.errors import ConfigError, unknown_name

__all__ = ["ClassMap", "read_classes"]

_EXAMPLE = "Example: EB=EC+ED+ESD,MIRA."


class ClassMap:
    """Groups of class names: what an object is called, and what it counts as.

    Parameters
    ----------
    groups : mapping of str to sequence of str
        Names that count as one, by the name they get; its order is that of the classes.

    Raises
    ------
    ConfigError
        If there is no group, a group is empty, or a name stands in two.

    Examples
    --------
    >>> classes = ClassMap({"EB": ["EC", "ED"], "MIRA": ["MIRA"]})
    >>> classes.find("ED"), classes.find("RRAB")
    ('EB', None)
    """

    def __init__(self, groups: Mapping[str, Iterable[str]]) -> None:
        self.groups = {str(name): tuple(members) for name, members in groups.items()}
        self._group_of: dict[str, str] = {}
        for group, members in self.groups.items():
            if not group or not members or not all(members):
                raise ConfigError(
                    "A class needs a name and at least one member. "
                    f'Received: classes="{group}={"+".join(members)}". {_EXAMPLE}'
                )
            for member in members:
                if member in self._group_of:
                    raise ConfigError(
                        "A class name counts once. Received: "
                        f'"{member}" in "{self._group_of[member]}" and "{group}". '
                        "Name it in one place."
                    )
                self._group_of[member] = group
        if not self.groups:
            raise ConfigError(
                f"`classes` must name classes. Received: none. {_EXAMPLE}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Classes, in order."""
        return tuple(self.groups)

    def find(self, class_name: str) -> str | None:
        """Return what a class name counts as, None if it does not count."""
        return self._group_of.get(class_name)

    def check(self, found: Iterable[str]) -> None:
        """Raise ConfigError unless each member is among the names in the data."""
        names = set(found)
        for member in self._group_of:
            if member not in names:
                raise ConfigError(unknown_name("class", member, names))


def read_classes(given: str | Path | Mapping[str, Any] | Iterable[str]) -> ClassMap:
    """Read a grouping of classes.

    Parameters
    ----------
    given : str, path, mapping or iterable of str
        Text such as ``"EB=EC+ED+ESD,MIRA"``; a JSON or TOML file, or a mapping, of
        lists of names by class; or names that each stand for themselves.

    Returns
    -------
    classes : ClassMap

    Raises
    ------
    ConfigError
        If it cannot be read or a name stands in two classes.

    Examples
    --------
    >>> read_classes("EB=EC+ED, MIRA").groups
    {'EB': ('EC', 'ED'), 'MIRA': ('MIRA',)}
    """
    if isinstance(given, Mapping):
        return ClassMap({name: _members(name, value) for name, value in given.items()})
    if isinstance(given, Path) or (
        isinstance(given, str) and given.endswith((".json", ".toml"))
    ):
        return read_classes(_read_file(Path(given)))
    if isinstance(given, str):
        groups: dict[str, list[str]] = {}
        for part in given.split(","):
            name, _, members = part.partition("=")
            name = name.strip()
            if name in groups:
                raise ConfigError(
                    f'A class is named once. Received: "{name}" twice. {_EXAMPLE}'
                )
            groups[name] = [m.strip() for m in (members or name).split("+")]
        return ClassMap(groups)
    return ClassMap({name: [name] for name in given})


def _members(name: str, value: Any) -> list[str]:
    members = [value] if isinstance(value, str) else value
    if not isinstance(members, list | tuple) or not all(
        isinstance(member, str) for member in members
    ):
        raise ConfigError(
            f"A class is a list of names. Received: {name}={value!r}. {_EXAMPLE}"
        )
    return list(members)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "`classes` must be a JSON or TOML file with lists of names by class. "
            f"Received: classes={path} ({error})."
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            "`classes` must hold lists of names by class. "
            f"Received: classes={path}, a {type(values).__name__}."
        )
    return values
