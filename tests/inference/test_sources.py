import re
import shutil

import numpy as np
import pandas as pd
import polars as pl
import pytest

from astromer.errors import ConfigError, RecordError, SurveyError
from astromer.inference.sources import chunks, iterate_light_curves
from astromer.records.schema import iterate_frames
from astromer.surveys import Dropped

MACHO_FILE = """\
#Field Tile Seq RA(hour) Dec(deg) Filter mean_Mag med_Mag mean_(B-R) med_(B-R)
#1 3444 614 5.02878 -69.171 {passband} -5.912 -5.962 -0.335 -0.348
#MJD Mag Err
48823.477419 -6.081 0.156
48823.487014 -6.041 0.141
48824.496759 -5.5 0.11
"""


@pytest.fixture
def macho_folder(tmp_path):
    for passband in "BR":
        path = tmp_path / f"lc_1.3444.614.{passband}.mjd"
        path.write_text(MACHO_FILE.format(passband=passband))
    return tmp_path


def test_light_curves_come_as_they_are(curves):
    for source, expected in (
        (curves, len(curves)),
        (tuple(curves), len(curves)),
        (iter(curves), None),
        ((curve for curve in curves), None),
    ):
        found, number = iterate_light_curves(source)
        assert number == expected
        assert [a is b for a, b in zip(found, curves, strict=True)] == [True] * 10


def test_single_light_curve_is_a_source(curves):
    found, number = iterate_light_curves(curves[3])
    assert number == 1
    assert next(found) is curves[3]
    assert next(found, None) is None


@pytest.mark.parametrize("library", ["pandas", "polars", "lazy", "bytes"])
def test_long_frame_is_a_source(curves, library):
    frame = pd.concat([curve.to_pandas() for curve in curves], ignore_index=True)
    source = frame if library in ("pandas", "bytes") else pl.from_pandas(frame)
    if library == "lazy":
        source = source.lazy()
    elif library == "bytes":
        source["object_id"] = source["object_id"].str.encode("utf-8")
    found, number = iterate_light_curves(source)
    assert number == len(curves)
    for curve, expected in zip(found, curves, strict=True):
        assert curve.object_id == expected.object_id
        assert curve.class_name == expected.class_name
        np.testing.assert_array_equal(curve.time, expected.time)
        np.testing.assert_array_equal(curve.mag, expected.mag)


def test_folder_of_records_is_a_source_of_known_number(records, curves):
    for source in (records, str(records), [records]):
        found, number = iterate_light_curves(source)
        assert number == len(curves)
        for curve, expected in zip(found, curves, strict=True):
            assert (curve.object_id, curve.passband, curve.class_name) == (
                expected.object_id,
                expected.passband,
                expected.class_name,
            )
            np.testing.assert_array_equal(curve.time, expected.time)
            np.testing.assert_array_equal(curve.mag, expected.mag)
    found, number = iterate_light_curves([records, records])
    assert number == len(list(found)) == 2 * len(curves)


def test_survey_files_are_a_source(macho_folder):
    files = sorted(macho_folder.iterdir())
    for source, survey in (
        (files, None),
        (iter(files), None),
        ([str(file) for file in files], "macho"),
        (macho_folder, "macho"),
        (files[0].parent, None),
    ):
        found, number = iterate_light_curves(source, survey=survey)
        assert number is None
        curves = list(found)
        assert [curve.passband for curve in curves] == ["B", "R"]
        for curve in curves:
            assert curve.object_id == "1.3444.614"
            np.testing.assert_array_equal(
                curve.time, [48823.477419, 48823.487014, 48824.496759]
            )


def test_passband_of_files_is_the_only_one_that_is_read_and_counted(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,band,mjd,mag,err\na,R,1,15,1\na,B,1,-99,1\nb,R,1,-99,1\n")
    dropped = Dropped()
    found, _ = iterate_light_curves(path, passband="R", dropped=dropped)
    assert [curve.object_id for curve in found] == ["a"]
    assert dropped.observations == {"missing_value": 1}
    assert dropped.light_curves == [("b", "R", path, 4)]
    with pytest.raises(SurveyError, match='passband="V"; found: B, R'):
        iterate_light_curves(path, passband="V")


def test_unreadable_files_are_left_out_where_that_is_allowed(macho_folder):
    (macho_folder / "broken.mjd").write_text("")
    with pytest.raises(SurveyError, match="The file is empty"):
        iterate_light_curves(macho_folder)
    dropped = Dropped()
    found, _ = iterate_light_curves(macho_folder, dropped=dropped, max_unreadable=0.4)
    assert [curve.passband for curve in found] == ["B", "R"]
    assert dropped.files == {macho_folder / "broken.mjd": "The file is empty."}


def test_real_survey_files_are_a_source(shared):
    found, _ = iterate_light_curves(shared / "fixtures" / "macho", survey="macho")
    curves = list(found)
    names = {(curve.object_id, curve.passband) for curve in curves}
    assert {("1.3444.614", "B"), ("1.3444.614", "R"), ("2.4907.2086", "B")} <= names
    for curve in curves:
        assert ((curve.time > 48_000) & (curve.time < 52_000)).all()


def test_passband_selects_light_curves(curves, macho_folder):
    found, number = iterate_light_curves(curves, passband="B")
    assert number is None
    assert [curve.object_id for curve in found] == [c.object_id for c in curves[1::2]]
    found, _ = iterate_light_curves(macho_folder, passband="R")
    assert [curve.passband for curve in found] == ["R"]


@pytest.mark.parametrize("source", [[], (), iter(())], ids=["list", "tuple", "iter"])
def test_empty_source_is_refused(source):
    with pytest.raises(ConfigError, match=r"holds no light curves\. Received: none\."):
        iterate_light_curves(source)


def test_passband_that_no_light_curve_has_is_refused(curves):
    with pytest.raises(ConfigError, match='Received: none with passband="V"'):
        iterate_light_curves(curves, passband="V")


def test_records_and_survey_files_cannot_be_mixed(records, macho_folder):
    file = next(macho_folder.iterdir())
    message = rf"cannot be mixed.*{re.escape(str(records))}.*{re.escape(str(file))}"
    with pytest.raises(ConfigError, match=message):
        iterate_light_curves([records, file])


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (None, "NoneType"),
        (7, "int"),
        ([np.zeros((5, 3))], "ndarray"),
        (np.zeros((5, 3)), "ndarray"),
        ([3], "int"),
    ],
)
def test_source_of_something_else_is_refused(wrong, kind):
    with pytest.raises(ConfigError, match=rf"of type {kind}\. Build light curves"):
        iterate_light_curves(wrong)


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_several_frames_are_refused_with_the_way_to_give_them(library):
    frame = library.DataFrame({"time": [1.0], "mag": [15.0], "mag_err": [0.1]})
    with pytest.raises(ConfigError, match=r"DataFrame\..*`light_curves_from_frame`"):
        iterate_light_curves([frame, frame])


def test_light_curves_and_paths_cannot_be_mixed(curves, records):
    found, _ = iterate_light_curves([curves[0], records])
    with pytest.raises(ConfigError, match=r"or else paths\. Received: .* type \w+Path"):
        list(found)


def test_unknown_survey_and_missing_file_are_refused(macho_folder):
    with pytest.raises(SurveyError, match=r'Unknown survey.*mean "macho"'):
        iterate_light_curves(macho_folder, survey="machoo")
    with pytest.raises(SurveyError, match="nowhere"):
        iterate_light_curves(macho_folder / "nowhere.mjd")


def test_survey_is_refused_where_there_are_no_files(curves):
    frame = curves[0].to_pandas()
    for source in (curves[0], curves, iter(curves), frame):
        with pytest.raises(ConfigError, match=r'format of files\. .*survey="macho"'):
            iterate_light_curves(source, survey="macho")


def test_damaged_records_are_named(tmp_path, records):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in records.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    shard = sorted(folder.glob("*.tfrecord"))[1]
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    found, _ = iterate_light_curves(folder)
    with pytest.raises(RecordError, match=f"checksum is wrong.*{shard.name}"):
        list(found)


def test_chunks_keep_order_and_end_once_full(curves):
    grouped = list(chunks(iter(curves), 20))
    assert [curve for group in grouped for curve in group] == curves
    for group in grouped[:-1]:
        lengths = [len(curve) for curve in group]
        assert sum(lengths) >= 20
        assert sum(lengths[:-1]) < 20
    assert len(grouped) > 3


def test_short_light_curves_fill_chunks_as_their_windows_do(curves):
    short = [curve for curve in curves if len(curve) < 8] * 4
    grouped = list(chunks(iter(short), 20, at_least=8))
    assert [curve for group in grouped for curve in group] == short
    assert [len(group) for group in grouped] == [3, 3, 3, 3]
    assert len(next(chunks(iter(short), 20))) > 3


def test_chunks_of_nothing_are_none():
    assert list(chunks(iter(()), 20)) == []


def test_tables_of_other_libraries_are_sources(curves):
    frame = pd.concat([curve.to_pandas() for curve in curves[:2]], ignore_index=True)
    frame = frame[["object_id", "time", "mag", "mag_err"]]
    tables = [pytest.importorskip("pyarrow").Table.from_pandas(frame)]
    tables.append(pytest.importorskip("astropy.table").Table.from_pandas(frame))
    for table in tables:
        found, _ = iterate_light_curves(table)
        for curve, expected in zip(found, curves[:2], strict=True):
            assert curve.object_id == expected.object_id
            for name in ("time", "mag", "mag_err"):
                values, wanted = getattr(curve, name), getattr(expected, name)
                np.testing.assert_array_equal(values, wanted)


def test_mapping_is_refused_with_the_way_to_give_it(curves):
    with pytest.raises(ConfigError, match=r"keys \['a'\]\. .*list\(source\.values"):
        iterate_light_curves({"a": curves[0]})


def test_shard_cut_between_two_records_is_an_error(tmp_path, records):
    folder = shutil.copytree(records, tmp_path / "cut")
    shard = next(folder.glob("*.tfrecord"))
    frames = list(iterate_frames(shard))
    # A frame is its record and sixteen bytes of lengths and checksums.
    with open(shard, "r+b") as stream:
        stream.truncate(shard.stat().st_size - len(frames[-1]) - 16)
    assert list(iterate_frames(shard)) == frames[:-1]
    with pytest.raises(RecordError, match=f"missing or cut.*{shard.name}, .* bytes"):
        list(iterate_light_curves(folder)[0])
