"""What all models share: they are made from an `EncoderConfig` and say so."""

from __future__ import annotations

from typing import Any, Self

import keras

from astromer.models.config import EncoderConfig

__all__ = ["ConfiguredModel"]


class ConfiguredModel(keras.Model):
    """A Keras model whose constructor takes a config, a seed, a name and a dtype.

    Subclasses set `config` and `seed`; saving and loading follow from that.
    """

    config: EncoderConfig
    seed: int | None

    def get_config(self) -> dict[str, Any]:
        return {
            "config": self.config.to_dict(),
            "seed": self.seed,
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        options = dict(config)
        encoder_config = EncoderConfig.from_dict(options.pop("config"))
        if isinstance(options.get("dtype"), dict):
            options["dtype"] = keras.saving.deserialize_keras_object(options["dtype"])
        return cls(encoder_config, **options)

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
