"""The whole benchmark on a toy survey: scores, resuming, and what is refused."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from astromer.errors import ConfigError, RecordError
from astromer.evaluation.methods import VectorMethod, WindowProbabilities
from astromer.evaluation.objects import collect_objects
from astromer.evaluation.protocol import run_benchmark
from astromer.evaluation.representations import FrozenEmbedding, Statistics
from astromer.evaluation.splits import make_splits

SIZES = (2, 5)


class Oracle:
    """A method that reads the class from the name, and errs where it is told to."""

    def __init__(self, name="oracle", errs=lambda object_id: False, key="1"):
        self.name, self.classifier, self.key = name, "none", key
        self.errs, self.calls = errs, []

    def prepare(self, objects, progress=None):
        self.calls.append("prepare")

    def fit(self, objects, labels, *, num_classes, seed):
        self.calls.append((len(objects), seed))
        self.facts = {"trained_on": len(objects)}
        self.numbers = {
            item.class_name: int(label)
            for item, label in zip(objects, labels, strict=True)
        }
        return self

    def predict_proba(self, objects):
        labels = np.array([self.numbers[item.class_name] for item in objects])
        wrong = np.array([self.errs(item.object_id) for item in objects])
        guesses = (labels + wrong) % len(self.numbers)
        return 0.9 * np.eye(3)[guesses] + 0.1 / 3

    def predict_windows(self, objects):
        """Two windows of each object, the second always wrong."""
        right = self.predict_proba(objects)
        both = np.stack([right, np.roll(right, 1, axis=1)], axis=1).reshape(-1, 3)
        return WindowProbabilities(both, np.repeat(np.arange(len(objects)), 2))


@pytest.fixture
def objects(make_survey):
    return collect_objects(make_survey())


@pytest.fixture
def splits(objects):
    return make_splits(objects.labels, sizes=SIZES, num_folds=3, dataset="toy")


def test_rows_hold_the_scores_of_each_size(objects, splits, tmp_path):
    errs = {splits.folds[0].test[0]}
    method = Oracle(errs=errs.__contains__)
    benchmark = run_benchmark(objects, splits, [method], tmp_path / "out")
    rows = benchmark.rows()
    assert [row["samples_per_class"] for row in rows] == list(SIZES)
    truth = benchmark.labels(0)
    guess = truth.copy()
    guess[0] = (guess[0] + 1) % 3
    expected = [f1_score(truth, guess, average="macro"), 1.0, 1.0]
    for row in rows:
        assert (row["dataset"], row["method"]) == ("toy", "oracle")
        np.testing.assert_allclose(row["per_fold"], expected, atol=1e-4)
        assert row["macro_f1_mean"] == pytest.approx(np.mean(expected), abs=1e-4)
        assert row["macro_f1_std"] == pytest.approx(np.std(expected, ddof=1), abs=1e-4)
        assert np.sum(row["confusion"]) == sum(len(f.test) for f in splits.folds)
        assert np.trace(row["confusion"]) == np.sum(row["confusion"]) - 1
        assert list(row["per_class_f1"]) == ["fast", "flat", "slow"]
        # Half of the windows are wrong, in a circle: F1 of each class is a half.
        assert row["window_macro_f1_mean"] == pytest.approx(0.5, abs=0.05)
        assert row["calibration_error"] == pytest.approx(
            abs(26 / 27 - 14 / 15), abs=1e-3
        )
        assert row["facts"] == [{"trained_on": 3 * row["samples_per_class"]}] * 3
    json.dumps(rows, allow_nan=False)


def test_test_sets_and_seeds_are_shared_by_all_methods(objects, splits, tmp_path):
    methods = [Oracle("one"), Oracle("two", key="2")]
    run_benchmark(objects, splits, methods, tmp_path / "out")
    assert methods[0].calls == methods[1].calls
    expected = [(3 * n, f.seed) for n in SIZES for f in splits.folds]
    assert methods[0].calls == ["prepare", *expected]


def test_an_interrupted_run_goes_on_where_it_stopped(objects, splits, tmp_path):
    class Tired(Oracle):
        def fit(self, objects, labels, **options):
            if len(self.calls) == 5:
                raise KeyboardInterrupt
            return super().fit(objects, labels, **options)

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(objects, splits, [Tired()], tmp_path / "out")
    rested = Oracle()
    resumed = run_benchmark(objects, splits, [rested], tmp_path / "out", resume=True)
    assert len(rested.calls) == 1 + 2
    whole = run_benchmark(objects, splits, [Oracle()], tmp_path / "other")
    for row, other in zip(resumed.rows(), whole.rows(), strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}


def test_methods_may_be_added_to_a_finished_run(objects, splits, tmp_path):
    run_benchmark(objects, splits, [Oracle("one")], tmp_path)
    first, second = Oracle("one"), Oracle("two", key="2")
    benchmark = run_benchmark(objects, splits, [first, second], tmp_path, resume=True)
    assert first.calls == []
    assert len(second.calls) == 1 + 6
    assert benchmark.methods == (("one", "none"), ("two", "none"))


@pytest.mark.parametrize("change", ["method", "curve", "class", "seed"])
def test_nothing_stale_is_taken_for_new(change, objects, splits, make_survey, tmp_path):
    run_benchmark(objects, splits, [Oracle()], tmp_path)
    method = Oracle(key="2" if change == "method" else "1")
    if change == "curve":
        curves = make_survey()
        curves = [c for c in curves if c.object_id != "slow-003"]
        brighter = [c for c in make_survey() if c.object_id == "slow-003"]
        curves += [
            type(c)(
                c.time,
                c.mag - 1,
                c.mag_err,
                object_id=c.object_id,
                class_name=c.class_name,
            )
            for c in brighter
        ]
        objects = collect_objects(curves)
    if change == "class":
        splits = make_splits(
            objects.labels, ["slow", "flat", "fast"], sizes=SIZES, dataset="toy"
        )
    if change == "seed":
        splits = make_splits(objects.labels, sizes=SIZES, seed=1, dataset="toy")
    run_benchmark(objects, splits, [method], tmp_path, resume=True)
    # A star may be outside of a fold's training sets; then those results still hold.
    assert len(method.calls) > (3 if change == "curve" else 6)


def test_a_folder_of_something_else_is_left_alone(objects, splits, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="no benchmark has made"):
        run_benchmark(objects, splits, [Oracle()], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ConfigError, match="a file"):
        run_benchmark(objects, splits, [Oracle()], tmp_path / "thesis.tex")


def test_an_earlier_run_is_not_overwritten_unasked(objects, splits, tmp_path):
    run_benchmark(objects, splits, [Oracle()], tmp_path)
    with pytest.raises(ConfigError, match=r"earlier run.*resume"):
        run_benchmark(objects, splits, [Oracle()], tmp_path)


def test_a_damaged_result_is_named(objects, splits, tmp_path):
    run_benchmark(objects, splits, [Oracle()], tmp_path)
    path = next((tmp_path / "cells").iterdir())
    path.write_bytes(b"PK")
    with pytest.raises(RecordError, match=rf"path={path}.*computed again"):
        run_benchmark(objects, splits, [Oracle()], tmp_path, resume=True)


def test_methods_must_be_distinct(objects, splits, tmp_path):
    with pytest.raises(ConfigError, match="oracle none twice"):
        run_benchmark(objects, splits, [Oracle(), Oracle()], tmp_path / "out")
    with pytest.raises(ConfigError, match="no method"):
        run_benchmark(objects, splits, [], tmp_path / "out")


def test_splits_for_other_data_are_refused_before_anything_is_written(
    make_survey, splits, tmp_path
):
    others = collect_objects(make_survey(fast=9, slow=9, flat=9))
    with pytest.raises(ConfigError, match="Splits must be of the same data"):
        run_benchmark(others, splits, [Oracle()], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_difference_compares_methods_of_the_run(objects, splits, tmp_path):
    bad = Oracle("bad", errs=lambda name: name.endswith(("1", "5", "7")), key="2")
    benchmark = run_benchmark(objects, splits, [Oracle(), bad], tmp_path)
    better = benchmark.difference(("oracle", "none"), ("bad", "none"), 2)
    rows = {(r["method"], r["samples_per_class"]): r for r in benchmark.rows()}
    gap = rows["oracle", 2]["macro_f1_mean"] - rows["bad", 2]["macro_f1_mean"]
    assert better.difference == pytest.approx(gap, abs=1e-3)
    assert better.share_above_zero > 0.9
    with pytest.raises(ConfigError, match=r'method="bed none".*"bad none"'):
        benchmark.difference(("oracle", "none"), ("bed", "none"), 2)


def test_progress_counts_classifiers(objects, splits, tmp_path):
    seen = []
    run_benchmark(
        objects,
        splits,
        [Oracle()],
        tmp_path,
        progress=lambda *call: seen.append(call),
    )
    assert seen[0] == ("train and score", 1, 6, "classifiers")
    assert seen[-1] == ("train and score", 6, 6, "classifiers")


def test_embeddings_and_statistics_tell_the_toy_classes_apart(
    objects, tiny_model, tmp_path
):
    splits = make_splits(objects.labels, sizes=[8], num_folds=2)
    methods = [
        VectorMethod(FrozenEmbedding(tiny_model, "tiny", layer="all"), "lr"),
        VectorMethod(Statistics(), "lr"),
    ]
    first, second = run_benchmark(objects, splits, methods, tmp_path).rows()
    # Random weights see amplitudes; only two of three classes differ in them.
    assert first["macro_f1_mean"] > 0.4
    assert first["window_macro_f1_mean"] is not None
    assert second["macro_f1_mean"] > 0.4
    assert second["window_macro_f1_mean"] is None
    assert all(set(facts) == {"C", "converged"} for facts in first["facts"])
