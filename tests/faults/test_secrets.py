"""Nothing that comes in can run code, and nothing we write is open to other users of the machine."""

import base64
import json
import os
import pickle
import re
import signal
import stat
import uuid
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import msgpack
import psutil
import pytest
import torch

from pipeline.errors import StyleError
from pipeline.server.connection import open_client
from tests.faults.conftest import Film
from tests.faults.proxy import Proxy
from tests.faults.stage import Stage
from tests.fleet.places import free_port
from workers.styles import find_style, load_engine

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

STYLE = "test-identity"


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._trace),)


def test_a_pickle_on_the_wire_is_never_opened(stage: Stage, film: Film, tmp_path: Path) -> None:
    """As a Celery message of every kind that names pickle, as a frame, and as its painting's stages."""
    stage.work(STYLE, 1)
    trace = tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace))
    with open_client(stage.server.url) as client:
        for content in ("application/x-python-serialize", "application/x-msgpack", "application/json"):
            client.lpush(f"style.{STYLE}", _message(bomb, content))
        client.hset("stream:x", mapping={"maxlen": 8, "mode": "live"})
        client.set("frame:x:0", bomb)
        client.zadd("inflight:x", {"0": -1})
        client.lpush(
            f"style.{STYLE}",
            _message(msgpack.packb(([1, "x", 0, 3, True, 1.0, False], {}, {})), "application/x-msgpack"),
        )
        client.xadd("painted:x", {"seq": 5, "kind": "painted", "frame": bomb, "stages": bomb})
    stage.wait(lambda: (entry := stage.transport.newest("x")) is not None and entry.kind == "failed", "the refusal")
    watcher = stage.watcher_now("x")
    job = stage.paint(film.path, STYLE, tmp_path / "out.mp4")
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4"), "the worker goes on"
    assert watcher.seen == []
    assert not trace.exists()
    pickle.loads(bomb)  # noqa: S301  the bomb is one
    assert trace.exists()


def test_a_pickle_as_a_style_is_refused_unopened(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for name, write in {
        "plain.pth": lambda path: path.write_bytes(pickle.dumps(Bomb(trace))),
        "zipped.pth": lambda path: torch.save({"conv1.conv2d.bias": Bomb(trace)}, path),
        "renamed.safetensors": lambda path: path.write_bytes(pickle.dumps(Bomb(trace))),
    }.items():
        write(tmp_path / name)
        with pytest.raises(StyleError) as caught:
            load_engine(find_style(str(tmp_path / name)), "cpu", 1)
        assert "\n" not in str(caught.value)
    assert not trace.exists()


def test_neither_password_nor_token_shows_in_logs_arguments_or_flower(
    stage: Stage, proxy: Proxy, tmp_path: Path
) -> None:
    password, token = "open-sesame-of-the-server", "open-sesame-of-the-page"
    with open_client(stage.server.url) as client:
        client.config_set("requirepass", password)
    flower = free_port()
    words = ("--styles", STYLE, "--port", "0", "--no-browser", "--host", "0.0.0.0", "--flower", "--flower-port", flower)
    secrets = {"BROKER_URL": proxy.url.replace("://", f"://:{password}@"), "PAINTER_TOKEN": token}
    up = stage.run("--verbose", "up", *map(str, words), **secrets)
    stage.wait(lambda: "ready" in up.said() or not up.is_running(), "painter up")
    assert up.is_running(), up.said()
    port = re.search(r"http://localhost:(\d+)/", up.said())
    assert port
    # Both doors, rightly and wrongly: what is asked for with a token must not be written down either.
    stage.wait(lambda: STYLE in _ask(f"http://127.0.0.1:{flower}/workers?refresh=1"), "Flower to show a worker")
    pages = [_ask(f"http://127.0.0.1:{flower}{path}") for path in ("/workers", "/broker", "/metrics")]
    pages += [_ask(f"http://127.0.0.1:{port[1]}/?token={guess}") for guess in (token, token + "x")]
    pages.append(_ask(f"http://127.0.0.1:{port[1]}/api/stats", token))
    assert all(pages)
    arguments = [word for process in (psutil.Process(up.pid), *up.family()) for word in process.cmdline()]
    logs = [path.read_text("utf-8", "replace") for path in tmp_path.rglob("*.log")]
    assert len(logs) >= 2
    # The address with its token is told to whoever started it, and to nobody else.
    told = up.said().replace(f"/?token={token}", "")
    for text in (*pages, *arguments, *logs, told):
        assert password not in text
        assert token not in text
    up.send(signal.SIGINT)
    assert up.end(20) == 130


def _ask(url: str, token: str = "") -> str:
    """Return an answer's text, whatever its code; "" where nobody answers."""
    request = Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urlopen(request, timeout=10) as answer:
            return str(answer.geturl() + answer.read().decode("utf-8", "replace"))
    except HTTPError as error:
        return error.read().decode("utf-8", "replace")
    except URLError:
        return ""


def test_what_we_write_beside_the_output_is_out_of_reach_of_other_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server, workers, page and uploads of `painter up`: each file is its owner's alone, or in a folder that is."""
    shared = tmp_path / "all"
    for variable, name in {"XDG_RUNTIME_DIR": "r", "XDG_CACHE_HOME": "c", "XDG_DATA_HOME": "d", "TMPDIR": "t"}.items():
        monkeypatch.setenv(variable, str(shared / name))
        (shared / name).mkdir(parents=True)
    stage = Stage(tmp_path)
    try:
        up = stage.run("up", "--styles", STYLE, "--port", "0", "--no-browser", "--host", "0.0.0.0", "--tls-self-signed")
        stage.wait(lambda: "ready" in up.said() or not up.is_running(), "painter up")
        assert up.is_running(), up.said()
        found = [path for path in shared.rglob("*") if not _is_a_base(path, shared)]
        assert {path.suffix for path in found} >= {".sock", ".log", ".pem"}
        assert [str(path) for path in found if not _is_private(path, shared)] == []
        up.send(signal.SIGINT)
        assert up.end(20) == 130
    finally:
        stage.close()


def _is_a_base(path: Path, shared: Path) -> bool:
    return path.parent == shared


def _is_private(path: Path, shared: Path) -> bool:
    """Whether others can neither read the path nor come to it."""
    ours = [path, *path.parents][: len(path.relative_to(shared).parts) - 1]
    return any(not stat.S_IMODE(one.lstat().st_mode) & 0o077 for one in ours)


def _message(body: bytes, content_type: str) -> bytes:
    """A Celery message as kombu lays it into a queue."""
    tag = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "binary",
            "content-type": content_type,
            "headers": {
                "task": "painter.paint",
                "id": tag,
                "lang": "py",
                "root_id": tag,
                "argsrepr": "",
                "kwargsrepr": "",
            },
            "properties": {
                "correlation_id": tag,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": f"style.{STYLE}"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": tag,
            },
        }
    ).encode()
