"""Interrupted conversions end with the same bytes, and strange folders are refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from astromer.errors import ConfigError, RecordError, SurveyError
from astromer.records import (
    ConvertOptions,
    Manifest,
    conversion,
    convert,
    convert_tables,
)
from astromer.records.manifest import InputSummary

OPTIONS = ConvertOptions(
    objects_per_shard=5, min_observations=3, rows_per_partition=200
)


def checksums(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def identities(folder):
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.glob("*.tfrecord")
    }


class InterruptedByTestError(Exception):
    pass


def interrupt(stage, calls):
    """Return a progress that raises at the given call of a stage."""
    left = [calls]

    def progress(told, *_):
        if told == stage:
            left[0] -= 1
            if left[0] == 0:
                raise InterruptedByTestError

    return progress


@pytest.mark.parametrize(
    ("stage", "calls", "shards"),
    [("read", 2, 0), ("clean", 3, 0), ("write", 1, 0), ("write", 4, 3)],
)
@pytest.mark.parametrize("rows_per_partition", [200, 10_000], ids=["disk", "memory"])
def test_resume_ends_with_the_same_bytes_after_an_exception(
    tmp_path, survey_tables, stage, calls, shards, rows_per_partition
):
    options = OPTIONS.replace(rows_per_partition=rows_per_partition)
    if rows_per_partition == 10_000 and stage in ("read", "clean"):
        calls = 2
    convert_tables(survey_tables(), tmp_path / "whole", options)
    out = tmp_path / "out"
    with pytest.raises(InterruptedByTestError):
        convert_tables(survey_tables(), out, options, progress=interrupt(stage, calls))
    assert not (out / "manifest.json").exists()
    before = identities(out)
    assert len(before) == shards
    convert_tables(survey_tables(), out, options, resume=True)
    assert checksums(out) == checksums(tmp_path / "whole")
    assert {name: identities(out)[name] for name in before} == before
    assert not (out / ".work").exists()


def test_resume_does_not_read_again_what_is_on_the_disk(tmp_path, survey_tables):
    convert_tables(survey_tables(), tmp_path / "whole", OPTIONS)
    with pytest.raises(InterruptedByTestError):
        convert_tables(
            survey_tables(), tmp_path / "out", OPTIONS, progress=interrupt("clean", 3)
        )

    def untouchable():
        raise AssertionError("read again")
        yield

    convert_tables(untouchable(), tmp_path / "out", OPTIONS, resume=True)
    assert checksums(tmp_path / "out") == checksums(tmp_path / "whole")


def test_resume_forgets_what_an_interrupted_reading_left(tmp_path, survey_tables):
    options = OPTIONS.replace(rows_per_partition=20)
    whole = convert_tables(survey_tables(), tmp_path / "whole", options)
    out = tmp_path / "out"
    with pytest.raises(InterruptedByTestError):
        convert_tables(
            survey_tables(num_tables=30), out, options, progress=interrupt("read", 25)
        )
    assert len({path.name for path in (out / ".work").rglob("*.rows.arrow")}) > 20
    # Larger tables make fewer parts on the disk, which do not overwrite all earlier.
    resumed = convert_tables(survey_tables(num_tables=1), out, options, resume=True)
    assert (resumed.rows_read, resumed.cuts) == (whole.rows_read, whole.cuts)
    assert resumed.shards == whole.shards


def test_resume_ends_with_the_same_bytes_after_sigkill(tmp_path):
    source = tmp_path / "in.csv"
    lines = [
        f"star{i:03d},R,{t}.5,{15 + (i * t) % 7 / 10},0.1"
        for t in range(8)
        for i in range(60)
    ]
    source.write_text("\n".join(["object_id,passband,time,mag,mag_err", *lines]) + "\n")
    code = textwrap.dedent(
        """
        import os, signal, sys
        from astromer.records import convert
        def progress(stage, done, total, unit):
            if stage == "write" and done >= 20:
                os.kill(os.getpid(), signal.SIGKILL)
        convert("table", sys.argv[1], sys.argv[2], objects_per_shard=10,
                min_observations=1, progress=progress)
        """
    )
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(
        [sys.executable, "-c", code, source, out], check=False, env=environment
    )
    assert killed.returncode == -signal.SIGKILL
    before = identities(out)
    assert len(before) == 2
    chosen = {"objects_per_shard": 10, "min_observations": 1}
    convert("table", source, out, resume=True, **chosen)
    convert("table", source, tmp_path / "whole", **chosen)
    assert checksums(out) == checksums(tmp_path / "whole")
    assert {name: identities(out)[name] for name in before} == before


def test_resume_of_finished_records_changes_nothing(tmp_path, survey_tables):
    out = tmp_path / "out"
    convert_tables(survey_tables(), out, OPTIONS)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    manifest = convert_tables(iter(()), out, OPTIONS, resume=True)
    assert manifest == Manifest.load(out)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


@pytest.mark.parametrize("damage", ["removed", "cut short"])
def test_resume_of_finished_records_mends_a_shard(tmp_path, survey_tables, damage):
    out = tmp_path / "out"
    convert_tables(survey_tables(), out, OPTIONS)
    expected, before = checksums(out), identities(out)
    victim = sorted(out.glob("*.tfrecord"))[1]
    if damage == "removed":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-3])
    convert_tables(survey_tables(), out, OPTIONS, resume=True)
    assert checksums(out) == expected
    changed = {
        name for name, identity in identities(out).items() if identity != before[name]
    }
    assert changed == {victim.name}


def test_resume_of_finished_records_writes_the_lost_list_of_rejections(
    tmp_path, survey_tables
):
    out = tmp_path / "out"
    convert_tables(survey_tables(), out, OPTIONS)
    expected, before = checksums(out), identities(out)
    (out / "rejected.csv").unlink()
    convert_tables(survey_tables(), out, OPTIONS, resume=True)
    assert checksums(out) == expected
    assert identities(out) == before


def test_records_of_other_versions_are_kept_but_not_mended(tmp_path, survey_tables):
    out = tmp_path / "out"
    manifest = convert_tables(survey_tables(), out, OPTIONS)
    versions = {**manifest.versions, "polars": "0.1"}
    dataclasses.replace(manifest, versions=versions).save(out)
    again = convert_tables(survey_tables(), out, OPTIONS, resume=True)
    assert again.versions == versions
    manifest.shard_paths()[0].unlink()
    before = checksums(out)
    with pytest.raises(ConfigError, match=r"versions that began it.*'polars': '0.1'"):
        convert_tables(survey_tables(), out, OPTIONS, resume=True)
    assert checksums(out) == before


def test_resume_in_a_new_folder_just_converts(tmp_path, survey_tables):
    convert_tables(survey_tables(), tmp_path / "out", OPTIONS, resume=True)
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("finished", [True, False])
def test_other_options_or_inputs_are_refused_by_name(tmp_path, survey_tables, finished):
    out = tmp_path / "out"
    inputs = InputSummary(1, 100, "aaa")
    if finished:
        convert_tables(survey_tables(), out, OPTIONS, inputs=inputs)
    else:
        with pytest.raises(InterruptedByTestError):
            convert_tables(
                survey_tables(), out, OPTIONS, inputs=inputs,
                progress=interrupt("write", 2),
            )  # fmt: skip
    before = checksums(out)
    other = OPTIONS.replace(seed=3, max_error=None)
    with pytest.raises(
        ConfigError, match=r"max_error=None \(was 1.0\); seed=3 \(was 0\)"
    ):
        convert_tables(survey_tables(), out, other, inputs=inputs, resume=True)
    with pytest.raises(ConfigError, match=r"inputs: 1 files, 101 bytes \(was 1 files"):
        convert_tables(
            survey_tables(), out, OPTIONS, inputs=InputSummary(1, 101, "b"), resume=True
        )
    assert checksums(out) == before
    # How it runs may change; what it writes may not.
    convert_tables(
        survey_tables(),
        out,
        OPTIONS.replace(rows_per_table=7),
        inputs=inputs,
        resume=True,
    )


def test_other_versions_are_refused_for_an_interrupted_conversion(
    tmp_path, survey_tables
):
    out = tmp_path / "out"
    with pytest.raises(InterruptedByTestError):
        convert_tables(survey_tables(), out, OPTIONS, progress=interrupt("write", 2))
    plan_file = out / ".work" / "plan.json"
    plan = json.loads(plan_file.read_text())
    plan["versions"]["polars"] = "0.1"
    plan_file.write_text(json.dumps(plan))
    with pytest.raises(ConfigError, match=r"versions that began it.*'polars': '0.1'"):
        convert_tables(survey_tables(), out, OPTIONS, resume=True)


@pytest.mark.skipif(os.name != "posix", reason="has no SIGKILL on Windows")
def test_workers_end_with_the_process_that_started_them():
    code = textwrap.dedent(
        """
        from astromer.records.conversion import _run_all
        task = "import time; print('working', flush=True); time.sleep(30)"
        list(_run_all(exec, [(task,), (task,)], 2))
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        for _ in range(2):
            assert parent.stdout.readline() == b"working\n"
        parent.kill()
        # The workers hold the other end of the pipe for as long as they live.
        assert parent.communicate(timeout=10) == (b"", None)


def test_lost_worker_is_explained_and_what_is_there_can_be_resumed(
    tmp_path, survey_tables, monkeypatch
):
    out = tmp_path / "out"
    options = OPTIONS.replace(jobs=2)
    with monkeypatch.context() as patch:
        # Not the tasks themselves: what this process patches, workers do not see.
        run_all = conversion._run_all
        patch.setattr(
            conversion, "_run_all", lambda *_: run_all(os._exit, [(9,), (9,)], 2)
        )
        with pytest.raises(RecordError, match=r"killed.*jobs=2\. Use fewer.*resume"):
            convert_tables(survey_tables(), out, options)
    assert (out / ".work" / "rows").is_dir()
    convert_tables(iter(()), out, OPTIONS, resume=True)
    convert_tables(survey_tables(), tmp_path / "whole", OPTIONS)
    assert checksums(out) == checksums(tmp_path / "whole")


@pytest.mark.skipif(os.name != "posix", reason="claims nothing on Windows")
@pytest.mark.parametrize("resume", [False, True])
def test_two_conversions_into_one_folder_are_refused(tmp_path, survey_tables, resume):
    out = tmp_path / "out"
    convert_tables(survey_tables(), tmp_path / "whole", OPTIONS)
    refused = []

    def meanwhile(stage, done, *_):
        if stage in ("read", "clean", "write"):
            with pytest.raises(ConfigError, match=r"at a time.*out=.*Wait for its end"):
                convert_tables(survey_tables(), out, OPTIONS, resume=resume)
            refused.append(stage)

    convert_tables(survey_tables(), out, OPTIONS, progress=meanwhile)
    assert {"read", "clean", "write"} == set(refused)
    assert checksums(out) == checksums(tmp_path / "whole")


def test_claim_that_a_killed_process_left_does_not_count(tmp_path, survey_tables):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").touch()
    convert_tables(survey_tables(), out, OPTIONS)
    assert not (out / ".lock").exists()


@pytest.mark.parametrize("inputs", ["{}", "{}/**/*.csv", "{}/[or]*"])
@pytest.mark.parametrize("finished", [False, True])
def test_records_among_the_input_are_none_of_it(tmp_path, inputs, finished):
    survey = tmp_path / "survey"
    survey.mkdir()
    rows = "".join(f"1,{t},15,0.1\n2,{t},16,0.1\n" for t in range(6))
    (survey / "oi.csv").write_text(f"object_id,time,mag,mag_err\n{rows}3,1,15,0.1\n")
    (survey / "manifest.json").write_text('{"format": "of the observatory"}')
    out = survey / "records"
    pattern = inputs.format(survey)
    chosen = {"clip_percentiles": None}
    before = convert("table", survey, out, **chosen)
    assert before.rejected.num_light_curves == 1
    if not finished:
        (out / "manifest.json").unlink()
        plan = {
            "options": before.options,
            "inputs": dataclasses.asdict(before.inputs),
            "versions": before.versions,
        }
        (out / ".work").mkdir()
        (out / ".work" / "plan.json").write_text(json.dumps(plan))
    again = convert("table", pattern, out, resume=True, **chosen)
    assert again.shards == before.shards
    # As a shell writes out `survey/*`.
    listed = [survey / "oi.csv", out]
    again = convert("table", listed, out, resume=True, **chosen)
    assert again.shards == before.shards
    with pytest.raises(SurveyError, match=r"not the records.*inputs=.*records"):
        convert("table", out, tmp_path / "again")


@pytest.mark.parametrize("survey", ["table", None])
def test_changed_file_that_a_table_lists_is_noticed(tmp_path, survey):
    files = [tmp_path / f"{name}.dat" for name in "ab"]
    for file in files:
        file.write_text("".join(f"{t} 15.{t} 0.1\n" for t in range(9)))
    table = tmp_path / "stars.csv"
    table.write_text("object_id,path\na,a.dat\nb,b.dat\n")
    out = tmp_path / "out"
    with pytest.raises(InterruptedByTestError):
        convert(survey, table, out, progress=interrupt("write", 1))
    written = files[1].read_text()
    files[1].write_text(written + "9 15.9 0.1\n")
    with pytest.raises(ConfigError, match=r"Received: inputs: 1 files.*changed since"):
        convert(survey, table, out, resume=True)
    files[1].unlink()
    with pytest.raises(ConfigError, match="changed since"):
        convert(survey, table, out, resume=True)


def test_a_folder_that_is_not_empty_is_refused_with_a_way_out(tmp_path, survey_tables):
    out = tmp_path / "out"
    with pytest.raises(InterruptedByTestError):
        convert_tables(survey_tables(), out, OPTIONS, progress=interrupt("write", 2))
    with pytest.raises(ConfigError, match="interrupted conversion; pass resume"):
        convert_tables(survey_tables(), out, OPTIONS)
    convert_tables(survey_tables(), out, OPTIONS, resume=True)
    with pytest.raises(ConfigError, match="holds finished records"):
        convert_tables(survey_tables(), out, OPTIONS)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("precious")
    for resume in (False, True):
        with pytest.raises(ConfigError, match="something else"):
            convert_tables(survey_tables(), foreign, OPTIONS, resume=resume)
    with pytest.raises(ConfigError, match="must be a folder"):
        convert_tables(survey_tables(), foreign / "thesis.txt", OPTIONS)
    assert (foreign / "thesis.txt").read_text() == "precious"
