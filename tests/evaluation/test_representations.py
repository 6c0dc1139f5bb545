"""Vectors of light curves: computed once, pooled right, found again."""

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.evaluation import representations
from astromer.evaluation.objects import collect_objects
from astromer.evaluation.representations import (
    Features,
    FrozenEmbedding,
    Joined,
    Rows,
    Statistics,
)
from astromer.inference import embed
from astromer.models import Reconstructor
from tests.models.windows import tiny_config


@pytest.fixture
def objects(make_star):
    """Five objects, of one to three windows; the last in two passbands."""
    curves = [make_star("slow", n, length=n) for n in (5, 8, 9, 20)]
    curves += [
        make_star("fast", 0, length=n, passband=b) for b, n in (("R", 12), ("B", 7))
    ]
    return list(collect_objects(curves).objects.values())


@pytest.fixture
def counted(monkeypatch):
    """Count the light curves that features are computed of."""
    calls = []
    real = representations.extract_features

    def count(light_curves, **options):
        calls.extend(curve.object_id for curve in light_curves)
        return real(light_curves, **options)

    monkeypatch.setattr(representations, "extract_features", count)
    return calls


def curves_of(objects):
    return [curve for item in objects for curve in item.light_curves]


def test_average_is_over_the_rows_of_an_object():
    rows = Rows(np.zeros((4, 1)), np.array([0, 1, 1, 2]))
    values = np.array([[1.0, 0], [2, 0], [4, 6], [5, 5]])
    np.testing.assert_array_equal(rows.average(values), [[1, 0], [3, 3], [5, 5]])


def test_embedding_of_a_light_curve_is_that_of_inference(tiny_model, objects):
    for layer, number in (("last", -1), (0, 0), (1, 1), ("all", "all")):
        frozen = FrozenEmbedding(tiny_model, "tiny", layer=layer)
        frozen.prepare(objects)
        expected = embed(tiny_model, curves_of(objects), layer=number)
        rows = frozen.rows(objects)
        np.testing.assert_allclose(rows.values, expected.embedding, atol=1e-6)
        assert rows.owner.tolist() == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("signature_dim", [0, 3])
def test_embedding_of_a_describing_encoder_is_that_of_inference(objects, signature_dim):
    config = tiny_config(
        magnitude_scale="visible", description=True, signature_dim=signature_dim
    )
    model = Reconstructor(config, seed=0)
    curves = curves_of(objects)
    frozen = FrozenEmbedding(model, "tiny")
    frozen.prepare(objects)
    for layer, same in (("embedding", None), ("last", -1), ("all", "all"), (1, 1)):
        found = frozen.at(layer).rows(objects).values
        expected = embed(model, curves, layer=same).embedding
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert frozen.name == "tiny/embedding"


def test_embedding_of_other_encoders_is_their_last_block(tiny_model):
    frozen = FrozenEmbedding(tiny_model, "tiny", layer="embedding")
    assert (frozen.layer, frozen.name) == ("last", "tiny/last")


def test_key_tells_precisions_and_weights_apart(tiny_model):
    config = tiny_model.config
    models = [
        tiny_model,
        Reconstructor(config, seed=0),
        Reconstructor(config, seed=1),
        Reconstructor(config, seed=0, dtype="mixed_bfloat16"),
    ]
    one, same, *others = (FrozenEmbedding(model, "tiny").key for model in models)
    assert one == same
    assert len({one, *others}) == 3


def test_window_rows_are_those_of_inference(tiny_model, objects):
    frozen = FrozenEmbedding(tiny_model, "tiny")
    frozen.prepare(objects)
    expected = embed(tiny_model, curves_of(objects), per="window")
    rows = frozen.window_rows(objects)
    np.testing.assert_allclose(rows.values, expected.embedding, atol=1e-6)
    names = [objects[i].object_id for i in rows.owner]
    assert names == expected.object_id.tolist()


def test_vectors_are_computed_once_per_content(objects, counted, tmp_path):
    Features(tmp_path, periodogram=False).prepare(objects[:3])
    assert len(counted) == 4
    again = Features(tmp_path, periodogram=False)
    again.prepare(objects)
    assert len(counted) == 6
    again.prepare(objects)
    assert len(counted) == 6
    assert again.rows(objects).values.shape == (6, 32)


def test_features_with_and_without_periodogram_do_not_mix(objects, counted, tmp_path):
    few = Features(tmp_path, periodogram=False)
    few.prepare(objects)
    many = Features(tmp_path)
    many.prepare(objects)
    assert len(counted) == 12
    assert many.key != few.key
    assert many.name != few.name


def test_an_embedding_is_kept_for_its_weights_alone(tiny_model, objects, tmp_path):
    FrozenEmbedding(tiny_model, "tiny", cache=tmp_path).prepare(objects)
    same = FrozenEmbedding(tiny_model, "tiny", cache=tmp_path, layer="all")
    assert not same._cache.missing(d for item in objects for d in item.digests)
    before = FrozenEmbedding(tiny_model, "tiny").key
    tiny_model.encoder.trainable_variables[0].assign_add(
        0.1 * np.ones(tiny_model.encoder.trainable_variables[0].shape)
    )
    other = FrozenEmbedding(tiny_model, "tiny", cache=tmp_path)
    assert other.key != before
    assert other._cache.missing([objects[0].digests[0]])


def test_another_layer_needs_no_second_pass(tiny_model, objects, monkeypatch):
    frozen = FrozenEmbedding(tiny_model, "tiny")
    other = frozen.at(0)
    frozen.prepare(objects)
    monkeypatch.setattr(other, "_compute", None)
    other.prepare(objects)
    assert (frozen.name, other.name) == ("tiny/last", "tiny/0")
    assert frozen.key != other.key
    assert not np.array_equal(frozen.rows(objects).values, other.rows(objects).values)


def test_work_goes_on_after_the_last_part(objects, counted, tmp_path, monkeypatch):
    monkeypatch.setattr(representations, "CHUNK", 2)

    def stop(stage, done, total, unit):
        assert (stage, total, unit) == ("compute features", 6, "light curves")
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Features(tmp_path).prepare(objects, stop)
    Features(tmp_path).prepare(objects)
    assert len(counted) == 6


def test_joined_vectors_stand_side_by_side(tiny_model, objects):
    parts = Statistics(), FrozenEmbedding(tiny_model, "tiny")
    joined = Joined(*parts)
    joined.prepare(objects)
    assert joined.name == "statistics+tiny/last"
    first, second = (part.rows(objects).values for part in parts)
    np.testing.assert_array_equal(
        joined.rows(objects).values, np.concatenate([first, second], axis=1)
    )
    assert joined.window_rows(objects) is None
    assert joined.key != Joined(*parts[::-1]).key


def test_unknown_layer_is_refused(tiny_model):
    with pytest.raises(ConfigError, match=r"between -3 and 2.*layer=3"):
        FrozenEmbedding(tiny_model, "tiny", layer=3)
    with pytest.raises(ConfigError, match="layer=first"):
        FrozenEmbedding(tiny_model, "tiny", layer="first")
