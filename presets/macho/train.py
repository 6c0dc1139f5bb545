"""Train the weights of this folder: `python presets/macho/train.py --help`.

Real light curves come from Parquet files with list columns (id, label, band, mjd, mag,
err), simulated ones from `astromer.simulate` on a MACHO cadence. The run is bounded by
wall time, so the learning rate follows the clock: warm-up, then a cosine to zero.
Windows are short at first, where a step costs half, and of full size at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import time
from pathlib import Path

import keras
import numpy as np
import polars as pl
import tensorflow as tf

from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig, Reconstructor
from astromer.pipeline import load_dataset
from astromer.simulate import simulate_survey
from astromer.training import R2, ReconstructionLoss, reconstruction_metrics

MAX_MAG_ERR_MAG = 1.0
MIN_OBSERVATIONS = 20


def read_parquet(path: Path) -> list[LightCurve]:
    """Read light curves, dropping what is not finite or has an error beyond (0, 1)."""
    curves = []
    columns = ["id", "label", "band", "mjd", "mag", "err"]
    for object_id, name, band, *values in (
        pl.read_parquet(path).select(columns).iter_rows()
    ):
        rows = np.array(values, dtype=np.float64)
        keep = np.isfinite(rows).all(axis=0)
        keep &= (rows[2] > 0) & (rows[2] < MAX_MAG_ERR_MAG)
        if keep.sum() >= MIN_OBSERVATIONS:
            curves.append(
                LightCurve(
                    *rows[:, keep], passband=band, object_id=object_id, class_name=name
                )
            )
    return curves


class Clock(keras.callbacks.Callback):
    """Set the learning rate by the time spent, stop when it is over, keep a log."""

    def __init__(
        self, start: float, minutes: float, share: float, peak: float, log: Path
    ) -> None:
        super().__init__()
        self.start, self.seconds = start, minutes * 60
        self.share, self.peak, self.log = share, peak, log
        self.step, self.reported = 0, 0.0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        done = min((time.time() - self.start) / self.seconds, 1.0)
        warm_up = min(1.0, done / 0.02)
        rate = self.peak * warm_up * 0.5 * (1 + math.cos(math.pi * done))
        self.model.optimizer.learning_rate = max(rate, 1e-7)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.step += 1
        elapsed = time.time() - self.start
        if elapsed - self.reported > 30:
            self.reported = elapsed
            scores = {k: round(float(v), 4) for k, v in (logs or {}).items()}
            with open(self.log, "a") as stream:
                stream.write(f"{elapsed:.0f} s step {self.step} {scores}\n")
            self.model.reset_metrics()
        if elapsed > self.share * self.seconds:
            self.model.stop_training = True
            raise StopIteration


def run(arguments: argparse.Namespace) -> None:
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    log = out / "train.log"
    keras.utils.set_random_seed(arguments.seed)
    keras.config.set_dtype_policy(arguments.precision)

    held_out = set(json.loads(arguments.held_out.read_text()))
    curves, validation = [], {}
    for path in arguments.data:
        real = read_parquet(path)
        kept = [c for c in real if c.object_id not in held_out]
        aside = [c for c in real if c.object_id in held_out]
        if not aside:
            kept, aside = kept[:-500], kept[-500:]
        curves += kept
        validation[path.stem] = aside[:500]
    num_real = len(curves)
    simulated = simulate_survey(
        arguments.simulated + 500, seed=arguments.seed, survey="macho"
    )
    curves += simulated[500:]
    validation["simulated_macho"] = simulated[:500]
    message = f"{num_real} real and {len(curves) - num_real} simulated light curves\n"
    log.write_text(message)

    model = Reconstructor(EncoderConfig.from_name("astromer2"), seed=arguments.seed)
    optimizer = keras.optimizers.Adam(
        arguments.learning_rate, beta_1=0.9, beta_2=0.98, epsilon=1e-9, clipnorm=1.0
    )
    model.compile(optimizer, ReconstructionLoss(), metrics=[R2("hidden")])
    start, steps = time.time(), {}
    for window_size, share in (
        (arguments.short_window, arguments.short_share),
        (200, 1.0),
    ):
        dataset = load_dataset(
            curves,
            window_size=window_size,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
            drop_remainder=True,
        ).repeat()
        clock = Clock(start, arguments.minutes, share, arguments.learning_rate, log)
        with contextlib.suppress(StopIteration):
            model.fit(dataset, callbacks=[clock], verbose=0, steps_per_epoch=10**9)
        steps[window_size] = clock.step
        model.save_weights(out / f"window_{window_size}.weights.h5")

    keras.config.set_dtype_policy("float32")
    final = Reconstructor(model.config, seed=arguments.seed)
    final.set_weights(model.get_weights())
    final.compile(loss=ReconstructionLoss(), metrics=reconstruction_metrics())
    scores = {}
    for name, some in validation.items():
        dataset = load_dataset(some, batch_size=64, seed=1, training=False)
        scores[name] = {
            key: round(float(value), 4)
            for key, value in final.evaluate(
                dataset, verbose=0, return_dict=True
            ).items()
        }
        with open(log, "a") as stream:
            stream.write(f"{name}: {scores[name]}\n")
    final.save_weights(out / "model.weights.h5")
    report = {
        "steps": steps,
        "batch_size": arguments.batch_size,
        "minutes": arguments.minutes,
        "precision": arguments.precision,
        "learning_rate": arguments.learning_rate,
        "seed": arguments.seed,
        "real_light_curves": num_real,
        "simulated_light_curves": arguments.simulated,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
        "scores": scores,
    }
    (out / "training.json").write_text(json.dumps(report, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="Parquet files")
    parser.add_argument("--held-out", type=Path, required=True, help="JSON list of ids")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--simulated", type=int, default=12_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--short-window", type=int, default=100)
    parser.add_argument("--short-share", type=float, default=0.6)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
