"""`astromer pretrain`, `finetune` and `train-classifier`: runs, each in its folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.markup import escape

from astromer.cli import terminal
from astromer.cli.options import given_options
from astromer.models.config import Head
from astromer.progress import show_progress

if TYPE_CHECKING:
    from astromer.training import ClassifierResult, RunResult, TrainingOptions

__all__ = ["finetune", "pretrain", "train_classifier"]

MODEL = "Model"
OBJECTIVE = "Objective"
OPTIMIZER = "Optimizer"
RUN = "How it runs"

Records = Annotated[
    Path,
    typer.Argument(
        metavar="RECORDS",
        exists=True,
        file_okay=False,
        help="A folder of records with a split `train`; labels are not needed.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="RUN", help="Folder of the run: checkpoints, metrics, preset, card."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="TOML file with any of these options and more; flags win over it.",
    ),
]
RecipeName = Annotated[
    Literal["default", "released"],
    typer.Option(help="Set of options to start from: ours, or the authors' release."),
]
Epochs = Annotated[
    int, typer.Option(metavar="N", help="Epochs in all, earlier ones included.")
]
StepsPerEpoch = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        show_default="one pass",
        help="Batches of an epoch.",
    ),
]
BatchSize = Annotated[
    int, typer.Option(metavar="N", help="Windows of a batch, on all devices together.")
]
LearningRate = Annotated[
    float,
    typer.Option(metavar="X", help="Largest learning rate.", rich_help_panel=OPTIMIZER),
]
ScheduleName = Annotated[
    Literal["constant", "cosine"],
    typer.Option(
        help="Learning rate after the warm-up: it stays, or falls to zero.",
        rich_help_panel=OPTIMIZER,
    ),
]
WarmupSteps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        show_default="100, at most half an epoch",
        help="Batches over which the learning rate rises.",
        rich_help_panel=OPTIMIZER,
    ),
]
DecayEpochs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        show_default="all epochs",
        help="Epochs until the cosine is at zero; give it to resume with more epochs "
        "later.",
        rich_help_panel=OPTIMIZER,
    ),
]


def _objective(name: str, help_text: str, default: str | bool = True) -> Any:
    return typer.Option(
        name, show_default=default, help=help_text, rich_help_panel=OBJECTIVE
    )


Loss = Literal["released", "paper", "scaled"]
Weights = Literal["off", "released", "paper"]
LOSS: Final = ("--loss", "Form of the loss.")
WEIGHTS: Final = ("--error-weights", "How uncertainties weigh the loss.")
OF_PRESET: Final = "the preset's"
LossName = Annotated[Loss, _objective(*LOSS)]
ErrorWeightsName = Annotated[Weights, _objective(*WEIGHTS)]
LossOfPreset = Annotated[Loss, _objective(*LOSS, OF_PRESET)]
WeightsOfPreset = Annotated[Weights, _objective(*WEIGHTS, OF_PRESET)]
Patience = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Epochs without a better validation after which training stops.",
        rich_help_panel=RUN,
    ),
]
PrecisionName = Annotated[
    Literal["float32", "mixed_bfloat16"],
    typer.Option("--precision", help="Of the computation.", rich_help_panel=RUN),
]
StrategyName = Annotated[
    Literal["auto", "one", "mirrored", "multiworker"],
    typer.Option(
        "--strategy",
        help="One device, several at once, or all hosts of TF_CONFIG; auto takes all "
        "GPUs that there are.",
        rich_help_panel=RUN,
    ),
]
BackendName = Annotated[
    Literal["tensorflow", "jax"] | None,
    typer.Option(
        "--backend",
        show_default="KERAS_BACKEND, else tensorflow",
        help="What computes. Each trains alone: jax needs no TensorFlow.",
        rich_help_panel=RUN,
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        show_default="all",
        help="Devices, e.g. GPU:0,GPU:1, or how many.",
        rich_help_panel=RUN,
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache",
        metavar="",
        help="Hold all light curves in memory.",
        rich_help_panel=RUN,
    ),
]
CheckpointMinutes = Annotated[
    float,
    typer.Option(
        metavar="MIN",
        help="Longest time between two checkpoints; each epoch ends with one.",
        rich_help_panel=RUN,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Seed of weights, dropout, order, windows and masks.",
        rich_help_panel=RUN,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        metavar="",
        help="Go on with the run in the folder; what is not given is taken from it.",
        rich_help_panel=RUN,
    ),
]


def pretrain(
    context: typer.Context,
    records: Records,
    out: Out,
    config: Config = None,
    recipe: RecipeName = "default",
    epochs: Epochs = 20,
    steps_per_epoch: StepsPerEpoch = None,
    batch_size: BatchSize = 64,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="none",
            help="Preset to start from (`astromer presets list`), or a folder.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    encoder: Annotated[
        Literal["astromer1", "astromer2", "astromer_period"],
        typer.Option(
            help="Architecture of a new model; more in the table `encoder` of a file.",
            rich_help_panel=MODEL,
        ),
    ] = "astromer2",
    learning_rate: LearningRate = 1e-3,
    schedule: ScheduleName = "cosine",
    warmup_steps: WarmupSteps = None,
    decay_epochs: DecayEpochs = None,
    loss: LossName = "released",
    error_weights: ErrorWeightsName = "off",
    patience: Patience = 10,
    precision: PrecisionName = "float32",
    strategy: StrategyName = "auto",
    devices: Devices = None,
    backend: BackendName = None,
    cache: Cache = False,
    checkpoint_minutes: CheckpointMinutes = 10.0,
    seed: Seed = 0,
    resume: Resume = False,
) -> None:
    """Train a model to predict hidden magnitudes; labels are not needed.

    The best epoch on the split `validation` becomes the preset RUN/preset.

    A run that was interrupted, even killed, goes on with --resume.
    """
    values = dict(locals())
    terminal.choose_backend(backend)
    from astromer.presets import find_preset
    from astromer.training.options import PretrainOptions

    if preset is not None:
        find_preset(preset)
    given = _given(context, PretrainOptions, values)
    from astromer.training import pretrain as train

    with show_progress() as progress:
        result = train(
            records,
            out,
            config=encoder if "encoder" in given_options(context, values) else None,
            preset=preset,
            options=config,
            resume=resume,
            progress=progress,
            report=_report,
            **given,
        )
    _conclude(result)


def finetune(
    context: typer.Context,
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET", help="Name (`astromer presets list`) or folder."
        ),
    ],
    records: Records,
    out: Out,
    config: Config = None,
    recipe: RecipeName = "default",
    epochs: Epochs = 20,
    steps_per_epoch: StepsPerEpoch = None,
    batch_size: BatchSize = 64,
    trainable: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="all; head; a number of blocks, counted from the last, and the head; "
            "or names of layers, e.g. block_5,head.",
            rich_help_panel=MODEL,
        ),
    ] = "all",
    learning_rate: LearningRate = 1e-4,
    schedule: ScheduleName = "cosine",
    warmup_steps: WarmupSteps = None,
    decay_epochs: DecayEpochs = None,
    loss: LossOfPreset = "released",
    error_weights: WeightsOfPreset = "off",
    patience: Patience = 10,
    precision: PrecisionName = "float32",
    strategy: StrategyName = "auto",
    devices: Devices = None,
    backend: BackendName = None,
    cache: Cache = False,
    checkpoint_minutes: CheckpointMinutes = 10.0,
    seed: Seed = 0,
    resume: Resume = False,
) -> None:
    """Go on training a preset on other light curves, with the same objective."""
    values = dict(locals())
    terminal.choose_backend(backend)
    from astromer.presets import find_preset
    from astromer.training.options import FinetuneOptions

    find_preset(preset)
    given = _given(context, FinetuneOptions, values)
    from astromer.training import finetune as train

    with show_progress() as progress:
        result = train(
            preset,
            records,
            out,
            options=config,
            resume=resume,
            progress=progress,
            report=_report,
            **given,
        )
    _conclude(result)


def train_classifier(
    context: typer.Context,
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET",
            help="Name (`astromer presets list`) or folder, also that of a run.",
        ),
    ],
    records: Annotated[
        Path,
        typer.Argument(
            metavar="RECORDS",
            exists=True,
            file_okay=False,
            help="A folder of records with labels and a split `train`.",
        ),
    ],
    out: Out,
    config: Config = None,
    recipe: RecipeName = "default",
    epochs: Epochs = 100,
    steps_per_epoch: StepsPerEpoch = None,
    batch_size: BatchSize = 64,
    head: Annotated[
        Head,
        typer.Option(
            help="How a window becomes one vector: blocks mixed by trained weights; the "
            "last block's mean, maximum, attention, class token or recurrent unit; all "
            "that embed gives; or baselines without blocks.",
            rich_help_panel=MODEL,
        ),
    ] = "gamma",
    hidden_units: Annotated[
        str,
        typer.Option(
            metavar="N,N,...",
            help="Units of the layers between that vector and the classes.",
            rich_help_panel=MODEL,
        ),
    ] = "1024,512,256",
    dropout: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="Share of values dropped before every dense layer, the last included.",
            rich_help_panel=MODEL,
        ),
    ] = 0.0,
    unfreeze: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Blocks of the encoder that train along, counted from the last; or all.",
            rich_help_panel=MODEL,
        ),
    ] = "0",
    windows: Annotated[
        Literal["auto", "tiled", "drawn"],
        typer.Option(
            help="Windows to train on: tiles, over which a frozen encoder runs once; or "
            "drawn anew in every pass. Auto: tiles if the encoder is frozen.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    encoded_gb: Annotated[
        float,
        typer.Option(
            metavar="GB",
            help="Most memory for what a frozen encoder gives for them; 0 runs it in "
            "every epoch.",
            rich_help_panel=RUN,
        ),
    ] = 4.0,
    label_smoothing: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="Share of a target that is spread over all classes.",
            rich_help_panel=OBJECTIVE,
        ),
    ] = 0.0,
    class_weights: Annotated[
        Literal["off", "balanced"],
        typer.Option(
            help="Whether a class weighs the more the rarer it is.",
            rich_help_panel=OBJECTIVE,
        ),
    ] = "off",
    learning_rate: LearningRate = 1e-3,
    schedule: ScheduleName = "cosine",
    warmup_steps: WarmupSteps = None,
    decay_epochs: DecayEpochs = None,
    patience: Patience = 20,
    precision: PrecisionName = "float32",
    strategy: StrategyName = "auto",
    devices: Devices = None,
    backend: BackendName = None,
    cache: Cache = False,
    checkpoint_minutes: CheckpointMinutes = 10.0,
    seed: Seed = 0,
    resume: Resume = False,
) -> None:
    """Train a classifier on the encoder of a preset, which is frozen by default.

    The epoch with the best macro F1 per light curve becomes RUN/preset.

    Apply it with `astromer predict RUN INPUT`.
    """
    values = dict(locals())
    terminal.choose_backend(backend)
    from astromer.presets import find_preset
    from astromer.training.options import ClassifierOptions

    find_preset(preset)
    given = _given(context, ClassifierOptions, values)
    from astromer.training import train_classifier as train

    with show_progress() as progress:
        result = train(
            preset,
            records,
            out,
            options=config,
            resume=resume,
            progress=progress,
            report=_report,
            **given,
        )
    terminal.output(*_classes(result), *_ending(result))


def _given(
    context: typer.Context,
    options_class: type[TrainingOptions],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Keep the training options that the user gave, checked before Keras starts."""
    from dataclasses import fields

    names = {field.name for field in fields(options_class)} | {"recipe"}
    given = {k: v for k, v in given_options(context, values).items() if k in names}
    if values["config"] is not None:
        options_class.from_toml(values["config"], **given)
    elif not values["resume"]:
        options_class.from_dict(given)
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        terminal.start_tensorflow()
    return given


def _report(line: str) -> None:
    terminal.stderr().print(escape(line), soft_wrap=True)


def _conclude(result: RunResult) -> None:
    """Print the scores, and what it took."""
    if not result.preset.is_dir():
        # Of several workers the chief writes, on its own disk.
        terminal.output("Done: worker 0 has the preset.")
        return
    numbers = ["R2", "RMSE [mag]", "R2, interpolation", "R2, mean"]
    table = terminal.make_table(
        "Hidden observations", ["split", *numbers], numeric=numbers
    )
    names = ("r2_hidden", "rmse_hidden", "r2_hidden_interpolation", "r2_hidden_mean")
    for split, scores in result.scores.items():
        table.add_row(split, *(f"{scores[name]:.4f}" for name in names))
    terminal.output(*([table] if result.scores else []), *_ending(result))


def _classes(result: ClassifierResult) -> list[Any]:
    """Return tables of the scores, and of the classes in the last split."""
    if not result.scores:
        return []
    numbers = ["macro F1", "accuracy", "macro F1 of windows", "accuracy of windows"]
    names = ("macro_f1_object", "accuracy_object", "macro_f1", "accuracy")
    table = terminal.make_table("Light curves", ["split", *numbers], numeric=numbers)
    for split, scores in result.scores.items():
        table.add_row(split, *(f"{scores[name]:.4f}" for name in names))
    split, confusion = list(result.confusion.items())[-1]
    numbers = ["precision", "recall", "F1", "light curves"]
    classes = terminal.make_table(
        f"Classes in {split}", ["class", *numbers], numeric=numbers
    )
    for label, name in enumerate(result.class_names):
        scored = (confusion.precision, confusion.recall, confusion.f1)
        number = terminal.count(int(confusion.support[label]))
        classes.add_row(
            escape(name), *(f"{values[label]:.4f}" for values in scored), number
        )
    return [table, classes]


def _ending(result: RunResult) -> list[str]:
    """Say what it took, and where the model is."""
    energy = result.energy
    ended = ", out of patience" if result.is_out_of_patience else ""
    taken = (
        f"{terminal.counted(result.epochs, 'epoch')} in "
        f"{terminal.duration(energy.seconds)}{ended}; epoch {result.best_epoch} is the "
        f"best by {result.monitor}"
    )
    return [
        taken,
        f"Estimated energy: {escape(energy.formula)}",
        f"[bold]Preset: {escape(str(result.preset))}[/bold]",
    ]
