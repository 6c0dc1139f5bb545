"""Train the weights of this folder: `python presets/macho-period/train.py --help`.

Those of `presets/mini` as well, with another `--encoder` and the signature of a preset
that has one (`--signature-of`).

Real light curves come from Parquet files with list columns (id, label, band, mjd, mag,
err), simulated ones from `astromer.simulate` on four surveys' cadences. The run is
bounded by wall time, so the learning rate follows the clock, a cosine to zero. Weights
are written every few minutes.
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

from astromer import Astromer
from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig, Reconstructor
from astromer.pipeline import MaskingConfig, load_dataset
from astromer.presets import describe_preset, load_preset, save_preset
from astromer.simulate import iterate_survey
from astromer.training import R2, PretrainOptions, ReconstructionLoss, SignatureOptions

MAX_MAG_ERR_MAG = 1.0
MIN_OBSERVATIONS = 20
WARM_UP_STEPS = 200
CADENCES = ("macho", "atlas", "ogle", "ztf")
STAGES = ((256, 32, 0.6, 0.6), (512, 16, 0.5, 1.0))
"""Observations per window, windows per batch, share of observations that are probed,
share of the time at which it ends."""


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

    def __init__(self, seconds: float, peak: float, out: Path) -> None:
        super().__init__()
        self.start, self.seconds, self.peak, self.out = time.time(), seconds, peak, out
        self.until, self.step, self.reported, self.saved = seconds, 0, 0.0, 0.0

    def begin_stage(self, share: float) -> None:
        """Count steps anew and stop when this share of all time is over."""
        self.until, self.step = share * self.seconds, 0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        done = min((time.time() - self.start) / self.seconds, 1.0)
        # Every stage has a new optimizer, whose first steps are rough.
        warm_up = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        rate = self.peak * warm_up * 0.5 * (1 + math.cos(math.pi * done))
        self.model.optimizer.learning_rate = max(rate, 1e-6)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.step += 1
        elapsed = time.time() - self.start
        if elapsed - self.reported > 60:
            self.reported = elapsed
            scores = {k: round(float(v), 4) for k, v in (logs or {}).items()}
            with open(self.out / "train.log", "a") as stream:
                stream.write(
                    f"{elapsed:.0f} s ({time.process_time():.0f} s of the processor) "
                    f"step {self.step} {scores}\n"
                )
            self.model.reset_metrics()
        if elapsed - self.saved > 300:
            self.saved = elapsed
            self.model.save_weights(self.out / "last.weights.h5")
        if elapsed > self.until:
            self.model.stop_training = True


def load_data(arguments: argparse.Namespace) -> tuple[list[LightCurve], int]:
    """Return light curves to train on, and how many of them are real."""
    held_out = set(json.loads(arguments.held_out.read_text()))
    curves = [
        curve
        for path in arguments.data
        for curve in read_parquet(path)
        if curve.object_id not in held_out
    ]
    num_real = len(curves)
    for number, survey in enumerate(CADENCES):
        curves += iterate_survey(
            arguments.simulated // len(CADENCES),
            survey=survey,
            seed=arguments.seed + number,
        )
    return curves, num_real


def run(arguments: argparse.Namespace) -> None:
    """Train stage by stage; leave weights, a log and `training.json` behind."""
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(arguments.seed)
    curves, num_real = load_data(arguments)
    options = {**json.loads(arguments.encoder), "signature_dim": 0}
    config = EncoderConfig.from_name("astromer_period", **options)
    model = Reconstructor(config, seed=arguments.seed, dtype=arguments.precision)
    if arguments.start:
        copy_weights(load_preset(arguments.start, Reconstructor), model)
    (out / "train.log").write_text(
        f"{num_real} real and {len(curves) - num_real} simulated light curves, "
        f"{model.count_params()} parameters\n"
    )
    clock, stages = Clock(arguments.minutes * 60, arguments.learning_rate, out), []
    for window_size, batch_size, probed, until in STAGES:
        optimizer = keras.optimizers.AdamW(weight_decay=0.01, global_clipnorm=1.0)
        learned = objective(arguments.whole_nights, probed)
        loss = ReconstructionLoss(learned.loss)
        model.compile(optimizer, loss, metrics=[R2("hidden")])
        dataset = load_dataset(
            curves,
            window_size=window_size,
            batch_size=batch_size,
            masking=learned.masking,
            seed=arguments.seed + len(stages),
            repeat=True,
            training=True,
        )
        clock.begin_stage(until)
        model.fit(dataset, callbacks=[clock], verbose=0, steps_per_epoch=10**9)
        stages.append(
            {"window_size": window_size, "batch": batch_size, "steps": clock.step}
        )
        model.save_weights(out / f"stage_{len(stages)}.weights.h5")
    report = {
        "stages": stages,
        "minutes": arguments.minutes,
        "cpu_minutes": round(time.process_time() / 60, 1),
        "learning_rate": arguments.learning_rate,
        "whole_nights": arguments.whole_nights,
        "precision": arguments.precision,
        "seed": arguments.seed,
        "real_light_curves": num_real,
        "simulated_light_curves": len(curves) - num_real,
        "encoder": config.to_dict(),
        "versions": {"keras": keras.__version__},
    }
    if arguments.start:
        started = describe_preset(arguments.start)
        report["start"] = {"preset": started.name, **started.metadata["training"]}
    (out / "training.json").write_text(json.dumps(report, indent=1) + "\n")


def objective(whole_nights: float, probed: float = STAGES[-1][2]) -> PretrainOptions:
    """Return what is learned; in the last stage if nothing else is said."""
    masking = MaskingConfig(
        probed_fraction=probed,
        visible_fraction=0.1,
        random_fraction=0.0,
        whole_nights=whole_nights,
    )
    return PretrainOptions(loss="scaled", masking=masking)


def sign(arguments: argparse.Namespace) -> None:
    """Add a signature to what was trained; leave `signed.weights.h5` behind."""
    out = arguments.out
    report = json.loads((out / "training.json").read_text())
    plain = Reconstructor(EncoderConfig.from_dict(report["encoder"]))
    plain.load_weights(out / f"stage_{len(report['stages'])}.weights.h5")
    options = {
        **report["encoder"],
        "window_size": arguments.window_size,
        "description": True,
        "signature_dim": arguments.signature_dim,
    }
    model = Astromer(EncoderConfig.from_dict(options))
    copy_weights(plain, model)
    report["encoder"] = model.config.to_dict()
    if arguments.signature_of:
        report["signature"] = copy_signature(arguments.signature_of, model)
    else:
        report["signature"] = train_signature(arguments, model)
    model.save_weights(out / "signed.weights.h5")
    (out / "signed.json").write_text(json.dumps(report, indent=1) + "\n")


def copy_signature(preset: str, model: Reconstructor) -> dict:
    """Copy the signature of a preset, whose descriptions must be the same.

    Returns what that preset's report says of it.
    """
    source = load_preset(preset, Reconstructor)
    names = ("num_periods", "period_harmonics", "max_frequency", "num_frequencies")
    names += ("outlier_limit", "signature_dim", "signature_units", "window_size")
    for name in names:
        theirs, ours = getattr(source.config, name), getattr(model.config, name)
        if theirs != ours:
            raise SystemExit(f"{preset} has {name}={theirs}. Received: {name}={ours}.")
    weights = source.encoder.get_layer("signature").get_weights()
    model.encoder.get_layer("signature").set_weights(weights)
    reported = describe_preset(preset).metadata.get("training", {})
    return {"of": preset, **reported.get("signature", {})}


def train_signature(arguments: argparse.Namespace, model: Astromer) -> dict:
    """Train a signature; return what the report says of it.

    Classes are known of simulated light curves alone.
    """
    curves, num_real = load_data(arguments)
    curves[:num_real] = [
        dataclasses.replace(curve, class_name=None) for curve in curves[:num_real]
    ]
    start, cpu_start = time.time(), time.process_time()
    options = SignatureOptions(
        steps=arguments.signature_steps,
        class_weight=arguments.class_weight,
        seed=arguments.seed,
    )
    losses = model.fit_signature(
        curves, views=arguments.views, **dataclasses.asdict(options)
    )
    return {
        "views": arguments.views,
        **dataclasses.asdict(options),
        "loss": round(float(losses[-100:].mean()), 3),
        "minutes": round((time.time() - start) / 60, 1),
        "cpu_minutes": round((time.process_time() - cpu_start) / 60, 1),
        "real_light_curves": num_real,
        "simulated_light_curves": len(curves) - num_real,
    }


def copy_weights(plain: Reconstructor, model: Reconstructor) -> None:
    """Copy all but a signature, which one of them may not have."""
    for source, target in ((plain, model), (plain.encoder, model.encoder)):
        for layer in source.layers:
            if layer.weights and layer.name not in (plain.encoder.name, "signature"):
                target.get_layer(layer.name).set_weights(layer.get_weights())


def publish(run_folder: Path, preset: Path, description: str) -> None:
    """Turn a finished run into the preset, whose card is the `README.md` in its folder.

    `scores.json` in the run's folder, from the benchmarks, goes into the metadata.
    """
    report = json.loads((run_folder / "signed.json").read_text())
    config = EncoderConfig.from_dict(report["encoder"])
    model = Astromer(config, name=f"astromer_{preset.name.replace('-', '_')}")
    model.load_weights(run_folder / "signed.weights.h5")
    metadata = {
        "survey": "ASAS, Catalina; MACHO, ATLAS, OGLE and ZTF (simulated cadences)",
        "description": f"{description}; trained by this project on a CPU",
        "provenance": "our own training run",
        "license": "MIT",
        "citation": "Donoso-Oliva et al. (2026), Astromer 2; and this package",
        "training": report,
        "objective": objective(report.get("whole_nights", 0.0)).objective,
        "metrics": json.loads((run_folder / "scores.json").read_text()),
    }
    card = (preset / "README.md").read_text()
    save_preset(model, preset, metadata=metadata, card=card)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="Parquet files")
    parser.add_argument("--held-out", type=Path, required=True, help="JSON list of ids")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--simulated", type=int, default=12_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--encoder", default="{}", help="options as JSON")
    parser.add_argument("--start", metavar="PRESET", help="take its weights to begin")
    parser.add_argument(
        "--whole-nights",
        type=float,
        default=0.0,
        help="share of the windows of which whole nights are hidden",
    )
    parser.add_argument("--publish", type=Path, help="write the preset here at the end")
    parser.add_argument(
        "--description",
        default="each observation knows its phase at the periods that the light curve "
        "shows",
        help="of the preset, in its list",
    )
    parser.add_argument("--window-size", type=int, default=512, help="of the preset")
    parser.add_argument("--signature-of", metavar="PRESET", help="take its signature")
    parser.add_argument("--signature-dim", type=int, default=128)
    parser.add_argument("--signature-steps", type=int, default=2500)
    parser.add_argument("--views", type=int, default=4, help="of each light curve")
    parser.add_argument("--class-weight", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not (arguments.out / "training.json").is_file():
        run(arguments)
    if not (arguments.out / "signed.json").is_file():
        sign(arguments)
    if arguments.publish:
        publish(arguments.out, arguments.publish, arguments.description)


if __name__ == "__main__":
    main()
