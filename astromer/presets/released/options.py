"""Released options to an `EncoderConfig`: translated, not trusted.

What shapes tell is taken from the shapes, what was measured on the released code is
known here, and only the rest is believed. Options that concern training alone are
recorded. Anything else might shape the numbers, and stops the import by its name.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from astromer.checks import check_known
from astromer.errors import ConfigError, PresetError
from astromer.models import EncoderConfig
from astromer.presets.released.translate import Sizes

__all__ = ["Family", "Said", "Translation", "parse_options", "translate_options"]

Family = Literal["astromer1", "astromer2"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Vocabulary:
    """What the options of one kind of file mean."""

    sizes: dict[str, str]
    """Fields that the weights tell too: both must agree."""
    taken: dict[str, str]
    """Fields that nothing else tells."""
    values: Mapping[str, tuple[str | None, tuple[tuple[object, object], ...]]]
    """Known values: the field they decide, if any, and what each means for it."""
    inert: Mapping[str, tuple[object, str]]
    """What counts in their place, and why they do nothing."""
    training: frozenset[str]
    shares: Mapping[str, str]
    """Options of the masking, which are of training, and ours."""
    facts: Mapping[str, object]
    """Fields that are so in all weights with this kind of file."""
    head_dim_is_of_all_heads: bool
    """Whether `head_dim` may be that of all heads together."""

    def option_of(self, field: str) -> str:
        """Return the old name of a field."""
        names = {new: old for old, new in (self.sizes | self.taken).items()}
        names |= {new: old for old, (new, _) in self.values.items() if new}
        return names.get(field, field)


_TIME_BASE: Final = 10_000.0
_NO_BASE: Final = (
    _TIME_BASE,
    "it never reaches the released time encoding, whose base is always 10000",
)
_TRAINING: Final = {"data", "gpu", "lr", "patience", "repeat"}

# The table of old names and new ones. What a value means for its field is None where
# it only confirms what the others say.
_CONF_JSON: Final = _Vocabulary(
    sizes={"layers": "num_layers", "dff": "intermediate_dim"},
    taken={"heads": "num_heads", "max_obs": "window_size", "dropout": "dropout"},
    values={"use_leak": ("residual", ((False, "none"),))},
    inert={"base": _NO_BASE},
    training=frozenset(
        _TRAINING
        | {"batch_size", "epochs", "exp_date", "msk_frac", "no_shuffle", "no_train"}
        | {"p", "prefix", "rnd_frac", "same_frac"}
    ),
    shares={
        "msk_frac": "probed_fraction",
        "same_frac": "visible_fraction",
        "rnd_frac": "random_fraction",
    },
    facts={"residual": "none", "attention_mask": "released_astromer1"},
    head_dim_is_of_all_heads=True,
)
_CONFIG_TOML: Final = _Vocabulary(
    sizes={
        "num_layers": "num_layers",
        "mixer": "intermediate_dim",
        "pe_dim": "embedding_dim",
    },
    taken={
        "num_heads": "num_heads",
        "window_size": "window_size",
        "dropout": "dropout",
    },
    values={
        "use_leak": ("residual", ((True, "dense"), (False, "none"))),
        "m_alpha": ("attention_mask", ((-1e9, None),)),
        "mask_format": ("attention_mask", (("K", "exclude"),)),
        "norm": ("normalization", (("zero-mean", "window"),)),
        "arch": (None, (("base", None),)),
        "encoder_mode": (None, (("normal", None),)),
        "avg_layers": (None, ((False, None),)),
        "temperature": (None, ((0, None),)),
    },
    inert={
        "pe_base": _NO_BASE,
        "pe_exp": (2, "it never reaches the released time encoding, which has 2"),
    },
    training=frozenset(
        _TRAINING
        | {"bs", "checkpoint", "correct_loss", "debug", "exp_name", "loss_format"}
        | {"no_cache", "no_msk_token", "num_epochs", "probed", "rs", "same"}
        | {"sampling", "scheduler"}
    ),
    shares={
        "probed": "probed_fraction",
        "same": "visible_fraction",
        "rs": "random_fraction",
    },
    facts={},
    head_dim_is_of_all_heads=False,
)
_VOCABULARIES: Final = {"conf.json": _CONF_JSON, "config.toml": _CONFIG_TOML}

_NEEDED: Final = ("num_heads", "window_size", "attention_mask")
"""Fields without which nobody can say what the model computes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """An option of the file that is not what counts."""

    option: str
    said: Any
    """Its value in the file."""
    counts: str
    """What counts instead."""
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Translation:
    """What a file of options, the weights and the caller make together."""

    config: EncoderConfig
    family: Family
    said: tuple[Said, ...]
    """Options that are not what counts."""
    training: dict[str, Any]
    """Options that concern training alone, as they stand in the file."""
    masking: dict[str, Any] | None = None
    """What was hidden in training, as `MaskingConfig` has it, if the file says so."""


def parse_options(content: bytes, name: str) -> dict[str, Any]:
    """Read a file of options.

    Parameters
    ----------
    content : bytes
        JSON or TOML, as the name says.
    name : str
        Name of the file.

    Returns
    -------
    options : dict

    Raises
    ------
    PresetError
        If the file does not hold options.
    """
    try:
        text = content.decode()
        options = tomllib.loads(text) if name.endswith(".toml") else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PresetError(
            f"The options cannot be read. Received: path={name} ({error}). "
            "Download or copy the file again."
        ) from error
    if not isinstance(options, dict):
        raise PresetError(
            "Options are names with values. Received: "
            f"path={name}, a {type(options).__name__}."
        )
    return options


def translate_options(
    options: Mapping[str, Any],
    name: str,
    sizes: Sizes,
    *,
    overrides: Mapping[str, Any],
    ignore: Iterable[str] = (),
) -> Translation:
    """Decide every field of the configuration.

    Parameters
    ----------
    options : mapping
        As the file says.
    name : str
        Name of the file, which decides what its options mean.
    sizes : Sizes
        What the weights tell.
    overrides : mapping
        Fields of `EncoderConfig` that the caller decides.
    ignore : iterable of str
        Options that the caller knows to shape no numbers.

    Returns
    -------
    translation : Translation

    Raises
    ------
    PresetError
        If an option or a value is not known, or contradicts the weights; all are
        named.
    ConfigError
        If the caller names a field or an option that does not exist, or gives a value
        that is not valid.
    """
    fields = [field.name for field in dataclasses.fields(EncoderConfig)]
    check_known("option", overrides, fields)
    ignored = set(ignore)
    check_known("ignored option", sorted(ignored), options)
    vocabulary = _VOCABULARIES[name.rpartition("/")[2]]
    decisions = _Decisions(vocabulary, sizes, overrides)
    for option, value in options.items():
        if option in ignored:
            decisions.note(option, value, "nothing", "ignored at import, as told")
        elif option == "head_dim":
            continue  # once the heads are known
        elif option not in vocabulary.training:
            decisions.read(option, value)
    decisions.read_heads(options.get("head_dim"))
    decisions.finish(name)
    return Translation(
        config=EncoderConfig.from_dict({**decisions.fields, **overrides}),
        family="astromer2" if sizes.has_residuals else "astromer1",
        said=tuple(decisions.said),
        training={k: v for k, v in options.items() if k in vocabulary.training},
        masking=_read_masking(options, vocabulary.shares),
    )


def _read_masking(
    options: Mapping[str, Any], shares: Mapping[str, str]
) -> dict[str, Any] | None:
    # Of values that cannot be, the card tells; no number depends on them.
    fractions = {new: options.get(old) for old, new in shares.items()}
    if all(isinstance(f, int | float) and 0 <= f <= 1 for f in fractions.values()):
        return {"policy": "released", **fractions}
    return None


class _Decisions:
    """The fields as they are decided, what was overruled, and what is in the way."""

    def __init__(
        self, vocabulary: _Vocabulary, sizes: Sizes, overrides: Mapping[str, Any]
    ) -> None:
        self.fields: dict[str, Any] = {
            "num_layers": sizes.num_layers,
            "hidden_dim": sizes.hidden_dim,
            "embedding_dim": sizes.embedding_dim,
            "intermediate_dim": sizes.intermediate_dim,
            "residual": "dense" if sizes.has_residuals else "none",
            "time_encoding": "sinusoidal",
            "time_base": _TIME_BASE,
            "hidden_magnitude": "token" if sizes.has_token else "leak",
            "normalization": "window",
        }
        self.said: list[Said] = []
        self._vocabulary = vocabulary
        self._sizes = sizes
        self._overrides = overrides
        self._problems: list[str] = []
        self._fields_to_set: list[str] = []
        self._options_to_ignore: list[str] = []
        for field, value in vocabulary.facts.items():
            self._decide(field, value, field, value)

    def note(self, option: str, said: object, counts: str, why: str) -> None:
        """Record an option that is not what counts."""
        self.said.append(Said(option, said, counts, why))

    def read(self, option: str, said: object) -> None:
        """Translate an option."""
        words = self._vocabulary
        if option in words.inert:
            counts, why = words.inert[option]
            if said != counts:
                self.note(option, said, f"{counts:g}", why)
        elif field := words.sizes.get(option) or words.taken.get(option):
            try:
                EncoderConfig.from_dict({field: said})
            except ConfigError as error:
                self._object(option, said, str(error), field)
            else:
                self._decide(option, said, field, said)
        elif option in words.values:
            chosen, meanings = words.values[option]
            for known, meaning in meanings:
                if said == known:
                    if chosen is not None and meaning is not None:
                        self._decide(option, said, chosen, meaning)
                    return
            listed = " or ".join(repr(known) for known, _ in meanings)
            self._object(option, said, f"only {listed} is understood", chosen)
        else:
            self._object(option, said, "an unknown option", None)

    def read_heads(self, said: object) -> None:
        """Decide the channels per head, by the weights and the number of heads."""
        words, everything = self._vocabulary, self._sizes.attention_dim
        heads = self._overrides.get("num_heads", self.fields.get("num_heads"))
        if not isinstance(heads, int) or heads < 1:
            return  # the number of heads is in the way already
        head_dim, rest = divmod(everything, heads)
        self.fields["head_dim"] = head_dim
        if rest:
            name = words.option_of("num_heads")
            why = f"the weights have {everything} channels for all heads"
            self._object(name, heads, why, "num_heads")
        elif said == everything != head_dim and words.head_dim_is_of_all_heads:
            why = "it holds the channels of all heads together"
            self.note("head_dim", said, str(head_dim), why)
        elif said is not None and said != head_dim:
            why = f"the weights have {everything} channels for {heads} heads"
            self._object("head_dim", said, why, "num_heads")

    def finish(self, name: str) -> None:
        """Raise if anything is in the way; names all of it."""
        for field in _NEEDED:
            settled = field in self.fields or field in self._overrides
            if not settled and field not in self._fields_to_set:
                self._problems.append(f"no {self._vocabulary.option_of(field)}")
                self._fields_to_set.append(field)
        if self.fields["embedding_dim"] == self.fields["hidden_dim"]:
            del self.fields["embedding_dim"]
        if not self._problems:
            return
        steps = []
        if self._fields_to_set:
            fields = list(dict.fromkeys(self._fields_to_set))
            sets = " ".join(f"--set {field}=VALUE" for field in fields)
            steps.append(
                f"Decide {', '.join(fields)} yourself, by `overrides` or {sets}."
            )
        if self._options_to_ignore:
            listed = ", ".join(self._options_to_ignore)
            steps.append(
                f"If {listed} cannot shape the model's numbers, name it by `ignore` "
                "or --ignore OPTION."
            )
        raise PresetError(
            "What might shape the model's numbers must be understood. Received: "
            f"{'; '.join(self._problems)}; in {name}. {' '.join(steps)}"
        )

    def _decide(self, option: str, said: object, field: str, value: object) -> None:
        known = self.fields.setdefault(field, value)
        if known != value:
            self._object(option, said, f"the weights say {field}={known!r}", field)

    def _object(self, option: str, said: object, why: str, field: str | None) -> None:
        if field is not None and field in self._overrides:
            counts = f"{field}={self._overrides[field]!r}"
            self.note(option, said, counts, f"set at import: {why}")
            return
        self._problems.append(f"{option}={said!r} ({why})")
        if field is None:
            self._options_to_ignore.append(option)
        else:
            self._fields_to_set.append(field)
