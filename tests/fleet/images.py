"""Images built and run without an engine: Debian's buildah on a bare Debian made by debootstrap. Needs root.

All storage is below one folder; `Builder.close` ends what runs and removes it.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.process.spawn import spawn
from tests.fleet.places import ROOT, Running, binary

#: How a machine reaches its mirrors: a CA of its own, a proxy. The base is given the same.
_KNOWN = ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf", "etc/apt/apt.conf.d", "etc/apt/auth.conf.d")
# Half an hour for what takes minutes: mirrors may be slow.
_BUILD_S = 1800
_COMMAND_S = 120
_END_S = 20


class Builder:
    """buildah with a store of its own. Owner: whoever made it; it must call `close`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Running] = []
        store = ["--root", str(folder / "store"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
        self._buildah = [binary("buildah"), *store]

    def make_base(self) -> str:
        """Make an image of Debian's smallest system, without Python; return its name."""
        root = self._folder / "base"
        _run([binary("debootstrap"), "--variant=minbase", "--include=ca-certificates", *_release(root)])
        # Downloads would stay in every image.
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        for name in _KNOWN:
            here, there = Path("/", name), root / name
            if here.is_dir():
                shutil.copytree(here, there, dirs_exist_ok=True)
            elif here.exists():
                shutil.copyfile(here, there)
        bare = self._do("from", "scratch")
        self._do("add", bare, str(root), "/")
        self._do("commit", bare, "painter-base")
        self._do("rm", bare)
        shutil.rmtree(root)
        return "localhost/painter-base"

    def build(self, dockerfile: Path, base: str) -> str:
        """Build an image; return its name."""
        name = f"localhost/painter-{dockerfile.stem}"
        words = [
            "--isolation",
            "chroot",
            "--format",
            "docker",
            "--build-arg",
            f"BASE={base}",
            "--file",
            str(dockerfile),
        ]
        self._do("build", *words, "--tag", name, str(ROOT))
        return name

    def container(self, image: str) -> "Container":
        """Make a container."""
        told = json.loads(_run([*self._buildah, "inspect", "--type", "image", image]))
        return Container(self, self._do("from", "--pull-never", image), told["Docker"]["config"])

    def argv(self, container: str, words: Sequence[str], env: Mapping[str, str], volume: Path) -> list[str]:
        """Return the command line that runs a command in a container."""
        settings = [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
        inside = [*settings, "--volume", f"{volume}:/paintings", container, "--", *words]
        return [*self._buildah, "run", "--isolation", "chroot", *inside]

    def start(self, argv: list[str], log: Path) -> Running:
        """Start a command that goes on until it ends by itself, or the builder does."""
        with log.open("wb") as output:
            process = spawn(argv, env=dict(os.environ), stdout=output, stderr=subprocess.STDOUT)
        self._running.append(process)
        return process

    def close(self) -> None:
        """End everything and remove it."""
        for process in self._running:
            # buildah's own child lives on without it: each was started in a session of its own.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_END_S)
        self._do("rm", "--all")
        for name in ("store", "run", "base"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _do(self, *words: str) -> str:
        return _run([*self._buildah, *words]).strip().rpartition("\n")[2]


class Container:
    """One container, with its image's user and environment; `volume` of the machine is its /paintings."""

    def __init__(self, builder: Builder, name: str, config: Mapping[str, Any]) -> None:
        self._builder, self._name = builder, name
        #: What an engine would start.
        self.program: list[str] = config["Entrypoint"]
        self.health: list[str] = config["Healthcheck"]["Test"][1:] if config.get("Healthcheck") else []

    def start(self, *words: str, env: Mapping[str, str], volume: Path, log: Path) -> Running:
        """Start a command."""
        return self._builder.start(self._builder.argv(self._name, words, env, volume), log)

    def run(self, *words: str, env: Mapping[str, str], volume: Path) -> str:
        """Run a command to its end; return what it said."""
        return _run(self._builder.argv(self._name, words, env, volume), _COMMAND_S)


@contextmanager
def builder(folder: Path) -> Iterator[Builder]:
    """Yield a builder. Skips the test where this machine cannot build."""
    for program in ("buildah", "debootstrap"):
        binary(program)
    if os.geteuid():
        pytest.skip("debootstrap and buildah's chroot need root")
    made = Builder(folder)
    try:
        yield made
    finally:
        made.close()


def _release(root: Path) -> list[str]:
    """Return Debian's release, where it goes, and the mirror this machine has it from; debootstrap knows another."""
    told = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    if told["ID"] != "debian":
        return ["bookworm", str(root)]
    release = told["VERSION_CODENAME"]
    filters = ["--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {release}"]
    return [release, str(root), *_run(["apt-get", "indextargets", *filters]).split()[:1]]


def _run(argv: list[str], timeout_s: float = _BUILD_S) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
