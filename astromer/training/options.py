"""What a user may choose about a training run, checked before anything is read.

Free of Keras, so that the command line says at once what cannot work.
"""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

from astromer.checks import (
    check_flag,
    check_integer,
    check_known,
    check_names,
    is_integer,
    is_number,
    require,
    unwrap_scalars,
)
from astromer.errors import ConfigError, unknown_name
from astromer.models.config import BLOCK_HEADS, ClassifierConfig, Head, Mixture
from astromer.pipeline.options import ErrorWeights, MaskingConfig
from astromer.training.energy import EnergyConfig

__all__ = [
    "ClassWeights",
    "ClassifierOptions",
    "FinetuneOptions",
    "LossForm",
    "Precision",
    "PretrainOptions",
    "Recipe",
    "Schedule",
    "SignatureOptions",
    "StrategyName",
    "TrainingOptions",
    "WindowChoice",
    "is_better_higher",
    "read_options_file",
]

ClassWeights = Literal["off", "balanced"]
LossForm = Literal["released", "paper", "scaled"]
Precision = Literal["float32", "mixed_bfloat16"]
Recipe = Literal["default", "released"]
Schedule = Literal["constant", "cosine"]
WindowChoice = Literal["auto", "tiled", "drawn"]
StrategyName = Literal["auto", "one", "mirrored", "multiworker"]

MAY_CHANGE: Final = (
    "epochs",
    "strategy",
    "devices",
    "checkpoint_minutes",
    "checkpoint_steps",
    "energy",
)
"""What a resumed run may have otherwise than the run before: nothing that alters a step
beyond rounding."""

_WARMUP_STEPS: Final = 100

_RELEASED: Final[dict[str, Any]] = {
    "batch_size": 2_500,
    "learning_rate": 1e-5,
    "schedule": "constant",
    "warmup_steps": 0,
    "clip_norm": None,
    "patience": 20,
}

_CLASSIFIER: Final[dict[str, Any]] = {
    field.name: field.default for field in dataclasses.fields(ClassifierConfig)
}
"""Defaults of the classifier itself, which are kept there."""


class _Checked:
    """A frozen dataclass of options that looks at its fields one by one."""

    __slots__ = ()

    def _check_count(self, name: str, least: int = 1) -> None:
        value = getattr(self, name)
        require(
            is_integer(value) and value >= least,
            f"`{name}` must be an integer of at least {least}",
            **{name: value},
        )

    def _check_number(
        self, name: str, least: float | None = None, below: float = math.inf
    ) -> None:
        value = getattr(self, name)
        inside = is_number(value) and (value > 0 if least is None else value >= least)
        span = "positive" if least is None else f"at least {least:g}"
        span += f" and below {below:g}" if below < math.inf else ""
        require(inside and value < below, f"`{name}` must be {span}", **{name: value})
        object.__setattr__(self, name, float(value))

    def _check_choice(self, name: str, choices: Any) -> None:
        check_names(**{name: (getattr(self, name), choices)})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingOptions(_Checked):
    """What every training run has in common, whatever it trains.

    Raises
    ------
    ConfigError
        If a value is out of range or two options exclude each other.
    """

    recipes: ClassVar[dict[str, dict[str, Any]]] = {"default": {}, "released": {}}

    epochs: int = 20
    """Epochs in all, those of an earlier run that is resumed included."""
    steps_per_epoch: int | None = None
    """Batches of an epoch; None means one pass over the light curves."""
    batch_size: int = 64
    """Windows of a batch, on all devices together."""
    learning_rate: float = 1e-3
    """Largest learning rate."""
    schedule: Schedule = "cosine"
    """How the learning rate goes after the warm-up: it stays, or falls to zero."""
    warmup_steps: int | None = None
    """Batches over which the learning rate rises; None means 100, or half an epoch if
    that is less."""
    decay_epochs: int | None = None
    """Epochs until the cosine is at zero; None means `epochs`. Give it where a run is
    to be resumed with more epochs later. Without effect if the rate is constant."""
    beta_1: float = 0.9
    """Adam's memory of the gradient."""
    beta_2: float = 0.98
    """Adam's memory of its square."""
    epsilon: float = 1e-9
    """What Adam adds to the root of that square."""
    clip_norm: float | None = 1.0
    """Largest norm of the gradient of all weights together; None does not clip."""
    patience: int | None = 10
    """Epochs without a better score after which training stops; None never does."""
    monitor: str = "val_loss"
    """Score that says which epoch is the best, by its name in `metrics.csv`. Accuracy,
    R2 and F1 are better when higher, everything else when lower."""
    precision: Precision = "float32"
    """Of the computation; weights are float32 always, and so is what is scored."""
    strategy: StrategyName = "auto"
    """One device, or all of `devices` at once (mirrored), or all hosts of `TF_CONFIG`
    (multiworker); auto takes all GPUs that there are."""
    devices: tuple[str, ...] | int | None = None
    """Devices by name, e.g. ``GPU:0``, or how many; None takes all there are."""
    seed: int = 0
    """Seed of initial weights, dropout, order, windows and masks."""
    shuffle_buffer: int = 20_000
    """Light curves from disk among which the next one is drawn. TensorFlow only; other
    backends, and a classifier that trains on tiles, draw among all."""
    cache: bool = False
    """Whether to hold all light curves in memory; other backends than TensorFlow, and a
    classifier that trains on tiles, always do."""
    checkpoint_minutes: float = 10.0
    """Longest time between two checkpoints [min]; each epoch ends with one."""
    checkpoint_steps: int | None = None
    """Most batches between two checkpoints."""
    energy: EnergyConfig = dataclasses.field(default_factory=EnergyConfig)
    """What the estimate of energy and CO2 assumes."""

    def __post_init__(self) -> None:
        unwrap_scalars(self)
        for name in ("epochs", "batch_size", "shuffle_buffer"):
            self._check_count(name)
        for name in ("steps_per_epoch", "decay_epochs", "patience", "checkpoint_steps"):
            if getattr(self, name) is not None:
                self._check_count(name)
        if self.warmup_steps is not None:
            self._check_count("warmup_steps", least=0)
        check_integer(seed=self.seed)
        for name in ("learning_rate", "epsilon", "checkpoint_minutes"):
            self._check_number(name)
        if self.clip_norm is not None:
            self._check_number("clip_norm")
        for name in ("beta_1", "beta_2"):
            self._check_number(name, least=0.0, below=1.0)
        for name, choices in (
            ("schedule", Schedule),
            ("precision", Precision),
            ("strategy", StrategyName),
        ):
            self._check_choice(name, choices)
        monitor: Any = self.monitor
        require(
            isinstance(monitor, str) and monitor != "",
            "`monitor` must be the name of a score",
            monitor=monitor,
        )
        check_flag(cache=self.cache)
        self._check_devices()
        self._check_decay()
        if isinstance(self.energy, Mapping):
            object.__setattr__(self, "energy", EnergyConfig.from_dict(self.energy))
        require(
            isinstance(self.energy, EnergyConfig),
            "`energy` must be a table of options",
            energy=self.energy,
        )

    def _check_devices(self) -> None:
        given: Any = self.devices
        if isinstance(given, str):
            names = tuple(name.strip() for name in given.split(",") if name.strip())
            given = int(given) if given.strip().isdigit() else names
        elif isinstance(given, list):
            given = tuple(given)
        is_names = isinstance(given, tuple) and all(isinstance(n, str) for n in given)
        require(
            given is None
            or (is_integer(given) and given >= 1)
            or (is_names and len(given) > 0),
            "`devices` must be names such as GPU:0, or their number",
            devices=self.devices,
        )
        object.__setattr__(self, "devices", given)

    def _check_decay(self) -> None:
        if self.schedule == "cosine" and self.decay_epochs is not None:
            require(
                self.decay_epochs >= self.epochs,
                "The learning rate is zero from `decay_epochs` on: a run cannot have "
                f"{self.epochs} epochs. Give `decay_epochs` when a run starts, or go on "
                "with a new run that starts from this one's preset",
                decay_epochs=self.decay_epochs,
            )

    @classmethod
    def from_name(cls, name: str, **overrides: Any) -> Self:
        """Return a named set of options.

        Parameters
        ----------
        name : {"default", "released"}
            Ours, or the values of the authors' release.
        **overrides
            Fields and their values.

        Returns
        -------
        options : TrainingOptions

        Raises
        ------
        ConfigError
            If the name or a field does not exist, or a value is not valid.
        """
        if name not in cls.recipes:
            raise ConfigError(unknown_name("recipe", str(name), cls.recipes))
        return cls.from_dict({**cls.recipes[name], **overrides})

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Build from a mapping such as a run's JSON.

        Parameters
        ----------
        fields : mapping
            Values by field; missing ones take their defaults. ``recipe`` names a set
            to start from.

        Returns
        -------
        options : TrainingOptions

        Raises
        ------
        ConfigError
            If a field does not exist or a value is not valid.
        """
        given = dict(fields)
        if "recipe" in given:
            return cls.from_name(given.pop("recipe"), **given)
        return cls().replace(**given)

    @classmethod
    def from_toml(cls, path: str | Path, **overrides: Any) -> Self:
        """Read a TOML file whose keys are the fields of this class.

        Parameters
        ----------
        path : str or pathlib.Path
            See `read_options_file`. A table ``[encoder]`` is left to who builds the
            model.
        **overrides
            Fields that win over the file.

        Returns
        -------
        options : TrainingOptions

        Raises
        ------
        ConfigError
            If the file cannot be read, a field does not exist or a value is not valid.
        """
        fields = read_options_file(path)
        fields.pop("encoder", None)
        return cls.from_dict({**fields, **overrides})

    def replace(self, **overrides: Any) -> Self:
        """Return a copy with other values in some fields.

        Parameters
        ----------
        **overrides
            Fields and their values; False stands for None where None is possible.

        Returns
        -------
        options : TrainingOptions

        Raises
        ------
        ConfigError
            If a field does not exist or a value is not valid.
        """
        known = {field.name: field.type for field in dataclasses.fields(self)}
        check_known("option", overrides, known)
        for name, value in overrides.items():
            if value is False and "None" in str(known[name]):
                overrides[name] = None
        return dataclasses.replace(self, **overrides)

    def to_dict(self) -> dict[str, Any]:
        """Return all options as plain JSON values; the inverse of `from_dict`."""
        fields = dataclasses.asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields.items()
        }

    def warmup(self, steps_per_epoch: int) -> int:
        """Return over how many batches the learning rate rises.

        Parameters
        ----------
        steps_per_epoch : int

        Returns
        -------
        steps : int

        Raises
        ------
        ConfigError
            If nothing would be left for the cosine.
        """
        steps = self.warmup_steps
        if steps is None:
            # Not of all epochs: more of them must not move what has been.
            steps = min(_WARMUP_STEPS, steps_per_epoch // 2)
        whole = (self.decay_epochs or self.epochs) * steps_per_epoch
        if self.schedule == "cosine":
            require(
                steps < whole,
                f"The warm-up must be shorter than the {whole:,} batches after which the "
                "learning rate is zero",
                warmup_steps=steps,
            )
        return steps

    def differences(self, other: Self) -> list[str]:
        """Name the fields that a resumed run must have equal and has not.

        Parameters
        ----------
        other : TrainingOptions

        Returns
        -------
        names : list of str
        """
        return [
            field.name
            for field in dataclasses.fields(self)
            if field.name not in MAY_CHANGE
            and getattr(self, field.name) != getattr(other, field.name)
        ]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PretrainOptions(TrainingOptions):
    """Options of a run that learns to predict hidden magnitudes (Sects. 2.3-2.5, 3.3).

    Raises
    ------
    ConfigError
        If a value is out of range or two options exclude each other.

    Examples
    --------
    >>> options = PretrainOptions.from_name("released", epochs=3)
    >>> options.learning_rate, options.batch_size, options.epochs
    (1e-05, 2500, 3)
    """

    recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "default": {},
        "released": {
            **_RELEASED,
            "epochs": 1_000,
            "loss": "released",
            "error_weights": "released",
            "masking": MaskingConfig.released(),
        },
    }

    monitor: str = "val_rmse_hidden"
    """Score that says which epoch is the best, by its name in `metrics.csv`. Only
    hidden observations measure what a model has learned."""
    loss: LossForm = "released"
    """Form of the loss; see `ReconstructionLoss`."""
    error_weights: ErrorWeights = "off"
    """How uncertainties weigh the loss; see `load_dataset`."""
    masking: MaskingConfig = dataclasses.field(default_factory=MaskingConfig)
    """Shares of probed, visible and random observations, in training and validation."""

    def __post_init__(self) -> None:
        # The zero-argument form does not know the class that slots make anew.
        TrainingOptions.__post_init__(self)
        self._check_choice("loss", LossForm)
        self._check_choice("error_weights", ErrorWeights)
        given: Any = self.masking
        if isinstance(given, Mapping):
            known = [field.name for field in dataclasses.fields(MaskingConfig)]
            check_known("masking option", given, known)
            object.__setattr__(self, "masking", MaskingConfig(**given))
        require(
            isinstance(self.masking, MaskingConfig),
            "`masking` must be a table of options",
            masking=given,
        )

    @property
    def objective(self) -> dict[str, Any]:
        """What is learned, as plain JSON values: loss, error weights and masking."""
        options = self.to_dict()
        return {name: options[name] for name in ("loss", "error_weights", "masking")}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FinetuneOptions(PretrainOptions):
    """Options of a run that goes on from a preset on other light curves (Sect. 5.2).

    Raises
    ------
    ConfigError
        If a value is out of range or two options exclude each other.
    """

    learning_rate: float = 1e-4
    """Largest learning rate; smaller than in pretraining, to keep what is known."""
    trainable: str | int | tuple[str, ...] = "all"
    """What is trained: ``all``; ``head``, the reconstruction head alone; a number of
    blocks, counted from the last, and the head; or layers by name, such as
    ``block_5`` or ``head``."""

    def __post_init__(self) -> None:
        PretrainOptions.__post_init__(self)
        given: Any = self.trainable
        if isinstance(given, str):
            names = tuple(name.strip() for name in given.split(",") if name.strip())
            given = names if names not in (("all",), ("head",)) else names[0]
            if len(names) == 1 and names[0].isdigit():
                given = int(names[0])
        elif isinstance(given, list):
            given = tuple(given)
        is_names = isinstance(given, tuple) and all(isinstance(n, str) for n in given)
        require(
            given in ("all", "head")
            or (is_integer(given) and given >= 1)
            or (is_names and len(given) > 0),
            "`trainable` must be all, head, a number of blocks, or names of layers",
            trainable=self.trainable,
        )
        object.__setattr__(self, "trainable", given)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierOptions(TrainingOptions):
    """Options of a run that trains a classifier on a preset's encoder (Sect. 5.4).

    Raises
    ------
    ConfigError
        If a value is out of range or two options exclude each other.

    Examples
    --------
    >>> options = ClassifierOptions(head="mean", unfreeze=2)
    >>> options.classifier_config(["EB", "RRab"]).unfrozen_blocks
    2
    """

    recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "default": {},
        "released": {
            **_RELEASED,
            "epochs": 1_000,
            "learning_rate": 1e-3,
            "raw_time_unit": 1.0,
            "mixture": "released",
            "monitor": "val_loss",
            "windows": "drawn",
        },
    }

    epochs: int = 100
    """Epochs in all, those of an earlier run that is resumed included."""
    learning_rate: float = 1e-3
    """Largest learning rate."""
    patience: int | None = 20
    """Epochs without a better score after which training stops; None never does."""
    monitor: str = "val_macro_f1_object"
    """Score that says which epoch is the best, by its name in `metrics.csv`. This one
    counts light curves, whose windows are pooled, and every class alike."""
    head: Head = _CLASSIFIER["head"]
    """How a window becomes one vector; see `ClassifierConfig`, also for the next."""
    hidden_units: tuple[int, ...] = _CLASSIFIER["hidden_units"]
    """Units of the layers between that vector and the output."""
    output_norm: bool = _CLASSIFIER["output_norm"]
    """Whether a layer normalization precedes the output."""
    dropout: float = _CLASSIFIER["dropout"]
    """Share of values dropped before every dense layer."""
    gru_units: int = _CLASSIFIER["gru_units"]
    """Units of the recurrent heads."""
    raw_time_unit: float = _CLASSIFIER["raw_time_unit"]
    """Days that head `raw_gru` counts as one."""
    mixture: Mixture = _CLASSIFIER["mixture"]
    """How head `gamma` mixes the blocks."""
    unfreeze: int | Literal["all"] = _CLASSIFIER["unfrozen_blocks"]
    """How much of the encoder trains along: its last so many blocks, or all of it."""
    windows: WindowChoice = "auto"
    """Which windows are trained on: one of a light curve's tiles, as in validation, or
    one drawn anew, in every pass; auto takes tiles where the encoder is frozen, which
    then runs over them once, not in every epoch."""
    encoded_gb: float = 4.0
    """Most memory for what a frozen encoder gives for tiles [GB]. Where it would take
    more the encoder runs in every epoch, with 0 always."""
    label_smoothing: float = 0.0
    """Share of a target that is spread over all classes."""
    class_weights: ClassWeights = "off"
    """Whether a class weighs the more in the loss the rarer it is."""

    def __post_init__(self) -> None:
        TrainingOptions.__post_init__(self)
        self._check_number("label_smoothing", least=0.0, below=1.0)
        self._check_number("encoded_gb", least=0.0)
        self._check_choice("windows", WindowChoice)
        self._check_choice("class_weights", ClassWeights)
        for name in ("hidden_units", "unfreeze"):
            object.__setattr__(self, name, self._parse(name))
        config = self.classifier_config(("one", "other"))
        object.__setattr__(self, "hidden_units", config.hidden_units)

    def _parse(self, name: str) -> Any:
        """Return a value that may be text on the command line, e.g. ``512,256``."""
        value: Any = getattr(self, name)
        if not isinstance(value, str) or value == "all":
            return value
        words = [word.strip() for word in value.split(",") if word.strip()]
        require(
            all(word.isdigit() for word in words),
            f"`{name}` must be numbers",
            **{name: value},
        )
        numbers = tuple(map(int, words))
        return numbers[0] if name == "unfreeze" and len(numbers) == 1 else numbers

    @property
    def is_frozen(self) -> bool:
        """Whether the head stands on blocks that do not train."""
        return self.head in BLOCK_HEADS and self.unfreeze == 0

    @property
    def is_tiled(self) -> bool:
        """Whether training windows are tiles."""
        return self.windows == "tiled" or (self.windows == "auto" and self.is_frozen)

    def classifier_config(self, class_names: Sequence[str]) -> ClassifierConfig:
        """Return the options of the classifier itself.

        Parameters
        ----------
        class_names : sequence of str

        Returns
        -------
        config : ClassifierConfig

        Raises
        ------
        ConfigError
            If there are fewer than two classes.
        """
        return ClassifierConfig(
            class_names=tuple(class_names),
            head=self.head,
            hidden_units=self.hidden_units,
            output_norm=self.output_norm,
            dropout=self.dropout,
            gru_units=self.gru_units,
            raw_time_unit=self.raw_time_unit,
            mixture=self.mixture,
            unfrozen_blocks=self.unfreeze,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SignatureOptions(_Checked):
    """How `fit_signature` trains.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    steps: int = 2500
    """Training steps; the learning rate rises over the first tenth and falls to zero."""
    batch_size: int = 512
    """Light curves in a step, two views of each."""
    learning_rate: float = 1e-3
    """Largest rate of AdamW."""
    temperature: float = 0.1
    """What the cosines of two projected signatures are divided by: the smaller, the more
    the most similar other stars count."""
    class_weight: float = 0.0
    """Weight of a second loss, the cross-entropy of known classes in a function linear
    in the signature; by default no class is looked at."""
    seed: int = 0
    """Of initial weights, dropout and order."""

    def __post_init__(self) -> None:
        unwrap_scalars(self)
        self._check_count("steps")
        self._check_count("batch_size", 2)
        self._check_number("learning_rate")
        self._check_number("temperature")
        self._check_number("class_weight", least=0.0)
        check_integer(seed=self.seed)


def read_options_file(path: str | Path) -> dict[str, Any]:
    """Read a TOML file with options of a run.

    Parameters
    ----------
    path : str or pathlib.Path
        Keys are fields of the options; ``[masking]``, ``[energy]`` and ``[encoder]``
        are tables, ``recipe`` names a set to start from, and ``false`` stands for none
        where an option can be switched off.

    Returns
    -------
    fields : dict
        As they stand there, unchecked.

    Raises
    ------
    ConfigError
        If it is no TOML file.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"The options must be a TOML file. Received: path={path} ({error})."
        ) from error


def is_better_higher(score: str) -> bool:
    """Whether a score is better when it is higher; others are errors and losses.

    Examples
    --------
    >>> is_better_higher("val_r2_hidden"), is_better_higher("val_rmse_hidden")
    (True, False)
    """
    words = re.split(r"[^a-z0-9]+", score.lower())
    return bool(
        {"r2", "f1", "accuracy", "acc", "auc", "precision", "recall"} & {*words}
    )
