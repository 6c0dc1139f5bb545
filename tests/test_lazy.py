"""Packages that import their names late give every one of them, and no other."""

import importlib

import pytest

PACKAGES = (
    "inference",
    "models",
    "pipeline",
    "presets",
    "records",
    "surveys",
    "training",
)


@pytest.mark.parametrize("room", PACKAGES)
def test_package_gives_every_name_that_it_lists(room):
    package = importlib.import_module(f"astromer.{room}")
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert package._HOMES.keys() <= set(package.__all__)


@pytest.mark.parametrize(
    "name", ["astromer", *(f"astromer.{room}" for room in PACKAGES)]
)
def test_dir_shows_every_name(name):
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("room", PACKAGES)
def test_package_has_no_other_name(room):
    package = importlib.import_module(f"astromer.{room}")
    with pytest.raises(AttributeError, match=rf"'astromer\.{room}' has no .*'nothing'"):
        _ = package.nothing
