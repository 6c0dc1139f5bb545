"""Teach an encoder's signature what the windows of one star have in common.

Two views of a light curve - other observations, fewer of them, more noise - are told
from views of all others by their signatures alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from astromer.checks import numpy_seed
from astromer.errors import ConfigError
from astromer.lightcurve import LightCurve
from astromer.models import Encoder
from astromer.models.signature import Signature
from astromer.progress import Progress
from astromer.training.optimizers import learning_rate_schedule
from astromer.training.options import SignatureOptions

__all__ = [
    "MIN_OBSERVATIONS",
    "contrastive_loss",
    "draw_views",
    "fit_signature",
    "signature_of",
]

MIN_OBSERVATIONS: Final = 20
"""Of a view; light curves with fewer are left out."""
SHORTEST_STRETCH: Final = 0.4
"""Smallest share of a light curve in a view that is one stretch of it."""
THINNEST: Final = 0.35
"""Smallest share of a window's observations in a view that is thinned out."""
NOISY_VIEWS: Final = 0.3
"""Share of views with noise added."""
NOISE: Final = (0.1, 0.7)
"""Its standard deviation, least and most, in units of the scatter of the view."""
DROPOUT: Final = 0.1
WEIGHT_DECAY: Final = 0.02
PROJECTED: Final = (256, 64)
"""Units of the network between a signature and what the loss compares. It is thrown
away: what it discards to please the loss, the signature keeps."""
SMALLEST_SCALE: Final = 1e-3


def draw_views(
    light_curves: Iterable[LightCurve], views: int, window_size: int, *, seed: int = 0
) -> list[LightCurve]:
    """Draw what other looks at the same stars might have seen.

    Half of the views are a stretch of a light curve, half a window thinned out; three
    of ten have noise added.

    Parameters
    ----------
    light_curves : iterable of LightCurve
        Those with fewer than `MIN_OBSERVATIONS` are left out.
    views : int
        Of each light curve, one after the other.
    window_size : int
        Most observations of a view.
    seed : int

    Returns
    -------
    drawn : list of LightCurve
        With classes and names as they are.

    Raises
    ------
    ConfigError
        If there are fewer than two light curves to tell apart, or than two views.
    """
    if views < 2:
        raise ConfigError(f"`views` must be 2 or more. Received: views={views}.")
    rng = np.random.default_rng(numpy_seed(seed))
    curves = [curve for curve in light_curves if len(curve) >= MIN_OBSERVATIONS]
    if len(curves) < 2:
        raise ConfigError(
            "Signatures are learned by telling stars apart: at least two with "
            f"{MIN_OBSERVATIONS} observations are needed. Received: {len(curves)}."
        )
    return [_draw_view(c, rng, window_size) for c in curves for _ in range(views)]


def fit_signature(
    encoder: Encoder,
    described: NDArray[np.floating],
    class_name: NDArray[np.str_] | None = None,
    options: SignatureOptions | None = None,
    *,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Set the weights of an encoder's signature; nothing else of it changes.

    After van den Oord et al. (2018) and Chen et al. (2020), on light curves in place of
    images.

    Parameters
    ----------
    encoder : Encoder
        With ``signature_dim`` above zero in its config.
    described : numpy.ndarray, shape (num_curves, views, description_channels)
        Its descriptions of views from `draw_views`.
    class_name : numpy.ndarray, shape (num_curves,), optional
        Classes of light curves where they are known, as of simulated ones; empty where
        not.
    options : SignatureOptions, optional
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    losses : numpy.ndarray, shape (steps,), float32
        Loss of each step [nat]. Guessing costs ``log(batch_size)``, and ``class_weight
        * log(num_classes)`` more.

    Raises
    ------
    ConfigError
        If the encoder has no signature, `described` is not what it takes, or a class
        weight is given and no class is known.
    """
    goal = signature_of(encoder)
    options = options or SignatureOptions()
    described = np.asarray(described, dtype=np.float32)
    _check_described(described, encoder.config.description_channels)
    classes = _numbers(class_name, len(described))
    if options.class_weight and classes.max() < 0:
        raise ConfigError(
            "Classes are to be learned, but none is known. Received: "
            f"class_weight={options.class_weight} without a class name. Use 0."
        )
    rng = np.random.default_rng(numpy_seed(options.seed))
    signature = Signature(
        goal.dim,
        goal.units,
        trained=True,
        dropout=DROPOUT,
        seed=int(rng.integers(2**31)),
    )
    signature.build((None, described.shape[-1]))
    signature.mean.assign(described.mean(axis=(0, 1)))
    signature.scale.assign(described.std(axis=(0, 1)) + SMALLEST_SCALE)
    losses = _train(
        signature,
        described,
        classes,
        options,
        rng=rng,
        progress=progress,
    )
    trained = {weight.name: weight for weight in signature.weights}
    for weight in goal.weights:
        weight.assign(trained[weight.name])
    return losses


def signature_of(encoder: Encoder) -> Signature:
    """Return the layer of an encoder's signature.

    Parameters
    ----------
    encoder : Encoder

    Returns
    -------
    signature : Signature

    Raises
    ------
    ConfigError
        If there is none.
    """
    if not encoder.config.signature_dim:
        raise ConfigError(
            "This encoder has no signature to train. Received: signature_dim=0. "
            "Set it in `EncoderConfig`."
        )
    return encoder.get_layer("signature")


def contrastive_loss(one: Any, other: Any, temperature: float) -> Any:
    """Return how badly vectors find their partners among all others.

    Parameters
    ----------
    one, other : tensor, shape (n, dim)
        Row i of both belongs to star i.
    temperature : float
        What cosines are divided by.

    Returns
    -------
    loss : tensor, shape ()
        Mean cross-entropy [nat] of finding the partner of each row of `one` in `other`
        and the other way round.
    """
    one, other = _unit(one), _unit(other)
    cosines = ops.matmul(one, ops.transpose(other)) / temperature
    own = ops.sum(one * other, axis=-1) / temperature
    found = [ops.logsumexp(cosines, axis=axis) - own for axis in (0, 1)]
    return 0.5 * (ops.mean(found[0]) + ops.mean(found[1]))


def _train(
    signature: Signature,
    described: NDArray[np.float32],
    classes: NDArray[np.int64],
    options: SignatureOptions,
    *,
    rng: np.random.Generator,
    progress: Progress | None,
) -> NDArray[np.float32]:
    number, views, channels = described.shape
    steps, batch_size = options.steps, min(options.batch_size, number)
    seeds = iter(rng.integers(2**31, size=3).tolist())

    def dense(units: int, activation: str | None = None) -> keras.layers.Dense:
        initializer = keras.initializers.GlorotUniform(next(seeds))
        return keras.layers.Dense(units, activation, kernel_initializer=initializer)

    inputs = keras.Input((channels,))
    found = signature(inputs)
    x = keras.layers.LayerNormalization()(found)
    projected = dense(PROJECTED[1])(dense(PROJECTED[0], "gelu")(x))
    logits = dense(max(int(classes.max()) + 1, 1))(found)
    network = keras.Model(inputs, keras.layers.Concatenate()([projected, logits]))

    def loss(known: Any, outputs: Any) -> Any:
        one, other = ops.split(outputs[:, : PROJECTED[1]], 2)
        total = contrastive_loss(one, other, options.temperature)
        known = known[:, 0]
        counted = ops.cast(known >= 0, "float32")
        errors = keras.losses.sparse_categorical_crossentropy(
            ops.maximum(known, 0), outputs[:, PROJECTED[1] :], from_logits=True
        )
        mean = ops.sum(errors * counted) / ops.maximum(ops.sum(counted), 1.0)
        return total + options.class_weight * mean

    schedule = learning_rate_schedule(
        options.learning_rate, warmup_steps=steps // 10, decay_steps=steps
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)
    network.compile(optimizer, loss)
    losses = np.empty(steps, dtype=np.float32)
    for step in range(steps):
        rows = rng.choice(number, batch_size, replace=False)
        first = rng.integers(views, size=batch_size)
        second = (first + rng.integers(1, views, size=batch_size)) % views
        values = np.concatenate([described[rows, first], described[rows, second]])
        known = np.tile(classes[rows], 2)[:, None]
        losses[step] = network.train_on_batch(values, known)
        if progress is not None:
            progress("train signature", step + 1, steps, "steps")
    return losses


def _draw_view(
    light_curve: LightCurve, rng: np.random.Generator, window_size: int
) -> LightCurve:
    length = len(light_curve)
    least = min(MIN_OBSERVATIONS, window_size)
    if rng.random() < 0.5:
        share = rng.uniform(SHORTEST_STRETCH, 1.0)
        size = min(max(round(share * length), least), window_size)
        places = rng.integers(length - size + 1) + np.arange(size)
    else:
        window = min(length, window_size)
        size = max(int(window * rng.uniform(THINNEST, 1.0)), least)
        places = np.sort(rng.choice(window, size, replace=False))
        places += rng.integers(length - window + 1)
    mag = light_curve.mag[places]
    if rng.random() < NOISY_VIEWS:
        noise = rng.standard_normal(size) * mag.std() * rng.uniform(*NOISE)
        mag = mag + noise
    return dataclasses.replace(
        light_curve,
        time=light_curve.time[places],
        mag=mag,
        mag_err=light_curve.mag_err[places],
    )


def _check_described(described: NDArray[np.float32], channels: int) -> None:
    shape = described.shape
    if not (len(shape) == 3 and min(shape[:2]) >= 2 and shape[2] == channels):
        raise ConfigError(
            "Descriptions must be of two or more views of two or more light curves, "
            f"shape (num_curves, views, {channels}). Received: shape={shape}."
        )
    if not np.isfinite(described).all():
        number = np.flatnonzero(~np.isfinite(described).all(axis=(1, 2)))[0]
        raise ConfigError(
            "Descriptions must be finite. Received: NaN or infinity in light curve "
            f"number {number}."
        )


def _numbers(class_name: NDArray[np.str_] | None, length: int) -> NDArray[np.int64]:
    """Return class numbers, -1 where there is no name."""
    if class_name is None:
        return np.full(length, -1)
    names = np.asarray(class_name)
    if names.shape != (length,):
        raise ConfigError(
            f"There must be a class name, or an empty one, for each of {length} light "
            f"curves. Received: class_name of shape {names.shape}."
        )
    numbers = np.full(length, -1)
    known = names != ""
    numbers[known] = np.unique(names[known], return_inverse=True)[1]
    return numbers


def _unit(vectors: Any) -> Any:
    norm = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + 1e-12)
    return vectors / norm
