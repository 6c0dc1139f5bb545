"""The encoder: a window of observations in, one vector per observation out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from astromer import batch
from astromer.models import description, layers, periods
from astromer.models.config import EncoderConfig, OfWindow
from astromer.models.configured import ConfiguredModel
from astromer.models.signature import Beside, Signature

__all__ = ["Encoder", "window_inputs"]


def window_inputs() -> dict[str, Any]:
    """Return the symbolic inputs of every model, by the names in `astromer.batch`.

    Returns
    -------
    inputs : dict of keras.KerasTensor
        Each of shape ``(batch, window_size)``; the window size is left open, so that
        short windows need not be padded to the full one.
    """
    dtypes = {batch.VALID: "bool", batch.HIDDEN: "bool"}
    return {
        name: keras.Input((None,), dtype=dtypes.get(name, "float32"), name=name)
        for name in batch.INPUTS
    }


@keras.saving.register_keras_serializable("astromer")
class Encoder(ConfiguredModel):
    """Attention blocks over the observations of a window (Sects. 2.2-2.4, 3.1-3.2).

    Call arguments: a dictionary with ``time`` [d] and ``mag`` [mag] relative to their
    means, ``valid`` and ``hidden``, each of shape ``(batch, window_size)``. Returns the
    last block's output, shape ``(batch, window_size, hidden_dim)``. Padding never
    changes the result at valid positions, and no output depends on a hidden magnitude -
    unless the config repeats what the released code does (`hidden_magnitude`,
    `attention_mask`).

    Parameters
    ----------
    config : EncoderConfig, optional
        Options; the defaults are those of ``astromer2``.
    seed : int, optional
        Seed of initial weights and dropout; None draws anew.
    name : str, optional
        Name of the model.
    dtype : str or keras.DTypePolicy, optional
        E.g. ``"mixed_bfloat16"``; Keras's global policy by default. Times and the
        magnitudes' masking stay in float32.
    """

    def __init__(
        self,
        config: EncoderConfig | None = None,
        *,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        config = EncoderConfig() if config is None else config
        policy = keras.dtype_policies.get(dtype)
        seeds = layers.spawn_seeds(seed, config.num_layers + 2)

        # === Layers ===
        encode_time = _time_encoding(config)
        visible_mag = layers.VisibleMagnitude(
            config.hidden_magnitude, name="visible_magnitude", dtype="float32"
        )
        embed_mag = keras.layers.Dense(
            config.input_dim,
            kernel_initializer=keras.initializers.RandomNormal(
                stddev=1.0, seed=seeds[0]
            ),
            name="magnitude_embedding",
            dtype=policy,
        )
        attention_bias = layers.AttentionBias(
            config.attention_mask, name="attention_bias", dtype=policy
        )
        blocks = [
            layers.AttentionBlock(
                num_heads=config.num_heads,
                head_dim=config.head_dim,
                hidden_dim=config.hidden_dim,
                intermediate_dim=config.intermediate_dim,
                residual=config.residual,
                norm=config.block_norm,
                dropout=config.dropout,
                seed=seeds[index + 2],
                name=f"block_{index}",
                dtype=policy,
            )
            for index in range(config.num_layers)
        ]

        # === Functional model ===
        inputs = window_inputs()
        masks = inputs[batch.VALID], inputs[batch.HIDDEN]
        mag, time = inputs[batch.MAG], inputs[batch.TIME]
        if config.attention_mask != "released_astromer1":
            # A NaN has a say even without weight.
            time = ops.where(inputs[batch.VALID], time, 0.0)
        conditions: list[Any] = []
        described = signature = None
        if config.magnitude_scale == "visible":
            mag, _, scatter = periods.VisibleScale(name="visible_scale")(mag, *masks)
            facts, conditions = _conditions(
                config, time, mag, scatter, masks, seeds[0], policy
            )
            if config.description:
                described = _describe(facts, time, mag, masks)
            if config.signature_dim:
                signature = Signature(
                    config.signature_dim,
                    config.signature_units,
                    seed=seed,
                    name="signature",
                )(described)
        x = keras.layers.Add(name="input_embedding", dtype=policy)(
            [
                embed_mag(visible_mag(mag, *masks)),
                encode_time(time),
                *conditions,
            ]
        )
        x = layers.Dropout(
            config.dropout, seed=seeds[1], name="input_dropout", dtype=policy
        )(x)
        bias = attention_bias(*masks)
        rotation = _time_rotation(config, time)
        sequences = [x]
        for block in blocks:
            x = block(x, bias, rotation)
            sequences.append(x)
        if signature is not None:
            x = Beside(name="beside_signature", dtype=policy)(x, signature)
        super().__init__(inputs=inputs, outputs=x, name=name)
        self.dtype_policy = policy

        # === Config ===
        self.config = config
        self.seed = seed
        self._sequences = tuple(sequences)
        self._rotation = rotation
        self._description = described
        self._signature = signature

    @property
    def layer_sequences(self) -> tuple[Any, ...]:
        """Symbolic outputs of the input embedding and of every block, in order."""
        return self._sequences

    @property
    def time_rotation(self) -> Any | None:
        """Symbolic phases by which attention turns queries and keys, or None."""
        return self._rotation

    @property
    def description(self) -> Any | None:
        """Symbolic description of a window, (batch, description_channels), or None."""
        return self._description

    @property
    def signature(self) -> Any | None:
        """Symbolic signature of a window, (batch, signature_dim), or None."""
        return self._signature

    @property
    def of_window(self) -> dict[OfWindow, Any]:
        """Symbolic outputs that are of a window as a whole, those there are, by name."""
        outputs: dict[OfWindow, Any] = {
            "description": self._description,
            "signature": self._signature,
        }
        return {name: output for name, output in outputs.items() if output is not None}

    @property
    def default_layers(self) -> tuple[int | OfWindow, ...]:
        """What an embedding holds if nothing is chosen: last block, and `of_window`."""
        return (len(self._sequences) - 1, *self.of_window)

    def window_vector(self, chosen: Sequence[int | OfWindow] | None = None) -> Any:
        """Return the symbolic embedding of a window, in float32.

        Parameters
        ----------
        chosen : sequence of int and str, optional
            Numbers of `layer_sequences`, of which the mean over valid observations is
            taken, and names of `of_window`; `default_layers` if not given.

        Returns
        -------
        vector : keras.KerasTensor, shape (batch, channels)
            Side by side; by default there are ``config.vector_channels``.
        """
        pool = layers.MaskedMean(name="masked_mean", dtype="float32")
        parts = [
            self.of_window[layer]
            if isinstance(layer, str)
            else pool(self._sequences[layer], self.input[batch.VALID])
            for layer in (self.default_layers if chosen is None else chosen)
        ]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    @property
    def blocks(self) -> list[layers.AttentionBlock]:
        """The attention blocks, first to last."""
        return [
            self.get_layer(f"block_{index}") for index in range(self.config.num_layers)
        ]


def _conditions(
    config: EncoderConfig,
    time: Any,
    scaled: Any,
    scatter: Any,
    masks: tuple[Any, Any],
    seed: int | None,
    policy: Any,
) -> tuple[Any, list[Any]]:
    """Return facts on a window as a whole, and what is added to its input embedding."""
    seeds = layers.spawn_seeds(seed, 3)

    def dense(units: int, name: str, index: int, activation: str | None = None) -> Any:
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=keras.initializers.GlorotUniform(seeds[index]),
            name=name,
            dtype=policy,
        )

    conditions = []
    facts = periods.MagnitudeStatistics(name="magnitude_statistics")(
        scaled, scatter, *masks
    )
    if config.num_periods:
        phases, candidates = periods.PeriodSearch(
            config.num_periods,
            config.period_harmonics,
            config.max_frequency,
            config.num_frequencies,
            config.outlier_limit,
            name="period_search",
        )(time, scaled, *masks)
        conditions.append(dense(config.input_dim, "phase_embedding", 0)(phases))
        facts = keras.layers.Concatenate(name="window_facts", dtype="float32")(
            [facts, candidates]
        )
    x = dense(2 * config.input_dim, "window_hidden", 1, "tanh")(facts)
    x = dense(config.input_dim, "window_embedding", 2)(x)
    conditions.append(
        keras.layers.Reshape((1, config.input_dim), name="per_window", dtype=policy)(x)
    )
    return facts, conditions


def _describe(facts: Any, time: Any, scaled: Any, masks: tuple[Any, Any]) -> Any:
    """Return a window's description: facts, quantiles, structure function."""
    return keras.layers.Concatenate(name="description", dtype="float32")(
        [
            facts,
            description.MagnitudeQuantiles(name="magnitude_quantiles")(scaled, *masks),
            description.StructureFunction(name="structure_function")(
                time, scaled, *masks
            ),
        ]
    )


def _time_rotation(config: EncoderConfig, time: Any) -> Any | None:
    if not config.rotary_time:
        return None
    return layers.TimeRotation(
        config.num_heads,
        config.head_dim,
        config.shortest_period,
        config.longest_period,
        name="time_rotation",
    )(time)


def _time_encoding(config: EncoderConfig) -> keras.layers.Layer:
    if config.time_encoding == "log_period":
        return layers.LogPeriodEncoding(
            config.input_dim,
            config.shortest_period,
            config.longest_period,
            name="time_encoding",
        )
    return layers.SinusoidalEncoding(
        config.input_dim, config.time_base, name="time_encoding"
    )
