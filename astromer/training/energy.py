"""Energy and carbon dioxide of a run, by the formula of Lannelongue et al. (2021).

E = t (n P u + g G + m M) PUE, with running time t, n cores that draw P each and are
used to the share u, g accelerators of power G, and m gigabytes of memory at M; the
carbon footprint is E times the carbon intensity of the electricity. It is an estimate:
nothing is measured but time and the use of the cores.

Source: Lannelongue, Grealey & Inouye (2021), Adv. Sci. 8, 2100707 ("Green Algorithms");
the paper on Astromer 2 states its own footprint by it (Sect. 7).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Final, Self

from astromer.checks import check_known, is_number, require, unwrap_scalars

__all__ = [
    "CARBON_INTENSITY_G_PER_KWH",
    "CORE_POWER_W",
    "GPU_POWER_W",
    "MEMORY_POWER_W_PER_GB",
    "PUE",
    "EnergyConfig",
    "EnergyEstimate",
    "estimate_energy",
]

CORE_POWER_W: Final = 12.0
"""Draw of a busy core of a processor that is not known further [W]."""
GPU_POWER_W: Final = 200.0
"""Draw of a busy accelerator that is not known further [W]."""
MEMORY_POWER_W_PER_GB: Final = 0.3725
"""Draw of memory, used or not [W / GB]."""
PUE: Final = 1.67
"""Power usage effectiveness, world average of data centers: what is drawn in all for
each watt that computes."""
CARBON_INTENSITY_G_PER_KWH: Final = 475.0
"""Carbon intensity of electricity, world average [g CO2e / kWh]."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EnergyConfig:
    """What the estimate assumes of machine and place.

    Raises
    ------
    ConfigError
        If a value is negative or no number.
    """

    core_power: float = CORE_POWER_W
    """Draw of a busy core [W]: the processor's thermal design power by its cores."""
    gpu_power: float = GPU_POWER_W
    """Draw of a busy accelerator [W]."""
    memory: float | None = None
    """Memory of the machine [GB]; None asks the machine."""
    pue: float = PUE
    """Power usage effectiveness; 1 for a desktop computer."""
    carbon_intensity: float = CARBON_INTENSITY_G_PER_KWH
    """Carbon intensity of the electricity [g CO2e / kWh]."""

    def __post_init__(self) -> None:
        unwrap_scalars(self)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "memory":
                continue
            require(
                is_number(value) and value >= 0,
                f"`{field.name}` must be a number of at least 0",
                **{field.name: value},
            )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Build from a mapping such as a table of a TOML file.

        Parameters
        ----------
        fields : mapping

        Returns
        -------
        config : EnergyConfig

        Raises
        ------
        ConfigError
            If a field does not exist or a value is not valid.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        check_known("energy option", fields, known)
        return cls(**fields)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EnergyEstimate:
    """An estimate, and all that went into it."""

    energy: float
    """Energy [kWh]."""
    carbon: float
    """Carbon dioxide and what equals it [kg CO2e]."""
    seconds: float
    """Running time [s]."""
    cores: int
    """Cores of the machine."""
    usage: float
    """Share of the cores' time that was used, in [0, 1]."""
    gpus: int
    """Accelerators that were used."""
    memory: float
    """Memory of the machine [GB]."""
    config: EnergyConfig
    """What was assumed."""
    hosts: int = 1
    """Machines, taken as all like this one; the rest is of one, but for the totals."""

    @property
    def formula(self) -> str:
        """The formula with its numbers, one line."""
        c = self.config
        gpus = f" + {self.gpus} x {c.gpu_power:g} W" if self.gpus else ""
        hosts = f"{self.hosts} hosts x " if self.hosts > 1 else ""
        return (
            f"{hosts}{self.seconds / 3600:.3g} h x ({self.cores} cores x {c.core_power:g} W x "
            f"{self.usage:.2f}{gpus} + {self.memory:.3g} GB x "
            f"{MEMORY_POWER_W_PER_GB:g} W) x {c.pue:g} = {1000 * self.energy:.3g} Wh; "
            f"x {c.carbon_intensity:g} g/kWh = {1000 * self.carbon:.3g} g CO2e"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as plain JSON values."""
        return dataclasses.asdict(self)


def estimate_energy(
    seconds: float,
    cpu_seconds: float,
    *,
    gpus: int = 0,
    hosts: int = 1,
    config: EnergyConfig,
) -> EnergyEstimate:
    """Estimate what a run has drawn on this machine.

    Parameters
    ----------
    seconds : float
        Running time [s].
    cpu_seconds : float
        Time of all cores together in which they worked [s].
    gpus : int
        Accelerators of the machine, taken as fully used.
    hosts : int
        Machines like this one.
    config : EnergyConfig

    Returns
    -------
    estimate : EnergyEstimate
    """
    cores = os.cpu_count() or 1
    memory = _memory_gb() if config.memory is None else config.memory
    usage = min(cpu_seconds / (seconds * cores), 1.0) if seconds > 0 else 0.0
    power = (
        cores * config.core_power * usage
        + gpus * config.gpu_power
        + memory * MEMORY_POWER_W_PER_GB
    )
    energy = hosts * seconds / 3600 * power * config.pue / 1000
    return EnergyEstimate(
        energy=energy,
        carbon=energy * config.carbon_intensity / 1000,
        seconds=seconds,
        cores=cores,
        usage=usage,
        gpus=gpus,
        memory=memory,
        config=config,
        hosts=hosts,
    )


def _memory_gb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        # Not on Windows. A common size is nearer than nothing.
        return 16.0
