"""`astromer figure`: every verb on small data, and what its options do."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import astromer.figures
from astromer.cli import figures, main
from astromer.models import ClassifierConfig

CLASSES = {"RRab": ("one", "two"), "EC": ("three", "four"), "LPV": ("five", "six")}
BLOCKS, HEADS = 2, 2


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    from astromer import Astromer, EncoderConfig

    config = EncoderConfig(
        num_layers=BLOCKS,
        num_heads=HEADS,
        head_dim=4,
        hidden_dim=8,
        embedding_dim=6,
        intermediate_dim=8,
        window_size=20,
    )
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    Astromer(config, seed=0).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two stars of each of three classes; the second also in another passband."""
    rng = np.random.default_rng(3)
    lines = ["object_id,passband,time,mag,mag_err,class_name"]
    for name, objects in CLASSES.items():
        for object_id in objects:
            for band in ("V", "I") if object_id == "two" else ("V",):
                times = 50_000 + np.sort(rng.uniform(0, 100, 40))
                mags = 15 + 0.3 * np.sin(2 * np.pi * times / 0.7)
                lines += [
                    f"{object_id},{band},{time:.5f},{mag:.4f},0.02,{name}"
                    for time, mag in zip(times, mags, strict=True)
                ]
    path = tmp_path_factory.mktemp("survey") / "survey.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two methods with two heads and two sizes on one data set, one head on another."""
    rows = [
        {
            "dataset": dataset,
            "method": method,
            "classifier": head,
            "samples_per_class": size,
            "macro_f1_mean": 0.5 + size / 1000,
            "macro_f1_std": 0.02,
            "per_class_f1": {"EB": 0.5, "RRab": 0.6},
            "confusion": [[8, 2], [1, 9]],
            "facts": [
                {
                    "finetuning": {
                        "rmse_before": 0.2,
                        "rmse_after": 0.15,
                        "minutes": 1.0 + fold,
                    },
                    "layer_weights": [0.2, 0.3, 0.5],
                }
                for fold in range(3)
            ],
        }
        for dataset, heads in (("asas", ("gamma", "mean")), ("crts", ("gamma",)))
        for method in ("macho", "other")
        for head in heads
        for size in (20, 100)
    ]
    path = tmp_path_factory.mktemp("benchmark") / "results.json"
    path.write_text(json.dumps({"rows": rows}), encoding="utf-8")
    return str(path)


@pytest.fixture
def spy(monkeypatch):
    """Return a function that replaces a figure and records how it is called."""

    def watch(name):
        calls = []
        original = getattr(astromer.figures, name)

        def wrapped(*arguments, **options):
            calls.append((arguments, options))
            return original(*arguments, **options)

        monkeypatch.setattr(astromer.figures, name, wrapped)
        return calls

    return watch


def draw(tmp_path, *arguments, suffix=".png"):
    """Draw a figure; return its file."""
    out = tmp_path / f"figure{suffix}"
    assert main(["figure", *arguments, "--out", str(out), "--dpi", "50"]) == 0
    return out


def refuse(capsys, *arguments):
    """Return the one line of an error."""
    assert main(["figure", *arguments]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Error: ")
    return shown


def test_list_names_every_verb_and_every_figure_of_the_paper(capsys):
    assert main(["figure", "list"]) == 0
    shown = capsys.readouterr().out
    verbs = {command.name for command in figures.app.registered_commands} - {"list"}
    assert {line.split()[0] for line in shown.splitlines() if line.strip()} >= verbs
    listed = {
        number for f in figures._FIGURES for number in re.findall(r"\d+", f.paper)
    }
    assert listed == {str(number) for number in range(1, 18)}
    assert f"{len(verbs)} figures." in shown


@pytest.mark.parametrize("verb", [(), ("attention",), ("f1",)])
def test_help_imports_nothing_heavy(verb, modules_imported_by):
    modules = modules_imported_by("figure", *verb, "--help")
    assert not modules & {"keras", "matplotlib", "numpy", "polars", "tensorflow"}


def test_figures_of_light_curves_need_no_keras(modules_imported_by, survey, tmp_path):
    out = str(tmp_path / "figure.png")
    modules = modules_imported_by("figure", "time-steps", survey, "--out", out)
    assert not modules & {"keras", "tensorflow"}


def test_every_file_asked_for_is_written(survey, tmp_path, capsys):
    files = [tmp_path / "new" / f"figure{suffix}" for suffix in (".pdf", ".png")]
    options = [text for path in files for text in ("--out", str(path))]
    assert main(["figure", "light-curves", survey, *options]) == 0
    assert [path.read_bytes()[:4] for path in files] == [b"%PDF", b"\x89PNG"]
    shown = capsys.readouterr().out
    assert shown.startswith("3 light curves in ")
    assert all(str(path) in shown for path in files)


def test_dpi_sets_the_pixels(survey, tmp_path):
    sizes = []
    for dpi in ("50", "100"):
        out = tmp_path / "figure.png"
        assert (
            main(["figure", "magnitudes", survey, "--out", str(out), "--dpi", dpi]) == 0
        )
        sizes.append(int.from_bytes(out.read_bytes()[16:20]))
    assert sizes == [170, 340]


def test_wrong_suffix_is_refused_before_any_work(preset, survey, tmp_path, capsys):
    shown = refuse(
        capsys, "attention", preset, "no-such-file", "--out", str(tmp_path / "a.jpg")
    )
    assert ".pdf, .png, .svg" in shown


@pytest.mark.parametrize("verb", ["attention", "block-maps", "reconstructions"])
def test_unknown_preset_is_refused_before_any_work(verb, tmp_path, capsys):
    out = str(tmp_path / "figure.png")
    shown = refuse(capsys, verb, "machoo", "no-such-file", "--out", out)
    assert 'Did you mean "macho"' in shown


def test_masking_needs_neither_keras_nor_tensorflow(
    survey, tmp_path, modules_imported_by
):
    out = ["--object", "three", "--out", str(tmp_path / "figure.png")]
    modules = modules_imported_by("figure", "masking", survey, *out)
    assert "matplotlib" in modules
    assert not modules & {"keras", "tensorflow"}


def test_masking_options_reach_the_window(survey, tmp_path, capsys, spy):
    calls = spy("mask_window")
    draw(tmp_path, "masking", survey, "--object", "three", "--seed", "4")
    assert "12 hidden, 4 random, 4 visible, 20 not probed" in capsys.readouterr().out
    options = ["--policy", "released", "--window-size", "10", "--passband", "I"]
    draw(tmp_path, "masking", survey, *options)
    assert "3 hidden, 1 random, 1 visible, 5 not probed" in capsys.readouterr().out
    (first, second) = calls
    assert (first[0][0].object_id, first[1]["seed"]) == ("three", 4)
    assert (second[0][0].passband, second[1]["window_size"]) == ("I", 10)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["EC", "LPV", "RRab"]),
        (["--by", "passband"], ["I", "V"]),
        (["--by", "input"], ["survey"]),
        (["--class", "LPV"], ["LPV"]),
        (["--passband", "I"], ["RRab"]),
    ],
)
@pytest.mark.parametrize(
    ("verb", "plot"),
    [("magnitudes", "plot_magnitudes"), ("time-steps", "plot_time_steps")],
)
def test_samples_are_what_they_are_grouped_by(
    verb, plot, options, names, survey, tmp_path, spy
):
    calls = spy(plot)
    draw(tmp_path, verb, survey, *options)
    ((samples,), _) = calls[0]
    assert list(samples) == names
    number = 40 if verb == "magnitudes" else 39
    assert len(samples[names[0]]) % number == 0


def test_samples_of_inputs_are_named_by_them(survey, tmp_path, spy, capsys):
    other = tmp_path / "other.csv"
    other.write_text("object_id,time,mag,mag_err\na,1,15,0.1\na,2,15,0.1\n")
    calls = spy("plot_magnitudes")
    draw(tmp_path, "magnitudes", survey, str(other), "--by", "input")
    ((samples,), _) = calls[0]
    assert {name: len(values) for name, values in samples.items()} == {
        "survey": 7 * 40,
        "other": 2,
    }
    assert capsys.readouterr().out.startswith("2 samples of 8 light curves in ")
    folder = tmp_path / "folder"
    folder.mkdir()
    again = folder / "other.csv"
    again.write_text(other.read_text())
    draw(tmp_path, "magnitudes", str(other), str(again), "--by", "input")
    ((samples,), _) = calls[1]
    assert list(samples) == [f"{tmp_path.name}/other", "folder/other"]


def test_class_need_not_be_in_every_input(survey, tmp_path, spy, capsys):
    other = tmp_path / "other.csv"
    lines = ["object_id,time,mag,mag_err,class_name"]
    lines += [f"{name},{n},15,0.1,{name}" for name in ("RRc", "EC") for n in (1, 2)]
    other.write_text("\n".join(lines))
    calls = spy("plot_magnitudes")
    options = ["--by", "input", "--class", "EC"]
    draw(tmp_path, "magnitudes", survey, str(other), *options)
    ((samples,), _) = calls[0]
    found = {name: len(values) for name, values in samples.items()}
    assert found == {"survey": 2 * 40, "other": 2}
    out = ["--out", str(tmp_path / "figure.png")]
    options = ["--by", "input", "--class", "DSCT"]
    shown = refuse(capsys, "magnitudes", survey, str(other), *options, *out)
    assert "Known: EC, LPV, RRab, RRc" in shown


def test_bad_observations_are_counted(tmp_path, capsys):
    path = tmp_path / "stars.csv"
    path.write_text("object_id,time,mag,mag_err\na,1,15,0.1\na,2,nan,0.1\na,3,15,0.1\n")
    draw(tmp_path, "time-steps", str(path))
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("1 bad observation left out: ")


def test_inputs_that_differ_in_their_suffix_stay_two():
    paths = [Path("a.csv"), Path("b/../a.csv"), Path("a.parquet")]
    assert list(figures._short_names(paths)) == ["b/../a.csv", "a.parquet"]


@pytest.fixture
def run_folder(tmp_path):
    rows = ["epoch,loss,rmse_hidden,val_rmse_hidden,r2_hidden,val_rmse_hidden_mean"]
    rows += [f"{n},{1 / n},{0.3 / n},{0.4 / n},{1 - 1 / n},0.31" for n in (1, 2, 3)]
    (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_learning_curves_are_read_from_a_run(run_folder, tmp_path, spy, capsys):
    calls = spy("plot_learning_curves")
    draw(tmp_path, "learning-curves", str(run_folder), "--test", "0.2")
    draw(
        tmp_path,
        "learning-curves",
        str(run_folder / "metrics.csv"),
        "--metric",
        "r2_hidden",
    )
    assert [options for _, options in calls] == [
        {"metric": "rmse_hidden", "test": 0.2},
        {"metric": "r2_hidden", "test": None},
    ]
    assert calls[0][0][0]["rmse_hidden"].to_list() == pytest.approx([0.3, 0.15, 0.1])
    assert "r2_hidden of 3 epochs in" in capsys.readouterr().out


def test_learning_curves_refuse_what_is_no_table(tmp_path, capsys):
    path = tmp_path / "metrics.csv"
    path.write_text("")
    out = str(tmp_path / "figure.png")
    shown = refuse(capsys, "learning-curves", str(path), "--out", out)
    assert f"Metrics are a CSV file. Received: path={path}" in shown
    shown = refuse(capsys, "learning-curves", str(tmp_path / "no"), "--out", out)
    assert "metrics.csv. Received: path=" in shown


def test_architecture_of_a_name_and_of_a_preset(preset, tmp_path, capsys):
    from astromer.presets import describe_preset

    draw(tmp_path, "architecture", "astromer1")
    assert capsys.readouterr().out.startswith("661,505 parameters in ")
    draw(tmp_path, "architecture", preset)
    expected = describe_preset(preset).num_parameters
    assert capsys.readouterr().out.startswith(f"{expected:,} parameters in ")


def test_architecture_of_a_classifier(tmp_path, capsys, spy):
    calls = spy("plot_classifier_architecture")
    options = ["--classes", "5", "--head", "mean"]
    draw(tmp_path, "architecture", "astromer2", *options)
    # 256 to 1024, 512, 256 units and 5 classes, and a normalization.
    expected = 257 * 1024 + 1025 * 512 + 513 * 256 + 512 + 257 * 5
    assert capsys.readouterr().out.startswith(f"{expected:,} parameters in ")
    ((encoder, classifier), _) = calls[0]
    assert (encoder.num_layers, classifier.head) == (6, "mean")
    assert len(classifier.class_names) == 5


def test_head_of_a_classifier_is_the_one_asked_for(tmp_path, capsys, spy):
    out = ["astromer2", "--out", str(tmp_path / "figure.png")]
    message = "Received: --head mean without --classes"
    assert message in refuse(capsys, "architecture", *out, "--head", "mean")
    shown = refuse(capsys, "architecture", *out, "--classes", "2", "--head", "meann")
    assert 'Did you mean "mean"' in shown
    calls = spy("plot_classifier_architecture")
    draw(tmp_path, "architecture", "astromer2", "--classes", "2")
    (((_, classifier), _),) = calls
    assert classifier == ClassifierConfig(class_names=["class 0", "class 1"])


def test_architecture_needs_neither_keras_nor_tensorflow(tmp_path, modules_imported_by):
    options = ["macho", "--classes", "2", "--out", str(tmp_path / "figure.png")]
    modules = modules_imported_by("figure", "architecture", *options)
    assert "matplotlib" in modules
    assert not modules & {"keras", "tensorflow"}


def test_architecture_of_what_is_not_there_is_refused(tmp_path, capsys):
    out = str(tmp_path / "figure.png")
    assert "Known: macho" in refuse(capsys, "architecture", "astromer3", "--out", out)
    (tmp_path / "config.json").write_text("{}")
    shown = refuse(capsys, "architecture", str(tmp_path), "--out", out)
    assert "must say what its encoder is. Received: path=" in shown


def test_architecture_of_a_preset_with_a_classifier(tmp_path, capsys):
    from astromer.models import EncoderConfig

    options = {
        "class_names": ["a", "b"],
        "head": "gamma",
        "hidden_units": [],
        "output_norm": False,
        "dropout": 0.1,
        "gru_units": 8,
        "unfrozen_blocks": 0,
    }
    encoder = EncoderConfig(num_layers=2, hidden_dim=10, num_heads=1, head_dim=2)
    config = {"encoder": encoder.to_dict(), "classifier": options}
    (tmp_path / "config.json").write_text(json.dumps(config))
    draw(tmp_path, "architecture", str(tmp_path))
    # Three gammas, and a dense layer from 10 to 2.
    assert capsys.readouterr().out.startswith("25 parameters in ")


def test_attention_of_every_block_on_one_light_curve(
    preset, survey, tmp_path, spy, capsys
):
    from astromer import Astromer, read_light_curves
    from astromer.inference import attention

    calls = spy("plot_attention_blocks")
    options = ["--object", "five", "--period", "0.7", "--scale", "rank"]
    draw(tmp_path, "attention", preset, survey, *options)
    ((curve, values), given) = calls[0]
    assert given == {"period": 0.7, "scale": "rank"}
    (expected,) = attention(
        Astromer.from_pretrained(preset),
        [c for c in read_light_curves(survey) if c.object_id == "five"],
    )
    assert curve == expected.light_curve
    np.testing.assert_allclose(values, expected.relative, atol=1e-5)
    assert capsys.readouterr().out.startswith("2 blocks on five, 2 heads in ")


def test_attention_of_one_block_on_every_class(preset, survey, tmp_path, spy, capsys):
    calls = spy("plot_attention_classes")
    draw(
        tmp_path,
        "attention",
        preset,
        survey,
        "--block",
        "2",
        "--class",
        "LPV",
        "--class",
        "RRab",
    )
    ((curves, values), given) = calls[0]
    # In the order asked for.
    assert [curve.object_id for curve in curves] == ["five", "one"]
    assert [value.shape for value in values] == [(HEADS, 40)] * 2
    assert given == {"periods": [None, None], "scale": "share"}
    assert capsys.readouterr().out.startswith("Block 2 on 2 light curves, 2 heads in ")


def test_attention_refuses_a_block_that_is_not_there(preset, survey, tmp_path, capsys):
    out = str(tmp_path / "figure.png")
    shown = refuse(capsys, "attention", preset, survey, "--block", "3", "--out", out)
    assert "Received: block=3; it has 2 blocks." in shown


def test_reconstructions_are_the_models(preset, survey, tmp_path, spy, capsys):
    calls = spy("plot_reconstructions")
    options = ["--num-folds", "4", "--seed", "2", "--period", "find"]
    draw(tmp_path, "reconstructions", preset, survey, *options)
    ((curves, parts), given) = calls[0]
    assert [curve.object_id for curve in curves] == ["one", "three", "five"]
    assert [len(part) for part in parts] == [40] * 3
    assert given["periods"] == pytest.approx([0.7] * 3, rel=1e-3)

    from astromer import Astromer

    model = Astromer.from_pretrained(preset)
    expected = model.reconstruct(curves, num_folds=4, seed=2)
    np.testing.assert_allclose(
        np.concatenate(parts), expected.reconstruction, atol=1e-4
    )
    *periods, last = capsys.readouterr().out.splitlines()
    assert last.startswith(f"3 light curves, RMSE {expected.rmse:.4f} mag in ")
    # What was found can be given again.
    found = {line.split(": period ")[0]: float(line.split()[-2]) for line in periods}
    assert found == pytest.approx(
        {curve.object_id: p for curve, p in zip(curves, given["periods"], strict=True)}
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_periods_are_read_from_a_table(suffix, survey, tmp_path, spy):
    calls = spy("plot_light_curve")
    table = pl.DataFrame({"object_id": ["three", "one"], "period": [2, 3]})
    path = tmp_path / f"periods{suffix}"
    (table.write_csv if suffix == ".csv" else table.write_parquet)(path)
    draw(tmp_path, "light-curves", survey, "--period", str(path))
    found = [(a[0].object_id, options["period"]) for a, options in calls]
    assert found == [("one", 3.0), ("three", 2.0), ("five", None)]


def test_objects_are_drawn_in_the_order_given(survey, tmp_path, spy):
    calls = spy("plot_light_curve")
    options = [text for name in ("four", "two") for text in ("--object", name)]
    draw(tmp_path, "light-curves", survey, *options)
    shown = [(a[0].object_id, a[0].passband) for a, _ in calls]
    assert shown == [("four", "V"), ("two", "V"), ("two", "I")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--object", "seven"], "There is no such object. Received: seven."),
        (["--class", "RRa"], 'Received: class="RRa". Did you mean "RRab"?'),
        (["--passband", "R"], 'Received: none with passband="R"'),
        (["--period", "soon"], 'a number of days, "find", or a file. Received: soon'),
        (["--period", "-1"], "positive and finite. Received: period=-1.0"),
    ],
)
def test_light_curves_that_are_not_there_are_refused(
    options, message, survey, tmp_path, capsys
):
    out = str(tmp_path / "figure.png")
    assert message in refuse(capsys, "light-curves", survey, *options, "--out", out)


def test_one_light_curve_is_asked_for_where_one_is_shown(
    preset, survey, tmp_path, capsys
):
    out = ["--out", str(tmp_path / "figure.png")]
    shown = refuse(capsys, "masking", survey, "--object", "two", *out)
    assert "2 light curves. Received: passbands I, V." in shown
    options = ["--object", "one", "--object", "two"]
    shown = refuse(capsys, "attention", preset, survey, *options, *out)
    assert "shows 1 light curve. Received: 2 objects." in shown


def test_light_curve_without_a_period_is_drawn_against_time(tmp_path, spy, capsys):
    rows = (f"flat,{time},15.0,0.02\n" for time in range(50_000, 50_020))
    path = tmp_path / "flat.csv"
    path.write_text("object_id,time,mag,mag_err\n" + "".join(rows))
    calls = spy("plot_light_curve")
    draw(tmp_path, "light-curves", str(path), "--period", "find")
    ((_, given),) = calls
    assert given["period"] is None
    shown = capsys.readouterr()
    assert shown.out.startswith("flat: no period found, against time\n")
    assert shown.err == ""


def test_period_table_without_its_columns_is_refused(survey, tmp_path, capsys):
    path = tmp_path / "periods.csv"
    path.write_text("name,P\none,2\n")
    out = str(tmp_path / "figure.png")
    shown = refuse(capsys, "light-curves", survey, "--period", str(path), "--out", out)
    assert "columns object_id and period" in shown


def test_block_maps_are_of_so_many_of_each_class(preset, survey, tmp_path, spy, capsys):
    pytest.importorskip("sklearn")
    calls = spy("plot_block_maps")
    options = ["--method", "pca", "--per-class", "2", "--seed", "3", "--passband", "V"]
    draw(tmp_path, "block-maps", preset, survey, *options)
    ((layers, names), given) = calls[0]
    # The input embedding has channels of its own.
    assert [layer.shape for layer in layers] == [(6, 6), (6, 8), (6, 8)]
    assert names == ["EC", "EC", "LPV", "LPV", "RRab", "RRab"]
    assert given == {"method": "pca", "seed": 3}
    assert capsys.readouterr().out.startswith("6 light curves, 2 blocks in ")


def test_block_maps_hold_the_embeddings_of_each_layer(preset, survey, tmp_path, spy):
    pytest.importorskip("sklearn")
    from astromer import Astromer, read_light_curves

    calls = spy("plot_block_maps")
    draw(tmp_path, "block-maps", preset, survey, "--method", "pca", "--passband", "V")
    curves = sorted(
        read_light_curves(survey, passband="V"), key=lambda curve: curve.class_name
    )
    model = Astromer.from_pretrained(preset)
    assert len(calls[0][0][0]) == 1 + BLOCKS
    for number, layer in enumerate(calls[0][0][0]):
        expected = np.asarray(model.embed(curves, layer=number))
        np.testing.assert_allclose(layer, expected, atol=1e-5)


ONE = ["--dataset", "asas", "--method", "macho"]


@pytest.mark.parametrize(
    ("verb", "options", "shown"),
    [
        ("f1", ["--dataset", "asas"], "8 scores in "),
        ("f1", [*ONE, "--classifier", "mean"], "2 scores in "),
        ("finetuning", ["--dataset", "asas"], "12 finetuning runs in "),
        ("finetuning", ONE, "6 finetuning runs in "),
        ("gamma", ["--dataset", "crts", "--method", "other"], "2 training sizes in "),
        ("gamma", [*ONE, "--classifier", "gamma"], "2 training sizes in "),
        ("confusion", [*ONE, "--classifier", "gamma"], "2 matrices in "),
    ],
)
def test_figures_of_a_benchmark(verb, options, shown, results, tmp_path, capsys):
    draw(tmp_path, verb, results, *options, suffix=".pdf")
    assert capsys.readouterr().out.startswith(shown)


def test_f1_has_the_chance_of_as_many_classes(results, tmp_path, spy):
    calls = spy("plot_f1")
    draw(tmp_path, "f1", results, *ONE)
    ((rows,), options) = calls[0]
    assert options == {"chance": 0.5}
    assert {row["method"] for row in rows} == {"macho"}


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [
        ("f1", [], "Select one data set"),
        ("f1", ["--method", "machoo"], 'Did you mean "macho"'),
        ("confusion", ONE, "of several methods"),
        ("gamma", ["--dataset", "asas"], "of several methods"),
        ("gamma", ONE, "and classifier: `--dataset`, `--method`, `--classifier`"),
    ],
)
def test_benchmark_with_several_methods_asks_for_one(
    verb, options, message, results, tmp_path, capsys
):
    out = str(tmp_path / "figure.png")
    assert message in refuse(capsys, verb, results, *options, "--out", out)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_embedding_map_reads_what_embed_wrote(suffix, preset, survey, tmp_path, spy):
    from astromer import Astromer

    model = Astromer.from_pretrained(preset)
    expected = model.embed(survey)
    path = expected.write(tmp_path / f"embeddings{suffix}")
    calls = spy("plot_embedding_map")
    draw(tmp_path, "embedding-map", str(path), "--method", "ranks", "--seed", "1")
    ((values, names), options) = calls[0]
    np.testing.assert_allclose(values, expected.embedding)
    assert names == expected.class_name.tolist()
    assert options == {"method": "ranks", "seed": 1}


def test_periods_of_a_csv_keep_the_names_of_objects(tmp_path, spy, capsys):
    lines = ["object_id,passband,time,mag,mag_err"]
    for name in ("007", "7.10", "x"):
        lines += [f"{name},V,{50_000 + 1.1 * i},15.{i},0.1" for i in range(10)]
    survey, path = tmp_path / "survey.csv", tmp_path / "periods.csv"
    survey.write_text("\n".join(lines) + "\n")
    path.write_text("object_id,period\n007,2.0\n7.10,3.0\n")
    calls = spy("plot_light_curve")
    words = [str(survey), "--period", str(path)]
    words += [word for name in ("007", "7.10", "x") for word in ("--object", name)]
    draw(tmp_path, "light-curves", *words)
    assert [options["period"] for _, options in calls] == [2.0, 3.0, None]
    assert "without a period, against time: x" in capsys.readouterr().out
    path.write_text("object_id,period\nother,2.0\n")
    out = str(tmp_path / "figure.png")
    shown = refuse(capsys, "light-curves", *words, "--out", out)
    assert "none of 007, 7.10, x" in shown
