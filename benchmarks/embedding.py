"""Embedding on the CPU against this run's own matrix product, and one by one.

`python -m benchmarks.embedding SHARED` measures, with the bundled preset `macho` and
in one run: a large matrix product; forward passes of 64 full windows in every runtime
(PyTorch too, where it is installed) and in bfloat16; `embed` on real Catalina light
curves in every runtime against one object per call, as `light_curve.embed` does it with
an ONNX export of the same weights. It writes `embedding.json` and `embedding.md` beside
this script. Runtimes take turns, with a matrix product between them, so that all see the
same machine; floating-point operations are those of matrix products alone.
`SHARED/data/crts_labelled.parquet` holds columns id, mjd, mag and err.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnxruntime
import polars as pl
from light_curve.embed import Astromer2

from astromer import Astromer, EncoderConfig, LightCurve
from astromer.inference import embedding, runner
from astromer.inference.runtimes import Runtime
from astromer.pipeline import tile_windows
from benchmarks.ceilings import multiply_matrices, take_turns
from benchmarks.speed import CEILINGS, forward_flops

HERE = Path(__file__).parent
PRESET = "macho"
RUNTIMES: tuple[Runtime, ...] = ("keras", "onnx", "openvino")
BATCH_SIZE = 64
TARGETS = {"share_of_peak": 0.85, "over_one_by_one": 3.0, "bfloat16_speedup": 1.4}

Work = Callable[[], Any]


def full_windows(config: EncoderConfig) -> dict[str, np.ndarray]:
    """Return a batch of windows without padding."""
    rng = np.random.default_rng(0)
    shape = (BATCH_SIZE, config.window_size)
    return {
        "time": np.sort(rng.uniform(-500, 500, shape), axis=1).astype(np.float32),
        "mag": rng.normal(0.0, 0.3, shape).astype(np.float32),
        "valid": np.ones(shape, bool),
        "hidden": np.zeros(shape, bool),
    }


@contextlib.contextmanager
def on_torch(
    batch: dict[str, np.ndarray],
) -> Iterator[tuple[Work, np.ndarray] | None]:
    """Yield what runs a batch through the encoder on PyTorch, and what comes out.

    None where PyTorch is not installed. It has a process of its own, which waits while
    others have their turn.
    """
    if importlib.util.find_spec("torch") is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "batch.npz", Path(folder) / "out.npy"
        arrays: dict[str, Any] = dict(batch)
        np.savez(given, **arrays)
        module = "benchmarks.torch_forward"
        with subprocess.Popen(
            [sys.executable, "-m", module, PRESET, str(given), str(out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            lines_in, lines_out = process.stdin, process.stdout
            assert lines_in is not None
            assert lines_out is not None

            def wait_for(answer: str) -> None:
                found = lines_out.readline().strip()
                if found != answer:
                    raise RuntimeError(f"{module} has ended. Received: {found!r}.")

            def run() -> None:
                lines_in.write("again\n")
                lines_in.flush()
                wait_for("done")

            wait_for("ready")
            yield run, np.load(out)
            lines_in.close()


def measure_forward(models: dict[str, Astromer], repeats: int) -> dict[str, Any]:
    """Time forward passes of full windows, a matrix product in every round."""
    config = models["float32"].config
    batch = full_windows(config)
    last = (config.num_layers,)

    def compile_for(dtype: str, runtime: Runtime) -> Callable[..., np.ndarray]:
        encoder = models[dtype].encoder
        return runner.compiled(
            encoder,
            (last, True),
            lambda: embedding._network(encoder, last, pooled=True),  # noqa: SLF001 - as `embed` does
            runtime,
        )

    functions: dict[str, Callable[..., np.ndarray]] = {
        name: compile_for("float32", name) for name in RUNTIMES
    }
    functions["keras, bfloat16"] = compile_for("bfloat16", "keras")
    works: dict[str, Work] = {
        name: functools.partial(function, batch) for name, function in functions.items()
    }
    outputs = {name: work() for name, work in works.items()}
    with on_torch(batch) as peer:
        if peer is not None:
            works["torch"], outputs["torch"] = peer
        product = functools.partial(multiply_matrices, "float32")
        turns = take_turns(product, works, repeats)
    seconds = {name: statistics.median(times) for name, (times, _) in turns.items()}
    flops = BATCH_SIZE * forward_flops(config)
    shares = {
        name: statistics.median(
            flops / time / peak for time, peak in zip(times, peaks, strict=True)
        )
        for name, (times, peaks) in turns.items()
    }
    peaks = [peak for _, beside in turns.values() for peak in beside]
    return {
        "peak_gflops": round(statistics.median(peaks) / 1e9, 1),
        "gflop": round(flops / 1e9, 1),
        "rows": {
            name: {
                "seconds": round(value, 4),
                "windows_per_second": round(BATCH_SIZE / value, 1),
                "share_of_peak": round(shares[name], 3),
                "difference_from_keras": float(
                    np.abs(outputs[name] - outputs["keras"]).max()
                ),
            }
            for name, value in seconds.items()
        },
        "bfloat16_speedup": round(seconds["keras"] / seconds["keras, bfloat16"], 3),
    }


def read_curves(shared: Path, number: int) -> list[LightCurve]:
    """Return real light curves, spread over the whole file."""
    rows = pl.read_parquet(shared / "data" / "crts_labelled.parquet")
    rows = rows.gather_every(max(len(rows) // number, 1)).head(number)
    return [
        LightCurve(np.asarray(time), np.asarray(mag), np.asarray(error))
        for time, mag, error in rows.select("mjd", "mag", "err").iter_rows()
    ]


def one_by_one(model: Astromer, curves: list[LightCurve]) -> Callable[[], np.ndarray]:
    """Return what embeds one object per call, with an ONNX export of the weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = model.export_encoder(Path(folder) / "model.onnx").path
        session = onnxruntime.InferenceSession(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls itself experimental
        peer = Astromer2(session, output="mean")
    arrays = [(curve.time, curve.mag.astype(np.float64)) for curve in curves]
    return lambda: np.array([peer(*pair)[0, 0, 0] for pair in arrays])


def padding_cost(config: EncoderConfig, curves: list[LightCurve]) -> dict[str, float]:
    """Return operations over those without any padding: full windows, and ours."""
    size = tile_windows(curves, config.window_size).size
    least = sum(forward_flops(config, int(width)) for width in size)
    planned = sum(
        len(rows) * forward_flops(config, width)
        for rows, width in runner.batches_by_size(size, BATCH_SIZE, config.window_size)
    )
    full = len(size) * forward_flops(config)
    return {
        "windows": len(size),
        "full_windows": round(full / least, 3),
        "embed": round(planned / least, 3),
    }


def measure_embed(
    models: dict[str, Astromer], curves: list[LightCurve], repeats: int
) -> dict[str, Any]:
    """Time whole calls of `embed` on real light curves, and one object per call."""
    model = models["float32"]
    peer = one_by_one(model, curves)
    works: dict[str, Work] = {"one object per call": peer}
    works |= {
        f"embed, {name}": (
            functools.partial(embedding.embed, model, curves, runtime=name)
        )
        for name in RUNTIMES
    }
    works["embed, keras, bfloat16"] = functools.partial(
        embedding.embed, models["bfloat16"], curves
    )
    turns = take_turns(functools.partial(multiply_matrices, "float32"), works, repeats)
    seconds = {name: statistics.median(times) for name, (times, _) in turns.items()}
    exact = np.asarray(works["embed, keras"]())
    half = np.asarray(works["embed, keras, bfloat16"]())
    # The peer weighs all windows of an object alike: only single ones compare.
    single = np.array([len(curve) <= model.config.window_size for curve in curves])
    # About their mean: all embeddings have most of their length in common.
    mean = exact.mean(axis=0)
    a, b = exact - mean, half - mean
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    alone = seconds["one object per call"]
    return {
        "light_curves": len(curves),
        "observations": sum(map(len, curves)),
        "padding": padding_cost(model.config, curves),
        "rows": {
            name: {
                "seconds": round(value, 3),
                "light_curves_per_second": round(len(curves) / value, 1),
                "over_one_by_one": round(alone / value, 2),
            }
            for name, value in seconds.items()
        },
        "difference_from_one_by_one": float(np.abs(peer() - exact)[single].max()),
        "bfloat16": {
            "cosine_median": float(np.median(cosine)),
            "cosine_worst": float(cosine.min()),
            "largest_difference": float(np.abs(exact - half).max()),
        },
    }


def vector_units() -> str:
    """Name the vector instructions that decide how fast, where Linux tells."""
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.is_file() else set()
    known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return " ".join(flag for flag in known if flag in flags) or "unknown"


def write(report: dict[str, Any]) -> None:
    """Write both files."""
    (HERE / "embedding.json").write_text(json.dumps(report, indent=2) + "\n")
    forward, embed = report["forward"], report["embed"]
    versions = ", ".join(f"{k} {v}" for k, v in report["versions"].items())
    half = embed["bfloat16"]
    about = (
        f"`{report['command']}`; {report['machine']}; {versions}. Load average "
        f"{report['load_average'][0]:.1f} before and {report['load_average'][1]:.1f} "
        f"after. Preset `{PRESET}`. Medians; all take turns."
    )
    peak = (
        f"{forward['gflop']} GFLOP in matrix products, learned residuals included; "
        f"{CEILINGS['float32 product']} runs at {forward['peak_gflops']:.0f} GFLOP/s."
    )
    real = (
        f"{embed['light_curves']} Catalina light curves of {embed['observations']} "
        f"observations, {embed['padding']['windows']} windows. Full windows would cost "
        f"{embed['padding']['full_windows']:.2f} times what the observations alone "
        f"cost, `embed`'s batches {embed['padding']['embed']:.2f} times."
    )
    peer = (
        "One object per call is `light_curve.embed` on an ONNX export of the same "
        "weights, in ONNX Runtime; on light curves of one window it differs from "
        f"`embed` by {embed['difference_from_one_by_one']:.0e} at most."
    )
    precision = (
        f"bfloat16 is {forward['bfloat16_speedup']:.2f} times as fast as float32 here "
        f"(vector units: {report['vector_units']}). Its embeddings, less the mean of all, have a "
        f"cosine of {half['cosine_median']:.5f} with those in float32, {half['cosine_worst']:.5f} "
        "at worst."
    )
    lines = [
        "# Embedding",
        "",
        about,
        "",
        f"## {BATCH_SIZE} full windows",
        "",
        peak,
        "",
        "| Runtime | Seconds | Windows/s | Share of peak | Largest difference |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name} | {row['seconds']:.3f} | {row['windows_per_second']:.1f} | "
            f"{row['share_of_peak']:.2f} | {row['difference_from_keras']:.0e} |"
            for name, row in forward["rows"].items()
        ),
        "",
        "## Real light curves",
        "",
        real,
        "",
        "| | Seconds | Light curves/s | Over one per call |",
        "|---|---:|---:|---:|",
        *(
            f"| {name} | {row['seconds']:.2f} | {row['light_curves_per_second']:.1f} | "
            f"{row['over_one_by_one']:.2f} |"
            for name, row in embed["rows"].items()
        ),
        "",
        peer,
        "",
        precision,
    ]
    (HERE / "embedding.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    parser.add_argument("--curves", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    load = [os.getloadavg()[0]]
    models = {
        "float32": Astromer.from_pretrained(PRESET),
        "bfloat16": Astromer.from_pretrained(PRESET, dtype="mixed_bfloat16"),
    }
    curves = read_curves(options.shared, options.curves)
    forward = measure_forward(models, options.repeats)
    embed = measure_embed(models, curves, options.repeats)
    load.append(os.getloadavg()[0])
    packages = ["keras", "tensorflow", "onnxruntime", "openvino", "light-curve"]
    packages += ["torch"] if "torch" in forward["rows"] else []
    write(
        {
            "command": "python -m benchmarks.embedding SHARED",
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
            "vector_units": vector_units(),
            "versions": {
                "Python": platform.python_version(),
                **{name: version(name) for name in packages},
            },
            "repeats": options.repeats,
            "load_average": load,
            "targets": TARGETS,
            "forward": forward,
            "embed": embed,
        }
    )


if __name__ == "__main__":
    main()
