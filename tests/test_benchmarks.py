"""The speed benchmarks: what they count, how they time, what they show."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from astromer import EncoderConfig
from benchmarks import __main__ as command
from benchmarks import report, speed
from benchmarks.ceilings import take_turns
from benchmarks.data import SCHEMA, make_table, write_table
from benchmarks.growth import draw, sizes
from benchmarks.speed import BENCHMARKS, CEILINGS, Measurement, Setting
from benchmarks.timing import run_process, seconds_of

ROOT = Path(__file__).resolve().parents[1]


def measurement(**changes):
    facts = {
        "name": "work",
        "unit": "rows/s",
        "values": [90.0, 100.0, 300.0],
        "ceilings": [400.0] * 3,
        "ceiling_name": "write",
    }
    return Measurement(**{**facts, **changes})


def stored(*measurements):
    return {
        "command": "python -m benchmarks",
        "machine": {
            "processor": "P",
            "cores": 2,
            "memory_gib": 8,
            "load_average": [0.5],
        },
        "versions": {"python": "3"},
        "results": [each.to_dict() for each in measurements],
    }


def shown(table):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_share_of_a_rate_and_of_a_time():
    assert measurement().median == 100.0
    assert measurement().share == 0.25
    assert measurement(unit="s", ceilings=[20.0] * 3).share == 0.2
    assert measurement(ceilings=None).share is None


def test_share_pairs_each_repeat_with_the_limit_beside_it():
    slower_and_slower = measurement(
        values=[90.0, 60.0, 30.0], ceilings=[100.0, 75.0, 100.0]
    )
    assert slower_and_slower.share == pytest.approx(0.8)
    assert measurement(unit="s", values=[4.0], ceilings=[3.0]).share == 0.75


def test_works_take_turns_between_looks_at_the_ceiling():
    done = []
    ceiling = iter([1.0, 3.0, 5.0, 7.0, 9.0])
    works = {name: lambda name=name: done.append(name) for name in "ab"}
    turns = take_turns(lambda: next(ceiling), works, 2)
    assert "".join(done) == "ab" + "abab"
    assert [limits for _, limits in turns.values()] == [[2.0, 6.0], [4.0, 8.0]]
    assert [len(times) for times, _ in turns.values()] == [2, 2]


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({}, None),
        ({"target": 100}, True),
        ({"target": 101}, False),
        ({"target": 0.25, "target_of": "share"}, True),
        ({"target": 0.26, "target_of": "share"}, False),
        ({"target": 100, "unit": "s"}, True),
        ({"target": 99, "unit": "s"}, False),
    ],
)
def test_target_is_absolute_or_a_share(changes, met):
    assert measurement(**changes).met is met


def test_flops_are_those_of_the_matrix_products():
    config = EncoderConfig(
        num_layers=1, num_heads=1, head_dim=2, intermediate_dim=3, window_size=5
    )
    n, d, f = config.window_size, config.hidden_dim, config.intermediate_dim
    units = 2
    products = [
        *[(n, d, units)] * 3,  # queries, keys, values
        (n, units, n),
        (n, n, units),
        (n, units, d),
        (n, d, f),
        (n, f, d),
        *[(n, d, d)] * 2,  # learned residuals
    ]
    expected = sum(2 * a * b * c for a, b, c in products)
    assert speed.forward_flops(config) == expected


def test_time_is_taken_after_a_first_call():
    calls = []
    assert len(seconds_of(lambda: calls.append(1), 3)) == 3
    assert len(calls) == 4


def test_process_reports_output_and_its_children_s_memory():
    code = (
        "import subprocess, sys, time; memory = b'x' * (64 << 20);"
        "child = 'import time; m = b\"x\" * (64 << 20); time.sleep(0.5)';"
        "subprocess.run([sys.executable, '-c', child]); print('done')"
    )
    found = run_process([sys.executable, "-c", code])
    assert found.output == "done\n"
    assert found.seconds > 0.5
    assert 128 < found.peak_mib < 512
    assert found.peak_with_files_mib > found.peak_mib


def test_process_that_fails_is_an_error():
    with pytest.raises(RuntimeError, match=r"Received: .*raise SystemExit"):
        run_process([sys.executable, "-c", "raise SystemExit('broken')"])


def test_generated_table_does_not_depend_on_its_pieces(tmp_path, monkeypatch):
    path = tmp_path / "curves.csv"
    monkeypatch.setattr("benchmarks.data.CURVES_PER_PIECE", 2)
    size = write_table(path, 5, 3)
    assert size == path.stat().st_size
    lines = path.read_text().splitlines()
    assert lines[0] == ",".join(SCHEMA)
    assert [line.split(",")[0] for line in lines[1::3]] == [
        f"star_{number}" for number in range(5)
    ]
    assert make_table(2, 3, first=2).height == 6


def test_only_names_run_and_leave_json_and_a_page(tmp_path, monkeypatch, capsys):
    def cheap(setting, work):
        assert setting == Setting(quick=True)
        assert work.is_dir()
        yield measurement(target=0.2, target_of="share", peak_mib=12)

    def dear(setting, work):
        raise AssertionError

    monkeypatch.setattr(speed, "BENCHMARKS", {"start": cheap, "convert": dear})
    out = tmp_path / "found.json"
    command.main(["--quick", "--only", "start", "--out", str(out)])
    (row,) = json.loads(out.read_text())["results"]
    assert (row["median"], row["share"], row["met"]) == (100.0, 0.25, True)
    page = out.with_suffix(".md").read_text()
    assert "| work | 100 rows/s | 90 to 300 | 0.25 | write | 0.20, met | 12 |" in page
    assert f"- write: {CEILINGS['write']}" in page
    assert "0.20, met" in capsys.readouterr().out


def test_part_of_a_run_is_written_only_where_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(
        speed, "BENCHMARKS", {"start": lambda *_: iter([measurement()])}
    )
    monkeypatch.setattr(command, "DEFAULT_OUT", tmp_path / "speed.json")
    command.main(["--only", "start"])
    assert not list(tmp_path.iterdir())


def test_comparison_shows_ratios_above_1_for_gains():
    first = stored(
        measurement(peak_mib=100), measurement(name="start", unit="s", ceilings=None)
    )
    second = stored(
        measurement(values=[150.0], ceilings=[300.0], peak_mib=50),
        measurement(name="start", unit="s", values=[50.0], ceilings=None),
        measurement(name="new"),
    )
    text = shown(report.compare(first, second))
    work, start, new = (
        next(line for line in text.splitlines() if name in line)
        for name in ("work", "start", "new")
    )
    assert re.findall(r"\d\.\d\d", work) == ["1.50", "2.00", "0.50"]
    assert re.findall(r"\d\.\d\d", start) == ["2.00"]
    assert re.findall(r"\d\.\d\d", new) == []


def test_compare_reads_two_files(tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(stored(measurement())))
    command.main(["--compare", str(path), str(path)])
    assert "1.00" in capsys.readouterr().out


def test_names_in_the_readme_are_those_that_run():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    listed = re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)
    assert listed == list(BENCHMARKS)


def test_growth_goes_from_a_thousand_in_half_decades(tmp_path):
    assert sizes(10_000) == [1_000, 3_200, 10_000]
    rows = [
        {"command": verb, "light_curves": n, "seconds": n / 1e3, "peak_mib": 200}
        for verb in ("convert", "embed")
        for n in sizes(10_000)
    ]
    draw(rows, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000


@pytest.fixture
def embedding_benchmark():
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    pytest.importorskip("light_curve", reason="needs the extra benchmark")
    from benchmarks import embedding

    return embedding


def stand_in(path, *lines):
    """A program in place of the interpreter that runs PyTorch."""
    path.write_text("\n".join([f"#!{sys.executable}", "import sys", *lines]))
    path.chmod(0o755)
    return str(path)


def test_torch_is_left_out_where_it_is_not_installed(embedding_benchmark, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with embedding_benchmark.on_torch({}) as peer:
        assert peer is None


def test_torch_runs_again_for_every_line(embedding_benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: "found")
    program = stand_in(
        tmp_path / "python",
        "import numpy as np",
        "given, out = sys.argv[-2:]",
        "np.save(out, 2 * np.load(given)['x'])",
        "print('ready', flush=True)",
        "for _ in sys.stdin:",
        f"    open({str(tmp_path / 'runs')!r}, 'a').write('.')",
        "    print('done', flush=True)",
    )
    monkeypatch.setattr(sys, "executable", program)
    with embedding_benchmark.on_torch({"x": np.arange(3)}) as (run, output):
        assert output.tolist() == [0, 2, 4]
        for _ in range(3):
            run()
    assert (tmp_path / "runs").read_text() == "..."


def test_torch_that_fails_is_an_error(embedding_benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: "found")
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path / "python", "sys.exit(1)"))
    with (
        pytest.raises(RuntimeError, match=r"torch_forward has ended"),
        embedding_benchmark.on_torch({"x": np.arange(3)}),
    ):
        pass
