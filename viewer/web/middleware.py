"""The door of the page server: each request passes it first, each answer leaves with its headers.

Invariant: a handler behind it runs only for our own host name, our own page or a program, and someone let in.
"""

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from html import escape

from aiohttp import web

from pipeline.errors import PipelineError, ServerFull, ServerGone, UsageError
from viewer.web.security import HEADERS, Access

log = logging.getLogger(__name__)

ACCESS = web.AppKey("access", Access)
#: When the link that let a request in ends, Unix s; absent for one that came by cookie, header or without a token.
EXPIRES = web.RequestKey("expires", int)
#: Read-only answers for other programs: the only ones a signed link opens.
LINKED = "/streams/"
HEALTH = "/healthz"

# Who opens the page gets a name nobody else can guess: 16 random bytes.
_VISITOR = "painter-visitor"
_VISITOR_NAME = re.compile(r"[\w-]{22}", re.ASCII)
_YEAR_S = 31_536_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: The page that asks for the token, and its style: all that a browser without it may have.
LOGIN_STYLE = "/static/login.css"
_LOGIN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Power Painter</title><link rel="stylesheet" href="/static/login.css">
<main>
<h1>Power Painter</h1>
<p>{message}</p>
<form action="/" method="get">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" autofocus required>
<button>Open</button>
</form>
</main>
</html>
"""


def install(app: web.Application, access: Access) -> None:
    """Put the door in front of `app`."""
    app[ACCESS] = access
    app.middlewares.append(_answer_errors)
    app.middlewares.append(_guard)
    app.on_response_prepare.append(_set_headers)


def refuse(status: int, message: str) -> web.Response:
    """Return a refusal in one line, as every error of the server looks."""
    return web.json_response({"error": message}, status=status)


def visitor_of(request: web.Request) -> str:
    """Return who asks: the name a browser was given with the page, "" for a program, which has none."""
    name = request.cookies.get(_VISITOR, "")
    return name if _VISITOR_NAME.fullmatch(name) else ""


def welcome(request: web.Request, page: web.StreamResponse) -> None:
    """Give a browser its visitor's name with the page, unless it has one."""
    if not visitor_of(request):
        name, secure = secrets.token_urlsafe(16), request.app[ACCESS].is_secure
        page.set_cookie(_VISITOR, name, max_age=_YEAR_S, httponly=True, samesite="Strict", secure=secure, path="/")


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return refuse(error.status, error.text or error.reason)
    except UsageError as error:
        return refuse(400, str(error))
    except (ServerGone, ServerFull) as error:
        return refuse(503, str(error))
    except PipelineError as error:
        return refuse(422, str(error))
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return refuse(500, "a fault of ours; the server's log has it")


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    access = request.app[ACCESS]
    if not access.knows_host(request.headers.get("Host", "")):
        return refuse(421, "this server does not go by that name; --allow-host adds one")
    if request.path in (HEALTH, LOGIN_STYLE):
        return await handler(request)
    if not access.is_same_origin(request.headers) and _does_something(request):
        return refuse(403, "the request comes from another site's page")
    if request.path == "/" and "token" in request.query:
        return _log_in(request, access)
    expires = access.expiry_of(request.path, request.query) if _is_linkable(request) else None
    if expires is not None and expires > time.time():
        request[EXPIRES] = expires
    elif not access.admits(request.cookies.get(access.cookie_name, ""), request.headers.get("Authorization", "")):
        return _turn_away(request)
    return await handler(request)


def _does_something(request: web.Request) -> bool:
    """Whether a request may change something: all but reading, and the socket, which reads its way to everything."""
    return request.method not in ("GET", "HEAD") or "Upgrade" in request.headers


def _is_linkable(request: web.Request) -> bool:
    return request.method in ("GET", "HEAD") and request.path.startswith(LINKED)


def _log_in(request: web.Request, access: Access) -> web.StreamResponse:
    """Turn `/?token=` into a cookie and an address that can be shown, kept and shared."""
    if access.token and not access.accepts_token(request.query["token"]):
        return _login_page(
            "That is not the token of this server. It stands in the address that painter printed when it started."
        )
    answer = web.Response(status=303, headers={"Location": "/"})
    if access.token:
        answer.set_cookie(
            access.cookie_name,
            access.cookie_value,
            httponly=True,
            samesite="Strict",
            secure=access.is_secure,
            path="/",
        )
    return answer


def _turn_away(request: web.Request) -> web.StreamResponse:
    if request.path == "/" and request.method == "GET":
        return _login_page(
            "This server asks for its token. It stands in the address that painter printed when it started."
        )
    return refuse(401, "a token is needed: open the address that was printed when the server started")


def _login_page(message: str) -> web.Response:
    return web.Response(text=_LOGIN.format(message=escape(message)), content_type="text/html", status=401)


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "painter"
    # Answers are live or may be replaced by a newer version at any start; unchanged files cost a 304.
    response.headers.setdefault("Cache-Control", "no-cache" if request.path.startswith("/static/") else "no-store")
    if EXPIRES in request:
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
