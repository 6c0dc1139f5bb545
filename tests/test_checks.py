import dataclasses
import json
from typing import Literal

import numpy as np
import pytest

from astromer import checks
from astromer.errors import ConfigError
from astromer.evaluation.masked import MaskedWindows, hide
from astromer.lightcurve import LightCurve
from astromer.models import ClassifierConfig, EncoderConfig
from astromer.pipeline import MaskingConfig, fixed_windows, load_dataset, stream_batches
from astromer.records import ConvertOptions
from astromer.training import PretrainOptions
from astromer.training.options import ClassifierOptions, SignatureOptions
from astromer.training.signature import draw_views

INTEGERS = (3, -3, np.int64(3), np.uint8(3))
NUMBERS = (0.5, np.float32(0.5), np.float64(0.5))
NEITHER = (True, np.True_, None, "3", [3], 3j)


@pytest.mark.parametrize("value", INTEGERS)
def test_integers_of_python_and_numpy_are_integers_and_numbers(value):
    assert checks.is_integer(value)
    assert checks.is_number(value)
    checks.check_integer(n=value)
    checks.check_number(n=value)


@pytest.mark.parametrize("value", NUMBERS)
def test_other_numbers_are_no_integers(value):
    assert checks.is_number(value)
    assert not checks.is_integer(value)
    with pytest.raises(ConfigError, match=r"`n` must be an integer\. Received: n="):
        checks.check_integer(n=value)


@pytest.mark.parametrize("value", NEITHER)
def test_truth_values_and_text_are_no_numbers(value):
    assert not checks.is_number(value)
    assert not checks.is_integer(value)
    with pytest.raises(ConfigError, match=r"`n` must be a number\. Received: n="):
        checks.check_number(n=value)


@pytest.mark.parametrize("value", [np.nan, np.inf, np.float32(-np.inf)])
def test_what_is_not_finite_is_no_number_to_count_on(value):
    assert not checks.is_number(value)


def test_ranges_have_ends():
    checks.check_positive(a=1, b=np.int32(7))
    checks.check_not_negative(a=0)
    with pytest.raises(ConfigError, match=r"`b` must be a positive integer.*b=0"):
        checks.check_positive(a=1, b=0)
    with pytest.raises(ConfigError, match=r"`a` must be an integer, zero or more.*-1"):
        checks.check_not_negative(a=-1)
    with pytest.raises(ConfigError, match=r"`f` must be True or False.*f=1"):
        checks.check_flag(f=1)


def test_names_are_those_that_exist():
    checks.check_names(loss=("paper", Literal["paper", "released"]))
    with pytest.raises(ConfigError, match=r'loss="papr".*mean "paper"'):
        checks.check_names(loss=("papr", Literal["paper", "released"]))
    checks.check_known("option", [], ())
    with pytest.raises(ConfigError, match=r'option="b".*Known: a, c'):
        checks.check_known("option", ["a", "b"], iter("ac"))


@pytest.mark.parametrize(
    ("options_class", "fields"),
    [
        (EncoderConfig, {"window_size": 8, "dropout": 0.5, "num_heads": 2}),
        (ClassifierConfig, {"class_names": ("a", "b"), "hidden_units": (4, 2)}),
        (ConvertOptions, {"min_observations": 7, "max_error": 0.25, "seed": -1}),
        (PretrainOptions, {"epochs": 7, "learning_rate": 0.25, "devices": 2}),
        (ClassifierOptions, {"dropout": 0.5, "unfreeze": 1, "gru_units": 5}),
        (MaskingConfig, {"probed_fraction": 0.75}),
    ],
)
def test_options_take_numbers_of_numpy_as_those_of_python(options_class, fields):
    def of_numpy(value):
        if isinstance(value, tuple):
            return tuple(map(of_numpy, value))
        kinds = {int: np.int64, float: np.float32}
        return kinds.get(type(value), lambda same: same)(value)

    plain = options_class(**fields)
    found = options_class(**{name: of_numpy(v) for name, v in fields.items()})
    assert found == plain
    stored = json.dumps(dataclasses.asdict(found), default=str)
    assert stored == json.dumps(dataclasses.asdict(plain), default=str)


def make_curves():
    rng = np.random.default_rng(0)
    return [
        LightCurve(
            np.arange(60.0), rng.normal(15, 1, 60), np.full(60, 0.1), object_id=n
        )
        for n in ("one", "other")
    ]


def hide_half(seed):
    size = 20
    windows = MaskedWindows(
        **{
            field.name: np.zeros((1, size))
            for field in dataclasses.fields(MaskedWindows)
            if field.name not in ("valid", "hidden")
        },
        valid=np.ones((1, size), bool),
        hidden=np.zeros((1, size), bool),
    )
    return hide(windows, "points", hidden_fraction=0.5, seed=seed).hidden


def views(seed):
    return np.concatenate([v.mag for v in draw_views(make_curves(), 2, 20, seed=seed)])


def masks(seed):
    return fixed_windows(make_curves(), window_size=20, seed=seed)[1]["probed"]


def first_batch(seed):
    batches = stream_batches(make_curves(), window_size=20, batch_size=2, seed=seed)
    return next(batches)[0]["mag"]


def first_of_dataset(seed):
    source = load_dataset(make_curves(), window_size=20, batch_size=2, seed=seed)
    return next(iter(source))[0]["mag"].numpy()


@pytest.mark.parametrize(
    "draw", [hide_half, views, masks, first_batch, first_of_dataset]
)
def test_every_integer_is_a_seed_and_nothing_else(draw):
    assert np.array_equal(draw(-1), draw(-1))
    assert not np.array_equal(draw(-1), draw(1))
    for seed in (0.5, "1", True):
        with pytest.raises(ConfigError, match=r"`seed` must be an integer\. Received"):
            draw(seed)


def test_seed_of_a_signature_is_an_integer():
    assert SignatureOptions(seed=-1).seed == -1
    with pytest.raises(ConfigError, match=r"`seed` must be an integer.*0\.5"):
        SignatureOptions(seed=0.5)
