"""Every stage of the road, and what the same run says is the limit."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import astromer  # noqa: F401 - sets what TensorFlow reads when it is imported
from benchmarks import ceilings
from benchmarks.data import write_table
from benchmarks.timing import Process, median, run_astromer, run_process

__all__ = [
    "BENCHMARKS",
    "CEILINGS",
    "ONLY_BY_NAME",
    "Measurement",
    "Setting",
    "forward_flops",
    "run",
]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LENGTH: Final = 220
"""Observations per generated light curve where windows are cut from it."""
PASSES: Final = 3
"""Over the light curves per repeat: the few batches made ahead must not count for much."""
WINDOW: Final = 200
BATCH: Final = 64
BYTES_PER_OBSERVATION: Final = 16
BYTES_PER_POSITION: Final = 19
"""Of a batch: three float32 values and the weight's, and three booleans."""


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """How much is measured."""

    quick: bool = False
    """Whether a twentieth of the work, once, is enough to see that all of it runs."""

    @property
    def repeats(self) -> int:
        """Times that each piece of work is measured."""
        return 1 if self.quick else 3

    def scaled(self, number: int) -> int:
        """Return an amount of work."""
        return max(1, number // 20) if self.quick else number


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the results."""

    name: str
    """What was measured, e.g. ``"windows, batch 64"``."""
    unit: str
    """Unit of the values: ``"s"``, or something per second."""
    values: list[float]
    """All repeats."""
    ceilings: list[float] | None = None
    """The limit beside each repeat, in the same unit, if there is one."""
    ceiling_name: str = ""
    """What the limit is: a name in `CEILINGS`."""
    target: float | None = None
    """What is aimed at, in units of `target_of`."""
    target_of: str = "median"
    """``"median"`` or ``"share"``: whether the target is absolute or relative."""
    peak_mib: int | None = None
    """Peak memory [MiB] of a process of its own, where it has one."""

    @property
    def median(self) -> float:
        """Median over repeats."""
        return median(self.values)

    @property
    def less_is_better(self) -> bool:
        """Whether the values are times."""
        return self.unit == "s"

    @property
    def share(self) -> float | None:
        """Share of the ceiling that is reached, a median over repeats: 1 is the limit."""
        if self.ceilings is None:
            return None
        pairs = zip(self.values, self.ceilings, strict=True)
        if self.less_is_better:
            return median([ceiling / value for value, ceiling in pairs])
        return median([value / ceiling for value, ceiling in pairs])

    @property
    def met(self) -> bool | None:
        """Whether the target is met, if there is one."""
        if self.target is None:
            return None
        if self.target_of == "share":
            return self.share is not None and self.share >= self.target
        if self.less_is_better:
            return self.median <= self.target
        return self.median >= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with the derived ones."""
        return {
            **dataclasses.asdict(self),
            "median": self.median,
            "share": self.share,
            "met": self.met,
        }


CEILINGS: Final = {
    "bare Python": "`python -c pass`",
    "read + write": "polars' bare read of the same CSV, and a copy of the records",
    "write": "a copy of the records",
    "memory copy": "one copy in memory of what a window is made from and of itself",
    "float32 product": f"a {ceilings.MATRIX}-square matrix product in float32",
    "bfloat16 product": f"a {ceilings.MATRIX}-square matrix product in bfloat16",
}
"""What the ceilings are, by their short names."""

Benchmark = Callable[[Setting, Path], Iterator[Measurement]]


def start(setting: Setting, work: Path) -> Iterator[Measurement]:
    """Measure how long commands and imports take before they do anything."""
    del work
    python = sys.executable
    bare = [run_process([python, "-c", "pass"]).seconds for _ in range(5)]
    repeats = 3 * setting.repeats
    for name, arguments, target in (
        ("astromer --help", ["--help"], 0.3),
        ("astromer inspect", ["inspect", "records"], None),
    ):
        times = [run_astromer(*arguments).seconds for _ in range(repeats)]
        limits = [median(bare)] * len(times)
        yield Measurement(name, "s", times, limits, "bare Python", target=target)
    code = (
        "import time; import tensorflow; start = time.perf_counter();"
        "from astromer import Astromer; Astromer.from_pretrained('macho');"
        "print(time.perf_counter() - start)"
    )
    times = [
        float(run_process([python, "-c", code]).output) for _ in range(setting.repeats)
    ]
    yield Measurement("from_pretrained, beyond TensorFlow", "s", times, target=0.5)


def convert(setting: Setting, work: Path) -> Iterator[Measurement]:
    """Measure a long CSV to records, sorted by object and shuffled."""
    num_curves = setting.scaled(30_000)
    for order, shuffled in (("by object", False), ("shuffled", True)):
        path, out = work / "curves.csv", work / "records"
        write_table(path, num_curves, LENGTH, shuffled=shuffled)
        rows = num_curves * LENGTH
        runs, reads = [], [ceilings.read_with_polars(path, 1)]
        for _ in range(setting.repeats):
            shutil.rmtree(out, ignore_errors=True)
            runs.append(_convert(path, out, jobs=1))
            reads.append(ceilings.read_with_polars(path, 1))
        disk = ceilings.copy_on_disk(out, work, setting.repeats)
        yield Measurement(
            f"convert, {order}",
            "rows/s",
            [rows / seconds for seconds, _ in runs],
            [rows / (sum(pair) / 2 + disk) for pair in itertools.pairwise(reads)],
            "read + write",
            target=1 / 3,
            target_of="share",
            peak_mib=max(process.peak_mib for _, process in runs),
        )
        path.unlink()
        shutil.rmtree(out)


def _convert(path: Path, out: Path, jobs: int) -> tuple[float, Process]:
    """Convert in a new process; return the seconds of the call alone, too."""
    code = (
        "import sys, time; from astromer import convert; start = time.perf_counter();"
        "convert('table', sys.argv[1], sys.argv[2], jobs=int(sys.argv[3]));"
        "print(time.perf_counter() - start)"
    )
    process = run_process([sys.executable, "-c", code, str(path), str(out), str(jobs)])
    return float(process.output), process


def windows(setting: Setting, work: Path) -> Iterator[Measurement]:
    """Measure masked windows of uncompressed records, without a model."""
    from astromer import convert as convert_files
    from astromer import load_dataset

    path, out = work / "curves.csv", work / "records"
    num_curves = setting.scaled(30_000)
    write_table(path, num_curves, LENGTH)
    convert_files("table", path, out, split={"train": 1.0})
    sizes = {"from disk, batch 64": 64, "from disk, batch 512": 512}
    sizes["cached, batch 64"] = 64
    works = {}
    for name, size in sizes.items():
        dataset = load_dataset(
            out,
            split="train",
            task="pretrain",
            batch_size=size,
            cache=name.startswith("cached"),
            repeat=True,
        )
        number = PASSES * num_curves // size
        works[name] = functools.partial(_take, iter(dataset), number)
    turns = ceilings.take_turns(ceilings.copy_in_memory, works, setting.repeats)
    per_window = BYTES_PER_OBSERVATION * LENGTH + BYTES_PER_POSITION * WINDOW
    for name, (times, limits) in turns.items():
        taken = PASSES * num_curves // sizes[name] * sizes[name]
        yield Measurement(
            f"windows, {name}",
            "windows/s",
            [taken / seconds for seconds in times],
            [limit / per_window for limit in limits],
            "memory copy",
            target=60_000,
        )
    path.unlink()
    shutil.rmtree(out)


def _take(batches: Iterator[Any], number: int) -> None:
    """Take so many batches."""
    for _ in range(number):
        next(batches)


def forward(setting: Setting, work: Path) -> Iterator[Measurement]:
    """Measure the encoder of `astromer2` on full windows, in two precisions."""
    del work
    import tensorflow as tf

    from astromer import Encoder, EncoderConfig
    from astromer.models.encoder import window_inputs

    config = EncoderConfig()
    flops = forward_flops(config) * BATCH
    batch = {
        name: tf.ones((BATCH, WINDOW), tensor.dtype)
        if name == "valid"
        else tf.zeros((BATCH, WINDOW), tensor.dtype)
        for name, tensor in window_inputs().items()
    }
    for label, policy, dtype in (
        ("float32", "float32", "float32"),
        ("bfloat16", "mixed_bfloat16", "bfloat16"),
    ):
        encoder = Encoder(config, seed=0, dtype=policy)
        turns = ceilings.take_turns(
            functools.partial(ceilings.multiply_matrices, dtype),
            {label: _pass(encoder, batch)},
            3 * setting.repeats,
        )
        times, limits = turns[label]
        yield Measurement(
            f"encoder forward, {label}",
            "windows/s",
            [BATCH / seconds for seconds in times],
            [limit * BATCH / flops for limit in limits],
            f"{label} product",
            target=0.85 if dtype == "float32" else None,
            target_of="share",
        )


def _pass(encoder: Any, batch: Mapping[str, Any]) -> Callable[[], object]:
    """Return one forward pass."""
    import tensorflow as tf

    # A sum in the place of the output, which nobody would copy to numpy.
    apply = tf.function(
        lambda inputs: tf.reduce_sum(
            tf.cast(encoder(inputs, training=False), tf.float32)
        )
    )
    return lambda: apply(batch).numpy()


def train_step(setting: Setting, work: Path) -> Iterator[Measurement]:
    """Measure steps of `fit` on a batch in memory and with `load_dataset` in front."""
    del work
    import tensorflow as tf

    from astromer import Astromer, EncoderConfig, load_dataset, simulate_survey
    from astromer.pipeline.dataset import prefetch
    from astromer.training import Adam

    # A step is counted as three forward passes.
    flops = 3 * forward_flops(EncoderConfig()) * BATCH
    curves = simulate_survey(640, seed=0)
    batches = load_dataset(
        [curve for curve in curves if len(curve) >= WINDOW],
        training=True,
        repeat=True,
        batch_size=BATCH,
        drop_remainder=True,
    )
    same = prefetch(tf.data.Dataset.from_tensors(next(iter(batches))).repeat())
    steps = 2 if setting.quick else 4
    works = {}
    for name, data in (("batch in memory", same), ("load_dataset", batches)):
        model = Astromer(EncoderConfig(), seed=0)
        model.compile(Adam(1e-4), jit_compile=False)
        works[name] = functools.partial(
            model.fit, data, steps_per_epoch=steps, verbose=0
        )
    turns = ceilings.take_turns(
        functools.partial(ceilings.multiply_matrices, "float32"),
        works,
        2 * setting.repeats - 1,
    )
    for name, (times, limits) in turns.items():
        yield Measurement(
            f"train step, {name}",
            "windows/s",
            [steps * BATCH / seconds for seconds in times],
            [limit * BATCH / flops for limit in limits],
            "float32 product",
            target=0.65,
            target_of="share",
        )


def embed(setting: Setting, work: Path) -> Iterator[Measurement]:
    """Measure `astromer embed` from a CSV to Parquet, the start of Python included."""
    from astromer import EncoderConfig

    num_curves = setting.scaled(2_000)
    path = work / "curves.csv"
    write_table(path, num_curves, WINDOW)
    runs: list[Process] = []
    turns = ceilings.take_turns(
        functools.partial(ceilings.multiply_matrices, "float32"),
        {
            "embed": lambda: runs.append(
                run_astromer("embed", "macho", path, "--out", work / "out.parquet")
            )
        },
        setting.repeats,
    )
    times, limits = turns["embed"]
    flops = forward_flops(EncoderConfig())
    yield Measurement(
        f"embed, {num_curves} light curves of {WINDOW}",
        "light curves/s",
        [num_curves / seconds for seconds in times],
        [limit / flops for limit in limits],
        "float32 product",
        peak_mib=max(run.peak_mib for run in runs),
    )
    path.unlink()


def large(setting: Setting, work: Path) -> Iterator[Measurement]:
    """Measure a CSV of 5 GB to records: memory must not follow the input."""
    num_curves = setting.scaled(640_000)
    path, out = work / "curves.csv", work / "records"
    write_table(path, num_curves, LENGTH)
    rows = num_curves * LENGTH
    for jobs in (1, 2):
        seconds, process = _convert(path, out, jobs)
        # No ceiling by polars' bare read: it would hold the whole file.
        disk = ceilings.copy_on_disk(out, work, 1)
        yield Measurement(
            f"convert, {path.stat().st_size / 1e9:.1f} GB, "
            f"{jobs} {'job' if jobs == 1 else 'jobs'}",
            "rows/s",
            [rows / seconds],
            [rows / disk],
            "write",
            peak_mib=process.peak_mib,
        )
        shutil.rmtree(out)
    path.unlink()


BENCHMARKS: Final[dict[str, Benchmark]] = {
    "start": start,
    "convert": convert,
    "windows": windows,
    "forward": forward,
    "train-step": train_step,
    "embed": embed,
    "large": large,
}
"""All benchmarks by name, in the order in which they run."""

ONLY_BY_NAME: Final = frozenset({"large"})
"""Benchmarks that need minutes and gigabytes, and run when they are named."""


def forward_flops(config: Any, width: int | None = None) -> float:
    """Count the operations of all matrix products of one window.

    Parameters
    ----------
    config : EncoderConfig
    width : int, optional
        Positions of the window; full by default.

    Returns
    -------
    flops : float
        Two per multiplication and addition; softmax, norms and activations are not
        counted.
    """
    units = config.num_heads * config.head_dim
    dense = 4 * config.hidden_dim * units
    dense += 2 * config.hidden_dim * config.intermediate_dim
    if config.residual == "dense":
        dense += 2 * config.hidden_dim**2
    width = config.window_size if width is None else width
    flops: float = 2 * width * config.num_layers * (dense + 2 * width * units)
    return flops


def run(name: str, setting: Setting) -> Iterator[Measurement]:
    """Run one benchmark in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="astromer-benchmark-") as folder:
        yield from BENCHMARKS[name](setting, Path(folder))
