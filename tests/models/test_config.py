import dataclasses
import json
import re

import pytest

from astromer.errors import ConfigError
from astromer.models import ClassifierConfig, EncoderConfig

POSITIVE_INTEGERS = (
    "num_layers",
    "num_heads",
    "head_dim",
    "hidden_dim",
    "embedding_dim",
    "intermediate_dim",
    "window_size",
    "period_harmonics",
    "num_frequencies",
    "signature_units",
)
COUNTS = ("num_periods", "signature_dim")
CHOICES = (
    "residual",
    "time_encoding",
    "hidden_magnitude",
    "attention_mask",
    "normalization",
    "block_norm",
    "magnitude_scale",
)
NUMBERS = (
    "dropout",
    "time_base",
    "shortest_period",
    "longest_period",
    "max_frequency",
)

# One valid value per field, none of them the default.
OTHER_VALUES = {
    "num_layers": 1,
    "num_heads": 2,
    "head_dim": 8,
    "hidden_dim": 32,
    "embedding_dim": 16,
    "intermediate_dim": 24,
    "residual": "none",
    "dropout": 0.0,
    "time_encoding": "log_period",
    "time_base": 1_000.0,
    "rotary_time": True,
    "shortest_period": 0.1,
    "longest_period": 500.0,
    "hidden_magnitude": "leak",
    "attention_mask": "released_astromer1",
    "window_size": 50,
    "normalization": "light_curve",
    "block_norm": "before",
    "magnitude_scale": "visible",
    "num_periods": 2,
    "period_harmonics": 3,
    "max_frequency": 12.0,
    "num_frequencies": 4096,
    "outlier_limit": 2.5,
    "description": True,
    "signature_dim": 6,
    "signature_units": 12,
}


def test_config_checks_every_field():
    names = {field.name for field in dataclasses.fields(EncoderConfig)}
    checked = {*POSITIVE_INTEGERS, *CHOICES, *NUMBERS, *COUNTS}
    checked |= {"description", "outlier_limit", "rotary_time"}
    assert names == checked == set(OTHER_VALUES)


@pytest.mark.parametrize("name", POSITIVE_INTEGERS)
@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True])
def test_config_raises_for_size_that_is_no_positive_integer(name, value):
    message = f"`{name}` must be a positive integer. Received: {name}={value!r}."
    with pytest.raises(ConfigError, match=re.escape(message)):
        EncoderConfig(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, 2.0, "2", True])
def test_config_raises_for_count_that_is_no_integer_from_zero(name, value):
    message = f"`{name}` must be an integer, zero or more. Received: {name}={value!r}."
    with pytest.raises(ConfigError, match=re.escape(message)):
        EncoderConfig(**{name: value})


def test_config_takes_none_for_embedding_dim_only():
    assert EncoderConfig(hidden_dim=32, embedding_dim=None).input_dim == 32
    assert EncoderConfig(hidden_dim=32, embedding_dim=16).input_dim == 16
    with pytest.raises(ConfigError, match="hidden_dim=None"):
        EncoderConfig(hidden_dim=None)


@pytest.mark.parametrize("name", CHOICES)
def test_config_lists_choices_for_unknown_one(name):
    value = OTHER_VALUES[name]
    message = f'Unknown {name}. Received: {name}="{value}x". Did you mean "{value}"?'
    with pytest.raises(ConfigError, match=re.escape(message) + " Known: .*"):
        EncoderConfig(**{name: f"{value}x"})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["0.1", None, True])
def test_config_raises_for_value_that_is_no_number(name, value):
    message = f"`{name}` must be a number. Received: {name}={value!r}."
    with pytest.raises(ConfigError, match=re.escape(message)):
        EncoderConfig(**{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": -0.1}, "at least 0 and below 1. Received: dropout=-0.1"),
        ({"dropout": 1.0}, "at least 0 and below 1. Received: dropout=1.0"),
        ({"dropout": float("nan")}, "Received: dropout=nan"),
        ({"time_base": 1.0}, "`time_base` must exceed 1. Received: time_base=1.0"),
        ({"time_base": float("inf")}, "Received: time_base=inf"),
        (
            {"shortest_period": 0.0},
            "Received: shortest_period=0.0, longest_period=2000.0",
        ),
        ({"shortest_period": 3.0, "longest_period": 3.0}, "positive and ascending"),
        ({"longest_period": float("inf")}, "longest_period=inf"),
        ({"longest_period": float("nan")}, "longest_period=nan"),
        ({"embedding_dim": 15}, "a sine and a cosine each. Received: embedding_dim=15"),
        ({"hidden_dim": 15}, "a sine and a cosine each. Received: embedding_dim=15"),
        (
            {"residual": "identity", "embedding_dim": 16, "hidden_dim": 32},
            "Received: embedding_dim=16, hidden_dim=32. Use residual=",
        ),
        (
            {"num_periods": 9, "magnitude_scale": "visible"},
            "At most 8 candidate periods are fitted. Received: num_periods=9",
        ),
        ({"num_periods": 1}, 'with magnitude_scale="none". Use magnitude_scale='),
        ({"max_frequency": 0.0}, "must be positive. Received: max_frequency=0.0"),
        ({"max_frequency": float("inf")}, "Received: max_frequency=inf"),
        ({"num_frequencies": 5000}, "1024 or more. Received: num_frequencies=5000"),
        ({"num_frequencies": 512}, "1024 or more. Received: num_frequencies=512"),
        ({"rotary_time": 1}, "must be True or False. Received: rotary_time=1"),
        ({"rotary_time": True, "head_dim": 3}, "head_dim=3. Use an even `head_dim`"),
        ({"outlier_limit": 0.5}, "must be 1 or more, or None to trust all"),
        ({"outlier_limit": float("nan")}, "Received: outlier_limit=nan"),
        ({"outlier_limit": "3"}, "must be a number. Received: outlier_limit='3'"),
    ],
)
def test_config_raises_for_value_out_of_range(options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        EncoderConfig(**options)


def test_config_returns_from_json_unchanged():
    config = EncoderConfig(**OTHER_VALUES)
    restored = EncoderConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert restored == config
    assert restored.to_dict() == OTHER_VALUES
    assert restored != EncoderConfig()


def test_config_takes_defaults_for_missing_options():
    assert EncoderConfig.from_dict({"num_layers": 3}) == EncoderConfig(num_layers=3)


def test_config_suggests_nearest_option_for_unknown_one():
    with pytest.raises(ConfigError, match=r'"num_layer"\. Did you mean "num_layers"'):
        EncoderConfig.from_dict({"num_layer": 3})
    with pytest.raises(ConfigError, match=r'"droput"\. Did you mean "dropout"'):
        EncoderConfig.from_name("astromer1", droput=0.2)


def test_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EncoderConfig().num_layers = 3


def test_from_name_gives_published_architectures():
    first, second = map(EncoderConfig.from_name, ("astromer1", "astromer2"))
    assert (first.num_layers, first.intermediate_dim, first.residual) == (
        2,
        128,
        "none",
    )
    assert (second.num_layers, second.intermediate_dim, second.residual) == (
        6,
        512,
        "dense",
    )
    for config in (first, second):
        assert (config.num_heads, config.head_dim, config.hidden_dim) == (4, 64, 256)
        assert (config.input_dim, config.window_size) == (256, 200)
        assert (config.time_encoding, config.time_base) == ("sinusoidal", 10_000.0)
        assert (config.attention_mask, config.normalization) == ("exclude", "window")
        assert config.dropout == 0.1
    assert second == EncoderConfig()


def test_from_name_prefers_overrides():
    config = EncoderConfig.from_name("astromer1", num_layers=4, time_base=1_000.0)
    assert (config.num_layers, config.time_base, config.residual) == (
        4,
        1_000.0,
        "none",
    )


def test_from_name_lists_known_names_for_unknown_one():
    with pytest.raises(ConfigError, match=r'mean "astromer.*Known: astromer1, '):
        EncoderConfig.from_name("astromer3")


# --- The classifier

OTHER_CLASSIFIER = {
    "class_names": ["EB", "RRab", "RRc"],
    "head": "cls",
    "hidden_units": [12, 6],
    "output_norm": False,
    "dropout": 0.2,
    "gru_units": 32,
    "raw_time_unit": 1.0,
    "mixture": "released",
    "unfrozen_blocks": "all",
}


def make_classifier(**options):
    return ClassifierConfig(**{"class_names": ("a", "b"), **options})


def test_classifier_returns_from_json_unchanged():
    names = {field.name for field in dataclasses.fields(ClassifierConfig)}
    assert set(OTHER_CLASSIFIER) == names
    config = ClassifierConfig.from_dict(OTHER_CLASSIFIER)
    restored = ClassifierConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert restored == config
    assert restored.to_dict() == OTHER_CLASSIFIER
    assert hash(config) == hash(restored)
    default = make_classifier()
    for name in names - {"class_names"}:
        assert getattr(config, name) != getattr(default, name), name


def test_classifier_has_the_papers_layers_by_default():
    config = make_classifier()
    assert (config.head, config.mixture) == ("gamma", "sum")
    assert config.hidden_units == (1024, 512, 256)
    assert config.unfrozen_blocks == 0


def test_classifier_needs_class_names():
    with pytest.raises(TypeError, match="class_names"):
        ClassifierConfig()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"class_names": "ab"},
            "`class_names` must be a list. Received: class_names='ab'",
        ),
        ({"class_names": {"a": 0}}, "must be a list. Received: class_names={'a': 0}"),
        (
            {"class_names": ("a",)},
            "two or more different classes. Received: class_names=",
        ),
        ({"class_names": ("a", "b", "a")}, "Received: class_names=['a', 'b', 'a']"),
        ({"class_names": ("a", "")}, "must be text. Received: class_names=['a', '']"),
        ({"class_names": (0, 1)}, "must be text. Received: class_names=[0, 1]"),
        (
            {"hidden_units": 12},
            "`hidden_units` must be a list. Received: hidden_units=12",
        ),
        ({"hidden_units": (8, 0)}, "positive integer. Received: hidden_units=0"),
        ({"gru_units": 2.5}, "positive integer. Received: gru_units=2.5"),
        ({"head": "gama"}, 'Received: head="gama". Did you mean "gamma"?'),
        ({"mixture": "summ"}, 'Received: mixture="summ". Did you mean "sum"?'),
        ({"output_norm": 1}, "must be True or False. Received: output_norm=1"),
        ({"dropout": 1.0}, "at least 0 and below 1. Received: dropout=1.0"),
        ({"dropout": "a"}, "`dropout` must be a number"),
        (
            {"unfrozen_blocks": -1},
            'a number from 0 or "all". Received: unfrozen_blocks=-1',
        ),
        (
            {"raw_time_unit": 0.0},
            "positive number of days. Received: raw_time_unit=0.0",
        ),
        ({"raw_time_unit": float("inf")}, "Received: raw_time_unit=inf"),
        ({"raw_time_unit": "1"}, "`raw_time_unit` must be a number"),
        ({"unfrozen_blocks": True}, "Received: unfrozen_blocks=True"),
        ({"unfrozen_blocks": "both"}, "Received: unfrozen_blocks='both'"),
        (
            {"head": "raw_gru", "unfrozen_blocks": 1},
            'head="raw_gru" has no blocks to unfreeze',
        ),
        ({"head": "input_mean", "unfrozen_blocks": "all"}, "unfrozen_blocks='all'"),
    ],
)
def test_classifier_raises_for_value_that_cannot_work(options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_classifier(**options)


def test_classifier_suggests_nearest_option_for_unknown_one():
    with pytest.raises(ConfigError, match=r'"heads"\. Did you mean "head"'):
        ClassifierConfig.from_dict({"class_names": ["a", "b"], "heads": "mean"})
