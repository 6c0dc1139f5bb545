"""A training step of `astromer2`, against the machine's own peak, in one run.

`python benchmarks/train_step.py` measures a large matrix product, the step on a batch
that lies in memory, and the step with `load_dataset` in front of it, and writes
`train_step.json` and `train_step.md` beside this script. Floating-point operations are
those of matrix products alone: a step is counted as three forward passes.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from astromer import Astromer, EncoderConfig, load_dataset, simulate_survey
from astromer.training import Adam

HERE = Path(__file__).parent
BATCH_SIZE = 64
REPEATS = 3
STEPS = 6
MATRIX = 4096
TARGET = 0.65


def forward_flops(config: EncoderConfig, windows: int) -> float:
    """Count the operations of all matrix products of a forward pass."""
    units = config.num_heads * config.head_dim
    dense = 4 * config.hidden_dim * units
    dense += 2 * config.hidden_dim * config.intermediate_dim
    if config.residual == "dense":
        dense += 2 * config.hidden_dim**2
    attention = 2 * config.window_size * units
    tokens = windows * config.window_size
    return 2.0 * tokens * config.num_layers * (dense + attention)


def seconds_of(work: Callable[[], object]) -> float:
    """Median over repeats, after one that compiles."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_peak() -> float:
    """Operations per second of a large float32 matrix product."""
    a = tf.random.stateless_normal((MATRIX, MATRIX), seed=(0, 1))
    product = tf.function(lambda x: tf.linalg.trace(x @ x))
    return 2.0 * MATRIX**3 / seconds_of(lambda: product(a).numpy())


def main() -> None:
    """Measure and write both files."""
    curves = simulate_survey(640, seed=0)
    long = [curve for curve in curves if len(curve) >= 200]
    batches = load_dataset(
        long, training=True, repeat=True, batch_size=BATCH_SIZE, seed=0
    )
    same = tf.data.Dataset.from_tensors(next(iter(batches))).repeat()
    results = {}
    peak = [measure_peak()]
    for name, data in (("batch in memory", same), ("load_dataset", batches)):
        keras.backend.clear_session()
        model = Astromer(EncoderConfig(), seed=0)
        model.compile(Adam(1e-4), jit_compile=False)
        results[name] = (
            seconds_of(
                lambda model=model, data=data: model.fit(
                    data, steps_per_epoch=STEPS, verbose=0
                )
            )
            / STEPS
        )
    peak.append(measure_peak())
    flops = 3 * forward_flops(EncoderConfig(), BATCH_SIZE)
    mean_peak = statistics.mean(peak)
    rows = {
        name: {
            "seconds_per_step": round(seconds, 3),
            "windows_per_second": round(BATCH_SIZE / seconds, 1),
            "share_of_peak": round(flops / seconds / mean_peak, 3),
        }
        for name, seconds in results.items()
    }
    cost = results["load_dataset"] / results["batch in memory"] - 1
    report = {
        "command": "python benchmarks/train_step.py",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("keras", "tensorflow")},
        },
        "batch_size": BATCH_SIZE,
        "peak_gflops_before_and_after": [round(value / 1e9, 1) for value in peak],
        "step_gflop": round(flops / 1e9, 1),
        "target_share_of_peak": TARGET,
        "steps": rows,
        "cost_of_input": round(cost, 4),
    }
    (HERE / "train_step.json").write_text(json.dumps(report, indent=2) + "\n")
    about = (
        f"`{report['command']}`; {report['machine']}; Python {platform.python_version()}, "
        f"Keras {version('keras')}, TensorFlow {version('tensorflow')}; `astromer2`, float32, "
        f"{BATCH_SIZE} windows of 200; {report['step_gflop']} GFLOP a step, three times the "
        "matrix products of a forward pass, learned residuals included. Peak is a matrix "
        f"product of {MATRIX}: {peak[0] / 1e9:.0f} GFLOP/s before and "
        f"{peak[1] / 1e9:.0f} after."
    )
    lines = [
        "# A training step against the machine's peak",
        "",
        about,
        "",
        "| Data | Seconds per step | Windows/s | Share of peak |",
        "|---|---:|---:|---:|",
        *(
            f"| {name} | {row['seconds_per_step']:.2f} | {row['windows_per_second']:.1f} "
            f"| {row['share_of_peak']:.2f} |"
            for name, row in rows.items()
        ),
        "",
        f"The input pipeline costs {100 * cost:.1f} %.",
    ]
    (HERE / "train_step.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
