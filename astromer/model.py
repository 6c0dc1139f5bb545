"""The front door: the class `Astromer`, which joins the rooms behind one name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import keras

from astromer import inference
from astromer.inference.sources import Source
from astromer.models import Reconstructor
from astromer.presets import load_preset, save_preset
from astromer.progress import show_progress
from astromer.training import ReconstructionLoss, reconstruction_metrics

__all__ = ["Astromer"]


@keras.saving.register_keras_serializable("astromer")
class Astromer(Reconstructor):
    """The foundation model: an encoder with a reconstruction head.

    A `keras.Model`: `compile`, `fit`, `evaluate`, `predict` and `save` work as usual,
    with batches from `load_dataset`. See `Reconstructor` for inputs and outputs.

    Parameters
    ----------
    config : EncoderConfig, optional
        Options; the defaults are those of ``astromer2``.
    seed : int, optional
        Seed of initial weights and dropout; None draws anew.

    Examples
    --------
    >>> from astromer import Astromer, EncoderConfig
    >>> model = Astromer(EncoderConfig.from_name("astromer1"), seed=0)
    >>> model.count_params()
    661505
    """

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        load_weights: bool = True,
        dtype: Any = None,
    ) -> Self:
        """Load a preset.

        Parameters
        ----------
        name_or_path : str or path
            A name that `list_presets` knows, e.g. ``"macho"``, or a folder that
            `save_pretrained` wrote.
        load_weights : bool
            False gives the architecture with new, random weights.
        dtype : str or keras.DTypePolicy, optional
            E.g. ``"mixed_bfloat16"``; Keras's global policy by default.

        Returns
        -------
        model : Astromer

        Raises
        ------
        PresetError
            If there is no such preset, or it is damaged.
        """
        return load_preset(name_or_path, cls, load_weights=load_weights, dtype=dtype)

    def save_pretrained(
        self, path: str | Path, *, metadata: Mapping[str, Any] | None = None
    ) -> Path:
        """Save as a preset folder, for `from_pretrained`.

        Parameters
        ----------
        path : str or pathlib.Path
            Folder to write; its name becomes the preset's.
        metadata : mapping, optional
            Facts for the model card; see `astromer.presets.save_preset`.

        Returns
        -------
        path : pathlib.Path
            The folder.
        """
        return save_preset(self, path, metadata=metadata)

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configure training; the paper's loss and honest metrics by default.

        Parameters
        ----------
        optimizer : str or keras.optimizers.Optimizer
        loss : str, keras.losses.Loss or callable, optional
            `ReconstructionLoss` if not given.
        metrics : list of keras.metrics.Metric, optional
            `reconstruction_metrics` if not given: R2 and RMSE of hidden observations,
            RMSE of all.
        **kwargs
            Passed to `keras.Model.compile`.
        """
        super().compile(
            optimizer,
            ReconstructionLoss() if loss is None else loss,
            reconstruction_metrics() if metrics is None else metrics,
            **kwargs,
        )

    def embed(
        self, source: Source, *, verbose: bool | None = None, **options: Any
    ) -> inference.Embeddings:
        """Embed light curves; see `astromer.inference.embed` for the options.

        Parameters
        ----------
        source : light curves, frame, or paths
            A `LightCurve` or several; a pandas or polars long frame; a folder of
            records; survey files or folders.
        verbose : bool, optional
            Whether to show progress; by default where someone is looking.
        **options
            ``per``, ``layer``, ``batch_size``, ``survey``, ``passband``, ``dropped``,
            ``max_unreadable``.

        Returns
        -------
        embeddings : Embeddings
            In input order; ``numpy.asarray`` gives the vectors.
        """
        with show_progress(verbose) as progress:
            return inference.embed(self, source, progress=progress, **options)

    def reconstruct(
        self, source: Source, *, verbose: bool | None = None, **options: Any
    ) -> inference.Reconstructions:
        """Predict each magnitude; see `astromer.inference.reconstruct`.

        Parameters
        ----------
        source : light curves, frame, or paths
            See `embed`.
        verbose : bool, optional
            Whether to show progress; by default where someone is looking.
        **options
            ``num_folds``, ``seed``, ``batch_size``, ``survey``, ``passband``,
            ``dropped``, ``max_unreadable``.

        Returns
        -------
        reconstructions : Reconstructions
            In input order, magnitudes as observed [mag].
        """
        with show_progress(verbose) as progress:
            return inference.reconstruct(self, source, progress=progress, **options)
