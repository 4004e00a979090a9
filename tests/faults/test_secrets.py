"""Nothing that comes in can run code, and nothing we write is open to other users of the machine."""

import base64
import json
import os
import pickle
import signal
import stat
import uuid
from pathlib import Path

import msgpack
import pytest
import torch

from pipeline.connection import open_client
from pipeline.errors import StyleError
from tests.faults.conftest import Film
from tests.faults.stage import Stage
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
