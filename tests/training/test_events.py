import pytest
import tensorflow as tf

from astromer.training.events import EventWriter


def read(folder):
    """Parse event files by TensorFlow's own messages."""
    files = sorted(str(path) for path in folder.iterdir())
    return [
        tf.compat.v1.Event.FromString(record)
        for record in tf.data.TFRecordDataset(files).as_numpy_iterator()
    ]


def test_scores_are_events_by_training_and_validation(tmp_path):
    writer = EventWriter(tmp_path)
    writer.on_epoch_end(0, {"loss": 0.5, "r2_hidden": -0.25, "val_loss": 0.75})
    writer.on_epoch_end(1, {"loss": 0.125, "r2_hidden": 1.0, "val_loss": 3})
    for part, expected in (
        (
            "train",
            [{"loss": 0.5, "r2_hidden": -0.25}, {"loss": 0.125, "r2_hidden": 1.0}],
        ),
        ("validation", [{"loss": 0.75}, {"loss": 3.0}]),
    ):
        head, *events = read(tmp_path / part)
        assert head.file_version == "brain.Event:2"
        assert [event.step for event in events] == [1, 2]
        found = [{v.tag: v.simple_value for v in e.summary.value} for e in events]
        assert found == expected
        assert events[0].wall_time > 1.7e9


def test_each_process_writes_a_file_of_its_own(tmp_path):
    for epoch in (0, 1):
        EventWriter(tmp_path).on_epoch_end(epoch, {"loss": 1.0})
    files = list((tmp_path / "train").iterdir())
    assert len(files) == 2
    # The name that TensorBoard looks for.
    assert all("tfevents" in path.name for path in files)
    assert not (tmp_path / "validation").exists()
    assert [e.step for e in read(tmp_path / "train") if e.step] == [1, 2]


def test_number_that_is_none_is_not_hidden(tmp_path):
    EventWriter(tmp_path).on_epoch_end(0, {"loss": float("nan")})
    event = read(tmp_path / "train")[1]
    assert event.summary.value[0].simple_value != pytest.approx(0.0)
