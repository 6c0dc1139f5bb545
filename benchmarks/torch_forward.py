"""The encoder's forward pass on PyTorch, in a process of its own.

`python -m benchmarks.torch_forward PRESET BATCH.npz OUT.npy` is started by
`benchmarks.embedding`, since Keras has one backend per process. It writes what the
preset's encoder makes of the batch, then does it again for every line that it reads, and
answers with a line.
"""

from __future__ import annotations

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np

from astromer import Astromer
from astromer.inference import embedding, runner


def main(preset: str, batch_path: str, out: str) -> None:
    """Answer until the input ends."""
    encoder = Astromer.from_pretrained(preset).encoder
    last = (encoder.config.num_layers,)
    apply = runner.compiled(
        encoder,
        (last, True),
        lambda: embedding._network(encoder, last, pooled=True),  # noqa: SLF001 - as `embed` does
    )
    with np.load(batch_path) as arrays:
        batch = dict(arrays)
    np.save(out, apply(batch))
    print("ready", flush=True)
    for _ in sys.stdin:
        apply(batch)
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
