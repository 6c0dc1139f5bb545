"""What the documents promise: commands that exist, code that runs, links that lead."""

import json
import re
import shlex
from pathlib import Path

import pytest

from astromer._version import __version__

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    path
    for path in sorted(ROOT.glob("*.md"))
    if path.name in {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "DECISIONS.md"}
] + sorted((ROOT / "docs").glob("*.md"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def command(mark):
    """The first line of the code block under an HTML comment in the README."""
    found = re.search(rf"<!-- {mark} -->\s*```\w*\n(.+)\n```", read("README.md"))
    assert found, f"README.md has no one-line block under <!-- {mark} -->"
    return found[1]


@pytest.mark.parametrize("mark", ["demo-command", "test-command"])
def test_readme_command_makes_its_own_environment(mark):
    line = command(mark)
    assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert "-c requirements.txt" in line
    assert "\\" not in line


def test_readme_commands_run_the_demo_and_the_tests():
    assert command("demo-command").endswith("&& .venv/bin/astromer demo")
    assert command("test-command").endswith("&& .venv/bin/pytest")
    assert ".[test]" in shlex.split(command("test-command"))


def test_ci_reads_the_test_command_from_the_readme():
    script = read(".ci/run")
    assert "readme_command test-command" in script
    assert command("test-command") not in script


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_readme_python_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    blocks = re.findall(
        r"^```python\n(.*?)^```", read("README.md"), re.DOTALL | re.MULTILINE
    )
    assert blocks, "README.md shows no Python"
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__readme__"}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"README.md, block {number}", "exec"), namespace)


def test_changelog_names_the_current_version():
    text = read("CHANGELOG.md")
    assert f"\n## [{__version__}] - " in text
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    known = {"Added", "Changed", "Deprecated", "Fixed", "Removed", "Security"}
    assert kinds <= known | {"Numerical changes"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize(
    "name", ["README.md", "LICENSE", "CITATION.cff", "CONTRIBUTING.md", "DECISIONS.md"]
)
def test_document_exists_and_is_not_empty(name):
    assert read(name).strip()


def test_numbers_on_the_released_page_are_those_of_the_benchmark():
    text = read("docs/released.md")
    results = json.loads(read("benchmarks/released_claims.json"))["results"]

    def value(claim, column, **where):
        (row,) = [row for row in results[claim] if where.items() <= row.items()]
        return row[column]

    def both(start, column="pooled"):
        for survey in ("ASAS", "Catalina"):
            (row,) = [
                row
                for row in results["hidden_points"]
                if row["survey"] == survey and row["input"].startswith(start)
            ]
            yield row[column]

    def seen(windows):
        for start in ("100 of", "300 Cat"):
            (row,) = [
                row
                for row in results["frozen_windows"]
                if row["windows"] == windows and row["light_curves"].startswith(start)
            ]
            yield 100 * row["observations_seen"]

    (macho_fresh, catalina_fresh), (macho_frozen, catalina_frozen) = (
        seen("fresh"),
        seen("frozen"),
    )
    released = {"mask": "+1, as released"}
    upside_down = {"windows": "whole windows", "mask": "upside down"}
    times = value("times", "times_wrong_by_minutes",
                  change="float32 times and means, as released")  # fmt: skip
    variance = {
        row["class"]: row["variance_removed_median"] for row in results["window_means"]
    }
    miras = variance.pop("MIRA")
    assert max(variance.values()) < 0.01
    quoted = [
        ("Left in, R2 is {:.2f} on ASAS and {:.2f} on", *both("as released")),
        ("Taken out, it is {:.2f} and {:.2f}:", *both("hidden magnitudes removed")),
        ("in time scores {:.2f} and {:.2f}.", *both("linear interpolation")),
        ("R2 is still {:.2f} and {:.2f},", *both("left in, hidden keys excluded")),
        (
            "falls from 0.99 to {:.2f} on ASAS and to {:.2f} on Catalina",
            *both("left in, time base 1000"),
        ),
        ("falls from 0.99 to {:.2f} and {:.2f} |", *both("left in, attention over")),
        (
            "attends {:.2f} times, a factor of e,",
            value("attention_mask", "attention_hidden_over_visible", **released),
        ),
        (
            "another embedding, {:.1f} times as far",
            value("attention_mask", "embedding_moved_by_padding", **released),
        ),
        (
            "in {:.0f} % of real ASAS windows",
            100 * value("padding_mask", "nothing_to_average", **upside_down),
        ),
        (
            "macro F1 {:.2f} then, which is chance",
            value("padding_mask", "macro_f1", **upside_down),
        ),
        (
            "right mask gives {:.2f} ",
            value("padding_mask", "macro_f1", windows="whole windows", mask="right"),
        ),
        (
            "fresh windows have shown {:.0f} % of them and frozen ones {:.0f} %; on",
            macho_fresh,
            macho_frozen,
        ),
        ("of about 290, {:.0f} % and {:.0f} %", catalina_fresh, catalina_frozen),
        (
            "{:.0f} % of all observations are shown again on ASAS, {:.0f} % on",
            *(100 * row["shown_again"] for row in results["repeated_windows"]),
        ),
        ("{:.1f} % of the variance of a Mira", 100 * miras),
        ("off by {median} minutes, {most} at most", times),
        (
            "{:.1f} % of ASAS and {:.1f} % of Catalina variables",
            *(100 * row["fulfil"] for row in results["noise_filter"]),
        ),
        (
            "macro F1 {:.2f} per window is {:.2f} per star",
            *(row["macro_f1"] for row in results["scoring"]),
        ),
    ]
    for template, *values in quoted:
        named = values[0] if isinstance(values[0], dict) else {}
        sentence = template.format(*([] if named else values), **named)
        assert sentence in text


def test_commands_of_the_readme_exist():
    import typer.main

    from astromer.cli.app import app

    group = typer.main.get_command(app)
    used = set(
        re.findall(r"(?:^|bin/)astromer ([\w-]+)", read("README.md"), re.MULTILINE)
    )
    assert used
    assert used <= set(group.commands)
