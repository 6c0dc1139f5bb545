import keras
import numpy as np
import polars as pl
import pytest

from astromer import inference
from astromer.errors import ConfigError
from astromer.inference import Reconstructions, reconstruct
from astromer.lightcurve import LightCurve
from tests.inference.conftest import make_model

W = 8
CLOSE = {"rtol": 0, "atol": 5e-6}


@pytest.fixture(scope="module")
def flat_model():
    """Model that predicts the mean of what it sees, plus 0.25 mag."""
    return flattened(make_model())


def flattened(model):
    head = model.get_layer("head_dense")
    head.kernel.assign(np.zeros(head.kernel.shape))
    head.bias.assign([0.25])
    return model


def make_curve(length, *, seed=0, shift=None):
    generator = np.random.default_rng([seed, length])
    time = np.sort(generator.uniform(55_000.0, 55_030.0, length))
    mag = generator.normal(15.0, 1.0, length)
    if shift is not None:
        mag[shift] += 5.0
    return LightCurve(time, mag, np.full(length, 0.1), object_id=f"star{seed}")


@pytest.mark.parametrize("num_folds", [2, 3, 8])
def test_each_fold_is_predicted_from_the_others(flat_model, num_folds):
    curve = make_curve(W)
    found = reconstruct(flat_model, curve, num_folds=num_folds).reconstruction
    # Equal predictions tell the folds; each is the mean of all others.
    values, fold = np.unique(found, return_inverse=True)
    assert len(values) == num_folds
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 1
    for number, value in enumerate(values):
        expected = curve.mag[fold != number].astype(np.float64).mean() + 0.25
        assert value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("num_folds", [2, 3])
def test_own_magnitude_has_no_say_in_a_reconstruction(model, num_folds):
    before = reconstruct(model, make_curve(W), num_folds=num_folds).reconstruction
    for place in range(W):
        changed = make_curve(W, shift=place)
        after = reconstruct(model, changed, num_folds=num_folds).reconstruction
        difference = np.abs(after - before)
        assert difference[place] < 1e-5
        # All of the other folds saw the change.
        assert (difference > 1e-2).sum() >= W // 2


def test_own_magnitude_has_no_say_in_the_last_window_of_one(model):
    before = reconstruct(model, make_curve(W + 1)).reconstruction
    after = reconstruct(model, make_curve(W + 1, shift=W)).reconstruction
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


def test_only_observation_of_a_window_is_left_to_the_rest(flat_model):
    curve = make_curve(W + 1)
    found = reconstruct(flat_model, curve).reconstruction
    other = [k for k in range(W) if found[k] == found[0]]
    seen = [k for k in range(W) if k not in other]
    means = [curve.mag[part].astype(np.float64).mean() + 0.25 for part in (other, seen)]
    assert min(abs(found[W] - mean) for mean in means) < 1e-5


def test_only_observation_of_a_light_curve_is_unknown(model):
    found = reconstruct(model, [make_curve(1), make_curve(W)])
    assert np.isnan(found.reconstruction[0])
    assert np.isfinite(found.reconstruction[1:]).all()
    assert found.rmse == pytest.approx(
        np.sqrt(np.mean((found.reconstruction - found.mag)[1:].astype(float) ** 2))
    )
    assert np.isnan(reconstruct(model, make_curve(1)).rmse)
    assert np.isfinite(reconstruct(model, make_curve(1), num_folds=0).rmse)


def test_light_curve_normalization_takes_the_mean_of_the_whole_curve():
    model = flattened(make_model(normalization="light_curve"))
    curve = make_curve(2 * W)
    found = reconstruct(model, curve).reconstruction
    values, fold = np.unique(found, return_inverse=True)
    assert len(values) == 2
    for number, value in enumerate(values):
        expected = curve.mag[fold != number].astype(np.float64).mean() + 0.25
        assert value == pytest.approx(expected, abs=1e-5)


def test_nothing_is_hidden_without_folds(model, flat_model):
    curve = make_curve(W)
    found = reconstruct(flat_model, curve, num_folds=0).reconstruction
    expected = curve.mag.astype(np.float64).mean() + 0.25
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    before = reconstruct(model, curve, num_folds=0).reconstruction
    after = reconstruct(model, make_curve(W, shift=3), num_folds=0).reconstruction
    assert (np.abs(after - before) > 1e-2).all()


@pytest.mark.parametrize("name", ["model", "curve_model"])
def test_nothing_hidden_is_the_model_called_by_hand(request, name):
    model = request.getfixturevalue(name)
    curve = make_curve(2 * W + 3)
    found = reconstruct(model, curve, num_folds=0).reconstruction
    mag = curve.mag.astype(np.float64)
    expected = []
    for start in range(0, len(curve), W):
        part = slice(start, start + W)
        whole = part if name == "model" else slice(None)
        time = (curve.time[part] - curve.time[whole].mean()).astype(np.float32)
        inputs = {
            "time": time[None],
            "mag": (mag[part] - mag[whole].mean()).astype(np.float32)[None],
            "valid": np.ones((1, len(time)), bool),
            "hidden": np.zeros((1, len(time)), bool),
        }
        output = np.asarray(model(inputs, training=False))[0]
        expected.append(output + mag[whole].mean())
    np.testing.assert_allclose(found, np.concatenate(expected), **CLOSE)


def test_seed_may_be_negative(model, curves):
    first, second = (reconstruct(model, curves[:3], seed=seed) for seed in (-1, -2))
    assert (first.reconstruction != second.reconstruction).any()


def test_seed_must_be_an_integer(model, curves):
    with pytest.raises(ConfigError, match=r"`seed` must be an integer.*seed=1\.5"):
        reconstruct(model, curves, seed=1.5)


def test_seed_deals_the_folds(model, curves):
    first = reconstruct(model, curves, seed=1).reconstruction
    again = reconstruct(model, curves, seed=1).reconstruction
    other = reconstruct(model, curves, seed=2).reconstruction
    np.testing.assert_array_equal(first, again)
    assert (np.abs(first - other) > 1e-3).sum() > len(first) // 4


def test_observations_come_as_given(model, curves, records):
    for source in (curves, records):
        found = reconstruct(model, source)
        for name in ("time", "mag", "mag_err"):
            whole = np.concatenate([getattr(curve, name) for curve in curves])
            np.testing.assert_array_equal(getattr(found, name), whole)
        owner = np.repeat(np.arange(len(curves)), [len(curve) for curve in curves])
        names = [curves[number].object_id for number in owner]
        assert found.object_id.tolist() == names
        assert found.passband.tolist() == [curves[n].passband for n in owner]
        assert found.reconstruction.dtype == np.float32


def test_magnitudes_are_in_their_own_units(flat_model, curves):
    found = reconstruct(flat_model, curves, num_folds=0)
    for curve in curves:
        own = found.reconstruction[found.object_id == curve.object_id]
        expected = [
            curve.mag[start : start + W].astype(np.float64).mean() + 0.25
            for start in range(0, len(curve), W)
            for _ in curve.mag[start : start + W]
        ]
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_does_not_change_reconstructions(model, curves, batch_size):
    expected = reconstruct(model, curves).reconstruction
    found = reconstruct(model, curves, batch_size=batch_size).reconstruction
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_padding_that_has_weight_is_that_of_a_full_window():
    model = make_model(attention_mask="released_astromer1", window_size=60)
    short, long = make_curve(7), make_curve(60, seed=1)
    together = reconstruct(model, [short, long], num_folds=0).reconstruction
    alone = reconstruct(model, short, num_folds=0).reconstruction
    mean = short.mag.mean(dtype=np.float64)
    padding = (0, 60 - len(short))
    inputs = {
        "time": np.pad(short.time - short.time.mean(), padding),
        "mag": np.pad(short.mag - mean, padding),
        "valid": np.pad(np.ones(len(short), bool), padding),
        "hidden": np.zeros(60, bool),
    }
    by_hand = np.asarray(model({name: v[None] for name, v in inputs.items()}))[0]
    for found in (alone, together[: len(short)]):
        np.testing.assert_allclose(found, by_hand[: len(short)] + mean, **CLOSE)


def test_chunks_do_not_change_reconstructions(model, curves, monkeypatch):
    expected = reconstruct(model, curves)
    monkeypatch.setattr(inference.reconstruction, "OBSERVATIONS_PER_CHUNK", 20)
    calls = []
    found = reconstruct(model, curves, progress=lambda *state: calls.append(state))
    np.testing.assert_allclose(found.reconstruction, expected.reconstruction, **CLOSE)
    np.testing.assert_array_equal(found.mag, expected.mag)
    assert len(calls) > 2
    assert calls[-1] == ("reconstruct", 10, 10, "light curves")


def test_passband_is_selected(model, curves):
    found = reconstruct(model, curves, passband="B")
    assert set(found.passband) == {"B"}
    assert len(found) == sum(len(curve) for curve in curves[1::2])


def test_model_is_traced_once_for_all_shapes(own_model, curves, monkeypatch):
    reshape = own_model.get_layer("reconstruction")
    calls = []
    original = type(reshape).call

    def counted(self, inputs):
        calls.append(inputs.shape)
        return original(self, inputs)

    monkeypatch.setattr(keras.layers.Reshape, "call", counted)
    reconstruct(own_model, curves, batch_size=4)
    traces = len(calls)
    assert traces > 0
    reconstruct(own_model, curves[::-1], batch_size=5, num_folds=3)
    assert len(calls) == traces


def by_hand():
    return Reconstructions(
        object_id=np.array(["a", "a", "b"]),
        passband=np.array(["R", "R", "B"]),
        time=np.array([50_000.1, 50_001.2, 50_000.3]),
        mag=np.array([15.0, 16.0, 17.0], np.float32),
        mag_err=np.array([0.1, 0.2, 0.3], np.float32),
        reconstruction=np.array([15.5, 16.0, 16.0], np.float32),
    )


def test_rmse_is_the_root_of_the_mean_square():
    # Residuals 0.5, 0 and 1.
    assert by_hand().rmse == pytest.approx(np.sqrt(1.25 / 3))


def test_pandas_frame_has_a_row_per_observation():
    frame = by_hand().to_pandas()
    assert frame["object_id"].tolist() == ["a", "a", "b"]
    assert frame["reconstruction"].tolist() == [15.5, 16.0, 16.0]
    assert len(by_hand()) == len(frame) == 3


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_written_reconstructions_are_read_back(model, curves, tmp_path, suffix):
    found = reconstruct(model, curves)
    path = found.write(tmp_path / f"reconstructions{suffix}")
    if suffix == ".npz":
        columns = dict(np.load(path))
    else:
        read = pl.read_parquet if suffix == ".parquet" else pl.read_csv
        frame = read(path)
        columns = {name: frame[name].to_numpy() for name in frame.columns}
    assert list(columns) == list(found.to_pandas().columns)
    for name, values in columns.items():
        expected = getattr(found, name)
        np.testing.assert_array_equal(values.astype(expected.dtype), expected)


def test_wrong_suffix_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.parquet.*Received: path=.*\.fits"):
        by_hand().write(tmp_path / "reconstructions.fits")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_folds": 1}, "at least 2.*Received: num_folds=1"),
        ({"num_folds": -2}, "Received: num_folds=-2"),
        ({"num_folds": 2.5}, "integer.*Received: num_folds=2.5"),
        ({"batch_size": 2.5}, "batch_size.*integer.*batch_size=2.5"),
        ({"batch_size": 0}, "batch_size.*positive.*batch_size=0"),
        ({"passband": "V"}, 'no light curves.*passband="V"'),
    ],
)
def test_option_that_cannot_work_is_refused(model, curves, options, message):
    with pytest.raises(ConfigError, match=message):
        reconstruct(model, curves, **options)
