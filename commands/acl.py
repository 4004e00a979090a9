"""`painter acl`: an ACL file for a shared server, and for each role a file with its BROKER_URL; ours alone to read."""

import os
import secrets
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from pipeline.errors import UsageError
from pipeline.server.acl import ROLES, users_acl

_USERS = "users.acl"
# 256 bits: nothing a server could be made to guess through.
_PASSWORD_BYTES = 32

Server = Annotated[
    str, typer.Argument(metavar="URL", help="The server without a user: rediss://painter.example:6380/0")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder the files go to; made when missing.")]
Force = Annotated[bool, typer.Option("--force", help="Write over files that are there: new passwords for all.")]


def acl(server: Server, output: Output = Path("acl"), force: Force = False) -> None:
    """Make users and passwords for a shared server: producer, worker, viewer, operator."""
    host, database = _address(server)
    passwords = {role.name: secrets.token_urlsafe(_PASSWORD_BYTES) for role in ROLES}
    files = {_USERS: users_acl(passwords, database=database)}
    for role in ROLES:
        url = f"{urlsplit(server).scheme}://{role.name}:{passwords[role.name]}@{host}/{database}"
        files[f"{role.name}.env"] = f"BROKER_URL={url}\n"
    _write(output, files, force=force)
    typer.echo(f"{output / _USERS}  for the server: redis-server --aclfile {_USERS}")
    for role in ROLES:
        typer.echo(f"{output / role.name}.env  for {role.purpose}")


def _address(server: str) -> tuple[str, int]:
    """Return host with port, and database. Raises `UsageError` for what is no plain server URL."""
    parts = urlsplit(server)
    path = parts.path.strip("/") or "0"
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or "@" in parts.netloc or not path.isdecimal():
        raise UsageError("give the server as redis://host:port/0 or rediss://host:port/0, without user and password")
    return parts.netloc, int(path)


def _write(folder: Path, files: dict[str, str], *, force: bool) -> None:
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        raise UsageError(f"{folder / there[0]} is there already; --force gives everybody a new password")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in files.items():
            # Born unreadable to others; a chmod afterwards would leave a moment.
            (folder / name).unlink(missing_ok=True)
            with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror or error}") from error
