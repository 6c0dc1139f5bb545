"""Class names and what they count as."""

import json

import pytest

from astromer.errors import ConfigError
from astromer.evaluation.classes import ClassMap, read_classes

GROUPS = {"EB": ("EB_unspec", "EC", "ED", "ESD"), "MIRA": ("MIRA",), "RRAB": ("RRAB",)}


def test_read_classes_gives_the_same_from_text_file_and_mapping(tmp_path):
    as_json = tmp_path / "classes.json"
    as_json.write_text(json.dumps({k: list(v) for k, v in GROUPS.items()}), "utf-8")
    as_toml = tmp_path / "classes.toml"
    as_toml.write_text(
        'EB = ["EB_unspec", "EC", "ED", "ESD"]\nMIRA = "MIRA"\nRRAB = "RRAB"\n', "utf-8"
    )
    given = ["EB=EB_unspec+EC+ED+ESD, MIRA,RRAB", as_json, str(as_toml), GROUPS]
    for form in given:
        assert read_classes(form).groups == GROUPS


def test_find_groups_members_and_ignores_others():
    classes = ClassMap(GROUPS)
    found = [classes.find(name) for name in ("ESD", "EB", "MIRA", "DSCT")]
    assert found == ["EB", None, "MIRA", None]


def test_names_keep_the_order_given():
    assert read_classes("b,c,a").names == ("b", "c", "a")
    assert read_classes(["b", "a"]).names == ("b", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=x+y,B=y", r'Received: "y" in "A" and "B"'),
        ("A,A", r'Received: "A" twice'),
        ("A=x++y", r'Received: classes="A=x\+\+y"'),
        ("", r'Received: classes="="'),
        ("A,,B", r'Received: classes="="'),
    ],
)
def test_read_classes_refuses_what_is_ambiguous(text, message):
    with pytest.raises(ConfigError, match=message):
        read_classes(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", "[1]"), ("a.json", "{"), ("a.toml", "x ="), ("a.json", '{"A": [1]}')],
)
def test_read_classes_names_a_file_that_holds_something_else(name, text, tmp_path):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="Received"):
        read_classes(path)


def test_check_names_a_class_that_is_not_in_the_data():
    with pytest.raises(ConfigError, match=r'class="EC".*Did you mean "Ec"'):
        ClassMap({"EB": ["EC"]}).check(["Ec", "MIRA"])
    ClassMap(GROUPS).check(["EB_unspec", "EC", "ED", "ESD", "MIRA", "RRAB", "DSCT"])
