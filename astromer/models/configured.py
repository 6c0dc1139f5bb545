"""What all models share: they are made from configs and say from which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import keras

from astromer.errors import ConfigError
from astromer.models.config import EncoderConfig

__all__ = ["ConfiguredModel"]


class ConfiguredModel(keras.Model):
    """A Keras model whose constructor takes configs, a seed, a name and a dtype.

    Subclasses set an attribute for each of their configs, and `seed`; saving and
    loading follow from that.
    """

    kind: ClassVar[str] = ""
    """What a preset calls such a model; empty for a model that presets do not hold."""
    config_classes: ClassVar[Mapping[str, Any]] = {"config": EncoderConfig}
    """Classes of the configs, by the constructor's argument."""

    config: EncoderConfig
    seed: int | None

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any
    ) -> None:
        """Configure training; see `keras.Model.compile`.

        Parameters
        ----------
        optimizer : str or keras.optimizers.Optimizer
        loss : str, keras.losses.Loss or callable, optional
        **kwargs
            Passed to `keras.Model.compile`.

        Raises
        ------
        ConfigError
            If the model lives on several devices and an option does not work there.
        """
        _check_strategy(self, optimizer, kwargs)
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name).to_dict() for name in self.config_classes},
            "seed": self.seed,
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        options = dict(config)
        for name, config_class in cls.config_classes.items():
            options[name] = config_class.from_dict(options[name])
        if isinstance(options.get("dtype"), dict):
            options["dtype"] = keras.saving.deserialize_keras_object(options["dtype"])
        return cls(**options)

    # Keras leaves it to whoever overrides `compile`, as children do.
    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Train; see `keras.Model.fit`. Datasets keep their own order.

        Returns
        -------
        history : keras.callbacks.History
        """
        if not isinstance(x, dict):
            # Keras would warn that it does not shuffle what it cannot shuffle.
            kwargs.setdefault("shuffle", False)
        return super().fit(x, y, **kwargs)


def _check_strategy(
    model: keras.Model, optimizer: Any, options: dict[str, Any]
) -> None:
    """Refuse what fails, or trains differently, on several devices."""
    # Keras's models on other backends have no such attribute.
    strategy = getattr(model, "_distribute_strategy", None)
    if strategy is None:
        return
    replicas = strategy.num_replicas_in_sync
    accumulated = getattr(optimizer, "gradient_accumulation_steps", None)
    if accumulated:
        raise ConfigError(
            "Under a distribution strategy gradients cannot be accumulated. Received: "
            f"gradient_accumulation_steps={accumulated} on {replicas} replicas. Leave "
            "it out, and use a larger batch."
        )
    if replicas == 1:
        return
    if options.get("jit_compile") is True:
        raise ConfigError(
            "On several devices a training step cannot be compiled by XLA. Received: "
            f"jit_compile=True on {replicas} replicas. Leave it out."
        )
    steps = options.get("steps_per_execution", 1)
    if steps > 1:
        raise ConfigError(
            "On several devices each execution is one step. Received: "
            f"steps_per_execution={steps} on {replicas} replicas. Leave it out."
        )
    clipping = [
        name
        for name in ("clipnorm", "global_clipnorm", "clipvalue")
        if getattr(optimizer, name, None)
    ]
    if clipping and not getattr(optimizer, "clips_over_replicas", False):
        raise ConfigError(
            "Keras clips the gradient of each replica, not that of the whole batch, so "
            "that the update would depend on the number of devices. Received: "
            f"{clipping[0]}={getattr(optimizer, clipping[0])} on {replicas} replicas. "
            "Use `astromer.training.Adam`, which clips the whole."
        )
