"""`astromer demo` hands its options to the demo and prints what comes back."""

import inspect
from pathlib import Path

import pytest

import astromer.cli.demo
import astromer.demo
from astromer.cli import main


@pytest.fixture
def calls(monkeypatch):
    """Replace the demo by one that returns known scores; return its calls."""
    received = []

    def run_demo(out, *, report, **options):
        received.append({"out": out, **options})
        report("Simulated [3] stars.")
        return astromer.demo.DemoResult(
            scores=(
                astromer.demo.ClassScore("RRab", 30, precision=0.75, recall=0.6),
                astromer.demo.ClassScore("ECL", 20, precision=0.0, recall=0.0),
            ),
            num_labeled=18,
            figures=(Path("map.png"),),
            records=Path("records"),
            embeddings=Path("embeddings.parquet"),
            seconds=61.0,
        )

    monkeypatch.setattr(astromer.demo, "run_demo", run_demo)
    return received


def test_demo_passes_its_options_on(calls, tmp_path):
    options = ["--preset", "mine", "--stars-per-class", "8", "--seed", "5"]
    assert main(["demo", "--out", str(tmp_path), *options]) == 0
    expected = {"preset": "mine", "stars_per_class": 8, "seed": 5}
    assert calls == [{"out": tmp_path, **expected}]


def test_demo_defaults_are_those_of_the_library():
    library = inspect.signature(astromer.demo.run_demo).parameters
    offered = inspect.signature(astromer.cli.demo.demo).parameters
    assert offered["out"].default == Path("astromer-demo")
    for name in ("preset", "stars_per_class", "seed"):
        assert offered[name].default == library[name].default


def test_demo_prints_scores_figures_and_one_line(calls, capsys):
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "Simulated [3] stars."
    row = next(line for line in shown if line.startswith("RRab"))
    # F1 is 2 * 0.75 * 0.6 / 1.35.
    assert row.split() == ["RRab", "30", "0.75", "0.60", "0.67"]
    assert "Figure: map.png" in shown
    assert shown[-1] == "Macro F1 0.33 (guessing: about 0.50) in 1 min 1 s"
