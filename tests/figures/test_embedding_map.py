"""The map of embeddings: the projection against numpy, the drawing from the Axes."""

import sys

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.figures import (
    make_axes,
    plot_block_maps,
    plot_embedding_map,
    project,
    silhouette,
)


@pytest.fixture
def blobs(rng):
    """Three separate classes in 16 dimensions, and their names."""
    centers = 6.0 * rng.normal(size=(3, 16))
    names = np.repeat(["RRab", "EC", "LPV"], 20)
    return np.repeat(centers, 20, axis=0) + rng.normal(size=(60, 16)), names.tolist()


def offsets(ax):
    return np.concatenate([part.get_offsets() for part in ax.collections])


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_pca_finds_the_axes_of_largest_variance(rng):
    # Three orthogonal directions with standard deviations 9, 3 and 0.1.
    rotation, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    scores = rng.normal(size=(500, 3)) * [9.0, 3.0, 0.1]
    points, labels = project(scores @ rotation[:3] + 7.0)
    for component in range(2):
        correlation = np.corrcoef(points[:, component], scores[:, component])[0, 1]
        assert abs(correlation) > 0.99
    np.testing.assert_allclose(points.std(axis=0), [9.0, 3.0], rtol=0.1)
    assert labels[0].startswith(("PC 1 (90 %", "PC 1 (89 %", "PC 1 (91 %"))


def test_pca_variances_are_the_eigenvalues_of_the_covariance(blobs):
    points, _ = project(blobs[0])
    eigenvalues = np.linalg.eigvalsh(np.cov(blobs[0].T))[::-1]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), eigenvalues[:2])


def test_pca_sign_does_not_depend_on_order(blobs):
    embeddings = blobs[0]
    points, _ = project(embeddings)
    turned, _ = project(embeddings[::-1])
    np.testing.assert_allclose(turned[::-1], points, atol=1e-9)


def test_pca_of_equal_rows_is_a_point():
    points, labels = project(np.ones((4, 3)))
    np.testing.assert_array_equal(points, np.zeros((4, 2)))
    assert labels[0] == "PC 1 (0 % of variance)"


def test_ranks_do_not_see_how_far_out_an_object_lies(rng):
    embeddings = rng.normal(size=(40, 5))
    points, labels = project(embeddings, method="ranks")
    # Any rising function of a channel leaves its ranks alone.
    stretched, _ = project(np.exp(3 * embeddings), method="ranks")
    np.testing.assert_allclose(stretched, points)
    order = embeddings.argsort(axis=0).argsort(axis=0) / 39
    expected, _ = project(order)
    np.testing.assert_allclose(points, expected)
    assert labels[0].startswith("PC 1 of ranks (")


def test_ranks_of_equal_values_are_equal():
    embeddings = np.array([[1.0, 5.0, 2.0], [1.0, 5.0, 2.0], [3.0, 5.0, 9.0]])
    points, _ = project(embeddings, method="ranks")
    np.testing.assert_allclose(points[0], points[1], atol=1e-12)
    assert not np.allclose(points[0], points[2])


def test_two_dimensions_are_kept_as_they_are(rng):
    values = rng.normal(size=(5, 2))
    points, labels = project(values)
    np.testing.assert_array_equal(points, values)
    assert labels == ("Dimension 1", "Dimension 2")


def test_tsne_keeps_classes_apart_and_repeats_under_a_seed(blobs):
    pytest.importorskip("sklearn")
    embeddings, names = blobs
    points, labels = project(embeddings, method="tsne", seed=1)
    assert labels == ("t-SNE 1", "t-SNE 2")
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = np.array(names)[distances.argmin(axis=1)]
    assert (nearest == names).all()
    again, _ = project(embeddings, method="tsne", seed=1)
    np.testing.assert_array_equal(points, again)


def test_tsne_without_scikit_learn_says_how_to_get_it(blobs, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(ImportError, match=r"astromer\[benchmark\]"):
        project(blobs[0], method="tsne")


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (np.ones(4), r"Received: shape=\(4,\)"),
        (np.ones((1, 4)), r"Received: shape=\(1, 4\)"),
        (np.ones((4, 1)), r"Received: shape=\(4, 1\)"),
        (np.full((4, 4), np.nan), "finite=False"),
    ],
)
def test_project_refuses_what_has_no_plane(embeddings, message):
    with pytest.raises(ConfigError, match=message):
        project(embeddings)


def test_project_refuses_an_unknown_method(blobs):
    with pytest.raises(
        ConfigError, match=r'Did you mean "tsne".*Known: pca, ranks, tsne'
    ):
        project(blobs[0], method="t-sne")


def test_map_draws_every_point_once(blobs):
    embeddings, names = blobs
    ax = plot_embedding_map(embeddings, names)
    expected, labels = project(embeddings)
    shown = offsets(ax)
    assert shown.shape == (60, 2)
    np.testing.assert_allclose(
        shown[np.lexsort(shown.T)], expected[np.lexsort(expected.T)]
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels
    assert legend_texts(ax) == ["EC (20)", "LPV (20)", "RRab (20)"]


def test_map_gives_every_class_its_own_color_and_marker(blobs):
    ax = plot_embedding_map(*blobs)
    handles = ax.get_legend().legend_handles
    assert len({handle.get_color() for handle in handles}) == 3
    assert len({handle.get_marker() for handle in handles}) == 3
    shown = {tuple(part.get_facecolor()[0, :3]) for part in ax.collections}
    assert len(shown) == 3


def test_map_unknown_classes_lie_beneath_the_others(blobs):
    embeddings, names = blobs
    ax = plot_embedding_map(embeddings, [*names[:50], *[None] * 10])
    assert legend_texts(ax) == ["EC (20)", "LPV (10)", "RRab (20)", "unknown (10)"]
    beneath, *others = ax.collections
    assert len(beneath.get_offsets()) == 10
    assert beneath.get_zorder() < min(part.get_zorder() for part in others)


def test_map_class_of_the_name_unknown_is_a_class(blobs):
    ax = plot_embedding_map(blobs[0], [*["unknown"] * 50, *[None] * 10])
    assert legend_texts(ax) == ["unknown (50)", "unknown (10)"]
    assert sum(len(part.get_offsets()) for part in ax.collections[1:]) == 50


def test_map_of_unknown_classes_alone_is_gray(blobs):
    ax = plot_embedding_map(blobs[0], [None] * 60)
    assert legend_texts(ax) == ["unknown (60)"]
    assert len(ax.collections) == 1


def test_map_seed_sets_the_order_of_drawing(blobs):
    one, same, other = (
        offsets(plot_embedding_map(*blobs, seed=seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_map_uses_the_method_and_the_axes_given(blobs):
    pytest.importorskip("sklearn")
    (ax,) = make_axes()
    assert plot_embedding_map(*blobs, method="tsne", ax=ax) is ax
    assert ax.get_xlabel() == "t-SNE 1"


@pytest.mark.parametrize("num_classes", [2, 4, 5, 8, 9])
def test_map_legend_covers_no_data_and_stays_in_the_figure(rng, num_classes):
    names = [f"class{number}" for number in range(num_classes)] * 30
    ax = plot_embedding_map(rng.normal(size=(len(names), 2)), names)
    ax.figure.draw_without_rendering()
    legend = ax.get_legend().get_window_extent()
    panel, page = ax.get_window_extent(), ax.figure.bbox
    assert legend.y0 >= panel.y1
    assert page.x0 <= legend.x0
    assert legend.x1 <= page.x1
    assert legend.y1 <= page.y1


def test_map_refuses_another_number_of_names(blobs):
    with pytest.raises(ConfigError, match=r"len\(class_names\)=59, embeddings=60"):
        plot_embedding_map(blobs[0], blobs[1][1:])


@pytest.fixture
def layers(blobs, rng):
    """An input without classes, and two blocks that separate them more and more."""
    embeddings = blobs[0]
    noise = rng.normal(size=embeddings.shape)
    return [noise, noise + 0.1 * embeddings, noise + embeddings]


def test_silhouette_is_that_of_the_definition(blobs):
    pytest.importorskip("sklearn")
    embeddings, names = blobs
    distances = np.linalg.norm(embeddings[:, None] - embeddings, axis=-1)
    scores = []
    for row, name in enumerate(names):
        means = {
            other: distances[row][np.array(names) == other].sum()
            for other in set(names)
        }
        own = means.pop(name) / 19
        nearest = min(means.values()) / 20
        scores.append((nearest - own) / max(nearest, own))
    assert silhouette(embeddings, names) == pytest.approx(np.mean(scores))


def test_silhouette_leaves_out_what_has_no_class(blobs):
    pytest.importorskip("sklearn")
    embeddings, names = blobs
    partly = [*names[:50], *[None] * 10]
    expected = silhouette(embeddings[:50], names[:50])
    assert silhouette(embeddings, partly) == expected


@pytest.mark.parametrize("names", [["a"] * 60, [None] * 60, list(map(str, range(60)))])
def test_silhouette_without_two_classes_of_several_is_nan(blobs, names):
    assert np.isnan(silhouette(blobs[0], names))


def test_block_maps_have_a_panel_per_layer_with_its_silhouette(layers, blobs):
    pytest.importorskip("sklearn")
    names = blobs[1]
    axes = plot_block_maps(layers, names, method="pca")
    assert [ax.get_title(loc="left") for ax in axes] == ["Input", "Block 1", "Block 2"]
    for ax, embeddings in zip(axes, layers, strict=True):
        shown, (expected, _) = offsets(ax), project(embeddings)
        np.testing.assert_allclose(
            shown[np.lexsort(shown.T)], expected[np.lexsort(expected.T)]
        )
        title = ax.get_title(loc="right").replace("\N{MINUS SIGN}", "-")
        assert title == f"silhouette {silhouette(embeddings, names):.2f}"
    scores = [silhouette(embeddings, names) for embeddings in layers]
    assert scores == sorted(scores)
    (legend,) = axes[0].figure.legends
    written = [text.get_text() for text in legend.get_texts()]
    assert written == ["EC (20)", "LPV (20)", "RRab (20)"]


def test_block_maps_without_classes_name_no_silhouette(layers):
    axes = plot_block_maps(layers, [None] * len(layers[0]), method="pca")
    assert [ax.get_title(loc="right") for ax in axes] == [""] * len(layers)


def test_block_maps_are_tsne_by_default_and_repeat_under_a_seed(layers, blobs):
    pytest.importorskip("sklearn")
    one, same, other = (
        plot_block_maps(layers[:1], blobs[1], seed=seed)[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(offsets(one), offsets(same))
    assert not np.array_equal(offsets(one), offsets(other))
    expected, _ = project(layers[0], method="tsne", seed=0)
    shown = offsets(one)
    np.testing.assert_allclose(
        shown[np.lexsort(shown.T)], expected[np.lexsort(expected.T)]
    )


def test_block_maps_use_the_axes_given(layers, blobs):
    pytest.importorskip("sklearn")
    axes = make_axes(3)
    assert plot_block_maps(layers, blobs[1], method="pca", axes=axes) == axes


def test_block_maps_refuse_other_numbers(layers, blobs):
    with pytest.raises(ConfigError, match="Received: 0 layers"):
        plot_block_maps([], [])
    with pytest.raises(ConfigError, match=r"len\(class_names\)=59, embeddings=60"):
        plot_block_maps(layers, blobs[1][1:], method="pca")
    with pytest.raises(ConfigError, match=r"len\(axes\)=1, panels=3"):
        plot_block_maps(layers, blobs[1], axes=make_axes())


def test_silhouette_without_scikit_learn_says_how_to_get_it(blobs, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ImportError, match=r"silhouette needs.*astromer\[benchmark\]"):
        silhouette(*blobs)


def test_block_maps_do_not_write_minus_zero(layers, blobs, monkeypatch):
    monkeypatch.setattr("astromer.figures.embedding_map.silhouette", lambda *_: -0.001)
    (ax,) = plot_block_maps(layers[:1], blobs[1], method="pca")
    assert ax.get_title(loc="right") == "silhouette 0.00"
