"""Diagrams: the numbers in them are those of the models built from the same options."""

import re

import keras
import pytest

from astromer.errors import ConfigError
from astromer.figures import (
    make_axes,
    plot_architecture,
    plot_classifier_architecture,
)
from astromer.figures.architecture import (
    count_classifier_parameters,
    count_parameters,
)
from astromer.models import EncoderConfig, Reconstructor
from tests.figures.examples import classifier_options

SMALL = {"num_heads": 3, "head_dim": 4, "hidden_dim": 10, "intermediate_dim": 7}
CONFIGS = {
    "astromer1": EncoderConfig.from_name("astromer1", **SMALL),
    "astromer2": EncoderConfig.from_name("astromer2", **SMALL),
    "identity": EncoderConfig(num_layers=1, residual="identity", **SMALL),
    "narrow input": EncoderConfig(num_layers=3, embedding_dim=6, **SMALL),
    "one block on a narrow input": EncoderConfig(
        num_layers=1, embedding_dim=6, **SMALL
    ),
    "leak": EncoderConfig(num_layers=2, hidden_magnitude="leak", **SMALL),
    "scaled": EncoderConfig(num_layers=1, magnitude_scale="visible", **SMALL),
    "periods": EncoderConfig.from_name("astromer_period", num_periods=2, **SMALL),
    "norm before, narrow input": EncoderConfig(
        num_layers=2, embedding_dim=6, block_norm="before", **SMALL
    ),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def written_parameters(ax):
    """All numbers in parentheses."""
    found = re.findall(r"\(([\d,]+)\)", "\n".join(texts(ax)))
    return sorted(int(text.replace(",", "")) for text in found)


@every_config
def test_counts_are_those_of_the_model(config):
    model = Reconstructor(config, seed=0)
    counts = count_parameters(config)
    assert counts["total"] == model.count_params()
    assert counts["encoder"] == model.encoder.count_params()
    first, *others = (block.count_params() for block in model.encoder.blocks)
    assert counts["first_block"] == first
    assert set(others) <= {counts["block"]}
    head = [model.get_layer(name) for name in ("head_norm", "head_dense")]
    assert counts["head"] == sum(layer.count_params() for layer in head)
    embedding = model.encoder.get_layer("magnitude_embedding")
    assert counts["magnitude_embedding"] == embedding.count_params()
    block = model.encoder.blocks[-1]
    assert counts["attention"] == block.attention.count_params()
    network = (block.intermediate, block.output_projection)
    assert counts["feed_forward"] == sum(layer.count_params() for layer in network)
    assert counts["norm"] == block.output_norm.count_params()
    for name in ("attention_residual", "output_residual"):
        layer = getattr(block, name, None)
        assert counts[name] == (layer.count_params() if layer else 0)


@pytest.mark.parametrize(
    ("name", "total"), [("astromer1", 661_505), ("astromer2", 3_953_410)]
)
def test_counts_of_the_published_architectures(name, total):
    assert count_parameters(EncoderConfig.from_name(name))["total"] == total


@every_config
def test_diagram_names_every_part_with_its_parameters(config):
    counts = count_parameters(config)
    expected = [
        *[counts["mask_token"]] * (counts["mask_token"] > 0),
        counts["magnitude_embedding"],
        *[counts["phase_embedding"]] * (counts["phase_embedding"] > 0),
        *[counts["window_embedding"]] * (counts["window_embedding"] > 0),
        counts["attention"],
        counts["feed_forward"],
        *[counts["norm"]] * 2,
        *[counts["attention_residual"], counts["output_residual"]]
        * (config.residual == "dense"),
        counts["head"],
        *[counts["signature"]] * (config.signature_dim > 0),
    ]
    ax = plot_architecture(config)
    assert written_parameters(ax) == sorted(expected)
    assert ax.get_title() == f"{counts['total']:,} parameters"


def test_diagram_says_what_the_options_say():
    config = EncoderConfig(
        num_layers=3, window_size=50, dropout=0.25, time_base=1000.0, **SMALL
    )
    shown = texts(plot_architecture(config))
    block = count_parameters(config)["block"]
    for text in (
        "Times: 50",
        "Sines, base 1000:\n10 channels",
        "Hidden: trainable token (1)",
        f"3 blocks of {block:,} each",
        "Reconstructed magnitudes: 50",
    ):
        assert text in shown
    assert shown.count("Dropout 0.25") == 3
    assert any(text.startswith("Attention: 3 heads") for text in shown)


def test_diagram_leaves_out_what_is_not_there():
    config = EncoderConfig(
        num_layers=2, residual="none", dropout=0.0, time_encoding="log_period", **SMALL
    )
    shown = texts(plot_architecture(config))
    assert not any("Dropout" in text for text in shown)
    assert "Sines, periods\n0.02 to 2000 d: 10" in shown
    # No path around: one sign of a sum, that of the input embedding.
    sums = [
        line for line in plot_architecture(config).lines if line.get_marker() == "+"
    ]
    assert len(sums) == 1
    with_paths = plot_architecture(CONFIGS["identity"])
    assert len([line for line in with_paths.lines if line.get_marker() == "+"]) == 3


def test_diagram_tells_of_periods_and_scale():
    shown = texts(plot_architecture(CONFIGS["periods"]))
    assert "Scaled by visible scatter" in shown
    assert any(text.startswith("Phases, 2 periods (") for text in shown)
    assert any(text.startswith("Statistics, periods (") for text in shown)
    assert any(text.startswith("Rotary attention: 3 heads") for text in shown)
    assert "Signature: 128" in shown
    plain = texts(plot_architecture(CONFIGS["scaled"]))
    assert not any("Signature" in text for text in plain)
    assert not any("Phases" in text for text in plain)
    assert any(text.startswith("Statistics (") for text in plain)


def test_diagram_tells_a_smaller_first_block():
    config = CONFIGS["narrow input"]
    counts = count_parameters(config)
    label = f"3 blocks of {counts['block']:,}, the first {counts['first_block']:,}"
    assert label in texts(plot_architecture(config))


def keras_head(config, options):
    """Parameters of the layers that Keras itself would build."""
    head, hidden = options.head, config.hidden_dim
    if head == "cls":
        attention = keras.layers.MultiHeadAttention(config.num_heads, config.head_dim)
        attention.build((None, 1, hidden), (None, None, hidden))
        norm = keras.layers.LayerNormalization()
        norm.build((None, hidden))
        return hidden + attention.count_params() + norm.count_params()
    if head.endswith("gru"):
        channels = {"gru": hidden, "input_gru": config.input_dim, "raw_gru": 2}[head]
        layer = keras.layers.GRU(options.gru_units)
        layer.build((None, 5, channels))
        return layer.count_params()
    return {"gamma": config.num_layers + 1, "attention": hidden}.get(head, 0)


@pytest.mark.parametrize(
    "head",
    [
        "gamma",
        "mean",
        "max",
        "embedding",
        "attention",
        "cls",
        "gru",
        "input_mean",
        "input_gru",
        "raw_gru",
    ],
)
@pytest.mark.parametrize("output_norm", [True, False])
def test_counts_of_a_classifier_are_those_of_keras_layers(head, output_norm):
    config = CONFIGS["astromer2"]
    options = classifier_options(
        head=head, hidden_units=(8, 5), gru_units=9, output_norm=output_norm
    )
    counts = count_classifier_parameters(config, options)
    channels = 9 if head.endswith("gru") else 10
    network = keras.Sequential(
        [
            keras.Input((channels,)),
            keras.layers.Dense(8),
            keras.layers.Dense(5),
            *[keras.layers.LayerNormalization()] * output_norm,
            keras.layers.Dense(6),
        ]
    )
    assert counts["pooling"] == keras_head(config, options)
    assert counts["total"] == counts["pooling"] + network.count_params()
    ax = plot_classifier_architecture(config, options)
    assert ax.get_title() == f"{counts['total']:,} parameters of the classifier"
    own = [n for name, n in counts.items() if name != "total" and n]
    rest = list(written_parameters(ax))
    for number in own:
        rest.remove(number)
    encoder = count_parameters(config)
    shared = {
        "raw_gru": [],
        "input_mean": [encoder["magnitude_embedding"] + encoder["mask_token"]],
        "input_gru": [encoder["magnitude_embedding"] + encoder["mask_token"]],
    }
    assert rest == shared.get(head, [encoder["encoder"]])


def test_classifier_shows_which_outputs_are_used():
    config = CONFIGS["astromer2"]
    diagrams = {
        head: plot_classifier_architecture(config, classifier_options(head=head))
        for head in ("gamma", "mean")
    }
    used = {}
    for head, ax in diagrams.items():
        assert {"in", "1", "6"} <= set(texts(ax))
        colors = [patch.get_facecolor() for patch in ax.patches]
        used[head] = max(colors.count(color) for color in set(colors))
    assert used["gamma"] > used["mean"]


@pytest.mark.parametrize(
    ("unfrozen", "state"),
    [(0, "frozen"), (2, "last 2 blocks trained"), ("all", "trained")],
)
def test_classifier_says_what_of_the_encoder_trains(unfrozen, state):
    options = classifier_options(unfrozen_blocks=unfrozen, dropout=0.3)
    shown = texts(plot_classifier_architecture(CONFIGS["astromer1"], options))
    assert any(text.endswith(f", {state}") for text in shown)
    # Before every dense layer: three hidden ones and the output.
    assert shown.count("Dropout 0.3") == 4


def test_diagrams_use_the_axes_given():
    (ax,) = make_axes()
    assert plot_architecture(CONFIGS["astromer1"], ax=ax) is ax
    (ax,) = make_axes()
    options = classifier_options()
    assert plot_classifier_architecture(CONFIGS["astromer1"], options, ax=ax) is ax


def test_unknown_head_is_refused():
    with pytest.raises(ConfigError, match=r'head="gama".*Did you mean "gamma"'):
        plot_classifier_architecture(
            CONFIGS["astromer1"], classifier_options(head="gama")
        )
