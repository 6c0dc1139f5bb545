"""What a user may choose about a conversion, checked before any file is read."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from astromer.checks import (
    check_integer,
    check_known,
    check_names,
    check_positive,
    is_number,
    require,
    unwrap_scalars,
)
from astromer.errors import ConfigError
from astromer.surveys.observations import ReadOptions

__all__ = ["ConvertOptions", "NoiseFilter", "parse_split"]

NoiseFilter = Literal["off", "keep", "drop"]

WITHOUT_EFFECT_ON_BYTES: Final = ("jobs", "rows_per_table")
"""Fields that change how a conversion runs and not what it writes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ConvertOptions:
    """Everything that shapes a set of records, besides the input files.

    Raises
    ------
    ConfigError
        If a value is out of range or of the wrong kind.

    Examples
    --------
    >>> options = ConvertOptions(passbands="R", split={"train": 0.9, "test": 0.1})
    >>> options.passbands, options.min_observations
    (('R',), 5)
    """

    survey: str | None = None
    """Native format of the input; None recognizes it from the files."""
    labels: Path | None = None
    """CSV or Parquet file with a class per object: columns such as ``object_id``
    or ``ID``, and ``class_name``, ``class`` or ``label``. It wins over classes in
    the survey files."""
    passbands: tuple[str, ...] | None = None
    """Passbands to convert; None converts all. One name may be given as a string."""
    objects_per_shard: int = 20_000
    """Most objects in one shard; all passbands of an object share a shard."""
    jobs: int = 1
    """Processes that clean partitions and write shards. Never changes the bytes."""
    min_observations: int = 5
    """Fewest observations of a light curve after the cuts (released code: 5)."""
    max_error: float | None = 1.0
    """Largest uncertainty to keep [mag]; None keeps all positive ones."""
    clip_percentiles: tuple[float, float] | None = (1.0, 99.0)
    """Percentiles of a light curve's magnitudes [%] strictly between which an
    observation is kept. 0 and 100 clip nothing on their side; None is off."""
    noise_filter: NoiseFilter = "off"
    """Use of the paper's criteria abs(kurtosis) > 10, abs(skewness) > 1,
    std > 0.1 mag on clipped magnitudes: ``keep`` keeps only light curves that
    fulfil one, as the release does, ``drop`` removes those, as the paper's text
    says, ``off`` ignores them."""
    split: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"train": 0.8, "validation": 0.1, "test": 0.1}
    )
    """Share of objects by split name; the shares sum to 1."""
    seed: int = 0
    """Seed of the assignment of objects to splits."""
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Column names by role where a table's cannot be guessed; see `ReadOptions`."""
    file_passband: str | None = None
    """Passband of files that do not name one; see `ReadOptions.passband`."""
    rows_per_table: int = ReadOptions().rows_per_table
    """Most rows read at once; see `ReadOptions`."""
    max_unreadable: float = ReadOptions().max_unreadable
    """Largest share of files, from 0 to 1, that may be unreadable: up to it they are
    left out, each as a whole, and named in the manifest; see `ReadOptions`."""
    rows_per_partition: int = 8_000_000
    """Rows held in memory at once. A larger input is partitioned on disk first."""

    def __post_init__(self) -> None:
        unwrap_scalars(self)
        if self.labels is not None:
            object.__setattr__(self, "labels", Path(self.labels))
        if self.passbands is not None:
            given: Any = self.passbands
            names = (given,) if isinstance(given, str) else tuple(given)
            object.__setattr__(self, "passbands", names)
            require(
                bool(names) and all(isinstance(name, str) for name in names),
                "`passbands` must be names, or None for all",
                passbands=given,
            )
        for name in (
            "objects_per_shard",
            "jobs",
            "min_observations",
            "rows_per_table",
            "rows_per_partition",
        ):
            check_positive(**{name: getattr(self, name)})
        check_integer(seed=self.seed)
        if self.max_error is not None:
            require(
                is_number(self.max_error) and self.max_error > 0,
                "`max_error` must be a positive number of magnitudes, or None",
                max_error=self.max_error,
            )
            object.__setattr__(self, "max_error", float(self.max_error))
        self._check_percentiles()
        check_names(noise_filter=(self.noise_filter, NoiseFilter))
        self._check_split()
        require(
            isinstance(self.columns, Mapping),
            "`columns` must map roles to column names",
            columns=self.columns,
        )
        object.__setattr__(self, "columns", dict(self.columns))
        require(
            is_number(self.max_unreadable) and 0 <= self.max_unreadable <= 1,
            "`max_unreadable` must be a share of files from 0 to 1",
            max_unreadable=self.max_unreadable,
        )
        object.__setattr__(self, "max_unreadable", float(self.max_unreadable))

    def _check_percentiles(self) -> None:
        if self.clip_percentiles is None:
            return
        given: Any = self.clip_percentiles
        require(
            isinstance(given, tuple | list)
            and len(given) == 2
            and all(is_number(value) for value in given)
            and 0 <= given[0] < given[1] <= 100,
            "`clip_percentiles` must be two rising percentages from 0 to 100, or None",
            clip_percentiles=given,
        )
        low, high = float(given[0]), float(given[1])
        off = (low, high) == (0.0, 100.0)
        object.__setattr__(self, "clip_percentiles", None if off else (low, high))

    def _check_split(self) -> None:
        given: Any = self.split
        require(
            isinstance(given, Mapping)
            and len(given) > 0
            and all(isinstance(name, str) and name.isidentifier() for name in given),
            "`split` must map names to fractions; names are letters, digits and _",
            split=given,
        )
        fractions = list(given.values())
        require(
            all(is_number(value) and value > 0 for value in fractions)
            and math.isclose(math.fsum(fractions), 1.0, abs_tol=1e-6),
            "The fractions of `split` must be positive and sum to 1",
            split=dict(given),
        )
        object.__setattr__(
            self, "split", {name: float(value) for name, value in given.items()}
        )

    @classmethod
    def from_toml(cls, path: str | Path, **overrides: Any) -> ConvertOptions:
        """Read options from a TOML file whose keys are the fields of this class.

        Parameters
        ----------
        path : str or pathlib.Path
            A relative path in `labels` is taken from this file's folder. ``false``
            switches `max_error` or `clip_percentiles` off.
        **overrides
            Fields that win over the file.

        Returns
        -------
        options : ConvertOptions

        Raises
        ------
        ConfigError
            If the file cannot be read, or a key or value is not valid.
        """
        path = Path(path)
        try:
            fields = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(
                f"The options must be a TOML file. Received: path={path} ({error})."
            ) from error
        for name in ("max_error", "clip_percentiles"):
            # TOML has no null.
            if fields.get(name) is False:
                fields[name] = None
        if isinstance(fields.get("labels"), str):
            fields["labels"] = path.parent / fields["labels"]
        return cls().replace(**{**fields, **overrides})

    def replace(self, **overrides: Any) -> ConvertOptions:
        """Return a copy with other values in some fields.

        Parameters
        ----------
        **overrides
            Fields and their values.

        Returns
        -------
        options : ConvertOptions

        Raises
        ------
        ConfigError
            If a field does not exist or a value is not valid.
        """
        known = [field.name for field in dataclasses.fields(self)]
        check_known("option", overrides, known)
        return dataclasses.replace(self, **overrides)

    def read_options(self) -> ReadOptions:
        """Return the part that survey readers use.

        Returns
        -------
        options : ReadOptions
        """
        return ReadOptions(
            columns=self.columns,
            passband=self.file_passband,
            rows_per_table=self.rows_per_table,
            max_unreadable=self.max_unreadable,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that shape the records, as plain JSON values.

        Returns
        -------
        fields : dict
            Without the fields that only change how the conversion runs.
        """
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in WITHOUT_EFFECT_ON_BYTES
        }
        if self.labels is not None:
            fields["labels"] = self.labels.name
        for name in ("passbands", "clip_percentiles"):
            fields[name] = None if fields[name] is None else list(fields[name])
        return fields


def parse_split(text: str) -> dict[str, float]:
    """Read ``train=0.8,validation=0.1,test=0.1`` into fractions by name.

    Parameters
    ----------
    text : str

    Returns
    -------
    split : dict of str to float
        Not yet checked to sum to 1; `ConvertOptions` does that.

    Raises
    ------
    ConfigError
        If the text has another form.

    Examples
    --------
    >>> parse_split("train=0.75, test=0.25")
    {'train': 0.75, 'test': 0.25}
    """
    split = {}
    for part in text.split(","):
        name, separator, fraction = (piece.strip() for piece in part.partition("="))
        try:
            value = float(fraction)
        except ValueError:
            separator = ""
        if not separator or name in split:
            raise ConfigError(
                "A split is written name=fraction, separated by commas, each name "
                f'once. Received: split="{text}". '
                "Write e.g. train=0.8,validation=0.1,test=0.1."
            )
        split[name] = value
    return split
