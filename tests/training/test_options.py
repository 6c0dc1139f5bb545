import dataclasses
import inspect
import json

import pytest

from astromer.cli import training as commands
from astromer.errors import ConfigError
from astromer.models import ClassifierConfig
from astromer.pipeline import MaskingConfig
from astromer.training import (
    ClassifierOptions,
    EnergyConfig,
    FinetuneOptions,
    PretrainOptions,
    TrainingOptions,
)
from astromer.training.options import MAY_CHANGE, is_better_higher, read_options_file

CLASSES = [TrainingOptions, PretrainOptions, FinetuneOptions, ClassifierOptions]

OTHER = {
    "epochs": 7,
    "steps_per_epoch": 11,
    "batch_size": 9,
    "learning_rate": 0.25,
    "schedule": "constant",
    "warmup_steps": 0,
    "decay_epochs": 30,
    "beta_1": 0.5,
    "beta_2": 0.75,
    "epsilon": 1e-3,
    "clip_norm": None,
    "patience": None,
    "monitor": "loss",
    "precision": "mixed_bfloat16",
    "strategy": "mirrored",
    "devices": ("CPU:0", "CPU:1"),
    "seed": -3,
    "shuffle_buffer": 50,
    "cache": True,
    "checkpoint_minutes": 0.5,
    "checkpoint_steps": 4,
    "energy": EnergyConfig(pue=1.0, memory=4.0),
    "loss": "paper",
    "error_weights": "paper",
    "masking": MaskingConfig(probed_fraction=0.6),
    "trainable": ("block_1", "head"),
    "head": "cls",
    "hidden_units": (9, 3),
    "output_norm": False,
    "dropout": 0.3,
    "gru_units": 5,
    "raw_time_unit": 1.0,
    "mixture": "released",
    "unfreeze": "all",
    "windows": "drawn",
    "encoded_gb": 0.5,
    "label_smoothing": 0.2,
    "class_weights": "balanced",
}
"""Another value than the default's for every option."""


@pytest.mark.parametrize("options_class", CLASSES)
def test_options_return_from_their_json(options_class):
    names = [field.name for field in dataclasses.fields(options_class)]
    options = options_class(**{name: OTHER[name] for name in names})
    assert all(getattr(options, n) != getattr(options_class(), n) for n in names)
    stored = json.loads(json.dumps(options.to_dict()))
    assert options_class.from_dict(stored) == options
    assert options_class.from_dict(options_class().to_dict()) == options_class()


def test_named_set_holds_the_released_values():
    options = PretrainOptions.from_name("released")
    assert (options.beta_1, options.beta_2, options.epsilon) == (0.9, 0.98, 1e-9)
    assert (options.learning_rate, options.schedule) == (1e-5, "constant")
    assert (options.batch_size, options.patience) == (2_500, 20)
    assert options.clip_norm is None
    assert options.masking == MaskingConfig.released()
    assert options.error_weights == "released"
    assert PretrainOptions.from_name("default") == PretrainOptions()
    assert (
        PretrainOptions.from_dict({"recipe": "released", "patience": 3}).patience == 3
    )
    with pytest.raises(ConfigError, match=r'recipe="relased".*"released"'):
        PretrainOptions.from_name("relased")


def test_toml_file_gives_options_and_flags_win(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        """
        epochs = 3
        learning_rate = 1
        clip_norm = false
        devices = ["CPU:0"]
        [masking]
        probed_fraction = 0.4
        [energy]
        pue = 1
        [encoder]
        num_layers = 2
        """
    )
    options = PretrainOptions.from_toml(path, epochs=5)
    assert options == PretrainOptions(
        epochs=5,
        learning_rate=1.0,
        clip_norm=None,
        devices=("CPU:0",),
        masking=MaskingConfig(probed_fraction=0.4),
        energy=EnergyConfig(pue=1),
    )
    assert read_options_file(path)["encoder"] == {"num_layers": 2}


@pytest.mark.parametrize("content", ["epochs = ", None])
def test_options_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(
        ConfigError, match=r"must be a TOML file\. Received: path=.*run"
    ):
        read_options_file(path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2", 2),
        (2, 2),
        ("GPU:0, GPU:1", ("GPU:0", "GPU:1")),
        (["CPU:0"], ("CPU:0",)),
        (None, None),
    ],
)
def test_devices_are_a_number_or_names(given, expected):
    assert TrainingOptions(devices=given).devices == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("all", "all"),
        ("head", "head"),
        ("2", 2),
        (3, 3),
        ("block_1,head", ("block_1", "head")),
        ("block_1", ("block_1",)),
        (["block_0"], ("block_0",)),
    ],
)
def test_trainable_is_a_word_a_number_or_names(given, expected):
    assert FinetuneOptions(trainable=given).trainable == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"integer of at least 1\. Received: epochs=0"),
        ({"epochs": True}, "Received: epochs=True"),
        ({"batch_size": 2.5}, "Received: batch_size=2.5"),
        ({"steps_per_epoch": 0}, "Received: steps_per_epoch=0"),
        ({"patience": -1}, "Received: patience=-1"),
        ({"warmup_steps": -1}, r"at least 0\. Received: warmup_steps=-1"),
        ({"learning_rate": 0}, r"must be positive\. Received: learning_rate=0"),
        ({"learning_rate": float("nan")}, "Received: learning_rate=nan"),
        ({"clip_norm": "1"}, "Received: clip_norm='1'"),
        ({"beta_2": 1.0}, r"at least 0 and below 1\. Received: beta_2=1.0"),
        ({"schedule": "cosinus"}, 'schedule="cosinus".*Did you mean "cosine"'),
        ({"precision": "float16"}, 'precision="float16"'),
        ({"strategy": "mirror"}, 'Did you mean "mirrored"'),
        ({"monitor": ""}, "name of a score"),
        ({"cache": "yes"}, "Received: cache='yes'"),
        ({"seed": 0.5}, "Received: seed=0.5"),
        ({"devices": 0}, "Received: devices=0"),
        ({"devices": ()}, r"Received: devices=\(\)"),
        ({"epochs": 8, "decay_epochs": 5}, r"cannot have 8 epochs.*decay_epochs=5"),
        ({"energy": {"pu": 1}}, 'energy option="pu".*Did you mean "pue"'),
        ({"energy": 3}, "Received: energy=3"),
        ({"loss": "mse"}, 'loss="mse"'),
        ({"error_weights": "on"}, 'error_weights="on"'),
        ({"masking": {"probed": 1}}, "masking option"),
        ({"masking": 0.5}, "Received: masking=0.5"),
        ({"trainable": 0}, "Received: trainable=0"),
        ({"trainable": ""}, "Received: trainable=''"),
        ({"epoch": 3}, 'option="epoch".*Did you mean "epochs"'),
    ],
)
def test_option_that_cannot_work_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FinetuneOptions.from_dict(options)


@pytest.mark.parametrize(
    ("given", "expected"), [("0", 0), ("2", 2), (3, 3), ("all", "all")]
)
def test_unfrozen_blocks_are_a_number_or_all(given, expected):
    assert ClassifierOptions(unfreeze=given).unfreeze == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [("512, 256", (512, 256)), ("8", (8,)), ([4, 2], (4, 2)), ("", ())],
)
def test_hidden_units_are_a_list(given, expected):
    assert ClassifierOptions(hidden_units=given).hidden_units == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "gama"}, 'Did you mean "gamma"'),
        ({"hidden_units": "a,b"}, "Received: hidden_units='a,b'"),
        ({"hidden_units": [0]}, "Received: hidden_units=0"),
        ({"unfreeze": "few"}, "Received: unfreeze='few'"),
        ({"unfreeze": -1}, "unfrozen_blocks=-1"),
        ({"unfreeze": "1,2"}, r"unfrozen_blocks=\(1, 2\)"),
        ({"label_smoothing": -0.1}, "Received: label_smoothing=-0.1"),
        ({"class_weights": "on"}, 'class_weights="on"'),
        ({"dropout": 1.0}, "Received: dropout=1.0"),
    ],
)
def test_option_of_a_classifier_that_cannot_work_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ClassifierOptions.from_dict(options)


def test_options_of_a_classifier_become_its_config():
    changes = {
        "head": "gru",
        "gru_units": 3,
        "raw_time_unit": 7.0,
        "hidden_units": (5,),
        "output_norm": False,
        "dropout": 0.2,
        "mixture": "released",
    }
    options = ClassifierOptions(unfreeze=2, **changes)
    expected = ClassifierConfig(class_names=("a", "b"), unfrozen_blocks=2, **changes)
    assert options.classifier_config(["a", "b"]) == expected
    # Every option of a classifier can be given to a run.
    fields = {field.name for field in dataclasses.fields(ClassifierConfig)}
    assert fields == {"class_names", "unfrozen_blocks", *changes}
    expected = ClassifierConfig(class_names=("a", "b"))
    assert ClassifierOptions().classifier_config(["a", "b"]) == expected


def test_released_set_of_a_classifier():
    options = ClassifierOptions.from_name("released")
    assert (options.learning_rate, options.patience) == (1e-3, 20)
    assert (options.batch_size, options.schedule) == (2_500, "constant")
    assert (options.mixture, options.monitor) == ("released", "val_loss")


def test_cosine_may_be_longer_than_the_run_and_constant_rates_do_not_care():
    assert TrainingOptions(epochs=2, decay_epochs=4).decay_epochs == 4
    options = TrainingOptions(schedule="constant", epochs=9, decay_epochs=4)
    assert options.epochs == 9


@pytest.mark.parametrize(
    ("warmup_steps", "steps_per_epoch", "expected"),
    [(None, 1_000, 100), (None, 30, 15), (None, 1, 0), (0, 1_000, 0), (250, 100, 250)],
)
def test_warmup_is_that_given_or_fits_into_an_epoch(
    warmup_steps, steps_per_epoch, expected
):
    options = TrainingOptions(warmup_steps=warmup_steps)
    assert options.warmup(steps_per_epoch) == expected


def test_warmup_must_leave_something_for_the_cosine():
    options = TrainingOptions(warmup_steps=30, epochs=3)
    assert options.warmup(11) == 30
    with pytest.raises(ConfigError, match=r"than the 30 batches.*warmup_steps=30"):
        options.warmup(10)
    assert options.replace(decay_epochs=4).warmup(10) == 30
    assert options.replace(schedule="constant").warmup(10) == 30


def test_differences_are_those_that_alter_a_step():
    before = FinetuneOptions()
    for field in dataclasses.fields(FinetuneOptions):
        other = before.replace(**{field.name: OTHER[field.name]})
        expected = [] if field.name in MAY_CHANGE else [field.name]
        assert other.differences(before) == expected, field.name


@pytest.mark.parametrize(
    ("command", "options_class"),
    [
        (commands.pretrain, PretrainOptions),
        (commands.finetune, FinetuneOptions),
        (commands.train_classifier, ClassifierOptions),
    ],
)
def test_flags_have_the_defaults_of_the_options(command, options_class):
    defaults = options_class()
    flags = inspect.signature(command).parameters
    shared = [f.name for f in dataclasses.fields(options_class) if f.name in flags]
    assert len(shared) > 10
    for name in shared:
        given = options_class(**{name: flags[name].default})
        assert getattr(given, name) == getattr(defaults, name), name


@pytest.mark.parametrize(
    ("score", "higher"),
    [
        ("val_r2_hidden", True),
        ("val_macro_f1", True),
        ("accuracy", True),
        ("val_loss", False),
        ("rmse_valid", False),
    ],
)
def test_scores_have_a_better_side(score, higher):
    assert is_better_higher(score) is higher
