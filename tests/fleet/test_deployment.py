"""What ships for fleets keeps to its formats and its promises: compose, images, alerts, board, batch script."""

import json
import os
import re
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleet.prometheus import FleetCollector
from pipeline.errors import ServerGone
from pipeline.process.spawn import spawn
from pipeline.protocol.records import Heartbeat
from pipeline.server.transport import Transport
from tests.fleet.places import ROOT, binary, free_port
from tests.waiting import WaitUntil

DOCKER = ROOT / "docker"
COMPOSE = sorted(DOCKER.glob("compose*.yaml"))
#: Told by the page, not by `painter status --metrics`.
PAGE_METRICS = {"painter_delay_ms"}


def run(*argv: str | Path, cwd: Path = ROOT) -> str:
    """Run a checker; fail with what it says."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def services() -> list[tuple[str, dict[str, Any]]]:
    """Every service of every compose file; merge keys are laid out."""
    yaml = pytest.importorskip("ruamel.yaml").YAML(typ="safe")
    return [(f"{path.name}:{name}", one) for path in COMPOSE for name, one in yaml.load(path)["services"].items()]


def test_compose_files_keep_to_the_compose_schema() -> None:
    run(Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", *COMPOSE)


def test_every_container_is_read_only_unprivileged_and_of_an_exact_version() -> None:
    whole = [(name, one) for name, one in services() if "image" in one]
    assert len(whole) >= 10
    for name, one in whole:
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert "build" in one or re.search(r":v?\d+\.\d+\.\d+", one["image"]), name


def test_no_container_listens_beyond_this_machine() -> None:
    ports = [port for _, one in services() for port in one.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("path", sorted(DOCKER.glob("*.Dockerfile")), ids=lambda path: path.name)
def test_images_have_a_base_to_choose_and_run_as_a_plain_user(path: Path) -> None:
    text = path.read_text("utf-8")
    (base,) = re.findall(r"^ARG BASE=(.+)$", text, re.MULTILINE)
    assert re.search(r":[\w.]*\d+\.\d+", base), "an exact tag"
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert "\nUSER 10001:10001\n" in text


def test_alert_rules_fire_when_they_should() -> None:
    promtool, folder = binary("promtool"), DOCKER / "prometheus"
    run(promtool, "check", "rules", "rules.yaml", cwd=folder)
    run(promtool, "test", "rules", "rules_test.yaml", cwd=folder)
    run(promtool, "check", "config", "--syntax-only", "prometheus.yaml", cwd=folder)


def _questions() -> list[str]:
    board = json.loads((DOCKER / "grafana" / "painter.json").read_text("utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_the_boards_questions_are_understood(tmp_path: Path) -> None:
    rules = [{"record": f"question:{number}", "expr": expr} for number, expr in enumerate(_questions())]
    (tmp_path / "questions.json").write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    run(binary("promtool"), "check", "rules", tmp_path / "questions.json")


def test_board_alerts_and_autoscaler_ask_for_numbers_that_are_told(transport: Transport) -> None:
    transport.send_heartbeat(Heartbeat("wave@cpu0.desk", "wave", "cpu", 1, fps=5.0, busy=0.5, host="desk"))
    transport.open_stream("desk", {"maxlen": 4, "style": "wave", "mode": "live"})
    ends = {"counter": "_total", "histogram": "_bucket"}
    told = {metric.name + ends.get(metric.type, "") for metric in FleetCollector(transport, []).collect()}
    texts = [
        *_questions(),
        (DOCKER / "prometheus" / "rules.yaml").read_text(),
        (ROOT / "k8s/autoscale.yaml").read_text(),
    ]
    asked = {name for text in texts for name in re.findall(r"\bpainter_[a-z_]+", text)}
    assert len(asked) > 8
    assert asked - told == PAGE_METRICS


def test_the_batch_script_is_sound_shell() -> None:
    run(binary("shellcheck"), ROOT / "slurm" / "painter.sbatch")


SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
exec "$@"
"""


@pytest.mark.system
def test_a_batch_job_makes_a_fleet_and_leaves_nothing(tmp_path: Path, wait_until: WaitUntil) -> None:
    (tmp_path / "bin").mkdir()
    srun = tmp_path / "bin" / "srun"
    srun.write_text(SRUN)
    srun.chmod(0o700)
    port, url_file = free_port(), tmp_path / "painter-7" / "broker-url"
    env = {
        **os.environ,
        "PATH": f"{srun.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "7",
        "PORT": str(port),
        "MAXMEMORY": "64mb",
        "STYLES": "test-identity",
        "PAINTER_TEST_STYLES": "1",
        "PAINTER_DEVICES": "cpu",
    }
    with (tmp_path / "job.log").open("wb") as log:
        job = spawn(["bash", str(ROOT / "slurm" / "painter.sbatch")], env=env, stdout=log, stderr=log)
    try:
        wait_until(lambda: url_file.exists() or job.poll() is not None, 20, "the URL")
        url = url_file.read_text().strip()
        assert stat.S_IMODE(url_file.stat().st_mode) == 0o600
        assert "127.0.0.1" not in url
        with closing(Transport.connect(url)) as transport:
            wait_until(lambda: _styles(transport) == ["test-identity"], 50, "the worker")
        job.terminate()
        assert job.wait(30) == 0
        assert "warm shutdown" in "".join(path.read_text() for path in tmp_path.rglob("*.log")).lower()
    finally:
        job.kill()
        job.wait(10)


def _styles(transport: Transport) -> list[str]:
    try:
        return [beat.style for beat in transport.workers()]
    except ServerGone:
        return []
