"""The list of the authors' published weights."""

import re

import pytest

from astromer.errors import PresetError
from astromer.presets.official import OFFICIAL, find_official, identify


def test_each_is_listed_by_its_name_with_a_whole_checksum():
    digits = {"sha256": 64, "md5": 32}
    for name, weights in OFFICIAL.items():
        assert weights.name == name
        assert weights.url.startswith("https://")
        assert f"/{weights.file_name}" in weights.url
        number = digits[weights.algorithm]
        assert re.fullmatch(f"[0-9a-f]{{{number}}}", weights.checksum)
        assert find_official(name) is weights


def test_zenodo_record_is_the_one_that_the_authors_published():
    weights = OFFICIAL["macho-astromer2-official"]
    assert "/records/18207945/files/pt_macho_v2_2025.zip" in weights.url
    assert weights.checksum == "42dfac36992119f5c4364c83729f3111"


def test_file_is_told_by_its_checksum():
    for weights in OFFICIAL.values():
        digests = {"sha256": "0", "md5": "0", weights.algorithm: weights.checksum}
        assert identify(digests) is weights
        assert identify({"other": weights.checksum}) is None
    assert identify({}) is None


def test_unknown_name_is_named():
    with pytest.raises(PresetError, match=r'Unknown official preset\. Received: .*"x"'):
        find_official("x")
