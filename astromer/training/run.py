"""A training run in a folder: begin or resume, fit, and come back with the best model.

Knows neither what the model is nor what it learns: pretraining, finetuning and training
a classifier are all this, with another model and another way to finish.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

import keras

from astromer.errors import ConfigError, WorkerError, unknown_name
from astromer.progress import TrainingProgress
from astromer.training.callbacks import (
    VALIDATION_PREFIX,
    Constants,
    RunCallback,
    RunState,
    Validate,
    read_clocks,
    stop_requests,
)
from astromer.training.checkpoints import read_checkpoint, restore
from astromer.training.data import (
    RunData,
    damage_explained,
    fixed_batches,
    train_stream,
)
from astromer.training.energy import EnergyEstimate, estimate_energy
from astromer.training.events import EventWriter
from astromer.training.fitting import fit
from astromer.training.options import MAY_CHANGE
from astromer.training.run_folder import (
    RunFolder,
    RunPlan,
    disk_errors_explained,
    installed_versions,
)
from astromer.training.strategy import (
    Placement,
    count_gpus,
    make_strategy,
    one_device,
)
from astromer.training.workers import Workers, watch_workers

__all__ = ["Report", "RunResult", "TrainedModel", "Validation", "run_training"]

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
"""Takes a line of text about what is happening."""

_COMPILED: Final = "compile_metrics"


class Validation(Protocol):
    """Scores that no metric of a batch can give, e.g. of stars with several windows."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the scores."""

    def __call__(self, model: keras.Model) -> dict[str, float]:
        """Score a model on the whole split."""


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A model with the weights of its best epoch, and how it came to them."""

    model: keras.Model
    strategy: Placement
    state: RunState
    monitor: str
    """Score that said which epoch was the best."""
    energy: EnergyEstimate
    is_out_of_patience: bool
    """Whether it stopped before the last epoch."""
    replicas: int = 1
    """Devices that shared the batches, on all hosts together."""
    workers: Workers = dataclasses.field(default_factory=Workers)
    """Who has trained it; the chief writes."""
    leave: Callable[[], None] = lambda: None
    """Wait until all workers are done, which TensorFlow wants to end together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run has come to; the same is in its folder."""

    folder: Path
    """The run's folder."""
    preset: Path
    """The best model, as a preset."""
    epochs: int
    """Epochs that were trained, in all parts of the run."""
    steps: int
    """Batches that were trained on."""
    best_epoch: int
    """Epoch whose weights were kept, from 1."""
    monitor: str
    """Score that said so."""
    is_out_of_patience: bool
    """Whether it stopped because the score did not get better."""
    history: list[dict[str, Any]]
    """Rows of `metrics.csv`."""
    scores: dict[str, dict[str, float]]
    """Scores of the best model on validation and test, where there are any."""
    energy: EnergyEstimate
    """Running time, energy and carbon dioxide, estimated."""


def run_training(
    folder: RunFolder,
    plan: RunPlan,
    data: RunData,
    build: Callable[[int], keras.Model],
    *,
    shown: Mapping[str, str],
    constants: Callable[[], dict[str, float]] | None = None,
    validate: Validation | None = None,
    progress: TrainingProgress | None = None,
    report: Report | None = None,
) -> TrainedModel:
    """Train a model in a folder, from the start or from where an earlier run stopped.

    A run that is interrupted, whenever, and resumed ends with the same weights, bit by
    bit, as one that is not, on the same device and versions.

    Of several workers, each with the same arguments, only the chief reads and writes
    the folder; the others get from it what they need to go on. Checkpoints within an
    epoch hold no metrics then: the training scores of an epoch that is resumed are of
    its rest alone.

    Parameters
    ----------
    folder : RunFolder
        From `RunFolder.open`.
    plan : RunPlan
        What is asked for; compared with a stored one.
    data : RunData
        What to train and validate on.
    build : callable
        Takes the number of batches in an epoch; returns the model built and compiled,
        with every weight and the dropout seeded. Called in the strategy's scope; after
        several workers, once more for the result.
    shown : mapping of str to str
        Names of scores that are worth a look while training, and what to call them.
    constants : callable, optional
        Returns scores to stand beside those of every epoch; called once in a run.
    validate : Validation, optional
        Scores the split ``"validation"`` after each epoch, in place of Keras.
    progress : TrainingProgress, optional
        Called after every batch.
    report : callable, optional
        Takes a line of text at the start and after each epoch; logged by default.

    Returns
    -------
    trained : TrainedModel

    Raises
    ------
    ConfigError
        If there are fewer windows than a batch takes, a device does not exist, or the
        score to monitor does not.
    RunError
        If the folder's run was begun with something else, another process trains in
        it, the loss is no longer a number, or the disk is full.
    RecordError
        If a record is damaged.
    WorkerError
        If another worker did not come or was lost.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, once the step at hand is done and saved; of several
        workers, on all.
    """
    started = read_clocks()
    options = plan.options
    report = logger.info if report is None else report
    folder.compare(plan)
    data.check()
    strategy = make_strategy(options.strategy, options.devices)
    _check_replicas(strategy, options.batch_size)
    workers = data.workers
    if not workers.is_chief:
        report(
            f"This is {workers.name(workers.index)}; {workers.name(0)} writes and "
            "reports."
        )
        report, progress = logger.info, None
    steps = options.steps_per_epoch or data.batches_per_pass
    with strategy.scope():
        model = build(steps)
        model.optimizer.build(model.trainable_variables)
        validation = fixed_batches(data, "validation")
    names = validate.names if validate is not None and validation is not None else None
    monitor = _choose_monitor(model, options.monitor, validation is not None, names)
    _say_what_begins(report, data, plan, strategy, steps, monitor)

    state = RunState()
    with (
        contextlib.ExitStack() as stack,
        _watched(workers),
        disk_errors_explained(folder.path),
        damage_explained(data.splits),
        stop_requests() as request,
    ):
        _compare_plans(plan, strategy, workers)
        accumulators = None
        if workers.is_chief:
            stack.enter_context(folder.claim())
            folder.begin(plan)
        if workers.is_chief and folder.last.is_file():
            state, accumulators = _go_on(folder, model, data, strategy)
            report(f"Resumed after epoch {state.epoch}, batch {state.step}.")
            _compare_versions(folder, report)
        if len(workers) > 1:
            state = _share_state(state, strategy)
        callback = RunCallback(
            state,
            folder,
            data=data,
            options=options,
            steps_per_epoch=steps,
            monitor=monitor,
            shown=shown,
            request=request,
            progress=progress,
            report=report,
            started=started,
        )
        if constants is not None and not state.constants and validation is not None:
            state.constants = {
                f"{VALIDATION_PREFIX}{name}": value
                for name, value in constants().items()
            }
        if accumulators is None:
            # A resumed run then needs neither seeds nor the preset it starts from.
            callback.set_model(model)
            callback.save()
        callback.accumulators = accumulators or []
        if state.epoch >= options.epochs:
            report(_describe_end(state, options.epochs, callback.step_in_epoch))
        else:
            # The first step takes long: TensorFlow traces the model.
            callback.show({}, "starts")
        callbacks: list[keras.callbacks.Callback] = [
            Constants(state.constants),
            *([EventWriter(folder.tensorboard)] if workers.is_chief else []),
            callback,
        ]
        if validate is not None and validation is not None:
            callbacks.insert(0, Validate(validate, callback.on_test_begin))
            validation = None
        if len(workers) > 1:
            stack.enter_context(_checkpoint_named(folder, callback))
        is_short = state.epoch < options.epochs and not callback.is_exhausted
        if callback.step_in_epoch and is_short:
            # The rest of an epoch that was interrupted.
            fit(
                model,
                strategy,
                train_stream(data, state.step),
                validation,
                epochs=state.epoch + 1,
                initial_epoch=state.epoch,
                steps_per_epoch=steps - callback.step_in_epoch,
                callbacks=callbacks,
            )
        if state.epoch < options.epochs and not callback.is_exhausted:
            fit(
                model,
                strategy,
                train_stream(data, state.step),
                validation,
                epochs=options.epochs,
                initial_epoch=state.epoch,
                steps_per_epoch=steps,
                callbacks=callbacks,
            )
        if workers.is_chief:
            restore(model.variables, read_checkpoint(folder.best), "model")
        if len(workers) > 1:
            model = _take_home(model, strategy, build, steps)
    report(f"Scores epoch {state.best_epoch}, the best by {monitor}.")
    return TrainedModel(
        model=model,
        strategy=strategy if len(workers) == 1 else one_device(),
        state=state,
        monitor=monitor,
        energy=estimate_energy(
            state.seconds,
            state.cpu_seconds,
            gpus=count_gpus(strategy),
            hosts=len(workers),
            config=options.energy,
        ),
        is_out_of_patience=callback.is_exhausted,
        replicas=strategy.num_replicas_in_sync,
        workers=workers,
        leave=lambda: _leave(strategy, workers),
    )


def _check_replicas(strategy: Placement, batch_size: int) -> None:
    """Refuse batches that the devices of JAX would each compute whole."""
    number = strategy.num_replicas_in_sync
    if keras.backend.backend() == "jax" and batch_size % number:
        raise ConfigError(
            "Every device has the same share of a batch. Received: batch_size="
            f"{batch_size} for {number} devices. Use a multiple of {number}."
        )


@contextlib.contextmanager
def _watched(workers: Workers) -> Iterator[None]:
    with watch_workers(workers) if len(workers) > 1 else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _checkpoint_named(folder: RunFolder, callback: RunCallback) -> Iterator[None]:
    """Say in the error about a lost worker where to go on from."""
    try:
        yield
    except WorkerError as error:
        workers = callback.workers
        where = "" if workers.is_chief else f" of {workers.name(0)}"
        raise WorkerError(
            f"{error} That is {folder.last}{where}, after batch "
            f"{callback.saved_step}; `--resume` in the command of every worker goes on."
        ) from error


def _compare_plans(plan: RunPlan, strategy: Placement, workers: Workers) -> None:
    """Refuse workers that would each train something else."""
    if len(workers) == 1:
        return
    from astromer.training.worker_loop import collect_from_workers

    values = plan.to_dict()
    own = {k: v for k, v in values["options"].items() if k not in MAY_CHANGE}
    epochs = values["options"]["epochs"]
    text = json.dumps([values["model"], values["data"], own, epochs], sort_keys=True)
    digests = collect_from_workers(cast("Any", strategy), zlib.crc32(text.encode()))
    others = [k for k, digest in enumerate(digests) if digest != digests[0]]
    if others:
        raise ConfigError(
            "All workers train the same model on the same records with the same "
            f"options. Received: others at {' and '.join(map(workers.name, others))} "
            f"than at {workers.name(0)}. Start the same command everywhere; where the "
            "run's folder is not shared, resume with the options that it was begun with."
        )


def _share_state(state: RunState, strategy: Placement) -> RunState:
    from astromer.training.worker_loop import share_values_from_chief

    values = share_values_from_chief(state.to_dict(), cast("Any", strategy))
    return RunState.from_dict(values)


def _take_home(
    model: keras.Model,
    strategy: Placement,
    build: Callable[[int], keras.Model],
    steps: int,
) -> keras.Model:
    """Return a model of this process alone with the weights of the chief's."""
    from astromer.training.worker_loop import share_from_chief

    with strategy.scope():
        share_from_chief(model, cast("Any", strategy))
    own = build(steps)
    own.set_weights(model.get_weights())
    return own


def _leave(strategy: Placement, workers: Workers) -> None:
    if len(workers) == 1:
        return
    from astromer.training.worker_loop import collect_from_workers

    with watch_workers(workers):
        collect_from_workers(cast("Any", strategy), 0)


def _go_on(
    folder: RunFolder,
    model: keras.Model,
    data: RunData,
    strategy: Placement,
) -> tuple[RunState, list[Any]]:
    """Give the model all that the last checkpoint holds; return the rest of it."""
    checkpoint = read_checkpoint(folder.last)
    state = RunState.from_dict(checkpoint.state)
    saved = checkpoint.groups.get("metrics", [])
    if saved and len(model.metrics_variables) != len(saved):
        # Metrics that `compile` was given by name have no variables until they are used.
        with strategy.scope():
            model.evaluate(train_stream(data, state.step), steps=1, verbose=0)
    restore(model.variables, checkpoint, "model")
    restore(model.optimizer.variables, checkpoint, "optimizer")
    if saved:
        restore(model.metrics_variables, checkpoint, "metrics")
    return state, [values for _, values in saved]


def _choose_monitor(
    model: keras.Model,
    name: str,
    has_validation: bool,
    validation_names: Sequence[str] | None,
) -> str:
    """Return the score to monitor; that of training where there is no validation."""
    own = name if has_validation else name.removeprefix(VALIDATION_PREFIX)
    names = [metric.name for metric in model.metrics]
    # Metrics given by name have none until they are used.
    is_known = _COMPILED not in names
    if validation_names is not None and own.startswith(VALIDATION_PREFIX):
        is_known = True
    names = [score for score in names if score != _COMPILED]
    if has_validation:
        scored = names if validation_names is None else validation_names
        names = [*names, *(VALIDATION_PREFIX + score for score in scored)]
    if is_known and own not in names:
        raise ConfigError(unknown_name("monitor", name, names))
    return own


def _say_what_begins(
    report: Report,
    data: RunData,
    plan: RunPlan,
    strategy: Placement,
    steps: int,
    monitor: str,
) -> None:
    counts = data.splits.num_light_curves
    replicas, hosts = strategy.num_replicas_in_sync, len(data.workers)
    devices = "one device" if replicas == 1 else f"{replicas} devices"
    report(
        f"{data.windows_per_pass:,} light curves to train on, "
        f"{counts.get('validation', 0):,} to validate, {counts.get('test', 0):,} to "
        f"test; {steps:,} batches of {plan.options.batch_size:,} in an epoch, "
        f"{devices}{f' of {hosts} workers' if hosts > 1 else ''}."
    )
    if "validation" not in counts:
        report(
            f"There is no split `validation`: the best epoch is chosen by {monitor} in "
            "training, which does not notice what is learned by heart."
        )
    if "test" not in counts:
        report("There is no split `test`: the best model is not tested.")


def _describe_end(state: RunState, epochs: int, begun: int) -> str:
    """Say why there is nothing to train."""
    complete = f"{state.epoch} epoch{'s are' if state.epoch > 1 else ' is'} complete"
    asked = "as many as" if state.epoch == epochs else f"more than the {epochs}"
    rest = f"; epoch {state.epoch + 1}, {begun} batches old, waits for a longer run"
    return f"{complete}, {asked} asked for: nothing is trained{rest if begun else ''}."


def _compare_versions(folder: RunFolder, report: Report) -> None:
    config = folder.read_config() or {}
    begun, now = config.get("versions", {}), installed_versions()
    changed = [
        f"{name} {begun.get(name, 'none')} -> {now.get(name, 'none')}"
        for name in sorted({*begun, *now})
        if begun.get(name) != now.get(name)
    ]
    if changed:
        report(
            f"Versions differ from those that the run was begun with ({', '.join(changed)})"
            ": it goes on, but not to the same last digit."
        )
