"""Encoder plus reconstruction head: the model that pretraining trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from astromer import batch
from astromer.errors import ConfigError
from astromer.models.config import EncoderConfig
from astromer.models.configured import ConfiguredModel
from astromer.models.encoder import Encoder, window_inputs
from astromer.models.layers import BRANCH_SCALE, LAYER_NORM_EPSILON
from astromer.models.periods import VisibleScale

__all__ = ["Reconstructor"]


@keras.saving.register_keras_serializable("astromer")
class Reconstructor(ConfiguredModel):
    """Predict the magnitude of every observation of a window (Sect. 2.5).

    Call arguments: a dictionary as for `Encoder`. Returns magnitudes of shape
    ``(batch, window_size)`` [mag], relative to the window's mean; values at padding
    mean nothing.

    In `fit` and `evaluate` a batch is ``(inputs, targets)`` with the target names of
    `astromer.batch`. Any Keras loss works: it gets one value per observation and, as
    sample weight, the probed mask times the weights, and times the sample weights that
    `fit` and `evaluate` take, one per window; in a dataset also one per observation.
    Metrics look at every
    window alike and must have an
    attribute ``subset``, one of ``"hidden"``, ``"probed"``, ``"valid"``, which says on
    which observations they look.

    Parameters
    ----------
    config : EncoderConfig, optional
        Options; the defaults are those of ``astromer2``.
    seed : int, optional
        Seed of initial weights and dropout; None draws anew.
    name : str, optional
        Name of the model.
    dtype : str or keras.DTypePolicy, optional
        As for `Encoder`; the reconstruction itself is always float32.
    """

    kind = "reconstructor"

    def __init__(
        self,
        config: EncoderConfig | None = None,
        *,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        policy = keras.dtype_policies.get(dtype)

        # === Layers ===
        encoder = Encoder(config, seed=seed, name="encoder", dtype=policy)
        norm = keras.layers.LayerNormalization(
            epsilon=LAYER_NORM_EPSILON, name="head_norm", dtype=policy
        )
        dense = keras.layers.Dense(
            1,
            # Small, so that a new model predicts each window's mean, not noise.
            kernel_initializer=keras.initializers.VarianceScaling(
                BRANCH_SCALE**2, "fan_avg", "uniform", seed=seed
            ),
            name="head_dense",
            dtype=policy,
        )
        # A last cast: a loss in bfloat16 would not see small improvements.
        flatten = keras.layers.Reshape((-1,), name="reconstruction", dtype="float32")

        # === Functional model ===
        inputs = window_inputs()
        outputs = flatten(dense(norm(encoder(inputs))))
        if encoder.config.magnitude_scale == "visible":
            masks = inputs[batch.VALID], inputs[batch.HIDDEN]
            _, mean, scatter = VisibleScale(name="scale")(inputs[batch.MAG], *masks)
            outputs = outputs * scatter + mean
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.dtype_policy = policy

        # === Config ===
        self.encoder = encoder
        self.config = encoder.config
        self.seed = seed
        self._subset_metrics: list[keras.metrics.Metric] = []

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = "mean_squared_error",
        metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configure training; see `keras.Model.compile`.

        Parameters
        ----------
        optimizer : str or keras.optimizers.Optimizer
        loss : str, keras.losses.Loss or callable
            Called with shapes ``(batch, window_size, 1)`` and a sample weight of
            shape ``(batch, window_size)``.
        metrics : keras.metrics.Metric or list of them, optional
            Each with an attribute ``subset``.
        **kwargs
            Passed to `keras.Model.compile`.

        Raises
        ------
        ConfigError
            If a metric does not say which observations it looks at, there are weighted
            metrics, or the model lives on several devices and an option does not work
            there.
        """
        if kwargs.get("weighted_metrics"):
            raise ConfigError(
                "Reconstruction metrics look at a subset of the observations. Received: "
                f"weighted_metrics={kwargs['weighted_metrics']!r}. Give `metrics` "
                "instead: those in `astromer.training` say which subset."
            )
        single = isinstance(metrics, keras.metrics.Metric)
        metrics = [metrics] if single else list(metrics or [])
        for metric in metrics:
            if getattr(metric, "subset", None) not in _SUBSETS:
                raise ConfigError(
                    "A reconstruction metric needs an attribute `subset`, one of "
                    f"{', '.join(_SUBSETS)}. Received: metric={metric!r}. "
                    "Use those in `astromer.training`."
                )
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        self._subset_metrics = metrics

    def get_compile_config(self) -> dict[str, Any]:
        config = super().get_compile_config()
        if config:
            metrics = keras.saving.serialize_keras_object(self._subset_metrics)
            config["metrics"] = metrics
        return config

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss tracker, if compiled, and the metrics given to `compile`."""
        trackers = [] if self._loss_tracker is None else [self._loss_tracker]
        return [*trackers, *self._subset_metrics]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        _check_targets(y)
        weight = ops.cast(y[batch.PROBED], "float32")
        weight = weight * ops.cast(y[batch.WEIGHT], "float32")
        if sample_weight is not None:
            # Of arrays Keras gives every target the same one.
            if isinstance(sample_weight, Mapping):
                sample_weight = sample_weight[batch.MAG]
            given = ops.cast(sample_weight, "float32")
            # One per window, or one per observation.
            weight = weight * ops.reshape(given, (ops.shape(weight)[0], -1))
        mag = ops.cast(y[batch.MAG], "float32")
        return super().compute_loss(
            x, mag[..., None], y_pred[..., None], weight, training
        )

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        subsets = {
            "hidden": ops.logical_and(x[batch.HIDDEN], x[batch.VALID]),
            "probed": y[batch.PROBED],
            "valid": x[batch.VALID],
        }
        for metric in self._subset_metrics:
            metric.update_state(
                y[batch.MAG], y_pred, sample_weight=subsets[metric.subset]
            )
        return self.get_metrics_result()

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        # Called under a TensorFlow strategy only. Keras's own averages a batch over the
        # replicas to learn its shapes; booleans, and replicas with a window more or
        # less, have no average. All but the optimizer is built here already.
        if self.optimizer is not None and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)


_SUBSETS = ("hidden", "probed", "valid")


def _check_targets(y: Any) -> None:
    if not isinstance(y, Mapping) or not set(batch.TARGETS).issubset(y):
        received = sorted(y) if isinstance(y, Mapping) else type(y).__name__
        raise ConfigError(
            "Targets of a reconstruction are a dictionary with "
            f"{', '.join(batch.TARGETS)}. Received: y={received}. Take batches of "
            '`load_dataset(..., task="pretrain")` or `fixed_windows`.'
        )
