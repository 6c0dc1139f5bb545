"""What all figures share: sizes, colors that can be told apart, files."""

import subprocess
import sys

import matplotlib as mpl
import pytest

from astromer.errors import ConfigError
from astromer.figures import make_axes, save_figure
from astromer.figures.style import (
    COLORS,
    COLUMN_WIDTH_IN,
    LINE_STYLES,
    MARKERS,
    check_format,
    class_style,
    legend_above,
    make_stack,
)


@pytest.mark.parametrize(
    ("num_panels", "columns", "shape"),
    [(1, 1, (1, 1)), (1, 3, (1, 1)), (5, 2, (3, 2)), (4, 2, (2, 2))],
)
def test_make_axes_fills_a_grid(num_panels, columns, shape):
    axes = make_axes(num_panels, columns=columns, panel_height=1.5)
    assert len(axes) == num_panels
    assert axes[0].get_gridspec().get_geometry() == shape
    size = axes[0].figure.get_size_inches()
    assert size.tolist() == [COLUMN_WIDTH_IN, 1.5 * shape[0]]


def test_make_axes_height_follows_the_width():
    (ax,) = make_axes(width=6.0)
    assert ax.figure.get_size_inches().tolist() == [6.0, 4.0]


def test_make_stack_gives_each_panel_its_height():
    axes = make_stack([1.0, 3.0], width=5.0)
    figure = axes[0].figure
    assert figure.get_size_inches().tolist() == [5.0, 4.0]
    figure.draw_without_rendering()
    upper, lower = (ax.get_window_extent() for ax in axes)
    assert upper.y0 > lower.y1
    assert 2.0 < lower.height / upper.height < 8.0


SHOW_IN_NOTEBOOK = """
import sys
from IPython.core.formatters import DisplayFormatter
from astromer.figures import make_axes
from astromer.figures.style import make_stack
for axes in (make_axes(2, columns=2), make_stack([1.0, 2.0])):
    shown, _ = DisplayFormatter().format(axes[0].figure)
    print(shown["image/png"][:4], "matplotlib.pyplot" in sys.modules)
"""


def test_notebooks_show_figures_without_pyplot():
    pytest.importorskip("IPython", reason="comes with the test tools")
    # In a process of its own: pyplot teaches IPython for good.
    done = subprocess.run(
        [sys.executable, "-c", SHOW_IN_NOTEBOOK],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [r"b'\x89PNG' False"] * 2


@pytest.mark.parametrize(("count", "columns"), [(2, 2), (5, 3), (8, 4), (9, 3)])
def test_legend_above_has_at_most_so_many_columns(count, columns):
    (ax,) = make_axes()
    for number in range(count):
        ax.plot([0, 1], [0, 1], label=f"line {number}")
    legend = legend_above(ax, title="Lines", columns=4)
    assert legend._ncols == columns
    assert legend.get_title().get_text() == "Lines"


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0)])
def test_make_axes_refuses_an_empty_grid(arguments):
    with pytest.raises(ConfigError, match=r"at least one panel.*Received"):
        make_axes(arguments[0], columns=arguments[1])


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")],
)
def test_save_figure_writes_the_format_of_the_suffix_again_and_again(
    tmp_path, suffix, start
):
    path = tmp_path / "new folder" / f"figure{suffix}"
    written = []
    for _ in range(2):
        (ax,) = make_axes()
        ax.set_title("title")
        assert save_figure(ax.figure, path) == path
        written.append(path.read_bytes())
    assert written[0].startswith(start)
    assert written[0] == written[1]


def test_save_figure_resolution_sets_the_pixels(tmp_path):
    (ax,) = make_axes(width=3.0, panel_height=2.0)
    path = save_figure(ax.figure, tmp_path / "a.png", dpi=100)
    # Width and height are the first two numbers of a PNG's header.
    header = path.read_bytes()[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (300, 200)


@pytest.mark.parametrize("name", ["figure.jpg", "figure"])
def test_save_figure_refuses_other_formats(tmp_path, name):
    message = f'.pdf, .png, .svg. Received: path=.*{name}"'
    with pytest.raises(ConfigError, match=message):
        save_figure(make_axes()[0].figure, tmp_path / name)
    with pytest.raises(ConfigError, match=message):
        check_format(tmp_path / name)


def test_figures_leave_global_settings_alone(tmp_path):
    before = dict(mpl.rcParams)
    save_figure(make_axes()[0].figure, tmp_path / "a.pdf")
    assert dict(mpl.rcParams) == before


def test_class_style_is_different_for_many_classes():
    names = [f"class {number}" for number in range(72)]
    styles = class_style(names)
    assert len(set(styles.values())) == 72
    assert len({color for color, _ in list(styles.values())[:8]}) == 8


def luminance(color):
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2


def test_colors_are_seen_on_white():
    # A contrast of 1.05 / (luminance + 0.05) above 2 keeps points visible.
    assert all(1.05 / (luminance(color) + 0.05) > 2.0 for color in COLORS)
    assert len(set(MARKERS)) == len(MARKERS)


def test_figures_need_neither_pyplot_nor_a_display_and_light_curves_no_matplotlib():
    code = (
        "import sys, astromer.lightcurve, astromer.simulate\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import astromer.figures\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_lines_of_many_samples_differ():
    pairs = {
        (COLORS[number % len(COLORS)], LINE_STYLES[number % len(LINE_STYLES)])
        for number in range(40)
    }
    assert len(pairs) == 40
