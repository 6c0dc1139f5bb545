"""The authors' models, weights and outputs, repeated by ours: see `reference.py`."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from astromer.inference import embed
from astromer.lightcurve import LightCurve
from astromer.training import R2, ReconstructionLoss
from tests.models.reference import (
    AS_BUILT,
    ASTROMER1,
    ASTROMER2,
    BLOCK_ATOL,
    CASES,
    ENCODING_ATOL,
    RECONSTRUCTION_ATOL,
    arrays,
    build,
    compute,
    inputs_of,
    model_of,
    reference_of,
)
from tests.models.released import variable_of

TOLERANCES = {
    "positional_encoding": ENCODING_ATOL,
    "input_projection": 1e-6,
    "input_embedding": ENCODING_ATOL,
    "reconstruction": RECONSTRUCTION_ATOL,
}


@functools.cache
def outputs_of(shared, config, prefix=""):
    reference = reference_of(shared, config)
    return compute(model_of(shared, config), inputs_of(reference, prefix))


@pytest.mark.parametrize(("config", "prefix", "result"), CASES.values(), ids=CASES)
def test_every_part_gives_what_the_authors_give(shared, config, prefix, result):
    reference = reference_of(shared, config)
    outputs = outputs_of(shared, config, prefix)
    valid = inputs_of(reference)["valid"]
    compared = set()
    for name, values in outputs.items():
        expected = reference.get(f"{result}{name}")
        if expected is not None:
            atol = TOLERANCES.get(name, BLOCK_ATOL)
            np.testing.assert_allclose(
                values[valid], expected[valid], rtol=0, atol=atol, err_msg=name
            )
            compared.add(name)
    num_blocks = config.num_layers if not prefix else 2
    assert sum(name.startswith("block_") for name in compared) == num_blocks
    assert "reconstruction" in compared
    assert prefix or {"positional_encoding", "input_embedding"} <= compared


@pytest.mark.parametrize(("config", "prefix", "result"), CASES.values(), ids=CASES)
def test_attention_weights_are_those_of_the_authors(shared, config, prefix, result):
    reference = reference_of(shared, config)
    outputs = outputs_of(shared, config, prefix)
    compared = 0
    for name, expected in reference.items():
        if not name.startswith(f"{result}attention_"):
            continue
        block, _, curve = name.removeprefix(result).rpartition("_curve")
        length = reference["lengths"][int(curve)]
        np.testing.assert_allclose(
            outputs[block][int(curve)][:, :length],
            expected[:, :length],
            rtol=0,
            atol=2e-4,
            err_msg=name,
        )
        compared += 1
    # Two windows of the first block, of Astromer 1 one of the second, too.
    assert compared == (1 if prefix else 3 if config is ASTROMER1 else 2)


@pytest.mark.parametrize("config", [ASTROMER1, ASTROMER2], ids=["first", "second"])
def test_time_encoding_is_that_of_the_paper_in_double_precision(shared, config):
    # Ours from float64, theirs in float32: what remains is the rounding of times.
    reference = reference_of(shared, config)
    time = reference["times"].astype(np.float64)
    channel = np.arange(256)
    angle = time * 10_000.0 ** (-2 * channel / 256)
    expected = np.where(channel % 2, np.cos(angle), np.sin(angle))
    found = outputs_of(shared, config)["positional_encoding"]
    for values in (found, reference["positional_encoding"]):
        np.testing.assert_allclose(values, expected, rtol=0, atol=ENCODING_ATOL)


def test_token_takes_the_place_of_hidden_magnitudes(shared):
    reference = reference_of(shared, ASTROMER2)
    inputs = inputs_of(reference, "probed_")
    layer = model_of(shared, ASTROMER2).encoder.get_layer("visible_magnitude")
    found = layer(*(inputs[name] for name in ("mag", "valid", "hidden")))
    valid = inputs["valid"]
    expected = reference["probed_token_input"][valid]
    np.testing.assert_array_equal(np.asarray(found)[valid], expected)
    assert (expected[inputs["hidden"][valid]] == np.float32(0.3)).all()


# --- Embeddings as the authors' library gives them


def test_library_encodes_as_the_last_block(shared):
    reference = reference_of(shared, ASTROMER1)
    outputs = outputs_of(shared, ASTROMER1)["block_1"]
    assert not reference["encode_diff"].any()
    for row, length in enumerate(reference["lengths"]):
        expected = reference[f"library_encode_{row}"]
        np.testing.assert_allclose(
            outputs[row, :length], expected, rtol=0, atol=BLOCK_ATOL
        )


def test_embed_of_raw_curves_differs_by_the_float32_times_of_the_authors(shared):
    reference = reference_of(shared, ASTROMER1)
    curves = [
        LightCurve.from_array(reference[f"curve_{row}"], object_id=str(row))
        for row in range(8)
    ]
    found = embed(model_of(shared, ASTROMER1), curves, per="observation")
    expected = np.concatenate([reference[f"library_encode_{row}"] for row in range(8)])
    # Their times are good to 5.6 minutes, 0.004 rad in the fastest channels.
    difference = np.abs(found.embedding - expected)
    assert difference.max() < 0.1
    assert np.median(difference) < 2e-3
    whole = embed(model_of(shared, ASTROMER1), curves)
    means = [reference[f"library_encode_{row}"].mean(axis=0) for row in range(8)]
    np.testing.assert_allclose(whole.embedding, means, rtol=0, atol=2e-2)


# --- Scores of the probed windows


def probed_scores(shared, config, result):
    """Return loss, squared loss, weighted loss and R2 of the probed windows."""
    reference = reference_of(shared, config)
    probed = reference["probed_mask_out"][..., 0]
    target = reference["target"]
    output = outputs_of(shared, config, "probed_")["reconstruction"]
    loss = ReconstructionLoss("released")
    metric = R2("probed")
    metric.update_state(target[..., 0], output[..., 0], probed)
    rmse = float(loss(target, output, probed))
    scores = {"rmse": rmse, "mse": rmse**2, "r2": float(metric.result())}
    if "w_error" in reference:
        weight = reference["w_error"][..., 0]
        scores["rmse_weighted"] = float(loss(target, output, probed * weight))
    stored = {name: float(reference[f"{result}{name}"]) for name in scores
              if f"{result}{name}" in reference}  # fmt: skip
    return scores, stored


@pytest.mark.parametrize(
    ("config", "result", "names"),
    [
        (ASTROMER1, "probed_", {"rmse"}),
        (ASTROMER2, "probed_token_", {"rmse", "mse", "rmse_weighted", "r2"}),
        (AS_BUILT, "probed_asbuilt_", {"rmse", "mse", "rmse_weighted", "r2"}),
    ],
    ids=["astromer1", "astromer2 with token", "astromer2 as built"],
)
def test_scores_are_those_of_the_authors(shared, config, result, names):
    found, stored = probed_scores(shared, config, result)
    assert set(stored) == names
    for name, expected in stored.items():
        assert found[name] == pytest.approx(expected, rel=1e-4), name


def test_hidden_magnitudes_leak_as_far_as_they_do_from_the_authors_model(shared):
    reference = reference_of(shared, AS_BUILT)
    masked = reference["probed_mask_in"][..., 0] > 0
    inputs = inputs_of(reference, "probed_")
    # In the authors' mask padding is hidden, too, and its zeros leak as well.
    inputs |= {"valid": np.ones_like(masked), "hidden": masked}
    inputs = {name: tf.constant(values) for name, values in inputs.items()}
    for config, expected in (
        (AS_BUILT, float(reference["asbuilt_grad_masked_inputs_mean_abs"])),
        (ASTROMER2, 0.0),
    ):
        with tf.GradientTape() as tape:
            tape.watch(inputs["mag"])
            total = tf.reduce_sum(model_of(shared, config)(inputs) ** 2)
        gradient = tape.gradient(total, inputs["mag"]).numpy()
        assert np.abs(gradient[masked]).mean() == pytest.approx(expected, rel=1e-4)


# --- Gradients

# Of the weighted loss of the probed windows with token.


def gradient_step(shared, model):
    """Return the loss and, by variable, its gradient."""
    reference = reference_of(shared, ASTROMER2)
    probed, weight = reference["probed_mask_out"][..., 0], reference["w_error"][..., 0]
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        output = model(inputs_of(reference, "probed_"))[..., None]
        loss = ReconstructionLoss()(reference["target"], output, probed * weight)
    gradients = tape.gradient(loss, variables)
    return float(loss), {v.path: g for v, g in zip(variables, gradients, strict=True)}


def stored_gradients(shared):
    return arrays(shared / "reference" / "astromer2_random_grads.npz")


def test_gradients_are_those_of_the_authors(shared):
    model = model_of(shared, ASTROMER2)
    stored = stored_gradients(shared)
    loss, gradients = gradient_step(shared, model)
    assert loss == pytest.approx(float(stored["loss"]), abs=1e-6)
    norms = json.loads(str(stored["grad_norms"]))
    assert len(norms) == len(gradients) - 1  # the authors have no token to train
    for role, norm in norms.items():
        found = np.linalg.norm(gradients[variable_of(model, role).path])
        assert found == pytest.approx(norm, rel=1e-4, abs=1e-6), role
    for name, expected in stored.items():
        if name.startswith("grad/"):
            path = variable_of(model, name.removeprefix("grad/")).path
            found = np.reshape(gradients[path], expected.shape)
            atol = 1e-5 * np.abs(expected).max()
            np.testing.assert_allclose(found, expected, atol=atol, err_msg=name)


def test_adam_step_is_that_of_the_authors(shared):
    model = build(shared, ASTROMER2)
    _, gradients = gradient_step(shared, model)
    optimizer = keras.optimizers.Adam(1e-3, beta_1=0.9, beta_2=0.98, epsilon=1e-9)
    variables = model.trainable_variables
    optimizer.apply([gradients[v.path] for v in variables], variables)
    stored = stored_gradients(shared)
    steps = [name for name in stored if name.startswith("after_adam_step/")]
    assert len(steps) == 3
    for name in steps:
        role = name.removeprefix("after_adam_step/")
        found = np.reshape(variable_of(model, role), stored[name].shape)
        # Where a gradient is rounding alone, so is the direction of the step.
        clear = np.abs(stored[f"grad/{role}"]) > 1e-6
        assert clear.mean() > 0.95
        # The step is 1e-3 long.
        np.testing.assert_allclose(found[clear], stored[name][clear], atol=2e-5)
