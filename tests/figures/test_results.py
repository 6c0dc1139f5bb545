"""A benchmark's results: what each figure takes from the rows, and what it refuses."""

import json

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.figures.results import (
    confusions,
    finetuning_rows,
    layer_weights,
    read_results,
    select_rows,
)


def row(size=20, method="macho", classifier="gamma", dataset="asas", **values):
    return {
        "dataset": dataset,
        "method": method,
        "classifier": classifier,
        "samples_per_class": size,
        "macro_f1_mean": 0.7,
        "per_class_f1": {"EB": 0.7, "RRab": 0.7},
        "confusion": [[size, 1], [2, 3]],
        **values,
    }


def tuned(size, method="macho", classifier="gamma", **values):
    facts = [
        {"finetuning": {"rmse_before": 0.2, "rmse_after": 0.1, "minutes": fold + 1.0}}
        for fold in range(3)
    ]
    return row(size, method, classifier, facts=facts, **values)


@pytest.mark.parametrize("wrapped", [False, True])
def test_results_are_read_from_a_file_or_its_folder(tmp_path, wrapped):
    rows = [row(20), row(100)]
    content = {"rows": rows, "version": 1} if wrapped else rows
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert read_results(path) == rows
    assert read_results(tmp_path) == rows


def test_results_of_several_data_sets_are_read_together(tmp_path):
    rows = [row(20), row(20, dataset="crts")]
    parts = {each["dataset"]: {"rows": [each]} for each in rows}
    path = tmp_path / "few_shot.json"
    path.write_text(json.dumps({"command": "", "results": parts}), encoding="utf-8")
    assert read_results(path) == rows


def test_file_that_is_not_there_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "results.json"):
        with pytest.raises(ConfigError, match=r"Received: path=.*results\.json"):
            read_results(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"results": {"asas": {"rows": [{"method": "a"}]}}}',
            "Results hold rows with",
        ),
        ('{"results": {"asas": {}}}', "Results hold rows with dataset, method"),
        ("not json", "Results are a JSON file. Received: path="),
        ("[]", "at least one row"),
        ("{}", "Results hold rows with dataset, method"),
        ('[{"method": "a"}]', "Results hold rows with dataset, method"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "results.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_results(path)


def test_rows_are_selected_by_what_they_are_of():
    rows = [row(), row(method="features", classifier="rf"), row(dataset="crts")]
    assert select_rows(rows) == rows
    assert select_rows(rows, method=["features"]) == [rows[1]]
    assert select_rows(rows, dataset=["asas"], method=[]) == rows[:2]
    assert select_rows(rows, dataset=["crts", "asas"], classifier=["gamma"]) == [
        rows[0],
        rows[2],
    ]
    with pytest.raises(ConfigError, match='Did you mean "features"'):
        select_rows(rows, method=["feature"])
    with pytest.raises(ConfigError, match=r"No row has all.*crts.*features"):
        select_rows(rows, dataset=["crts"], method=["features"])


def test_finetuning_is_one_row_per_fold_and_counts_once():
    rows = [tuned(20), tuned(20, classifier="mean"), tuned(100), row(20, "features")]
    found = finetuning_rows(rows)
    assert [one["samples_per_class"] for one in found] == [20] * 3 + [100] * 3
    assert [one["minutes"] for one in found] == [1.0, 2.0, 3.0] * 2
    assert {one["dataset"] for one in found} == {"asas"}
    assert all(one["rmse_after"] == 0.1 for one in found)


def test_finetuning_of_several_methods_keeps_their_names():
    found = finetuning_rows([tuned(20), tuned(20, "other")])
    assert {one["dataset"] for one in found} == {"asas, macho", "asas, other"}


def test_finetuning_that_never_was_is_refused():
    with pytest.raises(ConfigError, match=r"1 rows without it\. Run .*--finetune"):
        finetuning_rows([row(facts=None)])


def test_layer_weights_are_of_every_fold_in_order_of_size():
    weights = np.random.default_rng(0).dirichlet(np.ones(7), (2, 3))
    rows = [
        row(size, facts=[{"layer_weights": fold.tolist()} for fold in folds])
        for size, folds in zip((100, 20), weights, strict=True)
    ]
    found = layer_weights(rows)
    assert list(found) == ["20 per class", "100 per class"]
    np.testing.assert_array_equal(found["20 per class"], weights[1])
    np.testing.assert_array_equal(found["100 per class"], weights[0])


def test_layer_weights_must_exist_and_be_of_one_method():
    weighed = [{"layer_weights": [0.5, 0.5]}]
    with pytest.raises(ConfigError, match=r'head "gamma" has them\. Received: asas, a'):
        layer_weights([row(method="a")])
    rows = [row(facts=weighed), row(method="other", facts=weighed)]
    with pytest.raises(
        ConfigError, match=r": asas, macho, gamma; asas, other, gamma\."
    ):
        layer_weights([row(method="none"), *rows])


def test_confusions_are_in_order_of_size_with_their_classes():
    matrices, names = confusions([row(500), row(20)])
    assert list(matrices) == ["20 per class", "500 per class"]
    np.testing.assert_array_equal(matrices["500 per class"], [[500, 1], [2, 3]])
    assert names == ["EB", "RRab"]


def test_confusions_must_exist_and_be_of_one_method():
    without = {k: v for k, v in row().items() if k != "confusion"}
    with pytest.raises(
        ConfigError, match=r"no confusion matrices\. Received: columns="
    ):
        confusions([without])
    with pytest.raises(ConfigError, match="confusion matrices of several methods"):
        confusions([row(), row(classifier="mean")])
