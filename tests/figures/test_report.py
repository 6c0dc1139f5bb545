"""The figures of a benchmark's report, from results as a benchmark writes them."""

import copy

import pytest

from astromer.figures import report_figures

CLASSES = ["EB", "RRab"]


def row(method, classifier, size, score, **facts):
    return {
        "dataset": "toy",
        "method": method,
        "classifier": classifier,
        "samples_per_class": size,
        "macro_f1_mean": score,
        "macro_f1_std": 0.01,
        "per_class_f1": dict.fromkeys(CLASSES, score),
        "confusion": [[8, 2], [1, 9]],
        "finetuning": None,
        "facts": [facts, facts],
    }


@pytest.fixture
def results():
    gamma = {"layer_weights": [0.2, 0.3, 0.5]}
    return {
        "kind": "few-shot",
        "classes": CLASSES,
        "reference": ["features", "rf"],
        "rows": [
            row("macho", "gamma", 20, 0.6, **gamma),
            row("macho", "gamma", 100, 0.7, **gamma),
            row("features", "rf", 20, 0.8),
            row("features", "rf", 100, 0.6),
        ],
    }


def test_scores_and_confusions_of_the_best_and_the_reference_are_drawn(results):
    captions = [caption for caption, _ in report_figures(results)]
    assert captions[0].startswith("Macro F1 per object")
    # The best with most labels, not the best anywhere.
    assert captions[1:] == [
        "Confusions of macho, gamma, over all folds.",
        "Confusions of features, rf, over all folds.",
        "Weights of the layers of macho in the head gamma.",
    ]
    for _, figure in report_figures(results):
        figure.savefig("/dev/null", format="png")


def test_a_best_reference_is_drawn_once(results):
    best = copy.deepcopy(results)
    best["reference"] = ["macho", "gamma"]
    captions = [caption for caption, _ in report_figures(best)]
    assert sum("Confusions" in caption for caption in captions) == 1


def test_finetuning_is_drawn_where_there_was_any(results):
    tuned = {"rmse_before": 0.2, "rmse_after": 0.1, "minutes": 3.0}
    facts = {"finetuning": tuned}
    results["rows"].append(row("macho finetuned", "lr", 20, 0.7, **facts))
    results["rows"][-1]["finetuning"] = tuned
    assert "before and after finetuning" in report_figures(results)[-1][0]


def test_other_results_have_no_figures():
    assert report_figures({"kind": "reconstruction"}) == []
