"""Results as JSON, Markdown and one HTML file."""

import base64
import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from astromer.evaluation.masked import draw_windows, hide
from astromer.evaluation.methods import VectorMethod
from astromer.evaluation.objects import collect_objects
from astromer.evaluation.protocol import run_benchmark
from astromer.evaluation.reconstruction import Interpolation, run_reconstruction
from astromer.evaluation.report import (
    REPORT_NAME,
    RESULTS_NAME,
    TABLES_NAME,
    Table,
    describe_few_shot,
    describe_reconstruction,
    write_report,
)
from astromer.evaluation.representations import FrozenEmbedding, Statistics
from astromer.evaluation.splits import make_splits


@pytest.fixture
def few_shot(make_survey, tiny_model, tmp_path):
    objects = collect_objects(make_survey(fast=12, slow=12, flat=6))
    splits = make_splits(objects.labels, sizes=[2, 6], num_folds=2, dataset="toy")
    methods = [
        VectorMethod(FrozenEmbedding(tiny_model, "tiny"), "lr"),
        VectorMethod(Statistics(), "lr"),
    ]
    benchmark = run_benchmark(objects, splits, methods, tmp_path / "run")
    reference = ("statistics", "lr")
    return describe_few_shot(
        benchmark, objects, reference=reference, options={"seed": 0}
    )


def table_rows(text, title):
    """Cells of the Markdown table under a heading, without its head."""
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][1:]


def test_results_hold_everything_and_are_plain_json(few_shot, tmp_path):
    paths = write_report(tmp_path, few_shot)
    assert list(paths) == [RESULTS_NAME, TABLES_NAME, REPORT_NAME]
    read = json.loads(paths[RESULTS_NAME].read_text("utf-8"))
    assert read == few_shot
    assert read["dataset"] == "toy"
    assert len(read["rows"]) == 4
    needed = {
        "dataset",
        "method",
        "classifier",
        "samples_per_class",
        "macro_f1_mean",
        "macro_f1_std",
        "per_fold",
    }
    assert needed <= set(read["rows"][0])
    assert read["tested_objects"] == {"fast": 6, "flat": 2, "slow": 6}
    assert read["distinct_training_objects"] == {"6": {"flat": 5}}
    assert read["versions"]["numpy"] == np.__version__


def test_differences_are_from_the_reference(few_shot):
    rows = {(r["method"], r["samples_per_class"]): r for r in few_shot["rows"]}
    assert len(few_shot["differences"]) == 2
    for difference in few_shot["differences"]:
        size = difference["samples_per_class"]
        gap = (
            rows["tiny/last", size]["macro_f1_mean"]
            - rows["statistics", size]["macro_f1_mean"]
        )
        assert difference["method"] == "tiny/last"
        assert difference["difference"] == pytest.approx(gap, abs=2e-4)
        assert difference["low"] <= difference["difference"] <= difference["high"]


def test_markdown_shows_the_scores(few_shot, tmp_path):
    text = write_report(tmp_path, few_shot)[TABLES_NAME].read_text("utf-8")
    assert text.startswith("# Few labels: toy\n")
    assert "Of 6 per class, some repeat: flat 5 distinct ones." in text
    cells = table_rows(text, "Macro F1 per object")
    assert [row[:2] for row in cells] == [["tiny/last", "lr"], ["statistics", "lr"]]
    row = few_shot["rows"][0]
    shown = f"{row['macro_f1_mean']:.3f} ± {row['macro_f1_std']:.3f}"
    assert cells[0][2].strip("*") == shown
    best = [line[2].startswith("**") for line in cells]
    first, second = few_shot["rows"][0], few_shot["rows"][2]
    assert best[0] == (first["macro_f1_mean"] >= second["macro_f1_mean"])
    assert len(table_rows(text, "Macro F1 per window")) == 1
    assert len(table_rows(text, "F1 by class, 6 per class")) == 2
    assert len(table_rows(text, "Difference from statistics lr")) == 1


def test_html_stands_alone_with_its_figures(few_shot, tmp_path):
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([0, 1])
    page = write_report(tmp_path, few_shot, [("A <line>", figure)])[REPORT_NAME]
    text = page.read_text("utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert "A &lt;line&gt;" in text
    assert text.count("<table>") == text.count("</table>") == 5


def test_the_same_results_give_the_same_bytes(few_shot, tmp_path):
    figure = Figure(figsize=(2, 1))
    one, two = (
        write_report(tmp_path / name, few_shot, [("x", figure)]) for name in "ab"
    )
    for name in one:
        assert one[name].read_bytes() == two[name].read_bytes()


def test_reconstruction_has_a_table_for_each_way_of_hiding(make_survey, tmp_path):
    windows = draw_windows(make_survey(), window_size=30, windows_per_class=2)
    both = {"points": windows, "nights": hide(windows, "nights")}
    methods = [Interpolation("visible mean"), Interpolation("Gaussian process")]
    rows = run_reconstruction(both, methods, tmp_path / "run", dataset="toy")
    results = describe_reconstruction(rows, dataset="toy")
    text = write_report(tmp_path, results)[TABLES_NAME].read_text("utf-8")
    assert text.startswith("# Hidden points: toy\n")
    assert "6 windows with 90 hidden points" in text
    assert "hidden points, whole nights at a time" in text
    for hiding in both:
        cells = table_rows(text, f"Hidden {hiding}")
        assert [row[0] for row in cells] == ["visible mean", "Gaussian process"]
        assert cells[0][1].strip("*") in {"0.000", "-0.000"}
        assert cells[0][-2] == ""
        assert re.fullmatch(r"\d+% / \d+%", cells[1][-2])


def test_cells_of_a_table_are_escaped_and_bold_where_marked():
    table = Table("A & B", "", ["Method", "y"], [["a<b", "**1.0**"]])
    cells = '<td class="text">a&lt;b</td><td><strong>1.0</strong></td>'
    assert cells in table.to_html()
    assert table.to_markdown() == (
        "## A & B\n\n| Method | y |\n|---|---:|\n| a<b | **1.0** |\n"
    )
