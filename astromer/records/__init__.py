"""Light curves to TFRecords and back: convert, read, verify, summarize.

Nothing here imports TensorFlow. Names are imported when they are first used: to look
at records costs no polars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astromer.lazy import import_when_used

if TYPE_CHECKING:
    from astromer.records.conversion import convert, convert_tables
    from astromer.records.labels import read_labels
    from astromer.records.manifest import MANIFEST_NAME, REJECTED_NAME, Manifest
    from astromer.records.options import ConvertOptions, parse_split
    from astromer.records.reader import read_records, sample_records
    from astromer.records.released import read_released_records
    from astromer.records.summary import RecordsSummary, summarize_records
    from astromer.records.verify import CheckResult, verify_records

__all__ = [
    "MANIFEST_NAME",
    "REJECTED_NAME",
    "CheckResult",
    "ConvertOptions",
    "Manifest",
    "RecordsSummary",
    "convert",
    "convert_tables",
    "parse_split",
    "read_labels",
    "read_records",
    "read_released_records",
    "sample_records",
    "summarize_records",
    "verify_records",
]

_HOMES = {
    "MANIFEST_NAME": "manifest",
    "REJECTED_NAME": "manifest",
    "CheckResult": "verify",
    "ConvertOptions": "options",
    "Manifest": "manifest",
    "RecordsSummary": "summary",
    "convert": "conversion",
    "convert_tables": "conversion",
    "parse_split": "options",
    "read_labels": "labels",
    "read_records": "reader",
    "read_released_records": "released",
    "sample_records": "reader",
    "summarize_records": "summary",
    "verify_records": "verify",
}

__getattr__, __dir__ = import_when_used(__name__, _HOMES)
