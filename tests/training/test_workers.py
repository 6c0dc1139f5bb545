import json
import socket
import threading
import time

import pytest
import tensorflow as tf

from astromer.errors import ConfigError, WorkerError
from astromer.training import workers as module
from astromer.training.workers import Workers, connect_workers, watch_workers

TWO = ["host0:2222", "host1:2223"]


def environment(cluster, kind="worker", index=0):
    task = {"type": kind, "index": index}
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [own.getsockname()[1] for own in sockets]
    for own in sockets:
        own.close()
    return ports


def local_workers(number):
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(number))
    return [Workers(addresses, index) for index in range(number)]


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "expected"),
    [
        ({"worker": TWO}, "worker", 1, (("host0:2222", "host1:2223"), 1)),
        ({"worker": TWO}, "worker", "0", (("host0:2222", "host1:2223"), 0)),
        (
            {"worker": TWO, "chief": ["boss:1"]},
            "worker",
            1,
            (("boss:1", "host0:2222", "host1:2223"), 2),
        ),
        (
            {"worker": TWO, "chief": ["boss:1"]},
            "chief",
            0,
            (("boss:1", "host0:2222", "host1:2223"), 0),
        ),
        ({"worker": ["[::1]:2222"]}, "worker", 0, (("[::1]:2222",), 0)),
    ],
    ids=["second", "text", "after the chief", "chief", "one"],
)
def test_environment_names_the_workers(cluster, kind, index, expected):
    found = Workers.from_environment(environment(cluster, kind, index))
    assert (found.addresses, found.index) == expected
    assert found.is_chief is (expected[1] == 0)
    assert len(found) == len(expected[0])
    assert found.index not in found.others
    assert len(found.others) == len(found) - 1


def test_environment_of_the_process_is_read(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", environment({"worker": TWO}, index=1)["TF_CONFIG"])
    assert Workers.from_environment() == Workers(tuple(TWO), 1)
    assert Workers(tuple(TWO), 1).name(0) == "worker 0 (host0:2222)"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
        environment({"worker": TWO}, index=2)["TF_CONFIG"],
        environment({"worker": TWO}, index=-1)["TF_CONFIG"],
        environment({"worker": TWO, "ps": ["a:1"]})["TF_CONFIG"],
        environment({"worker": TWO}, kind="evaluator")["TF_CONFIG"],
        environment({}, index=0)["TF_CONFIG"],
    ],
)
def test_environment_that_names_no_workers_is_refused(text):
    with pytest.raises(ConfigError, match=r"TF_CONFIG, which lists.*Set it on each"):
        Workers.from_environment({} if text is None else {"TF_CONFIG": text})


def test_strategy_of_one_process_has_one_worker():
    for strategy in (
        tf.distribute.get_strategy(),
        tf.distribute.MirroredStrategy(["CPU:0"]),
    ):
        assert Workers.of(strategy) == Workers()
    assert len(Workers()) == 1
    assert Workers().is_chief


def test_strategy_of_several_processes_has_theirs():
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"chief": ["boss:1"], "worker": TWO}),
        task_type="worker",
        task_id=1,
    )

    class Strategy:
        cluster_resolver = resolver

    assert Workers.of(Strategy()) == Workers(("boss:1", *TWO), 2)


def meet_all(workers, timeout_s):
    """Let workers meet in threads of their own; return what each ended with."""
    ends = {}

    def run(worker):
        try:
            module._meet(worker, timeout_s)
            ends[worker.index] = None
        except (ConfigError, WorkerError) as error:
            ends[worker.index] = error

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


@pytest.mark.parametrize("number", [1, 2, 4])
def test_workers_meet_and_leave_their_ports(number):
    workers = local_workers(number)
    assert meet_all(workers, 20.0) == dict.fromkeys(range(number))
    for worker in workers:
        assert not module._answers(worker.addresses[worker.index])


def test_worker_that_does_not_come_is_named():
    workers = local_workers(3)
    ends = meet_all(workers[:2], 1.5)
    assert set(ends) == {0, 1}
    for error in ends.values():
        assert isinstance(error, WorkerError)
        assert str(error).startswith(
            "All workers must come within 1.5 s. Received: no sign of "
            f"worker 2 ({workers[0].addresses[2]}). Start the same command there"
        )


def test_workers_of_different_clusters_are_told():
    first, _, _ = local_workers(3)
    other = Workers(first.addresses[:2], 1)
    ends = meet_all([first, other], 2.0)
    assert any(
        isinstance(error, ConfigError) and "the same cluster in TF_CONFIG" in str(error)
        for error in ends.values()
    )
    assert None not in ends.values()


def connect_when_open(host, port):
    """The first connection that a thread's port takes, within 10 seconds."""
    deadline = time.monotonic() + 10.0
    while True:
        try:
            return socket.create_connection((host, port), timeout=1.0)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def test_stranger_at_the_port_does_not_disturb():
    workers = local_workers(2)
    host, port = module._split(workers[0].addresses[0])
    ends = {}
    thread = threading.Thread(target=lambda: ends.update(meet_all([workers[0]], 20.0)))
    thread.start()
    with connect_when_open(host, port) as stranger:
        stranger.sendall(b"GET")
    assert meet_all([workers[1]], 20.0) == {1: None}
    thread.join()
    assert ends == {0: None}


def test_port_in_use_is_refused():
    workers = local_workers(2)
    with (
        socket.create_server(module._split(workers[0].addresses[0])),
        pytest.raises(WorkerError, match=r"own port.*worker 0.*Choose a free port"),
    ):
        module._meet(workers[0], 5.0)


def test_tensorflow_that_was_used_before_is_refused(monkeypatch):
    def fail():
        raise RuntimeError("Collective ops must be configured at program startup")

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", fail)
    monkeypatch.setenv("TF_CONFIG", environment({"worker": TWO[:1]})["TF_CONFIG"])
    with pytest.raises(ConfigError, match=r"before TensorFlow computes.*at program"):
        connect_workers()


def test_no_tf_config_is_refused_at_once(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="Received: TF_CONFIG=None"):
        connect_workers()


HEARTBEAT = (
    "Collective ops is aborted by: Error reported from /job:worker/task:1: The following "
    "tasks are unhealthy (stopped sending heartbeats):\n/job:worker/replica:0/task:1\n"
)


def fail_with(error, workers):
    with watch_workers(workers):
        raise error


def test_lost_worker_is_the_one_whose_port_is_closed():
    workers = local_workers(3)
    error = tf.errors.UnavailableError(
        None, None, "Collective ops is aborted by: reset"
    )
    here = [socket.create_server(module._split(workers[0].addresses[2]))]
    with (
        here[0],
        pytest.raises(
            WorkerError, match=r"Received: worker 1 \(127.*with resume"
        ) as got,
    ):
        fail_with(error, workers[0])
    assert "worker 2" not in str(got.value)
    assert got.value.__cause__ is error


def test_lost_worker_whose_port_is_open_is_the_one_that_tensorflow_names():
    workers = local_workers(2)
    error = tf.errors.UnavailableError(None, None, HEARTBEAT)
    with (
        socket.create_server(module._split(workers[0].addresses[1])),
        pytest.raises(WorkerError, match="Received: worker 1 "),
    ):
        fail_with(error, workers[0])


def test_numbers_of_tensorflow_are_shifted_by_a_chief():
    workers = Workers(("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_answers", lambda address: True)
        found = module._find_lost(workers, "/job:worker/task:1 told /job:chief/task:0")
    assert found == [2]


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.InvalidArgumentError(None, None, "Collective shapes differ"),
        tf.errors.InternalError(None, None, "Collective instance 255 expected type 0"),
        tf.errors.UnavailableError(None, None, "a file server is away"),
        ValueError("Collective"),
    ],
)
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as got:
        fail_with(error, Workers(tuple(TWO), 0))
    assert got.value is error


def test_one_process_loses_no_worker():
    error = tf.errors.UnavailableError(None, None, HEARTBEAT)
    with pytest.raises(tf.errors.UnavailableError):
        fail_with(error, Workers())
