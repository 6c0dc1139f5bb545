"""A whole run as one of two workers, named by TF_CONFIG. Run as a script.

`python -m tests.training.worker_run RECORDS OUT DROPOUT [resume] [nan] [STEP [SIGNAL]]`
pretrains and prints what came of it. With a step, the second worker gets a signal after
it, SIGKILL if none is named; with `nan` the rate is such that the loss is soon no number.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from astromer.errors import RunError, WorkerError
from astromer.models import EncoderConfig
from astromer.training import pretrain
from tests.models.windows import tiny_config

OPTIONS: dict[str, Any] = {
    "batch_size": 8,
    "epochs": 2,
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    # The gradient of a key's bias is zero but for rounding, which Adam with a smaller
    # epsilon would blow up into a step.
    "epsilon": 1e-3,
    "checkpoint_steps": 1,
}
DIVERGING = {"learning_rate": 1e38, "clip_norm": None, "warmup_steps": 0}
NUMBER_OF_SECOND = 1


def config(dropout: float) -> EncoderConfig:
    """Return the model that every run here trains."""
    return tiny_config(num_layers=1, dropout=dropout)


def signal_after(step: int, number: int) -> None:
    """Have this process get a signal once it has made so many steps."""
    from astromer.training.callbacks import RunCallback

    after_batch = RunCallback.on_train_batch_end

    def and_die(self: Any, batch: int, logs: Any = None) -> None:
        after_batch(self, batch, logs)
        if self.state.step == step:
            os.kill(os.getpid(), number)

    RunCallback.on_train_batch_end = and_die  # type: ignore[method-assign]


def main(records: str, out: str, dropout: str, *more: str) -> None:
    """Train, and print the result or what became of it."""
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    steps = [int(word) for word in more if word.isdigit()]
    if steps and index == NUMBER_OF_SECOND:
        names = [word for word in more if word.startswith("SIG")]
        signal_after(steps[0], signal.Signals[names[0] if names else "SIGKILL"])
    said: list[str] = []
    try:
        result = pretrain(
            records,
            out,
            config=config(float(dropout)),
            strategy="multiworker",
            resume="resume" in more,
            report=said.append,
            **{**OPTIONS, **(DIVERGING if "nan" in more else {})},
        )
    except (WorkerError, RunError, KeyboardInterrupt) as error:
        json.dump({"message": str(error), "said": said}, sys.stdout)
        sys.stdout.flush()
        sys.exit(3)
    found = {"history": result.history, "scores": result.scores, "said": said}
    json.dump({**found, "steps": result.steps}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
