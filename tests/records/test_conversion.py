"""From tables and files to a folder of records."""

from __future__ import annotations

import errno
import gzip
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from astromer.errors import ConfigError, RecordError, SurveyError
from astromer.records import (
    ConvertOptions,
    Manifest,
    convert,
    convert_tables,
    read_records,
    summarize_records,
    verify_records,
)
from astromer.records import convert as convert_function
from astromer.surveys import OBSERVATION_SCHEMA, ObservationTable

SMALL = ConvertOptions(objects_per_shard=10, min_observations=3)


def checksums(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def test_convert_conserves_every_observation(tmp_path, survey_tables, keep_all):
    frame = pl.concat([table.frame for table in survey_tables()])
    convert_tables(survey_tables(), tmp_path / "out", keep_all)
    curves = list(read_records(tmp_path / "out"))
    groups = frame.group_by("object_id", "passband", maintain_order=True)
    for curve, (key, rows) in zip(curves, groups, strict=True):
        assert (curve.object_id, curve.passband) == key
        np.testing.assert_array_equal(curve.time, rows["time"])
        np.testing.assert_array_equal(curve.mag, rows["mag"])
        np.testing.assert_array_equal(curve.mag_err, rows["mag_err"])
        assert curve.class_name == rows["class_name"][0]
        assert curve.label == {"EB": 0, "RRab": 1, None: -1}[curve.class_name]


def test_convert_writes_named_shards_and_a_manifest_that_adds_up(records):
    names = sorted(path.name for path in records.iterdir())
    assert names == [
        "manifest.json",
        "rejected.csv",
        *(f"test-{split}-{i:05d}-of-{n:05d}.tfrecord"
          for split, n in (("test", 1), ("train", 4), ("validation", 1))
          for i in range(n)),
    ]  # fmt: skip
    manifest = Manifest.load(records)
    # 40 objects: 14 RRab, 13 EB, 13 unknown; 0.8, 0.1, 0.1 of each by remainder.
    assert {n: s.num_objects for n, s in manifest.splits.items()} == {
        "train": 11 + 11 + 11,
        "validation": 2 + 1 + 1,
        "test": 1 + 1 + 1,
    }
    assert (
        manifest.num_light_curves()
        == 40 + 20
        == sum(shard.num_light_curves for shard in manifest.shards)
    )
    cut = sum(count.observations for count in manifest.cuts.values())
    assert manifest.rows_read == manifest.num_observations + cut
    assert manifest.label_map == {"EB": 0, "RRab": 1}
    assert manifest.labels.objects_without_label == 13
    assert sum(manifest.splits["train"].classes.values()) == (
        manifest.num_light_curves("train")
    )
    assert {"R", "B"} == set(manifest.splits["train"].passbands)
    assert all(check.passed for check in verify_records(records))


def test_all_passbands_of_an_object_share_a_shard(records):
    manifest = Manifest.load(records)
    shard_of = {}
    for path in manifest.shard_paths():
        curves = list(read_records(path))
        assert len({curve.object_id for curve in curves}) <= 10
        for curve in curves:
            assert shard_of.setdefault(curve.object_id, path) == path


def test_splits_do_not_depend_on_the_order_of_rows(tmp_path, survey_tables):
    convert_tables(survey_tables(), tmp_path / "a", SMALL)
    convert_tables(survey_tables(scatter=5), tmp_path / "b", SMALL)
    for split in ("train", "validation", "test"):
        first, second = (
            sorted(
                (c.object_id, c.passband, c.time.tobytes())
                for c in read_records(tmp_path / name, split)
            )
            for name in "ab"
        )
        assert first == second


@pytest.mark.parametrize("scatter", [None, 5])
def test_partitions_on_disk_give_the_same_light_curves_as_memory(
    tmp_path, survey_tables, scatter
):
    convert_tables(survey_tables(scatter=scatter), tmp_path / "memory", SMALL)
    manifest = convert_tables(
        survey_tables(scatter=scatter, num_tables=5),
        tmp_path / "disk",
        SMALL.replace(rows_per_partition=200),
    )
    whole = Manifest.load(tmp_path / "memory")
    assert manifest.cuts == whole.cuts
    assert manifest.splits == whole.splits
    for split in manifest.splits:
        first, second = (
            {(c.object_id, c.passband): c for c in read_records(tmp_path / name, split)}
            for name in ("memory", "disk")
        )
        assert first == second
    assert not (tmp_path / "disk" / ".work").exists()


def test_bytes_do_not_depend_on_jobs(tmp_path, survey_tables, monkeypatch):
    options = SMALL.replace(rows_per_partition=300)
    convert_tables(survey_tables(), tmp_path / "one", options)
    convert_tables(survey_tables(), tmp_path / "two", options.replace(jobs=2))
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")


def test_next_conversion_in_the_same_place_writes_its_own_partitions(
    tmp_path, table, keep_all
):
    out = tmp_path / "out"
    for mag in (15.0, 16.0):
        names = [f"star{i}" for i in range(20)]
        convert_tables(
            [table(object_id=names, mag=mag)],
            out,
            keep_all.replace(rows_per_partition=12),
        )
        assert {curve.mag.item() for curve in read_records(out)} == {mag}
        shutil.rmtree(out)


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no list of open files")
def test_partitions_on_disk_are_not_held_open(tmp_path, survey_tables):
    seen = []
    convert_tables(
        survey_tables(),
        tmp_path / "out",
        SMALL.replace(rows_per_partition=20),
        progress=lambda *_: seen.append(sum(1 for _ in Path("/dev/fd").iterdir())),
    )
    # Thirty partitions, two of which are read at a time.
    assert max(seen) <= seen[0] + 10


def test_jobs_share_a_single_partition_through_the_disk(
    tmp_path, survey_tables, monkeypatch
):
    module = sys.modules[convert_function.__module__]
    monkeypatch.setattr(module, "MIN_CURVES_FOR_PROCESSES", 1)
    convert_tables(survey_tables(), tmp_path / "one", SMALL)
    convert_tables(survey_tables(), tmp_path / "two", SMALL.replace(jobs=2))
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")


def test_dry_run_counts_and_writes_nothing(tmp_path, survey_tables):
    dry = convert_tables(survey_tables(), tmp_path / "out", SMALL, dry_run=True)
    assert not (tmp_path / "out").exists()
    wet = convert_tables(survey_tables(), tmp_path / "out", SMALL)
    assert dry.splits == wet.splits
    assert dry.cuts == wet.cuts
    assert [shard.name for shard in dry.shards] == [shard.name for shard in wet.shards]
    assert {(shard.bytes, shard.sha256) for shard in dry.shards} == {(0, "")}


def test_rejected_light_curves_are_all_in_the_file_and_100_in_the_manifest(
    tmp_path, table, keep_all
):
    short = [f"short{i}" for i in range(150)]
    manifest = convert_tables(
        [table("in.csv", object_id=["long"] * 5 + short)],
        tmp_path / "out",
        keep_all.replace(min_observations=5),
    )
    written = pl.read_csv(tmp_path / "out" / "rejected.csv")
    assert written["object_id"].to_list() == short
    assert written["line"].to_list() == list(range(7, 157))
    assert manifest.rejected.by_reason == {"too_few_observations": 150}
    assert len(manifest.rejected.first) == 100
    assert manifest.rejected.first[0] == {
        "object_id": "short0", "passband": "R", "reason": "too_few_observations",
        "source": "in.csv", "line": 7, "n_observations": 1, "n_read": 1,
    }  # fmt: skip


def test_lengths_count_the_light_curves_of_each_length(records):
    lengths = np.array([len(curve) for curve in read_records(records, "train")])
    values, counts = np.unique(lengths, return_counts=True)
    expected = dict(zip(map(str, values), counts, strict=True))
    assert Manifest.load(records).splits["train"].lengths == expected


def test_quantiles_are_those_of_numpy(records):
    curves = list(read_records(records, "train"))
    quantiles = Manifest.load(records).splits["train"].quantiles
    lengths = [len(curve) for curve in curves]
    assert quantiles["num_observations"]["0.25"] == np.quantile(lengths, 0.25)
    steps = [np.median(np.diff(curve.time)) for curve in curves]
    assert quantiles["cadence"]["0.5"] == pytest.approx(np.median(steps), rel=1e-5)
    brightest = min(curve.mag.min() for curve in curves)
    assert quantiles["mag_min"]["0"] == pytest.approx(brightest, rel=1e-5)


def test_progress_tells_stages_in_order_and_ends_at_the_total(tmp_path, survey_tables):
    seen = []
    convert_tables(
        survey_tables(),
        tmp_path / "out",
        SMALL,
        progress=lambda *told: seen.append(told),
    )
    assert list(dict.fromkeys(stage for stage, *_ in seen)) == [
        "read",
        "clean",
        "write",
    ]
    last = {stage: (done, total, unit) for stage, done, total, unit in seen}
    assert last["read"][0] == last["read"][1] == last["clean"][0] == last["clean"][1]
    assert last["write"] == (60, 60, "light curves")


def test_unknown_passband_names_those_that_exist_and_leaves_no_folder(
    tmp_path, survey_tables
):
    with pytest.raises(ConfigError, match=r'passband="V".*Known: B, R'):
        convert_tables(
            survey_tables(), tmp_path / "out", SMALL.replace(passbands=("V",))
        )
    assert not (tmp_path / "out").exists()


def test_input_without_a_light_curve_left_says_what_cut_it(tmp_path, table):
    with pytest.raises(RecordError, match=r"2 observations, cut by .*not_positive: 2"):
        convert_tables([table(mag_err=[-1.0, 0.0])], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_stars_of_one_magnitude_name_the_way_to_keep_them(tmp_path, table):
    steady = table(mag=[15.0] * 9)
    with pytest.raises(RecordError, match=r"all the same.*--clip-percentiles 0 100"):
        convert_tables([steady], tmp_path / "cut", ConvertOptions())
    options = ConvertOptions(clip_percentiles=(0, 100))
    manifest = convert_tables([steady], tmp_path / "kept", options)
    assert manifest.num_light_curves() == 1
    # Nothing is to be said of clipping where another cut did it.
    with pytest.raises(RecordError, match="Loosen the cuts"):
        convert_tables([table(mag=[15.0] * 3)], tmp_path / "few", options)


def test_input_without_rows_is_an_error(tmp_path):
    empty = ObservationTable(tmp_path, pl.DataFrame(schema=OBSERVATION_SCHEMA))
    for tables in ([], [empty]):
        with pytest.raises(RecordError, match="Received: 0 rows"):
            convert_tables(tables, tmp_path / "out")


def test_row_conservation_is_checked(tmp_path, survey_tables, monkeypatch):
    from astromer.records import cleaning

    def forget(self, name, out):
        self.keep(~out)
        self.lengths = np.bincount(self.curve, minlength=len(self.lengths))

    monkeypatch.setattr(cleaning._Rows, "cut", forget)
    with pytest.raises(RecordError, match="Rows read must be rows kept plus rows cut"):
        convert_tables(survey_tables(), tmp_path / "out", SMALL)


# From files ---------------------------------------------------------------------


@pytest.fixture
def long_csv(tmp_path, survey_tables):
    path = tmp_path / "in" / "stars.csv"
    path.parent.mkdir()
    frame = pl.concat([table.frame for table in survey_tables()])
    frame.drop("line", "flag").write_csv(path)
    return path


def test_convert_reads_files_and_gives_the_same_records_as_tables(
    tmp_path, long_csv, survey_tables
):
    manifest = convert("table", long_csv, tmp_path / "a", options=SMALL)
    convert_tables(survey_tables(), tmp_path / "b", SMALL)
    assert list(read_records(tmp_path / "a")) == list(read_records(tmp_path / "b"))
    assert manifest.survey == "table"
    assert manifest.shards[0].name.startswith("table-train-00000-of-")
    assert manifest.inputs.files == [
        {"name": "stars.csv", "bytes": long_csv.stat().st_size}
    ]
    assert str(tmp_path) not in (tmp_path / "a" / "manifest.json").read_text()


def test_convert_takes_options_from_toml_and_overrides(tmp_path, long_csv):
    toml = tmp_path / "options.toml"
    toml.write_text('survey = "table"\nmin_observations = 9\npassbands = ["R"]\n')
    manifest = convert(
        None, [long_csv], tmp_path / "out", options=toml, min_observations=1, seed=5
    )
    assert manifest.options["min_observations"] == 1
    assert manifest.options["seed"] == 5
    assert set(manifest.splits["train"].passbands) == {"R"}
    assert manifest.cuts["passband_not_selected"].light_curves == 20


def test_convert_detects_the_survey_and_names_shards_by_it(tmp_path, long_csv):
    manifest = convert(None, long_csv, tmp_path / "out", min_observations=1)
    assert manifest.survey == "table"


def test_convert_refuses_an_unknown_option_and_survey(tmp_path, long_csv):
    with pytest.raises(ConfigError, match='Did you mean "min_observations"'):
        convert("table", long_csv, tmp_path / "out", min_observation=3)
    with pytest.raises(SurveyError, match='Did you mean "table"'):
        convert("tabel", long_csv, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_convert_counts_bad_values_of_a_file(tmp_path):
    file = tmp_path / "bad.csv"
    good = [f"a,R,{i},{15 + i / 10},0.1" for i in range(6)]
    bad = [
        "a,R,7,-99,0.1",
        "a,R,8,nan,0.1",
        "a,R,9,15,-0.1",
        "a,R,5,15,0.1",
        "b,R,1,15,0.1",
    ]
    file.write_text(
        "\n".join(["object_id,passband,time,mag,mag_err", *good, *bad]) + "\n"
    )
    manifest = convert("table", file, tmp_path / "out", clip_percentiles=None)
    counts = {name: cut.observations for name, cut in manifest.cuts.items()}
    assert counts.pop("too_few_observations") == 1
    assert counts.pop("mag_err_not_positive") == 1
    assert counts.pop("duplicate_time") == 1
    assert sum(counts.values()) == 2
    assert set(counts) <= {"missing_value", "not_finite", "not_a_number"}
    assert manifest.rejected.first[0]["line"] == 12
    assert manifest.num_observations == 6


@pytest.fixture
def folder_of_files(tmp_path):
    """A file for each of 20 stars; the 3rd is cut short, the 6th and 9th are empty."""
    rows = "".join(f"{day},{15 + day % 7 / 10},0.1\n" for day in range(20))
    for star in range(20):
        path = tmp_path / "in" / f"star{star:02d}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"time,mag,mag_err\n{rows}")
    first = tmp_path / "in" / "star02.csv"
    first.write_bytes(gzip.compress(first.read_bytes())[:-20])
    for star in ("05", "08"):
        (tmp_path / "in" / f"star{star}.csv").write_text("")
    return tmp_path / "in"


UNREADABLE = [
    {
        "name": "star02.csv",
        "reason": "The compressed file is damaged or cut short.",
    },
    {"name": "star05.csv", "reason": "The file is empty."},
    {"name": "star08.csv", "reason": "The file is empty."},
]


def test_first_unreadable_file_ends_the_conversion(tmp_path, folder_of_files):
    with pytest.raises(SurveyError, match=r"cut short.*star02\.csv"):
        convert("table", folder_of_files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("survey", [None, "table"])
@pytest.mark.parametrize("rows", [1000, 100], ids=["memory", "disk"])
def test_unreadable_files_are_named_in_the_manifest(
    tmp_path, folder_of_files, survey, rows
):
    out = tmp_path / "out"
    options = {"max_unreadable": 0.15, "rows_per_partition": rows}
    manifest = convert(survey, folder_of_files, out, **options)
    assert manifest.inputs.num_files == 20
    assert manifest.inputs.unreadable == UNREADABLE
    assert manifest.num_light_curves() == 17
    assert manifest.options["max_unreadable"] == 0.15
    assert Manifest.load(out).inputs == manifest.inputs
    assert all(check.passed for check in verify_records(out))
    assert str(tmp_path) not in (out / "manifest.json").read_text()
    assert summarize_records(out).unreadable == [
        {"reason": UNREADABLE[0]["reason"], "files": 1, "first": "star02.csv"},
        {"reason": UNREADABLE[1]["reason"], "files": 2, "first": "star05.csv"},
    ]


def test_too_many_unreadable_files_end_the_conversion(tmp_path, folder_of_files):
    with pytest.raises(SurveyError, match=r"3 of 20, where max_unreadable=0\.1"):
        convert(None, folder_of_files, tmp_path / "out", max_unreadable=0.1)
    assert not (tmp_path / "out").exists()


def test_resumed_conversion_remembers_unreadable_files(tmp_path, folder_of_files):
    options = {"max_unreadable": 0.2, "rows_per_partition": 100}

    def stop_at_writing(stage, *_):
        if stage == "write":
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        convert("table", folder_of_files, out, progress=stop_at_writing, **options)
    manifest = convert("table", folder_of_files, out, resume=True, **options)
    assert manifest.inputs.unreadable == UNREADABLE


def test_ragged_lines_are_counted_in_the_manifest(tmp_path):
    file = tmp_path / "in.csv"
    rows = [f"a,R,{i},{15 + i / 10},0.1,ok" for i in range(6)]
    rows += ["Smith, J,R,7,15.1,0.1,ok", "a,R,8,15.1,0.1"]
    title = "object_id,passband,time,mag,mag_err,comment"
    file.write_text("\n".join([title, *rows]) + "\n")
    manifest = convert("table", file, tmp_path / "out", clip_percentiles=None)
    assert manifest.cuts["ragged_line"].observations == 2
    assert manifest.num_observations == 6
    # The comma has split the name, and what came of it is named with its line.
    assert manifest.rejected.first[0]["object_id"] == "Smith"
    assert manifest.rejected.first[0]["line"] == 8


def test_records_do_without_tensorflow():
    code = (
        "import sys, astromer.records; "
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_convert_on_real_light_curves(tmp_path, shared):
    source = pl.read_parquet(shared / "data" / "crts_labelled.parquet", n_rows=120)
    file = tmp_path / "crts.parquet"
    source.write_parquet(file)
    manifest = convert("table", file, tmp_path / "out", min_observations=5)
    assert manifest.rows_read == source["mjd"].list.len().sum()
    assert set(manifest.label_map) == set(source["label"].unique())
    curves = {curve.object_id: curve for curve in read_records(tmp_path / "out")}
    assert len(curves) + manifest.rejected.num_light_curves == 120
    row = source.row(7, named=True)
    time, mag, err = (np.array(row[name]) for name in ("mjd", "mag", "err"))
    keep = (err > 0) & (err <= 1)
    time, index = np.unique(time[keep], return_index=True)
    mag = mag[keep][index].astype(np.float32).astype(np.float64)
    low, high = np.percentile(mag, (1, 99))
    inside = (mag > low) & (mag < high)
    np.testing.assert_array_equal(curves[row["id"]].time, time[inside])
    assert all(check.passed for check in verify_records(tmp_path / "out"))


@pytest.fixture
def two_folders(tmp_path):
    """Two files of one name with different stars, and no column for the object."""
    for folder, mag in (("f1", 15), ("f2", 18)):
        (tmp_path / folder).mkdir()
        rows = "".join(f"{day},{mag},0.1\n" for day in range(6))
        (tmp_path / folder / "0001.csv").write_text(rows)
    return tmp_path


def test_files_of_one_name_are_not_one_light_curve(two_folders, keep_all):
    folders = [two_folders / name for name in ("f1", "f2")]
    out = two_folders / "out"
    with pytest.raises(RecordError, match=r"f1.0001\.csv and .*f2.0001\.csv.*=0001"):
        convert("table", folders, out, options=keep_all)
    assert not out.exists()
    # Named by the user they are, and one object in two passbands is no doubt.
    listed = two_folders / "list.csv"
    listed.write_text("object_id,path\na,f1/0001.csv\na,f2/0001.csv\n")
    assert convert("table", listed, out, options=keep_all).num_observations == 6
    shutil.rmtree(out)
    listed.write_text("path,passband\nf1/0001.csv,V\nf2/0001.csv,I\n")
    assert convert("table", listed, out, options=keep_all).num_observations == 12


@pytest.mark.parametrize("rows_per_partition", [5, 1000], ids=["disk", "memory"])
def test_convert_into_a_folder_with_brackets(
    tmp_path, survey_tables, rows_per_partition
):
    options = SMALL.replace(rows_per_partition=rows_per_partition)
    out = tmp_path / "out[1]"
    convert_tables(survey_tables(), out, options)
    assert all(result.passed for result in verify_records(out))


def test_folder_that_cannot_be_written_is_named(tmp_path, survey_tables):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"can be written.*out=.*file.out"):
        convert_tables(survey_tables(), tmp_path / "file" / "out", SMALL)


def test_passband_of_an_input_without_passbands_says_what_to_do(
    tmp_path, two_folders, keep_all
):
    options = keep_all.replace(passbands=("V",))
    with pytest.raises(ConfigError, match=r"names none.*--file-passband V"):
        convert("table", two_folders / "f1", tmp_path / "out", options=options)


def test_full_disk_is_named_and_what_is_there_can_be_resumed(
    tmp_path, survey_tables, monkeypatch
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:

        def fill(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr("astromer.records.conversion.write_shard", fill)
        with pytest.raises(ConfigError, match=r"quota is full.*path=.*out.*Make room"):
            convert_tables(survey_tables(), out, SMALL)
    assert (out / ".work").is_dir()
    convert_tables(survey_tables(), out, SMALL, resume=True)
    assert all(result.passed for result in verify_records(out))
