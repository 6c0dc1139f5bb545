"""Names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["import_when_used"]


def import_when_used(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose modules cost much to import.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping
        Module of each name, as it is called within the package.

    Returns
    -------
    get : callable
        Takes a name; raises AttributeError if it is none of these.
    names : callable
        Returns what the package lists in ``__all__``, sorted.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    def names() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get, names
