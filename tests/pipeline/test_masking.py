import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.evaluation.masked import nights_of
from astromer.pipeline import MaskingConfig
from astromer.pipeline.masking import _nth_smallest

W = 200
SIZES = [0, 1, 2, 5, 12, 60, 137, 199, 200]
SEED = (7, 11)


def select(engine, sizes, masking, window_size=W, seed=SEED):
    """Draw masks of windows whose observations are a day apart."""
    time = np.tile(np.arange(window_size, dtype=np.float32), (len(sizes), 1))
    return engine.select(time, sizes, masking, seed)


def counts(masks):
    """Numbers of probed, visible, random and hidden observations per window."""
    assert not (masks.hidden & ~masks.probed).any()
    assert not (masks.random & ~masks.probed).any()
    assert not (masks.random & masks.hidden).any()
    visible = masks.probed & ~masks.hidden & ~masks.random
    parts = (masks.probed, visible, masks.random, masks.hidden)
    return [tuple(row) for row in np.stack([p.sum(axis=1) for p in parts], 1).tolist()]


def exact(share):
    return Fraction(share).limit_denominator(1_000)


@pytest.mark.parametrize(
    ("probed", "visible", "random"),
    [(0.5, 0.1, 0.1), (1.0, 0.0, 0.0), (0.29, 0.07, 0.14), (0.0, 0.0, 0.0)],
)
def test_paper_counts_are_shares_of_the_window_rounded_down(
    engine, probed, visible, random
):
    masking = MaskingConfig(
        probed_fraction=probed, visible_fraction=visible, random_fraction=random
    )
    expected = []
    for n in SIZES:
        p, v, r = (math.floor(exact(share) * n) for share in (probed, visible, random))
        expected.append((p, v, r, p - v - r))
    assert counts(select(engine, SIZES, masking)) == expected


def test_paper_counts_of_a_full_window_are_10_10_30_percent(engine):
    assert counts(select(engine, [200], MaskingConfig())) == [(100, 20, 20, 60)]


def test_released_counts_follow_from_shares_of_the_probed_set(engine):
    # Twins of the reference: probed, visible, random, hidden.
    expected = {
        0: (0, 0, 0, 0),
        1: (0, 0, 0, 0),
        2: (1, 1, 0, 0),
        5: (2, 1, 1, 0),
        12: (6, 2, 1, 3),
        60: (30, 6, 5, 19),
        137: (68, 14, 11, 43),
        199: (99, 20, 16, 63),
        200: (100, 20, 16, 64),
    }
    found = counts(select(engine, list(expected), MaskingConfig.released()))
    assert found == list(expected.values())


def test_released_counts_are_those_of_the_reference(engine, shared):
    stats = json.loads((shared / "reference" / "pipeline_stats.json").read_text())
    compared = 0
    for case in stats["masking"]:
        if case["probed_frac"] == 1.0:
            # There the released code hides nothing at all, whatever the shares are.
            continue
        masking = MaskingConfig(
            policy="released",
            probed_fraction=case["probed_frac"],
            visible_fraction=case["same"],
            random_fraction=case["rs"],
        )
        probed, visible, random, hidden = counts(select(engine, [case["n"]], masking))[
            0
        ]
        assert [probed] * 2 == case["probed"]
        assert [hidden] * 2 == case["hidden_from_attention"]
        assert [visible + random] * 2 == case["probed_but_visible"]
        # One of the random values may be the observation's own in the reference.
        least, most, _ = case["probed_visible_value_changed"]
        assert least <= random <= most
        compared += 1
    assert compared >= 9


@pytest.mark.parametrize("masking", [MaskingConfig(), MaskingConfig.released()])
def test_masks_never_touch_padding(engine, masking):
    sizes = [n for n in SIZES for _ in range(20)]
    masks = select(engine, sizes, masking)
    padding = np.arange(W) >= np.array(sizes)[:, None]
    for part in masks:
        assert not (part & padding).any()


def test_every_subset_and_every_role_is_equally_likely(engine):
    window_size, size, windows = 8, 6, 36_000
    masking = MaskingConfig(
        probed_fraction=0.5, visible_fraction=1 / 6, random_fraction=1 / 6
    )
    masks = select(engine, [size] * windows, masking, window_size)
    assert set(counts(masks)) == {(3, 1, 1, 1)}
    visible = masks.probed & ~masks.hidden & ~masks.random
    places = np.stack(
        [part.argmax(axis=1) for part in (visible, masks.random, masks.hidden)], axis=1
    )
    found = [
        int((places == triple).all(axis=1).sum())
        for triple in itertools.permutations(range(size), 3)
    ]
    assert sum(found) == windows
    expected = windows / len(found)
    chi_square = ((np.array(found) - expected) ** 2 / expected).sum()
    degrees = len(found) - 1
    assert chi_square < degrees + 5 * np.sqrt(2 * degrees)


def test_masks_repeat_under_a_seed_and_differ_under_another(engine):
    first, again = (
        select(engine, SIZES, MaskingConfig()),
        select(engine, SIZES, MaskingConfig()),
    )
    other = select(engine, SIZES, MaskingConfig(), seed=(7, 12))
    for part, repeated, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(part, repeated)
        assert (part != different).any()


def test_windows_of_a_batch_are_masked_differently(engine):
    masks = select(engine, [W] * 50, MaskingConfig())
    assert len({row.tobytes() for row in masks.probed}) == 50


def night_starts(num_nights):
    """Return times of nights a day apart, each of four visits within an hour."""
    visits = np.arange(4) * 0.012
    return (np.arange(num_nights)[:, None] + visits).ravel().astype(np.float32)


def test_nights_are_those_of_the_benchmark_of_hidden_points(engine, rng):
    # Gaps of binary fractions, so that a quarter of a day is one in float32, too.
    gaps = rng.choice([0.125, 0.1875, 0.25, 0.375, 1.0], size=(300, 40))
    time = np.cumsum(gaps, axis=1).astype(np.float32)
    masking = MaskingConfig(random_fraction=0.0, whole_nights=1.0)
    masks = engine.select(time, [40] * 300, masking, SEED)
    for times, probed in zip(time, masks.probed, strict=True):
        nights = [probed[places] for places in nights_of(times)]
        assert sum(night.any() and not night.all() for night in nights) <= 1


def test_whole_nights_are_hidden_at_once(engine):
    # Half of 15 nights of four, a third of these visible: each subset cuts one night.
    sizes = [60, 60, 60, 40] * 20
    time = np.tile(night_starts(15), (80, 1))
    masking = MaskingConfig(
        probed_fraction=0.5, visible_fraction=0.1, random_fraction=0.0, whole_nights=1.0
    )
    masks = engine.select(time, sizes, masking, SEED)
    assert set(counts(masks)) == {(30, 6, 0, 24), (20, 4, 0, 16)}
    for subset in (masks.probed, masks.probed & ~masks.hidden):
        in_night = subset.reshape(-1, 15, 4).sum(axis=2)
        assert ((in_night % 4 > 0).sum(axis=1) <= 1).all()
    assert len({row.tobytes() for row in masks.probed}) == 80
    # Every night is as likely as the others.
    share = masks.probed.reshape(20, 4, 60)[:, :3].mean(axis=(0, 1))
    assert abs(share - 0.5).max() < 4 * 0.5 / np.sqrt(60)


def test_whole_nights_are_hidden_in_a_share_of_the_windows(engine):
    num = 400
    time = np.tile(night_starts(15), (num, 1))
    masking = MaskingConfig(random_fraction=0.0, whole_nights=0.25)
    masks = engine.select(time, [60] * num, masking, SEED)
    broken = (masks.probed.reshape(num, 15, 4).sum(axis=2) % 4 > 0).sum(axis=1)
    whole = (broken <= 1).sum()
    assert abs(whole - 0.25 * num) < 4 * np.sqrt(num * 0.25 * 0.75)


def test_nights_of_one_observation_are_points(engine):
    points = select(engine, SIZES, MaskingConfig())
    nights = select(engine, SIZES, MaskingConfig(whole_nights=1.0))
    assert counts(nights) == counts(points)


def apply(engine, mag, masks, sizes, seed=SEED):
    return engine.apply(mag, masks, sizes, seed)


def distinct_magnitudes(sizes, window_size=W):
    """Return magnitudes that all differ, and zeros at padding."""
    mag = np.arange(1, len(sizes) * window_size + 1, dtype=np.float32)
    mag = mag.reshape(len(sizes), window_size)
    return np.where(np.arange(window_size) < np.array(sizes)[:, None], mag, 0)


@pytest.mark.parametrize("masking", [MaskingConfig(), MaskingConfig.released()])
def test_random_values_are_those_of_other_observations_of_the_window(engine, masking):
    sizes = [2, 5, 12, 60, 137, 199, 200] * 30
    mag = distinct_magnitudes(sizes)
    masks = select(engine, sizes, masking)
    shown = apply(engine, mag, masks, sizes)
    # Visible and unprobed ones as they were; hidden ones too, for loss and metrics.
    np.testing.assert_array_equal(shown[~masks.random], mag[~masks.random])
    assert (shown[masks.random] != mag[masks.random]).all()
    for row, size in enumerate(sizes):
        assert set(shown[row, masks.random[row]]) <= set(mag[row, :size])


def test_random_values_come_from_all_other_observations_alike(engine):
    window_size, size, windows = 8, 6, 5_000
    mag = distinct_magnitudes([size] * windows, window_size)
    everything = np.broadcast_to(np.arange(window_size) < size, mag.shape)
    masks = engine.Masks(everything, np.zeros_like(everything), everything)
    shown = apply(engine, mag, masks, [size] * windows)
    donor = (shown[:, :size] - mag[:, :1]).astype(int)
    for place in range(size):
        found = np.bincount(donor[:, place], minlength=size)
        assert found[place] == 0
        expected = windows / (size - 1)
        chi_square = ((np.delete(found, place) - expected) ** 2 / expected).sum()
        assert chi_square < 4 + 5 * np.sqrt(8)


def test_random_value_of_a_lonely_observation_is_its_own(engine):
    masking = MaskingConfig(
        probed_fraction=1.0, visible_fraction=0.0, random_fraction=1.0
    )
    mag = distinct_magnitudes([1, 0])
    masks = select(engine, [1, 0], masking)
    assert masks.random.sum() == 1
    np.testing.assert_array_equal(apply(engine, mag, masks, [1, 0]), mag)


@pytest.mark.parametrize("policy", ["paper", "released"])
@pytest.mark.parametrize("name", ["probed", "visible", "random"])
def test_every_fraction_changes_its_count(engine, policy, name):
    shares = {"probed": 0.4, "visible": 0.1, "random": 0.1}

    def found():
        fractions = {f"{key}_fraction": value for key, value in shares.items()}
        masking = MaskingConfig(policy=policy, **fractions)
        numbers = counts(select(engine, [W], masking))[0]
        return dict(
            zip(("probed", "visible", "random", "hidden"), numbers, strict=True)
        )

    before = found()
    shares[name] += 0.2
    after = found()
    assert after[name] > before[name]
    assert after["hidden"] != before["hidden"]


def test_policies_differ_under_equal_fractions(engine):
    paper = counts(select(engine, [W], MaskingConfig(policy="paper")))
    assert counts(select(engine, [W], MaskingConfig(policy="released"))) != paper


def test_released_configuration_is_two_fifths_of_the_probed_set():
    assert MaskingConfig.released() == MaskingConfig(
        policy="released",
        probed_fraction=0.5,
        visible_fraction=0.2,
        random_fraction=0.2,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "papr"}, 'Unknown masking policy.*"papr".*mean "paper"'),
        ({"probed_fraction": 1.5}, r"probed_fraction.*\[0, 1\].*=1.5"),
        ({"probed_fraction": math.nan}, "Received: probed_fraction=nan"),
        ({"visible_fraction": -0.1}, "Received: visible_fraction=-0.1"),
        ({"random_fraction": 2}, "Received: random_fraction=2"),
        ({"whole_nights": -1}, "Received: whole_nights=-1"),
        (
            {"visible_fraction": 0.3, "random_fraction": 0.3},
            "parts of the probed set.*random_fraction=0.3, probed_fraction=0.5. Lower",
        ),
    ],
)
def test_masking_config_refuses(options, message):
    with pytest.raises(ConfigError, match=message):
        MaskingConfig(**options)


def test_shares_that_fill_the_probed_set_hide_nothing(engine):
    # 0.1 + 0.2 exceeds 0.3 in floating point, but not on paper.
    masking = MaskingConfig(
        probed_fraction=0.3, visible_fraction=0.1, random_fraction=0.2
    )
    assert counts(select(engine, [W], masking)) == [(60, 20, 40, 0)]


@pytest.mark.parametrize("largest", [0, 1, 3, 5, 9])
def test_nth_smallest_key_is_that_of_a_sorted_row(rng, largest):
    window_size = 9
    number = np.arange(window_size + 1)
    by_size = np.minimum(number * largest // 6, np.minimum(number, largest))
    size = np.repeat(np.arange(window_size + 1), 4)
    keys = rng.permuted(
        np.tile(np.arange(window_size, dtype=np.int32), (40, 1)), axis=1
    )
    keys[np.arange(window_size) >= size[:, None]] = np.iinfo(np.int32).max
    rank = by_size[size]
    ordered = np.sort(keys, axis=1)
    expected = np.where(rank > 0, ordered[np.arange(40), np.maximum(rank - 1, 0)], -1)
    found = _nth_smallest(keys, size, by_size)
    np.testing.assert_array_equal(found, expected)
