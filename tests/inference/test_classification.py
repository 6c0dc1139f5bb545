import csv

import numpy as np
import pandas as pd
import polars as pl
import pytest

from astromer import inference
from astromer.errors import ConfigError
from astromer.inference import Classifications, classify, embed
from astromer.lightcurve import LightCurve
from astromer.models import ClassifierConfig, ClassifierNetwork
from tests.inference.conftest import LENGTHS
from tests.models.windows import randomize

W = 8
NAMES = ("EB", "RRab", "SR a/b")
CLOSE = {"rtol": 0, "atol": 2e-6}
HEADS = ("gamma", "mean", "max", "embedding", "attention", "cls", "gru")
BASELINES = ("input_mean", "input_gru", "raw_gru")


def make_classifier(encoder_config, head="gamma", **options):
    config = ClassifierConfig(
        class_names=NAMES, head=head, hidden_units=(6,), gru_units=5, **options
    )
    classifier = ClassifierNetwork(encoder_config, config, seed=2)
    randomize(classifier, np.random.default_rng(4))
    return classifier


@pytest.fixture(scope="module")
def classifier(model):
    return make_classifier(model.config)


def by_hand(classifier, curves, per):
    """Classify window after window, without batches or padding."""
    rows = []
    for curve in curves:
        parts = [slice(start, start + W) for start in range(0, len(curve), W)]
        windows = []
        for part in parts:
            mag, time = curve.mag[part].astype(np.float64), curve.time[part]
            inputs = {
                "time": (time - time.mean()).astype(np.float32)[None],
                "mag": (mag - mag.mean()).astype(np.float32)[None],
                "valid": np.ones((1, len(time)), bool),
                "hidden": np.zeros((1, len(time)), bool),
            }
            # Keras warns of a softmax over one position: give it padding to leave out.
            inputs = {name: np.pad(v, ((0, 0), (0, 1))) for name, v in inputs.items()}
            weights = np.exp(np.asarray(classifier(inputs), dtype=np.float64)[0])
            windows.append(weights / weights.sum())
        sizes = [len(curve.time[part]) for part in parts]
        pooled = np.average(windows, axis=0, weights=sizes)
        rows += windows if per == "window" else [pooled]
    return np.array(rows)


@pytest.mark.parametrize("per", ["object", "window"])
def test_probabilities_are_those_of_windows_called_by_hand(classifier, curves, per):
    found = classify(classifier, curves, per=per)
    assert found.probability.dtype == np.float32
    expected = by_hand(classifier, curves, per)
    np.testing.assert_allclose(found.probability, expected, **CLOSE)
    np.testing.assert_allclose(found.probability.sum(axis=1), 1.0, rtol=1e-6)
    assert found.predicted.tolist() == [NAMES[k] for k in expected.argmax(axis=1)]
    # Every class is said of some curve: nothing here is decided beforehand.
    assert len(set(found.predicted)) > 1


def test_windows_weigh_by_their_observations(classifier, curves):
    curve = curves[0]
    assert len(curve) == 19
    first, second, third = np.asarray(classify(classifier, curve, per="window"))
    whole = np.asarray(classify(classifier, curve))[0]
    expected = (8 * first + 8 * second + 3 * third) / 19
    np.testing.assert_allclose(whole, expected, **CLOSE)
    assert np.abs(whole - (first + second + third) / 3).max() > 1e-3


@pytest.mark.parametrize("head", [*HEADS, *BASELINES])
def test_padding_window_count_and_order_never_change_a_probability(
    head, model, curves, rng, monkeypatch
):
    classifier = make_classifier(model.config, head)
    expected = np.asarray(classify(classifier, curves))
    # Alone, a curve has other padding than in company.
    for number in (0, 2, 5):
        alone = np.asarray(classify(classifier, curves[number]))
        np.testing.assert_allclose(alone[0], expected[number], **CLOSE)
    # Another order, other batches, other chunks.
    order = rng.permutation(len(curves))
    monkeypatch.setattr(inference.classification, "OBSERVATIONS_PER_CHUNK", 20)
    shuffled = classify(classifier, [curves[k] for k in order], batch_size=3)
    np.testing.assert_allclose(np.asarray(shuffled), expected[order], **CLOSE)
    assert shuffled.object_id.tolist() == [curves[k].object_id for k in order]


@pytest.mark.parametrize("number", [2, 5])
def test_number_of_equal_windows_does_not_change_a_probability(
    number, classifier, make_light_curve
):
    # Whole days apart, which float64 keeps exactly.
    one = make_light_curve(W)
    time = np.round(one.time * 64) / 64
    times = np.concatenate([time + 4_096 * k for k in range(number)])
    many = LightCurve(times, np.tile(one.mag, number), np.tile(one.mag_err, number))
    single = LightCurve(time, one.mag, one.mag_err)
    assert len(classify(classifier, many, per="window")) == number
    np.testing.assert_allclose(
        np.asarray(classify(classifier, many)),
        np.asarray(classify(classifier, single)),
        **CLOSE,
    )


@pytest.mark.parametrize("per", ["object", "window"])
def test_columns_are_those_of_embeddings_and_the_classes(
    classifier, model, curves, per
):
    found, embeddings = (
        classify(classifier, curves, per=per),
        embed(model, curves, per=per),
    )
    columns = found.columns()
    assert list(columns) == [
        "object_id",
        "passband",
        "label",
        "class_name",
        "n_observations",
        "time",
        "predicted",
        "p_EB",
        "p_RRab",
        "p_SR a/b",
    ]
    for name in list(columns)[:6]:
        np.testing.assert_array_equal(columns[name], getattr(embeddings, name))
    for number, name in enumerate(NAMES):
        np.testing.assert_array_equal(
            columns[f"p_{name}"], found.probability[:, number]
        )
    assert len(found) == len(embeddings)
    assert found.class_names == NAMES


def test_every_source_gives_the_same(classifier, curves, records):
    expected = np.asarray(classify(classifier, curves))
    frame = pd.concat([curve.to_pandas() for curve in curves], ignore_index=True)
    for source in (tuple(curves), iter(curves), frame, pl.from_pandas(frame), records):
        found = np.asarray(classify(classifier, source))
        np.testing.assert_allclose(found, expected, **CLOSE)
    reds = classify(classifier, records, passband="R")
    np.testing.assert_allclose(np.asarray(reds), expected[::2], **CLOSE)


def test_means_of_whole_light_curves_are_the_models(curve_model, classifier, curves):
    other = make_classifier(curve_model.config)
    difference = np.abs(
        np.asarray(classify(other, curves)) - np.asarray(classify(classifier, curves))
    ).max(axis=1)
    several = np.array(LENGTHS) > W
    assert (difference[several] > 1e-4).all()
    np.testing.assert_allclose(difference[~several], 0.0, **CLOSE)


def test_classes_follow_the_weights(model, curves):
    classifier = make_classifier(model.config)
    before = np.asarray(classify(classifier, curves))
    bias = classifier.get_layer("output").bias
    bias.assign(np.asarray(bias) + np.array([0.0, 0.0, 9.0]))
    after = classify(classifier, curves)
    assert np.abs(np.asarray(after) - before).max() > 0.1
    assert set(after.predicted) == {"SR a/b"}


def test_progress_counts_light_curves(classifier, curves, records, monkeypatch):
    monkeypatch.setattr(inference.classification, "OBSERVATIONS_PER_CHUNK", 30)
    for source, total in ((curves, 10), (records, 10), (iter(curves), None)):
        calls = []
        classify(
            classifier, source, progress=lambda *state, calls=calls: calls.append(state)
        )
        assert len(calls) > 1
        assert calls[-1] == ("classify", 10, total, "light curves")


def test_classifier_with_an_encoder_embeds(model, classifier, curves):
    classifier = make_classifier(model.config)
    classifier.take_encoder_weights(model.encoder)
    np.testing.assert_allclose(
        embed(classifier, curves).embedding, embed(model, curves).embedding, **CLOSE
    )
    for head in BASELINES:
        without = make_classifier(model.config, head)
        with pytest.raises(ConfigError, match=f'no encoder.*Received: head="{head}"'):
            embed(without, curves)


def test_table_prints_its_columns(classifier, curves):
    text = repr(classify(classifier, curves))
    assert text.startswith("Classifications(10 rows: object_id, ")
    assert text.endswith("predicted, p_EB, p_RRab, p_SR a/b)")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_written_table_has_a_column_per_class(classifier, curves, tmp_path, suffix):
    found = classify(classifier, curves)
    assert isinstance(found, Classifications)
    path = found.write(tmp_path / f"classes{suffix}")
    if suffix == ".npz":
        with np.load(path) as arrays:
            columns = {name: arrays[name].tolist() for name in arrays}
    elif suffix == ".parquet":
        columns = pl.read_parquet(path).to_dict(as_series=False)
    else:
        with open(path, newline="") as stream:
            rows = list(csv.DictReader(stream))
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert list(columns) == list(found.to_pandas().columns)
    assert columns["predicted"] == found.predicted.tolist()
    for number, name in enumerate(NAMES):
        values = np.array(columns[f"p_{name}"], dtype=np.float32)
        np.testing.assert_array_equal(values, found.probability[:, number])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per": "observation"}, 'Unknown per.*"observation"'),
        ({"batch_size": 0}, "batch_size.*positive.*batch_size=0"),
        ({"passband": "V"}, 'no light curves.*passband="V"'),
    ],
)
def test_option_that_cannot_work_is_refused(classifier, curves, options, message):
    with pytest.raises(ConfigError, match=message):
        classify(classifier, curves, **options)
