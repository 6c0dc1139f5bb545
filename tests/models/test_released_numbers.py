"""The authors' models, weights and outputs, repeated by ours: see `released.py`."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from astromer.models import EncoderConfig, Reconstructor, layers, reconstructor
from astromer.training import ReconstructionLoss
from tests.models.released import set_weights, variable_of

ASTROMER1 = EncoderConfig.from_name(
    "astromer1", hidden_magnitude="leak", attention_mask="released_astromer1"
)
ASTROMER2 = EncoderConfig.from_name("astromer2")
AS_BUILT = EncoderConfig.from_name("astromer2", hidden_magnitude="leak")

RECONSTRUCTION_ATOL = 2e-4
BLOCK_ATOL = 1e-3

FILES = {2: "astromer1_macho", 6: "astromer2_random"}


@functools.cache
def arrays(path):
    with np.load(path) as stored:
        return dict(stored)


def reference_of(shared, config):
    return arrays(shared / "reference" / f"{FILES[config.num_layers]}.npz")


def build(shared, config):
    model = Reconstructor(config)
    name = f"{FILES[config.num_layers]}_weights.npz"
    set_weights(model, arrays(shared / "reference" / name))
    return model


@functools.cache
def model_of(shared, config):
    return build(shared, config)


def inputs_of(reference, prefix=""):
    mask = reference[f"{prefix}mask_in"][..., 0]
    valid = np.arange(mask.shape[1]) < reference["lengths"][:, None]
    return {
        "time": reference["times"][..., 0],
        "mag": reference[f"{prefix}input"][..., 0],
        "valid": valid,
        "hidden": (mask > 0) & valid,
    }


@functools.cache
def outputs_of(shared, config, prefix=""):
    """Compute all layers' outputs, first block's attention and reconstruction."""
    model = model_of(shared, config)
    encoder = model.encoder
    inputs = inputs_of(reference_of(shared, config), prefix)
    network = keras.Model(encoder.input, list(encoder.layer_sequences))
    embedding, *blocks = network(inputs)
    bias = encoder.get_layer("attention_bias")(inputs["valid"], inputs["hidden"])
    _, weights = encoder.blocks[0](embedding, bias, return_weights=True)
    outputs = {f"block_{index}": block for index, block in enumerate(blocks)}
    outputs |= {"input_embedding": embedding, "attention": weights}
    outputs["reconstruction"] = model(inputs)
    return {name: np.asarray(values) for name, values in outputs.items()}


@pytest.mark.parametrize(
    ("config", "prefix", "result", "names"),
    [
        pytest.param(
            ASTROMER2,
            "",
            "",
            ["input_embedding", *(f"block_{index}" for index in range(6))],
            id="astromer2",
        ),
        pytest.param(
            ASTROMER2,
            "probed_",
            "probed_token_",
            ["block_0", "block_5"],
            id="astromer2 with token",
        ),
        pytest.param(
            AS_BUILT,
            "probed_",
            "probed_asbuilt_",
            ["block_0", "block_5"],
            id="astromer2 as built",
        ),
        pytest.param(
            ASTROMER1,
            "",
            "",
            ["input_embedding", "block_0", "block_1"],
            id="astromer1",
        ),
        pytest.param(
            ASTROMER1,
            "probed_",
            "probed_",
            ["block_0", "block_1"],
            id="astromer1 probed",
        ),
    ],
)
def test_outputs_are_those_of_the_authors(shared, config, prefix, result, names):
    reference = reference_of(shared, config)
    outputs = outputs_of(shared, config, prefix)
    valid = inputs_of(reference)["valid"]
    for name in names:
        np.testing.assert_allclose(
            outputs[name][valid],
            reference[result + name][valid],
            atol=BLOCK_ATOL,
            err_msg=name,
        )
    np.testing.assert_allclose(
        outputs["reconstruction"][valid],
        reference[f"{result}reconstruction"][..., 0][valid],
        atol=RECONSTRUCTION_ATOL,
    )


@pytest.mark.parametrize(
    ("config", "prefix", "result", "curve"),
    [
        (ASTROMER2, "", "", 0),
        (ASTROMER2, "", "", 2),
        (ASTROMER2, "probed_", "probed_token_", 0),
        (AS_BUILT, "probed_", "probed_asbuilt_", 0),
        (ASTROMER1, "", "", 0),
        (ASTROMER1, "", "", 2),
        (ASTROMER1, "probed_", "probed_", 0),
    ],
)
def test_attention_weights_are_those_of_the_authors(
    shared, config, prefix, result, curve
):
    reference = reference_of(shared, config)
    length = reference["lengths"][curve]
    weights = outputs_of(shared, config, prefix)["attention"][curve]
    np.testing.assert_allclose(
        weights[:, :length],
        reference[f"{result}attention_block0_curve{curve}"][:, :length],
        atol=2e-4,
    )


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


# --- What these tests would catch

PROBED = {"a1": (ASTROMER1, "probed_"), "a2": (AS_BUILT, "probed_asbuilt_")}


def moved(shared, key, model, **changes):
    """Return how far the probed windows' reconstruction is from the authors'."""
    config, result = PROBED[key]
    reference = reference_of(shared, config)
    inputs = inputs_of(reference, "probed_")
    outputs = np.asarray(model({**inputs, **changes}))
    expected = reference[f"{result}reconstruction"][..., 0]
    return np.abs(outputs - expected)[inputs["valid"]].max()


def assert_caught(shared, key, mistake, found):
    """A mistake moves outputs as far as it was measured to, and beyond tolerance."""
    path = shared / "reference" / "sensitivity.json"
    expected = json.loads(path.read_text())[key][mistake]
    assert found == pytest.approx(expected, rel=0.02)
    assert found > 5 * RECONSTRUCTION_ATOL


@pytest.mark.parametrize("key", PROBED)
@pytest.mark.parametrize(
    ("mistake", "options"),
    [
        ("pe base 1000", {"time_base": 1_000.0}),
        ("heads 8", {"num_heads": 8, "head_dim": 32}),
    ],
)
def test_wrong_option_is_caught(shared, key, mistake, options):
    config, _ = PROBED[key]
    model = build(shared, EncoderConfig.from_dict({**config.to_dict(), **options}))
    assert_caught(shared, key, mistake, moved(shared, key, model))


@pytest.mark.parametrize("key", PROBED)
def test_wrong_epsilon_of_layer_norm_is_caught(shared, key, monkeypatch):
    for module in (layers, reconstructor):
        monkeypatch.setattr(module, "LAYER_NORM_EPSILON", 1e-3)
    model = build(shared, PROBED[key][0])
    assert_caught(shared, key, "ln eps 1e-3", moved(shared, key, model))


def test_ignored_mask_is_caught(shared):
    model = model_of(shared, ASTROMER1)
    shape = inputs_of(reference_of(shared, ASTROMER1))["valid"].shape
    found = moved(
        shared, "a1", model, valid=np.ones(shape, bool), hidden=np.zeros(shape, bool)
    )
    assert_caught(shared, "a1", "mask ignored", found)


def test_attention_scale_of_the_paper_is_caught(shared):
    # sqrt(256) in the place of sqrt(64) halves the logits, and so do halved queries.
    model = build(shared, AS_BUILT)
    for block in model.encoder.blocks:
        for variable in block.attention.query.trainable_variables:
            variable.assign(variable * 0.5)
    assert_caught(shared, "a2", "scale sqrt(256)", moved(shared, "a2", model))
