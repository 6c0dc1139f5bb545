"""What a result belongs to: the machine, how busy it was, and the versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["describe_machine", "describe_versions"]

PACKAGES = (
    "astromer",
    "keras",
    "tensorflow",
    "numpy",
    "polars",
    "onnxruntime",
    "openvino",
)


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory [GiB], system and load average."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory() / 2**30, 1),
        "platform": platform.platform(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        for candidate in (name, f"{name}-cpu"):
            try:
                found[name] = version(candidate)
            except PackageNotFoundError:
                continue
            break
    return found


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line for line in text.splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
