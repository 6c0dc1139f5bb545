"""What the authors' pipeline makes of raw curves, and what ours makes of them.

The released policies are asked for where ours differ. Their times are float32, good to
1/256 d near MJD 50,000, and so is the sum that gives their mean, 1e7 for a window of
200, which is good to half a day over 200; ours are exact.
"""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from astromer import load_dataset
from astromer.lightcurve import LightCurve
from astromer.pipeline import MaskingConfig, tile_windows
from astromer.pipeline.masking import apply_masks, select_masks
from astromer.pipeline.weights import weigh_errors
from astromer.pipeline.windows import sample_starts, tile_starts
from astromer.records import ConvertOptions

W = 200
TIME_ATOL = 1 / 256
MEAN_TIME_ATOL = 0.02
MAG_ATOL = 1e-5


@functools.cache
def reference(shared, name):
    with np.load(shared / "reference" / f"{name}.npz") as stored:
        return dict(stored)


def statistics(shared):
    path = shared / "reference" / "pipeline_stats.json"
    return json.loads(path.read_text(encoding="utf-8"))


def curves_of(stored, rows=range(8)):
    return [LightCurve.from_array(stored[f"curve_{row}"]) for row in rows]


# --- Preprocessed inputs from raw curves

MODELS = ["astromer1_macho", "astromer2_random"]


@pytest.mark.parametrize("name", MODELS)
def test_inputs_from_raw_curves_are_those_of_the_authors(shared, name):
    stored = reference(shared, name)
    windows = tile_windows(curves_of(stored), W)
    np.testing.assert_array_equal(windows.size, stored["lengths"])
    np.testing.assert_array_equal(windows.valid, stored["mask_in"][..., 0] == 0)
    np.testing.assert_array_equal(windows.valid, stored["mask_out"][..., 0] == 1)
    close = functools.partial(np.testing.assert_allclose, rtol=0)
    for row, valid in enumerate(windows.valid):
        difference = windows.time[row, valid] - stored["times"][row, valid, 0]
        close(difference.mean(), 0, atol=MEAN_TIME_ATOL)
        close(difference - difference.mean(), 0, atol=TIME_ATOL)
    assert not stored["times"][~windows.valid].any()
    for magnitudes in ("input", "target"):
        close(windows.mag, stored[magnitudes][..., 0], atol=MAG_ATOL)
    if "mean_values" in stored:
        close(windows.mean_time, stored["mean_values"][:, 0], atol=MEAN_TIME_ATOL)
        close(windows.mean_mag, stored["mean_values"][:, 1], atol=MAG_ATOL)


def test_released_error_weights_need_the_padding_that_ours_leave_out(shared):
    stored = reference(shared, "astromer2_random")
    valid = tile_windows(curves_of(stored), W).valid
    errors = stored["errors_unstandardized"][..., 0]
    for row, length in enumerate(stored["lengths"]):
        given = stored[f"curve_{row}"][:, 2]
        np.testing.assert_allclose(errors[row, :length], given, rtol=0, atol=1e-6)
        # What stands in the place of padding is the mean error of the window.
        np.testing.assert_allclose(errors[row, length:], given.mean(), atol=1e-6)
    expected = stored["w_error"][..., 0]
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=2e-5)
    as_released = weigh_errors(errors, np.ones_like(valid), "released").numpy()
    close(as_released, expected)
    ours = weigh_errors(errors, valid, "released").numpy()
    close(ours[valid], expected[valid])
    assert not ours[~valid].any()
    assert (expected[~valid] > 0.05).all()


def test_error_weights_of_60_observations_are_those_measured(shared):
    measured = statistics(shared)["w_error_60"]
    errors = reference(shared, "error_weights")["errors"][None]
    ours = weigh_errors(errors, np.ones(errors.shape, bool), "released").numpy()
    assert ours.min() == pytest.approx(measured["real_min"], abs=1e-6)
    assert ours.max() == pytest.approx(measured["real_max"], abs=1e-6)
    assert errors.mean() == pytest.approx(measured["mean_error"], abs=1e-6)


# --- Windows


def test_released_windows_have_the_starts_and_sizes_of_the_authors(shared):
    smallest = ConvertOptions().min_observations
    for length, expected in statistics(shared)["windows"].items():
        size = int(length)
        assert expected["kept_by_filter"] == (size >= smallest)
        _, start = tile_starts(tf.constant([size], tf.int64), W, "released")
        assert start.numpy().tolist() == expected["starts"]
        assert len(start) == expected["count"]
        assert [min(size - s, W) for s in start.numpy()] == expected["sizes"]


def ramp(length):
    """The curve of the measured means: a day and a millimagnitude per observation."""
    steps = np.arange(length)
    return LightCurve(48_800.0 + steps, -6.0 + steps / 1000, np.full(length, 0.03))


@pytest.mark.parametrize("key", ["standardize", "standardize_400"])
def test_means_are_of_the_window_as_measured(shared, key):
    measured = statistics(shared)[key]
    means = measured if key == "standardize_400" else [measured["mean_values"]]
    curve = ramp(400 if key == "standardize_400" else 137)
    dataset = load_dataset([curve], task="embed", tiling="released", batch_size=8)
    (inputs, origin), *others = dataset.as_numpy_iterator()
    assert not others
    assert len(means) == len(inputs["mag"])
    for row, (mean_time, mean_mag, _) in enumerate(means):
        # What is added back is the mean that was subtracted.
        start, valid = origin["window_start"][row], inputs["valid"][row]
        stop = start + valid.sum()
        time = curve.time[start:stop] - inputs["time"][row][valid]
        mag = curve.mag[start:stop] - inputs["mag"][row][valid]
        np.testing.assert_allclose(time, mean_time, rtol=0, atol=TIME_ATOL)
        np.testing.assert_allclose(mag, mean_mag, rtol=0, atol=MAG_ATOL)
        assert abs(inputs["mag"][row].mean()) < 1e-6


def test_random_windows_start_where_those_of_the_authors_do(shared):
    measured = statistics(shared)["sampling_1000"]
    length = tf.fill([20_000], tf.constant(1000, tf.int64))
    start = sample_starts(length, W, [3, 4]).numpy()
    assert (start.min(), start.max()) == (measured["min"], measured["max"])
    # Uniform on 0 ... 800: means of so many are good to 1.6, and theirs to 5.2.
    for mean, number in ((start.mean(), 20_000), (measured["mean"], measured["n"])):
        assert abs(mean - 400) < 4 * np.sqrt((801**2 - 1) / 12 / number)
    start = sample_starts(tf.fill([100], tf.constant(201, tf.int64)), W, [3, 4])
    assert sorted(set(start.numpy())) == statistics(shared)["sampling_201_starts"]


# --- Masks


def masked(sizes, masking, rng):
    """Return magnitudes, none of them equal, and what masks make of them."""
    size = tf.constant(sizes, tf.int64)
    valid = np.arange(W) < np.array(sizes)[:, None]
    mag = np.where(valid, rng.normal(0, 0.3, valid.shape), 0.0).astype(np.float32)
    time = tf.zeros(valid.shape)
    masks = select_masks(time, size, masking, tf.constant([5, 6], tf.int64))
    shown = apply_masks(tf.constant(mag), masks, size, tf.constant([7, 8], tf.int64))
    return mag, shown.numpy(), valid, *(part.numpy() for part in masks)


def test_released_masks_change_as_many_values_as_those_of_the_authors(shared, rng):
    cases = [c for c in statistics(shared)["masking"] if c["probed_frac"] < 1]
    assert len(cases) >= 9
    for case in cases:
        masking = MaskingConfig(
            policy="released",
            probed_fraction=case["probed_frac"],
            visible_fraction=case["same"],
            random_fraction=case["rs"],
        )
        sizes = [case["n"]] * case["windows"]
        mag, shown, valid, probed, hidden, _ = masked(sizes, masking, rng)
        changed = (shown != mag).sum(axis=1)
        assert set(probed.sum(axis=1)) == set(case["probed"])
        assert set(hidden.sum(axis=1)) == set(case["hidden_from_attention"])
        shows = (probed & ~hidden).sum(axis=1)
        assert set(shows) == set(case["probed_but_visible"])
        # Theirs may draw an observation's own value, ours never does: always the most.
        least, most, mean = case["probed_visible_value_changed"]
        assert set(changed) == {most}
        assert least <= mean <= most
        counts = {
            "unprobed_changed": (shown != mag) & ~probed,
            "hidden_value_changed": (shown != mag) & hidden,
            "pad_mask_out_sum": probed & ~valid,
            "pad_modified_abs": np.abs(shown - mag) * ~valid,
        }
        for name, found in counts.items():
            assert found.sum() == case[name] == 0, name
        # In the authors' mask padding counts as hidden; ours keeps the two apart.
        assert set((~valid).sum(axis=1)) == set(case["pad_mask_in_ones"])


def test_where_everything_is_probed_the_authors_hide_nothing_and_ours_does(shared, rng):
    cases = [c for c in statistics(shared)["masking"] if c["probed_frac"] == 1]
    assert cases
    for case in cases:
        assert case["hidden_from_attention"] == [0, 0]
        masking = MaskingConfig(
            policy="released", probed_fraction=1.0, visible_fraction=0,
            random_fraction=0,
        )  # fmt: skip
        *_, hidden, _ = masked([case["n"]], masking, rng)
        assert hidden.sum() == case["n"]


def test_a_batch_of_the_authors_obeys_our_counts(shared, rng):
    stored = reference(shared, "masked_batch")
    owner = stored["lcid"].astype(int)
    sizes = stored["mask"].sum(axis=1).astype(int)
    measured = statistics(shared)["masked_batch_shapes"]
    assert list(stored["x_input"].shape) == measured["input"] == [8, W, 1]
    # Two of the curves have 200 observations and so, as released, two windows.
    assert np.bincount(owner).tolist() == [2, 1, 1, 1, 1, 2]
    *_, valid, probed, hidden, random = masked(sizes, MaskingConfig.released(), rng)
    assert np.array_equal(valid, stored["mask"] == 1)
    their_probed = stored["y_mask_out"][..., 0] == 1
    their_hidden = (stored["x_mask_in"][..., 0] == 1) & valid
    np.testing.assert_array_equal(their_probed.sum(axis=1), probed.sum(axis=1))
    np.testing.assert_array_equal(their_hidden.sum(axis=1), hidden.sum(axis=1))
    assert not (their_hidden & ~their_probed).any()
    target, shown = stored["y_target"][..., 0], stored["x_input"][..., 0]
    changed = shown != target
    assert (changed.sum(axis=1) <= random.sum(axis=1)).all()
    assert not (changed & (~their_probed | their_hidden)).any()
    for row in range(len(sizes)):
        assert set(shown[row][changed[row]]) <= set(target[row][valid[row]])


@pytest.mark.parametrize("name", MODELS)
def test_probed_windows_of_the_models_obey_our_counts(shared, rng, name):
    stored = reference(shared, name)
    sizes = stored["lengths"]
    *_, valid, probed, hidden, random = masked(sizes, MaskingConfig.released(), rng)
    theirs = stored["probed_mask_out"][..., 0] == 1
    np.testing.assert_array_equal(theirs.sum(axis=1), probed.sum(axis=1))
    mask = stored["probed_mask_in"][..., 0] == 1
    np.testing.assert_array_equal((mask & valid).sum(axis=1), hidden.sum(axis=1))
    np.testing.assert_array_equal(mask & ~valid, ~valid)
    if "probed_same" in stored:
        same, other = (
            stored[f"probed_{kind}"][..., 0] == 1 for kind in ("same", "random")
        )
        np.testing.assert_array_equal(other.sum(axis=1), random.sum(axis=1))
        visible = probed & ~hidden & ~random
        np.testing.assert_array_equal(same.sum(axis=1), visible.sum(axis=1))
        changed = stored["probed_input"] != stored["input"]
        assert not (changed[..., 0] & ~other).any()
