import dataclasses
import json
import re
import signal

import matplotlib.image
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score

from astromer.errors import ConfigError, PresetError, RecordError, RunError
from astromer.inference import classify
from astromer.models import ClassifierConfig, ClassifierNetwork, Reconstructor
from astromer.presets import (
    describe_preset,
    golden_difference,
    load_preset,
    save_preset,
)
from astromer.records import read_records
from astromer.training import (
    ClassifierOptions,
    classifying,
    encoding,
    train_classifier,
)
from astromer.training.checkpoints import read_checkpoint
from astromer.training.run_folder import RunFolder
from tests.models.windows import tiny_config
from tests.pipeline.plain import write_records
from tests.scripts import results_of
from tests.training.conftest import WINDOW, make_curves

pytestmark = [
    pytest.mark.usefixtures("untraced"),
    # The data are a graph all the same.
    pytest.mark.filterwarnings("ignore:.*run_functions_eagerly.*:UserWarning"),
]

QUICK = {
    "batch_size": 8,
    "learning_rate": 1e-2,
    "hidden_units": (4,),
    "schedule": "constant",
}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A preset of two blocks, with random weights."""
    model = Reconstructor(tiny_config(dropout=0.2), seed=0)
    return save_preset(model, tmp_path_factory.mktemp("presets") / "tiny")


@pytest.fixture(scope="module")
def run(preset, survey, tmp_path_factory):
    """A run of four epochs with what it reported, at a rate at which scores vary."""
    said = []
    options = {**QUICK, "learning_rate": 3e-2, "hidden_units": (16,)}
    result = train_classifier(
        preset,
        survey,
        tmp_path_factory.mktemp("classifier") / "stars",
        epochs=4,
        unfreeze=1,
        dropout=0.2,
        metadata={"license": "MIT"},
        report=said.append,
        **options,
    )
    return result, said


def weights_of(folder):
    return load_preset(folder, ClassifierNetwork).get_weights()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_scores_are_those_of_scikit_learn_on_classify(run, survey, split):
    result, _ = run
    model = load_preset(result.preset, ClassifierNetwork)
    for per, score in (("object", "macro_f1_object"), ("window", "macro_f1")):
        found = classify(model, read_records(survey, split), per=per)
        pair = found.class_name, found.predicted
        expected = f1_score(*pair, average="macro")
        assert result.scores[split][score] == pytest.approx(expected, abs=1e-12)
        if per == "object":
            np.testing.assert_array_equal(
                result.confusion[split].counts,
                confusion_matrix(*pair, labels=result.class_names),
            )
    # Some light curves have two windows of eight: the two scores are not the same.
    windows = classify(model, read_records(survey, split), per="window")
    assert len(windows) > len(result.confusion[split].counts)


def test_best_epoch_by_light_curves_is_what_is_saved(run):
    result, _ = run
    assert result.monitor == "val_macro_f1_object"
    values = [row["val_macro_f1_object"] for row in result.history]
    assert result.best_epoch == values.index(max(values)) + 1
    assert result.scores["validation"]["macro_f1_object"] == max(values)
    # Unless scores differ, any epoch would do.
    assert min(values) < max(values)
    best = read_checkpoint(RunFolder(result.folder).best)
    stored = [v for name, v in best.groups["model"] if "seed" not in name]
    for found, expected in zip(weights_of(result.preset), stored, strict=True):
        np.testing.assert_array_equal(found, expected)
    model = load_preset(result.preset, ClassifierNetwork)
    assert golden_difference(result.preset, model) < 1e-6


def test_validation_loss_is_the_mean_over_all_windows(run, survey):
    result, _ = run
    model = load_preset(result.preset, ClassifierNetwork)
    found = classify(model, read_records(survey, "validation"), per="window")
    columns = [result.class_names.index(name) for name in found.class_name]
    expected = -np.log(found.probability[np.arange(len(columns)), columns]).mean()
    assert result.scores["validation"]["loss"] == pytest.approx(expected, rel=1e-5)


def test_frozen_blocks_are_those_of_the_preset(run, preset):
    result, _ = run
    before = load_preset(preset, Reconstructor).encoder
    after = load_preset(result.preset, ClassifierNetwork)
    for layer in before.layers:
        if not layer.weights:
            continue
        pairs = zip(
            layer.get_weights(),
            after.get_layer(layer.name).get_weights(),
            strict=True,
        )
        equal = all(np.array_equal(a, b) for a, b in pairs)
        assert equal == (layer.name != "block_1"), layer.name


def test_preset_and_result_remember_what_was_asked(run):
    result, _ = run
    facts = describe_preset(result.preset)
    options = ClassifierOptions.from_dict(facts.metadata["training"]["options"])
    assert (options.unfreeze, options.dropout, options.epochs) == (1, 0.2, 4)
    model = facts.metadata["training"]["model"]
    config = ClassifierConfig.from_dict(model["classifier"])
    assert config == options.classifier_config(("large", "small"))
    assert model["start"]["preset"] == "tiny"
    assert facts.metadata["metrics"] == result.scores
    assert facts.license == "MIT"
    assert "its last block trained along" in facts.description
    stored = json.loads((result.folder / "result.json").read_text())
    assert stored["class_names"] == list(result.class_names) == ["large", "small"]
    assert stored["confusion"]["test"] == result.confusion["test"].counts.tolist()


def test_card_shows_classes_confusion_and_curves(run):
    result, said = run
    card = (result.folder / "README.md").read_text()
    confusion = result.confusion["test"]
    row = f"| large | {confusion.precision[0]:.4f} | {confusion.recall[0]:.4f} | "
    assert row + f"{confusion.f1[0]:.4f} | {confusion.support[0]} | " in card
    for name, counts in zip(("large", "small"), confusion.counts, strict=True):
        assert f"| {name} | {counts[0]} | {counts[1]} |" in card
    scores = result.scores["test"]
    assert f"| test | {scores['macro_f1_object']:.4f} | " in card
    picture = re.search(r"!\[[^]]+\]\(([^)]+)\)", card)[1]
    # Three panels: loss, windows, light curves.
    assert matplotlib.image.imread(result.folder / picture).shape[1] == 3 * 510
    assert (result.preset / "README.md").read_text() == card
    assert any("validation F1 of light curves" in line for line in said)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("unfreeze", [0, 1])
def test_one_and_one_epoch_are_two(preset, survey, tmp_path, unfreeze):
    # Dropout, so that the seeds must go on, too; frozen, the head alone is trained.
    options = {**QUICK, "dropout": 0.3, "class_weights": "balanced"}
    options["unfreeze"] = unfreeze
    whole = train_classifier(preset, survey, tmp_path / "one", epochs=2, **options)
    train_classifier(preset, survey, tmp_path / "two", epochs=1, **options)
    parts = train_classifier(preset, survey, tmp_path / "two", epochs=2, resume=True)
    assert parts.history == whole.history
    for name in ("last", "best"):
        one, two = (
            read_checkpoint(getattr(RunFolder(tmp_path / part), name)).groups
            for part in ("one", "two")
        )
        assert list(one) == list(two)
        for group, arrays in one.items():
            for (_, a), (_, b) in zip(arrays, two[group], strict=True):
                np.testing.assert_array_equal(a, b)
    for a, b in zip(weights_of(whole.preset), weights_of(parts.preset), strict=True):
        np.testing.assert_array_equal(a, b)


# --- A frozen encoder runs once


@pytest.fixture
def encoder_rows(monkeypatch):
    """Count the windows that go through the encoder for the head alone."""
    rows = []
    real = encoding.encoding_of

    def count(network):
        model = real(network)
        predict = model.predict

        def counted(*arguments, **options):
            values = predict(*arguments, **options)
            rows.append(len(values))
            return values

        model.predict = counted
        return model

    monkeypatch.setattr(encoding, "encoding_of", count)
    return rows


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("head", ["gamma", "max", "cls"])
def test_run_on_what_is_encoded_once_is_the_run_on_windows(
    preset, survey, tmp_path, encoder_rows, head
):
    """Same seed, same tiles: only where the encoder runs is another."""
    said, results = [], {}
    for gb in (0.0, 4.0):
        results[gb] = train_classifier(
            preset,
            survey,
            tmp_path / f"{gb}",
            epochs=2,
            head=head,
            encoded_gb=gb,
            report=said.append,
            # With a smaller one Adam blows rounding up.
            **{**QUICK, "epsilon": 1e-3},
        )
    tiles = [
        sum(-(-len(curve) // WINDOW) for curve in read_records(survey, split))
        for split in ("train", "validation")
    ]
    assert encoder_rows == tiles
    assert f"The frozen encoder runs once, over {sum(tiles)} windows." in said
    assert any("more than encoded_gb=0: it runs in every epoch" in s for s in said)
    slow, fast = results.values()
    for a, b in zip(slow.history, fast.history, strict=True):
        assert b == pytest.approx(a, rel=1e-4)
    models = [load_preset(r.preset, ClassifierNetwork) for r in (slow, fast)]
    one, two = (classify(m, read_records(survey, "test")).probability for m in models)
    np.testing.assert_allclose(two, one, atol=1e-5)
    new = ClassifierNetwork(models[0].config, models[0].classifier_config, seed=0)
    untrained = classify(new, read_records(survey, "test")).probability
    assert np.abs(one - untrained).max() > 1e-2
    count = f"| Parameters | {models[1].count_params():,} |"
    assert count in (fast.folder / "README.md").read_text()
    # The preset's encoder is in a checkpoint of the whole network alone.
    sizes = [RunFolder(r.folder).last.stat().st_size for r in (slow, fast)]
    assert sizes[1] < sizes[0]


def test_scores_of_a_run_on_encoded_windows_are_those_of_its_preset(
    preset, survey, tmp_path
):
    result = train_classifier(preset, survey, tmp_path / "run", epochs=2, **QUICK)
    model = load_preset(result.preset, ClassifierNetwork)
    found = classify(model, read_records(survey, "validation"))
    expected = f1_score(found.class_name, found.predicted, average="macro")
    best = result.history[result.best_epoch - 1]
    assert best["val_macro_f1_object"] == pytest.approx(expected, abs=1e-12)
    loss = result.scores["validation"]["loss"]
    assert best["val_loss"] == pytest.approx(loss, rel=1e-5)


def test_encoding_shows_how_far_it_is(preset, survey, tmp_path):
    shown = []

    def progress(stage, done, total, unit, detail=""):
        shown.append((stage, done, total, unit))

    train_classifier(
        preset, survey, tmp_path / "run", epochs=1, progress=progress, **QUICK
    )
    encoded = [call[1:] for call in shown if call[0] == "encode"]
    assert encoded == sorted(encoded)
    done, total, unit = encoded[-1]
    assert (done, unit) == (total, "windows")
    # It comes before the first step.
    assert [call[0] for call in shown].index("train") == len(encoded)


def test_interrupted_run_on_encoded_windows_goes_on(preset, survey, tmp_path):
    options = {**QUICK, "dropout": 0.3}
    whole = train_classifier(preset, survey, tmp_path / "one", epochs=2, **options)

    def interrupt(stage, done, total, unit, detail=""):
        # After four batches of three in an epoch.
        if stage == "train" and done == 32:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="after batch 4, and saved"):
        train_classifier(
            preset, survey, tmp_path / "two", epochs=2, progress=interrupt, **options
        )
    parts = train_classifier(preset, survey, tmp_path / "two", resume=True)
    assert parts.history == whole.history
    for a, b in zip(weights_of(whole.preset), weights_of(parts.preset), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("options", "is_tiled"),
    [
        ({}, True),
        ({"windows": "drawn"}, False),
        ({"unfreeze": 1}, False),
        ({"unfreeze": 1, "windows": "tiled"}, True),
        # What stands for an encoder trains here.
        ({"head": "input_gru"}, False),
        ({"recipe": "released", "batch_size": 8}, False),
    ],
)
def test_windows_are_tiles_where_the_encoder_is_frozen(
    preset, survey, tmp_path, monkeypatch, options, is_tiled
):
    plan, data, model = asked(monkeypatch, preset, survey, tmp_path / "run", **options)
    assert data.is_tiled == is_tiled
    assert plan.data["drawn_by"] == ("numpy" if is_tiled else "tf.data")
    alone = is_tiled and "unfreeze" not in options
    assert isinstance(model, ClassifierNetwork) == (not alone)


def test_tiles_train_an_unfrozen_encoder_too(preset, survey, tmp_path):
    tiled, drawn = (
        train_classifier(
            preset, survey, tmp_path / w, epochs=1, unfreeze=1, windows=w, **QUICK
        )
        for w in ("tiled", "drawn")
    )
    assert tiled.history[0]["loss"] != drawn.history[0]["loss"]
    assert np.isfinite(tiled.history[0]["loss"])


def test_run_is_not_resumed_with_other_windows(preset, survey, tmp_path):
    train_classifier(preset, survey, tmp_path / "run", epochs=1, **QUICK)
    for change in ({"windows": "drawn"}, {"encoded_gb": 0.0}):
        (name,) = change
        with pytest.raises(RunError, match=f"{name}=.*begun with"):
            train_classifier(
                preset, survey, tmp_path / "run", epochs=2, resume=True, **change
            )


def test_light_curves_without_label_are_left_out_and_counted(preset, tmp_path):
    curves = make_curves(24)
    curves[3], curves[20] = (
        dataclasses.replace(curve, class_name=None) for curve in (curves[3], curves[20])
    )
    splits = {"train": curves[:16], "validation": curves[16:]}
    said = []
    result = train_classifier(
        preset, splits, tmp_path / "run", epochs=1, report=said.append, **QUICK
    )
    assert "1 of 16 light curves in train have no class and are left out." in said
    assert result.confusion["validation"].support.sum() == 7


def test_without_validation_windows_in_training_are_watched(preset, tmp_path):
    said = []
    result = train_classifier(
        preset,
        {"train": make_curves(12)},
        tmp_path / "run",
        epochs=1,
        report=said.append,
        **QUICK,
    )
    assert result.monitor == "macro_f1"
    assert (result.scores, result.confusion) == ({}, {})
    assert "## Scores" not in (tmp_path / "run" / "README.md").read_text()


def asked(monkeypatch, preset, records, out, **options):
    """Return what a run would train, without training it."""
    caught = []

    def catch(folder, plan, data, build, **how):
        caught.extend((plan, data, build(10)))
        raise InterruptedError

    monkeypatch.setattr(classifying, "run_training", catch)
    with pytest.raises(InterruptedError):
        train_classifier(preset, records, out, **options)
    return caught


def test_options_reach_model_loss_and_data(preset, tmp_path, monkeypatch):
    plan, data, model = asked(
        monkeypatch,
        preset,
        {"train": make_curves(21)},
        tmp_path / "run",
        head="gru",
        gru_units=3,
        hidden_units=[5, 2],
        output_norm=False,
        dropout=0.4,
        label_smoothing=0.1,
        class_weights="balanced",
        unfreeze="all",
        seed=7,
        learning_rate=0.25,
        warmup_steps=0,
        precision="mixed_bfloat16",
    )
    assert model.classifier_config == ClassifierConfig(
        class_names=("large", "small"),
        head="gru",
        gru_units=3,
        hidden_units=(5, 2),
        output_norm=False,
        dropout=0.4,
        unfrozen_blocks="all",
    )
    assert plan.model["classifier"] == model.classifier_config.to_dict()
    assert model.loss.label_smoothing == 0.1
    assert plan.data["classes"]["train"] == {"large": 10, "small": 11}
    assert model.loss.class_weights == [21 / 20, 21 / 22]
    assert (model.seed, model.dtype_policy.name) == (7, "mixed_bfloat16")
    assert (data.task, data.options.seed) == ("classify", 7)
    model.optimizer.build(model.trainable_variables)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.25)


def test_mixture_of_the_release_reaches_the_head(preset, survey, tmp_path, monkeypatch):
    _, data, model = asked(
        monkeypatch, preset, survey, tmp_path / "run", recipe="released"
    )
    assert model.classifier_config.mixture == "released"
    assert data.options.batch_size == 2_500
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
    assert model.loss.class_weights is None


# --- Refusals


def curves_of(*classes, start=0):
    curves = make_curves(start + len(classes))[start:]
    return [
        dataclasses.replace(curve, class_name=name)
        for curve, name in zip(curves, classes, strict=True)
    ]


@pytest.mark.parametrize(
    ("records", "error", "message"),
    [
        ({"train": curves_of(None, None)}, RecordError, "needs labels"),
        (
            {
                "train": curves_of(*"aabb"),
                "validation": curves_of("a", "c", start=4),
            },
            RecordError,
            'class "c" in validation',
        ),
        ({"train": curves_of(*"aab")}, RecordError, 'class "b" with the object'),
        ({"train": curves_of(*"aabb")}, ConfigError, "batch_size=8, 4 light curves"),
    ],
    ids=["no labels", "unseen class", "one object", "too few"],
)
def test_light_curves_that_teach_nothing_leave_no_folder(
    preset, tmp_path, records, error, message
):
    with pytest.raises(error, match=message):
        train_classifier(preset, records, tmp_path / "run", epochs=1, **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "gama"}, 'Did you mean "gamma"'),
        ({"unfreeze": 3}, r"unfrozen_blocks=3, num_layers=2"),
        ({"head": "raw_gru", "unfreeze": 1}, "has no blocks to unfreeze"),
        ({"monitor": "val_f1_object"}, r'monitor="val_f1_object".*val_macro_f1_object'),
        ({"label_smoothing": 1.0}, "label_smoothing=1"),
        ({"windows": "tiles"}, 'Did you mean "tiled"'),
        ({"encoded_gb": -1.0}, r"at least 0\. Received: encoded_gb=-1"),
    ],
)
def test_options_that_cannot_work_leave_no_folder(
    preset, survey, tmp_path, options, message
):
    with pytest.raises(ConfigError, match=message):
        train_classifier(preset, survey, tmp_path / "run", **{**QUICK, **options})
    assert not (tmp_path / "run").exists()


def test_records_of_another_schema_are_refused(preset, tmp_path):
    write_records(tmp_path / "records", make_curves(8), split={"train": 1.0})
    path = tmp_path / "records" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(RecordError, match="schema_version=99"):
        train_classifier(preset, tmp_path / "records", tmp_path / "run")


def test_run_is_not_resumed_with_another_head_or_other_classes(run, preset, survey):
    result, _ = run
    with pytest.raises(RunError, match="head='mean', begun with 'gamma'"):
        train_classifier(preset, survey, result.folder, resume=True, head="mean")
    with pytest.raises(RunError, match=r"model\.classifier|data\."):
        train_classifier(
            preset, {"train": curves_of(*"aabbccdd")}, result.folder, resume=True
        )


def test_classifier_is_no_start(run, survey, tmp_path):
    result, _ = run
    with pytest.raises(PresetError, match="kind=classifier"):
        train_classifier(result.folder, survey, tmp_path / "run")


def test_loss_that_is_no_number_names_the_objects(preset, tmp_path):
    options = {**QUICK, "learning_rate": 1e38, "clip_norm": None, "batch_size": 6}
    with pytest.raises(RunError, match=r"no longer a number.*star0\d"):
        train_classifier(
            preset, {"train": make_curves(6)}, tmp_path / "run", epochs=9, **options
        )


# --- Several devices


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_devices_train_as_one():
    one, two, *frozen = results_of("tests.training.classifier_replicas")
    for a, b in ((one, two), frozen):
        assert b["weights"] == pytest.approx(a["weights"], rel=1e-5, abs=1e-6)
        assert b["scores"]["test"] == pytest.approx(a["scores"]["test"], rel=1e-5)
        for row, other in zip(a["history"], b["history"], strict=True):
            assert other == pytest.approx(row, rel=1e-5)
    assert one["moved"] > 1e-2
    assert frozen[0]["moved"] == 0.0
