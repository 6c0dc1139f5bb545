"""Errors: one family, each also what Python calls it, sentences that help."""

import pickle

import pytest

from astromer import errors


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConfigError", ValueError),
        ("LightCurveError", ValueError),
        ("PresetError", LookupError),
        ("RecordError", ValueError),
        ("RunError", RuntimeError),
        ("SurveyError", ValueError),
        ("WorkerError", ConnectionError),
    ],
)
def test_error_is_caught_as_ours_and_as_pythons(name, builtin):
    error = getattr(errors, name)
    for family in (errors.AstromerError, builtin):
        with pytest.raises(family, match=r"^Rule broken. Received: x=1.$"):
            raise error("Rule broken. Received: x=1.")


def test_all_names_every_error():
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert set(errors.__all__) == defined | {"unknown_name"}


def test_preset_error_reads_as_a_sentence_not_a_repr():
    assert str(KeyError("no quotes")) == "'no quotes'"
    assert str(errors.PresetError("no quotes")) == "no quotes"
    assert str(errors.PresetError()) == ""


def test_errors_pass_between_processes():
    error = pickle.loads(pickle.dumps(errors.RecordError("damaged")))
    assert isinstance(error, errors.RecordError)
    assert str(error) == "damaged"


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        (
            "MACHOO",
            ["macho", "atlas"],
            (
                'Unknown survey. Received: survey="MACHOO". Did you mean "macho"? '
                "Known: atlas, macho."
            ),
        ),
        (
            "xyz",
            ("macho", "atlas"),
            'Unknown survey. Received: survey="xyz". Known: atlas, macho.',
        ),
        ("a", [], 'Unknown survey. Received: survey="a". Known: none.'),
    ],
    ids=["near", "far", "none"],
)
def test_unknown_name_lists_and_suggests(name, known, message):
    assert errors.unknown_name("survey", name, known) == message


def test_unknown_name_suggests_names_with_capitals():
    message = errors.unknown_name("class", "rrab", ["RRab", "LPV"])
    assert 'Did you mean "RRab"?' in message
