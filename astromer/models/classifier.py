"""Encoder plus classifier: the model that tells variable stars apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from astromer import batch
from astromer.errors import ConfigError
from astromer.models import heads
from astromer.models.config import (
    BLOCK_HEADS,
    GRU_HEADS,
    ClassifierConfig,
    EncoderConfig,
)
from astromer.models.configured import ConfiguredModel
from astromer.models.encoder import Encoder
from astromer.models.layers import Dropout, MaskedMean, spawn_seeds

__all__ = ["OUTPUT_NORM_EPSILON", "ClassifierNetwork"]

OUTPUT_NORM_EPSILON: Final = 1e-3
"""As released; the encoder's own is 1e-6."""

_POOLINGS: Final = {
    "mean": MaskedMean,
    "max": heads.MaskedMax,
    "attention": heads.AttentionPooling,
    "input_mean": MaskedMean,
}


@keras.saving.register_keras_serializable("astromer")
class ClassifierNetwork(ConfiguredModel):
    """Tell the class of a window of observations (Sect. 5.4).

    Call arguments: a dictionary as for `Encoder`. Returns logits of shape
    ``(batch, num_classes)``; their softmax are probabilities. Padding never changes
    them, and they do not depend on a hidden magnitude.

    The encoder is frozen unless told otherwise, by
    `ClassifierConfig.unfrozen_blocks` or `unfreeze`. What is frozen neither trains nor
    drops values: it gives the same in training and after.

    Parameters
    ----------
    config : EncoderConfig
        Options of the encoder. Baselines without blocks use its window and, but for
        head `raw_gru`, its input embedding.
    classifier_config : ClassifierConfig
        Options of what stands on the encoder, and the names of the classes.
    seed : int, optional
        Seed of initial weights and dropout; None draws anew.
    name : str, optional
        Name of the model.
    dtype : str or keras.DTypePolicy, optional
        As for `Encoder`; pooling and logits are always float32.

    Raises
    ------
    ConfigError
        If the two configs do not go together.
    """

    kind = "classifier"
    config_classes: ClassVar = {
        "config": EncoderConfig,
        "classifier_config": ClassifierConfig,
    }

    def __init__(
        self,
        config: EncoderConfig,
        classifier_config: ClassifierConfig,
        *,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        config = _without_unused(config, classifier_config.head)
        _check_pair(config, classifier_config)
        policy = keras.dtype_policies.get(dtype)
        # The encoder takes all but the last of these.
        *_, own_seed = spawn_seeds(seed, config.num_layers + 3)
        units = classifier_config.hidden_units
        pool_seed, *seeds = spawn_seeds(own_seed, 2 * len(units) + 3)
        dense_seeds, drop_seeds = seeds[::2], seeds[1::2]

        # === Layers ===
        encoder = Encoder(config, seed=seed, name="encoder", dtype=policy)
        hidden = [
            keras.layers.Dense(
                number,
                activation="relu",
                kernel_initializer=keras.initializers.GlorotUniform(dense_seeds[index]),
                name=f"hidden_{index}",
                dtype=policy,
            )
            for index, number in enumerate(units)
        ]
        norm = keras.layers.LayerNormalization(
            epsilon=OUTPUT_NORM_EPSILON, name="output_norm", dtype=policy
        )
        output = keras.layers.Dense(
            len(classifier_config.class_names),
            kernel_initializer=keras.initializers.GlorotUniform(dense_seeds[-1]),
            name="output",
            dtype=policy,
        )
        dropouts = [
            Dropout(
                classifier_config.dropout,
                seed=drop_seed,
                name=f"dropout_{index}",
                dtype=policy,
            )
            for index, drop_seed in enumerate(drop_seeds)
        ]
        # A last cast: a loss in bfloat16 would not see small improvements.
        to_float32 = keras.layers.Activation("linear", name="logits", dtype="float32")

        # === Functional model ===
        # The layers of the encoder that the head needs, and no others.
        inputs = encoder.input
        x = _pool(encoder, classifier_config, pool_seed)
        for layer, dropout in zip(hidden, dropouts, strict=False):
            x = layer(dropout(x))
        if classifier_config.output_norm:
            x = norm(x)
        logits = to_float32(output(dropouts[-1](x)))
        super().__init__(inputs=inputs, outputs=logits, name=name)
        self.dtype_policy = policy

        # === Config ===
        self.config = config
        self.classifier_config = classifier_config
        self.seed = seed
        # In a box: a second way to the same layers is no layer more.
        self._encoder = _Box(encoder if self.head in BLOCK_HEADS else None)
        self._set_trainable()

    @property
    def head(self) -> str:
        """How a window becomes one vector; see `ClassifierConfig.head`."""
        return self.classifier_config.head

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.classifier_config.class_names

    @property
    def encoder(self) -> Encoder | None:
        """The encoder whose layers are in use; None for baselines without blocks."""
        return self._encoder.content

    def unfreeze(self, num_blocks: int | Literal["all"] = "all") -> None:
        """Choose how much of the encoder trains; call `compile` afterwards.

        Parameters
        ----------
        num_blocks : int or "all"
            The last so many blocks, or everything with the input embedding; 0 freezes
            the encoder again.

        Raises
        ------
        ConfigError
            If there are not so many blocks, or the head uses none.
        """
        changed = dataclasses.replace(
            self.classifier_config, unfrozen_blocks=num_blocks
        )
        _check_pair(self.config, changed)
        self.classifier_config = changed
        self._set_trainable()
        # A compiled step has fixed what it trains: it must not run on in silence.
        self.compiled = False

    def take_encoder_weights(self, encoder: Encoder) -> None:
        """Copy the weights of a trained encoder, as far as the head uses them.

        Parameters
        ----------
        encoder : Encoder
            Of the same config, but for a signature that the head does not look at.

        Raises
        ------
        ConfigError
            If its config is another one.
        """
        if _without_unused(encoder.config, self.head) != self.config:
            raise ConfigError(
                "Weights fit an encoder of the same config only. Received: "
                f"{encoder.config} for {self.config}."
            )
        own = {layer.name: layer for layer in self.layers}
        for layer in encoder.layers:
            if layer.weights and layer.name in own:
                own[layer.name].set_weights(layer.get_weights())

    def layer_weights(self) -> NDArray[np.float32]:
        """Return the shares of input embedding and blocks in the vector of a window.

        Returns
        -------
        weights : numpy.ndarray, shape (num_layers + 1,)
            Softmax of the trained gammas (Fig. 13 shows the gammas themselves).

        Raises
        ------
        ConfigError
            If the head is another than `gamma`.
        """
        if self.head != "gamma":
            raise ConfigError(
                f'Only head="gamma" mixes layers. Received: head="{self.head}".'
            )
        gamma = ops.convert_to_tensor(self.get_layer("pooling").gamma)
        return ops.convert_to_numpy(ops.softmax(gamma))

    def _set_trainable(self) -> None:
        if self.encoder is None:
            return
        unfrozen = self.classifier_config.unfrozen_blocks
        # The encoder's own flag, too: it is what Keras's users look at and set.
        self.encoder.trainable = unfrozen == "all"
        for layer in self.encoder.layers:
            layer.trainable = unfrozen == "all"
        if unfrozen != "all":
            blocks = self.encoder.blocks
            for block in blocks[len(blocks) - unfrozen :]:
                block.trainable = True

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if isinstance(y, Mapping):
            raise ConfigError(
                "A classifier learns labels, one integer per window. Received: a "
                f"dictionary with {', '.join(sorted(y))}. Take batches of "
                '`load_dataset(..., task="classify")`.'
            )
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        # Called under TensorFlow alone. Under a strategy Keras averages a batch over
        # the replicas to learn its shapes; booleans have no average, and the part of
        # one replica tells as much.
        strategy = self.distribute_strategy
        if iterator is not None and self._distribute_strategy is not None:
            for _, _, batches in iterator:
                data_batch = keras.tree.map_structure(
                    lambda part: strategy.experimental_local_results(part)[0],
                    next(batches),
                )
                break
        super()._maybe_symbolic_build(data_batch=data_batch)


@dataclasses.dataclass(frozen=True)
class _Box:
    """Holds a model without Keras taking it for a part of its owner."""

    content: Encoder | None


def _pool(encoder: Encoder, config: ClassifierConfig, seed: int | None) -> Any:
    """Return the symbolic vector of a window, shape (batch, channels)."""
    inputs, sequences = encoder.input, encoder.layer_sequences
    valid = inputs[batch.VALID]
    if config.head == "gamma":
        return heads.GammaMixture(config.mixture, name="pooling")(
            list(sequences), valid
        )
    if config.head == "embedding":
        # A sequence of one is its own mean.
        vector = ops.expand_dims(encoder.window_vector(), axis=1)
        return MaskedMean(name="pooling", dtype="float32")(vector, valid[:, :1])
    x = sequences[0] if config.head.startswith("input_") else sequences[-1]
    if config.head in GRU_HEADS:
        if config.head == "raw_gru":
            # A hidden observation is left out: there is no token to stand for it.
            valid = ops.logical_and(valid, ops.logical_not(inputs[batch.HIDDEN]))
            x = heads.RawObservations(config.raw_time_unit, name="raw_observations")(
                inputs[batch.MAG], inputs[batch.TIME], valid
            )
        return keras.layers.GRU(
            config.gru_units,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
            name="pooling",
            dtype="float32",
        )(x, mask=valid)
    if config.head == "cls":
        return heads.ClassToken(
            encoder.config.num_heads, encoder.config.head_dim, seed, name="pooling"
        )(x, valid)
    return _POOLINGS[config.head](name="pooling", dtype="float32")(x, valid)


def _without_unused(config: EncoderConfig, head: str) -> EncoderConfig:
    """Leave a signature out that the head does not look at: it would not be saved."""
    if head == "embedding":
        return config
    return dataclasses.replace(config, signature_dim=0)


def _check_pair(config: EncoderConfig, classifier: ClassifierConfig) -> None:
    """Raise ConfigError unless the classifier can stand on the encoder."""
    if classifier.head == "gamma" and config.input_dim != config.hidden_dim:
        raise ConfigError(
            'head="gamma" adds the input embedding to the blocks and needs as many '
            f"channels in both. Received: embedding_dim={config.input_dim}, "
            f"hidden_dim={config.hidden_dim}. Use another head."
        )
    unfrozen = classifier.unfrozen_blocks
    if unfrozen != "all" and unfrozen > config.num_layers:
        raise ConfigError(
            "There are not so many blocks. Received: "
            f"unfrozen_blocks={unfrozen}, num_layers={config.num_layers}. "
            'Use "all" for the whole encoder with its input embedding.'
        )
