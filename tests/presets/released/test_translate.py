"""Old tensors' names to roles, and roles to our variables."""

import json
import re

import numpy as np
import pytest

from astromer.errors import PresetError
from astromer.models import EncoderConfig, Reconstructor
from astromer.presets.released.translate import (
    Sizes,
    measure,
    roles_of_checkpoint,
    roles_of_keras2,
    shapes_of,
    variables_of,
)
from tests.models.windows import tiny_config
from tests.presets.released.layout import released_tensors

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
FILES = ["astromer1_macho_weights", "astromer2_random_weights"]


def with_values(tensors):
    return {f"{path}{VALUE}": values for path, values in tensors.items()}


@pytest.mark.parametrize("name", FILES)
def test_roles_are_those_of_the_reference(shared, name):
    stored = json.loads((shared / "reference" / f"{name}.json").read_text())["roles"]
    stored.pop("mask_token", None)
    for kind, read in (
        ("checkpoint_key", roles_of_checkpoint),
        ("upstream_variable", roles_of_keras2),
    ):
        names = {facts[kind]: role for role, facts in stored.items()}
        tensors = {key: np.empty(stored[role]["shape"]) for key, role in names.items()}
        roles = read(tensors)
        assert {roles.names[role]: role for role in roles.tensors} == names
        assert (roles.unknown, roles.training) == ((), ())


@pytest.mark.parametrize("prefix", ["", "model/", "layer-3/x/"])
def test_names_count_wherever_the_objects_hang(prefix):
    tensors = released_tensors(residuals=True)
    roles = roles_of_checkpoint(with_values(tensors))
    moved = {f"{prefix}{path}": values for path, values in tensors.items()}
    again = roles_of_checkpoint(with_values(moved))
    assert list(again.tensors) == list(roles.tensors)
    renamed = {
        path.replace("layer_with_weights-0/", "encoder/").replace(
            "ffn/encoder", "ffn/layer_with_weights-0"
        ): values
        for path, values in tensors.items()
    }
    assert set(roles_of_checkpoint(renamed).tensors) == set(roles.tensors)


def test_sizes_are_those_of_the_shapes():
    roles = roles_of_checkpoint(with_values(released_tensors(residuals=True)))
    assert measure(roles) == Sizes(2, 6, 6, 5, 6, True, False)
    tensors = released_tensors(residuals=False, num_layers=3)
    tensors["layer_with_weights-2/msk_token"] = np.zeros((1, 1))
    assert measure(roles_of_checkpoint(tensors)) == Sizes(3, 6, 6, 5, 6, False, True)


def test_what_training_leaves_is_told_from_weights():
    training = [
        "save_counter" + VALUE,
        "optimizer/_iterations" + VALUE,
        "optimizer/_variables/12" + VALUE,
        "layer_with_weights-0/inp_transform/kernel/.OPTIMIZER_SLOT/optimizer/m" + VALUE,
        "keras_api/metrics/0/total" + VALUE,
    ]
    tensors = with_values(released_tensors(residuals=False))
    roles = roles_of_checkpoint({**tensors, **dict.fromkeys(training, np.zeros(1))})
    assert roles.training == tuple(training)
    assert roles.unknown == ()
    assert len(roles.tensors) == len(tensors)


def test_tensor_of_unknown_name_is_kept_apart():
    names = ["layer_with_weights-2/kernel", "x/enc_layers/0/mha/wz/bias", "reg/kernel"]
    roles = roles_of_checkpoint(dict.fromkeys(names, np.zeros(1)))
    assert roles.unknown == tuple(names)
    assert not roles.tensors
    assert not roles.has_head
    roles = roles_of_keras2(dict.fromkeys(["encoder/conv/kernel:0"], np.zeros(1)))
    assert roles.unknown == ("encoder/conv/kernel:0",)


def test_two_tensors_of_one_role_are_refused():
    tensors = released_tensors(residuals=False)
    name = "layer_with_weights-7/reg_layer/kernel"
    with pytest.raises(PresetError, match=rf"Received: .*-1/reg_\S+ and {name}, both"):
        roles_of_checkpoint({**tensors, name: np.zeros((6, 1))})


# As Keras 2 numbers layers in a process that has built a model before.
KERAS2_NAMES = [
    "encoder/dense_5/kernel:0",
    "encoder/encoder_layer_2/multi_head_attention_2/WQ/kernel:0",
    "encoder/encoder_layer_2/multi_head_attention_2/MixerDense/bias:0",
    "dense_6/kernel:0",
    "dense_6/bias:0",
    "dense_7/kernel:0",
    "encoder/encoder_layer_2/dense_8/kernel:0",
    "encoder/encoder_layer_2/dense_9/kernel:0",
    "encoder/encoder_layer_2/layer_normalization_9/beta:0",
    "encoder/encoder_layer_2/layer_normalization_10/beta:0",
    "encoder/encoder_layer_3/multi_head_attention_3/WV/kernel:0",
    "dense_10/kernel:0",
    "dense_11/kernel:0",
    "encoder/encoder_layer_3/layer_normalization_11/gamma:0",
    "regression/RegLayer/kernel:0",
    "regression/layer_normalization_12/gamma:0",
]


def test_layers_of_keras2_are_told_by_their_order():
    roles = roles_of_keras2(dict.fromkeys(KERAS2_NAMES, np.zeros(1)))
    assert list(roles.tensors) == [
        "input_projection/kernel",
        "block_0/query/kernel",
        "block_0/attention_output/bias",
        "block_0/ffn_hidden/kernel",
        "block_0/ffn_hidden/bias",
        "block_0/ffn_output/kernel",
        "block_0/residual_1/kernel",
        "block_0/residual_2/kernel",
        "block_0/layernorm_1/beta",
        "block_0/layernorm_2/beta",
        "block_1/value/kernel",
        "block_1/ffn_hidden/kernel",
        "block_1/ffn_output/kernel",
        "block_1/layernorm_1/gamma",
        "regression/dense/kernel",
        "regression/layernorm/gamma",
    ]


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("enc_layers/0/mha/wq/kernel", "no block_0/query/kernel among 3"),
        ("inp_transform/kernel", "no input_projection/kernel among"),
    ],
)
def test_missing_tensor_that_tells_a_size_is_named(lost, message):
    tensors = released_tensors(residuals=False)
    del tensors[f"layer_with_weights-0/{lost}"]
    tensors["other"] = np.zeros(1)
    expected = rf"Received: {re.escape(message)}.*1 others \(other\)"
    with pytest.raises(PresetError, match=expected):
        measure(roles_of_checkpoint(tensors))


def test_tensor_of_other_dimensions_is_named():
    tensors = released_tensors(residuals=False)
    tensors["layer_with_weights-0/inp_transform/kernel"] = np.zeros(6)
    message = r"input_projection/kernel has 2 dimensions.*shape=\(6,\) \(layer_with"
    with pytest.raises(PresetError, match=message):
        measure(roles_of_checkpoint(tensors))


@pytest.mark.parametrize(
    "config",
    [
        tiny_config(residual="dense"),
        tiny_config(residual="none", hidden_magnitude="leak"),
        tiny_config(residual="identity", num_heads=3),
        tiny_config(embedding_dim=4, hidden_magnitude="zero", num_layers=3),
    ],
)
def test_shapes_are_those_of_the_models_variables(config):
    variables = variables_of(Reconstructor(config))
    shapes = {role: tuple(variable.shape) for role, variable in variables.items()}
    assert shapes_of(config) == shapes


def test_shapes_sum_to_the_published_numbers_of_parameters():
    for name, number in (("astromer1", 661_505), ("astromer2", 3_953_410)):
        shapes = shapes_of(EncoderConfig.from_name(name)).values()
        assert sum(int(np.prod(shape)) for shape in shapes) == number
