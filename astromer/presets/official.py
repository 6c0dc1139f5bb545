"""The authors' published weights: where they lie and what they are, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from astromer.errors import PresetError, unknown_name

__all__ = ["CITATIONS", "OFFICIAL", "OfficialWeights", "find_official", "identify"]

CITATIONS: Final = {
    "astromer1": "Donoso-Oliva et al. (2023), A&A 670, A54, "
    "doi:10.1051/0004-6361/202243928",
    "astromer2": "Donoso-Oliva et al. (2026), A&A 707, A170, "
    "doi:10.1051/0004-6361/202554026",
}
"""What to cite, by architecture."""


@dataclasses.dataclass(frozen=True, slots=True)
class OfficialWeights:
    """A file of weights that the authors have published."""

    name: str
    """Name of the preset that it becomes."""
    file_name: str
    """Name of the file."""
    url: str
    """Address of the file."""
    algorithm: str
    """How its checksum is computed: ``"sha256"`` or ``"md5"``."""
    checksum: str
    """Hexadecimal digits."""
    survey: str
    """Survey that the model was trained on."""
    license: str
    """License, as far as known."""
    num_parameters: int
    """Parameters of the model."""
    description: str
    """One line."""


OFFICIAL: Final[Mapping[str, OfficialWeights]] = {
    weights.name: weights
    for weights in (
        OfficialWeights(
            name="macho-astromer1-official",
            file_name="macho_a0.zip",
            url="https://github.com/astromer-science/weights/raw/main/macho_a0.zip",
            algorithm="sha256",
            checksum="76a204a37a0d47bfd722477f55231624c0c56cf9eea3369b5f22ff445d95158b",
            survey="MACHO",
            license="not stated by the authors",
            num_parameters=661_505,
            description="Astromer 1, the authors' weights",
        ),
        OfficialWeights(
            name="macho-astromer2-official",
            file_name="pt_macho_v2_2025.zip",
            url="https://zenodo.org/records/18207945/files/pt_macho_v2_2025.zip?download=1",
            algorithm="md5",
            checksum="42dfac36992119f5c4364c83729f3111",
            survey="MACHO",
            license="on its Zenodo page",
            num_parameters=3_953_409,
            description="Astromer 2, the authors' weights",
        ),
    )
}
"""By name."""


def find_official(name: str) -> OfficialWeights:
    """Return official weights by the name of their preset.

    Parameters
    ----------
    name : str

    Returns
    -------
    weights : OfficialWeights

    Raises
    ------
    PresetError
        If there are none of that name.
    """
    if name not in OFFICIAL:
        raise PresetError(unknown_name("official preset", name, OFFICIAL))
    return OFFICIAL[name]


def identify(digests: Mapping[str, str]) -> OfficialWeights | None:
    """Return the official weights that a file holds.

    Parameters
    ----------
    digests : mapping of str to str
        The file's checksums, by algorithm.

    Returns
    -------
    weights : OfficialWeights or None
        None for any other file.
    """
    for weights in OFFICIAL.values():
        if digests.get(weights.algorithm) == weights.checksum:
            return weights
    return None
