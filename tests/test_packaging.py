"""Versions agree, ranges admit the tested pins, and the package ships its data."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import astromer
from astromer._version import __version__

ROOT = Path(__file__).resolve().parents[1]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = {
    canonicalize_name(pin.name): next(iter(pin.specifier)).version
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for pin in [Requirement(line)]
}
EXTRAS = METADATA["project"]["optional-dependencies"]
RANGES = [
    *METADATA["project"]["dependencies"],
    *(requirement for extra in EXTRAS.values() for requirement in extra),
]


def output_of(code, **options):
    """Run code in a new Python and return what it printed."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        **options,
    )
    return run.stdout.strip()


@pytest.mark.parametrize("text", sorted(set(RANGES)))
def test_range_admits_its_pin(text):
    requirement = Requirement(text)
    name = canonicalize_name(requirement.name)
    assert name in PINS, "requirements.txt must pin every direct dependency"
    assert requirement.specifier.contains(PINS[name])
    assert any(part.operator in {">=", "=="} for part in requirement.specifier)


def test_pins_are_exact_and_belong_to_a_range():
    ranged = {canonicalize_name(Requirement(text).name) for text in RANGES}
    assert set(PINS) == ranged
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert all("==" in line for line in text.splitlines() if line and line[0] != "#")


def test_test_tools_are_no_runtime_dependency():
    runtime = {Requirement(text).name for text in METADATA["project"]["dependencies"]}
    assert not runtime & {"pytest", "ruff", "mypy", "nbclient", "scikit-learn"}


def test_running_python_is_admitted():
    python = ".".join(map(str, sys.version_info[:3]))
    assert SpecifierSet(METADATA["project"]["requires-python"]).contains(python)


def test_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == __version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\] - (\S+)$", changelog, re.MULTILINE)
    assert released[0][0] == __version__
    dated = re.search(r"^date-released: (.+)$", citation, re.MULTILINE)[1]
    assert released[0][1] == dated


def test_version_is_written_once_in_the_package():
    writers = [
        path.name
        for path in (ROOT / "astromer").rglob("*.py")
        if re.search(rf"[\"']{re.escape(__version__)}[\"']", path.read_text("utf-8"))
    ]
    assert writers == ["_version.py"]


def test_public_names_resolve_and_are_documented():
    assert astromer.__all__, "the package offers no names"
    assert len(set(astromer.__all__)) == len(astromer.__all__)
    for name in astromer.__all__:
        value = getattr(astromer, name)
        if name != "__version__":
            assert inspect.getdoc(value), f"astromer.{name} has no docstring"
        assert name in dir(astromer)
    assert astromer.__version__ == __version__


def test_unknown_public_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="LightCurv"):
        astromer.LightCurv  # noqa: B018


def test_importing_the_package_does_not_import_tensorflow():
    code = (
        "import sys, astromer;"
        "heavy = {'tensorflow', 'keras', 'pandas', 'polars', 'matplotlib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert output_of(code) == "[]"


def test_options_of_a_run_cost_neither_keras_nor_records():
    code = (
        "import sys, astromer.training;"
        "unused = {'keras', 'astromer.records', 'astromer.lightcurve'};"
        "print(sorted(unused & set(sys.modules)))"
    )
    assert output_of(code) == "[]"


def test_every_folder_of_code_is_a_package():
    folders = {path.parent for path in (ROOT / "astromer").rglob("*.py")}
    assert [
        folder for folder in folders if not (folder / "__init__.py").is_file()
    ] == []


def test_modules_declare_their_public_names():
    for path in (ROOT / "astromer").rglob("*.py"):
        if path.name in {"__main__.py", "_version.py"}:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
        ]
        declared = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and node.id == "__all__"
        ]
        assert declared or not public, f"{path} declares no __all__"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A source archive of this checkout and a wheel made from it."""
    pytest.importorskip("setuptools", minversion="77", reason="of the `test` extra")
    source = tmp_path_factory.mktemp("source") / "astromer"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(
            ".*", "build", "dist", "*.egg-info", "__pycache__"
        ),
    )
    out = tmp_path_factory.mktemp("dist")
    made = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def data_files(folder):
    paths = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert paths, f"{folder}/ holds nothing to ship"
    return {path.relative_to(ROOT / folder).as_posix(): path for path in paths}


@pytest.mark.slow
def test_wheel_ships_presets_and_records_as_they_are(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
        for folder in ("presets", "records"):
            prefix = f"astromer/_{folder}/"
            shipped = {name.removeprefix(prefix) for name in names if prefix in name}
            expected = data_files(folder)
            assert shipped == set(expected)
            for name, path in expected.items():
                assert wheel.read(prefix + name) == path.read_bytes()


@pytest.mark.slow
def test_wheel_holds_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
        entry_points = wheel.read(f"astromer-{__version__}.dist-info/entry_points.txt")
    modules = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "astromer").rglob("*.py")
    }
    data = ("astromer/_presets/", "astromer/_records/")
    shipped = {name for name in names if name.endswith(".py")}
    assert {name for name in shipped if not name.startswith(data)} == modules
    assert "astromer/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"astromer", f"astromer-{__version__}.dist-info"}
    assert b"astromer = astromer.cli:main" in entry_points


@pytest.mark.slow
def test_source_archive_holds_tests_and_data(built):
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {"setup.py", "requirements.txt", "LICENSE", "tests/test_packaging.py"}
    for folder in ("presets", "records"):
        expected |= {f"{folder}/{name}" for name in data_files(folder)}
    assert expected <= names


@pytest.mark.parametrize(("given", "found"), [(None, "1"), ("0", "0")])
def test_onednn_is_asked_for_unless_the_user_says_otherwise(given, found):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    if given is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = given
    code = "import astromer, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    assert output_of(code, env=environment) == found
