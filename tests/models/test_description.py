"""A window's description against numpy's quantiles and a plain double loop."""

import keras
import numpy as np
import pytest

from astromer import LightCurve
from astromer.errors import ConfigError
from astromer.inference import embed
from astromer.models import Encoder, EncoderConfig, Reconstructor
from astromer.models.config import NUM_LAG_BINS, NUM_QUANTILES
from astromer.models.description import (
    LAG_EDGES_DAYS,
    QUANTILES,
    MagnitudeQuantiles,
    StructureFunction,
)
from tests.models.windows import tiny_config

STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
DESCRIBED = {
    "magnitude_scale": "visible",
    "num_periods": 2,
    "num_frequencies": 2048,
    "description": True,
}


def as_array(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def draw(rng, size=60, padding=4, days=400.0):
    values = {
        "time": np.sort(rng.uniform(0.0, days, size)),
        "mag": rng.normal(size=size),
        "valid": np.ones(size, bool),
        "hidden": rng.uniform(size=size) < 0.3,
    }
    padded = {name: np.pad(v, (0, padding))[None] for name, v in values.items()}
    return {n: v if v.dtype == bool else v.astype("f") for n, v in padded.items()}


def visible_of(window):
    return (window["valid"] & ~window["hidden"])[0]


def quantiles_of(window):
    masks = window["valid"], window["hidden"]
    return as_array(MagnitudeQuantiles()(window["mag"], *masks))


def structure_of(window):
    masks = window["valid"], window["hidden"]
    return as_array(StructureFunction()(window["time"], window["mag"], *masks))


def test_config_counts_what_layers_return(rng):
    assert quantiles_of(draw(rng)).shape == (1, NUM_QUANTILES)
    assert structure_of(draw(rng)).shape == (1, NUM_LAG_BINS)


def test_quantiles_are_numpys(rng):
    window = draw(rng)
    expected = np.quantile(window["mag"][0][visible_of(window)], QUANTILES)
    np.testing.assert_allclose(quantiles_of(window)[0], expected, atol=1e-5)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_visible_observations_have_quantiles_too(number, rng):
    window = draw(rng)
    window["hidden"][0] = True
    window["hidden"][0, 3 : 3 + number] = False
    seen = window["mag"][0][visible_of(window)]
    expected = np.quantile(seen, QUANTILES) if number else np.zeros(NUM_QUANTILES)
    np.testing.assert_allclose(quantiles_of(window)[0], expected, atol=1e-6)


def test_structure_function_is_that_of_a_plain_loop(rng):
    window = draw(rng)
    time, mag, seen = window["time"][0], window["mag"][0], visible_of(window)
    number, total = np.zeros(NUM_LAG_BINS), np.zeros(NUM_LAG_BINS)
    for step in STEPS:
        for i in range(len(time) - step):
            j = i + step
            if seen[i] and seen[j]:
                place = np.searchsorted(LAG_EDGES_DAYS, time[j] - time[i], "right")
                number[place] += 1
                total[place] += 0.5 * (mag[j] - mag[i]) ** 2
    assert (number > 0).sum() > 5
    expected = np.log10((total + 2) / (number + 2) + 0.02)
    np.testing.assert_allclose(structure_of(window)[0], expected, atol=1e-4)


def test_structure_function_tells_a_trend_from_noise(rng):
    window = draw(rng, size=200, days=1000.0)
    window["hidden"][:] = False
    noise = structure_of(window)[0]
    window["mag"][0, :200] = np.linspace(-1.7, 1.7, 200)
    trend = structure_of(window)[0]
    week, years = 6, NUM_LAG_BINS - 1
    np.testing.assert_allclose(noise[[week, years]], 0.0, atol=0.2)
    assert trend[week] < -0.8
    assert trend[years] > 0.1


@pytest.mark.parametrize("describe", [quantiles_of, structure_of])
def test_hidden_magnitudes_and_padding_are_not_described(describe, rng):
    window = draw(rng)
    before = describe(window)
    window["mag"] = np.where(visible_of(window)[None], window["mag"], 77.0).astype("f")
    np.testing.assert_array_equal(describe(window), before)
    longer = {name: np.pad(v, ((0, 0), (0, 9))) for name, v in window.items()}
    np.testing.assert_allclose(describe(longer), before, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2])
def test_shortest_windows_are_described(size, rng):
    window = draw(rng, size=size, padding=0)
    window["hidden"][:] = False
    assert np.isfinite(structure_of(window)).all()
    assert np.isfinite(quantiles_of(window)).all()


# --- In an encoder and in embeddings


@pytest.fixture(scope="module")
def model():
    return Reconstructor(tiny_config(**DESCRIBED), seed=0)


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(3)
    return [
        LightCurve(
            np.sort(rng.uniform(0, 500, size)),
            rng.normal(15, 0.3, size),
            np.full(size, 0.02),
        )
        for size in (9, 30)
    ]


def test_embedding_ends_with_the_description(model, curves):
    config = model.config
    found = np.asarray(embed(model, curves))
    last = np.asarray(embed(model, curves, layer=-1))
    described = np.asarray(embed(model, curves, layer="description"))
    assert last.shape[1] == config.hidden_dim
    assert described.shape[1] == config.description_channels
    assert config.description_channels == config.window_channels + 20
    np.testing.assert_allclose(found, np.hstack([last, described]), atol=1e-6)
    other_order = np.asarray(embed(model, curves, layer=["description", 0]))
    np.testing.assert_array_equal(other_order[:, : described.shape[1]], described)
    assert np.ptp(described, axis=0).max() > 0.1


def test_onnx_runtime_describes_alike(model, rng):
    pytest.importorskip("onnxruntime")
    # In noise, which of two equal periods comes first hangs on the last digit.
    time = np.sort(rng.uniform(0, 300, 10))
    mag = 15 + 0.4 * np.sin(2 * np.pi * time / 3.7) + rng.normal(0, 0.01, 10)
    curves = LightCurve(time, mag, np.full(10, 0.02))
    found = np.asarray(embed(model, curves, layer="description", runtime="onnx"))
    expected = np.asarray(embed(model, curves, layer="description"))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_observations_have_no_description(model, curves):
    found = np.asarray(embed(model, curves, per="observation"))
    assert found.shape == (39, model.config.hidden_dim)
    with pytest.raises(ConfigError, match="of a window, not of an observation"):
        embed(model, curves, per="observation", layer=["description"])


def test_other_encoders_have_none(curves):
    plain = Reconstructor(tiny_config(), seed=0)
    assert plain.encoder.description is None
    assert plain.config.description_channels == 0
    with pytest.raises(ConfigError, match=r"has no description.*description=False"):
        embed(plain, curves, layer="description")


def test_description_does_without_weights():
    without = tiny_config(**{**DESCRIBED, "description": False})
    parameters = Encoder(without, seed=0).count_params()
    assert Encoder(tiny_config(**DESCRIBED), seed=0).count_params() == parameters


def test_description_needs_scaled_magnitudes():
    with pytest.raises(ConfigError, match=r'description=True.*magnitude_scale="none"'):
        EncoderConfig(description=True)
    with pytest.raises(ConfigError, match=r"True or False\. Received: description=1"):
        EncoderConfig(description=1)
