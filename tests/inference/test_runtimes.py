import subprocess
import sys
import threading

import numpy as np
import pytest

from astromer import LightCurve, inference
from astromer.errors import ConfigError
from astromer.inference import embed, runtimes
from astromer.models import Encoder
from tests.inference.conftest import make_model

for name in ("onnx", "onnxruntime", "openvino", "tf2onnx"):
    pytest.importorskip(name, reason="of the extra `export`")

pytestmark = pytest.mark.timeout(300)
ENGINES = ("onnx", "openvino")


@pytest.mark.parametrize("runtime", ENGINES)
def test_embeddings_of_every_runtime_are_those_of_keras(model, curves, runtime):
    expected = embed(model, curves)
    found = embed(model, curves, runtime=runtime, batch_size=4)
    np.testing.assert_allclose(found.embedding, expected.embedding, rtol=0, atol=1e-5)
    assert found.object_id.tolist() == expected.object_id.tolist()
    assert not np.array_equal(found.embedding, expected.embedding), "the same engine"


@pytest.mark.parametrize("runtime", ENGINES)
def test_cores_share_a_batch_and_keep_its_order(
    own_model, curves, runtime, monkeypatch
):
    monkeypatch.setattr(
        runtimes, "OBSERVATIONS_PER_PIECE", own_model.config.window_size
    )
    monkeypatch.setattr(runtimes, "_num_cores", lambda: 3)
    expected = embed(own_model, curves, per="window")
    found = embed(own_model, curves, per="window", runtime=runtime)
    assert len(expected) > 3, "one window each"
    np.testing.assert_allclose(found.embedding, expected.embedding, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ENGINES)
@pytest.mark.parametrize(
    "options", [{"per": "observation"}, {"per": "window", "layer": "all"}]
)
def test_runtime_gives_layers_and_observations(model, curves, runtime, options):
    expected = embed(model, curves, **options).embedding
    found = embed(model, curves, runtime=runtime, **options).embedding
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ENGINES)
@pytest.mark.parametrize(
    "options",
    [
        {"attention_mask": "released_astromer1", "time_encoding": "sinusoidal"},
        {"residual": "none", "hidden_magnitude": "zero"},
    ],
)
def test_runtime_takes_every_kind_of_encoder(rng, runtime, options):
    encoder = Encoder(
        make_model().config.from_dict(make_model().config.to_dict() | options), seed=3
    )
    curves = [
        LightCurve(np.sort(rng.uniform(0, 50, n)), rng.normal(15, 0.3, n), np.ones(n))
        for n in (3, 8, 13)
    ]
    expected = embed(encoder, curves).embedding
    found = embed(encoder, curves, runtime=runtime).embedding
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("runtime", ENGINES)
def test_runtime_gives_description_and_signature(rng, runtime):
    options = {"magnitude_scale": "visible", "num_periods": 2, "num_frequencies": 1024}
    options |= {"description": True, "signature_dim": 3, "rotary_time": True}
    options |= {"window_size": 60}
    encoder = Encoder(
        make_model().config.from_dict(make_model().config.to_dict() | options), seed=3
    )
    # With clear periods: among equals, rounding decides which one is found.
    times = [np.sort(rng.uniform(0, 50, 60)) for _ in range(3)]
    curves = [
        LightCurve(time, 15 + np.sin(2 * np.pi * time / period), np.ones(60))
        for time, period in zip(times, (0.7, 1.9, 6.1), strict=True)
    ]
    expected = embed(encoder, curves).embedding
    found = embed(encoder, curves, runtime=runtime).embedding
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_runtime_follows_the_weights_and_converts_once(own_model, curves, monkeypatch):
    conversions = []
    original = runtimes.convert_to_onnx

    def counted(model, path):
        conversions.append(path)
        original(model, path)

    monkeypatch.setattr(runtimes, "convert_to_onnx", counted)
    before = embed(own_model, curves, runtime="onnx").embedding
    np.testing.assert_array_equal(
        embed(own_model, curves, runtime="onnx").embedding, before
    )
    assert len(conversions) == 1
    kernel = own_model.encoder.get_layer("magnitude_embedding").kernel
    kernel.assign(2 * kernel.numpy())
    after = embed(own_model, curves, runtime="onnx").embedding
    assert len(conversions) == 2
    np.testing.assert_allclose(
        after, embed(own_model, curves).embedding, rtol=0, atol=1e-5
    )
    assert np.abs(after - before).max() > 1e-3


def test_unknown_runtime_is_refused(model, curves):
    with pytest.raises(ConfigError, match=r'Unknown runtime.*"tensorrt"'):
        embed(model, curves, runtime="tensorrt")


def test_model_in_half_precision_is_refused(curves):
    half = Encoder(make_model().config, seed=0, dtype="mixed_bfloat16")
    with pytest.raises(ConfigError, match=r"float32\. Received: dtype=bfloat16"):
        embed(half, curves, runtime="onnx")


@pytest.mark.parametrize("missing", ["onnxruntime", "tf2onnx", "onnx"])
def test_missing_package_is_named_with_what_installs_it(
    own_model, curves, missing, monkeypatch
):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf'{missing}.*pip install "astromer\[export'):
        inference.embed(own_model, curves, runtime="onnx")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_openvino_is_imported_without_what_reports_its_use():
    # In a process of its own: in this one it may have come in another way.
    code = (
        "import sys; from astromer.inference import runtimes;"
        "runtimes.import_extra('openvino');"
        "print('openvino.tools.ovc' in sys.modules,"
        "[name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True []", "it would report from its tools"


def test_openvino_meets_numpy_before_its_threads_do(own_model, curves, monkeypatch):
    # Two threads that are the first to use it can wait for each other for ever.
    import openvino

    seen = []

    def tensor(values):
        seen.append(threading.current_thread())
        return made(values)

    made = openvino.Tensor
    monkeypatch.setattr(openvino, "Tensor", tensor)
    embed(own_model, curves, runtime="openvino")
    assert seen[0] is threading.main_thread()
