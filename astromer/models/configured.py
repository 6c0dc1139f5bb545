"""What all models share: they are made from configs and say from which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import keras

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
