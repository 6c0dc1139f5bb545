"""The models as diagrams, drawn from their options (Figs. 2, 3, 10).

Every number in a diagram follows from the options; tests compare them with the models
that are built from the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from astromer.errors import ConfigError, unknown_name
from astromer.figures.style import (
    COLUMN_WIDTH_IN,
    INK,
    LABEL_SIZE_PT,
    MUTED,
    TICK_SIZE_PT,
    make_axes,
)

if TYPE_CHECKING:
    # Keras takes seconds; a diagram needs none of it.
    from astromer.models import EncoderConfig

__all__ = [
    "ClassifierOptions",
    "count_classifier_parameters",
    "count_parameters",
    "plot_architecture",
    "plot_classifier_architecture",
]

_INPUT, _TRAINED, _FIXED, _OUTPUT, _FRAME = (
    "#FFFFFF",
    "#CFE3F1",
    "#EFEFEF",
    "#CDE9DF",
    "#FAF6EC",
)
_TIMES, _TO = "\N{MULTIPLICATION SIGN}", "\N{RIGHTWARDS ARROW}"
_HIDDEN: Final = {
    "token": "Hidden: trainable token",
    "zero": "Hidden: zero",
    "leak": "Hidden: not replaced",
}
"""What stands for a hidden magnitude, by `EncoderConfig.hidden_magnitude`."""

_POOLINGS: Final = {
    "gamma": "Weighted sum of means, softmax($\\gamma$)",
    "mean": "Mean of observations",
    "max": "Maximum of observations",
    "embedding": "Mean, description, signature",
    "attention": "Attention pooling",
    "cls": f"Class token, {{config.num_heads}} heads {_TIMES} {{config.head_dim}}",
    "gru": "GRU, {classifier.gru_units} units",
    "input_mean": "Mean of observations",
    "input_gru": "GRU, {classifier.gru_units} units",
    "raw_gru": "GRU, {classifier.gru_units} units",
}
"""What makes one vector of a window, by `ClassifierOptions.head`."""

_ROW_IN: Final = 0.33
"""Height of a row of boxes [inch]."""
_BOX: Final = 0.66
"""Height of a box, in rows."""
_WIDTH: Final = 10.0
"""Width of a diagram, in units of its own."""


class ClassifierOptions(Protocol):
    """What a diagram of a classifier must know; see `plot_classifier_architecture`."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes."""

    @property
    def head(self) -> str:
        """How a window becomes one vector, e.g. ``"gamma"``."""

    @property
    def hidden_units(self) -> Sequence[int]:
        """Units of the ReLU layers between that vector and the output."""

    @property
    def output_norm(self) -> bool:
        """Whether a layer normalization precedes the output."""

    @property
    def dropout(self) -> float:
        """Share of values dropped in training before every dense layer."""

    @property
    def gru_units(self) -> int:
        """Units of the recurrent heads."""

    @property
    def unfrozen_blocks(self) -> int | str:
        """How many of the encoder's last blocks train along, or ``"all"`` of it."""


def count_parameters(config: EncoderConfig) -> dict[str, int]:
    """Count the parameters of a reconstructor, part by part.

    Parameters
    ----------
    config : EncoderConfig

    Returns
    -------
    counts : dict of str to int
        ``mask_token``, ``magnitude_embedding``, ``phase_embedding``,
        ``window_embedding``; of one block ``attention``,
        ``attention_residual``, ``norm`` (each of two), ``feed_forward``,
        ``output_residual``, the first block left aside if there are several;
        ``first_block``, ``block`` (each further one), ``signature``, ``head``,
        ``encoder`` and ``total``. Parts that the options leave out have 0.
    """
    hidden, inner = config.hidden_dim, config.intermediate_dim
    dense = config.residual == "dense"
    # Of the first block alone, if there is no other.
    channels = hidden if config.num_layers > 1 else config.input_dim

    def attention(inputs: int) -> int:
        units = config.num_heads * config.head_dim
        return 3 * _dense(inputs, units) + _dense(units, hidden)

    def block(inputs: int) -> int:
        residuals = _dense(inputs, hidden) + _dense(hidden, hidden)
        norms = _norm(inputs) if config.block_norm == "before" else _norm(hidden)
        norms += _norm(hidden)
        return attention(inputs) + counts["feed_forward"] + norms + dense * residuals

    counts = {
        "mask_token": int(config.hidden_magnitude == "token"),
        "magnitude_embedding": _dense(1, config.input_dim),
        "phase_embedding": bool(config.num_periods)
        * _dense(config.phase_channels, config.input_dim),
        "window_embedding": bool(config.window_channels)
        * (
            _dense(config.window_channels, 2 * config.input_dim)
            + _dense(2 * config.input_dim, config.input_dim)
        ),
        "attention": attention(channels),
        "attention_residual": dense * _dense(channels, hidden),
        "norm": 2 * hidden,
        "feed_forward": _dense(hidden, inner) + _dense(inner, hidden),
        "output_residual": dense * _dense(hidden, hidden),
        "signature": bool(config.signature_dim)
        * (
            2 * config.description_channels
            + _dense(config.description_channels, config.signature_units)
            + _dense(config.signature_units, config.signature_units)
            + 2 * _norm(config.signature_units)
            + _dense(config.signature_units, config.signature_dim)
        ),
        "head": 2 * hidden + _dense(hidden, 1),
    }
    counts["first_block"] = block(config.input_dim)
    counts["block"] = block(channels)
    counts["encoder"] = (
        counts["mask_token"]
        + counts["magnitude_embedding"]
        + counts["phase_embedding"]
        + counts["window_embedding"]
        + counts["first_block"]
        + (config.num_layers - 1) * counts["block"]
        + counts["signature"]
    )
    counts["total"] = counts["encoder"] + counts["head"]
    return counts


def count_classifier_parameters(
    config: EncoderConfig, classifier: ClassifierOptions
) -> dict[str, int]:
    """Count the parameters of what stands on an encoder to tell classes.

    Parameters
    ----------
    config : EncoderConfig
    classifier : ClassifierOptions
        Such as a `ClassifierConfig`.

    Returns
    -------
    counts : dict of str to int
        ``pooling``, ``hidden_0`` and so on, ``output_norm``, ``output`` and their sum
        ``total``. The encoder's own are not among them.

    Raises
    ------
    ConfigError
        If there is no such head.
    """
    channels = _pooled_channels(config, classifier)
    counts = {"pooling": _pooling_parameters(config, classifier)}
    for place, units in enumerate(classifier.hidden_units):
        counts[f"hidden_{place}"] = _dense(channels, units)
        channels = units
    counts["output_norm"] = 2 * channels * classifier.output_norm
    counts["output"] = _dense(channels, len(classifier.class_names))
    counts["total"] = sum(counts.values())
    return counts


def plot_architecture(config: EncoderConfig, *, ax: Axes | None = None) -> Axes:
    """Draw the encoder and the reconstruction head (Figs. 2, 3).

    Parameters
    ----------
    config : EncoderConfig
        E.g. ``EncoderConfig.from_name("astromer2")``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width by default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        From the inputs at the bottom to the output at the top. Numbers in parentheses
        count parameters; boxes without any are gray.
    """
    counts = count_parameters(config)
    size, hidden = config.window_size, config.hidden_dim
    diagram = _Diagram()
    flow = _draw_input_embedding(diagram, config, counts)
    start = flow.top + 0.25
    x_side = 8.6

    def branch(text: str, parameters: int, residual: int) -> None:
        """Draw a part of a block: a layer, dropout, and the path around them."""
        fork = flow.top + 0.4
        before = config.block_norm == "before"
        if before:
            flow.box("Layer norm", _TRAINED, counts["norm"], gap=0.75)
        flow.box(text, _TRAINED, parameters, **({} if before else {"gap": 0.75}))
        _draw_dropout(flow, config)
        if config.residual != "none":
            flow.plus()
            diagram.path(
                [(flow.x, fork), (x_side, fork), (x_side, flow.y), (flow.x, flow.y)],
                stop=0.22,
            )
        if config.residual == "dense":
            diagram.box(x_side, (fork + flow.y) / 2, 2.4, "Dense", _TRAINED, residual)
        if not before:
            flow.box("Layer norm", _TRAINED, counts["norm"])

    attention = "Rotary attention" if config.rotary_time else "Attention"
    attention += f": {config.num_heads} heads {_TIMES} {config.head_dim}"
    branch(attention, counts["attention"], counts["attention_residual"])
    network = f"{hidden} {_TO} {config.intermediate_dim} tanh {_TO} {hidden}"
    branch(f"Dense {network}", counts["feed_forward"], counts["output_residual"])
    end = flow.top + 0.9
    label = _block_label(config, counts)
    diagram.frame(start, end, label, x=9.75, y=end - 0.38, align="right")
    flow.box(f"Embedding: {size} {_TIMES} {hidden}", _OUTPUT, gap=end - flow.top + 0.35)
    flow.box(f"Layer norm, dense {hidden} {_TO} 1", _TRAINED, counts["head"])
    flow.box(f"Reconstructed magnitudes: {size}", _OUTPUT)
    if config.signature_dim:
        # Of the window, beside what is of its observations.
        _draw_signature(diagram, config, counts["signature"], flow.y)
    return diagram.draw(ax, f"{counts['total']:,} parameters")


def plot_classifier_architecture(
    config: EncoderConfig, classifier: ClassifierOptions, *, ax: Axes | None = None
) -> Axes:
    """Draw a classifier on an encoder (Fig. 10).

    Parameters
    ----------
    config : EncoderConfig
        Of the encoder.
    classifier : ClassifierOptions
        Such as a `ClassifierConfig`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of one column's width by default.

    Returns
    -------
    ax : matplotlib.axes.Axes
        From the window at the bottom to the classes at the top; numbers in parentheses
        count parameters.

    Raises
    ------
    ConfigError
        If there is no such head.
    """
    counts = count_classifier_parameters(config, classifier)
    size, head = config.window_size, classifier.head
    diagram = _Diagram()
    flow = _Flow(diagram, x=_WIDTH / 2, width=6.4)
    flow.box(f"Window of {size} observations", _INPUT)
    if head == "raw_gru":
        flow.box("Magnitudes and times", _FIXED)
    elif head.startswith("input_"):
        embedding = count_parameters(config)
        parameters = embedding["mask_token"] + embedding["magnitude_embedding"]
        flow.box(f"Input embedding: {config.input_dim}", _TRAINED, parameters)
    else:
        _draw_encoder(diagram, flow, config, classifier)
    pooling = _POOLINGS[head].format(config=config, classifier=classifier)
    color = _TRAINED if counts["pooling"] else _FIXED
    flow.box(pooling, color, counts["pooling"])
    channels = _pooled_channels(config, classifier)
    for place, units in enumerate(classifier.hidden_units):
        _draw_dropout(flow, classifier)
        text = f"Dense {channels} {_TO} {units}, ReLU"
        flow.box(text, _TRAINED, counts[f"hidden_{place}"])
        channels = units
    if classifier.output_norm:
        flow.box("Layer norm", _TRAINED, counts["output_norm"])
    _draw_dropout(flow, classifier)
    number = len(classifier.class_names)
    flow.box(f"Dense {channels} {_TO} {number}", _TRAINED, counts["output"])
    flow.box(f"{number} classes", _OUTPUT)
    return diagram.draw(ax, f"{counts['total']:,} parameters of the classifier")


def _norm(channels: int) -> int:
    """Return the parameters of a layer normalization."""
    return 2 * channels


def _dense(inputs: int, units: int) -> int:
    """Return the parameters of a dense layer with biases."""
    return (inputs + 1) * units


def _pooled_channels(config: EncoderConfig, classifier: ClassifierOptions) -> int:
    if classifier.head not in _POOLINGS:
        raise ConfigError(unknown_name("head", classifier.head, _POOLINGS))
    if classifier.head.endswith("gru"):
        return classifier.gru_units
    if classifier.head == "embedding":
        return config.vector_channels
    is_input = classifier.head.startswith("input_")
    return config.input_dim if is_input else config.hidden_dim


def _pooling_parameters(config: EncoderConfig, classifier: ClassifierOptions) -> int:
    head, hidden = classifier.head, config.hidden_dim
    if head == "gamma":
        return config.num_layers + 1
    if head == "attention":
        return hidden
    if head == "cls":
        units = config.num_heads * config.head_dim
        # Token, attention, normalization.
        return hidden + 3 * _dense(hidden, units) + _dense(units, hidden) + 2 * hidden
    if head.endswith("gru"):
        inputs = {"gru": hidden, "input_gru": config.input_dim, "raw_gru": 2}[head]
        # Three gates with two biases each.
        return 3 * classifier.gru_units * (inputs + classifier.gru_units + 2)
    return 0


def _time_encoding(config: EncoderConfig) -> str:
    if config.time_encoding == "log_period":
        periods = f"{config.shortest_period:g} to {config.longest_period:g} d"
        return f"Sines, periods\n{periods}: {config.input_dim}"
    return f"Sines, base {config.time_base:g}:\n{config.input_dim} channels"


def _block_label(config: EncoderConfig, counts: dict[str, int]) -> str:
    number = f"{config.num_layers} blocks" if config.num_layers > 1 else "1 block"
    if counts["first_block"] == counts["block"] or config.num_layers == 1:
        each = " each" if config.num_layers > 1 else ""
        return f"{number} of {counts['first_block']:,}{each}"
    return f"{number} of {counts['block']:,}, the first {counts['first_block']:,}"


def _draw_input_embedding(
    diagram: _Diagram, config: EncoderConfig, counts: dict[str, int]
) -> _Flow:
    """Draw the two inputs up to their sum; return where to go on."""
    size = config.window_size
    times = _Flow(diagram, x=2.45, width=4.5)
    times.box(f"Times: {size}", _INPUT)
    times.box(_time_encoding(config), _FIXED, height=1.0 + _BOX)
    mags = _Flow(diagram, x=7.55, width=4.5)
    mags.box(f"Magnitudes: {size}", _INPUT)
    if config.magnitude_scale == "visible":
        mags.box("Scaled by visible scatter", _FIXED)
    token = counts["mask_token"]
    mags.box(_HIDDEN[config.hidden_magnitude], _TRAINED if token else _FIXED, token)
    text = f"Dense 1 {_TO} {config.input_dim}"
    mags.box(text, _TRAINED, counts["magnitude_embedding"])
    if config.num_periods:
        text = f"Phases, {config.num_periods} periods"
        times.box(text, _TRAINED, counts["phase_embedding"])
    if config.window_channels:
        text = "Statistics, periods" if config.num_periods else "Statistics"
        mags.box(text, _TRAINED, counts["window_embedding"])
    # A path around the blocks needs room at the right.
    x = _WIDTH / 2 if config.residual == "none" else 3.95
    flow = _Flow(diagram, x=x, width=6.1, top=max(times.top, mags.top))
    flow.plus(enter=False)
    for side in (times, mags):
        corner = (side.x, flow.y)
        diagram.path([(side.x, side.top), corner, (flow.x, flow.y)], stop=0.22)
    _draw_dropout(flow, config)
    return flow


def _draw_signature(
    diagram: _Diagram, config: EncoderConfig, parameters: int, top: float
) -> None:
    """Draw the network on a window's description, its output at the height given."""
    x, width, step = 8.57, 2.7, _BOX + 0.34
    diagram.box(x, top - 2 * step, width, "Description", _FIXED)
    diagram.box(x, top - step, width, "Dense", _TRAINED, parameters)
    diagram.box(x, top, width, f"Signature: {config.signature_dim}", _OUTPUT)
    for below in (top - 2 * step, top - step):
        diagram.path([(x, below + _BOX / 2), (x, below + step - _BOX / 2)])


def _draw_dropout(flow: _Flow, config: EncoderConfig | ClassifierOptions) -> None:
    if config.dropout:
        flow.box(f"Dropout {config.dropout:g}", _FIXED)


def _draw_encoder(
    diagram: _Diagram, flow: _Flow, config: EncoderConfig, classifier: ClassifierOptions
) -> None:
    """Draw the encoder as the row of its outputs; those in use lead on."""
    names = ["in", *map(str, range(1, config.num_layers + 1))]
    pitch = min(1.1, (_WIDTH - 1.0) / len(names))
    left = flow.x - (len(names) - 1) * pitch / 2
    bottom = flow.top + 0.4
    y, end = bottom + 1.05, bottom + 1.55
    join = end + 0.3
    trained = classifier.unfrozen_blocks
    state = {"0": "frozen", "all": "trained"}.get(
        str(trained), f"last {trained} blocks trained"
    )
    parameters = count_parameters(config)["encoder"]
    text = f"Encoder ({parameters:,}), {state}"
    diagram.frame(bottom, end, text, x=flow.x, y=bottom + 0.35, align="center")
    diagram.path([(flow.x, flow.top), (flow.x, bottom)])
    for place, name in enumerate(names):
        used = classifier.head == "gamma" or place == len(names) - 1
        x = left + place * pitch
        diagram.box(x, y, 0.75 * pitch, name, _OUTPUT if used else _FIXED)
        if used:
            diagram.path([(x, y + _BOX / 2), (x, join), (flow.x, join)], arrow=False)
    flow.top = join


class _Diagram:
    """Boxes, lines and frames in rows, collected until their height is known."""

    def __init__(self) -> None:
        self._artists: list[tuple[str, dict[str, Any]]] = []
        self.top = 0.0

    def box(
        self,
        x: float,
        y: float,
        width: float,
        text: str,
        color: str,
        parameters: int = 0,
        height: float = _BOX,
    ) -> None:
        """Add a box about its center; parameters are named if there are any."""
        if parameters:
            text = f"{text} ({parameters:,})"
        self.top = max(self.top, y + height / 2)
        self._add("box", x=x, y=y, width=width, height=height, text=text, color=color)

    def frame(
        self, bottom: float, top: float, text: str, *, x: float, y: float, align: str
    ) -> None:
        """Add a frame behind all else, and its title."""
        self._add("frame", bottom=bottom, top=top, text=text, x=x, y=y, align=align)

    def path(
        self,
        points: Sequence[tuple[float, float]],
        *,
        stop: float = 0.0,
        arrow: bool = True,
    ) -> None:
        """Add a line through points that ends in an arrow, `stop` before the last."""
        self._add("path", points=list(points), stop=stop, arrow=arrow)

    def plus(self, x: float, y: float) -> None:
        """Add the sign of a sum."""
        self._add("plus", x=x, y=y)

    def draw(self, ax: Axes | None, title: str) -> Axes:
        """Draw everything."""
        height = (self.top + 0.3) * _ROW_IN + 0.25
        if ax is None:
            ax = make_axes(width=COLUMN_WIDTH_IN, panel_height=height)[0]
        ax.set_axis_off()
        ax.set_xlim(0.0, _WIDTH)
        ax.set_ylim(-0.5, self.top + 0.1)
        for kind, options in self._artists:
            _PAINTERS[kind](ax, **options)
        ax.set_title(title, fontsize=LABEL_SIZE_PT)
        return ax

    def _add(self, kind: str, **options: Any) -> None:
        self._artists.append((kind, options))


class _Flow:
    """A column of boxes, each led to from the one below."""

    def __init__(
        self, diagram: _Diagram, *, x: float, width: float, top: float | None = None
    ) -> None:
        self.x = x
        self.y = 0.0
        self.top = -1.0 if top is None else top
        self._is_first = top is None
        self._diagram = diagram
        self._width = width

    def box(
        self,
        text: str,
        color: str,
        parameters: int = 0,
        *,
        gap: float = 0.34,
        height: float = _BOX,
    ) -> None:
        """Add a box above the last one."""
        bottom = -_BOX / 2 if self._is_first else self.top + gap
        if not self._is_first:
            self._diagram.path([(self.x, self.top), (self.x, bottom)])
        self._is_first = False
        self.y = bottom + height / 2
        self.top = bottom + height
        self._diagram.box(self.x, self.y, self._width, text, color, parameters, height)

    def plus(self, *, enter: bool = True) -> None:
        """Add the sign of a sum above the last box."""
        self.y = self.top + 0.34 + _PLUS
        if enter:
            self._diagram.path([(self.x, self.top), (self.x, self.y - _PLUS)])
        self._diagram.plus(self.x, self.y)
        self.top = self.y + _PLUS


def _paint_box(
    ax: Axes, *, x: float, y: float, width: float, height: float, text: str, color: str
) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=color,
            edgecolor=INK,
            linewidth=0.6,
            zorder=3,
        )
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=_TEXT_SIZE_PT, zorder=4)


def _paint_frame(
    ax: Axes, *, bottom: float, top: float, text: str, x: float, y: float, align: str
) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (0.05, bottom),
            _WIDTH - 0.1,
            top - bottom,
            boxstyle="round,pad=0,rounding_size=0.2",
            facecolor=_FRAME,
            edgecolor=MUTED,
            linewidth=0.6,
            zorder=1,
        )
    )
    ax.text(x, y, text, ha=align, va="center", fontsize=_TEXT_SIZE_PT, zorder=4)


def _paint_path(
    ax: Axes, *, points: list[tuple[float, float]], stop: float, arrow: bool
) -> None:
    *_, before, last = points
    # Lines run along the axes: shorten the last piece by `stop`.
    end = (
        last[0] - stop * np.sign(last[0] - before[0]),
        last[1] - stop * np.sign(last[1] - before[1]),
    )
    x, y = zip(*[*points[:-1], end], strict=True)
    ax.plot(x, y, color=INK, linewidth=0.6, zorder=2, solid_joinstyle="miter")
    if arrow:
        ax.annotate(
            "",
            end,
            before,
            arrowprops={
                "arrowstyle": "-|>,head_length=0.25,head_width=0.12",
                "color": INK,
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            zorder=2,
        )


def _paint_plus(ax: Axes, *, x: float, y: float) -> None:
    for marker, size, edge in (("o", 7.5, 0.6), ("+", 4.5, 0.8)):
        ax.plot(
            x,
            y,
            linestyle="none",
            marker=marker,
            markersize=size,
            markerfacecolor="white",
            markeredgecolor=INK,
            markeredgewidth=edge,
            zorder=4,
        )


_PLUS: Final = 0.2
"""Radius of the sign of a sum, in rows."""
_TEXT_SIZE_PT: Final = TICK_SIZE_PT - 0.5
_PAINTERS: Final[dict[str, Callable[..., None]]] = {
    "box": _paint_box,
    "frame": _paint_frame,
    "path": _paint_path,
    "plus": _paint_plus,
}
