"""What every figure must do: close, leave settings alone, be readable, stay inside."""

import functools
import gc
import weakref

import matplotlib as mpl
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.text import Text

from astromer import figures
from astromer.figures import save_figure
from astromer.figures.style import COLUMN_WIDTH_IN, TEXT_WIDTH_IN
from tests.figures.examples import EXAMPLES

SMALLEST_PT = 6.0
"""What a reader can still read in print."""

every_figure = pytest.mark.parametrize("name", EXAMPLES)


def panels_of(drawn):
    return drawn if isinstance(drawn, list) else [drawn]


@functools.cache
def draw(name):
    panels = panels_of(EXAMPLES[name]())
    panels[0].figure.draw_without_rendering()
    # The layout stands: finding it again takes most of the time of saving.
    panels[0].figure.set_layout_engine("none")
    return panels


@pytest.fixture
def drawn(name):
    """Panels, laid out, that tests only look at."""
    return draw(name)


def test_every_figure_has_an_example():
    names = {name for name in figures.__all__ if name.startswith("plot_")}
    assert set(EXAMPLES) == names


@every_figure
def test_figure_is_saved_as_pdf_and_png_without_global_settings(name, tmp_path):
    before = dict(mpl.rcParams)
    figure = draw(name)[0].figure
    for suffix, start in ((".pdf", b"%PDF"), (".png", b"\x89PNG")):
        path = save_figure(figure, tmp_path / f"figure{suffix}", dpi=60)
        assert path.read_bytes().startswith(start)
    assert dict(mpl.rcParams) == before
    assert Gcf.get_all_fig_managers() == []


@every_figure
def test_figure_is_gone_when_nobody_holds_it(name):
    figure = weakref.ref(panels_of(EXAMPLES[name]())[0].figure)
    gc.collect()
    assert figure() is None


@every_figure
def test_figure_fits_a_column_or_a_page(name, drawn):
    width, height = drawn[0].figure.get_size_inches()
    assert width in (COLUMN_WIDTH_IN, TEXT_WIDTH_IN)
    assert height < 9.5


def texts(figure):
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip()
    ]


@every_figure
def test_text_is_large_enough(name, drawn):
    small = {
        text.get_text(): text.get_fontsize()
        for text in texts(drawn[0].figure)
        if text.get_fontsize() < SMALLEST_PT
    }
    assert small == {}


@every_figure
def test_nothing_sticks_out_of_the_page(name, drawn):
    page = drawn[0].figure.bbox
    for panel in drawn:
        box = panel.get_tightbbox()
        assert box.x0 >= page.x0 - 1, "left"
        assert box.x1 <= page.x1 + 1, "right"
        assert box.y0 >= page.y0 - 1, "below"
        assert box.y1 <= page.y1 + 1, "above"


@every_figure
def test_no_legend_covers_a_panel(name, drawn):
    figure = drawn[0].figure
    legends = [*figure.legends, *filter(None, (ax.get_legend() for ax in drawn))]
    for legend in legends:
        box = legend.get_window_extent()
        for panel in drawn:
            assert not box.overlaps(panel.get_window_extent())


@every_figure
def test_titles_and_labels_of_a_panel_do_not_overlap(name, drawn):
    for panel in drawn:
        parts = [
            panel.title,
            panel._left_title,
            panel._right_title,
            panel.xaxis.label,
            panel.yaxis.label,
            *panel.get_xticklabels(),
            *panel.get_yticklabels(),
        ]
        legend = panel.get_legend()
        boxes = [
            (text.get_text(), text.get_window_extent())
            for text in [*parts, *(legend.get_texts() if legend else [])]
            if text.get_visible() and text.get_text() and panel.axison
        ]
        for place, (one, box) in enumerate(boxes):
            for other, another in boxes[:place]:
                # Turned by 45 degrees, names overlap in their boxes, not in their ink.
                turned = other in CLASS_TICKS and one in CLASS_TICKS
                assert turned or not box.padded(-2).overlaps(another.padded(-2)), (
                    one,
                    other,
                )


CLASS_TICKS = {"EA", "EW", "LPV", "RRab", "RRc", "RS_CVn"}
