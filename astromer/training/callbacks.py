"""What a run does between batches and epochs: count, watch, log, save, stop."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Final, Self

import keras
from keras import ops

from astromer.errors import ConfigError, RunError, unknown_name
from astromer.progress import TrainingProgress
from astromer.training.checkpoints import write_checkpoint
from astromer.training.data import RunData
from astromer.training.options import TrainingOptions, is_better_higher
from astromer.training.run_folder import RunFolder
from astromer.training.workers import Workers

__all__ = [
    "VALIDATION_PREFIX",
    "Constants",
    "RunCallback",
    "RunState",
    "StopRequest",
    "Validate",
    "read_clocks",
    "stop_requests",
]

VALIDATION_PREFIX: Final = "val_"

NAMED_OBJECTS = 8
"""Objects that an error names; a batch may hold thousands."""


@dataclasses.dataclass
class RunState:
    """How far a run is, and all that a checkpoint remembers besides variables."""

    epoch: int = 0
    """Epochs that are complete."""
    step: int = 0
    """Batches trained on, in all."""
    best: float | None = None
    """Best value of the monitored score."""
    best_epoch: int = 0
    """Epoch of that value, from 1; 0 before the first."""
    waited: int = 0
    """Epochs since."""
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """Rows of `metrics.csv`."""
    constants: dict[str, float] = dataclasses.field(default_factory=dict)
    """Scores that are the same in every epoch."""
    seconds: float = 0.0
    """Running time of all parts of the run [s]."""
    cpu_seconds: float = 0.0
    """Time in which cores worked, summed over cores [s]."""

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` gave."""
        return cls(**values)


class Constants(keras.callbacks.Callback):
    """Put scores that do not change beside those of each epoch, for every log."""

    def __init__(self, scores: Mapping[str, float]) -> None:
        super().__init__()
        self.scores = scores

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self.scores)


class Validate(keras.callbacks.Callback):
    """Score the model after every epoch, for every log.

    Parameters
    ----------
    validate : callable
        Takes the model, returns scores of validation.
    on_begin : callable
        Called before.
    """

    def __init__(
        self,
        validate: Callable[[keras.Model], Mapping[str, float]],
        on_begin: Callable[[], None],
    ) -> None:
        super().__init__()
        self.validate = validate
        self.on_begin = on_begin

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_begin()
        _sync(self.model)
        for name, value in self.validate(self.model).items():
            if logs is not None:
                logs[f"{VALIDATION_PREFIX}{name}"] = value


class StopRequest:
    """Whether somebody has asked for an end; a second request ends at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Hold Ctrl-C and SIGTERM back until the step at hand is done.

    Yields
    ------
    request : StopRequest
        Outside the main thread, signals are not ours, and it never fires.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            # None stands for one that was not set from Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def read_clocks() -> tuple[float, float]:
    """Return running time and cores' time, each since some moment [s]."""
    return time.monotonic(), time.process_time()


class RunCallback(keras.callbacks.Callback):
    """Keep the state of a run and its folder up to date.

    Of several workers each has one; only the chief's writes and speaks. Time is counted
    from `started`, what `read_clocks` gave when the run began: a frozen encoder has
    perhaps worked for longer then than training will.
    """

    def __init__(
        self,
        state: RunState,
        folder: RunFolder,
        *,
        data: RunData,
        options: TrainingOptions,
        steps_per_epoch: int,
        monitor: str,
        shown: Mapping[str, str],
        request: StopRequest,
        progress: TrainingProgress | None,
        report: Callable[[str], None],
        started: tuple[float, float],
    ) -> None:
        super().__init__()
        self.state = state
        self.folder = folder
        self.data = data
        self.options = options
        self.steps_per_epoch = steps_per_epoch
        self.monitor = monitor
        self.shown = shown
        self.request = request
        self.progress = progress
        self.report = report
        self.workers: Workers = data.workers
        self.accumulators: list[Any] = []
        self._seconds, self._cpu = state.seconds, state.cpu_seconds
        self._start, self._cpu_start = started
        self._saved_at, self._saved_step = time.monotonic(), state.step
        self._reported_at = self._saved_at

    @property
    def step_in_epoch(self) -> int:
        """Batches of the current epoch that are done."""
        return self.state.step - self.state.epoch * self.steps_per_epoch

    @property
    def is_exhausted(self) -> bool:
        """Whether patience is at its end."""
        patience = self.options.patience
        return patience is not None and self.state.waited >= patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras has just emptied the metrics; in a resumed epoch they are half full.
        for variable, value in zip(
            self.model.metrics_variables if self.accumulators else (),
            self.accumulators,
            strict=True,
        ):
            variable.assign(value)
        self.accumulators = []

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0.0)):
            self._fail(float(logs["loss"]))
        self.state.step += 1
        self.show(logs)
        # The last step of an epoch leads to its end, which saves.
        if self.step_in_epoch < self.steps_per_epoch:
            if self.request.signal is not None or self._is_due():
                self.save()
                self._report_checkpoint(logs)
            self._stop_if_asked()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._end_if_cut_short()
        self.show({}, "validates")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._end_if_cut_short()
        state, logs = self.state, logs or {}
        _sync(self.model)
        state.epoch += 1
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        state.rows.append(
            {"epoch": state.epoch, "step": state.step, "learning_rate": rate, **logs}
        )
        if self.monitor not in logs:
            raise ConfigError(unknown_name("monitor", self.monitor, logs))
        value = float(logs[self.monitor])
        better = self._is_better(value)
        state.waited = 0 if better else state.waited + 1
        if better:
            state.best, state.best_epoch = value, state.epoch
            if self.workers.is_chief:
                write_checkpoint(
                    self.folder.best,
                    {"model": self.model.variables},
                    {"epoch": state.epoch, **logs},
                )
        if self.workers.is_chief:
            self.folder.write_metrics(state.rows)
        self.save()
        line = f"Epoch {state.epoch} of {self.options.epochs}: {self._describe(logs)}"
        self._report(f"{line}{' (best so far)' if better else ''}")
        if self.is_exhausted:
            self.model.stop_training = True
        self._stop_if_asked()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._is_together and self.model.stop_training and not self.is_exhausted:
            raise self._interrupt()

    def _is_better(self, value: float) -> bool:
        best = self.state.best
        if best is None or math.isnan(best):
            return best is None or not math.isnan(value)
        return value > best if is_better_higher(self.monitor) else value < best

    def save(self) -> None:
        """Write the checkpoint that a resumed run goes on from."""
        _sync(self.model)
        now = time.monotonic()
        self.state.seconds = self._seconds + now - self._start
        cpu = time.process_time() - self._cpu_start
        self.state.cpu_seconds = self._cpu + cpu
        groups = {
            "model": self.model.variables,
            "optimizer": self.model.optimizer.variables,
            "metrics": self.model.metrics_variables if self._keeps_metrics else [],
        }
        if self.workers.is_chief:
            write_checkpoint(self.folder.last, groups, self.state.to_dict())
        self._saved_at, self._saved_step = now, self.state.step

    @property
    def saved_step(self) -> int:
        """Batches that the last checkpoint has seen."""
        return self._saved_step

    @property
    def _is_together(self) -> bool:
        return len(self.workers) > 1

    @property
    def _keeps_metrics(self) -> bool:
        # Reading the metrics of several workers takes all of them at once, and the
        # chief alone knows that it is time to save.
        return self.step_in_epoch > 0 and not self._is_together

    def _is_due(self) -> bool:
        steps = self.options.checkpoint_steps
        minutes = (time.monotonic() - self._saved_at) / 60
        return minutes >= self.options.checkpoint_minutes or (
            steps is not None and self.state.step - self._saved_step >= steps
        )

    def _stop_if_asked(self) -> None:
        if self.request.signal is None:
            return
        if not self._is_together:
            raise self._interrupt()
        # One that ends alone would leave the others waiting: they agree in a step.
        self.model.stop_training = True

    def _end_if_cut_short(self) -> None:
        """End where workers have agreed to, within an epoch."""
        if self._is_together and self.step_in_epoch < self.steps_per_epoch:
            self.save()
            raise self._interrupt()

    def _interrupt(self) -> KeyboardInterrupt:
        return KeyboardInterrupt(
            f"Interrupted after batch {self.state.step}, and saved. Resume the run "
            f"{'on all workers ' if self._is_together else ''}to go on."
        )

    def show(self, logs: Mapping[str, Any], doing: str = "") -> None:
        """Tell how far the run is."""
        if self.progress is None:
            return
        done = self.data.windows_until(self.state.step)
        total = self.data.windows_until(self.options.epochs * self.steps_per_epoch)
        epoch = min(self.state.epoch + 1, self.options.epochs)
        detail = f"epoch {epoch} of {self.options.epochs}"
        for name, label in self.shown.items():
            if name in logs:
                detail += f", {label} {logs[name]:.4f}"
        detail += doing and f", {doing}"
        self.progress("train", done, total, "windows", detail)

    def _describe(self, logs: Mapping[str, Any]) -> str:
        return ", ".join(
            f"{title}{label} {logs[prefix + name]:.4f}"
            for title, prefix in (("", ""), ("validation ", VALIDATION_PREFIX))
            for name, label in self.shown.items()
            if f"{prefix}{name}" in logs
        )

    def _report_checkpoint(self, logs: Mapping[str, Any]) -> None:
        """Say how far it is, not oftener than a log of days can hold."""
        quiet = (time.monotonic() - self._reported_at) / 60
        if quiet >= self.options.checkpoint_minutes:
            done = f"{self.step_in_epoch:,} of {self.steps_per_epoch:,}"
            epoch = self.state.epoch + 1
            self._report(f"Epoch {epoch}, batch {done}: {self._describe(logs)}; saved")

    def _report(self, line: str) -> None:
        self._reported_at = time.monotonic()
        self.report(line)

    def _fail(self, loss: float) -> None:
        step, epoch = self.state.step, self.state.epoch + 1
        ids = self.data.object_ids(step)
        named = ", ".join(ids[:NAMED_OBJECTS])
        others = " of this worker; the others name theirs" if self._is_together else ""
        more = (
            f" and {len(ids) - NAMED_OBJECTS} more" if len(ids) > NAMED_OBJECTS else ""
        )
        raise RunError(
            f"The loss is no longer a number. Received: loss={loss} in epoch {epoch}, "
            f"batch {step}, with the objects {named}{more}{others}. Look at their "
            "magnitudes; if they are sound, lower `learning_rate` or `clip_norm`. The last "
            "checkpoint is from before."
        )


def _sync(model: keras.Model) -> None:
    # On JAX the variables are elsewhere while `fit` runs.
    sync = getattr(model, "jax_state_sync", None)
    if sync is not None:
        sync()
