"""The front door: the classes that join the rooms behind one name each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from astromer import inference
from astromer.models import (
    ClassifierConfig,
    ClassifierNetwork,
    Encoder,
    Reconstructor,
)
from astromer.models.config import Head
from astromer.models.configured import ConfiguredModel
from astromer.presets import load_preset, save_preset
from astromer.progress import show_progress
from astromer.training import (
    ClassificationLoss,
    ReconstructionLoss,
    SignatureOptions,
    check_takes_logits,
    classification_metrics,
    draw_views,
    fit_signature,
    reconstruction_metrics,
    signature_of,
)

if TYPE_CHECKING:
    from astromer.inference.sources import Source
    from astromer.lightcurve import LightCurve

__all__ = ["Astromer", "Classifier"]


class _PublicModel(ConfiguredModel):
    """What `Astromer` and `Classifier` offer alike."""

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
            A name that `list_presets` knows, e.g. ``"macho"``, a folder that
            `save_pretrained` wrote, or the folder of a training run.
        load_weights : bool
            False gives the architecture with new, random weights.
        dtype : str or keras.DTypePolicy, optional
            E.g. ``"mixed_bfloat16"``; Keras's global policy by default.

        Returns
        -------
        model : Astromer or Classifier
            Of the class it is asked of.

        Raises
        ------
        PresetError
            If there is no such preset, it holds another kind of model, or it is
            damaged.
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
            ``per``, ``layer``, ``batch_size``, ``runtime``, ``survey``, ``passband``,
            ``dropped``, ``max_unreadable``.

        Returns
        -------
        embeddings : Embeddings
            In input order; ``numpy.asarray`` gives the vectors.
        """
        with show_progress(verbose) as progress:
            return inference.embed(self, source, progress=progress, **options)

    def export_encoder(
        self,
        path: str | Path,
        *,
        format: inference.ExportFormat = "onnx",  # noqa: A002 - as Keras calls it
    ) -> inference.Exported:
        """Write the encoder for other programs; see `astromer.inference.export`.

        Parameters
        ----------
        path : str or pathlib.Path
            Ends in ``.onnx``, ``.xml`` for OpenVINO, or ``.tflite``; a folder for a
            SavedModel.
        format : {"onnx", "openvino", "saved_model", "tflite"}

        Returns
        -------
        exported : Exported
            Path, size, and the largest difference from Keras, in units of an output's
            root mean square where that exceeds one.
        """
        return inference.export(self, path, format=format)


@keras.saving.register_keras_serializable("astromer")
class Astromer(_PublicModel, Reconstructor):
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

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configure training; the loss as released and honest metrics by default.

        Parameters
        ----------
        optimizer : str or keras.optimizers.Optimizer
        loss : str, keras.losses.Loss or callable, optional
            `ReconstructionLoss` if not given.
        metrics : list of keras.metrics.Metric, optional
            `reconstruction_metrics` if not given: R2 and RMSE of hidden observations,
            RMSE of all. A callback of Keras that monitors one needs its ``mode``, e.g.
            ``EarlyStopping("val_r2_hidden", mode="max")``.
        **kwargs
            Passed to `keras.Model.compile`.
        """
        super().compile(
            optimizer,
            ReconstructionLoss() if loss is None else loss,
            reconstruction_metrics() if metrics is None else metrics,
            **kwargs,
        )

    def fit_signature(
        self,
        light_curves: Iterable[LightCurve],
        *,
        views: int = 4,
        seed: int = 0,
        verbose: bool | None = None,
        **options: Any,
    ) -> NDArray[np.float32]:
        """Learn what windows of one star have in common; nothing else changes.

        Embeddings of an encoder with ``signature_dim`` end with what is learned here.
        No label is looked at, unless ``class_weight`` is above zero: then each
        ``class_name`` is, and names that must not be known have to be left away.

        Parameters
        ----------
        light_curves : iterable of LightCurve
            Of many stars. Those with fewer than 20 observations are left out.
        views : int
            Views drawn of each light curve, two or more; they are described once.
        seed : int
            Of views, initial weights, dropout and order.
        verbose : bool, optional
            Whether to show progress; by default where someone is looking.
        **options
            ``steps``, ``batch_size``, ``learning_rate``, ``temperature``,
            ``class_weight``; see `astromer.training.SignatureOptions`.

        Returns
        -------
        losses : numpy.ndarray, shape (steps,), float32
            Loss of each step [nat].

        Raises
        ------
        ConfigError
            If an option is out of range, the encoder has no signature, or there are
            fewer than two light curves to tell apart.
        """
        chosen = SignatureOptions(seed=seed, **options)
        signature_of(self.encoder)
        drawn = draw_views(light_curves, views, self.config.window_size, seed=seed)
        with show_progress(verbose) as progress:
            described = inference.embed(
                self, drawn, layer="description", progress=progress
            )
            return fit_signature(
                self.encoder,
                described.embedding.reshape(-1, views, described.embedding.shape[1]),
                described.class_name[::views],
                chosen,
                progress=progress,
            )

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


@keras.saving.register_keras_serializable("astromer")
class Classifier(_PublicModel, ClassifierNetwork):
    """A classifier of light curves on top of an encoder.

    A `keras.Model`: `compile`, `fit`, `evaluate`, `predict` and `save` work as usual,
    with batches from ``load_dataset(..., task="classify")``; `predict` gives logits of
    windows, `classify` probabilities of light curves. See `ClassifierNetwork`.

    Parameters
    ----------
    config : EncoderConfig
        Options of the encoder.
    classifier_config : ClassifierConfig
        Options of the classifier, and the names of the classes.
    seed : int, optional
        Seed of initial weights and dropout; None draws anew.

    Examples
    --------
    >>> from astromer import Astromer, Classifier, EncoderConfig
    >>> astromer = Astromer(EncoderConfig.from_name("astromer1"), seed=0)
    >>> model = Classifier.from_astromer(astromer, ["EB", "RRab"], head="mean", seed=0)
    >>> len(model.trainable_weights)  # four dense layers and a normalization
    10
    """

    @classmethod
    def from_astromer(
        cls,
        astromer: Reconstructor | Encoder,
        class_names: Sequence[str],
        *,
        head: Head = "gamma",
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> Self:
        """Put a new classifier on the encoder of a trained model.

        Parameters
        ----------
        astromer : Astromer or Encoder
            Its encoder's weights are copied, as far as the head uses them.
        class_names : sequence of str
            The position of a name is the label that stands for it.
        head : str
            See `ClassifierConfig.head`.
        seed : int, optional
            Seed of the classifier's initial weights and of dropout.
        name : str, optional
            Name of the model.
        dtype : str or keras.DTypePolicy, optional
            That of `astromer` by default.
        **options
            Other options of `ClassifierConfig`.

        Returns
        -------
        model : Classifier

        Raises
        ------
        ConfigError
            If an option is not valid.
        """
        config = ClassifierConfig.from_dict(
            {"class_names": class_names, "head": head, **options}
        )
        model = cls(
            astromer.config,
            config,
            seed=seed,
            name=name,
            dtype=astromer.dtype_policy if dtype is None else dtype,
        )
        encoder = astromer if isinstance(astromer, Encoder) else astromer.encoder
        model.take_encoder_weights(encoder)
        return model

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configure training; cross-entropy, accuracy and macro F1 by default.

        Parameters
        ----------
        optimizer : str or keras.optimizers.Optimizer
        loss : str, keras.losses.Loss or callable, optional
            Of logits, which is what the model gives; `ClassificationLoss` if not given.
        metrics : list of keras.metrics.Metric, optional
            `classification_metrics` if not given. They count windows; `classify` is
            what pools those of a star.
        **kwargs
            Passed to `keras.Model.compile`.
        """
        check_takes_logits(loss)
        if metrics is None:
            metrics = classification_metrics(len(self.class_names))
        super().compile(
            optimizer=optimizer,
            loss=ClassificationLoss() if loss is None else loss,
            metrics=metrics,
            **kwargs,
        )

    def classify(
        self, source: Source, *, verbose: bool | None = None, **options: Any
    ) -> inference.Classifications:
        """Classify light curves; see `astromer.inference.classify` for the options.

        Parameters
        ----------
        source : light curves, frame, or paths
            A `LightCurve` or several; a pandas or polars long frame; a folder of
            records; survey files or folders.
        verbose : bool, optional
            Whether to show progress; by default where someone is looking.
        **options
            ``per``, ``batch_size``, ``survey``, ``passband``, ``dropped``,
            ``max_unreadable``.

        Returns
        -------
        classifications : Classifications
            In input order; ``numpy.asarray`` gives the probabilities.
        """
        with show_progress(verbose) as progress:
            return inference.classify(self, source, progress=progress, **options)
