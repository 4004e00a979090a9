"""Roles and TLS on Debian's redis-server: each role does its work encrypted, and is refused what is not its own."""

import json
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from PIL import Image
from redis.exceptions import NoPermissionError

from fleet.stats import take_demand_snapshot
from pipeline.flow.window import LiveWindow
from pipeline.process.config import settings
from pipeline.protocol.frame import Look
from pipeline.protocol.records import DropReason, Rename, SubmitOutcome, SubmitResult
from pipeline.protocol.wire import Message, Stages, pack_frame
from pipeline.server.connection import answers, open_client
from pipeline.server.transport import Transport
from tests.fleet.places import FRAME, binary, environment, free_port, make_certificates, painter, running, worker
from tests.waiting import WaitUntil
from workers.exit_codes import EXIT_DRAINED

STYLE = "test-identity"


@dataclass(frozen=True, slots=True)
class Secured:
    """A server with TLS and our ACL file."""

    folder: Path
    port: int

    def url(self, role: str) -> str:
        """The URL `painter acl` made for a role."""
        return (self.folder / "acl" / f"{role}.env").read_text().strip().removeprefix("BROKER_URL=")

    def env(self, role: str) -> dict[str, str]:
        """The environment of a role's processes."""
        return environment(BROKER_URL=self.url(role), PAINTER_TLS_CA=self.folder / "ca.pem")


def redis_argv(folder: Path, port: int, clients: str) -> list[str]:
    """Return the command line of a server that speaks TLS only."""
    return [
        *(binary("redis-server"), "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1"),
        *("--tls-cert-file", str(folder / "cert.pem"), "--tls-key-file", str(folder / "key.pem")),
        *("--tls-ca-cert-file", str(folder / "ca.pem"), "--tls-auth-clients", clients),
        *("--save", "", "--appendonly", "no", "--dir", str(folder)),
    ]


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil) -> Iterator[Secured]:
    port = free_port()
    make_certificates(tmp_path)
    monkeypatch.setenv("PAINTER_TLS_CA", str(tmp_path / "ca.pem"))
    settings.cache_clear()
    made = painter("acl", f"rediss://127.0.0.1:{port}/0", "-o", tmp_path / "acl", env=environment())
    assert made.returncode == 0, made.stderr
    server = Secured(tmp_path, port)
    argv = [*redis_argv(tmp_path, port, "no"), "--aclfile", str(tmp_path / "acl" / "users.acl")]
    with running(argv, log=tmp_path / "redis.log") as process:
        wait_until(lambda: answers(server.url("operator")) or process.poll() is not None, 10, "redis-server")
        assert process.poll() is None, (tmp_path / "redis.log").read_text()
        yield server


@pytest.mark.system
def test_each_role_does_its_work_encrypted(secured: Secured, tmp_path: Path, wait_until: WaitUntil) -> None:
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photo.png")
    log = tmp_path / "worker.log"
    operator = Transport.connect(secured.url("operator"))
    with running(worker(STYLE), secured.env("worker"), log) as process:
        wait_until(lambda: operator.workers() or process.poll() is not None, 40, "the worker")
        done = painter("paint", tmp_path / "photo.png", "-s", STYLE, "--json", env=secured.env("producer"))
        assert done.returncode == 0, done.stderr
        told = painter("status", "--json", env=secured.env("operator"))
        assert told.returncode == 0, told.stderr
        assert [beat["style"] for beat in json.loads(told.stdout)["workers"]] == [STYLE]
        drained = painter("drain", socket.gethostname(), env=secured.env("operator"))
        assert drained.returncode == 0, drained.stderr
        assert process.wait(20) == EXIT_DRAINED
    with Image.open(tmp_path / f"photo.{STYLE}.png") as painted:
        assert painted.size == (64, 48)
    assert "permission" not in log.read_text().lower()
    # The worker signed off, which is its right too.
    assert operator.workers() == []
    operator.close()


def test_a_live_stream_runs_with_each_role_at_its_own_end(secured: Secured) -> None:
    live, paints, watches = (Transport.connect(secured.url(role)) for role in ("producer", "worker", "viewer"))
    live.open_stream("desk", {"maxlen": 4, "style": "wave", "mode": "live"})
    assert watches.wish("desk", "starry", Look(0.5))
    watches.ask_sources("desk")
    only_one = LiveWindow("wave", 1)
    with live.credits("wave", "desk") as called:
        placing = live.submit_live(
            "desk", FRAME, Message("style.wave.live", b""), window=only_one, drops={DropReason.CAPACITY: 1}
        )
        assert placing == SubmitResult(SubmitOutcome.SENT, is_free=False, seq=0, style="starry", look=Look(0.5))
        assert not live.ask_place("desk", only_one).is_free
        claim = paints.claim("desk", 0, 60_000)
        assert claim is not None
        assert paints.renew("desk", 0, 60_000)
        assert paints.publish("desk", 0, b"painted", Stages(style="wave"))
        assert called(1.0)
    (entry,) = watches.read_many({"desk": b"0-0"}, block_ms=1)["desk"]
    assert (entry.frame, entry.source) == (b"painted", pack_frame(FRAME))
    assert watches.newest("desk") == entry
    assert [(card.painted, card.dropped) for card in watches.streams()] == [(1, 1)]
    live.touch_stream("desk")
    live.in_flight("desk", "style.wave")
    live.trim("desk", entry.entry_id)
    live.forget_stream("desk", [1])
    for one in (live, paints, watches):
        one.close()


def test_a_worker_machine_may_follow_demand(secured: Secured) -> None:
    launcher, live = (Transport.connect(secured.url(role)) for role in ("worker", "producer"))
    live.open_stream("desk", {"maxlen": 4, "style": "wave", "mode": "live"})
    move = Rename("starry@cpu0.desk", "wave@cpu0.desk")
    assert [card.name for card in take_demand_snapshot(launcher, ["wave"]).streams] == ["desk"]
    assert launcher.take_turn("me")
    assert launcher.end_turn("me", move)
    assert launcher.moves() == [move]
    launcher.end_move(move)
    for one in (live, launcher):
        one.close()


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("producer", "CONFIG GET maxmemory"),
        ("producer", "FLUSHALL"),
        ("producer", "KEYS *"),
        ("producer", "BRPOP style.wave 1"),
        ("producer", "HSET worker:wave@cpu0.desk fps 99"),
        ("producer", "PUBLISH /0.celery.pidbox x"),
        ("worker", "ACL LIST"),
        ("worker", "XREAD STREAMS painted:desk 0"),
        ("worker", "SET elsewhere 1"),
        ("worker", "ZADD live-streams 1 desk"),
        ("worker", "SHUTDOWN"),
        ("viewer", "SET frame:desk:0 x"),
        ("viewer", "GET frame:desk:0"),
        ("viewer", "XADD painted:desk * seq 0"),
        ("viewer", "LPUSH style.wave x"),
        ("viewer", "DEL stream:desk"),
        ("viewer", "PUBLISH /0.celery.pidbox x"),
        ("operator", "GET frame:desk:0"),
        ("operator", "XADD painted:desk * seq 0"),
        ("operator", "LPUSH style.wave x"),
        ("operator", "HSET stream:desk style wave"),
        ("operator", "CONFIG SET maxmemory 1"),
    ],
)
def test_a_role_is_refused_what_is_not_its_own(secured: Secured, role: str, command: str) -> None:
    with open_client(secured.url(role)) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


@pytest.mark.system
def test_following_demand_with_a_role_that_does_not_know_it_ends_in_one_line(secured: Secured) -> None:
    # As the role `worker` of an ACL file from before the flag, this one may not look at everything.
    done = painter(
        *("work", "--devices", "cpu", "--styles", STYLE, "--follow-demand"),
        env=secured.env("viewer"),
    )
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert "--follow-demand" in line
    assert "painter acl" in line


def test_nobody_gets_in_without_a_role(secured: Secured) -> None:
    with open_client(f"rediss://127.0.0.1:{secured.port}/0") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_wrong_password_and_an_untrusted_server_are_told_apart(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = painter(
        "status", env={**secured.env("operator"), "BROKER_URL": f"rediss://operator:x@127.0.0.1:{secured.port}"}
    )
    assert wrong.returncode == 2
    assert "does not let us in" in wrong.stderr
    monkeypatch.delenv("PAINTER_TLS_CA")
    untrusted = painter("status", env=environment(BROKER_URL=secured.url("operator")))
    assert untrusted.returncode == 2, untrusted
    assert "PAINTER_TLS_CA" in untrusted.stderr


def test_a_server_that_asks_for_certificates_gets_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    port = free_port()
    make_certificates(tmp_path)
    monkeypatch.setenv("PAINTER_TLS_CA", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("PAINTER_TLS_CERT", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("PAINTER_TLS_KEY", str(tmp_path / "key.pem"))
    settings.cache_clear()
    with running(redis_argv(tmp_path, port, "yes")):
        wait_until(lambda: answers(f"rediss://127.0.0.1:{port}/0"), 10, "a server that accepts our certificate")
        monkeypatch.delenv("PAINTER_TLS_CERT")
        monkeypatch.delenv("PAINTER_TLS_KEY")
        settings.cache_clear()
        assert not answers(f"rediss://127.0.0.1:{port}/0")


def test_passwords_are_ours_alone_and_never_overwritten_unasked(tmp_path: Path) -> None:
    words = ("acl", "rediss://painter.example:6380/0", "-o", tmp_path / "acl")
    assert painter(*words, env=environment()).returncode == 0
    files = sorted((tmp_path / "acl").iterdir())
    assert [path.name for path in files] == ["operator.env", "producer.env", "users.acl", "viewer.env", "worker.env"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    before = [path.read_text() for path in files]
    password = before[0].split(":")[2].partition("@")[0]
    assert len(password) > 40
    assert password not in before[2]
    again = painter(*words, env=environment())
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert [path.read_text() for path in files] == before
    assert painter(*words, "--force", env=environment()).returncode == 0
    assert [path.read_text() for path in files] != before


@pytest.mark.parametrize(
    "url", ["painter.example", "rediss://me:secret@painter.example", "redis+socket:///tmp/x", "redis://h/x"]
)
def test_acl_wants_a_plain_server_url(tmp_path: Path, url: str) -> None:
    done = painter("acl", url, "-o", tmp_path / "acl", env=environment())
    assert done.returncode == 2
    assert "rediss://host:port/0" in done.stderr
    assert not (tmp_path / "acl").exists()
