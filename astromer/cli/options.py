"""What commands with many options share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

__all__ = ["given_options", "is_given"]


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the user gave an option, rather than leaving it at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def given_options(context: typer.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the user said; the rest is for a file, then the library, to decide."""
    return {name: value for name, value in values.items() if is_given(context, name)}
