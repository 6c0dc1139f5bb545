"""Results to files: JSON with everything, Markdown to commit, HTML to look at."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from astromer.evaluation.objects import ObjectSet
from astromer.evaluation.protocol import Benchmark
from astromer.outputs import whole_file
from astromer.records.jsonfile import write_json

__all__ = [
    "REPORT_NAME",
    "RESULTS_NAME",
    "TABLES_NAME",
    "Table",
    "describe_few_shot",
    "describe_reconstruction",
    "write_report",
]

RESULTS_NAME: Final = "results.json"
TABLES_NAME: Final = "results.md"
REPORT_NAME: Final = "report.html"

FORMAT_VERSION: Final = 1
PACKAGES: Final = (
    "astromer",
    "keras",
    "tensorflow",
    "numpy",
    "scikit-learn",
    "light-curve",
    "nifty-ls",
)
FIGURE_DPI: Final = 160
TEXT_COLUMNS: Final = ("Method", "Classifier")
"""Columns that stand on the left; numbers stand on the right."""

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .9rem; display: block; overflow-x: auto; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; white-space: nowrap; }
th.text, td.text { text-align: left; }
thead th { border-bottom: 1px solid #999; } tr:hover td { background: #f4f4f4; }
figure { margin: 1.5rem 0; } img { max-width: 100%; } figcaption, p.note {
  color: #555; font-size: .9rem; }
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table in words, for Markdown and for HTML."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    """Cells; ``**bold**`` marks what stands out."""

    def to_markdown(self) -> str:
        """Return a section of Markdown."""
        lines = [f"## {self.title}", "", self.note, ""] if self.note else []
        lines = lines or [f"## {self.title}", ""]
        lines.append(f"| {' | '.join(self.columns)} |")
        sides = ("---" if name in TEXT_COLUMNS else "---:" for name in self.columns)
        lines.append(f"|{'|'.join(sides)}|")
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join(lines) + "\n"

    def to_html(self) -> str:
        """Return a section of HTML."""
        kinds = [' class="text"' * (name in TEXT_COLUMNS) for name in self.columns]
        head = "".join(
            f"<th{kind}>{html.escape(name)}</th>"
            for kind, name in zip(kinds, self.columns, strict=True)
        )
        rows = (
            "".join(
                f"<td{kind}>{_cell(c)}</td>" for kind, c in zip(kinds, row, strict=True)
            )
            for row in self.rows
        )
        body = "\n".join(f"<tr>{cells}</tr>" for cells in rows)
        note = f'<p class="note">{html.escape(self.note)}</p>\n' if self.note else ""
        return (
            f"<h2>{html.escape(self.title)}</h2>\n{note}"
            f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>\n"
        )


def describe_few_shot(
    benchmark: Benchmark,
    objects: ObjectSet,
    *,
    reference: tuple[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather everything about a few-shot benchmark as plain JSON values.

    Parameters
    ----------
    benchmark : Benchmark
    objects : ObjectSet
    reference : (str, str), optional
        Name and classifier of the method that all others are compared with; the first
        one by default.
    options : mapping, optional
        What the user chose, kept as it is.

    Returns
    -------
    results : dict
        ``rows`` are those of `Benchmark.rows`; ``differences`` hold for each other
        method and size the ``difference`` of macro F1 from the reference's, the
        interval from ``low`` to ``high`` and ``share_above_zero``.
    """
    splits = benchmark.splits
    reference = reference or benchmark.methods[0]
    differences = [
        {
            "method": name,
            "classifier": classifier,
            "samples_per_class": size,
            **{
                key: round(value, 4)
                for key, value in dataclasses.asdict(
                    benchmark.difference((name, classifier), reference, size)
                ).items()
            },
        }
        for name, classifier in benchmark.methods
        if (name, classifier) != reference
        for size in splits.sizes
    ]
    tested = {name for fold in splits.folds for name in fold.test}
    counts = {
        name: sum(splits.labels[n] == name for n in tested) for name in splits.classes
    }
    return {
        **_heading("few-shot", splits.dataset, options),
        "classes": list(splits.classes),
        "num_folds": len(splits.folds),
        "splits_digest": splits.digest,
        "tested_objects": counts,
        "distinct_training_objects": {
            str(size): names for size, names in splits.redrawn().items()
        },
        "left_out": objects.left_out,
        "reference": list(reference),
        "rows": benchmark.rows(),
        "differences": differences,
    }


def describe_reconstruction(
    rows: Sequence[Mapping[str, Any]],
    *,
    dataset: str = "",
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather everything about a reconstruction benchmark as plain JSON values.

    Parameters
    ----------
    rows : sequence of mapping
        From `run_reconstruction`.
    dataset : str
    options : mapping, optional
        What the user chose, kept as it is.

    Returns
    -------
    results : dict
    """
    return {**_heading("reconstruction", dataset, options), "rows": list(rows)}


def write_report(
    folder: str | Path,
    results: Mapping[str, Any],
    figures: Iterable[tuple[str, Any]] = (),
) -> dict[str, Path]:
    """Write results as JSON, Markdown and one HTML file that needs no other.

    Parameters
    ----------
    folder : str or pathlib.Path
    results : mapping
        From `describe_few_shot` or `describe_reconstruction`.
    figures : iterable of (str, matplotlib.figure.Figure)
        Captions and figures for the HTML file.

    Returns
    -------
    paths : dict of str to pathlib.Path
        By `RESULTS_NAME`, `TABLES_NAME` and `REPORT_NAME`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    few_shot = results["kind"] == "few-shot"
    tables = _few_shot_tables(results) if few_shot else _reconstruction_tables(results)
    title = "Few labels" if few_shot else "Hidden points"
    if results["dataset"]:
        title += f": {results['dataset']}"
    facts = _facts(results)
    write_json(folder / RESULTS_NAME, dict(results))
    text = "\n".join([f"# {title}\n", f"{facts}\n", *(t.to_markdown() for t in tables)])
    with whole_file(folder / TABLES_NAME) as made:
        made.write_text(text, encoding="utf-8")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f'<h1>{html.escape(title)}</h1><p class="note">{html.escape(facts)}</p>',
        tables[0].to_html(),
        *(_embed(caption, figure) for caption, figure in figures),
        *(table.to_html() for table in tables[1:]),
        "</body></html>",
    ]
    with whole_file(folder / REPORT_NAME) as made:
        made.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return {name: folder / name for name in (RESULTS_NAME, TABLES_NAME, REPORT_NAME)}


def _heading(
    kind: str, dataset: str, options: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "dataset": dataset,
        "options": json.loads(json.dumps(dict(options or {}), default=str)),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _facts(results: Mapping[str, Any]) -> str:
    """Return a paragraph: what was done, and with what."""
    versions = ", ".join(f"{name} {what}" for name, what in results["versions"].items())
    where = f"{results['machine']}, Python {results['python']}; {versions}."
    if results["kind"] != "few-shot":
        windows = {
            row["hiding"]: f"{row['num_windows']} windows with {row['num_hidden']} "
            f"hidden {row['hiding'].replace('nights', 'points, whole nights at a time')}"
            for row in results["rows"]
        }
        return f"{'; '.join(windows.values())}. {where}"
    tested = ", ".join(f"{name} {n}" for name, n in results["tested_objects"].items())
    text = f"{results['num_folds']} folds; objects tested: {tested}."
    for size, names in results["distinct_training_objects"].items():
        short = ", ".join(f"{name} {n}" for name, n in names.items())
        text += f" Of {size} per class, some repeat: {short} distinct ones."
    left_out = ", ".join(f"{n:,} {reason}" for reason, n in results["left_out"].items())
    return f"{text} Left out: {left_out or 'nothing'}. {where}"


def _few_shot_tables(results: Mapping[str, Any]) -> list[Table]:
    rows = results["rows"]
    sizes = sorted({row["samples_per_class"] for row in rows})
    methods = list(dict.fromkeys((row["method"], row["classifier"]) for row in rows))
    found = {(r["method"], r["classifier"], r["samples_per_class"]): r for r in rows}
    heads = ["Method", "Classifier", *map(str, sizes)]
    best = {
        size: max(r["macro_f1_mean"] for r in rows if r["samples_per_class"] == size)
        for size in sizes
    }

    def score(row: Mapping[str, Any], prefix: str = "") -> str:
        mean, std = (row[f"{prefix}macro_f1_{name}"] for name in ("mean", "std"))
        if mean is None:
            return ""
        text = f"{mean:.3f}" + (f" ± {std:.3f}" if std is not None else "")
        top = not prefix and mean == best[row["samples_per_class"]]
        return f"**{text}**" if top else text

    tables = [
        Table(
            "Macro F1 per object",
            "Mean and standard deviation over folds, by labeled objects per class.",
            heads,
            [[*m, *(score(found[*m, size]) for size in sizes)] for m in methods],
        )
    ]
    windowed = [m for m in methods if found[*m, sizes[0]]["window_macro_f1_mean"]]
    if windowed:
        tables.append(
            Table(
                "Macro F1 per window",
                "For comparison with results that count each window as an object.",
                heads,
                [
                    [*m, *(score(found[*m, size], "window_") for size in sizes)]
                    for m in windowed
                ],
            )
        )
    if results["differences"]:
        tables.append(_difference_table(results, sizes))
    if any(row["finetuning"] for row in rows):
        tables.append(_finetuning_table(rows))
    largest = [found[*m, sizes[-1]] for m in methods]
    tables += [
        Table(
            f"F1 by class, {sizes[-1]} per class",
            "Mean over folds.",
            ["Method", "Classifier", *results["classes"]],
            [
                [
                    row["method"],
                    row["classifier"],
                    *(
                        f"{row['per_class_f1'][name]:.3f}"
                        for name in results["classes"]
                    ),
                ]
                for row in largest
            ],
        ),
        Table(
            f"Calibration and time, {sizes[-1]} per class",
            "Brier score from 0 (best) to 2; expected calibration error; seconds to "
            "train and predict one fold, without embeddings and features.",
            ["Method", "Classifier", "Brier", "Calibration error", "Seconds"],
            [
                [
                    row["method"],
                    row["classifier"],
                    f"{row['brier']:.3f}",
                    f"{row['calibration_error']:.3f}",
                    f"{row['seconds']:.1f}",
                ]
                for row in largest
            ],
        ),
    ]
    return tables


def _finetuning_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what finetuning has changed, once per encoder and size (Fig. 7)."""
    found = {
        (row["method"], row["samples_per_class"]): row["finetuning"]
        for row in rows
        if row["finetuning"]
    }
    return Table(
        "Finetuning",
        "RMSE in mag on the test objects, mean over folds: over all observations with "
        "nothing hidden, as in the paper, and of observations predicted unseen.",
        [
            *("Method", "Per class", "RMSE before", "After"),
            *("Unseen, before", "After", "Minutes"),
        ],
        [
            [
                method,
                str(size),
                *(
                    f"{facts[f'{prefix}rmse_{when}']:.4f}"
                    for prefix in ("", "hidden_")
                    for when in ("before", "after")
                ),
                f"{facts['minutes']:.2f}",
            ]
            for (method, size), facts in found.items()
        ],
    )


def _difference_table(results: Mapping[str, Any], sizes: Sequence[int]) -> Table:
    found: dict[tuple[str, str], dict[int, str]] = {}
    for row in results["differences"]:
        text = f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
        key = row["method"], row["classifier"]
        found.setdefault(key, {})[row["samples_per_class"]] = text
    return Table(
        f"Difference from {' '.join(results['reference'])}",
        "Macro F1 on the same test objects, with the interval of 95 % of bootstrap "
        "resamples of these objects. It does not hold the scatter of training sets.",
        ["Method", "Classifier", *map(str, sizes)],
        [[*key, *(cells[size] for size in sizes)] for key, cells in found.items()],
    )


def _reconstruction_tables(results: Mapping[str, Any]) -> list[Table]:
    tables = []
    for hiding in dict.fromkeys(row["hiding"] for row in results["rows"]):
        rows = [row for row in results["rows"] if row["hiding"] == hiding]
        classes = list(rows[0]["per_class"])
        best = max(row["r2"] for row in rows)
        body = []
        for row in rows:
            pooled = f"{row['r2']:.3f}"
            coverage = row["coverage"]
            inside = (
                coverage
                and f"{coverage['one_sigma']:.0%} / {coverage['two_sigma']:.0%}"
            )
            body.append(
                [
                    row["method"],
                    f"**{pooled}**" if row["r2"] == best else pooled,
                    f"{row['r2_median']:.3f}",
                    f"{row['rmse']:.3f}",
                    *(f"{row['per_class'][name]['r2']:.2f}" for name in classes),
                    inside or "",
                    f"{row['seconds_per_window']:.3g}",
                ]
            )
        tables.append(
            Table(
                f"Hidden {hiding}",
                "R2 of hidden observations about each window's visible mean: pooled, "
                "median over windows, pooled by class; RMSE in mag; share of "
                "observations within one and two of the method's errors (68 % / 95 % "
                "if they are right); seconds per window.",
                [
                    *("Method", "R2", "Median R2", "RMSE"),
                    *classes,
                    *("Within errors", "Seconds"),
                ],
                body,
            )
        )
    return tables


def _cell(text: str) -> str:
    if text.startswith("**") and text.endswith("**"):
        return f"<strong>{html.escape(text[2:-2])}</strong>"
    return html.escape(text)


def _embed(caption: str, figure: Any) -> str:
    """Return a figure as part of the page, without a file of its own."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=FIGURE_DPI, metadata={"Software": None})
    data = base64.b64encode(stream.getvalue()).decode()
    text = html.escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )
