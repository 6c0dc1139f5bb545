"""Fixtures of the survey tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from astromer.surveys import OBSERVATION_SCHEMA, ReadOptions, get_survey


@pytest.fixture
def read() -> Callable[..., pl.DataFrame]:
    """Return a reader of one file as one frame, with the schema checked."""

    def read(survey: str, path: Path, **options: Any) -> pl.DataFrame:
        tables = list(get_survey(survey).read(path, ReadOptions(**options)))
        for table in tables:
            assert dict(table.frame.schema) == dict(OBSERVATION_SCHEMA)
            assert table.frame["object_id"].null_count() == 0
            assert table.frame["passband"].null_count() == 0
        return pl.concat([table.frame for table in tables])

    return read


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of text or bytes to a file in a fresh folder."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
