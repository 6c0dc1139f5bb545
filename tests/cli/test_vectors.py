"""`search` and `anomalies` on a file of embeddings."""

import numpy as np
import polars as pl
import pytest

from astromer.cli import main
from tests.inference.test_vectors import make


@pytest.fixture
def embeddings(rng):
    names = [f"star[{i}]" for i in range(30)]
    values = rng.normal([5, 0, 0], 0.3, (30, 3))
    values[12] = [0, 5, 0]
    return make(values, names)


@pytest.fixture
def file(embeddings, tmp_path):
    return str(embeddings.write(tmp_path / "embeddings.parquet"))


def test_search_shows_and_writes_what_is_like_an_object(
    embeddings, file, tmp_path, capsys
):
    out = tmp_path / "matches.csv"
    arguments = ["--object", "star[7]", "--object", "star[2]", "-k", "3"]
    assert main(["search", file, *arguments, "--out", str(out)]) == 0
    expected = embeddings.search(embeddings.take(np.array([7, 2])), k=3)
    frame = pl.read_csv(out)
    assert frame["object_id"].to_list() == expected.object_id.tolist()
    assert frame["query_id"].to_list() == ["star[7]"] * 3 + ["star[2]"] * 3
    shown = capsys.readouterr().out
    first, second = shown.index("Most like star[7] V"), shown.index("Most like star[2]")
    assert first < second
    for row, name in enumerate(expected.object_id):
        part = shown[first:second] if row < 3 else shown[second:]
        assert f"{name} " in part
        assert f"{expected.similarity[row]:.3f}" in part
    assert f"6 matches in {out}" in shown


def test_search_takes_queries_of_another_file(embeddings, file, tmp_path, capsys):
    other = make(embeddings.embedding[[12]] * 2, ["query"])
    like = str(other.write(tmp_path / "other.npz"))
    assert main(["search", file, "--like", like, "-k", "1"]) == 0
    shown = capsys.readouterr().out
    assert "Most like query V" in shown
    assert "star[12]" in shown
    assert "1.000" in shown


def test_search_shows_some_of_many_and_writes_all(embeddings, file, tmp_path, capsys):
    like = str(
        make(embeddings.embedding, [f"q{i}" for i in range(30)]).write(
            tmp_path / "q.npz"
        )
    )
    assert main(["search", file, "--like", like, "-k", "1", "--show", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("Most like") == 2
    assert "28 searches more" in shown
    out = tmp_path / "all.csv"
    assert main(["search", file, "--like", like, "-k", "1", "--out", str(out)]) == 0
    assert capsys.readouterr().out.count("Most like") == 20
    assert pl.read_csv(out).height == 30


def test_list_of_anomalies_is_no_file_of_embeddings(file, tmp_path, capsys):
    out = str(tmp_path / "rare.csv")
    assert main(["anomalies", file, "-k", "5", "--out", out]) == 0
    assert main(["search", out, "--object", "star[1]"]) == 2
    assert "no column embedding_0" in capsys.readouterr().err


def test_anomalies_put_the_rarest_first(embeddings, file, tmp_path, capsys):
    out = tmp_path / "rare.parquet"
    assert main(["anomalies", file, "-k", "5", "--show", "2", "--out", str(out)]) == 0
    frame = pl.read_parquet(out)
    scores = embeddings.anomaly(k=5)
    assert frame["object_id"][0] == "star[12]"
    assert frame["rank"].to_list() == list(range(1, 31))
    np.testing.assert_array_equal(frame["anomaly"], np.sort(scores)[::-1])
    assert "embedding" not in frame.columns
    shown = capsys.readouterr().out
    assert "star[12]" in shown
    assert f"{scores[12]:.3f}" in shown
    assert shown.count("star[") == 2
    assert f"30 light curves in {out}" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--object", "nobody"], r"no such object. Received: --object nobody"),
        ([], r"Say what to look for"),
        (["--object", "star[1]", "--like", "x.csv"], r"Say what to look for"),
        (["--object", "star[1]", "-k", "30"], r"k=30 with 29"),
        (["--like", "nothing.csv"], r"does not exist"),
        (["--object", "star[1]", "--out", "x.txt"], r"ends in .parquet"),
    ],
)
def test_search_refuses_what_cannot_be(file, arguments, message, capsys):
    assert main(["search", file, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_neither_command_imports_tensorflow(file, modules_imported_by):
    searched = modules_imported_by("search", file, "--object", "star[1]", "-k", "2")
    ranked = modules_imported_by("anomalies", file, "-k", "2")
    assert not {"tensorflow", "keras", "pandas"} & (searched | ranked)
