"""JSON files that are there as a whole or not at all, whenever a process ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["write_json"]


def write_json(path: Path, values: Any) -> None:
    """Write a file beside its place, then move it there in one step.

    Parameters
    ----------
    path : pathlib.Path
        A file of that name is replaced.
    values : dict
        Plain JSON values.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    text = json.dumps(values, indent=2, ensure_ascii=False)
    temporary.write_text(f"{text}\n", encoding="utf-8")
    temporary.replace(path)
