"""The loop on two replicas, and on two workers that talk over loopback."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.pipeline.plain import marked_curves, write_records

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 220

pytestmark = [pytest.mark.slow, pytest.mark.timeout(WAIT_S + 20)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records of 18 and 7 light curves to train and to validate on, in files of 7."""
    path = tmp_path_factory.mktemp("cluster") / "records"
    write_records(
        path,
        marked_curves(range(9, 34)),
        split={"train": 0.7, "validation": 0.3},
        objects_per_shard=7,
    )
    return path


def start(*arguments, module="tests.training.cluster", **environment):
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two_workers(*arguments, **options):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for own in sockets:
            own.bind(("127.0.0.1", 0))
        ports = [own.getsockname()[1] for own in sockets]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    configs = [
        {"cluster": cluster, "task": {"type": "worker", "index": k}} for k in (0, 1)
    ]
    processes = [
        start(*arguments, TF_CONFIG=json.dumps(config), **options) for config in configs
    ]
    return processes, ports


def finish(processes):
    """Wait for all; return their output, error output and exit codes."""
    try:
        outputs = [process.communicate(timeout=WAIT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        (out, err, process.returncode)
        for (out, err), process in zip(outputs, processes, strict=True)
    ]


@pytest.fixture(scope="module")
def workers(folder):
    """What two workers print that trained together."""
    processes, _ = start_two_workers("train", folder)
    (out, err, code), (out1, err1, code1) = finish(processes)
    assert code == 0, err[-4_000:]
    # The second ends itself, as `kill` would.
    assert code1 == -signal.SIGTERM, err1[-4_000:]
    return json.loads(out), json.loads(out1)


@pytest.fixture(scope="module")
def one_process(folder, workers):
    """Keras's own `fit` on both workers' batches, put together."""
    from tests.training import cluster

    model = cluster.make_model()
    batches = tf.data.Dataset.zip(*(cluster.own_batches(folder, k) for k in (0, 1)))
    joined = batches.map(
        lambda *parts: tf.nest.map_structure(lambda *v: tf.concat(v, 0), *parts)
    )
    history = model.fit(
        joined,
        validation_data=cluster.validation_batches(folder),
        epochs=cluster.EPOCHS,
        steps_per_epoch=cluster.STEPS,
        verbose=0,
    )
    return {"history": history.history, "weights": cluster.flat_weights(model)}


def test_batches_of_the_workers_are_uneven(folder):
    from tests.training import cluster

    sizes = [
        [len(inputs["mag"]) for inputs, _ in cluster.own_batches(folder, k).take(8)]
        for k in (0, 1)
    ]
    assert sizes[0] != sizes[1]
    assert set(sizes[0]) != {4}
    parts = cluster.take_part(cluster.validation_batches(folder), 0, 2)
    assert 0 in [len(inputs["mag"]) for inputs, _ in parts]


def test_two_workers_train_as_one_process(workers, one_process):
    for worker in workers:
        assert worker["weights"] == pytest.approx(
            one_process["weights"], rel=1e-5, abs=1e-6
        )
        assert worker["history"].keys() == one_process["history"].keys()
        assert "val_r2_hidden" in worker["history"]
        for name, values in one_process["history"].items():
            assert worker["history"][name] == pytest.approx(values, rel=1e-5), name


def test_weights_that_the_chief_saved_are_those_at_the_end(workers, folder):
    from tests.training import cluster

    model = cluster.make_model(seed=5)
    model.load_weights(folder / f"epoch_{cluster.EPOCHS}.weights.h5")
    assert cluster.flat_weights(model) == pytest.approx(workers[0]["weights"])


def test_two_replicas_train_as_one_device():
    ((out, err, code),) = finish([start("mirrored")])
    assert code == 0, err[-4_000:]
    results = json.loads(out)
    one, two = results["one"], results["two"]
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5, abs=1e-6)
    assert two["history"].keys() == one["history"].keys()
    for name, values in one["history"].items():
        assert two["history"][name] == pytest.approx(values, rel=1e-5), name
    # Keras alone gives the replicas the same random numbers.
    assert results["shared dropout"] == 0.0
    assert results["own dropout"] > 1e-3


def test_killed_worker_ends_the_others_with_a_message_and_a_checkpoint(folder):
    processes, ports = start_two_workers("lost", folder)
    (out, err, code), (_, err1, code1) = finish(processes)
    assert code1 == -signal.SIGKILL, err1[-4_000:]
    assert code == 3, err[-4_000:]
    told = json.loads(out)
    assert re.search(
        rf"needs all workers.*Received: worker 1 \(127\.0\.0\.1:{ports[1]}\) does not "
        "answer.*start all workers again with resume",
        told["message"],
    )
    # TensorFlow's heartbeats take ten seconds; the rest is a busy machine.
    assert told["seconds"] < 60

    from tests.training import cluster

    model = cluster.make_model()
    before = cluster.flat_weights(model)
    model.load_weights(folder / "last.weights.h5")
    after = cluster.flat_weights(model)
    assert np.isfinite(after).all()
    assert np.abs(np.subtract(after, before)).max() > 1e-3
