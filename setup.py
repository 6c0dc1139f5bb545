"""Packaging entry: which folders become packages. Metadata is in pyproject.toml.

The top-level data folders travel as they are: `presets/` becomes the data package
`astromer._presets`, `records/` becomes `astromer._records`.
"""

from setuptools import find_packages, setup

DATA_PACKAGES = {"astromer._presets": "presets", "astromer._records": "records"}

setup(
    packages=[*find_packages(include=["astromer", "astromer.*"]), *DATA_PACKAGES],
    package_dir=DATA_PACKAGES,
    package_data={
        "astromer": ["py.typed"],
        **{name: ["**/*"] for name in DATA_PACKAGES},
    },
)
