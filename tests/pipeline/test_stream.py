import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from astromer.errors import ConfigError, RecordError
from astromer.lightcurve import LightCurve
from astromer.pipeline import (
    BatchStream,
    MaskingConfig,
    fixed_windows,
    load_dataset,
    stream_batches,
)
from astromer.records import read_records, sample_records
from tests.pipeline.plain import (
    assert_one_night,
    marked_curves,
    night_curves,
    plain_windows,
    read_marks,
)

ROOT = Path(__file__).resolve().parents[2]
W = 8


def take(number, source, **options):
    batches = stream_batches(source, **{"window_size": W, "batch_size": 8, **options})
    return list(itertools.islice(batches, number))


def whole(batches, part, name):
    return np.concatenate([batch[part][name] for batch in batches])


def read_batches(batches):
    """Return curves and places of all windows made from marked curves."""
    return read_marks(whole(batches, 0, "time"), whole(batches, 1, "mag"))


def assert_equal(found, expected):
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("task", ["pretrain", "classify"])
def test_batches_keep_the_contract_of_the_data_graph(curves, task):
    dataset = load_dataset(curves, task=task, window_size=W, batch_size=4)
    batch = take(1, curves, task=task, batch_size=4)[0]
    tf.nest.assert_same_structure(batch, dataset.element_spec)

    def check(array, spec):
        assert array.dtype == spec.dtype.as_numpy_dtype
        assert spec.is_compatible_with(tf.constant(array))

    tf.nest.map_structure(check, batch, dataset.element_spec)


def test_every_batch_is_full_and_passes_flow_into_each_other():
    curves = marked_curves([40] * 13)
    # 13 batches of 8 are 8 passes of 13.
    batches = take(13, curves)
    assert {len(inputs["mag"]) for inputs, _ in batches} == {8}
    owner, _ = read_batches(batches)
    for first in range(0, len(owner), 13):
        assert sorted(owner[first : first + 13]) == list(range(13))


def test_batch_larger_than_the_source_holds_several_passes():
    owner, _ = read_batches(take(2, marked_curves([40] * 3)))
    assert [owner.count(k) for k in range(3)] == [6, 5, 5]
    for first in range(0, 15, 3):
        assert sorted(owner[first : first + 3]) == [0, 1, 2]


def test_passes_differ_in_order_windows_and_masks():
    batches = take(10, marked_curves([40] * 40))
    first, second = batches[:5], batches[5:]
    (owner, place), (owner2, place2) = read_batches(first), read_batches(second)
    assert owner != owner2
    by_curve, by_curve2 = np.argsort(owner), np.argsort(owner2)
    assert (np.array(place)[by_curve] != np.array(place2)[by_curve2]).sum() > 20
    hidden, hidden2 = whole(first, 0, "hidden"), whole(second, 0, "hidden")
    changed = (hidden[by_curve] != hidden2[by_curve2]).any(axis=1)
    assert changed.sum() > 20


def test_starting_at_a_batch_equals_skipping_to_it(curves):
    batches = take(9, curves, batch_size=4, seed=5)
    for start in (0, 1, 4, 7):
        later = take(9 - start, curves, batch_size=4, seed=5, start_batch=start)
        assert_equal(later, batches[start:])


def test_batches_can_be_made_in_any_order(curves):
    stream = BatchStream(curves, window_size=W, batch_size=4, seed=5)
    expected = take(9, curves, batch_size=4, seed=5)
    for number in (8, 0, 3, 7, 1):
        assert_equal(stream.batch(number), expected[number])


@pytest.mark.parametrize("seed", [3, -3])
def test_seed_repeats_and_another_differs(curves, seed):
    first = take(3, curves, seed=seed)
    assert_equal(take(3, curves, seed=seed), first)
    other = take(3, curves, seed=seed + 1)
    assert (whole(first, 1, "mag") != whole(other, 1, "mag")).any()
    assert (whole(first, 0, "hidden") != whole(other, 0, "hidden")).any()


def test_stream_tells_which_light_curves_a_batch_is_made_of():
    stream = BatchStream(marked_curves([40] * 13), window_size=W, batch_size=8)
    assert stream.windows_per_pass == 13
    for number in range(5):
        inputs, targets = stream.batch(number)
        owner, _ = read_marks(inputs["time"], targets["mag"])
        assert owner == stream.curves_of(number).tolist()
        names = [stream.curves.object_id[k] for k in owner]
        assert names == [f"star{k:03d}" for k in owner]


def test_windows_are_those_of_slices_and_start_everywhere():
    curves = marked_curves([40])
    batches = take(1, curves, batch_size=6_600)
    _, place = read_batches(batches)
    found = np.bincount(place, minlength=33)
    assert len(found) == 33
    chi_square = ((found - 200) ** 2 / 200).sum()
    assert chi_square < 32 + 5 * np.sqrt(64)
    inputs, targets = batches[0]
    curve = curves[0]
    for row in range(50):
        part = slice(place[row], place[row] + W)
        time = curve.time[part] - curve.time[part].mean()
        mag = curve.mag[part] - curve.mag[part].mean(dtype=np.float64)
        np.testing.assert_allclose(inputs["time"][row], time, atol=2e-5)
        np.testing.assert_allclose(targets["mag"][row], mag, atol=1e-6)


def test_masks_have_exact_counts_and_are_never_on_padding(curves):
    masking = MaskingConfig(
        probed_fraction=0.5, visible_fraction=0.125, random_fraction=0.25
    )
    batches = take(5, curves, masking=masking)
    valid, hidden = whole(batches, 0, "valid"), whole(batches, 0, "hidden")
    shown, target = whole(batches, 0, "mag"), whole(batches, 1, "mag")
    probed = whole(batches, 1, "probed")
    size = valid.sum(axis=1)
    np.testing.assert_array_equal(probed.sum(axis=1), size // 2)
    np.testing.assert_array_equal(hidden.sum(axis=1), size // 2 - size // 8 - size // 4)
    assert not (probed & ~valid).any()
    assert not (hidden & ~probed).any()
    changed = shown != target
    np.testing.assert_array_equal(changed.sum(axis=1), size // 4)
    assert not (changed & (hidden | ~probed)).any()
    np.testing.assert_array_equal(whole(batches, 1, "weight"), valid)


def test_whole_nights_are_masked_in_training_and_validation():
    curves, masking = night_curves(40), MaskingConfig(whole_nights=1.0)
    assert_one_night(whole(take(5, curves, masking=masking), 1, "probed"))
    _, targets = fixed_windows(curves, window_size=W, masking=masking)
    assert_one_night(targets["probed"])


def test_masks_of_windows_and_batches_differ():
    batches = take(2, marked_curves([W] * 40), batch_size=40)
    rows = {row.tobytes() for row in whole(batches, 0, "hidden")}
    # 70 ways to probe half of eight, and more to hide of them: repeats are few.
    assert len(rows) > 25


@pytest.mark.parametrize("policy", ["off", "released", "paper"])
@pytest.mark.parametrize("normalization", ["window", "light_curve"])
def test_fixed_windows_are_those_of_the_data_graph(curves, policy, normalization):
    options = {
        "window_size": W,
        "normalization": normalization,
        "error_weights": policy,
    }
    inputs, targets = fixed_windows(curves, **options)
    dataset = load_dataset(curves, batch_size=4, training=False, **options)
    found = list(dataset.as_numpy_iterator())
    np.testing.assert_array_equal(inputs["valid"], whole(found, 0, "valid"))
    np.testing.assert_allclose(inputs["time"], whole(found, 0, "time"), atol=2e-5)
    np.testing.assert_allclose(targets["mag"], whole(found, 1, "mag"), atol=1e-6)
    np.testing.assert_allclose(targets["weight"], whole(found, 1, "weight"), rtol=1e-5)
    for name in ("probed", "hidden"):
        part = 1 if name == "probed" else 0
        numbers = (inputs, targets)[part][name].sum(axis=1)
        np.testing.assert_array_equal(numbers, whole(found, part, name).sum(axis=1))


def test_fixed_windows_have_one_set_of_masks_under_a_seed(curves):
    first = fixed_windows(curves, window_size=W, seed=1)
    assert_equal(fixed_windows(curves, window_size=W, seed=1), first)
    other = fixed_windows(curves, window_size=W, seed=2)
    np.testing.assert_array_equal(other[1]["mag"], first[1]["mag"])
    assert (other[0]["hidden"] != first[0]["hidden"]).any()


def test_fixed_windows_follow_the_tiling(make_light_curve):
    curves = [make_light_curve(2 * W), make_light_curve(W + 1)]
    exact, _ = fixed_windows(curves, window_size=W)
    released, _ = fixed_windows(curves, window_size=W, tiling="released")
    assert exact["valid"].sum(axis=1).tolist() == [W, W, W, 1]
    assert released["valid"].sum(axis=1).tolist() == [W] * 5


def test_labels_stay_with_their_windows_and_unlabeled_are_left_out():
    curves = marked_curves([20] * 12)
    kept = [2, 3, 7, 11]
    mixed = [
        curve if number in kept else LightCurve(curve.time, curve.mag, curve.mag_err)
        for number, curve in enumerate(curves)
    ]
    options = {"task": "classify", "window_size": W}
    stream = BatchStream(mixed, batch_size=6, **options)
    assert stream.windows_per_pass == len(kept)
    for inputs, labels in [
        *map(stream.batch, range(4)),
        fixed_windows(mixed, **options),
    ]:
        assert read_marks(inputs["time"], inputs["mag"])[0] == labels.tolist()
        assert set(labels) == set(kept)
        assert not inputs["hidden"].any()
    assert (
        fixed_windows(mixed, **options)[1].tolist()
        == [2] * 3 + [3] * 3 + [7] * 3 + [11] * 3
    )


@pytest.mark.parametrize("split", [None, "train"])
def test_records_give_the_batches_of_their_light_curves(records, split):
    curves = list(read_records(records, split))
    assert_equal(take(3, str(records), split=split), take(3, curves))
    fixed = fixed_windows(records, split=split, window_size=W)
    assert_equal(fixed, fixed_windows(curves, window_size=W))
    expected = plain_windows(curves, W)
    np.testing.assert_allclose(fixed[1]["mag"], expected["mag"], atol=1e-6)


def test_arrays_need_no_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from astromer.pipeline import fixed_windows, stream_batches\n"
        "from astromer.records import sample_records\n"
        "records = sample_records()\n"
        "next(stream_batches(records, split='train'))\n"
        "fixed_windows(records, split='validation')\n"
        "assert 'keras' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_sample_records_stream_forever_in_one_shape():
    stream = BatchStream(sample_records(), split="train", batch_size=32, seed=1)
    number = 3 * stream.windows_per_pass // 32
    shapes = {stream.batch(k)[0]["time"].shape for k in range(number)}
    assert shapes == {(32, 200)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "pretran"}, 'Unknown task.*mean "pretrain"'),
        ({"task": "embed"}, 'Received: task="embed"'),
        ({"error_weights": "papr"}, 'error_weights.*mean "paper"'),
        ({"normalization": "windows"}, 'normalization.*mean "window"'),
        ({"window_size": 0}, "window_size=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"start_batch": -1}, "zero or more. Received: start_batch=-1"),
        ({"start_batch": True}, "Received: start_batch=True"),
        ({"task": "classify", "error_weights": "paper"}, 'Received: task="classify"'),
        ({"task": "classify", "masking": MaskingConfig()}, "belong to task"),
        ({"split": "train"}, 'Received: split="train"'),
    ],
)
def test_option_that_cannot_work_is_refused_at_once(curves, options, message):
    with pytest.raises(ConfigError, match=message):
        stream_batches(curves, **options)


def test_classify_without_any_label_is_refused(make_light_curve):
    for make in (stream_batches, fixed_windows):
        with pytest.raises(ConfigError, match=r"needs labels.*1 light curves"):
            make([make_light_curve(9)], task="classify")
        with pytest.raises(RecordError, match="manifest"):
            make("nowhere")


def test_fixed_windows_refuse_an_unknown_tiling(curves):
    with pytest.raises(ConfigError, match=r'Unknown tiling.*mean "exact"'):
        fixed_windows(curves, tiling="exat")
