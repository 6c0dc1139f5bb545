"""Hidden observations of real windows: presets against classical methods.

`python benchmarks/reconstruction.py ../shared --work DIR` runs
`astromer benchmark-reconstruction` on the fixed windows of
`reference/anchors/masked_*.npz` and writes `reconstruction.json` and
`reconstruction.md` beside this script. DIR keeps what is finished.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from astromer.evaluation import (
    INTERPOLATORS,
    Interpolation,
    PresetReconstruction,
    describe_reconstruction,
    hide,
    read_windows,
    run_reconstruction,
    write_report,
)
from astromer.evaluation.reconstruction import ReconstructionMethod
from astromer.models import Reconstructor
from astromer.presets import load_preset
from astromer.progress import show_progress

HERE = Path(__file__).parent
SURVEYS = {"ASAS": "masked_asas.npz", "Catalina": "masked_crts.npz"}


def main() -> None:
    """Score all methods on both surveys and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with reference/")
    parser.add_argument("--work", type=Path, required=True, help="folder that is kept")
    parser.add_argument("--preset", nargs="+", default=["macho"])
    arguments = parser.parse_args()
    methods: list[ReconstructionMethod] = [
        *map(Interpolation, INTERPOLATORS),
        *(
            PresetReconstruction(load_preset(name, Reconstructor), name)
            for name in arguments.preset
        ),
    ]
    results, texts = {}, []
    for name, file in SURVEYS.items():
        points = read_windows(arguments.shared / "reference" / "anchors" / file)
        out = arguments.work / f"reconstruction_{name}"
        with show_progress() as progress:
            rows = run_reconstruction(
                {"points": points, "nights": hide(points, "nights")},
                methods,
                out,
                dataset=name,
                resume=True,
                progress=progress,
            )
        results[name] = describe_reconstruction(rows, dataset=name)
        paths = write_report(out, results[name])
        texts.append(paths["results.md"].read_text(encoding="utf-8"))
    report = {
        "command": "python benchmarks/reconstruction.py SHARED --work DIR --preset "
        + " ".join(arguments.preset),
        "results": results,
    }
    (HERE / "reconstruction.json").write_text(json.dumps(report, indent=1) + "\n")
    (HERE / "reconstruction.md").write_text("\n".join(texts))


if __name__ == "__main__":
    main()
