"""What pretraining and finetuning share: the objective, its scores, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from astromer.errors import RunError
from astromer.models import EncoderConfig, Reconstructor
from astromer.presets import describe_preset, load_preset
from astromer.progress import TrainingProgress
from astromer.training.baselines import BASELINES, score_baselines
from astromer.training.data import RunData, Splits, fixed_batches
from astromer.training.finishing import finish_run
from astromer.training.losses import ReconstructionLoss
from astromer.training.metrics import R2, RMSE, Subset
from astromer.training.optimizers import make_optimizer
from astromer.training.options import LossForm, PretrainOptions
from astromer.training.run import Report, RunResult, TrainedModel, run_training
from astromer.training.run_folder import RunFolder, RunPlan
from astromer.training.workers import Workers

__all__ = ["StartingModel", "reconstruction_run"]

_SHOWN = {"loss": "loss", "r2_hidden": "hidden R2"}
_PANELS = {
    "loss": "loss [mag]",
    "rmse_hidden": "RMSE of hidden points [mag]",
    "r2_hidden": "R2 of hidden points",
}
_PLAIN = {"mean": "visible mean", "interpolation": "linear interpolation in time"}
_NOTE = (
    "Hidden observations are those whose magnitude the model did not see; only they "
    "measure what it has learned. R2 is pooled over all of them, each window about their "
    "own mean. The rows below the model say what the same hidden observations are worth "
    "without one: the mean of the window's other magnitudes, and a straight line between "
    "them. Windows are tiled, and masks are always the same."
)


class StartingModel:
    """The architecture of a run and the weights it starts from."""

    def __init__(
        self,
        encoder: EncoderConfig,
        *,
        weights: list[NDArray[Any]] | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        self.encoder = encoder
        self.weights = weights
        self.origin = None if origin is None else dict(origin)

    @classmethod
    def from_preset(cls, preset: str | Path) -> StartingModel:
        """Start from the weights of a preset."""
        model = load_preset(preset, Reconstructor, dtype="float32")
        facts = describe_preset(preset)
        origin = {"preset": facts.name, "sha256": facts.metadata.get("weights_sha256")}
        weights = [np.asarray(values) for values in model.get_weights()]
        return cls(model.config, weights=weights, origin=origin)

    @classmethod
    def from_run(cls, folder: RunFolder) -> StartingModel | None:
        """Take what a run that is resumed was begun with; its checkpoint has weights."""
        stored = folder.read_config()
        if stored is None:
            return None
        model = stored["model"]
        if model["start"] is not None and not folder.last.is_file():
            raise RunError(
                "The run was ended before its first checkpoint. Received: "
                f"out={folder.path}, begun from the preset {model['start']['preset']}. "
                "Give that preset again."
            )
        return cls(EncoderConfig.from_dict(model["encoder"]), origin=model["start"])

    def to_dict(self) -> dict[str, Any]:
        """Return what identifies the model, as plain JSON values."""
        return {"encoder": self.encoder.to_dict(), "start": self.origin}

    def build(self, *, seed: int, dtype: str) -> Reconstructor:
        """Build the model; the seed is that of dropout, and of weights that are new."""
        model = Reconstructor(
            self.encoder, seed=seed, name="reconstructor", dtype=dtype
        )
        if self.weights is not None:
            model.set_weights(self.weights)
        return model


def reconstruction_run(
    kind: str,
    folder: RunFolder,
    start: StartingModel,
    splits: Splits,
    options: PretrainOptions,
    *,
    workers: Workers,
    freeze: Callable[[Reconstructor], None] | None = None,
    metadata: Mapping[str, Any] | None = None,
    progress: TrainingProgress | None = None,
    report: Report | None = None,
) -> RunResult:
    """Train a reconstructor in a folder, score its best epoch, and save it as a preset.

    Parameters
    ----------
    kind : {"pretrain", "finetune"}
    folder : RunFolder
    start : StartingModel
    splits : Splits
    options : PretrainOptions
    workers : Workers
        From `join_workers`; only the chief writes.
    freeze : callable, optional
        Takes the model before it is compiled, and says what is not trained.
    metadata : mapping, optional
        Facts for the preset; see `save_preset`.
    progress, report
        As for `run_training`.

    Returns
    -------
    result : RunResult
    """
    data = RunData(
        splits=splits,
        options=options,
        encoder=start.encoder,
        masking=options.masking,
        error_weights=options.error_weights,
        workers=workers,
    )

    def build(steps_per_epoch: int) -> Reconstructor:
        model = start.build(seed=options.seed, dtype=options.precision)
        if freeze is not None:
            freeze(model)
        model.compile(make_optimizer(options, steps_per_epoch), **_objective(options))
        return model

    plan = RunPlan(
        kind=kind, options=options, model=start.to_dict(), data=data.to_dict()
    )
    trained = run_training(
        folder,
        plan,
        data,
        build,
        shown=_SHOWN,
        constants=lambda: score_baselines(fixed_batches(data, "validation")),
        progress=progress,
        report=report,
    )
    facts = {"objective": options.objective, **(metadata or {})}
    result = _finish(folder, plan, data, start, trained, options, facts)
    trained.leave()
    return result


def panels_of(loss: LossForm) -> dict[str, str]:
    """Return axis labels of the learning curves by score; a scaled loss has no unit."""
    return _PANELS if loss != "scaled" else {**_PANELS, "loss": "loss"}


def _objective(options: PretrainOptions) -> dict[str, Any]:
    subsets = get_args(Subset)
    return {
        "loss": ReconstructionLoss(options.loss),
        "metrics": [metric(subset) for subset in subsets for metric in (R2, RMSE)],
    }


def _finish(
    folder: RunFolder,
    plan: RunPlan,
    data: RunData,
    start: StartingModel,
    trained: TrainedModel,
    options: PretrainOptions,
    metadata: dict[str, Any],
) -> RunResult:
    model: Any = trained.model
    with trained.strategy.scope():
        if options.precision != "float32":
            model = start.build(seed=options.seed, dtype="float32")
            model.set_weights(trained.model.get_weights())
        model.compile(**_objective(options))
        scores = {}
        for split in ("validation", "test"):
            batches = fixed_batches(data, split)
            if batches is not None:
                found = model.evaluate(batches, verbose=0, return_dict=True)
                scores[split] = {k: float(v) for k, v in found.items()}
                scores[split] |= score_baselines(batches)
    return finish_run(
        folder,
        plan,
        trained,
        model,
        scores=scores,
        table=_rows(scores),
        notes=[_NOTE] if scores else [],
        panels=panels_of(options.loss),
        description=_describe(plan, start),
        metadata=metadata,
    )


def _describe(plan: RunPlan, start: StartingModel) -> str:
    blocks = start.encoder.num_layers
    count = plan.data["light_curves"]["train"]
    survey = f"{plan.data['survey']} " if plan.data["survey"] else ""
    verb = "finetuned" if plan.kind == "finetune" else "pretrained"
    origin = f", from the preset {start.origin['preset']}" if start.origin else ""
    return (
        f"An encoder of {blocks} block{'s' if blocks > 1 else ''}, {verb} to predict "
        f"hidden magnitudes of {count:,} {survey}light curves{origin}"
    )


def _rows(scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Lay the scores out as a table: the model, then what does without one."""
    rows: list[dict[str, Any]] = []
    for split, found in scores.items():
        row: dict[str, Any] = {"Split": split, "Prediction": "this model"}
        for subset in get_args(Subset):
            row[f"R2 {subset}"] = found[f"r2_{subset}"]
            row[f"RMSE {subset} [mag]"] = found[f"rmse_{subset}"]
        rows.append(row)
        for name in BASELINES:
            plain = dict.fromkeys(row, "")
            plain |= {"Split": split, "Prediction": _PLAIN[name]}
            plain["R2 hidden"] = f"{found[f'r2_hidden_{name}']:.4f}"
            plain["RMSE hidden [mag]"] = f"{found[f'rmse_hidden_{name}']:.4f}"
            rows.append(plain)
    return rows
