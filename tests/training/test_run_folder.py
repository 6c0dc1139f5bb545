import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from astromer.errors import ConfigError, RunError
from astromer.training import PretrainOptions
from astromer.training.run_folder import (
    RunFolder,
    RunPlan,
    disk_errors_explained,
    resolve_options,
    write_whole,
)


def make_plan(kind="pretrain", *, model=None, data=None, **options):
    return RunPlan(
        kind=kind,
        options=PretrainOptions(**options),
        model={"encoder": {"num_layers": 2}, "start": None} | (model or {}),
        data={"survey": "macho", "light_curves": {"train": 3}, "sha256": "ab"}
        | (data or {}),
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with a run that has begun."""
    folder = RunFolder.open(tmp_path / "run", "pretrain", resume=False)
    folder.begin(make_plan())
    return folder


@pytest.mark.parametrize("resume", [False, True])
def test_run_begins_in_a_new_or_empty_folder(tmp_path, resume):
    (tmp_path / "empty").mkdir()
    for name in ("new/deep", "empty"):
        folder = RunFolder.open(tmp_path / name, "pretrain", resume=resume)
        assert folder.read_config() is None
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("resume", [False, True])
def test_folder_with_something_else_is_refused(tmp_path, resume):
    (tmp_path / "thesis.tex").write_text("")
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(RunError, match=r"new or empty folder\. Received: out="):
            RunFolder.open(path, "pretrain", resume=resume)


def test_one_process_at_a_time_has_a_folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.claim():
        with (
            pytest.raises(RunError, match=r"Received: out=.*another is training"),
            RunFolder(tmp_path / "run").claim(),
        ):
            pass
        # The refused one has taken nothing away.
        with pytest.raises(RunError), folder.claim():
            pass
    with folder.claim():
        pass
    # What a claim leaves behind is no run and nothing else.
    assert RunFolder.open(folder.path, "pretrain", resume=False) == folder


def test_run_that_came_between_is_not_gone_on_with(tmp_path):
    early, late = (
        RunFolder.open(tmp_path / "run", "pretrain", resume=resume)
        for resume in (False, True)
    )
    with early.claim():
        early.begin(make_plan())
    for folder in (early, late):
        with pytest.raises(RunError, match="has begun one just now"), folder.claim():
            pass
    with RunFolder.open(tmp_path / "run", "pretrain", resume=True).claim():
        pass


def test_killed_process_leaves_its_folder_free(tmp_path):
    code = (
        "import os, pathlib, signal\n"
        "from astromer.training.run_folder import RunFolder\n"
        f"with RunFolder(pathlib.Path({str(tmp_path)!r})).claim():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    with RunFolder(tmp_path).claim():
        pass


def test_folder_with_a_run_wants_to_be_resumed(folder):
    with pytest.raises(RunError, match=r"holds a run already.*Resume it"):
        RunFolder.open(folder.path, "pretrain", resume=False)
    assert RunFolder.open(folder.path, "pretrain", resume=True) == folder
    with pytest.raises(RunError, match='a run of kind "pretrain", not "finetune"'):
        RunFolder.open(folder.path, "finetune", resume=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", 'says format="astromer run"'),
        ('{"format": "other"}', 'says format="astromer run"'),
        ('{"format": "astromer run", "format_version": 9}', "format_version=9"),
    ],
)
def test_configuration_of_something_else_is_refused(folder, content, message):
    folder.config.write_text(content)
    with pytest.raises(RunError, match=message):
        RunFolder.open(folder.path, "pretrain", resume=True)


def test_configuration_tells_plan_and_versions(folder):
    stored = folder.read_config()
    plan = make_plan().to_dict()
    assert {name: stored[name] for name in plan} == json.loads(json.dumps(plan))
    assert {"astromer", "python", "keras", "numpy"} <= set(stored["versions"])


def test_resumed_run_may_be_longer_and_keeps_the_versions_it_began_with(folder):
    stored = folder.read_config()
    stored["versions"]["keras"] = "0.1"
    folder.write_json(folder.config, stored)
    longer = make_plan(epochs=50, checkpoint_steps=3, devices=("CPU:0",))
    folder.compare(longer)
    folder.begin(longer)
    assert folder.read_config()["options"]["epochs"] == 50
    assert folder.read_config()["versions"]["keras"] == "0.1"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (make_plan(seed=1), r"Received: seed=1, begun with 0\. Leave"),
        (
            make_plan(seed=1, batch_size=9, loss="paper"),
            r"batch_size=9, begun with 64; also seed, loss\.",
        ),
        (
            make_plan(model={"start": {"preset": "a"}}),
            r"model\.start=\{'preset': 'a'\}",
        ),
        (make_plan(data={"sha256": "cd"}), r"data\.sha256='cd', begun with 'ab'"),
    ],
)
def test_run_is_not_resumed_with_something_else(folder, plan, message):
    with pytest.raises(RunError, match=message):
        folder.compare(plan)


def test_options_not_given_are_those_of_the_run(tmp_path):
    folder = RunFolder.open(tmp_path / "run", "pretrain", resume=True)
    fresh, _ = resolve_options(PretrainOptions, folder, None, {"epochs": 3})
    # The cosine's length is written down, so that a longer run is noticed.
    assert fresh == PretrainOptions(epochs=3, decay_epochs=3)
    constant = PretrainOptions(schedule="constant", seed=4, batch_size=5)
    folder.begin(RunPlan(kind="pretrain", options=constant, model={}, data={}))
    again, _ = resolve_options(PretrainOptions, folder, None, {"epochs": 9})
    assert again == constant.replace(epochs=9)
    path = tmp_path / "options.toml"
    path.write_text("batch_size = 7\n[encoder]\nnum_layers = 2\n")
    from_file, encoder = resolve_options(PretrainOptions, folder, path, {"seed": 1})
    assert from_file == constant.replace(batch_size=7, seed=1)
    assert encoder == {"num_layers": 2}
    given, _ = resolve_options(
        PretrainOptions, folder, PretrainOptions(schedule="constant"), {"seed": 2}
    )
    assert given == PretrainOptions(schedule="constant", seed=2)
    named, _ = resolve_options(PretrainOptions, folder, None, {"recipe": "released"})
    assert named == PretrainOptions.from_name("released")


def test_defaults_fill_what_neither_options_nor_a_stored_run_say(tmp_path):
    folder = RunFolder.open(tmp_path / "run", "pretrain", resume=True)
    defaults = {"loss": "scaled", "epochs": 3}

    def resolve(options=None, **given):
        chosen, _ = resolve_options(
            PretrainOptions, folder, options, given, defaults=defaults
        )
        return chosen.loss, chosen.epochs

    path = tmp_path / "options.toml"
    path.write_text("epochs = 7\n")
    assert resolve() == ("scaled", 3)
    assert resolve(loss="paper") == ("paper", 3)
    assert resolve(path) == ("scaled", 7)
    assert resolve(PretrainOptions()) == ("released", 20)
    assert resolve(recipe="default") == ("released", 20)
    stored = PretrainOptions(schedule="constant", loss="paper", epochs=5)
    folder.begin(RunPlan(kind="pretrain", options=stored, model={}, data={}))
    assert resolve() == ("paper", 5)


def test_longer_run_than_the_cosine_is_refused(tmp_path):
    folder = RunFolder.open(tmp_path / "run", "pretrain", resume=True)
    options, _ = resolve_options(PretrainOptions, folder, None, {"epochs": 2})
    folder.begin(RunPlan(kind="pretrain", options=options, model={}, data={}))
    with pytest.raises(ConfigError, match=r"zero from `decay_epochs` on.*4 epochs"):
        resolve_options(PretrainOptions, folder, None, {"epochs": 4})


def test_options_of_another_kind_are_refused(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(ConfigError, match="must be PretrainOptions or the path"):
        resolve_options(PretrainOptions, folder, {"epochs": 3}, {})


def test_metrics_are_a_table_of_all_epochs(folder):
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 0.25}]
    folder.write_metrics(rows)
    assert folder.metrics.read_text() == ("epoch,loss\n1,0.30000000000000004\n2,0.25\n")


# --- Files that are there as a whole


def test_write_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "deep" / "file"
    write_whole(path, lambda stream: stream.write(b"old"))

    def fail(stream):
        stream.write(b"new")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls = []
    fsync, path = os.fsync, tmp_path / "file"

    def record(descriptor):
        calls.append(
            (str(Path(f"/proc/self/fd/{descriptor}").readlink()), path.exists())
        )
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    write_whole(path, lambda stream: stream.write(b"new"))
    temporary, parent = calls
    assert temporary == (str(tmp_path / ".file.tmp"), False)
    assert parent == (str(tmp_path), True)


def test_full_disk_is_called_that_and_the_old_file_is_intact(tmp_path):
    path = tmp_path / "file"
    write_whole(path, lambda stream: stream.write(b"old"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel's own refusal to write on, as of a full disk.
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(
            RunError, match=r"disk is full\. Received: path=.*file.*room"
        ):
            write_whole(path, lambda stream: stream.write(bytes(100_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"


def test_only_a_full_disk_is_explained(tmp_path):
    with (
        pytest.raises(RunError, match="disk is full"),
        disk_errors_explained(tmp_path),
    ):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(PermissionError), disk_errors_explained(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_what_a_killed_process_left_of_a_preset_is_removed(tmp_path):
    folder = RunFolder(tmp_path)
    left = tmp_path / ".preset-abc"
    left.mkdir()
    (left / "config.json").write_text("{}")
    with folder.claim():
        assert not left.exists()
