import dataclasses

import pytest

from astromer.errors import RecordError
from astromer.lightcurve import LightCurve
from astromer.training.data import Splits
from astromer.training.labels import Classes, iterate_labeled, number_classes
from tests.pipeline.plain import write_records
from tests.training.conftest import make_curves


def named(*names, start=0):
    """Light curves of these classes; "" is none."""
    return [
        dataclasses.replace(curve, class_name=name or None)
        for curve, name in zip(
            make_curves(start + len(names))[start:], names, strict=True
        )
    ]


def classes_of(**splits):
    return Classes.of(Splits.open(number_classes(splits)))


def test_classes_of_records_are_those_of_the_manifest(survey):
    classes = Classes.of(Splits.open(survey))
    assert classes.names == ("large", "small")
    counts = {split: sum(numbers) for split, numbers in classes.counts.items()}
    assert counts == {"train": 22, "validation": 8, "test": 6}


def test_classes_in_memory_have_one_number_in_all_splits():
    # Alone, the validation split would call its one class 0.
    splits = {
        "train": named("b", "a", "", "b", "a"),
        "validation": named("b", "", start=5),
    }
    classes = classes_of(**splits)
    assert classes.names == ("a", "b")
    assert classes.counts == {"train": (2, 2), "validation": (0, 1)}
    numbered = Splits.open(number_classes(splits))
    assert [curve.label for curve in iterate_labeled(numbered, "validation")] == [1]


def test_numbers_without_names_are_their_names():
    curves = [
        dataclasses.replace(curve, label=7 if n % 2 else 3)
        for n, curve in enumerate(named("", "", "", ""))
    ]
    assert classes_of(train=curves).names == ("3", "7")


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": ("", "", "")}, r"needs labels.*3 light curves without"),
        ({"train": ("a", "a")}, r"two or more classes.*a alone"),
        (
            {"train": ("a", "a", "b", "b"), "validation": ("a", "c")},
            r'class "c" in validation, not in train',
        ),
        ({"train": ("a", "a", "b")}, r'class "b" with the object star02 alone'),
    ],
    ids=["no labels", "one class", "unseen class", "one object"],
)
def test_labels_that_teach_nothing_are_refused(splits, message):
    with pytest.raises(RecordError, match=message):
        classes_of(**{name: named(*classes) for name, classes in splits.items()})


def test_one_object_in_two_passbands_is_one_object(tmp_path):
    curves = named("a", "a", "a", "b")
    twin = curves[-1]
    curves += [
        LightCurve(
            twin.time, twin.mag, twin.mag_err,
            object_id=twin.object_id, passband="B", class_name="b",
        )
    ]  # fmt: skip
    write_records(tmp_path / "records", curves, split={"train": 1.0})
    with pytest.raises(RecordError, match=r'class "b" with the object star03 alone'):
        Classes.of(Splits.open(tmp_path / "records"))
    # Two objects in two passbands each are no less than two.
    curves += [dataclasses.replace(curve, object_id="other") for curve in curves[-2:]]
    write_records(tmp_path / "more", curves, split={"train": 1.0})
    assert Classes.of(Splits.open(tmp_path / "more")).counts == {"train": (3, 4)}
