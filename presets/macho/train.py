"""Train the weights of this folder: `python presets/macho/train.py --help`.

Real light curves come from Parquet files with list columns (id, label, band, mjd, mag,
err), simulated ones from `astromer.simulate` on a MACHO cadence. The run is bounded by
wall time, so the learning rate follows the clock, a cosine to zero. It begins with a
shallow model on short windows and ends with the full one on full windows.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path

import keras
import numpy as np
import polars as pl
import tensorflow as tf

from astromer import Astromer
from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig, Reconstructor
from astromer.pipeline import load_dataset
from astromer.presets import describe_preset, load_preset, save_preset
from astromer.simulate import simulate_survey
from astromer.training import (
    R2,
    PretrainOptions,
    ReconstructionLoss,
    reconstruction_metrics,
)

MAX_MAG_ERR_MAG = 1.0
MIN_OBSERVATIONS = 20
WARM_UP_STEPS = 100


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the run: how deep a model, on how long windows, until when."""

    num_layers: int
    window_size: int
    until: float
    """Share of the whole time at which it ends."""


# Two blocks leave the plateau of predicting means within minutes, where six stay on it
# for an hour; short windows cost half and teach most.
STAGES = (Stage(2, 64, 0.15), Stage(6, 100, 0.65), Stage(6, 200, 1.0))


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

    def __init__(self, start: float, seconds: float, peak: float, log: Path) -> None:
        super().__init__()
        self.start, self.seconds, self.peak, self.log = start, seconds, peak, log
        self.until, self.step, self.reported = seconds, 0, 0.0

    def begin_stage(self, share: float) -> None:
        """Count steps anew and stop when this share of all time is over."""
        self.until, self.step = share * self.seconds, 0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        done = min((time.time() - self.start) / self.seconds, 1.0)
        # Every stage has a new optimizer, whose first steps are rough.
        warm_up = min(1.0, (self.step + 1) / WARM_UP_STEPS)
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
        if elapsed > self.until:
            self.model.stop_training = True


def grow(small: Reconstructor, num_layers: int, seed: int) -> Reconstructor:
    """Return a deeper model that starts from a trained one.

    New blocks start close to the identity, so that the deeper model goes on where the
    shallow one has stopped.
    """
    config = dataclasses.replace(small.config, num_layers=num_layers)
    large = Reconstructor(config, seed=seed)
    for layer in small.encoder.layers:
        large.encoder.get_layer(layer.name).set_weights(layer.get_weights())
    for name in ("head_norm", "head_dense"):
        large.get_layer(name).set_weights(small.get_layer(name).get_weights())
    return large


def load_data(
    arguments: argparse.Namespace,
) -> tuple[list[LightCurve], int, dict[str, list[LightCurve]]]:
    """Return light curves to train on, how many are real, and those kept aside."""
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
    validation["simulated_macho"] = simulated[:500]
    return curves + simulated[500:], num_real, validation


def score(
    model: Reconstructor, validation: dict[str, list[LightCurve]]
) -> dict[str, dict[str, float]]:
    """Return the metrics on each set that was kept aside, with one set of masks."""
    model.compile(loss=ReconstructionLoss(), metrics=reconstruction_metrics())
    scores = {}
    for name, curves in validation.items():
        dataset = load_dataset(curves, batch_size=64, seed=1, training=False)
        found = model.evaluate(dataset, verbose=0, return_dict=True)
        scores[name] = {key: round(float(value), 4) for key, value in found.items()}
    return scores


def run(arguments: argparse.Namespace) -> None:
    """Train stage by stage; leave weights, a log and `training.json` behind."""
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    log = out / "train.log"
    keras.utils.set_random_seed(arguments.seed)
    keras.config.set_dtype_policy(arguments.precision)

    curves, num_real, validation = load_data(arguments)
    message = f"{num_real} real and {len(curves) - num_real} simulated light curves\n"
    log.write_text(message)

    first = EncoderConfig.from_name("astromer2", num_layers=STAGES[0].num_layers)
    model, planned, stages = Reconstructor(first, seed=arguments.seed), STAGES, []
    if arguments.start:
        model = load_preset(arguments.start, Reconstructor)
        planned = [s for s in STAGES if s.num_layers == model.config.num_layers]
    start, cpu_start = time.time(), time.process_time()
    clock = Clock(start, arguments.minutes * 60, arguments.learning_rate, log)
    for stage in planned:
        if stage.num_layers != model.config.num_layers:
            model = grow(model, stage.num_layers, arguments.seed)
        optimizer = keras.optimizers.Adam(
            beta_1=0.9, beta_2=0.98, epsilon=1e-9, clipnorm=1.0
        )
        loss = ReconstructionLoss(arguments.loss)
        model.compile(optimizer, loss, metrics=[R2("hidden")])
        dataset = load_dataset(
            curves,
            window_size=stage.window_size,
            batch_size=arguments.batch_size,
            # With a start, other windows and masks than it has seen.
            seed=arguments.seed + (1 if arguments.start else 0),
            drop_remainder=True,
        ).repeat()
        clock.begin_stage(stage.until)
        model.fit(dataset, callbacks=[clock], verbose=0, steps_per_epoch=10**9)
        stages.append({**dataclasses.asdict(stage), "steps": clock.step})
        model.save_weights(out / f"stage_{len(stages)}.weights.h5")

    keras.config.set_dtype_policy("float32")
    final = Reconstructor(model.config, seed=arguments.seed)
    final.set_weights(model.get_weights())
    scores = score(final, validation)
    final.save_weights(out / "model.weights.h5")
    report = {
        "stages": stages,
        "batch_size": arguments.batch_size,
        "minutes": arguments.minutes,
        "cpu_minutes": round((time.process_time() - cpu_start) / 60, 1),
        "precision": arguments.precision,
        "learning_rate": arguments.learning_rate,
        "loss": arguments.loss,
        "seed": arguments.seed,
        "real_light_curves": num_real,
        "simulated_light_curves": arguments.simulated,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
        "scores": scores,
    }
    if arguments.start:
        started = describe_preset(arguments.start)
        report["start"] = {"preset": started.name, **started.metadata["training"]}
    (out / "training.json").write_text(json.dumps(report, indent=1) + "\n")


def publish(run_folder: Path, preset: Path) -> None:
    """Turn a finished run into the preset, whose card is the `README.md` in its folder.

    `scores.json` in the run's folder, from the benchmarks, goes into the metadata.
    """
    report = json.loads((run_folder / "training.json").read_text())
    model = Astromer(EncoderConfig.from_name("astromer2"), name="astromer_macho")
    model.load_weights(run_folder / "model.weights.h5")
    scores = json.loads((run_folder / "scores.json").read_text())
    metadata = {
        "survey": "MACHO (simulated cadence), ASAS, Catalina",
        "description": "astromer2 trained by this project on a CPU: a start, no record",
        "provenance": "our own training run; not the authors' weights",
        "license": "MIT",
        "citation": "Donoso-Oliva et al. (2026), Astromer 2; and this package",
        "objective": PretrainOptions(loss=report["loss"]).objective,
        "metrics": {**report.pop("scores"), **scores},
        "training": report,
    }
    card = (preset / "README.md").read_text()
    save_preset(model, preset, metadata=metadata, card=card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="Parquet files")
    parser.add_argument("--held-out", type=Path, required=True, help="JSON list of ids")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--publish", type=Path, help="write the preset here at the end")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--simulated", type=int, default=12_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--loss", default="scaled", help="of `PretrainOptions`")
    parser.add_argument("--start", metavar="PRESET", help="take its weights to begin")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not (arguments.out / "training.json").is_file():
        run(arguments)
    if arguments.publish:
        publish(arguments.out, arguments.publish)


if __name__ == "__main__":
    main()
