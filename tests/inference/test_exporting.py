import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from astromer import Astromer
from astromer.errors import ConfigError
from astromer.inference import exporting
from astromer.inference.embedding import embed
from astromer.inference.exporting import (
    FORMAT_SUFFIXES,
    INPUT_MEANINGS,
    OUTPUT_MEANINGS,
    check_export_path,
    export,
)
from astromer.lightcurve import LightCurve
from astromer.pipeline import tile_windows
from tests.inference.conftest import make_model

ort = pytest.importorskip("onnxruntime", reason="of the extra `export`")
for name in ("onnx", "openvino", "tf2onnx"):
    pytest.importorskip(name, reason="of the extra `export`")

pytestmark = pytest.mark.timeout(300)
FORMATS = sorted(FORMAT_SUFFIXES)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """The tiny model in every format, each made when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def make(kind):
        if kind not in made:
            path = folder / f"{kind}{FORMAT_SUFFIXES[kind]}"
            made[kind] = export(model, path, format=kind)
        return made[kind]

    return make


def as_inputs(windows):
    values = (windows.mag, windows.time, windows.valid)
    return {
        name: value.astype(np.float32)[..., None]
        for name, value in zip(INPUT_MEANINGS, values, strict=True)
    }


def by_keras(model, windows):
    """Mean, maximum and vectors of each window from the encoder's own output."""
    sequence = np.asarray(
        model.encoder(
            {
                "time": windows.time,
                "mag": windows.mag,
                "valid": windows.valid,
                "hidden": np.zeros_like(windows.valid),
            }
        )
    )
    real = [row[:size] for row, size in zip(sequence, windows.size, strict=True)]
    return {
        "mean": np.array([row.mean(axis=0) for row in real]),
        "max": np.array([row.max(axis=0) for row in real]),
        "sequence": np.where(windows.valid[..., None], sequence, 0.0),
    }


def run_file(kind, path, inputs):
    run = exporting._OPENERS[kind](path)
    return dict(zip(OUTPUT_MEANINGS, run(inputs, list(OUTPUT_MEANINGS)), strict=True))


def assert_same(found, expected, valid, atol=1e-5):
    assert set(found) == {"mean", "max", "sequence"}
    sequence = np.where(valid[..., None], found["sequence"], 0.0)
    for name, values in ({**found, "sequence": sequence}).items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_file_gives_what_keras_gives_for_light_curves(exported, kind, model, curves):
    windows = tile_windows(curves, model.config.window_size)
    found = run_file(kind, exported(kind).path, as_inputs(windows))
    assert_same(found, by_keras(model, windows), windows.valid)


def test_onnx_file_gives_what_keras_gives_for_light_curves(exported, model, curves):
    windows = tile_windows(curves, model.config.window_size)
    found = run_file("onnx", exported("onnx").path, as_inputs(windows))
    assert_same(found, by_keras(model, windows), windows.valid)


@pytest.mark.parametrize("kind", FORMATS)
def test_file_searches_periods_as_keras_does(rng, tmp_path, kind):
    searching = make_model(
        residual="identity",
        window_size=60,
        magnitude_scale="visible",
        num_periods=2,
        period_harmonics=2,
        num_frequencies=2048,
        outlier_limit=1.2,
        rotary_time=True,
    )
    time = np.sort(rng.uniform(0.0, 90.0, (3, 60)), axis=1)
    mags = np.sin(2 * np.pi * time / np.array([[0.7], [3.1], [11.0]]))
    lengths = (60, 55, 40)
    stars = [
        LightCurve(t[:n], m[:n], np.full(n, 0.02))
        for t, m, n in zip(time, mags, lengths, strict=True)
    ]
    windows = tile_windows(stars, searching.config.window_size)
    path = tmp_path / f"periods{FORMAT_SUFFIXES[kind]}"
    export(searching, path, format=kind)
    found = run_file(kind, path, as_inputs(windows))
    assert_same(found, by_keras(searching, windows), windows.valid, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_real_light_curves_give_what_the_preset_gives(kind, shared, tmp_path):
    preset = Astromer.from_pretrained("macho")
    rows = pl.read_parquet(shared / "data" / "crts_labelled.parquet").head(6)
    columns = rows.select("mjd", "mag", "err").iter_rows()
    real = [LightCurve(*map(np.array, row)) for row in columns]
    windows = tile_windows(real, preset.config.window_size)
    path = tmp_path / f"macho{FORMAT_SUFFIXES[kind]}"
    export(preset, path, format=kind)
    found = run_file(kind, path, as_inputs(windows))
    assert_same(found, by_keras(preset, windows), windows.valid)


def test_onnx_file_says_what_its_tensors_are(exported, model):
    onnx = pytest.importorskip("onnx")
    made = exported("onnx")
    graph = onnx.load(made.path).graph
    shapes = {
        value.name: [
            axis.dim_param or axis.dim_value
            for axis in value.type.tensor_type.shape.dim
        ]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        **{name: ["batch", "window", 1] for name in ("input", "times", "mask_in")},
        "mean": ["batch", 8],
        "max": ["batch", 8],
        "sequence": ["batch", "window", 8],
    }
    meanings = {v.name: v.doc_string for v in (*graph.input, *graph.output)}
    assert meanings == INPUT_MEANINGS | OUTPUT_MEANINGS
    facts = ort.InferenceSession(made.path).get_modelmeta().custom_metadata_map
    assert json.loads(facts["encoder"]) == model.config.to_dict()
    assert (facts["window_size"], facts["normalization"]) == ("8", "window")
    assert made.num_bytes == made.path.stat().st_size
    assert 0.0 <= made.largest_difference < 1e-5


def test_onnx_file_opens_without_tensorflow_and_this_package(
    exported, model, curves, tmp_path
):
    windows = tile_windows(curves, model.config.window_size)
    np.savez(tmp_path / "inputs.npz", **as_inputs(windows))
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'astromer'): sys.modules[name] = None\n"
        "import numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "found = session.run(['mean'], dict(np.load('inputs.npz')))\n"
        "np.save('found.npy', found[0])"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(exported("onnx").path)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    expected = by_keras(model, windows)["mean"]
    np.testing.assert_allclose(
        np.load(tmp_path / "found.npy"), expected, rtol=0, atol=1e-5
    )


def test_light_curve_package_takes_the_file_as_its_astromer(exported, model, curves):
    module = pytest.importorskip("light_curve.embed")
    session = ort.InferenceSession(exported("onnx").path)

    class Tiny(module.Astromer2):
        seq_size = model.config.window_size

    for output, pool in (("mean", np.mean), ("max", np.max)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls itself experimental
            peer = Tiny(session, output=output)
        for curve in curves:
            found = peer(curve.time, curve.mag.astype(np.float64))
            rows = embed(model, curve, per="observation").embedding
            parts = np.split(rows, range(8, len(rows), 8))
            # It gives all windows the same weight, however few observations they hold.
            expected = np.mean([pool(part, axis=0) for part in parts], axis=0)
            np.testing.assert_allclose(found[0, 0, 0], expected, rtol=0, atol=1e-5)


def test_window_of_a_model_whose_padding_has_weight_is_full(tmp_path):
    model = make_model(attention_mask="released_astromer1")
    path = export(model, tmp_path / "released.onnx").path
    session = ort.InferenceSession(path)
    assert [i.shape for i in session.get_inputs()] == [["batch", 8, 1]] * 3


def test_file_that_gives_other_numbers_is_not_kept(model, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_text("what was there")
    original = exporting._OPENERS["onnx"]

    def spoiled(file):
        run = original(file)
        return lambda inputs, names: [1.001 * values for values in run(inputs, names)]

    monkeypatch.setitem(exporting._OPENERS, "onnx", spoiled)
    with pytest.raises(ConfigError, match=r"other numbers.*Received.*more than 1e-05"):
        export(model, path)
    assert path.read_text() == "what was there"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.slow
def test_saved_model_replaces_a_saved_model_and_nothing_else(model, tmp_path):
    folder = tmp_path / "served"
    for _ in range(2):
        assert export(model, folder, format="saved_model").path == folder
    assert (folder / "saved_model.pb").is_file()
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match=r"replaces nothing.*Received: path=.*mine"):
        export(model, tmp_path / "mine", format="saved_model")


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("a.pb", "onnx", r"ends in \.onnx.*Received: path=a\.pb"),
        ("a.onnx", "openvino", r"ends in \.xml"),
        ("a.tflite", "saved_model", r"a folder.*Received: path=a\.tflite"),
        ("a", "tflite", r"ends in \.tflite"),
        ("a", "coreml", r'Unknown format.*"coreml"'),
    ],
)
def test_path_that_does_not_suit_its_format_is_refused(path, kind, message):
    with pytest.raises(ConfigError, match=message):
        check_export_path(path, kind)


def test_method_of_the_model_is_the_function(model, tmp_path):
    public = Astromer(model.config, seed=1)
    made = public.export_encoder(tmp_path / "deep" / "model.onnx")
    assert made.path == Path(tmp_path / "deep" / "model.onnx")
    assert made.format == "onnx"
    assert made.path.is_file()
