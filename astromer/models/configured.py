"""What all models share: they are made from configs and say from which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import keras

from astromer.errors import ConfigError
from astromer.models.config import EncoderConfig
from astromer.models.whole_loss import check_loss, whole_batch_loss

__all__ = ["ConfiguredModel"]

_SHUFFLE_PLACE: Final = 7
"""Arguments of `keras.Model.fit` between `y` and `shuffle`, with it."""


class ConfiguredModel(keras.Model):
    """A Keras model whose constructor takes configs, a seed, a name and a dtype.

    Subclasses set an attribute for each of their configs, and `seed`; saving and
    loading follow from that. What is frozen stays so. (`keras.models.clone_model` gives
    a plain model; ``type(model).from_config(model.get_config())`` one of the same kind.)
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
        _check_strategy(self, optimizer, loss, kwargs)
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        value = super().compute_loss(x, y, y_pred, sample_weight, training)
        return whole_batch_loss(self.loss, value, y, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        self.check_not_quantized()
        return {
            **{name: getattr(self, name).to_dict() for name in self.config_classes},
            "seed": self.seed,
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            # By number: many names are new in every process.
            "frozen": [
                number
                for number, layer in enumerate(self._holders())
                if not layer.trainable
            ],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        options = dict(config)
        frozen = options.pop("frozen", None)
        for name, config_class in cls.config_classes.items():
            options[name] = config_class.from_dict(options[name])
        if isinstance(options.get("dtype"), dict):
            options["dtype"] = keras.saving.deserialize_keras_object(options["dtype"])
        model = cls(**options)
        if frozen is not None:
            for number, layer in enumerate(model._holders()):
                # A layer hands its flag down to those in it, which come later.
                if layer.trainable == (number in frozen):
                    layer.trainable = number not in frozen
        return model

    def check_not_quantized(self) -> None:
        """Raise ConfigError if weights are quantized, which files cannot hold.

        Raises
        ------
        ConfigError
        """
        modes = {
            layer.path: mode
            for layer in self._flatten_layers()
            if (mode := getattr(layer, "quantization_mode", None)) is not None
        }
        if modes:
            name, mode = next(iter(modes.items()))
            raise ConfigError(
                "Models are saved before they are quantized. Received: "
                f'{len(modes)} quantized layers, e.g. "{name}" ({mode}). Save the model '
                "in float32, and call `quantize` after loading it."
            )

    def _holders(self) -> list[keras.Layer]:
        """Return the model and what in it holds variables, outer ones first."""
        return [layer for layer in self._flatten_layers() if layer.variables]

    # Keras leaves it to whoever overrides `compile`, as children do.
    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train; see `keras.Model.fit`. Datasets keep their own order.

        Returns
        -------
        history : keras.callbacks.History
        """
        if not isinstance(x, dict) and len(args) < _SHUFFLE_PLACE:
            # Keras would warn that it does not shuffle what it cannot shuffle.
            kwargs.setdefault("shuffle", False)
        return super().fit(x, y, *args, **kwargs)


def _check_strategy(
    model: keras.Model, optimizer: Any, loss: Any, options: dict[str, Any]
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
    check_loss(loss, replicas)
