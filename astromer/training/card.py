"""The card of a run: what was trained on what, how well, and at what cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from astromer.training.run import TrainedModel
from astromer.training.run_folder import RunFolder, RunPlan, installed_versions

__all__ = ["markdown_table", "write_card"]


def write_card(
    folder: RunFolder,
    plan: RunPlan,
    trained: TrainedModel,
    *,
    title: str,
    lead: str,
    scores: Sequence[Mapping[str, Any]],
    notes: Sequence[str] = (),
) -> str:
    """Write the Markdown of a run's card.

    Parameters
    ----------
    folder : RunFolder
        Its picture of learning curves is shown.
    plan : RunPlan
        What was asked for.
    trained : TrainedModel
        What came of it.
    title : str
        First heading.
    lead : str
        What was done, one paragraph.
    scores : sequence of mapping
        Rows of a table with equal keys; numbers are shown with four digits.
    notes : sequence of str
        What a reader of the scores must know.

    Returns
    -------
    card : str
    """
    state, options = trained.state, plan.options
    ended = "patience was at its end" if trained.is_out_of_patience else "all were done"
    minutes = state.seconds / 60
    facts = {
        "Light curves": _counts(plan.data),
        "Records": f"SHA-256 of the manifest {plan.data['sha256']}",
        "Parameters": f"{trained.model.count_params():,}",
        "Epochs": f"{state.epoch} ({state.step:,} batches of {options.batch_size:,}); "
        f"{ended}",
        "Kept": f"epoch {state.best_epoch}, {trained.monitor} = {state.best:.4f}",
        "Running time": f"{minutes:.1f} min on {_devices(trained)}",
        "Energy": f"{trained.energy.energy:.3g} kWh, {trained.energy.carbon:.3g} kg CO2e "
        "(estimated)",
        "Versions": ", ".join(f"{k} {v}" for k, v in installed_versions().items()),
    }
    lines = [f"# {title}", "", lead, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    if scores:
        lines += ["", "## Scores", "", *markdown_table(scores)]
    if notes:
        lines += ["", *notes]
    energy = (
        f"{trained.energy.formula}. Formula of Lannelongue et al. (2021); the use of the "
        "cores and the running time are measured, all else is assumed."
    )
    asked = json.dumps(plan.to_dict(), indent=2, ensure_ascii=False)
    lines += [
        "",
        "## Learning curves",
        "",
        f"![Scores over epochs]({folder.curves.name})",
    ]
    lines += ["", "## Energy", "", energy]
    lines += ["", "## Options", "", "```json", asked, "```", ""]
    return "\n".join(lines)


def _counts(data: Mapping[str, Any]) -> str:
    names = {"train": "to train", "validation": "to validate", "test": "to test"}
    parts = (f"{data['light_curves'].get(k, 0):,} {name}" for k, name in names.items())
    return ", ".join(parts) + (f"; {data['survey']}" if data["survey"] else "")


def _devices(trained: TrainedModel) -> str:
    energy, replicas = trained.energy, trained.replicas
    hosts = f" on each of {energy.hosts} hosts" if energy.hosts > 1 else ""
    if energy.gpus:
        return f"{energy.gpus} GPU{'s' if energy.gpus > 1 else ''}{hosts}"
    spread = f", {replicas} replicas" if replicas > 1 else ""
    return f"{energy.cores} CPU cores{hosts}{spread}"


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay rows out as the lines of a table.

    Parameters
    ----------
    rows : sequence of mapping
        With equal keys; numbers are shown with four digits, counts as they are.

    Returns
    -------
    lines : list of str
    """
    rule = "|---" * len(rows[0]) + "|"
    return [_line(rows[0]), rule, *(_line(row.values()) for row in rows)]


def _line(values: Iterable[Any]) -> str:
    # Names of classes may hold a bar, which would end the cell.
    cells = (
        f"{value:.4f}" if isinstance(value, float) else str(value).replace("|", r"\|")
        for value in values
    )
    return f"| {' | '.join(cells)} |"
