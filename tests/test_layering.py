"""The house drawn by its imports: arrows point one way, and nothing goes round.

Every import statement counts, also those inside functions and under TYPE_CHECKING.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "astromer"

# A room may import itself, the rooms named here, and whatever those may import where
# that is named too: nothing is inherited. The ground knows nothing of astronomy.
GROUND = {
    "_version",
    "ahead",
    "bundled",
    "checks",
    "errors",
    "lazy",
    "outputs",
    "progress",
    "replicas",
    "wire",
}
READING = {"columns", "lightcurve", "surveys", "records"}
MODELLING = {"batch", "models", "presets"}
WORKING = GROUND | READING | MODELLING | {"pipeline"}
DOORS = WORKING | {"training", "inference", "simulate"}
ABOVE = DOORS | {"evaluation", "figures", "model"}

ALLOWED: dict[str, set[str]] = {
    "_version": set(),
    "ahead": set(),
    "bundled": set(),
    "checks": {"errors"},
    "errors": set(),
    "lazy": set(),
    "outputs": {"errors"},
    "progress": set(),
    "replicas": set(),
    "wire": set(),
    "batch": GROUND,
    "columns": set(),
    "lightcurve": GROUND | {"columns"},
    "simulate": GROUND | {"lightcurve"},
    "surveys": GROUND | {"columns", "lightcurve"},
    "records": GROUND | {"columns", "lightcurve", "surveys"},
    "pipeline": GROUND | READING | {"batch"},
    "models": GROUND | {"batch"},
    "presets": GROUND | {"batch", "models"},
    "training": WORKING,
    "inference": WORKING,
    "evaluation": DOORS,
    "figures": DOORS | {"evaluation"},
    "model": ABOVE - {"model"},
    "demo": ABOVE,
    "__init__": ABOVE,
    "cli": ABOVE | {"demo", "__init__"},
}


def room_of(path: Path) -> str:
    """Name the room of a module: its folder, or its own name at the top."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path: Path, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the absolute dotted names that a module imports, with their lines."""
    package = ("astromer", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def arrows(path: Path, source: str) -> Iterator[tuple[str, int]]:
    """Yield the rooms that a module imports from, with the lines."""
    rooms = {room_of(other) for other in PACKAGE.rglob("*.py")}
    for name, line in imported_names(path, ast.parse(source)):
        parts = name.split(".")
        if parts[0] != "astromer":
            continue
        target = parts[1] if len(parts) > 1 else "__init__"
        # `from astromer import LightCurve` goes through the front door.
        target = target if target in rooms | set(ALLOWED) else "__init__"
        if target != room_of(path):
            yield target, line


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize(
    "path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES]
)
def test_module_imports_only_rooms_below_it(path):
    room = room_of(path)
    assert room in ALLOWED, f"{room} has no place in the house: add it to ALLOWED"
    wrong = [
        f"{path.name}:{line} imports {target}"
        for target, line in arrows(path, path.read_text(encoding="utf-8"))
        if target not in ALLOWED[room]
    ]
    assert not wrong, f"arrows that {room} must not have"


def test_models_do_not_import_tensorflow():
    for path in (PACKAGE / "models").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        packages = {name.split(".")[0] for name, _ in imported_names(path, tree)}
        assert not packages & {"tensorflow", "tf_keras", "jax", "torch"}, path.name


def test_only_the_command_line_prints():
    for path in MODULES:
        if room_of(path) == "cli":
            continue
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        ]
        assert not calls, f"{path}:{calls[0].lineno} prints"


def test_allowed_arrows_have_no_circle():
    remaining = {room: set(targets) for room, targets in ALLOWED.items()}
    while remaining:
        free = [room for room, targets in remaining.items() if not targets]
        assert free, f"a circle among {sorted(remaining)}"
        for room in free:
            del remaining[room]
        for targets in remaining.values():
            targets -= set(free)


@pytest.mark.parametrize(
    ("room", "source", "expected"),
    [
        ("surveys/x.py", "from astromer.records import convert", ["records"]),
        (
            "surveys/x.py",
            "def f():\n    import astromer.pipeline.windows",
            ["pipeline"],
        ),
        ("surveys/x.py", "from ..records import convert", ["records"]),
        ("surveys/x.py", "from . import macho", []),
        ("surveys/x.py", "from astromer import LightCurve", ["__init__"]),
        ("surveys/x.py", "from astromer import errors", ["errors"]),
        ("surveys/x.py", "import numpy, astromer_tools", []),
        ("model.py", "from .models import Encoder", ["models"]),
    ],
)
def test_arrows_finds_imports_in_every_form(room, source, expected):
    assert [target for target, _ in arrows(PACKAGE / room, source)] == expected
