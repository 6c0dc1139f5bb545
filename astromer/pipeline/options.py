"""Options of the pipeline: the names that may be chosen and the shares of masking."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal, get_args

from astromer.errors import ConfigError, unknown_name

__all__ = [
    "DEFAULT_WINDOW_SIZE",
    "ROUNDING_TOLERANCE",
    "ErrorWeights",
    "MaskingConfig",
    "MaskingPolicy",
    "Normalization",
    "Task",
    "Tiling",
]

Task = Literal["pretrain", "classify", "embed"]
Normalization = Literal["window", "light_curve"]
ErrorWeights = Literal["off", "released", "paper"]
MaskingPolicy = Literal["paper", "released"]
Tiling = Literal["exact", "released"]

DEFAULT_WINDOW_SIZE: Final = 200
"""Observations per window (L in the paper)."""

ROUNDING_TOLERANCE: Final = 1e-9
"""Keeps 0.29 x 100 from being rounded down to 28."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MaskingConfig:
    """Shares of a window that are probed, and of those, shown or falsified.

    With n observations in a window and policy `paper`, ``floor(probed_fraction n)``
    are probed; of these ``floor(visible_fraction n)`` stay visible,
    ``floor(random_fraction n)`` show another observation's magnitude, and all others
    are hidden. A window of 200 has 100, 20, 20 and 60.

    With policy `released` the two shares are of the probed set, one after the other
    and rounded up: ``floor(0.5 n) = p`` probed, ``ceil(0.2 p)`` visible,
    ``ceil(0.2 (p - visible))`` random. A window of 200 has 100, 20, 16 and 64.

    Raises
    ------
    ConfigError
        If a fraction is out of range or the shares exceed the probed set.
    """

    policy: MaskingPolicy = "paper"
    """What the fractions refer to."""
    probed_fraction: float = 0.5
    """Share of a window's observations that enter the loss."""
    visible_fraction: float = 0.1
    """Share that is probed and yet visible; of the window, or of the probed set."""
    random_fraction: float = 0.1
    """Share that is probed and shows a random magnitude of the same window."""

    def __post_init__(self) -> None:
        if self.policy not in get_args(MaskingPolicy):
            raise ConfigError(
                unknown_name("masking policy", self.policy, get_args(MaskingPolicy))
            )
        for name in ("probed_fraction", "visible_fraction", "random_fraction"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ConfigError(
                    f"`{name}` must lie in [0, 1]. Received: {name}={value}."
                )
        shown = self.visible_fraction + self.random_fraction
        if self.policy == "paper" and shown > self.probed_fraction + ROUNDING_TOLERANCE:
            raise ConfigError(
                "`visible_fraction` and `random_fraction` are parts of the probed set. "
                f"Received: visible_fraction={self.visible_fraction}, "
                f"random_fraction={self.random_fraction}, "
                f"probed_fraction={self.probed_fraction}. Lower the first two."
            )

    @classmethod
    def released(cls) -> MaskingConfig:
        """Return the released code's shares: 20 % of the probed set, twice."""
        return cls(policy="released", visible_fraction=0.2, random_fraction=0.2)
