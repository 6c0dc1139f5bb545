"""Light curves to TFRecords and back: convert, read, verify, summarize.

Nothing here imports TensorFlow.
"""

from astromer.records.convert import convert, convert_tables
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
