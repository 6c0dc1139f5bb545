import numpy as np
import pytest

from astromer.pipeline.options import WEIGHT_FLOOR

W = 8


def weigh(engine, errors, policy, size=None):
    errors = np.atleast_2d(np.asarray(errors, dtype=np.float32))
    size = errors.shape[1] if size is None else size
    valid = np.broadcast_to(np.arange(errors.shape[1]) < size, errors.shape)
    weight = np.asarray(engine.weigh(errors, valid, policy))
    assert weight.dtype == np.float32
    return weight


def test_weights_are_one_when_off(engine, rng):
    found = weigh(engine, rng.uniform(0.01, 0.1, (3, W)), "off", size=5)
    np.testing.assert_array_equal(found, np.tile(np.arange(W) < 5, (3, 1)))


def test_released_weights_are_scaled_reciprocals(engine, rng):
    errors = rng.uniform(0.01, 0.1, (4, W))
    reciprocal = 1 / errors
    low = reciprocal.min(axis=1, keepdims=True)
    high = reciprocal.max(axis=1, keepdims=True)
    expected = (reciprocal - low) / (high - low) + 0.001
    np.testing.assert_allclose(weigh(engine, errors, "released"), expected, rtol=1e-4)


def test_released_weights_by_hand(engine):
    # Reciprocals 20, 10 and 5 lie at one, a third and none of their range.
    found = weigh(engine, [0.05, 0.1, 0.2], "released")
    np.testing.assert_allclose(found, [[1.001, 1 / 3 + 0.001, 0.001]], rtol=1e-5)


def test_paper_weights_are_reciprocals_of_scaled_errors(engine, rng):
    errors = rng.uniform(0.01, 0.1, (4, W))
    low, high = errors.min(axis=1, keepdims=True), errors.max(axis=1, keepdims=True)
    expected = 1 / np.maximum((errors - low) / (high - low), 0.001)
    np.testing.assert_allclose(weigh(engine, errors, "paper"), expected, rtol=1e-4)


def test_paper_weights_by_hand(engine):
    found = weigh(engine, [0.1, 0.3, 0.2], "paper")
    np.testing.assert_allclose(found, [[1 / WEIGHT_FLOOR, 1.0, 2.0]], rtol=1e-5)


@pytest.mark.parametrize("policy", ["released", "paper"])
@pytest.mark.parametrize("size", [1, 3, W - 1])
def test_padding_has_no_part_in_weights(engine, rng, policy, size):
    errors = rng.uniform(0.01, 0.1, (1, W))
    whole = weigh(engine, errors, policy, size)
    np.testing.assert_allclose(
        whole[:, :size], weigh(engine, errors[:, :size], policy), rtol=1e-6
    )
    assert not whole[:, size:].any()


@pytest.mark.parametrize("policy", ["off", "released", "paper"])
@pytest.mark.parametrize(
    "errors",
    [[0.05], [0.05] * W, [0.0] * W, [0.0, 0.1], [1e-30, 1.0], [0.0, 3e38]],
    ids=["one", "equal", "zero", "one zero", "tiny", "huge"],
)
def test_weights_are_finite_and_positive_for_errors(engine, policy, errors):
    found = weigh(engine, errors, policy)
    assert np.isfinite(found).all()
    assert (found > 0).all()


@pytest.mark.parametrize("policy", ["released", "paper"])
def test_equal_errors_weigh_the_same(engine, policy):
    found = weigh(engine, [0.05] * W, policy)
    assert (found == found[0, 0]).all()


@pytest.mark.parametrize("policy", ["off", "released", "paper"])
def test_window_of_padding_weighs_nothing(engine, policy):
    np.testing.assert_array_equal(
        weigh(engine, [0.0] * W, policy, size=0), np.zeros((1, W))
    )


def test_released_weights_agree_with_the_reference_where_observed(engine, shared):
    reference = np.load(shared / "reference" / "error_weights.npz")
    errors, expected = reference["padded_errors"], reference["w_error"]
    observed = len(reference["errors"])
    found = weigh(engine, errors, "released", observed)[0]
    np.testing.assert_allclose(found[:observed], expected[:observed], atol=1e-6)
    # The reference takes padding for observations with the window's mean error, and
    # weighs them: harmless here, as a mean lies between smallest and largest.
    mean_error = reference["errors"].mean()
    low, high = 1 / reference["errors"].max(), 1 / reference["errors"].min()
    of_padding = (1 / mean_error - low) / (high - low) + WEIGHT_FLOOR
    np.testing.assert_allclose(expected[observed:], of_padding, atol=1e-5)
    assert not found[observed:].any()


def test_released_weights_agree_with_the_reference_batch(engine, shared):
    reference = np.load(shared / "reference" / "masked_batch.npz")
    for row, number in enumerate(reference["lcid"].astype(int)):
        errors = reference[f"curve_{number}"][:, 2]
        expected = reference["y_w_error"][row, : len(errors), 0]
        found = weigh(engine, errors, "released")[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
