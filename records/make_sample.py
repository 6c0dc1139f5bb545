"""Make the records beside this script: `python records/make_sample.py`.

The same version of the package writes the same bytes; a test compares.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from astromer import convert, simulate_survey
from astromer.simulate import CLASS_NAMES, write_macho_csv

STARS_PER_CLASS = 10


def make(out: Path) -> None:
    """Simulate stars on a MACHO cadence, write archive CSV, convert, and tidy up."""
    with tempfile.TemporaryDirectory() as folder:
        counts = dict.fromkeys(CLASS_NAMES, STARS_PER_CLASS)
        curves = simulate_survey(classes=counts, seed=1)
        files = write_macho_csv(curves, Path(folder) / "survey")
        records = Path(folder) / "records"
        convert(
            "macho",
            files,
            records,
            labels=Path(folder) / "survey" / "labels.csv",
            passbands="R",
            split={"train": 0.6, "validation": 0.2, "test": 0.2},
        )
        for path in sorted(records.iterdir()):
            if path.is_file():
                shutil.copy(path, out / path.name)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
