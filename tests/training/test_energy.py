import os

import pytest

from astromer.errors import ConfigError
from astromer.training import EnergyConfig
from astromer.training.energy import estimate_energy


def test_estimate_equals_the_formula_by_hand(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    config = EnergyConfig(
        core_power=10.0, gpu_power=250.0, memory=64.0, pue=1.5, carbon_intensity=400.0
    )
    # Two hours; half of the time of four cores; two accelerators.
    estimate = estimate_energy(7_200.0, 14_400.0, gpus=2, config=config)
    watts = 4 * 10 * 0.5 + 2 * 250 + 64 * 0.3725
    assert estimate.usage == 0.5
    assert estimate.energy == pytest.approx(2 * watts * 1.5 / 1_000)
    assert estimate.carbon == pytest.approx(2 * watts * 1.5 / 1_000 * 0.4)
    assert estimate.formula == (
        "2 h x (4 cores x 10 W x 0.50 + 2 x 250 W + 64 GB x 0.3725 W) x 1.5 = "
        "1.63e+03 Wh; x 400 g/kWh = 653 g CO2e"
    )


def test_defaults_are_those_of_green_algorithms():
    # Any processor 12 W a core, any GPU 200 W, world averages of PUE and electricity.
    assert EnergyConfig() == EnergyConfig(
        core_power=12.0, gpu_power=200.0, memory=None, pue=1.67, carbon_intensity=475.0
    )


def test_memory_is_asked_of_the_machine():
    with open("/proc/meminfo") as facts:
        kilobytes = float(facts.readline().split()[1])
    estimate = estimate_energy(60.0, 30.0, config=EnergyConfig())
    assert estimate.memory == pytest.approx(kilobytes * 1024 / 1e9, rel=1e-3)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("core_power", 100.0),
        ("gpu_power", 100.0),
        ("memory", 1.0),
        ("pue", 1.0),
        ("carbon_intensity", 30.0),
    ],
)
def test_each_assumption_changes_the_carbon(option, value):
    def carbon(**options):
        config = EnergyConfig(**options)
        return estimate_energy(60.0, 30.0, gpus=1, config=config).carbon

    assert carbon(**{option: value}) != carbon()


def test_run_of_no_time_draws_nothing_and_cores_are_used_once():
    assert estimate_energy(0.0, 0.0, config=EnergyConfig()).energy == 0.0
    assert estimate_energy(1.0, 1e9, config=EnergyConfig()).usage == 1.0


@pytest.mark.parametrize("value", [-1.0, float("inf"), "12", True, None])
def test_assumption_that_is_no_number_is_refused(value):
    with pytest.raises(ConfigError, match="pue"):
        EnergyConfig(pue=value)
