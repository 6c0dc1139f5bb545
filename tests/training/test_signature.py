"""Learning what windows of one star have in common: the loss, the views, and effect."""

import dataclasses

import keras
import numpy as np
import pytest

from astromer import Astromer
from astromer.errors import ConfigError
from astromer.inference import embed
from astromer.lightcurve import LightCurve
from astromer.training import (
    SignatureOptions,
    contrastive_loss,
    draw_views,
    fit_signature,
    signature,
)
from astromer.training.signature import MIN_OBSERVATIONS, _numbers
from tests.models.windows import tiny_config

# Few steps are taken sooner than traced, many are not.
untraced = pytest.mark.usefixtures("untraced")

SIGNED = {
    "magnitude_scale": "visible",
    "description": True,
    "signature_dim": 8,
    "signature_units": 32,
    "window_size": 64,
}
QUICK = SignatureOptions(steps=2, batch_size=8, learning_rate=1e-2)


@pytest.fixture
def model():
    return Astromer(tiny_config(**SIGNED), seed=0)


@pytest.fixture(scope="module")
def described():
    """Three views each of 40 stars, that differ in noise; channels of one size."""
    channels = tiny_config(**SIGNED).description_channels
    rng = np.random.default_rng(5)
    stars = rng.normal(size=(40, 1, channels))
    return (stars + 0.1 * rng.normal(size=(40, 3, channels))).astype("f")


def weights_of(model):
    layer = model.encoder.get_layer("signature")
    return {weight.name: np.asarray(weight).copy() for weight in layer.weights}


def simulated(length):
    """Twelve stars of other periods and shapes, of two classes."""
    rng = np.random.default_rng(2)
    curves = []
    for star in range(12):
        time = np.sort(rng.uniform(0, 400, length))
        shape = np.sin(time / (1 + star)) ** (1 + star % 3)
        mag = 15 + 0.3 * shape + rng.normal(0, 0.01, length)
        error = np.full(length, 0.01)
        curves.append(LightCurve(time, mag, error, class_name="ab"[star % 2]))
    return curves


# --- The loss


def test_loss_is_the_cross_entropy_of_finding_partners(rng):
    one, other = rng.normal(size=(2, 6, 3)).astype("f")
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (one, other)]
    cosines = unit[0] @ unit[1].T / 0.3
    expected = 0.0
    for table in (cosines, cosines.T):
        share = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
        expected -= 0.5 * np.log(np.diag(share)).mean()
    assert float(contrastive_loss(one, other, 0.3)) == pytest.approx(expected, rel=1e-5)


def test_guessing_costs_the_logarithm_of_their_number():
    same = np.ones((8, 3), "f")
    assert float(contrastive_loss(same, same, 0.1)) == pytest.approx(np.log(8))
    apart = np.eye(8, dtype="f")
    assert float(contrastive_loss(apart, apart, 0.01)) < 1e-6


# --- Views


def test_views_are_parts_of_their_light_curve(make_light_curve):
    curves = [make_light_curve(length, seed=length) for length in (20, 50, 300)]
    drawn = draw_views(curves, 40, 64, seed=1)
    assert len(drawn) == 120
    sizes = np.array([len(view) for view in drawn])
    assert sizes.min() >= MIN_OBSERVATIONS
    assert sizes.max() == 64
    noisy = 0
    for number, view in enumerate(drawn):
        curve = curves[number // 40]
        places = np.searchsorted(curve.time, view.time)
        np.testing.assert_array_equal(curve.time[places], view.time)
        np.testing.assert_array_equal(curve.mag_err[places], view.mag_err)
        noise = (view.mag - curve.mag[places]).std() / curve.mag[places].std()
        noisy += noise > 0
        assert noise == 0 or 0.05 < noise < 1.0
    assert 0.2 < noisy / 120 < 0.4
    gaps = [np.diff(np.searchsorted(curves[2].time, v.time)).max() for v in drawn[80:]]
    assert 0.25 < np.mean(np.array(gaps) == 1) < 0.75  # stretches, not thinned out


def test_views_follow_from_the_seed(make_light_curve):
    curves = [make_light_curve(60, seed=seed) for seed in (0, 1)]
    one, again, other = (draw_views(curves, 3, 64, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.mag, b.mag) for a, b in zip(one, again, strict=True))
    assert not all(
        np.array_equal(a.time, b.time) for a, b in zip(one, other, strict=True)
    )


def test_short_light_curves_are_left_out(make_light_curve):
    curves = [make_light_curve(length, seed=length) for length in (19, 30, 40)]
    assert len(draw_views(curves, 2, 64)) == 4
    with pytest.raises(ConfigError, match=r"at least two with 20.*Received: 1\."):
        draw_views(curves[:2], 2, 64)
    with pytest.raises(ConfigError, match=r"2 or more\. Received: views=1"):
        draw_views(curves, 1, 64)


# --- Training


@untraced
def test_nothing_but_the_signature_changes(model, described):
    before = [np.asarray(weight).copy() for weight in model.weights]
    fit_signature(model.encoder, described, options=QUICK)
    for weight, values in zip(model.weights, before, strict=True):
        changed = not np.array_equal(np.asarray(weight), values)
        assert changed == ("signature" in weight.path), weight.path


@untraced
def test_descriptions_are_standardized(model, described):
    fit_signature(model.encoder, described, options=QUICK)
    flat = described.reshape(-1, described.shape[-1])
    weights = weights_of(model)
    np.testing.assert_allclose(weights["mean"], flat.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(weights["scale"], flat.std(axis=0) + 1e-3, rtol=1e-4)


def test_views_of_a_star_are_found(model, described):
    """The loss falls far below a guess, and signatures of a star are alike."""
    options = dataclasses.replace(QUICK, steps=150, batch_size=40)
    losses = fit_signature(model.encoder, described, options=options)
    assert losses.shape == (150,)
    assert losses[0] > 2.0
    assert losses[-5:].mean() < 0.8
    layer = model.encoder.get_layer("signature")
    found = np.asarray(layer(described.reshape(120, -1))).reshape(40, 3, -1)
    within = found.std(axis=1).mean()
    assert within < 0.5 * found.mean(axis=1).std(axis=0).mean()


@untraced
@pytest.mark.parametrize(
    "changed",
    [
        {"steps": 3},
        {"batch_size": 7},
        {"learning_rate": 2e-2},
        {"temperature": 0.5},
        {"seed": 1},
    ],
)
def test_option_changes_the_weights(changed, described):
    found = []
    for options in (QUICK, QUICK, dataclasses.replace(QUICK, **changed)):
        model = Astromer(tiny_config(**SIGNED), seed=0)
        fit_signature(model.encoder, described, options=options)
        found.append(weights_of(model)["kernel_2"])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-4


def test_known_classes_pull_stars_together(described):
    """Half of the stars have a class, which is no more than a coin's."""
    names = np.where(np.arange(40) < 20, PARITY, "")
    apart = []
    for weight in (0.0, 20.0):
        model = Astromer(tiny_config(**SIGNED), seed=0)
        options = dataclasses.replace(QUICK, steps=60, class_weight=weight)
        fit_signature(model.encoder, described, names, options)
        layer = model.encoder.get_layer("signature")
        known = np.asarray(layer(described[:20, 0]))
        centers = known[1::2].mean(axis=0) - known[::2].mean(axis=0)
        apart.append(np.linalg.norm(centers) / known.std(axis=0).mean())
    assert apart[1] > 1.5 * apart[0]


PARITY = np.where(np.arange(40) % 2, "odd", "even")


@untraced
def test_classes_are_not_looked_at_by_default(described):
    found = []
    for names in (None, PARITY):
        model = Astromer(tiny_config(**SIGNED), seed=0)
        fit_signature(model.encoder, described, names, QUICK)
        found.append(weights_of(model)["kernel_2"])
    np.testing.assert_array_equal(*found)


def test_empty_names_are_no_class():
    names = np.array(["b", "", "a", "b", ""])
    np.testing.assert_array_equal(_numbers(names, 5), [1, -1, 0, 1, -1])
    np.testing.assert_array_equal(_numbers(None, 2), [-1, -1])


@untraced
def test_steps_compare_different_views_of_the_same_stars(model, monkeypatch):
    """The first two channels say which star and which view it is."""
    channels = model.config.description_channels
    described = np.zeros((6, 3, channels), "f")
    described[..., 0], described[..., 1] = np.mgrid[:6, :3]
    seen = []
    real = keras.Model.train_on_batch

    def remember(network, values, known):
        seen.append((np.split(values, 2), np.split(known[:, 0], 2)))
        return real(network, values, known)

    monkeypatch.setattr(keras.Model, "train_on_batch", remember)
    options = SignatureOptions(steps=3, batch_size=5, class_weight=0.1)
    names = np.array(["a", "b", "a", "", "b", ""])
    fit_signature(model.encoder, described, names, options)
    assert len(seen) == 3
    for (one, other), (known, known_again) in seen:
        stars = one[:, 0].astype(int)
        assert len(set(stars)) == 5
        np.testing.assert_array_equal(other[:, 0], stars)
        assert (one[:, 1] != other[:, 1]).all()
        np.testing.assert_array_equal(known, np.array([0, 1, 0, -1, 1, -1])[stars])
        np.testing.assert_array_equal(known_again, known)


@untraced
@pytest.mark.parametrize("constant", ["DROPOUT", "WEIGHT_DECAY"])
def test_regularization_changes_the_weights(constant, described, monkeypatch):
    found = []
    for changed in (False, True):
        if changed:
            monkeypatch.setattr(signature, constant, 0.0)
        model = Astromer(tiny_config(**SIGNED), seed=0)
        fit_signature(model.encoder, described, options=QUICK)
        found.append(weights_of(model)["kernel_1"])
    assert np.abs(found[0] - found[1]).max() > 1e-5


@untraced
def test_model_puts_views_descriptions_and_classes_together():
    curves = simulated(30)
    options = SignatureOptions(steps=2, batch_size=6, class_weight=2.0, seed=3)
    model, other = (Astromer(tiny_config(**SIGNED), seed=0) for _ in range(2))
    model.fit_signature(curves, views=3, verbose=False, **dataclasses.asdict(options))
    drawn = draw_views(curves, 3, 64, seed=3)
    described = [np.asarray(embed(other, view, layer="description")) for view in drawn]
    names = np.array([curve.class_name for curve in curves])
    described = np.reshape(described, (len(curves), 3, -1))
    fit_signature(other.encoder, described, names, options)
    for name, values in weights_of(other).items():
        np.testing.assert_allclose(weights_of(model)[name], values, atol=1e-4)


@untraced
def test_a_model_learns_from_light_curves(model):
    curves = simulated(40)
    before = np.asarray(embed(model, curves))
    losses = model.fit_signature(curves, views=3, steps=3, batch_size=6, verbose=False)
    assert losses.shape == (3,)
    after = np.asarray(embed(model, curves))
    dim = model.config.signature_dim
    np.testing.assert_array_equal(after[:, :-dim], before[:, :-dim])
    assert np.abs(after[:, -dim:] - before[:, -dim:]).max() > 1e-3


def test_bad_options_are_refused_before_anything_is_read(model, make_light_curve):
    def unread():
        raise AssertionError("read")
        yield

    for name, value, rule in (
        ("steps", 0, "an integer of at least 1"),
        ("steps", 2.5, "an integer of at least 1"),
        ("batch_size", 1, "an integer of at least 2"),
        ("learning_rate", 0.0, "positive"),
        ("temperature", -1.0, "positive"),
        ("class_weight", -0.1, "at least 0"),
    ):
        with pytest.raises(ConfigError, match=rf"{rule}\. Received: {name}={value}"):
            model.fit_signature(unread(), **{name: value})
    plain = Astromer(tiny_config(), seed=0)
    with pytest.raises(ConfigError, match=r"no signature.*signature_dim=0"):
        plain.fit_signature(unread())


def test_descriptions_that_teach_nothing_are_refused(model, described):
    def refuse(message, values, *arguments):
        with pytest.raises(ConfigError, match=message):
            fit_signature(model.encoder, values, *arguments)

    channels = described.shape[2]
    refuse(
        rf"views, {channels}\)\. Received: shape=\(40, 69\)", described.reshape(40, -1)
    )
    refuse(r"shape=\(40, 1, ", described[:, :1])
    refuse(r"shape=\(1, 3, ", described[:1])
    refuse(r"shape=\(40, 3, 4\)", described[..., :4])
    broken = described.copy()
    broken[7, 1, 2] = np.nan
    refuse(r"NaN or infinity in light curve number 7\.", broken)
    refuse(r"each of 40 light curves.*\(3,\)", described, np.array(["a", "b", "a"]))
    weighted = SignatureOptions(class_weight=0.5)
    refuse(r"none is known.*class_weight=0\.5", described, np.full(40, ""), weighted)
    refuse(r"none is known.*class_weight=0\.5", described, None, weighted)
