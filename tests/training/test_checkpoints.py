import json

import keras
import numpy as np
import pytest

from astromer.errors import RunError
from astromer.training.checkpoints import read_checkpoint, restore, write_checkpoint


@pytest.fixture
def variables():
    return [
        keras.Variable(np.arange(6.0).reshape(2, 3), name="kernel"),
        keras.Variable(0.1, name="bias"),
        keras.Variable([1, 2], dtype="int32", name="seed"),
    ]


@pytest.fixture
def path(tmp_path, variables):
    path = tmp_path / "checkpoints" / "last.npz"
    groups = {"model": variables, "optimizer": variables[:1], "metrics": []}
    write_checkpoint(path, groups, {"step": 3, "best": 0.1 + 0.2, "rows": [{"a": 1}]})
    return path


def test_checkpoint_returns_every_bit(path, variables):
    checkpoint = read_checkpoint(path)
    assert checkpoint.state == {"step": 3, "best": 0.1 + 0.2, "rows": [{"a": 1}]}
    assert set(checkpoint.groups) == {"model", "optimizer"}
    others = [
        keras.Variable(np.ones(v.shape), dtype=v.dtype, name=v.name) for v in variables
    ]
    restore(others, checkpoint, "model")
    for other, variable in zip(others, variables, strict=True):
        np.testing.assert_array_equal(other, variable)
        assert other.dtype == variable.dtype


def test_checkpoint_is_read_by_numpy_alone(path):
    with np.load(path, allow_pickle=False) as stored:
        assert stored["model/00000/kernel"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert json.loads(stored["state.json"].tobytes())["step"] == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v[:2], r"3 variables for 2;.*another number"),
        (lambda v: [v[1], v[0], v[2]], "kernel.*for.*bias"),
        (
            lambda v: [keras.Variable(np.zeros((2, 4)), name="kernel"), *v[1:]],
            r"\('kernel', \(2, 3\)\) for \('kernel', \(2, 4\)\)",
        ),
    ],
)
def test_variables_of_another_model_are_refused_and_unchanged(
    path, variables, change, message
):
    others = change(variables)
    before = [variable.numpy() for variable in others]
    with pytest.raises(RunError, match=f"model is that of another model.*{message}"):
        restore(others, read_checkpoint(path), "model")
    for variable, value in zip(others, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_numbers_of_layers_without_a_name_do_not_matter(tmp_path):
    """Keras counts them on in a process that builds a second model."""
    first = [keras.Variable([1.0], name="adam_dense_kernel_momentum")]
    write_checkpoint(tmp_path / "last.npz", {"optimizer": first}, {})
    second = [keras.Variable([0.0], name="adam_dense_12_kernel_momentum")]
    restore(second, read_checkpoint(tmp_path / "last.npz"), "optimizer")
    assert second[0].numpy().tolist() == [1.0]


def test_group_that_is_not_there_is_another_model(path, variables):
    with pytest.raises(RunError, match="0 variables for 3"):
        restore(variables, read_checkpoint(path), "teacher")


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty", "missing"])
def test_damaged_checkpoint_is_named(path, kind, variables):
    content = bytearray(path.read_bytes())
    if kind == "flipped":
        content[content.index(variables[0].numpy().tobytes())] ^= 0xFF
    path.write_bytes({"cut": content[:-100], "empty": b""}.get(kind, content))
    if kind == "missing":
        path.unlink()
    with pytest.raises(
        RunError, match=r"checkpoint is damaged\. Received: path=.*last"
    ):
        read_checkpoint(path)
