from __future__ import annotations

import polars as pl
import pytest

from astromer.errors import ConfigError
from astromer.records import Manifest, convert_tables, read_labels, read_records


@pytest.mark.parametrize(
    "header",
    [
        *("object_id,class_name", "ID,Class", "extra,Label,id", " ID , label "),
        *("source_id,var_type", "Star ID,Type"),
    ],
)
def test_read_labels_finds_columns_by_their_usual_names(tmp_path, header):
    names = [name.strip().lower() for name in header.split(",")]
    values = {"extra": "x"} | dict.fromkeys(
        ["object_id", "id", "source_id", "star id"], "007"
    )
    row = ",".join(values.get(name, "EB") for name in names)
    file = tmp_path / "labels.csv"
    file.write_text(f"{header}\n{row}\n")
    assert read_labels(file).table.rows() == [("007", "EB")]


def test_read_labels_takes_parquet_with_numbers(tmp_path):
    file = tmp_path / "labels.parquet"
    pl.DataFrame({"ID": [1, 2, 3], "label": [4, 5, None]}).write_parquet(file)
    assert read_labels(file).table.rows() == [("1", "4"), ("2", "5")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("who,class\na,EB\n", "column with the object.*columns="),
        ("id,kind\na,EB\n", "column with the class"),
        ("id,class\na,EB\na,RRab\n", r"object_id=a, classes=\['EB', 'RRab'\]"),
        ("", "CSV or Parquet"),
        (None, "CSV or Parquet"),
    ],
    ids=["no object", "no class", "two classes", "empty", "absent"],
)
def test_read_labels_names_what_is_wrong_with_a_file(tmp_path, content, message):
    file = tmp_path / "labels.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_labels(file)
    assert "labels.csv" in str(caught.value)


@pytest.mark.parametrize("rows_per_partition", [2, 100], ids=["disk", "memory"])
def test_labels_win_over_the_input_and_loose_ends_are_counted(
    tmp_path, table, keep_all, rows_per_partition
):
    file = tmp_path / "labels.csv"
    file.write_text("id,class\na,EB\nb,\nnobody,RRab\nnowhere,EB\n")
    options = keep_all.replace(labels=file, rows_per_partition=rows_per_partition)
    convert_tables(
        [
            table(
                object_id=["a", "b", "c", "d", "a"],
                class_name=["RRab", None, "CEP", None, "CEP"],
            )
        ],
        tmp_path / "out",
        options,
    )
    manifest = Manifest.load(tmp_path / "out")
    assert manifest.label_map == {"CEP": 0, "EB": 1}
    assert manifest.labels.labels_without_object == 2
    assert manifest.labels.objects_without_label == 2
    assert manifest.labels.conflicting_objects == 0
    assert manifest.splits["all"].classes == {"": 2, "CEP": 1, "EB": 1}
    found = {
        c.object_id: (c.class_name, c.label) for c in read_records(tmp_path / "out")
    }
    assert found == {"a": ("EB", 1), "b": (None, -1), "c": ("CEP", 0), "d": (None, -1)}


def test_blanks_around_names_are_no_part_of_them(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("id, class\n star1 , RR\nstar2, \n")
    assert read_labels(file).table.rows() == [("star1", "RR")]


@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
def test_read_labels_takes_what_surveys_separate_by(tmp_path, separator):
    file = tmp_path / "labels[1].csv"
    rows = ["# from a catalog", "ID class", '"a" EB', "b nan", "c NULL", "d NA"]
    file.write_text("\n".join(rows).replace(" ", separator) + "\n")
    # The pattern labels[1].csv would be this file.
    (tmp_path / "labels1.csv").write_text("ID,class\na,WRONG\n")
    rows = read_labels(file).table.rows()
    assert rows == [("a", "EB"), ("d", "NA")]


def test_read_labels_names_a_line_with_other_fields(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("ID,class\na,EB\nb,EB,RRab\n")
    with pytest.raises(
        ConfigError, match=r"fields of the title.*line 3 of .*labels\.csv"
    ):
        read_labels(file)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_integers_that_became_floats_are_integers_again(tmp_path, kind):
    """As pandas writes them where one is missing."""
    file = tmp_path / f"labels.{kind}"
    frame = pl.DataFrame({"id": [1.0, 2.0, None, 4.0], "label": [4.0, None, 5.0, 6.0]})
    frame.write_csv(file) if kind == "csv" else frame.write_parquet(file)
    assert read_labels(file).table.rows() == [("1", "4"), ("4", "6")]


def test_names_that_look_like_floats_in_part_stay_what_they_are(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("id,class\n1.0,EB\n1.1,RRab\n")
    assert read_labels(file).table.rows() == [("1.0", "EB"), ("1.1", "RRab")]


@pytest.mark.parametrize("matching", [0, 1])
def test_labels_of_no_object_at_all_are_a_warning(
    tmp_path, table, keep_all, caplog, matching
):
    file = tmp_path / "labels.csv"
    file.write_text("id,class\nx1,EB\nx2,EB\nx3,RRab\n" + "a,EB\n" * matching)
    convert_tables(
        [table(object_id=["a", "a", "b", "c"]), table(object_id=["d", "d"])],
        tmp_path / "out",
        keep_all.replace(labels=file),
    )
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    if matching:
        assert warnings == []
    else:
        (message,) = warnings
        assert "called: a, b; in the labels: x1, x2." in message
