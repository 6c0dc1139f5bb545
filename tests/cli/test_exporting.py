"""`astromer export` with a tiny preset."""

import sys

import pytest

from astromer.cli import main
from tests.inference.conftest import make_model

for name in ("onnx", "onnxruntime", "openvino", "tf2onnx"):
    pytest.importorskip(name, reason="of the extra `export`")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    from astromer import Astromer

    folder = tmp_path_factory.mktemp("presets") / "tiny"
    Astromer(make_model().config, seed=0).save_pretrained(folder)
    return str(folder)


def test_export_writes_the_file_and_says_how_exact_it_is(preset, tmp_path, capsys):
    import onnxruntime

    out = tmp_path / "tiny.onnx"
    assert main(["export", preset, "--out", str(out)]) == 0
    session = onnxruntime.InferenceSession(out)
    assert {i.name for i in session.get_inputs()} == {"input", "times", "mask_in"}
    assert {o.name for o in session.get_outputs()} == {"mean", "max", "sequence"}
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"{out}: onnx, ")
    assert " of Keras, in " in shown[0]
    assert shown[1].startswith("inputs input, times, mask_in (1 = valid)")


def test_export_refuses_a_wrong_suffix(preset, tmp_path, capsys):
    arguments = ["export", preset, "--out", str(tmp_path / "tiny.onnx")]
    assert main([*arguments, "--format", "tflite"]) == 2
    assert "ends in .tflite. Received: path=" in capsys.readouterr().err


def test_export_names_a_missing_package(preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    assert main(["export", preset, "--out", str(tmp_path / "tiny.onnx")]) == 2
    assert 'pip install "astromer[export]"' in capsys.readouterr().err
