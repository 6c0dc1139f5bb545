"""Losses of Keras on two replicas: what Keras makes of the parts is not the whole."""

import numpy as np
import pytest

from tests.scripts import results_of


@pytest.fixture(scope="module")
def results():
    """What `plain_losses.py` prints, by loss and number of replicas."""
    return results_of("tests.models.plain_losses")


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "loss", ["mse", "sum", "weighted mean", "own", "crossentropy", "own classes"]
)
def test_batches_that_do_not_split_evenly_train_as_on_one_device(results, loss):
    one, two = results[loss]["one"], results[loss]["two"]
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=0, atol=1e-6)
    assert one["moved"] > 1e-2
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_mean_over_part_of_a_batch_is_refused(results):
    assert "a number for each window. Received: one for all" in results["refused"]
