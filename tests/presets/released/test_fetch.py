"""Official weights, fetched from a server on this machine that may misbehave."""

import dataclasses
import hashlib
import http.server
import re
import socket
import threading

import pooch
import pytest

from astromer import Astromer
from astromer.errors import PresetError
from astromer.presets import (
    describe_preset,
    downloads_folder,
    fetch_preset,
    find_preset,
    golden_difference,
    import_released,
    list_unfetched,
)
from astromer.presets.official import OFFICIAL, OfficialWeights
from tests.presets.released.layout import released_tensors, write_release, zipped

NAME = "test-official"


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, by the path's word: whole, cut, damaged, or not at all."""

    content = b""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []

    def url(self, how):
        return f"http://127.0.0.1:{self.server_port}/{how}/model.zip?download=1"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        how = self.path.split("/")[1]
        self.server.requests.append(how)
        content = self.server.content
        if how.isdecimal():
            self.send_error(int(how))
            return
        self.send_response(200)
        if how != "endless":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if how == "damaged":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if how in ("cut", "endless"):
            content = content[: len(content) // 2]
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture
def weights(server, simple, monkeypatch):
    """Official weights of a made-up release, which the server has."""
    server.content = simple.read_bytes()
    weights = OfficialWeights(
        name=NAME,
        file_name="model.zip",
        url=server.url("whole"),
        algorithm="sha256",
        checksum=hashlib.sha256(server.content).hexdigest(),
        survey="OGLE",
        license="as you like",
        num_parameters=1,
        description="Made up",
    )
    monkeypatch.setitem(OFFICIAL, NAME, weights)
    return weights


def use(monkeypatch, weights, **changes):
    monkeypatch.setitem(OFFICIAL, NAME, dataclasses.replace(weights, **changes))


def files_below(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_fetch_downloads_once_and_makes_a_preset(weights, server, folders):
    assert NAME in {each.name for each in list_unfetched()}
    path = fetch_preset(NAME)
    assert path == folders[1] / NAME
    assert golden_difference(NAME, Astromer.from_pretrained(NAME)) == 0.0
    info = describe_preset(NAME)
    assert (info.survey, info.license, info.description) == (
        "OGLE",
        "as you like",
        "Made up",
    )
    assert info.provenance == "the authors"
    assert info.metadata["source"]["url"] == weights.url
    assert info.metadata["source"]["sha256"] == weights.checksum
    assert fetch_preset(NAME) == path
    assert server.requests == ["whole"]
    assert NAME not in {each.name for each in list_unfetched()}


def test_fetch_again_imports_the_file_that_is_there(weights, server, folders):
    path = fetch_preset(NAME)
    (path / "model.weights.h5").write_bytes(b"damaged")
    assert fetch_preset(NAME, replace=True) == path
    assert golden_difference(NAME, Astromer.from_pretrained(NAME)) == 0.0
    assert server.requests == ["whole"]


def test_file_that_was_damaged_since_is_downloaded_again(weights, server, folders):
    kept = downloads_folder() / "model.zip"
    kept.parent.mkdir()
    kept.write_bytes(b"half of it")
    fetch_preset(NAME)
    assert kept.read_bytes() == server.content


def test_checksum_may_be_md5(weights, server, monkeypatch):
    checksum = hashlib.md5(server.content).hexdigest()
    use(monkeypatch, weights, algorithm="md5", checksum=checksum)
    assert describe_preset(fetch_preset(NAME)).survey == "OGLE"
    use(monkeypatch, weights, algorithm="md5", checksum="0" * 32, file_name="b.zip")
    with pytest.raises(PresetError, match="could not be downloaded"):
        fetch_preset(NAME, replace=True)


def test_mirror_is_asked_in_the_place_of_the_address(weights, server, monkeypatch):
    use(monkeypatch, weights, url=server.url("404"))
    fetch_preset(NAME, url=server.url("whole"))
    assert server.requests == ["whole"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("damaged", "hash of downloaded file .* does not match"),
        ("cut", "IncompleteRead|Connection broken"),
        ("endless", "hash of downloaded file .* does not match"),
        ("404", "404 Client Error"),
        ("500", "500 Server Error"),
    ],
)
def test_failed_download_is_one_error_with_the_way_by_hand(
    weights, server, folders, how, reason, capfd
):
    url = server.url(how)
    message = (
        rf"`{NAME}` could not be downloaded\. Received: url={re.escape(url)} "
        rf".*({reason}).*Download {re.escape(weights.url)} by hand, and then: "
        rf"astromer presets import model\.zip --name {NAME}\."
    )
    with pytest.raises(PresetError, match=message):
        fetch_preset(NAME, url=url)
    assert server.requests == [how]
    assert files_below(folders[1]) == []
    assert capfd.readouterr() == ("", "")
    # Nothing that failed stands in the way.
    fetch_preset(NAME)


def test_no_network_is_the_same_error(weights, folders):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/model.zip"
    with pytest.raises(PresetError, match=r"(?s)refused.*by hand, and then: astromer"):
        fetch_preset(NAME, url=url)
    assert files_below(folders[1]) == []


def test_file_by_hand_becomes_the_same_preset(weights, server, simple):
    by_hand = describe_preset(import_released(simple, name=NAME)).metadata
    fetched = describe_preset(fetch_preset(NAME, replace=True)).metadata
    for facts in (by_hand, fetched):
        facts.pop("weights_sha256")  # HDF5 files hold times
        facts["source"].pop("file")
    assert by_hand == fetched


def test_file_that_cannot_be_imported_is_named(
    weights, server, folders, tmp_path, monkeypatch
):
    tensors = released_tensors(residuals=False)
    options = {"layers": 2, "heads": 2, "max_obs": 8, "strange": 1}
    path = zipped(write_release(tmp_path / "odd", tensors, options), tmp_path / "o.zip")
    server.content = path.read_bytes()
    checksum = hashlib.sha256(server.content).hexdigest()
    use(monkeypatch, weights, checksum=checksum)
    with pytest.raises(PresetError, match=r"strange=1.*\.downloads/model\.zip/model/"):
        fetch_preset(NAME)
    assert files_below(folders[1]) == ["model.zip"]
    # The kept file is enough to go on.
    import_released(downloads_folder() / "model.zip", ignore=["strange"])
    assert find_preset(NAME) == folders[1] / NAME


def test_progress_counts_bytes_to_the_end(weights, server):
    calls = []
    fetch_preset(NAME, progress=lambda *state: calls.append(state))
    size = len(server.content)
    assert {(stage, total, unit) for stage, _, total, unit in calls} == {
        ("download", size, "bytes")
    }
    done = [amount for _, amount, _, _ in calls]
    assert done == sorted(done)
    assert done[-1] == size


def test_fetch_is_quiet_and_leaves_the_logger_as_it_was(weights, capfd):
    level = pooch.get_logger().level
    fetch_preset(NAME)
    assert pooch.get_logger().level == level
    assert capfd.readouterr() == ("", "")


def test_unknown_name_lists_the_official_ones():
    with pytest.raises(PresetError, match=r"Did you mean \"macho-astromer2-official\""):
        fetch_preset("macho-astromer2-oficial")


def test_published_file_becomes_the_official_preset(shared, server, folders):
    server.content = (shared / "reference" / "macho_a0.zip").read_bytes()
    path = fetch_preset("macho-astromer1-official", url=server.url("whole"))
    info = describe_preset(path)
    assert info.num_parameters == 661_505
    assert info.num_parameters == OFFICIAL[info.name].num_parameters


@pytest.mark.network
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", OFFICIAL)
def test_official_weights_are_where_the_list_says(name):
    assert describe_preset(fetch_preset(name)).num_parameters == (
        OFFICIAL[name].num_parameters
    )
