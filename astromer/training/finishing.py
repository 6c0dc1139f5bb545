"""How every run ends: the best model as a preset, the card with its picture, the result."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from astromer.models.configured import ConfiguredModel
from astromer.presets import save_preset
from astromer.training.card import write_card
from astromer.training.curves import save_learning_curves
from astromer.training.run import RunResult, TrainedModel
from astromer.training.run_folder import (
    RunFolder,
    RunPlan,
    disk_errors_explained,
    write_whole,
)

__all__ = ["finish_run"]


def finish_run(
    folder: RunFolder,
    plan: RunPlan,
    trained: TrainedModel,
    model: ConfiguredModel,
    *,
    scores: Mapping[str, Mapping[str, float]],
    table: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    panels: Mapping[str, str],
    description: str,
    metadata: Mapping[str, Any],
    details: Mapping[str, Any] | None = None,
) -> RunResult:
    """Save what a run has come to; of several workers, the chief does.

    Parameters
    ----------
    folder : RunFolder
    plan : RunPlan
    trained : TrainedModel
    model : Reconstructor or ClassifierNetwork
        With the weights of the best epoch, in float32.
    scores : mapping
        Scores of the best model by split.
    table : sequence of mapping
        The same as rows of the card's table.
    notes : sequence of str
        Lines of the card below them.
    panels : mapping of str to str
        Axis labels of the learning curves by score.
    description : str
        One line on the model, without a full stop.
    metadata : mapping
        Facts for the preset that win over those of the run; see `save_preset`.
    details : mapping, optional
        What `result.json` holds besides; plain JSON values.

    Returns
    -------
    result : RunResult

    Raises
    ------
    RunError
        If the disk is full.
    """
    state, energy = trained.state, trained.energy
    by_split = {split: dict(found) for split, found in scores.items()}
    result = RunResult(
        folder=folder.path,
        preset=folder.preset,
        epochs=state.epoch,
        steps=state.step,
        best_epoch=state.best_epoch,
        monitor=trained.monitor,
        is_out_of_patience=trained.is_out_of_patience,
        history=state.rows,
        scores=by_split,
        energy=energy,
    )
    if not trained.workers.is_chief:
        return result
    facts = {
        "epochs": state.epoch,
        "steps": state.step,
        "best_epoch": state.best_epoch,
        "monitor": trained.monitor,
        "energy_kwh": energy.energy,
        "carbon_kg": energy.carbon,
        "seconds": state.seconds,
    }
    metadata = {
        "survey": plan.data["survey"],
        "description": description,
        "provenance": f"a run of `astromer {plan.kind}`",
        **metadata,
        "training": {**plan.to_dict(), **facts},
        "metrics": by_split,
    }
    with disk_errors_explained(folder.path):
        card = write_card(
            folder,
            plan,
            trained,
            title=folder.path.resolve().name,
            lead=f"{metadata['description']}.",
            scores=table,
            notes=notes,
        )
        picture = functools.partial(
            save_learning_curves,
            rows=state.rows,
            panels=panels,
            best_epoch=state.best_epoch,
        )
        picture(folder.curves)
        save_preset(model, folder.preset, metadata=metadata, card=card)
        picture(folder.preset / folder.curves.name)
        write_whole(folder.card, lambda stream: stream.write(card.encode()))
        summary = {"scores": by_split, **facts, "energy": energy.to_dict()}
        folder.write_json(folder.result, {**summary, **(details or {})})
    return result
