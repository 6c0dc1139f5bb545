"""ZTF light curves: CSV as the archive's light-curve service returns it.

Objects are named by ``oid``, passbands are g, r, i from ``filtercode`` (``zg`` ...),
times are MJD (``columns={"time": "hjd"}`` takes heliocentric ones). A row whose
``catflags`` has bit 15 set is unusable according to the survey's manual and is
flagged; other bits are warnings and are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from astromer.surveys.columns import find_columns
from astromer.surveys.files import (
    find_header,
    guess_separator,
    split_line,
    split_lines,
    title_line,
)
from astromer.surveys.observations import ObservationTable, ReadOptions, Survey
from astromer.surveys.parsing import NUMBERS, checked, read_text_table

__all__ = ["SURVEY"]

_OWN_NAMES: Final = {
    "object_id": "oid",
    "passband": "filtercode",
    "time": "mjd",
    "mag": "mag",
    "mag_err": "magerr",
}
_QUALITY: Final = "catflags"
_UNUSABLE_BIT: Final = 1 << 15


def _detect(path: Path, head: bytes) -> bool:
    del path
    title = title_line(split_lines(head))
    return {"oid", "filtercode"}.issubset(split_line(title, guess_separator(title)))


@checked
def _read(path: Path, options: ReadOptions) -> Iterator[ObservationTable]:
    header = find_header(path)
    columns = find_columns(
        path,
        header.names,
        needed=(*NUMBERS, "object_id", "passband"),
        optional=("class_name",),
        chosen=_OWN_NAMES | dict(options.columns),
    )
    marks, quality = {}, {}
    if _QUALITY in header.names:
        quality = {"quality": header.names.index(_QUALITY)}
        bits = pl.col("quality").cast(pl.Int64, strict=False)
        marks = {"bad_photometry": (bits & _UNUSABLE_BIT) != 0}
    return read_text_table(
        path,
        header,
        columns,
        options,
        passband=pl.col("passband").str.strip_prefix("z"),
        extra_numbers=quality,
        marks=marks,
    )


SURVEY: Final = Survey(
    name="ztf",
    description="ZTF: CSV of the light-curve service (oid, filtercode, catflags)",
    patterns=("*.csv",),
    detect=_detect,
    read=_read,
)
