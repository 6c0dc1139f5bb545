"""ASAS-SN light curves: CSV as Sky Patrol returns it.

Times are Heliocentric Julian Dates and come out as HJD - 2,400,000.5. A magnitude
such as ``>15.944`` is an upper limit, 99.990 is missing; both are flagged. A file
holds one object, named like the file, in the passbands of its ``Filter`` column
(V where there is none, as in the first years).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from astromer.surveys.columns import find_columns, has_columns
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


def _detect(path: Path, head: bytes) -> bool:
    del path
    title = title_line(split_lines(head))
    names = [name.lower() for name in split_line(title, guess_separator(title))]
    own = "camera" in names and bool({"hjd", "jd"} & set(names))
    return own and has_columns(names, *NUMBERS)


@checked
def _read(path: Path, options: ReadOptions) -> Iterator[ObservationTable]:
    header = find_header(path)
    columns = find_columns(
        path,
        header.names,
        needed=NUMBERS,
        optional=("object_id", "passband", "class_name"),
        chosen=options.columns,
    )
    return read_text_table(
        path,
        header,
        columns,
        options,
        passband=options.passband or "V",
    )


SURVEY: Final = Survey(
    name="asas_sn",
    description="ASAS-SN: CSV of Sky Patrol (HJD, Camera, mag, mag_err, Filter)",
    patterns=("*.csv",),
    detect=_detect,
    read=_read,
)
