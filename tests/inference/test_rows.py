import numpy as np
import pytest

from astromer.inference.rows import average_windows, describe_rows
from astromer.pipeline import tile_windows


@pytest.fixture
def windows(curves):
    return tile_windows(curves, 8)


@pytest.mark.parametrize(
    ("per", "parts"),
    [
        ("object", lambda n: [(0, n)]),
        ("window", lambda n: [(s, min(s + 8, n)) for s in range(0, n, 8)]),
        ("observation", lambda n: [(s, s + 1) for s in range(n)]),
    ],
)
def test_rows_say_what_they_stand_for(per, parts, curves, windows):
    columns = describe_rows(curves, windows, per)
    expected = [
        (curve, curve.time[first:last])
        for curve in curves
        for first, last in parts(len(curve))
    ]
    for name in ("object_id", "passband", "label"):
        found = columns[name].tolist()
        assert found == [getattr(curve, name) for curve, _ in expected]
    assert columns["class_name"].tolist() == [c.class_name or "" for c, _ in expected]
    assert columns["n_observations"].tolist() == [len(time) for _, time in expected]
    means = [time.mean() for _, time in expected]
    np.testing.assert_allclose(columns["time"], means, rtol=1e-15)


def test_average_of_windows_counts_every_observation_once(curves, windows):
    # A value per window that its observations share: the mean over observations.
    values = np.arange(2.0 * len(windows)).reshape(-1, 2) ** 2
    owner = np.repeat(windows.curve, windows.size)
    per_observation = np.repeat(values, windows.size, axis=0)
    expected = [per_observation[owner == k].mean(axis=0) for k in range(len(curves))]
    np.testing.assert_allclose(average_windows(values, windows), expected, rtol=1e-12)
    assert average_windows(values.astype(np.float32), windows).dtype == np.float64
