"""Pulling a model over a real HTTP server that breaks off, refuses, lies, or knows no ranges."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.edges import catalogue
from edge_agent.edges.downloads import fetch
from edge_agent.errors import ModelError, SourceError, StorageError
from edge_agent.tools import models

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@dataclass
class Server:
    """What a server has, how it behaves, and what it was asked.

    Attributes:
        files: by path.
        breaks_after: bytes of an answer after which it hangs up.
        knows_ranges: whether it can begin within a file.
        code: what it answers instead, if that is not 0.
        asked: paths and ranges.
        port: where it listens.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    breaks_after: int | None = None
    knows_ranges: bool = True
    code: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    state = Server(files={"/model.onnx": CONTENT})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["Range"]))
            content = state.files.get(self.path)
            if state.code or content is None:
                self.send_error(state.code or 404)
                return
            start = 0
            if self.headers["Range"] and state.knows_ranges:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: state.breaks_after])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


def pulled(origin: str, target: Path, content: bytes = CONTENT) -> list[int]:
    """Fetch what has to be that content; give what was told on the way."""
    told: list[int] = []
    digest = hashlib.sha256(content).hexdigest()
    fetch(
        origin,
        target,
        size_bytes=len(content),
        is_right=lambda path: hashlib.sha256(path.read_bytes()).hexdigest() == digest,
        told=told.append,
    )
    return told


def test_a_file_is_fetched_and_told_of(server: Server, tmp_path: Path) -> None:
    told = pulled(f"{server.url}/model.onnx", tmp_path / "in" / "model.onnx")
    assert (tmp_path / "in" / "model.onnx").read_bytes() == CONTENT
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["model.onnx"]


def test_a_file_that_is_there_and_right_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")
    assert server.asked == []


def test_another_file_is_never_written_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"mine")
    with pytest.raises(ModelError, match="is there already and is another file; move it away"):
        pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == b"mine"


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_what_broke_off_goes_on_where_it_did_or_begins_anew(
    server: Server, tmp_path: Path, *, knows_ranges: bool
) -> None:
    server.knows_ranges, server.breaks_after = knows_ranges, 300_000
    with pytest.raises(SourceError, match=r"broke off after 300000 of 1048576 bytes; try again, and it goes on"):
        pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
    server.breaks_after = None
    pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT
    assert [asked for _path, asked in server.asked] == [None, "bytes=300000-"]


def test_what_is_whole_but_was_not_put_in_its_place_is_proved_and_put_there(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.onnx.part").write_bytes(CONTENT)
    pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize("there", [b"", CONTENT[:1000], b"x" * 1000, b"x" * (len(CONTENT) + 1)])
def test_a_wrong_beginning_is_thrown_away_in_the_end(server: Server, tmp_path: Path, there: bytes) -> None:
    (tmp_path / "model.onnx.part").write_bytes(there)
    if there[:1] == b"x" and len(there) < len(CONTENT):
        with pytest.raises(ModelError, match="is not the file that is meant: its sha256 is another; nothing was kept"):
            pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")
        assert list(tmp_path.iterdir()) == []
    pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CONTENT[:-1] + b"?", "its sha256 is another; nothing was kept"),
        (CONTENT + b"more", "gives more than the 1048576 bytes"),
    ],
)
def test_a_server_that_has_another_file_is_not_believed(
    server: Server, tmp_path: Path, content: bytes, words: str
) -> None:
    server.files["/model.onnx"] = content
    with pytest.raises(ModelError, match=words):
        pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(("code", "words"), [(404, "answers 404 Not Found"), (503, "answers 503 Service Unavailable")])
def test_what_a_server_refuses_is_said_with_its_reason(server: Server, tmp_path: Path, code: int, words: str) -> None:
    server.code = code
    with pytest.raises(SourceError, match=rf"{words}; check the network and https_proxy, or take it from elsewhere"):
        pulled(f"{server.url}/model.onnx", tmp_path / "model.onnx")


def test_where_nobody_listens_is_said_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be reached: ") as caught:
        pulled("http://me:secret@127.0.0.1:9/model.onnx?token=secret", tmp_path / "model.onnx")
    assert "secret" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/model\.onnx cannot be written: "):
        pulled(f"{server.url}/model.onnx", tmp_path / "file" / "model.onnx")


def test_the_proxy_of_the_environment_is_used(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.files["http://models.example/model.onnx"] = CONTENT  # a proxy is asked for the whole address
    pulled("http://models.example/model.onnx", tmp_path / "model.onnx")
    assert server.asked == [("http://models.example/model.onnx", None)]


# By name


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, server: Server) -> catalogue.RemoteEntry:
    """A model in the table that is the server's file."""
    entry = catalogue.RemoteEntry(
        name="small",
        title="small",
        file="model.onnx",
        url=f"{server.url}/model.onnx",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size_bytes=len(CONTENT),
        licence="MIT",
    )
    monkeypatch.setattr(catalogue, "remote_entries", lambda: (entry,))
    return entry


@pytest.mark.usefixtures("small")
def test_a_model_is_pulled_by_name_from_where_it_is_published_or_a_mirror(server: Server, tmp_path: Path) -> None:
    server.files["/mirror/model.onnx"] = CONTENT
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "model.onnx").write_bytes(CONTENT)
    for number, origin in enumerate((None, f"{server.url}/mirror/", str(mirror))):
        path = models.pull("small", tmp_path / str(number), origin, lambda _there, _whole: None)
        assert path == tmp_path / str(number) / "model.onnx"
        assert path.read_bytes() == CONTENT
    assert [path for path, _range in server.asked] == ["/model.onnx", "/mirror/model.onnx"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("name", "origin", "error", "words"),
    [
        ("large", None, ModelError, r"^model 'large' cannot be pulled; there are: small$"),
        ("small", "ftp://x", ModelError, r"^--from ftp://x: an address begins with http:// or https://"),
        ("small", "/nowhere", SourceError, r"^/nowhere/model\.onnx cannot be read: No such file .*; check --from$"),
    ],
)
def test_what_cannot_be_pulled_is_said(
    tmp_path: Path, name: str, origin: str | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        models.pull(name, tmp_path, origin, lambda _there, _whole: None)


def test_the_table_of_models_to_pull_is_whole() -> None:
    entries = catalogue.remote_entries()
    assert [entry.name for entry in entries] == ["yolox-nano", "yolox-tiny", "yolox-s", "nanodet-m"]
    for entry in entries:
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.url.startswith("https://")
        assert entry.url.endswith(f"/{entry.file}")
        assert entry.size_bytes > 1_000_000
