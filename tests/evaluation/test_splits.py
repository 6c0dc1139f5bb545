"""Folds: nested, stratified, without a leak; good and bad files of them."""

import itertools
import json
from collections import Counter

import pytest

from astromer.errors import ConfigError
from astromer.evaluation.classes import read_classes
from astromer.evaluation.objects import collect_objects
from astromer.evaluation.splits import load_splits, make_splits

COUNTS = {"big": 400, "middle": 60, "small": 8}
SIZES = (5, 20, 50)


def labels_of(counts):
    return {f"{name}{i:03d}": name for name, n in counts.items() for i in range(n)}


@pytest.fixture
def splits():
    return make_splits(labels_of(COUNTS), sizes=SIZES, num_folds=3, test_per_class=30)


def test_test_sets_hold_the_number_asked_for_or_the_share(splits):
    for fold in splits.folds:
        counts = Counter(splits.labels[name] for name in fold.test)
        assert counts == {"big": 30, "middle": 15, "small": 2}
        assert len(set(fold.test)) == len(fold.test)


def test_no_object_is_on_both_sides(splits):
    for fold in splits.folds:
        for train in fold.train.values():
            assert not set(train) & set(fold.test)


def test_training_sets_are_nested_and_balanced(splits):
    for fold in splits.folds:
        for size in SIZES:
            counts = Counter(splits.labels[name] for name in fold.train[size])
            assert counts == dict.fromkeys(COUNTS, size)
        for smaller, larger in itertools.pairwise(SIZES):
            rest = Counter(fold.train[larger])
            rest.subtract(fold.train[smaller])
            assert min(rest.values()) >= 0


def test_objects_repeat_only_where_a_class_is_short(splits):
    for fold in splits.folds:
        counts = Counter(fold.train[50])
        short = {name for name, n in counts.items() if n > 1}
        assert {splits.labels[name] for name in short} == {"middle", "small"}
        # Each of a short class is there before any is drawn again.
        everything = {n for n, c in splits.labels.items() if c == "small"}
        assert set(fold.train[20]) & everything == everything - set(fold.test)
    assert splits.redrawn() == {20: {"small": 6}, 50: {"middle": 45, "small": 6}}


def test_test_sets_of_folds_share_no_object(splits):
    tested = [name for fold in splits.folds for name in fold.test]
    assert len(set(tested)) == len(tested)


def test_many_folds_test_every_object_of_a_class():
    splits = make_splits(labels_of({"a": 8, "b": 12}), sizes=[2], num_folds=4)
    tested = Counter(name for fold in splits.folds for name in fold.test)
    assert set(tested.values()) == {1}
    assert len(tested) == 20


def test_draws_depend_on_the_seed_alone():
    labels = labels_of(COUNTS)
    one = make_splits(labels, sizes=SIZES, seed=1)
    assert make_splits(dict(reversed(labels.items())), sizes=SIZES, seed=1).digest == (
        one.digest
    )
    assert make_splits(labels, sizes=SIZES, seed=2).digest != one.digest
    assert one.folds[0].test != one.folds[1].test
    fewer = make_splits(labels, ["big", "small"], sizes=SIZES, seed=1)
    assert fewer.folds[2].test == tuple(
        name for name in one.folds[2].test if one.labels[name] != "middle"
    )


def test_folds_have_seeds_of_their_own():
    labels = labels_of(COUNTS)
    seeds = [
        fold.seed
        for seed in (0, 1)
        for fold in make_splits(labels, sizes=SIZES, seed=seed).folds
    ]
    assert len(set(seeds)) == len(seeds)


def test_saved_splits_load_as_they_were(splits, tmp_path):
    path = splits.save(tmp_path / "new" / "splits.json")
    loaded = load_splits(path)
    assert loaded.digest == splits.digest
    assert loaded.to_dict() == splits.to_dict()


def test_select_takes_fewer_folds_and_sizes(splits):
    chosen = splits.select([20, 5], 2)
    assert chosen.sizes == (5, 20)
    assert len(chosen.folds) == 2
    assert chosen.folds[1].train[20] == splits.folds[1].train[20]
    assert splits.select().digest == splits.digest
    for sizes, number in ([7], None), ([], None), (None, 4), (None, 0):
        with pytest.raises(ConfigError, match="have 3 folds and the sizes 5, 20, 50"):
            splits.select(sizes, number)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ({"a": 9, "b": 3, "c": 2}, {}, "less than one object of b: 3, c: 2"),
        ({"a": 9}, {}, r"Received: classes=\['a'\]"),
        ({"a": 9, "b": 9}, {"sizes": []}, r"sizes=\[\]"),
        ({"a": 9, "b": 9}, {"sizes": [0]}, r"sizes=\[0\]"),
        ({"a": 9, "b": 9}, {"num_folds": 0}, "num_folds=0"),
        ({"a": 9, "b": 9}, {"seed": -1}, "seed=-1"),
        ({"a": 9, "b": 9}, {"max_test_share": 1.0}, r"max_test_share=1\.0"),
        ({"a": 9, "b": 9}, {"test_per_class": 0}, "test_per_class=0"),
        ({"a": 9, "b": 9}, {"classes": ["a", "c"]}, "less than one object of c: 0"),
    ],
)
def test_make_splits_refuses_what_cannot_be_drawn(counts, options, message):
    with pytest.raises(ConfigError, match=message):
        make_splits(labels_of(counts), **options)


def write(tmp_path, **changes):
    values = {
        "dataset": "toy",
        "classes": ["fast", "slow"],
        "labels": {f"{c}-{i:03d}": c for c in ("fast", "slow") for i in range(3)},
        "folds": [
            {
                "seed": 5,
                "test": ["fast-000", "slow-000"],
                "train": {"2": ["fast-001", "fast-002", "slow-001", "slow-002"]},
            }
        ],
        "protocol": "a remark",
        **changes,
    }
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_files_with_more_in_them_are_read(tmp_path):
    splits = load_splits(write(tmp_path))
    assert (splits.dataset, splits.sizes, splits.folds[0].seed) == ("toy", (2,), 5)


def test_a_file_with_an_object_on_both_sides_is_refused(tmp_path):
    fold = {"test": ["fast-000"], "train": {"1": ["fast-000"]}}
    with pytest.raises(ConfigError, match=r"fold 0, 1 objects .* e\.g\. fast-000"):
        load_splits(write(tmp_path, folds=[fold]))


@pytest.mark.parametrize(
    "changes",
    [
        {"folds": []},
        {"folds": [{"test": [], "train": {}}]},
        {"folds": [{"train": {}}]},
        {"folds": 3},
        {"labels": {"fast-000": "fast"}},
        {"classes": ["fast"]},
        {"folds": [{"test": [], "train": {"many": []}}]},
    ],
)
def test_a_file_of_something_else_is_refused(changes, tmp_path):
    with pytest.raises(ConfigError, match="Received"):
        load_splits(write(tmp_path, **changes))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"path=.*none\.json"):
        load_splits(tmp_path / "none.json")


@pytest.fixture
def objects(make_survey):
    return collect_objects(make_survey(fast=3, slow=3))


def test_splits_of_the_data_pass(objects, tmp_path):
    load_splits(write(tmp_path)).check(objects)


def test_splits_for_other_data_are_refused(make_survey, tmp_path):
    others = collect_objects(make_survey(fast=2, slow=3))
    with pytest.raises(ConfigError, match=r"1 of 6 objects .* e\.g\. fast-002"):
        load_splits(write(tmp_path)).check(others)


def test_splits_with_other_classes_are_refused(make_survey, tmp_path):
    grouped = read_classes({"quick": ["fast"], "slow": ["slow"]})
    objects = collect_objects(make_survey(fast=3, slow=3), classes=grouped)
    with pytest.raises(ConfigError, match=r'is "fast" in the splits and "quick"'):
        load_splits(write(tmp_path)).check(objects)


def test_two_names_of_an_object_may_not_be_on_two_sides(make_survey, tmp_path):
    curves = make_survey(fast=3, slow=3)
    copy = curves[0]
    twin = type(copy)(
        copy.time, copy.mag, copy.mag_err, object_id="zz", class_name="fast"
    )
    objects = collect_objects([*curves, twin])
    labels = {c.object_id: c.class_name for c in curves} | {"zz": "fast"}
    fold = {"test": ["fast-000", "slow-000"], "train": {"1": ["zz", "slow-001"]}}
    splits = load_splits(write(tmp_path, folds=[fold], labels=labels))
    with pytest.raises(ConfigError, match=r"1 objects both .* e\.g\. zz"):
        splits.check(objects)
    # A second name is no unknown name.
    fold = {"test": ["fast-001", "slow-000"], "train": {"1": ["zz", "slow-001"]}}
    load_splits(write(tmp_path, folds=[fold], labels=labels)).check(objects)


@pytest.mark.parametrize("name", ["asas", "crts"])
def test_reference_splits_are_read(name, shared):
    splits = load_splits(shared / "reference" / "anchors" / f"splits_{name}.json")
    assert splits.sizes == (20, 100, 500)
    assert [fold.seed for fold in splits.folds] == [0, 1, 2]
    short = splits.redrawn()[500]
    assert short["RRC" if name == "asas" else "LPV"] == {"asas": 213, "crts": 96}[name]


@pytest.mark.parametrize(
    ("test", "train", "message"),
    [
        (["a0"], {"1": ["a1", "b1"]}, "none of b in the test set of fold 0"),
        (["a0", "b0"], {"1": ["a1"]}, "none of b in the training set 1 of fold 0"),
        ([], {"1": ["a1", "b1"]}, "none of a, b in the test set"),
        (["a0", "b0"], {"1": []}, "none of a, b in the training set"),
    ],
)
def test_splits_need_every_class_in_every_set(tmp_path, test, train, message):
    labels = {name: name[0] for name in ("a0", "a1", "b0", "b1")}
    path = write(
        tmp_path,
        folds=[{"test": test, "train": train}],
        labels=labels,
        classes=["a", "b"],
    )
    with pytest.raises(ConfigError, match=message):
        load_splits(path)


@pytest.mark.parametrize("classes", [["a"], ["a", "a", "b"]])
def test_splits_need_distinct_classes(tmp_path, classes):
    labels = {"a0": "a", "a1": "a"}
    fold = {"test": ["a0"], "train": {"1": ["a1"]}}
    with pytest.raises(ConfigError, match="two classes or more, each once"):
        load_splits(write(tmp_path, folds=[fold], labels=labels, classes=classes))
