"""Options of the pipeline: the names that may be chosen and the shares of masking."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from astromer.checks import check_known, is_number, require, unwrap_scalars
from astromer.errors import ConfigError

__all__ = [
    "DEFAULT_WINDOW_SIZE",
    "NIGHT_GAP_D",
    "WEIGHT_FLOOR",
    "ErrorWeights",
    "MaskingConfig",
    "MaskingPolicy",
    "Normalization",
    "Task",
    "Tiling",
    "check_labels",
    "check_masking_task",
    "count_tiles",
]

Task = Literal["pretrain", "classify", "embed"]
Normalization = Literal["window", "light_curve"]
ErrorWeights = Literal["off", "released", "paper"]
MaskingPolicy = Literal["paper", "released"]
Tiling = Literal["exact", "released"]

DEFAULT_WINDOW_SIZE: Final = 200
"""Observations per window (L in the paper)."""

WEIGHT_FLOOR: Final = 1e-3
"""Smallest weight (`released`), and smallest scaled uncertainty (`paper`)."""

NIGHT_GAP_D: Final = 0.25
"""Observations this far apart or further belong to different nights [d]."""

_ROUNDING_TOLERANCE: Final = 1e-9
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
    whole_nights: float = 0.0
    """Share of the windows whose probed, visible and random observations are drawn by
    the night instead of one by one, so that no neighbor of an hour tells what is
    hidden. The numbers stay exact: each subset cuts one night at most."""

    def __post_init__(self) -> None:
        unwrap_scalars(self)
        check_known("masking policy", [self.policy], get_args(MaskingPolicy))
        for name in (
            "probed_fraction",
            "visible_fraction",
            "random_fraction",
            "whole_nights",
        ):
            value = getattr(self, name)
            require(
                is_number(value) and 0.0 <= value <= 1.0,
                f"`{name}` must lie in [0, 1]",
                **{name: value},
            )
        shown = self.visible_fraction + self.random_fraction
        if (
            self.policy == "paper"
            and shown > self.probed_fraction + _ROUNDING_TOLERANCE
        ):
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

    def counts(
        self, size: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return how many observations of a window are probed, visible and random.

        Parameters
        ----------
        size : numpy.ndarray, int64
            Real observations per window.

        Returns
        -------
        probed, visible, random : numpy.ndarray, int64
            As `size`; all that is probed and neither visible nor random is hidden.

        Examples
        --------
        >>> import numpy as np
        >>> [count.tolist() for count in MaskingConfig().counts(np.array([5, 200]))]
        [[2, 100], [0, 20], [0, 20]]
        """
        probed = _down(self.probed_fraction, size)
        if self.policy == "released":
            visible = _up(self.visible_fraction, probed)
            return probed, visible, _up(self.random_fraction, probed - visible)
        return (
            probed,
            _down(self.visible_fraction, size),
            _down(self.random_fraction, size),
        )


def count_tiles(length: Any, window_size: int, tiling: Tiling) -> Any:
    """Return how many windows are laid over light curves.

    Parameters
    ----------
    length : tf.Tensor or numpy.ndarray, shape (batch,), int64
        Observations per light curve.
    window_size : int
        Observations per window.
    tiling : {"exact", "released"}

    Returns
    -------
    num_windows : as `length`
    """
    if tiling == "exact":
        return (length + window_size - 1) // window_size
    return length // window_size + 1


def check_masking_task(
    task: Task, masking: MaskingConfig | None, error_weights: ErrorWeights
) -> None:
    """Raise ConfigError if masks or weights are asked for where nothing is masked."""
    if task != "pretrain" and (masking is not None or error_weights != "off"):
        raise ConfigError(
            '`masking` and `error_weights` belong to task="pretrain". '
            f'Received: task="{task}".'
        )


def check_labels(num_labeled: int, num_curves: int) -> None:
    """Raise ConfigError if none of the light curves to classify has a label."""
    if num_labeled == 0:
        raise ConfigError(
            'task="classify" needs labels, and the source has none. Received: '
            f"{num_curves} light curves without a label. Convert with "
            "`--labels`, or give the light curves labels."
        )


def _down(share: float, count: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.floor(share * count + _ROUNDING_TOLERANCE).astype(np.int64)


def _up(share: float, count: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.ceil(share * count - _ROUNDING_TOLERANCE).astype(np.int64)
