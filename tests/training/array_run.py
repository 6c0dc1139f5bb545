"""Whole runs on arrays, without TensorFlow. Run as a script, on JAX with two devices.

`python -m tests.training.array_run RECORDS FOLDER` prints what came of them.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.modules["tensorflow"] = None  # type: ignore[assignment]

OPTIONS: dict[str, Any] = {
    "batch_size": 8,
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    "decay_epochs": 2,
    "epsilon": 1e-3,
}
ENCODER = {
    "num_layers": 1,
    "num_heads": 2,
    "head_dim": 4,
    "hidden_dim": 8,
    "intermediate_dim": 6,
    "window_size": 8,
    "dropout": 0.2,
}


def interrupt_at(step: int) -> Any:
    """Return a progress that interrupts this process after so many batches."""
    calls = []

    def progress(
        stage: str, done: int, total: int, unit: str, detail: str = ""
    ) -> None:
        if "loss" in detail:
            calls.append(done)
            if len(calls) == step:
                signal.raise_signal(signal.SIGINT)

    return progress


def main(records: Path, folder: Path) -> None:
    """Train in one go, in two parts, interrupted, on one device, and on bad data."""
    from astromer.cli import main as command

    table = [f"{name} = {value}" for name, value in OPTIONS.items()]
    table += ["[encoder]", *(f"{name} = {value}" for name, value in ENCODER.items())]
    (folder / "options.toml").write_text("\n".join(table))
    command_line = ["pretrain", str(records), "--out", str(folder / "whole")]
    command_line += ["--config", str(folder / "options.toml"), "--epochs", "2"]
    code = command([*command_line, "--backend", "jax"])

    import keras
    import numpy as np

    from astromer.errors import AstromerError
    from astromer.records import read_records
    from astromer.training import pretrain

    results: dict[str, Any] = {"code": code, "backend": keras.backend.backend()}

    def train(name: str, source: Any = records, **changes: Any) -> Any:
        options = {**OPTIONS, "epochs": 2, **changes}
        try:
            result = pretrain(source, folder / name, config=ENCODER, **options)
        except (AstromerError, KeyboardInterrupt) as error:
            return str(error)
        return result.history

    train("parts", epochs=1)
    results["parts"] = train("parts", resume=True)
    results["interrupted"] = train("cut", progress=interrupt_at(4))
    results["cut"] = train("cut", resume=True)
    results["one"] = train("one", devices=["CPU:1"])
    results["uneven"] = train("uneven", batch_size=9)
    results["three"] = train("three", devices=3)
    results["hosts"] = train("hosts", strategy="multiworker")

    curves = [*read_records(records, split="train")][:8]
    # Magnitudes that no light curve may have, whose squares no float32 holds.
    huge = np.full(len(curves[3].time), -1e30, np.float32)
    huge[::2] = 1e30
    object.__setattr__(curves[3], "mag", huge)
    changes = {"monitor": "loss", "devices": 1, "epochs": 9, "decay_epochs": 9}
    results["bad"] = train("bad", {"train": curves}, **changes)
    results["bad ids"] = sorted(curve.object_id for curve in curves)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
