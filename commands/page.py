"""The page server with its parts, as `painter view` and `painter up` start it, and the addresses it is found at."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.uploads import UploadQueue, uploads_folder
from pipeline.errors import UsageError
from pipeline.process.config import Settings, data_dir
from pipeline.protocol.wire import Limits
from pipeline.server.broker import Broker
from producer.page_streams import PageStreams
from viewer import tls
from viewer.broadcast import Broadcast
from viewer.server import PageServer
from viewer.web.app_state import Parts, StyleCard
from viewer.web.limits import PageLimits
from viewer.web.security import Access, make_access
from workers.styles import Style

_STATIC = Path(__file__).resolve().parent.parent / "viewer" / "static"
# A camera's picture of 8 megapixels is beyond what anybody paints live.
_MAX_CAMERA_PIXELS = 1 << 23
_TLS = "HTTPS"
_LIMITS = PageLimits()

Host = Annotated[
    str, typer.Option(help="Interface to listen on. Any but this machine's own asks visitors for a token.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Token = Annotated[
    str,
    typer.Option(envvar="PAINTER_TOKEN", help="The token visitors need. Default: made up and printed where needed."),
]
AllowHost = Annotated[list[str], typer.Option(metavar="NAME", help="Another name this server is reached by.")]
TlsCert = Annotated[Path | None, typer.Option(help="Certificate (PEM).", exists=True, rich_help_panel=_TLS)]
TlsKey = Annotated[Path | None, typer.Option(help="Its key (PEM).", exists=True, rich_help_panel=_TLS)]
TlsSelfSigned = Annotated[
    bool, typer.Option("--tls-self-signed", help="Make a certificate; browsers ask once.", rich_help_panel=_TLS)
]


@dataclass(frozen=True, slots=True)
class Door:
    """Where the page is found and who gets in, as given on the command line."""

    host: str
    port: int
    token: str = ""
    allow_host: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False

    @property
    def is_secure(self) -> bool:
        """Whether it serves https. Raises `UsageError` for half a TLS set-up."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("TLS needs both --tls-cert and --tls-key")
        if self.tls_cert and self.tls_self_signed:
            raise UsageError("--tls-self-signed makes a certificate; --tls-cert brings one: give one of them")
        return self.tls_cert is not None or self.tls_self_signed


def _door(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    token: Token = "",
    allow_host: AllowHost = [],  # noqa: B006 - Typer's way to say "none given"
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_self_signed: TlsSelfSigned = False,
) -> Door:
    return Door(host, port, token, tuple(allow_host), tls_cert, tls_key, tls_self_signed)


def with_door(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes a `door` the page's options in its place; the door is made of them."""
    options = inspect.signature(_door).parameters
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "door"]
    shown = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *options.values())]

    @wraps(command)
    def asked(**given: Any) -> None:
        door = _door(**{name: given.pop(name) for name in options})
        command(door=door, **given)

    # What Typer reads.
    asked.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    asked.__annotations__ = {one.name: one.annotation for one in shown}
    return asked


@dataclass(frozen=True, slots=True)
class OpenPage:
    """The page server that runs. `addresses`: as a user may open them, with the token where one is needed."""

    server: PageServer
    addresses: Sequence[str]
    needs_token: bool


@contextmanager
def open_page(
    broker: Broker, door: Door, styles: Sequence[Style], settings: Settings, limits: PageLimits = _LIMITS
) -> Iterator[OpenPage]:
    """Serve the page for as long as this lasts. Raises `UsageError` for an address or certificate that does not do."""
    access = make_access(door.host, door.token, secure=door.is_secure, names=door.allow_host)
    certificate = _certificate(door)
    with ExitStack() as stack:
        # Ended from below: the page first, so that nothing new comes; then the jobs, the reader, and the folder.
        uploads = stack.enter_context(uploads_folder())
        broadcast = Broadcast(broker.transport, limits=Limits(settings.max_pixels, settings.max_frame_mb << 20))
        stack.callback(broadcast.stop)
        atelier = stack.enter_context(closing(UploadQueue(broker, settings)))
        camera = Limits(_MAX_CAMERA_PIXELS, limits.picture_bytes)
        parts = Parts(
            access,
            broadcast,
            PageStreams(broker.transport, broker.pack, camera),
            atelier,
            {style.name: _card(style) for style in styles},
            _STATIC,
            uploads,
            limits,
        )
        server = PageServer(parts, door.host, door.port, tls.server_context(*certificate) if certificate else None)
        stack.callback(server.stop)
        broadcast.start()
        server.start()
        yield OpenPage(server, _addresses(door, access, server.port), bool(access.token))


def _certificate(door: Door) -> tuple[Path, Path] | None:
    if door.tls_cert and door.tls_key:
        return door.tls_cert, door.tls_key
    if door.tls_self_signed:
        return tls.self_signed(data_dir() / "tls", {*tls.own_names(), *door.allow_host})
    return None


def _addresses(door: Door, access: Access, port: int) -> list[str]:
    scheme = "https" if door.is_secure else "http"
    wildcard = door.host in ("0.0.0.0", "::", "")
    # A server on 0.0.0.0 answers at no IPv6 address.
    hosts = ["localhost", *tls.lan_addresses(only_ipv4=door.host == "0.0.0.0")] if wildcard else [door.host]
    query = f"?token={access.token}" if access.token else ""
    return [f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/{query}" for host in hosts]


def _card(style: Style) -> StyleCard:
    weights = style.torch_file or style.export
    picture = weights.with_suffix(".jpg") if weights else None
    return StyleCard(
        style.name, style.painting, style.painter, style.year, picture if picture and picture.is_file() else None
    )
