"""What the documents promise: commands that exist, code that runs, links that lead."""

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
]


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
@pytest.mark.timeout(180)
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


def test_commands_of_the_readme_exist():
    import typer.main

    from astromer.cli.app import app

    group = typer.main.get_command(app)
    used = set(
        re.findall(r"(?:^|bin/)astromer ([\w-]+)", read("README.md"), re.MULTILINE)
    )
    assert used
    assert used <= set(group.commands)
