"""Few labels on real stars: presets, hand-crafted features and trivial statistics.

`python benchmarks/few_shot.py ../shared --work DIR` converts the ASAS and Catalina
stars of that folder without clipping, runs `astromer benchmark` on fixed splits, and
writes `few_shot.json` and `few_shot.md` (`--name`) beside this script. DIR keeps
records, cache and results, so that an interrupted run goes on, and holds an HTML report
per survey.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from astromer.evaluation import DEFAULT_BASELINES, few_shot_benchmark, write_report
from astromer.figures import report_figures
from astromer.progress import show_progress
from astromer.records import convert

HERE = Path(__file__).parent
SURVEYS = {
    "ASAS": (
        "asas_acvs.parquet",
        "splits_asas.json",
        "EB=EB_unspec+EC+ED+ESD,MIRA,RRAB,RRC,DSCT",
    ),
    "Catalina": (
        "crts_labelled.parquet",
        "splits_crts.json",
        "EA,EW,LPV,RRab,RRc,RS_CVn",
    ),
}


def main() -> None:
    """Run both surveys and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/ and reference/")
    parser.add_argument("--work", type=Path, required=True, help="folder that is kept")
    parser.add_argument("--preset", nargs="*", default=["macho"])
    parser.add_argument("--layers", nargs="+", default=["last", "embedding"])
    parser.add_argument("--heads", nargs="*", default=["gamma", "mean"])
    parser.add_argument("--baselines", nargs="*", default=DEFAULT_BASELINES)
    parser.add_argument("--sizes", nargs="+", type=int, help="labels per class; all")
    parser.add_argument("--surveys", nargs="+", default=list(SURVEYS))
    parser.add_argument("--finetune", action="store_true", help="encoders, too")
    parser.add_argument("--name", default="few_shot", help="of the two files written")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    results, texts = {}, []
    for name in arguments.surveys:
        _, splits, classes = SURVEYS[name]
        records = labeled_records(name, arguments.shared, arguments.work)
        out = arguments.work / f"{arguments.name}_{name}"
        with show_progress() as progress:
            results[name] = few_shot_benchmark(
                records,
                out,
                presets=arguments.preset,
                layers=arguments.layers,
                heads=arguments.heads,
                baselines=arguments.baselines,
                finetune=arguments.finetune,
                sizes=arguments.sizes,
                splits=arguments.shared / "reference" / "anchors" / splits,
                classes=classes,
                dataset=name,
                cache=arguments.work / "cache",
                num_jobs=arguments.jobs,
                resume=True,
                progress=progress,
            )
        paths = write_report(out, results[name], report_figures(results[name]))
        texts.append(paths["results.md"].read_text(encoding="utf-8"))
    command = ["python benchmarks/few_shot.py SHARED --work DIR", *_choices(arguments)]
    report = {"command": " ".join(command), "results": results}
    (HERE / f"{arguments.name}.json").write_text(json.dumps(report, indent=1) + "\n")
    (HERE / f"{arguments.name}.md").write_text("\n".join(texts))


def labeled_records(name: str, shared: Path, work: Path) -> Path:
    """Return a survey's light curves as records, none of them clipped."""
    data = SURVEYS[name][0]
    records = work / f"records_{Path(data).stem}"
    if not records.exists():
        convert(
            "table",
            shared / "data" / data,
            records,
            clip_percentiles=None,
            min_observations=20,
        )
    return records


def _choices(arguments: argparse.Namespace) -> list[str]:
    """Return the options that decide what is measured, as they are written."""
    names = ["preset", "layers", "heads", "baselines"]
    if arguments.sizes:
        names.append("sizes")
    if arguments.surveys != list(SURVEYS):
        names.append("surveys")
    lists = [[f"--{name}", *map(str, getattr(arguments, name))] for name in names]
    lists.append(["--name", arguments.name])
    words = [word for words in lists for word in words]
    return [*words, "--finetune"] if arguments.finetune else words


if __name__ == "__main__":
    main()
