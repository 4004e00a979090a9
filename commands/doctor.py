"""`painter doctor`: what works on this machine, and what to do about what does not.

Imports nothing that may be the broken part before it has said so: each check does its own importing.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.errors import PipelineError
from pipeline.process.config import broker_url, runtime_dir, settings

#: What opencv-python's wheel expects of the system → the Debian package that has it.
SYSTEM_LIBRARIES = {"libGL.so.1": "libgl1", "libglib-2.0.so.0": "libglib2.0-0", "libxcb.so.1": "libxcb1"}
#: FFmpeg's names of what files are read and written with.
_ENCODERS = ("libx264", "aac")
_DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4", "aac", "opus")
_WINDOW_S = 10.0
# In a process of its own: without a usable display Qt ends the process it is in.
_OPEN_WINDOW = "import cv2; cv2.namedWindow('Power Painter'); cv2.destroyAllWindows()"


#: Verdict, what was found, what to do about it.
Result = tuple["Verdict", str, str]


class Verdict(StrEnum):
    """How a check ended; only `BROKEN` makes the command fail."""

    WORKS = "works"
    ABSENT = "not here"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: what was looked at, how it is, what was found, and what to do about it."""

    what: str
    verdict: Verdict
    found: str
    advice: str = ""


def doctor() -> None:
    """Say what works on this machine, and what to do about what does not. Exit code 1 when something is broken."""
    findings = [_examine(what, check) for what, check in CHECKS.items()]
    colours = {Verdict.WORKS: "green", Verdict.ABSENT: "yellow", Verdict.BROKEN: "red"}
    table = Table("", "", "found", "what to do", box=None, pad_edge=False)
    for finding in findings:
        verdict = f"[{colours[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.what, verdict, escape(finding.found), escape(finding.advice))
    Console(highlight=False).print(table)
    if any(finding.verdict is Verdict.BROKEN for finding in findings):
        raise typer.Exit(1)


def _examine(what: str, check: Callable[[], Result]) -> Finding:
    try:
        return Finding(what, *check())
    except PipelineError as error:
        return Finding(what, Verdict.BROKEN, str(error))
    except Exception as error:  # whatever else is broken here is what this command is to say
        first_line = (str(error).strip() or "no message").splitlines()[0]
        return Finding(what, Verdict.BROKEN, f"{type(error).__name__}: {first_line}")


def check_python() -> Result:
    """Python is new enough."""
    # An older one does not get as far as this line.
    return Verdict.WORKS, f"{sys.version.split()[0]} in {sys.prefix}", ""


def check_settings() -> Result:
    """Every `PAINTER_…` variable is within its range, and the runtime folder is ours."""
    settings()
    return Verdict.WORKS, f"runtime files in {runtime_dir()}", ""


def missing_libraries() -> list[str]:
    """Return the Debian packages whose libraries the dynamic linker does not find."""
    if sys.platform != "linux":
        return []
    return [package for library, package in SYSTEM_LIBRARIES.items() if not _links(library)]


def check_opencv() -> Result:
    """OpenCV loads, which needs libraries of the system."""
    if missing := missing_libraries():
        return Verdict.BROKEN, "system libraries are missing", f"apt-get install {' '.join(missing)}"
    import cv2

    return Verdict.WORKS, cv2.__version__, ""


def check_video() -> Result:
    """PyAV's FFmpeg has the codecs of everyday files."""
    import cv2  # noqa: F401  # isort: skip  # before av, or its windows hang
    import av
    from av.codec import Codec

    def lacks(name: str, mode: str) -> bool:
        try:
            Codec(name, mode)  # type: ignore[arg-type]
        except ValueError:
            return True
        return False

    advice = "pip install --force-reinstall --only-binary av av"
    unwritable = [name for name in _ENCODERS if lacks(name, "w")]
    unreadable = [name for name in _DECODERS if lacks(name, "r")]
    if unwritable:
        return (
            Verdict.BROKEN,
            f"PyAV {av.__version__} cannot write {', '.join(unwritable)}",
            advice,
        )
    if unreadable:
        return (
            Verdict.ABSENT,
            f"PyAV {av.__version__} cannot read {', '.join(unreadable)}",
            advice,
        )
    return Verdict.WORKS, f"PyAV {av.__version__}, H.264 and AAC", ""


def check_encoders() -> Result:
    """What `painter paint --encoder` can write with here; each is opened."""
    from viewer.encoders import opens_here

    found = opens_here()
    here, lacking = ([name for name, opens in found.items() if opens is wanted] for wanted in (True, False))
    missing = [name for name in lacking if "_" not in name]
    advice = "pip install --force-reinstall --only-binary av av" if missing else ""
    verdict = Verdict.ABSENT if missing else Verdict.WORKS
    return verdict, f"{', '.join(here)}; not here: {', '.join(lacking) or 'none'}", advice


def check_openvino() -> Result:
    """OpenVINO, the engine of CPUs, loads and sees a device."""
    import openvino

    devices = openvino.Core().available_devices
    verdict = Verdict.WORKS if "CPU" in devices else Verdict.BROKEN
    return verdict, f"{metadata.version('openvino')} on {', '.join(devices)}; {os.cpu_count()} cores", ""


def check_gpu() -> Result:
    """NVIDIA cards, and torch to paint on them."""
    advice = "make install GPU=1, or pip install 'power-painter[gpu]'"
    if find_spec("pynvml") is None:
        present = os.path.exists("/proc/driver/nvidia/version")
        return Verdict.ABSENT, "a card without our GPU packages" if present else "no GPU", advice if present else ""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Verdict.ABSENT, f"no NVIDIA driver ({error})", ""
    try:
        cards = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        names = ", ".join(str(pynvml.nvmlDeviceGetName(card)) for card in cards)
    finally:
        pynvml.nvmlShutdown()
    if find_spec("torch") is None:
        return Verdict.BROKEN, f"{names}, but no torch", advice
    return Verdict.WORKS, f"{names}; torch {metadata.version('torch')}", ""


def check_server() -> Result:
    """The server that commands would use answers, or one can be started."""
    from pipeline.server.connection import answers, without_password
    from pipeline.server.embedded import server_binary

    if url := settings().broker_url:
        shown = without_password(url)
        if answers(url):
            return Verdict.WORKS, f"{shown} answers", ""
        return Verdict.BROKEN, f"{shown} does not answer", "start it, or unset BROKER_URL for the embedded one"
    if (url := broker_url()) and answers(url):
        return Verdict.WORKS, "the embedded server runs", ""
    version = subprocess.run(
        [server_binary(), "--version"], capture_output=True, text=True, timeout=10, check=True
    ).stdout
    found = next((word for word in version.split() if word.startswith("v=")), "v=?")
    return Verdict.WORKS, f"Valkey {found.removeprefix('v=')}, embedded: started when a command needs it", ""


def check_styles() -> Result:
    """Every style's weights can be read."""
    from safetensors import SafetensorError, safe_open

    from workers.styles import list_styles

    styles = list_styles()
    if not styles:
        return Verdict.BROKEN, "no style is installed", "install Power Painter again, or paint with --style my.pth"
    broken = []
    for style in styles:
        try:
            if style.torch_file and style.torch_file.suffix == ".safetensors":
                with safe_open(style.torch_file, framework="np") as weights:
                    weights.keys()
            if style.export:
                style.export.read_bytes()
        except (OSError, SafetensorError) as error:
            broken.append(f"{style.name} ({error})")
    if broken:
        return Verdict.BROKEN, f"cannot be read: {', '.join(broken)}", "install Power Painter again"
    return Verdict.WORKS, ", ".join(style.name for style in styles), ""


def check_display() -> Result:
    """A window can be opened; only `painter window` needs it."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Verdict.ABSENT, "no display", "only windows need one; the page does not"
    try:
        opened = subprocess.run(
            [sys.executable, "-c", _OPEN_WINDOW], capture_output=True, timeout=_WINDOW_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Verdict.ABSENT, "the display does not answer", "only windows need one; the page does not"
    if opened.returncode:
        return Verdict.ABSENT, "the display does not open a window", "only windows need one; the page does not"
    return Verdict.WORKS, "windows open", ""


def _links(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


#: In the order in which one thing needs another.
CHECKS: dict[str, Callable[[], Result]] = {
    "Python": check_python,
    "settings": check_settings,
    "OpenCV": check_opencv,
    "video": check_video,
    "encoders": check_encoders,
    "OpenVINO": check_openvino,
    "GPU": check_gpu,
    "server": check_server,
    "styles": check_styles,
    "display": check_display,
}
