"""Convert and embed real survey files, and leave rows, seconds and memory behind.

`python benchmarks/real_data.py ../shared` runs the command line on the native MACHO and
ATLAS files and on the ASAS stars of that folder, each command in its own process, and
writes `real_data.json` and `real_data.md` beside this script.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
HEADER = (
    "| Survey | Files | Rows read | Light curves | Observations kept "
    "| Convert [s] | [MiB] | Embed [s] | [MiB] |"
)


def measure(command: list[str]) -> dict[str, float]:
    """Run a command of astromer; seconds of wall time and peak memory [MiB]."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "astromer.cli", *command],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"astromer {' '.join(command)} failed")
    return {
        "seconds": round(time.monotonic() - start, 2),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def run(survey: str, inputs: list[Path], work: Path) -> dict[str, object]:
    """Convert and embed one survey; what was read, kept and how long it took."""
    records, out = work / survey, work / f"{survey}.parquet"
    files = [str(path) for path in inputs]
    converted = measure(["convert", survey, *files, "--out", str(records)])
    manifest = json.loads((records / "manifest.json").read_text())
    splits = manifest["splits"].values()
    embedded = measure(["embed", "macho", str(records), "--out", str(out)])
    return {
        "survey": survey,
        "files": len(files),
        "rows_read": manifest["rows_read"],
        "observations": sum(split["num_observations"] for split in splits),
        "light_curves": sum(split["num_light_curves"] for split in splits),
        "convert": converted,
        "embed": embedded,
    }


def main() -> None:
    """Run all surveys and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with fixtures/ and data/")
    shared = parser.parse_args().shared
    surveys = {
        "macho": sorted((shared / "fixtures" / "macho").iterdir()),
        "atlas": sorted((shared / "fixtures" / "atlas").iterdir()),
        "table": [shared / "data" / "asas_acvs.parquet"],
    }
    with tempfile.TemporaryDirectory() as folder:
        results = [run(name, files, Path(folder)) for name, files in surveys.items()]
    packages = ("astromer", "keras", "tensorflow", "polars", "numpy")
    report = {
        "command": "python benchmarks/real_data.py SHARED",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "results": results,
    }
    (HERE / "real_data.json").write_text(json.dumps(report, indent=2) + "\n")
    versions = ", ".join(f"{name} {what}" for name, what in report["versions"].items())
    lines = [
        "# Real survey files, end to end",
        "",
        (
            f"`{report['command']}`; {report['machine']}; Python {report['python']}; "
            f"{versions}. Times include starting Python, and importing TensorFlow to embed."
        ),
        "",
        HEADER,
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['survey']} | {r['files']:,} | {r['rows_read']:,} | "
        f"{r['light_curves']:,} | {r['observations']:,} | "
        f"{r['convert']['seconds']} | {r['convert']['peak_mib']:,} | "
        f"{r['embed']['seconds']} | {r['embed']['peak_mib']:,} |"
        for r in results
    ]
    (HERE / "real_data.md").write_text("\n".join(lines) + "\n")


def _version(name: str) -> str:
    for candidate in (name, f"{name}-cpu"):
        try:
            return version(candidate)
        except ModuleNotFoundError:
            continue
    return "not installed"


if __name__ == "__main__":
    main()
