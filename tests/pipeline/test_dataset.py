import shutil

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tensorflow as tf

from astromer.errors import ConfigError, RecordError
from astromer.lightcurve import LightCurve
from astromer.pipeline import MaskingConfig, fixed_windows, load_dataset
from astromer.records import Manifest, read_records
from tests.pipeline.plain import (
    assert_one_night,
    marked_curves,
    night_curves,
    plain_windows,
    read_marks,
    write_records,
)

W = 8


def batches(dataset):
    return list(dataset.as_numpy_iterator())


def whole(dataset, part, name=None):
    """Return one tensor of all batches as one array."""
    parts = [batch[part] if name is None else batch[part][name] for batch in dataset]
    return np.concatenate([np.asarray(values) for values in parts])


def assert_windows(dataset, curves, normalization="window"):
    """Compare a dataset of task "embed" with plain windows of the light curves."""
    expected = plain_windows(curves, W, normalization)
    found = batches(dataset)
    np.testing.assert_array_equal(whole(found, 0, "valid"), expected["valid"])
    np.testing.assert_allclose(whole(found, 0, "time"), expected["time"], atol=2e-5)
    np.testing.assert_allclose(whole(found, 0, "mag"), expected["mag"], atol=1e-6)
    np.testing.assert_array_equal(whole(found, 1, "mag_err"), expected["mag_err"])
    np.testing.assert_array_equal(whole(found, 1, "curve_index"), expected["curve"])
    np.testing.assert_array_equal(whole(found, 1, "window_start"), expected["start"])
    assert not whole(found, 0, "hidden").any()


@pytest.mark.parametrize("task", ["pretrain", "classify", "embed"])
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_element_specs_are_the_contract(curves, task, drop_remainder):
    dataset = load_dataset(
        curves, task=task, window_size=W, batch_size=4, drop_remainder=drop_remainder
    )
    rows = 4 if drop_remainder else None

    def spec(dtype, *shape):
        return tf.TensorSpec((rows, *shape), dtype)

    inputs, second = dataset.element_spec
    assert inputs == {
        "time": spec(tf.float32, W),
        "mag": spec(tf.float32, W),
        "valid": spec(tf.bool, W),
        "hidden": spec(tf.bool, W),
    }
    expected = {
        "pretrain": {
            "mag": spec(tf.float32, W),
            "probed": spec(tf.bool, W),
            "weight": spec(tf.float32, W),
        },
        "classify": spec(tf.int64),
        "embed": {
            "curve_index": spec(tf.int64),
            "window_start": spec(tf.int64),
            "mag_err": spec(tf.float32, W),
        },
    }
    assert second == expected[task]


@pytest.mark.parametrize("training", [True, False])
def test_drop_remainder_leaves_only_full_batches(curves, training):
    options = {"window_size": W, "batch_size": 4, "training": training}
    kept = batches(load_dataset(curves, drop_remainder=True, **options))
    every = batches(load_dataset(curves, **options))
    assert [len(inputs["mag"]) for inputs, _ in kept] == [4] * len(kept)
    assert len(kept) == sum(len(inputs["mag"]) for inputs, _ in every) // 4


def test_whole_nights_are_masked_on_the_fly():
    masking = MaskingConfig(whole_nights=1.0)
    dataset = load_dataset(
        night_curves(40), window_size=W, batch_size=8, masking=masking
    )
    assert_one_night(whole(batches(dataset), 1, "probed"))


def test_pretraining_batches_keep_the_contract(curves):
    masking = MaskingConfig(
        probed_fraction=0.5, visible_fraction=0.125, random_fraction=0.25
    )
    dataset = load_dataset(
        curves, window_size=W, batch_size=4, masking=masking, training=False
    )
    expected = plain_windows(curves, W)
    found = batches(dataset)
    shown, hidden = whole(found, 0, "mag"), whole(found, 0, "hidden")
    target, probed = whole(found, 1, "mag"), whole(found, 1, "probed")
    valid = whole(found, 0, "valid")
    np.testing.assert_array_equal(valid, expected["valid"])
    np.testing.assert_allclose(whole(found, 0, "time"), expected["time"], atol=2e-5)
    np.testing.assert_allclose(target, expected["mag"], atol=1e-6)
    np.testing.assert_array_equal(whole(found, 1, "weight"), valid)
    size = expected["size"]
    np.testing.assert_array_equal(probed.sum(axis=1), size // 2)
    np.testing.assert_array_equal(hidden.sum(axis=1), size // 2 - size // 8 - size // 4)
    assert not (probed & ~valid).any()
    assert not (hidden & ~probed).any()
    changed = shown != target
    np.testing.assert_array_equal(changed.sum(axis=1), size // 4)
    assert not (changed & (hidden | ~probed)).any()


def test_masking_option_reaches_the_batches(curves):
    everything = MaskingConfig(
        probed_fraction=1.0, visible_fraction=0.0, random_fraction=0.0
    )
    dataset = load_dataset(curves, window_size=W, masking=everything)
    for inputs, targets in batches(dataset):
        np.testing.assert_array_equal(inputs["hidden"], inputs["valid"])
        np.testing.assert_array_equal(targets["probed"], inputs["valid"])


def test_error_weights_option_reaches_the_batches(curves):
    options = {"window_size": W, "training": False}
    errors = plain_windows(curves, W)["mag_err"]
    released = whole(
        batches(load_dataset(curves, error_weights="released", **options)), 1, "weight"
    )
    paper = whole(
        batches(load_dataset(curves, error_weights="paper", **options)), 1, "weight"
    )
    row = int(np.argmax((errors > 0).all(axis=1)))
    order = np.argsort(errors[row])
    for weight in (released[row], paper[row]):
        assert (np.diff(weight[order]) < 0).all()
    scaled = (errors[row] - errors[row].min()) / np.ptp(errors[row])
    np.testing.assert_allclose(paper[row], 1 / np.maximum(scaled, 1e-3), rtol=1e-3)
    assert released[row].max() == pytest.approx(1.001)


def test_every_batch_is_made_by_one_thread(curves):
    dataset = load_dataset(curves, window_size=W)
    assert dataset.options().threading.max_intra_op_parallelism == 1


def test_end_of_an_iterator_waits_for_no_tuner(curves):
    dataset = load_dataset(curves, window_size=W)
    assert dataset.options().autotune.enabled is False


@pytest.mark.parametrize("normalization", ["window", "light_curve"])
def test_list_of_light_curves_gives_plain_windows(curves, normalization):
    dataset = load_dataset(
        curves, task="embed", window_size=W, batch_size=4, normalization=normalization
    )
    assert_windows(dataset, curves, normalization)


def test_generator_and_single_light_curve_are_sources(curves):
    options = {"task": "embed", "window_size": W}
    assert_windows(load_dataset(iter(curves), **options), curves)
    assert_windows(load_dataset(curves[6], **options), [curves[6]])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_long_frame_is_a_source(curves, library):
    frame = pd.concat([curve.to_pandas() for curve in curves], ignore_index=True)
    source = frame if library == "pandas" else pl.from_pandas(frame)
    assert_windows(load_dataset(source, task="embed", window_size=W), curves)


@pytest.mark.parametrize("as_text", [True, False])
def test_folder_of_records_is_a_source(records, as_text):
    source = str(records) if as_text else records
    dataset = load_dataset(source, task="embed", window_size=W, batch_size=16)
    assert_windows(dataset, list(read_records(records)))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("cache", [False, True])
def test_split_gives_its_light_curves_only(records, split, cache):
    dataset = load_dataset(
        records, split=split, task="embed", window_size=W, cache=cache
    )
    curves = list(read_records(records, split))
    assert 0 < len(curves) < 40
    assert_windows(dataset, curves)


@pytest.mark.parametrize(
    ("split", "training"), [("train", True), (None, True), ("test", False)]
)
def test_split_says_whether_windows_are_random(records, split, training):
    dataset = load_dataset(records, split=split, window_size=W)
    first, second = batches(dataset), batches(dataset)
    same = all(
        np.array_equal(one[1]["mag"], two[1]["mag"])
        for one, two in zip(first, second, strict=True)
    )
    assert same is not training


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_curve_index_is_right_across_batches_of_long_curves(batch_size):
    lengths = [30, 1, 8, 50, 9, 2, 2, 41]
    dataset = load_dataset(
        marked_curves(lengths), task="embed", window_size=W, batch_size=batch_size
    )
    found = batches(dataset)
    sizes = [len(inputs["mag"]) for inputs, _ in found]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    expected = [(k, s) for k, n in enumerate(lengths) for s in range(0, n, W)]
    index, start = whole(found, 1, "curve_index"), whole(found, 1, "window_start")
    assert list(zip(index.tolist(), start.tolist(), strict=True)) == expected


@pytest.mark.parametrize("task", ["pretrain", "classify", "embed"])
def test_evaluation_is_identical_in_every_pass(records, task):
    options = {"task": task, "training": False, "window_size": W, "batch_size": 8}
    dataset = load_dataset(records, **options)
    first, second = batches(dataset), batches(dataset)
    other = batches(load_dataset(records, **options))
    tf.nest.map_structure(np.testing.assert_array_equal, first, second)
    tf.nest.map_structure(np.testing.assert_array_equal, first, other)


def test_evaluation_masks_follow_the_seed_and_windows_do_not(curves):
    options = {"training": False, "window_size": W}
    first = batches(load_dataset(curves, seed=1, **options))
    other = batches(load_dataset(curves, seed=2, **options))
    np.testing.assert_array_equal(whole(first, 1, "mag"), whole(other, 1, "mag"))
    assert (whole(first, 0, "hidden") != whole(other, 0, "hidden")).any()


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_evaluation_masks_do_not_follow_the_batch_size(batch_size):
    curves = marked_curves([3 * W + number % W for number in range(70)])
    options = {"training": False, "window_size": W, "seed": 3}
    usual = batches(load_dataset(curves, **options))
    other = batches(load_dataset(curves, batch_size=batch_size, **options))
    for part, name in ((0, "mag"), (0, "hidden"), (1, "probed")):
        np.testing.assert_array_equal(
            whole(usual, part, name), whole(other, part, name)
        )


def test_evaluation_masks_differ_from_batch_to_batch():
    curves = marked_curves([W] * 128)
    found = batches(load_dataset(curves, training=False, window_size=W))
    assert (found[0][0]["hidden"] != found[1][0]["hidden"]).any()


def test_labels_stay_with_their_windows(curves):
    marked = marked_curves([20] * 12)
    for training in (True, False):
        dataset = load_dataset(
            marked, task="classify", window_size=W, batch_size=5, training=training
        )
        for inputs, labels in dataset.as_numpy_iterator():
            owner = read_marks(inputs["time"], inputs["mag"])[0]
            assert owner == labels.tolist()
            assert not inputs["hidden"].any()


@pytest.mark.parametrize("normalization", ["window", "light_curve"])
@pytest.mark.parametrize("training", [True, False])
def test_unlabeled_light_curves_are_left_out(normalization, training):
    curves = marked_curves([20] * 12)
    # With batches of 3, one holds none and one holds some.
    kept = [6, 8, 9, 10, 11]
    mixed = [
        curve
        if number in kept
        else LightCurve(curve.time, curve.mag, curve.mag_err, object_id="unlabeled")
        for number, curve in enumerate(curves)
    ]
    dataset = load_dataset(
        mixed,
        task="classify",
        window_size=W,
        batch_size=3,
        normalization=normalization,
        training=training,
    )
    found = batches(dataset)
    windows = 1 if training else 3
    assert sorted(whole(found, 1).tolist()) == sorted(kept * windows)
    sizes = [len(labels) for _, labels in found]
    assert sizes == ([3, 2] if training else [3, 3, 3, 3, 3])


def test_unlabeled_records_are_left_out_by_the_manifest(records):
    dataset = load_dataset(records, task="classify", window_size=W, batch_size=16)
    manifest = Manifest.load(records)
    expected = sorted(
        manifest.label_map[curve.class_name]
        for curve in read_records(records)
        if curve.class_name is not None
    )
    assert len(expected) == 38
    assert sorted(whole(batches(dataset), 1).tolist()) == expected


def test_classify_without_any_label_is_refused(tmp_path, make_light_curve):
    curves = [make_light_curve(9), make_light_curve(12, object_id="other")]
    with pytest.raises(ConfigError, match=r"needs labels.*Received: 2 light curves"):
        load_dataset(curves, task="classify")
    write_records(tmp_path / "records", curves)
    with pytest.raises(ConfigError, match="needs labels"):
        load_dataset(tmp_path / "records", task="classify")


@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"training": True},
        {"training": False},
        {"tiling": "released"},
        {"task": "embed"},
        {"task": "classify", "training": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_cardinality_is_the_number_of_batches(records, options, drop_remainder):
    # Keras warns of data that run out where the number is not known beforehand.
    dataset = load_dataset(
        records,
        window_size=W,
        batch_size=4,
        drop_remainder=drop_remainder,
        **options,
    )
    assert len(dataset) == sum(1 for _ in dataset)


def test_cardinality_of_tiled_light_curves_counts_windows(curves):
    windows = sum(-(-len(curve) // W) for curve in curves)
    dataset = load_dataset(curves, window_size=W, batch_size=4, training=False)
    assert len(dataset) == -(-windows // 4)


def operations(dataset):
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(dataset._as_serialized_graph().numpy())
    outer = [node.op for node in graph.node]
    inner = [node.op for f in graph.library.function for node in f.node_def]
    return outer, inner


@pytest.mark.parametrize("task", ["pretrain", "classify", "embed"])
@pytest.mark.parametrize("from_disk", [True, False])
def test_graph_is_one_map_without_python_and_without_loops(records, task, from_disk):
    source = records if from_disk else list(read_records(records))
    if task == "classify" and not from_disk:
        source = marked_curves([20] * 4)
    outer, inner = operations(load_dataset(source, task=task, window_size=W))
    assert outer.count("ParallelMapDatasetV2") == 1
    assert "ParseExampleV2" in inner
    assert "DecodePaddedRaw" in inner
    unwanted = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "While", "StatelessWhile")
    for name in unwanted:
        assert name not in outer
        assert name not in inner


def test_graph_shuffles_and_caches_light_curves_never_windows(records):
    for cache in (True, False):
        outer, _ = operations(load_dataset(records, window_size=W, cache=cache))
        behind = outer[outer.index("ParallelMapDatasetV2") :]
        assert not [name for name in behind if "Cache" in name or "Shuffle" in name]


@pytest.fixture
def damaged(tmp_path, records):
    """Copy of the records whose second shard may be damaged."""
    folder = tmp_path / "records"
    shutil.copytree(records, folder)
    return folder, Manifest.load(folder).shard_paths()[1]


def flip_a_byte(shard):
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(content)


def test_corrupt_record_is_a_data_loss(damaged):
    folder, shard = damaged
    flip_a_byte(shard)
    dataset = load_dataset(folder, task="embed", window_size=W)
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        batches(dataset)


def test_corrupt_record_is_named_when_cached(damaged):
    folder, shard = damaged
    flip_a_byte(shard)
    with pytest.raises(
        RecordError, match=rf"checksum is wrong.*{shard.name}, record 0"
    ):
        load_dataset(folder, cache=True)


@pytest.mark.parametrize("kept", [0, 300, None], ids=["empty", "cut", "missing"])
def test_shard_of_another_size_is_named_at_once(damaged, kept):
    folder, shard = damaged
    size = shard.stat().st_size
    if kept is None:
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(
        RecordError, match=rf"{shard.name}, {kept or 0} of {size} bytes"
    ):
        load_dataset(folder)


def test_shards_of_other_splits_do_not_matter(damaged, records):
    folder, _ = damaged
    for shard in Manifest.load(folder).shard_paths("test"):
        shard.unlink()
    dataset = load_dataset(folder, split="validation", task="embed", window_size=W)
    assert_windows(dataset, list(read_records(records, "validation")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "pretran"}, 'Unknown task.*"pretran".*mean "pretrain".*classify'),
        ({"error_weights": "papr"}, 'Unknown error_weights.*mean "paper"'),
        ({"normalization": "windows"}, 'Unknown normalization.*mean "window"'),
        ({"window_size": 0}, "window_size.*positive integer.*window_size=0"),
        ({"batch_size": -1}, "batch_size.*positive integer.*batch_size=-1"),
        ({"batch_size": 2.5}, "batch_size.*positive integer.*batch_size=2.5"),
        ({"batch_size": True}, "batch_size.*positive integer.*batch_size=True"),
        ({"seed": 1.5}, "seed.*must be an integer.*seed=1.5"),
        ({"shuffle_buffer": 0}, "shuffle_buffer.*positive.*shuffle_buffer=0"),
        (
            {"task": "embed", "masking": MaskingConfig()},
            'masking.*belong to task="pretrain".*Received: task="embed"',
        ),
        (
            {"task": "classify", "error_weights": "paper"},
            'error_weights.*belong to task="pretrain".*Received: task="classify"',
        ),
        ({"task": "embed", "training": True}, "keeps the source's order"),
        ({"split": "train"}, 'split.*records on disk.*Received: split="train"'),
    ],
)
def test_option_that_cannot_work_is_refused(curves, options, message):
    with pytest.raises(ConfigError, match=message):
        load_dataset(curves, **options)


def test_source_without_light_curves_is_refused():
    with pytest.raises(ConfigError, match=r"no light curves\. Received: an empty list"):
        load_dataset([])


def test_source_of_something_else_is_refused(curves):
    with pytest.raises(ConfigError, match=r"source\[1\] of type ndarray.*from_array"):
        load_dataset([curves[0], np.zeros((5, 3))])


def test_unknown_split_is_refused_with_a_suggestion(records):
    message = 'Unknown split.*"trian".*mean "train".*test, train, validation'
    with pytest.raises(RecordError, match=message):
        load_dataset(records, split="trian")


def test_split_without_light_curves_is_refused(tmp_path, make_light_curve):
    folder = tmp_path / "records"
    write_records(folder, [make_light_curve(9)], split={"train": 0.5, "test": 0.5})
    full = next(name for name, part in splits_of(folder) if part.num_light_curves)
    empty = next(name for name, part in splits_of(folder) if name != full)
    with pytest.raises(RecordError, match=rf"no light curves.*split='{empty}'"):
        load_dataset(folder, split=empty)
    assert_windows(
        load_dataset(folder, split=full, task="embed", window_size=W),
        list(read_records(folder)),
    )


def splits_of(folder):
    return Manifest.load(folder).splits.items()


def test_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"manifest\.json.*Received: path="):
        load_dataset(tmp_path)


def test_tiling_released_repeats_observations_and_is_no_training(make_light_curve):
    curves = [make_light_curve(2 * W), make_light_curve(W + 1)]
    exact = load_dataset(curves, task="embed", window_size=W)
    released = load_dataset(curves, task="embed", window_size=W, tiling="released")
    starts = [
        np.concatenate([origin["window_start"] for _, origin in dataset]).tolist()
        for dataset in (exact, released)
    ]
    assert starts == [[0, W, 0, W], [0, W, W, 0, 1]]
    with pytest.raises(ConfigError, match="Received: tiling="):
        load_dataset(curves, window_size=W, tiling="released", training=True)


def test_class_names_alone_are_numbered_in_alphabetical_order(make_light_curve):
    names = ["RRab", None, "EC", "RRab"]
    curves = [make_light_curve(5, seed=i, class_name=n) for i, n in enumerate(names)]
    dataset = load_dataset(curves, task="classify", window_size=W, training=False)
    labels = np.concatenate([label for _, label in dataset])
    assert labels.tolist() == [1, 0, 1]


def test_classes_with_numbers_in_some_light_curves_only_are_refused(make_light_curve):
    curves = [
        make_light_curve(object_id="a", class_name="RR", label=0),
        make_light_curve(object_id="b", class_name="EB"),
    ]
    with pytest.raises(ConfigError, match=r'class_name="EB", label=-1 .*object_id="b"'):
        load_dataset(curves, task="classify", window_size=W)
    with pytest.raises(ConfigError, match=r'class_name="EB", label=-1 .*object_id="b"'):
        fixed_windows(curves, task="classify", window_size=W)


@pytest.mark.parametrize("read", [load_dataset, fixed_windows])
def test_classes_do_not_matter_where_none_is_learned(make_light_curve, read):
    curves = [
        make_light_curve(object_id="a", class_name="RR", label=0),
        make_light_curve(object_id="b", class_name="EB"),
    ]
    # Real light curves and simulated ones, for instance: only the latter are numbered.
    assert read(curves, window_size=W) is not None


def test_an_empty_class_name_is_no_class(make_light_curve):
    names = ["", None, "RR"]
    curves = [make_light_curve(class_name=name) for name in names]
    options = {"task": "classify", "window_size": W, "training": False}
    found = batches(load_dataset(curves[::-1], **options))
    tiles = len(batches(load_dataset(curves[2:], **options, batch_size=1)))
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]), [0] * tiles)
