import keras
import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.training import ReconstructionLoss

# Three windows of four observations; residuals 1, 2, 3, 4 and so on.
RESIDUAL = np.array([[1, 2, 3, 4], [2, 0, 0, 5], [7, 7, 7, 7]], dtype="float32")
PROBED = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype="float32")
WEIGHT = np.array([[0.5, 0.25, 9, 9], [2, 9, 9, 9], [9, 9, 9, 9]], dtype="float32")


def loss_of(form, residual, weight, mag=0.499):
    y_true = np.full_like(residual, mag)[..., None]
    value = ReconstructionLoss(form)(y_true, y_true - residual[..., None], weight)
    assert value.shape == ()
    return float(value)


@pytest.mark.parametrize(
    ("form", "weight", "expected"),
    [
        # Windows: (1 + 4) / 2, 4 / 1 and nothing, over three windows.
        pytest.param("released", PROBED, (6.5 / 3) ** 0.5, id="released"),
        # Windows: 1.5 / 2, 8 / 1 and nothing.
        pytest.param(
            "released", PROBED * WEIGHT, (8.75 / 3) ** 0.5, id="released weighted"
        ),
        # Eq. 4: 1 + 4 + 4 over 3 - 1.
        pytest.param("paper", PROBED, (9 / 2) ** 0.5, id="paper"),
        # Eq. 5: 0.5 + 1 + 8 over 3 - 1.
        pytest.param("paper", PROBED * WEIGHT, (9.5 / 2) ** 0.5, id="paper weighted"),
        # In halves of a magnitude: 2 and 4, 4, nothing, each less a half.
        pytest.param("scaled", PROBED, (2.5 + 3.5) / 3, id="scaled"),
        # 1.5 and 3.5, 3.5, each times its weight.
        pytest.param(
            "scaled",
            PROBED * WEIGHT,
            ((0.75 + 0.875) / 2 + 7.0) / 3,
            id="scaled weighted",
        ),
    ],
)
def test_loss_equals_worked_example(form, weight, expected):
    assert loss_of(form, RESIDUAL, weight) == pytest.approx(expected, rel=1e-6)


def test_released_form_is_the_default():
    assert ReconstructionLoss().form == "released"


def test_loss_takes_every_observation_without_sample_weight():
    expected = np.sqrt(np.mean(RESIDUAL**2))
    assert loss_of("released", RESIDUAL, None) == pytest.approx(expected, rel=1e-6)


def test_paper_form_of_one_window_does_not_divide_by_zero():
    assert loss_of("paper", RESIDUAL[:1], PROBED[:1]) == pytest.approx(5**0.5)


def test_scaled_form_is_hubers_in_units_of_scatter():
    y_true = np.array([[-1.0, 1.0, 50.0], [-100.0, 100.0, -3.0]], dtype="float32")[
        ..., None
    ]
    probed = np.array([[1, 1, 0], [1, 1, 0]], dtype="float32")
    residual = np.array([[0.5, 3.0, 9.0], [50.0, 300.0, 9.0]], dtype="float32")
    value = ReconstructionLoss("scaled")(y_true, y_true - residual[..., None], probed)
    # Scatter 1 and 100: two windows that differ in amplitude alone, 0.5 and 3 of it.
    assert float(value) == pytest.approx((0.5**2 / 2 + 2.5) / 2, rel=2e-3)


def test_few_observations_of_equal_magnitude_do_not_lead_the_scaled_form():
    y_true = np.array([[0.3, 0.3, -0.6], [0.5, -0.4, -0.1]], dtype="float32")
    probed = np.array([[1, 1, 0], [1, 1, 1]], dtype="float32")
    value = ReconstructionLoss("scaled")(y_true[..., None], np.zeros((2, 3, 1)), probed)
    # Who predicts the window's mean is wrong by the scatter, in every window.
    assert float(value) == pytest.approx(0.5, abs=0.06)


def test_scaled_form_ignores_scale():
    y_true = np.array([[0.1, 0.4, 0.9, 0.2]], dtype="float32")[..., None]
    values = [
        float(ReconstructionLoss("scaled")(k * y_true, np.zeros_like(y_true), None))
        for k in (1.0, 10.0)
    ]
    assert values[1] == pytest.approx(values[0], rel=1e-2)


@pytest.mark.parametrize("form", ["released", "paper", "scaled"])
def test_loss_ignores_what_is_not_probed(form):
    residual = np.where(PROBED > 0, RESIDUAL, np.nan)
    y_pred = tf.constant(residual[..., None])
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = ReconstructionLoss(form)(np.zeros((3, 4, 1), "float32"), y_pred, PROBED)
    assert float(value) == loss_of(form, RESIDUAL, PROBED, mag=0.0)
    gradient = tape.gradient(value, y_pred).numpy()[..., 0]
    assert (gradient[PROBED == 0] == 0.0).all()
    assert (gradient[PROBED > 0] > 0.0).all()


@pytest.mark.parametrize("form", ["released", "paper", "scaled"])
@pytest.mark.parametrize("weight", [PROBED, np.zeros_like(PROBED)])
def test_perfect_batch_gives_finite_gradient(form, weight):
    y_pred = tf.zeros((3, 4, 1))
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = ReconstructionLoss(form)(np.zeros((3, 4, 1), "float32"), y_pred, weight)
    assert float(value) < 1e-6
    assert (tape.gradient(value, y_pred).numpy() == 0.0).all()


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("rmse", lambda stored: stored["mask"]),
        ("rmse_weighted", lambda stored: stored["mask"] * stored["w_error"]),
        ("rmse_nomask", lambda stored: np.ones_like(stored["mask"])),
    ],
)
def test_released_form_gives_the_authors_value(shared, name, weight):
    with np.load(shared / "reference" / "losses.npz") as stored:
        found = ReconstructionLoss("released")(
            stored["y_true"], stored["y_pred"], weight(stored)[..., 0]
        )
        assert float(found) == pytest.approx(float(stored[name]), rel=1e-6)


def test_released_form_of_single_windows_gives_the_authors_values(shared):
    with np.load(shared / "reference" / "losses.npz") as stored:
        y_true, y_pred = stored["y_true"], stored["y_pred"]
        probed = stored["mask"][..., 0]
        loss = ReconstructionLoss("released")
        rows = [slice(row, row + 1) for row in range(len(probed))]
        found = [float(loss(y_true[i], y_pred[i], probed[i])) for i in rows]
        # One of the windows has nothing probed.
        assert (probed.sum(axis=1) == 0).sum() == 1
        expected = stored["rmse_per_window"]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        assert np.mean(np.square(found)) == pytest.approx(float(stored["mse"]))


def test_loss_is_float32_for_predictions_in_bfloat16():
    y_pred = tf.cast(RESIDUAL[..., None], "bfloat16")
    value = ReconstructionLoss()(tf.zeros_like(y_pred), y_pred, PROBED)
    assert value.dtype == "float32"
    assert float(value) == pytest.approx((6.5 / 3) ** 0.5)


def test_loss_returns_from_its_config():
    loss = ReconstructionLoss("paper", name="eq4")
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    assert (type(again), again.form, again.name) == (ReconstructionLoss, "paper", "eq4")


def test_loss_raises_for_unknown_form():
    with pytest.raises(ConfigError, match=r'form="papers"\. Did you mean "paper"'):
        ReconstructionLoss("papers")
