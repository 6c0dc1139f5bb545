"""Released models made up for tests, one of each kind."""

import pytest

from tests.presets.released.layout import released_tensors, write_release, zipped


@pytest.fixture(params=["astromer1", "astromer2"])
def tensors(request):
    """Tensors of a made-up release, by their published paths."""
    return released_tensors(residuals=request.param == "astromer2")


@pytest.fixture
def release(tensors, tmp_path):
    """The same as a zip, as published."""
    folder = write_release(tmp_path / "release", tensors)
    return zipped(folder, tmp_path / "macho_x.zip", "macho")


@pytest.fixture
def simple(tmp_path):
    """A made-up Astromer 1 as a zip, for what does not depend on the kind."""
    folder = write_release(tmp_path / "release", released_tensors(residuals=False))
    return zipped(folder, tmp_path / "macho_x.zip", "macho")
