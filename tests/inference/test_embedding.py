import csv

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest

from astromer import inference
from astromer.errors import ConfigError
from astromer.inference import Embeddings, embed, embed_in_parts
from astromer.lightcurve import LightCurve
from astromer.models import Encoder, Reconstructor
from astromer.models.layers import MaskedMean
from tests.inference.conftest import make_model

W = 8
CLOSE = {"rtol": 0, "atol": 2e-6}


def slices(curve):
    return [slice(start, start + W) for start in range(0, len(curve), W)]


def call_by_hand(network, curve, part, whole):
    """Call a network on one window by itself; returns (size, channels)."""
    mag = curve.mag.astype(np.float64)
    time = (curve.time[part] - curve.time[whole].mean()).astype(np.float32)
    inputs = {
        "time": time[None],
        "mag": (mag[part] - mag[whole].mean()).astype(np.float32)[None],
        "valid": np.ones((1, len(time)), bool),
        "hidden": np.zeros((1, len(time)), bool),
    }
    if len(time) == 1:
        # Keras warns of a softmax over one position: give it padding to leave out.
        inputs = {name: np.pad(v, ((0, 0), (0, 1))) for name, v in inputs.items()}
    return np.asarray(network(inputs, training=False))[0, : len(time)]


def by_hand(model, curves, per, layer=-1):
    """Embed window after window, without batches, padding or masks."""
    encoder = model.encoder
    network = keras.Model(encoder.input, encoder.layer_sequences[layer])
    per_window = model.config.normalization == "window"
    rows = []
    for curve in curves:
        windows = [
            call_by_hand(network, curve, part, part if per_window else slice(None))
            for part in slices(curve)
        ]
        if per == "observation":
            rows += [row for window in windows for row in window]
        elif per == "window":
            rows += [window.mean(axis=0) for window in windows]
        else:
            # Each window weighted by its observations.
            total = sum(len(window) * window.mean(axis=0) for window in windows)
            rows.append(total / len(curve))
    return np.array(rows)


@pytest.mark.parametrize("per", ["object", "window", "observation"])
def test_embeddings_are_those_of_windows_called_by_hand(model, curves, per):
    found = embed(model, curves, per=per)
    assert found.embedding.dtype == np.float32
    np.testing.assert_allclose(found.embedding, by_hand(model, curves, per), **CLOSE)


def test_whole_light_curve_normalization_is_the_models(curve_model, model, curves):
    found = embed(curve_model, curves).embedding
    expected = by_hand(curve_model, curves, "object")
    np.testing.assert_allclose(found, expected, **CLOSE)
    several = np.array([len(curve) for curve in curves]) > W
    difference = np.abs(found - embed(model, curves).embedding).max(axis=1)
    assert (difference[several] > 1e-4).all()
    np.testing.assert_allclose(difference[~several], 0.0, **CLOSE)


def test_windows_of_an_object_weigh_by_their_observations(model, curves):
    curve = curves[0]
    assert len(curve) == 19
    whole = np.asarray(embed(model, curve))[0]
    first, second, third = np.asarray(embed(model, curve, per="window"))
    np.testing.assert_allclose(
        whole, (8 * first + 8 * second + 3 * third) / 19, **CLOSE
    )
    assert np.abs(whole - (first + second + third) / 3).max() > 1e-3


@pytest.mark.parametrize("per", ["object", "window", "observation"])
def test_columns_say_what_each_embedding_stands_for(model, curves, per):
    found = embed(model, curves, per=per)
    expected = []
    for curve in curves:
        parts = {
            "object": [slice(None)],
            "window": slices(curve),
            "observation": [slice(i, i + 1) for i in range(len(curve))],
        }[per]
        expected += [
            (
                curve.object_id,
                curve.passband,
                curve.label,
                curve.class_name or "",
                len(curve.time[part]),
                curve.time[part].mean(),
            )
            for part in parts
        ]
    assert len(found) == len(expected)
    names = ("object_id", "passband", "label", "class_name", "n_observations", "time")
    for name, values in zip(names, zip(*expected, strict=True), strict=True):
        column = getattr(found, name)
        if name == "time":
            np.testing.assert_allclose(column, values, rtol=1e-15)
        else:
            assert column.tolist() == list(values)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
@pytest.mark.parametrize("per", ["object", "observation"])
def test_batch_size_does_not_change_embeddings(model, curves, batch_size, per):
    expected = embed(model, curves, per=per, batch_size=64).embedding
    found = embed(model, curves, per=per, batch_size=batch_size).embedding
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_company_does_not_change_embeddings(model, curves, rng):
    expected = embed(model, curves).embedding
    for number, curve in enumerate(curves):
        alone = embed(model, curve).embedding
        np.testing.assert_allclose(alone[0], expected[number], **CLOSE)
    order = rng.permutation(len(curves))
    shuffled = embed(model, [curves[place] for place in order], batch_size=4)
    assert shuffled.object_id.tolist() == [curves[k].object_id for k in order]
    np.testing.assert_allclose(shuffled.embedding, expected[order], **CLOSE)


def test_padding_that_has_weight_is_that_of_a_full_window(rng):
    model = make_model(attention_mask="released_astromer1", window_size=60)
    curves = [
        LightCurve(np.arange(n) + 0.5, rng.normal(15.0, 0.3, n), np.full(n, 0.1))
        for n in (7, 60, 3)
    ]
    expected = []
    for curve in curves:
        valid = (np.arange(60) < len(curve))[None]
        inputs = {"valid": valid, "hidden": np.zeros((1, 60), bool)}
        for name, values in (("time", curve.time), ("mag", curve.mag)):
            inputs[name] = np.zeros((1, 60), np.float32)
            inputs[name][valid] = values - values.mean(dtype=np.float64)
        output = np.asarray(model.encoder(inputs))
        expected.append(output[valid].mean(axis=0))
        # So few positions as there are observations give something else.
        narrow = {name: v[:, : len(curve)] for name, v in inputs.items()}
        other = np.asarray(model.encoder(narrow))[0].mean(axis=0)
        assert np.abs(other - expected[-1]).max() > 1e-3 or len(curve) == 60
    for found in (
        embed(model, curves).embedding,
        [embed(model, curve).embedding[0] for curve in curves],
    ):
        np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -3, np.int64(1)])
def test_layer_is_the_output_of_that_block(model, curves, layer):
    found = embed(model, curves, layer=layer).embedding
    expected = by_hand(model, curves, "object", int(layer))
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_layers_are_concatenated_in_the_order_given(model, curves):
    each = [embed(model, curves, layer=layer).embedding for layer in range(3)]
    assert np.abs(each[0] - each[1]).max() > 0.1
    for layer, order in (("all", [0, 1, 2]), ([2, 0], [2, 0]), ((-1, 1), [2, 1])):
        found = embed(model, curves, layer=layer).embedding
        expected = np.concatenate([each[place] for place in order], axis=1)
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_layer_that_is_named_twice_comes_twice(model, curves):
    once = embed(model, curves, layer=-1).embedding
    twice = embed(model, curves, layer=[2, -1]).embedding
    np.testing.assert_allclose(twice, np.hstack([once, once]), atol=1e-6)


def test_layers_of_observations_are_concatenated(model, curves):
    found = embed(model, curves[0], per="observation", layer="all").embedding
    assert found.shape == (19, 24)
    expected = by_hand(model, curves[:1], "observation", 0)
    np.testing.assert_allclose(found[:, :8], expected, **CLOSE)


def test_every_source_of_the_same_light_curves_gives_the_same(
    model, curves, records, tmp_path
):
    expected = embed(model, curves)
    frame = pd.concat([curve.to_pandas() for curve in curves], ignore_index=True)
    sources = (tuple(curves), iter(curves), frame, pl.from_pandas(frame), records)
    for source in sources:
        found = embed(model, source)
        np.testing.assert_allclose(found.embedding, expected.embedding, **CLOSE)
        for name in ("object_id", "passband", "class_name", "n_observations"):
            assert getattr(found, name).tolist() == getattr(expected, name).tolist()


def test_passband_is_selected(model, curves):
    found = embed(model, curves, passband="R")
    assert found.passband.tolist() == ["R"] * 5
    expected = embed(model, curves).embedding[::2]
    np.testing.assert_allclose(found.embedding, expected, **CLOSE)


def test_real_survey_files_are_embedded(model, shared):
    found = embed(model, shared / "fixtures" / "macho", survey="macho", passband="R")
    assert "1.3444.614" in found.object_id
    assert set(found.passband) == {"R"}
    assert np.isfinite(found.embedding).all()


def test_encoder_and_model_give_the_same(model, curves):
    assert isinstance(model.encoder, Encoder)
    np.testing.assert_array_equal(
        embed(model.encoder, curves).embedding, embed(model, curves).embedding
    )


@pytest.mark.parametrize("per", ["object", "window", "observation"])
def test_chunks_do_not_change_embeddings(model, curves, monkeypatch, per):
    expected = embed(model, curves, per=per)
    monkeypatch.setattr(inference.embedding, "OBSERVATIONS_PER_CHUNK", 20)
    found = embed(model, curves, per=per)
    np.testing.assert_allclose(found.embedding, expected.embedding, **CLOSE)
    for name in ("object_id", "n_observations", "time", "label"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_parts_together_are_all_embeddings(model, curves, monkeypatch):
    expected = embed(model, curves, per="window")
    monkeypatch.setattr(inference.embedding, "OBSERVATIONS_PER_CHUNK", 30)
    parts = list(embed_in_parts(model, curves, per="window"))
    assert len(parts) > 2
    for name in ("object_id", "n_observations", "time"):
        together = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(together, getattr(expected, name))
    together = np.concatenate([part.embedding for part in parts])
    np.testing.assert_allclose(together, expected.embedding, **CLOSE)


def test_parts_refuse_a_wrong_option_before_the_first(model, curves):
    with pytest.raises(ConfigError, match="batch_size"):
        embed_in_parts(model, curves, batch_size=0)


def test_progress_counts_light_curves(model, curves, records, monkeypatch):
    monkeypatch.setattr(inference.embedding, "OBSERVATIONS_PER_CHUNK", 30)
    for source, total in ((curves, 10), (records, 10), (iter(curves), None)):
        calls = []
        embed(model, source, progress=lambda *state, calls=calls: calls.append(state))
        assert {(stage, of, unit) for stage, _, of, unit in calls} == {
            ("embed", total, "light curves")
        }
        done = [count for _, count, _, _ in calls]
        assert len(done) > 1
        assert done == sorted(set(done))
        assert done[-1] == 10


def test_network_is_traced_once_for_all_shapes(own_model, curves, monkeypatch):
    calls = []
    original = MaskedMean.call

    def counted(self, x, valid):
        calls.append(x.shape)
        return original(self, x, valid)

    monkeypatch.setattr(MaskedMean, "call", counted)
    embed(own_model, curves, batch_size=4)
    traces = len(calls)
    assert traces > 0
    embed(own_model, curves[:3], batch_size=64)
    embed(own_model, curves[::-1], batch_size=3)
    assert len(calls) == traces


def test_embedding_follows_the_weights(own_model, curves):
    before = embed(own_model, curves).embedding
    kernel = own_model.encoder.get_layer("magnitude_embedding").kernel
    kernel.assign(2 * kernel.numpy())
    after = embed(own_model, curves).embedding
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, by_hand(own_model, curves, "object"), **CLOSE)


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")
@pytest.mark.parametrize(
    "apply",
    [
        lambda *given: embed(*given).embedding,
        lambda *given: inference.reconstruct(*given).reconstruction,
    ],
    ids=["embed", "reconstruct"],
)
def test_weights_that_quantization_replaced_are_seen(apply, curves):
    used, fresh = make_model(), make_model()
    before = apply(used, curves[0])
    used.quantize("int8")
    fresh.quantize("int8")
    after = apply(used, curves[0])
    np.testing.assert_array_equal(after, apply(fresh, curves[0]))
    assert np.abs(after - before).max() > 1e-5


def test_model_is_saved_as_before_after_embedding(own_model, curves, tmp_path):
    weights = [weight.path for weight in own_model.weights]
    layers = [layer.name for layer in own_model.layers]
    expected = embed(own_model, curves).embedding
    inference.reconstruct(own_model, curves)
    assert [weight.path for weight in own_model.weights] == weights
    assert [layer.name for layer in own_model.layers] == layers
    own_model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, Reconstructor)
    np.testing.assert_allclose(embed(loaded, curves).embedding, expected, **CLOSE)


def test_array_of_embeddings_is_the_vectors(model, curves):
    found = embed(model, curves)
    array = np.asarray(found)
    np.testing.assert_array_equal(array, found.embedding)
    assert array.shape == (len(found), 8)
    assert np.asarray(found, dtype=np.float64).dtype == np.float64


def test_pandas_frame_has_a_row_per_embedding(model, curves):
    found = embed(model, curves)
    frame = found.to_pandas()
    assert list(frame.columns) == [
        "object_id",
        "passband",
        "label",
        "class_name",
        "n_observations",
        "time",
        "embedding",
    ]
    assert frame["object_id"].tolist() == [curve.object_id for curve in curves]
    np.testing.assert_array_equal(np.stack(frame["embedding"]), found.embedding)


def read_table(path):
    """Return columns of a written file by name, as lists."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tolist() for name in arrays}
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dict(as_series=False)
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    vectors = [columns.pop(name) for name in list(columns) if "embedding_" in name]
    for name in ("label", "n_observations"):
        columns[name] = [int(text) for text in columns[name]]
    columns["time"] = [float(text) for text in columns["time"]]
    columns["embedding"] = np.array(vectors).T.astype(np.float32).tolist()
    return columns


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_written_embeddings_are_read_back_bit_by_bit(model, curves, tmp_path, suffix):
    found = embed(model, curves, per="window")
    path = found.write(tmp_path / f"embeddings{suffix}")
    columns = read_table(path)
    assert list(columns) == list(found.to_pandas().columns)
    for name, values in columns.items():
        assert values == getattr(found, name).tolist()


def test_wrong_suffix_is_refused(model, curves, tmp_path):
    with pytest.raises(ConfigError, match=r"\.parquet.*Received: path=.*\.txt"):
        embed(model, curves[0]).write(tmp_path / "embeddings.txt")


def test_embeddings_of_one_observation_are_finite(model):
    curve = LightCurve([55_000.0], [15.0], [0.1])
    found = embed(model, curve)
    assert isinstance(found, Embeddings)
    assert np.isfinite(found.embedding).all()
    assert found.n_observations.tolist() == [1]


def test_repr_of_embeddings_is_one_line(model, curves):
    shown = repr(embed(model, curves))
    assert shown.startswith(f"Embeddings({len(curves)} rows: object_id, passband, ")
    assert shown.endswith(", embedding of 8 values)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per": "objects"}, 'Unknown per.*"objects".*mean "object"'),
        ({"batch_size": 0}, "batch_size.*positive.*batch_size=0"),
        ({"layer": 3}, "between -3 and 2.*Received: layer=3"),
        ({"layer": -4}, "between -3 and 2.*Received: layer=-4"),
        ({"layer": [0, 9]}, "Received: layer=9"),
        ({"layer": []}, "at least one"),
        ({"layer": "last"}, "or \"all\".*Received: 'last'"),
        ({"layer": 1.5}, 'or "all".*Received: 1.5'),
        ({"layer": [0, 1.7]}, 'or "all".*Received: 1.7'),
        ({"passband": "V"}, 'no light curves.*passband="V"'),
    ],
)
def test_option_that_cannot_work_is_refused(model, curves, options, message):
    with pytest.raises(ConfigError, match=message):
        embed(model, curves, **options)


def test_source_without_light_curves_is_refused(model):
    with pytest.raises(ConfigError, match="no light curves"):
        embed(model, [])


def test_layers_may_be_an_array(model, curves):
    several = embed(model, curves, layer=np.array([0, 1])).embedding
    np.testing.assert_array_equal(several, embed(model, curves, layer=[0, 1]).embedding)
