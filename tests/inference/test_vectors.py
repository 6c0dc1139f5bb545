import re

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from astromer.errors import ConfigError
from astromer.inference import Embeddings, vectors

NAMES = ("object_id", "passband", "class_name")


def make(embedding, object_id=None, passband="V"):
    n = len(embedding)
    names = [f"star {i}" for i in range(n)] if object_id is None else object_id
    return Embeddings(
        object_id=np.array(names),
        passband=np.full(n, passband),
        label=np.arange(n) - 1,
        class_name=np.array(["RR", ""] * n)[:n],
        n_observations=np.arange(10, 10 + n),
        time=59_000.0 + np.arange(n) / 3,
        embedding=np.asarray(embedding, np.float32),
    )


@pytest.fixture
def embeddings(rng):
    # Lengths differ: directions alone must count.
    return make(rng.normal(size=(60, 5)) * rng.uniform(0.1, 10, (60, 1)))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_embeddings_come_back_from_a_file(embeddings, suffix, tmp_path):
    embeddings.object_id[:3] = ["007", "", 'a,"b"']
    found = Embeddings.read(embeddings.write(tmp_path / f"e{suffix}"))
    for name, values in embeddings.columns().items():
        np.testing.assert_array_equal(getattr(found, name), values)
        assert getattr(found, name).dtype.kind == values.dtype.kind
    assert found.embedding.dtype == np.float32


def test_vectors_of_a_csv_file_keep_the_order_of_their_values(rng, tmp_path):
    embeddings = make(rng.normal(size=(2, 12)))
    found = Embeddings.read(embeddings.write(tmp_path / "e.csv"))
    np.testing.assert_array_equal(found.embedding, embeddings.embedding)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.parquet", b"PAR1 or not"),
        ("e.csv", b"object_id,time\na,1\n"),
        ("e.npz", b"not a zip"),
        ("empty.npz", b""),
    ],
)
def test_files_without_embeddings_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    message = r"must hold the columns object_id, .*embedding.* path=.*"
    with pytest.raises(ConfigError, match=message + re.escape(name)):
        Embeddings.read(path)
    path.unlink()
    with pytest.raises(ConfigError, match=r"does not exist\. Received: path=.*"):
        Embeddings.read(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_a_file_without_rows_is_read(embeddings, suffix, tmp_path):
    none = embeddings.take(np.zeros(60, bool))
    found = Embeddings.read(none.write(tmp_path / f"e{suffix}"))
    assert found.embedding.shape == (0, 5)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_brackets_in_a_path_are_no_pattern(embeddings, suffix, tmp_path):
    path = embeddings.write(tmp_path / "d[1]" / f"e[2]{suffix}")
    assert len(Embeddings.read(path)) == 60


def test_lists_of_another_library_are_read(embeddings, tmp_path):
    path = tmp_path / "pandas.parquet"
    embeddings.to_pandas().to_parquet(path)
    np.testing.assert_array_equal(Embeddings.read(path), embeddings.embedding)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(embeddings, suffix, value, tmp_path):
    embeddings.embedding[7, 1] = value
    path = embeddings.write(tmp_path / f"e{suffix}")
    with pytest.raises(ConfigError, match=r"All vectors must be finite"):
        Embeddings.read(path)
    with pytest.raises(ConfigError, match=r"1 that are not, the first in row 7\."):
        embeddings.anomaly(k=3)
    with pytest.raises(ConfigError, match=r"must be finite"):
        make(np.ones((9, 5))).search(embeddings, k=3)


def test_an_array_is_no_file_of_embeddings(tmp_path):
    np.save(tmp_path / "e.npy", np.ones(3))
    (tmp_path / "e.npy").rename(tmp_path / "e.npz")
    with pytest.raises(ConfigError, match="must hold the columns"):
        Embeddings.read(tmp_path / "e.npz")


def test_search_agrees_with_scikit_learn(embeddings, rng, monkeypatch):
    # In pieces of a few queries.
    monkeypatch.setattr(vectors, "_VALUES_PER_PIECE", 60 * 7)
    queries = make(rng.normal(size=(20, 5)), [f"query {i}" for i in range(20)])
    matches = embeddings.search(queries, k=4)
    index = NearestNeighbors(metric="cosine").fit(embeddings.embedding)
    distances, rows = index.kneighbors(queries.embedding, 4)
    np.testing.assert_array_equal(matches.row.reshape(20, 4), rows)
    np.testing.assert_allclose(
        matches.similarity.reshape(20, 4), 1 - distances, atol=1e-6
    )
    np.testing.assert_array_equal(matches.query, np.repeat(np.arange(20), 4))
    np.testing.assert_array_equal(matches.rank, np.tile([1, 2, 3, 4], 20))
    np.testing.assert_array_equal(matches.query_id, queries.object_id[matches.query])
    for name in NAMES:
        expected = getattr(embeddings, name)[matches.row]
        np.testing.assert_array_equal(getattr(matches, name), expected)


def test_search_without_queries_takes_each_and_never_itself(embeddings):
    matches = embeddings.search(k=59)
    for query in range(60):
        rows = matches.row[matches.query == query]
        assert sorted(rows) == [i for i in range(60) if i != query]


def test_an_object_is_no_match_for_itself(embeddings):
    embeddings.object_id[[3, 7, 9]] = "same"
    of_file = embeddings.search(embeddings.take(np.array([3])), k=57)
    of_all = embeddings.search(k=57)
    for matches in (of_file.row, of_all.row[of_all.query == 3]):
        assert not {3, 7, 9} & set(matches)
        assert len(set(matches)) == 57


def test_without_names_only_a_row_itself_is_no_match(rng, monkeypatch):
    embeddings = make(rng.normal(size=(6, 3)), [""] * 6)
    # Two queries at a time: a row is not where it stands in its piece.
    monkeypatch.setattr(vectors, "_VALUES_PER_PIECE", 12)
    matches = embeddings.search(k=5)
    assert len(matches) == 30
    assert not (matches.row == matches.query).any()
    queries = make(embeddings.embedding[:1], [""])
    assert embeddings.search(queries, k=6).row[0] == 0


def test_of_equally_similar_the_first_come_first():
    embeddings = make([[1, 0], [2, 0], [0, 1], [3, 0], [1, 0]])
    queries = make([[1, 0]], ["query"])
    assert embeddings.search(queries, k=3).row.tolist() == [0, 1, 3]
    assert embeddings.search(queries, k=5).row.tolist() == [0, 1, 3, 4, 2]


def test_anomaly_is_the_distance_to_the_kth_neighbor(embeddings):
    index = NearestNeighbors(metric="cosine").fit(embeddings.embedding)
    # The nearest is the star itself.
    distances, _ = index.kneighbors(embeddings.embedding, 6)
    score = embeddings.anomaly(k=5)
    assert score.dtype == np.float32
    np.testing.assert_allclose(score, distances[:, 5], atol=1e-6)


def test_anomaly_finds_a_group_that_is_smaller_than_k(rng):
    common = rng.normal([5, 0, 0], 0.3, (100, 3))
    rare = rng.normal([0, 5, 0], 0.3, (4, 3))
    embeddings = make(np.concatenate([common, rare]))
    assert set(np.argsort(-embeddings.anomaly(k=10))[:4]) == {100, 101, 102, 103}
    # Three of them are the nearest of the fourth.
    assert set(np.argsort(-embeddings.anomaly(k=1))[:4]) != {100, 101, 102, 103}


def test_a_vector_of_zeros_is_like_nothing(embeddings):
    embeddings.embedding[4] = 0
    assert embeddings.anomaly(k=5)[4] == 1


def test_too_few_others_are_refused(embeddings):
    message = r"at least `k` .* Received: k=60 with 59 of them"
    with pytest.raises(ConfigError, match=message):
        embeddings.search(k=60)
    with pytest.raises(ConfigError, match=message):
        embeddings.anomaly(k=60)
    with pytest.raises(
        ConfigError, match=r"`k` must be a positive integer. Received: k=0"
    ):
        embeddings.search(k=0)


def test_queries_of_another_size_are_refused(embeddings, rng):
    with pytest.raises(ConfigError, match=r"vectors of 3 values, and of 5"):
        embeddings.search(make(rng.normal(size=(2, 3))))


@pytest.mark.parametrize(
    "rows",
    [0, [0.5], [99], [-99], [True], np.zeros((1, 1), int), ["a"]],
    ids=["number", "fraction", "beyond", "before", "too few", "matrix", "text"],
)
def test_take_refuses_what_names_no_rows(embeddings, rows):
    with pytest.raises(ConfigError, match="`rows` must be numbers of the"):
        embeddings.take(rows)


def test_take_of_nothing_is_empty(embeddings):
    assert len(embeddings.take([])) == 0
    assert len(embeddings.take(np.zeros(len(embeddings), bool))) == 0
    last = embeddings.take([-1])
    assert last.object_id[0] == embeddings.object_id[-1]


def test_queries_and_k_are_checked(embeddings):
    with pytest.raises(ConfigError, match=r"`queries` must be embeddings.*ndarray"):
        embeddings.search(embeddings.embedding)
    with pytest.raises(ConfigError, match=r"positive integer.*k=1\.5"):
        embeddings.search(k=1.5)
