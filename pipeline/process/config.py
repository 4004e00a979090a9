"""Settings: frozen, read once from the environment (`PAINTER_…`, `BROKER_URL`), checked once, passed in as arguments.

Nothing else in the project reads the environment. A bad value fails at start, naming variable, value and allowed range.
"""

import os
import stat
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.errors import UsageError

#: Where the embedded server's own URL is written, below `runtime_dir()`.
EMBEDDED_URL_FILE = "broker-url"


class Settings(BaseSettings):
    """Every setting of the project. Each is documented in README's settings table (a test holds the two together)."""

    model_config = SettingsConfigDict(env_prefix="PAINTER_", frozen=True, extra="ignore")

    broker_url: str = Field("", validation_alias="BROKER_URL", description="server to use; empty: the embedded one")
    tls_ca: Path | None = Field(None, description="CA of a rediss:// or sentinel:// server (PEM); unset: the system's")
    tls_cert: Path | None = Field(None, description="our client certificate (PEM), where the server asks for one")
    tls_key: Path | None = Field(None, description="its key (PEM)")
    sentinel_master: str = Field("mymaster", description="name under which the sentinels watch the server")
    sentinel_password: str = Field("", description="password of the sentinels themselves")
    jpeg_quality: int = Field(95, ge=50, le=100, description="JPEG quality of video frames on the wire")
    lease_s: float = Field(1.5, ge=0.2, le=60, description="how long a claim holds a frame without renewal")
    renew_s: float = Field(0.5, ge=0.05, le=20, description="how often a worker renews its leases")
    hang_s: float = Field(20.0, ge=1, le=3600, description="one frame's longest painting before the worker is ended")
    attempts: int = Field(3, ge=1, le=10, description="how many workers may fail a file's frame before the job ends")
    server_wait_s: float = Field(60.0, ge=1, le=3600, description="how long a job waits for a server that went away")
    maxmemory_mb: int = Field(512, ge=64, le=65536, description="memory bound of the embedded server")
    max_pixels: int = Field(
        1 << 26, ge=256, le=1 << 28, description="largest frame accepted, in pixels (width × height)"
    )
    max_frame_mb: int = Field(256, ge=1, le=480, description="largest encoded frame accepted")
    segment_frames: int = Field(48, ge=1, le=100000, description="frames in one resumable segment of an output video")
    styles_dir: Path = Field(
        default_factory=lambda: data_dir() / "styles",
        description="folder of your own styles, listed beside the shipped six",
    )
    devices: str = Field("auto", description="devices a worker machine uses: auto, cpu, or a list such as 0,1,2")
    per_device: int = Field(2, ge=1, le=16, description="models (worker processes) per GPU")
    follow_s: float = Field(
        10.0, ge=1, le=3600, description="least time between two slots given to another style by --follow-demand"
    )
    device: str = Field(
        "cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="device of one worker process; the launcher sets it"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="CPU threads of each worker's engine; 0: the machine's cores, shared out"
    )
    weights: Path | None = Field(
        None, description="weights file one worker serves under its style's name; the launcher sets it"
    )
    cuda_visible_devices: str | None = Field(
        None, validation_alias="CUDA_VISIBLE_DEVICES", description="GPUs we may use, as CUDA has it; unset: all"
    )
    test_styles: bool = Field(False, description="serve the test-… stand-ins of tests and benchmarks")
    tile_mb: int = Field(1500, ge=64, le=1 << 20, description="memory one painting may take before the frame is tiled")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings. Raises `UsageError` naming the variable, its value and the allowed range."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        variable = field if field in ("BROKER_URL", "CUDA_VISIBLE_DEVICES") else f"PAINTER_{field.upper()}"
        raise UsageError(f"{variable}={first['input']!r}: {_wanted(field) or first['msg'].lower()}") from error


def _wanted(field: str) -> str:
    """Say between which numbers a setting is to be, "" for one without such bounds."""
    notes = Settings.model_fields[field].metadata if field in Settings.model_fields else []
    bounds = [getattr(note, bound) for bound in ("ge", "le") for note in notes if hasattr(note, bound)]
    return "a number from {} to {} is wanted".format(*bounds) if len(bounds) == 2 else ""


def runtime_dir() -> Path:
    """Return the private folder of sockets and the embedded server's URL (mode 0700), made when missing.

    Raises `UsageError` where it, or the folder we make for it in the temporary one, is not ours alone.
    """
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        return _private(Path(base) / "power-painter")
    # Anybody may make this name before us, and could then hand us a server of theirs. Hence from the outside in: below
    # a folder that is ours alone nobody else can put anything.
    return _private(_private(Path(tempfile.gettempdir()) / f"power-painter-{os.getuid()}") / "power-painter")


def _private(folder: Path) -> Path:
    """Return `folder`, made when missing. Raises `UsageError` unless it is a real folder that only we can enter."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()  # of the name itself: a link may lead anywhere
    if not stat.S_ISDIR(found.st_mode):
        fault = "is not a folder; remove it or"
    elif found.st_uid != os.getuid():
        fault = f"belongs to user {found.st_uid};"
    elif found.st_mode & 0o077:
        fault = f"is open to others (mode {stat.S_IMODE(found.st_mode):04o}); chmod 700 it or"
    else:
        return folder
    raise UsageError(f"runtime folder {folder} {fault} set XDG_RUNTIME_DIR to a folder of your own")


def data_dir() -> Path:
    """Return the user's own data folder of the project (not made here)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "power-painter"


def cache_dir() -> Path:
    """Return the folder of things that can be made again (compiled networks); not made here."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "power-painter"


def broker_url() -> str:
    """Return the URL of the server to talk to: `BROKER_URL`, else the embedded one's, else ""."""
    if url := settings().broker_url:
        return url
    written = runtime_dir() / EMBEDDED_URL_FILE
    return written.read_text().strip() if written.exists() else ""
