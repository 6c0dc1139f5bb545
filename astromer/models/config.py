"""The options of the models: everything that shapes their numbers, checked once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

from astromer.checks import (
    check_flag,
    check_known,
    check_names,
    check_not_negative,
    check_number,
    check_positive,
    is_integer,
    require,
    unwrap_scalars,
)
from astromer.errors import ConfigError, unknown_name

__all__ = [
    "BLOCK_HEADS",
    "GRU_HEADS",
    "AttentionMask",
    "BlockNorm",
    "ClassifierConfig",
    "EncoderConfig",
    "Head",
    "HiddenMagnitude",
    "MagnitudeScale",
    "Mixture",
    "Normalization",
    "OfWindow",
    "Residual",
    "TimeEncodingName",
]

TimeEncodingName = Literal["sinusoidal", "log_period"]
Residual = Literal["none", "dense", "identity"]
HiddenMagnitude = Literal["token", "zero", "leak"]
AttentionMask = Literal["exclude", "released_astromer1"]
BlockNorm = Literal["after", "before"]
MagnitudeScale = Literal["none", "visible"]
Normalization = Literal["window", "light_curve"]
OfWindow = Literal["description", "signature"]
"""What some encoders say of a window as a whole."""
Head = Literal[
    "gamma",
    "mean",
    "max",
    "embedding",
    "attention",
    "cls",
    "gru",
    "input_mean",
    "input_gru",
    "raw_gru",
]
Mixture = Literal["sum", "released"]

BLOCK_HEADS: Final = ("gamma", "mean", "max", "embedding", "attention", "cls", "gru")
"""Heads that look at the encoder's blocks; the others are baselines without them."""
PERIOD_CHANNELS: Final = 12
"""Cosines, and as many sines, that describe the logarithm of a candidate's frequency."""
NUM_STATISTICS: Final = 3
"""Logarithm of the scatter, skewness, and logarithm of the kurtosis."""
NUM_QUANTILES: Final = 9
"""Quantiles of the magnitudes in a description."""
NUM_LAG_BINS: Final = 11
"""Bins of lag in a description's structure function."""
MAX_PERIODS: Final = 8
"""Candidates are the best of two dozen fits, many of them near each other."""
MIN_FREQUENCIES: Final = 1024
"""Fewer would not hold the peaks that are fitted."""
GRU_HEADS: Final = ("gru", "input_gru", "raw_gru")
"""Heads that are a recurrent network."""

_CHOICES: dict[str, Any] = {
    "time_encoding": TimeEncodingName,
    "residual": Residual,
    "hidden_magnitude": HiddenMagnitude,
    "attention_mask": AttentionMask,
    "block_norm": BlockNorm,
    "magnitude_scale": MagnitudeScale,
    "normalization": Normalization,
}

_VARIANTS: dict[str, dict[str, Any]] = {
    # Sect. 2.4. The released weights have no token; ours hides magnitudes all the same.
    "astromer1": {
        "num_layers": 2,
        "intermediate_dim": 128,
        "residual": "none",
        "hidden_magnitude": "zero",
    },
    # Sect. 3.2 as released: wider feed-forward network and learned residuals.
    "astromer2": {
        "num_layers": 6,
        "intermediate_dim": 512,
        "residual": "dense",
        "hidden_magnitude": "token",
    },
    # Ours: each observation knows its phase at the periods that the window shows.
    "astromer_period": {
        "num_layers": 3,
        "head_dim": 32,
        "hidden_dim": 192,
        "intermediate_dim": 256,
        "residual": "identity",
        "block_norm": "before",
        "dropout": 0.0,
        "rotary_time": True,
        "longest_period": 3_000.0,
        "shortest_period": 0.05,
        "magnitude_scale": "visible",
        "num_periods": 4,
        "outlier_limit": 3.0,
        "description": True,
        "signature_dim": 128,
    },
}


class _Options:
    """A dataclass of options: from a mapping and back."""

    __slots__ = ()

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Self:
        """Build from a mapping such as a preset's JSON.

        Parameters
        ----------
        options : mapping
            Values by field name; missing ones take their defaults.

        Returns
        -------
        config : EncoderConfig or ClassifierConfig

        Raises
        ------
        ConfigError
            If an option does not exist or a value is not valid.
        """
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        check_known("option", options, known)
        return cls(**options)

    def to_dict(self) -> dict[str, Any]:
        """Return all options as JSON-ready values; the inverse of `from_dict`."""
        options = dataclasses.asdict(self)  # type: ignore[call-overload]
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in options.items()
        }


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig(_Options):
    """Options of an `Encoder`; the defaults are those of ``astromer2``.

    Source: Donoso-Oliva et al. (2026), Sects. 2.2-2.4 and 3.1-3.2, as settled where
    the paper and the released code differ.

    Raises
    ------
    ConfigError
        If a value is out of range or two options exclude each other.

    Examples
    --------
    >>> EncoderConfig.from_name("astromer1").num_layers
    2
    """

    num_layers: int = 6
    """Attention blocks (M in the paper)."""
    num_heads: int = 4
    """Attention heads per block (H)."""
    head_dim: int = 64
    """Channels per head (d_k); logits are scaled by its square root."""
    hidden_dim: int = 256
    """Channels of every block's output and of the embedding."""
    embedding_dim: int | None = None
    """Channels of the input embedding (d_pe); None means `hidden_dim`."""
    intermediate_dim: int = 512
    """Units of the feed-forward network's tanh layer."""
    residual: Residual = "dense"
    """Path around attention and feed-forward network: none (Astromer 1), a learned
    dense layer (Astromer 2 as released), or the identity."""
    block_norm: BlockNorm = "after"
    """Where a block normalizes: `after` each sum, as published, or `before` attention
    and feed-forward network, so that the residual path runs through untouched."""
    dropout: float = 0.1
    """Share of values dropped in training after the input embedding, the attention
    output and the feed-forward network."""
    time_encoding: TimeEncodingName = "sinusoidal"
    """`sinusoidal` (Eqs. 1-2; shortest period 6.28 d) or `log_period`: sine and cosine
    at frequencies spaced evenly in log period."""
    time_base: float = 10_000.0
    """Base of the sinusoidal frequencies: 10000 as released, 1000 in Eq. 2."""
    rotary_time: bool = False
    """Whether attention compares times by their difference: queries and keys are turned
    by the phases of their times at periods spaced evenly in log period, so that
    logits depend on how far apart two observations are (rotary encoding)."""
    shortest_period: float = 0.02
    """Shortest period of `log_period` and `rotary_time` [d]."""
    longest_period: float = 2_000.0
    """Longest period of `log_period` and `rotary_time` [d]."""
    hidden_magnitude: HiddenMagnitude = "token"
    """What stands for a hidden magnitude: a trainable scalar that starts at zero
    (Sect. 3.1), zero, or - only to repeat the released weights' results - the
    magnitude itself, which leaks the answer."""
    attention_mask: AttentionMask = "exclude"
    """`exclude` gives hidden and padded keys no attention (Eq. 3);
    `released_astromer1` adds 1 to their logits as the released code does."""
    magnitude_scale: MagnitudeScale = "none"
    """`visible` divides magnitudes by the scatter of a window's visible ones, and tells
    the encoder the logarithm of that scatter: shapes then look alike at any amplitude.
    The reconstruction is scaled back."""
    num_periods: int = 0
    """Candidate periods of the visible observations that the encoder is told, with the
    phase of every observation; see `PeriodSearch`. None by default, as published."""
    period_harmonics: int = 4
    """Harmonics fitted at each candidate."""
    max_frequency: float = 20.0
    """Highest frequency searched [1/d]."""
    num_frequencies: int = 131_072
    """Frequencies searched, a power of two, in equal steps from zero: for periods good
    to a cycle over N days, `max_frequency` times N."""
    outlier_limit: float | None = None
    """Distance from a window's mean, in its scatters, beyond which an observation has
    less of a say in the search for periods: its weight falls with the square of the
    distance. None: all have the same."""
    description: bool = False
    """Whether an embedding ends with a description of the visible observations in plain
    numbers: what the encoder is told of a window, quantiles of the magnitudes, and a
    structure function. It has no weights and costs the encoder nothing."""
    signature_dim: int = 0
    """Channels of a signature that embeddings end with, made of the description by a
    small network that has learned what windows of one star have in common; see
    `astromer.training.fit_signature`. None by default."""
    signature_units: int = 512
    """Units of that network's two hidden layers."""
    window_size: int = 200
    """Observations per window (L)."""
    normalization: Normalization = "window"
    """Means subtracted from time and magnitude: of each window, as released, or of the
    whole light curve, as in Sect. 2.1."""

    def __post_init__(self) -> None:
        unwrap_scalars(self)
        for name in (
            "num_layers",
            "num_heads",
            "head_dim",
            "hidden_dim",
            "intermediate_dim",
            "window_size",
            "period_harmonics",
            "signature_units",
        ):
            check_positive(**{name: getattr(self, name)})
        self._check_rotation()
        self._check_periods()
        self._check_description()
        if self.embedding_dim is not None:
            check_positive(embedding_dim=self.embedding_dim)
        for name in ("time_base", "shortest_period", "longest_period"):
            check_number(**{name: getattr(self, name)})
        check_names(**{n: (getattr(self, n), known) for n, known in _CHOICES.items()})
        _check_dropout(self.dropout)
        if not (math.isfinite(self.time_base) and self.time_base > 1.0):
            raise ConfigError(
                f"`time_base` must exceed 1. Received: time_base={self.time_base}."
            )
        if not 0.0 < self.shortest_period < self.longest_period < math.inf:
            raise ConfigError(
                "Periods must be positive and ascending. Received: "
                f"shortest_period={self.shortest_period}, "
                f"longest_period={self.longest_period}."
            )
        if self.input_dim % 2:
            raise ConfigError(
                "The input embedding needs an even number of channels, a sine and a "
                f"cosine each. Received: embedding_dim={self.input_dim}."
            )
        if self.residual == "identity" and self.input_dim != self.hidden_dim:
            raise ConfigError(
                'residual="identity" needs as many input as hidden channels. Received: '
                f"embedding_dim={self.input_dim}, hidden_dim={self.hidden_dim}. "
                'Use residual="dense" or equal sizes.'
            )

    def _check_periods(self) -> None:
        check_not_negative(num_periods=self.num_periods)
        number = self.num_periods
        if number > MAX_PERIODS:
            raise ConfigError(
                f"At most {MAX_PERIODS} candidate periods are fitted. "
                f"Received: num_periods={number}."
            )
        if number and self.magnitude_scale == "none":
            raise ConfigError(
                "Periods are searched in scaled magnitudes. Received: "
                f'num_periods={number} with magnitude_scale="none". '
                'Use magnitude_scale="visible".'
            )
        check_number(max_frequency=self.max_frequency)
        if not 0.0 < self.max_frequency < math.inf:
            raise ConfigError(
                "`max_frequency` must be positive. "
                f"Received: max_frequency={self.max_frequency}."
            )
        check_positive(num_frequencies=self.num_frequencies)
        size = self.num_frequencies
        if size < MIN_FREQUENCIES or size & (size - 1):
            raise ConfigError(
                f"`num_frequencies` must be a power of two, {MIN_FREQUENCIES} or more. "
                f"Received: num_frequencies={size}."
            )
        if self.outlier_limit is None:
            return
        check_number(outlier_limit=self.outlier_limit)
        if not 1.0 <= self.outlier_limit < math.inf:
            raise ConfigError(
                "`outlier_limit` must be 1 or more, or None to trust all observations "
                f"alike. Received: outlier_limit={self.outlier_limit}."
            )

    def _check_rotation(self) -> None:
        check_flag(rotary_time=self.rotary_time)
        if self.rotary_time and self.head_dim % 2:
            raise ConfigError(
                "Rotations act on pairs of a head's channels. Received: "
                f"rotary_time=True with head_dim={self.head_dim}. "
                "Use an even `head_dim`."
            )

    def _check_description(self) -> None:
        check_flag(description=self.description)
        if self.description and self.magnitude_scale == "none":
            raise ConfigError(
                "Scaled magnitudes are described. Received: description=True with "
                'magnitude_scale="none". Use magnitude_scale="visible".'
            )

        check_not_negative(signature_dim=self.signature_dim)
        if self.signature_dim and not self.description:
            raise ConfigError(
                "A signature is made of a description. Received: "
                f"signature_dim={self.signature_dim} with description=False. "
                "Use description=True."
            )

    @property
    def input_dim(self) -> int:
        """Channels of the input embedding, `embedding_dim` or else `hidden_dim`."""
        return self.hidden_dim if self.embedding_dim is None else self.embedding_dim

    @property
    def phase_channels(self) -> int:
        """Values that candidate periods say of an observation; see `PeriodSearch`."""
        return self.num_periods * (2 * self.period_harmonics + 1)

    @property
    def window_channels(self) -> int:
        """Values that are said of a window as a whole."""
        if self.magnitude_scale == "none":
            return 0
        each = 2 * self.period_harmonics + 2 * PERIOD_CHANNELS + 2
        return NUM_STATISTICS + self.num_periods * each

    @property
    def vector_channels(self) -> int:
        """Values of an embedding: last block, description and signature."""
        return self.hidden_dim + self.description_channels + self.signature_dim

    @property
    def description_channels(self) -> int:
        """Values that a description adds to an embedding."""
        if not self.description:
            return 0
        return self.window_channels + NUM_QUANTILES + NUM_LAG_BINS

    @classmethod
    def from_name(cls, name: str, **overrides: Any) -> Self:
        """Return the options of a named architecture: the published ones, or ours.

        Parameters
        ----------
        name : {"astromer1", "astromer2", "astromer_period"}
            Architecture.
        **overrides
            Options to change, by field name.

        Returns
        -------
        config : EncoderConfig

        Raises
        ------
        ConfigError
            If the name or an option does not exist.
        """
        if name not in _VARIANTS:
            raise ConfigError(unknown_name("config", name, _VARIANTS))
        return cls.from_dict({**_VARIANTS[name], **overrides})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierConfig(_Options):
    """Options of a classifier on top of an encoder.

    Source: Donoso-Oliva et al. (2026), Sect. 5.4, as settled where the paper and the
    released code differ.

    Raises
    ------
    ConfigError
        If a value is out of range or two options exclude each other.

    Examples
    --------
    >>> ClassifierConfig(class_names=["EB", "RRab"]).hidden_units
    (1024, 512, 256)
    """

    class_names: tuple[str, ...]
    """Names of the classes; the position of a name is its label."""
    head: Head = "gamma"
    """How a window becomes one vector. `gamma`: the mean of every block and of the
    input embedding, mixed by trainable weights (the paper's). Of the last block alone:
    `mean`, `max`, `attention` (a mean with learned weights), `cls` (a learned token that
    attends to the observations), `gru`. `embedding`: what `embed` gives of a window, the
    last block's mean with description and signature where the encoder has them. Baselines without blocks: `input_mean` and
    `input_gru` on a trainable input embedding, `raw_gru` on magnitudes and times."""
    hidden_units: tuple[int, ...] = (1024, 512, 256)
    """Units of the ReLU layers between that vector and the output; none makes the
    classifier linear in it."""
    output_norm: bool = True
    """Whether a layer normalization (epsilon 1e-3) precedes the output, as released;
    the paper has none."""
    dropout: float = 0.0
    """Share of values dropped in training before every dense layer."""
    gru_units: int = 256
    """Units of the recurrent heads."""
    raw_time_unit: float = 100.0
    """Days that head `raw_gru` counts as one: 1 as released, where times of weeks and
    more saturate its gates and it learns next to nothing."""
    mixture: Mixture = "sum"
    """Head `gamma`: the weighted sum, or, as `released`, divided by the number of
    blocks plus one."""
    unfrozen_blocks: int | Literal["all"] = 0
    """How much of the encoder trains along: its last so many blocks, or `all` of it
    with the input embedding. What is frozen has no dropout either."""

    def __post_init__(self) -> None:
        unwrap_scalars(self)
        for name in ("class_names", "hidden_units"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise ConfigError(
                    f"`{name}` must be a list. Received: {name}={value!r}."
                )
            object.__setattr__(self, name, tuple(value))
        names: tuple[object, ...] = self.class_names
        if not all(isinstance(name, str) and name for name in names):
            raise ConfigError(
                f"Class names must be text. Received: class_names={list(names)}."
            )
        if len(names) < 2 or len(set(names)) < len(names):
            raise ConfigError(
                "A classifier needs two or more different classes. "
                f"Received: class_names={list(names)}."
            )
        for units in self.hidden_units:
            check_positive(hidden_units=units)
        object.__setattr__(self, "hidden_units", tuple(map(int, self.hidden_units)))
        check_positive(gru_units=self.gru_units)
        check_names(head=(self.head, Head), mixture=(self.mixture, Mixture))
        check_flag(output_norm=self.output_norm)
        _check_dropout(self.dropout)
        check_number(raw_time_unit=self.raw_time_unit)
        if not 0.0 < self.raw_time_unit < math.inf:
            raise ConfigError(
                "`raw_time_unit` must be a positive number of days. "
                f"Received: raw_time_unit={self.raw_time_unit}."
            )
        self._check_unfrozen_blocks()

    def _check_unfrozen_blocks(self) -> None:
        blocks: object = self.unfrozen_blocks
        require(
            blocks == "all" or (is_integer(blocks) and blocks >= 0),
            '`unfrozen_blocks` must be a number from 0 or "all"',
            unfrozen_blocks=blocks,
        )
        if blocks and self.head not in BLOCK_HEADS:
            raise ConfigError(
                f'head="{self.head}" has no blocks to unfreeze; all that it has trains. '
                f"Received: unfrozen_blocks={blocks!r}. Leave it at 0."
            )


def _check_dropout(value: float) -> None:
    check_number(dropout=value)
    if not 0.0 <= value < 1.0:
        raise ConfigError(
            f"`dropout` must be at least 0 and below 1. Received: dropout={value}."
        )
