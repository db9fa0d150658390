"""What surrounds every request: who may ask, how much, how long; what is logged; which headers go out.

Plain ASGI, outside of the framework, so that nothing is read or parsed for a request that is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earthclip.errors import EarthCLIPError
from earthclip.server.contract import Refusal
from earthclip.server.meters import LOGGER, Meters, log
from earthclip.server.settings import Settings

# The map page is served from here alone; MapLibre makes its workers and pictures from blobs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' blob:; "
    "font-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_GONE = 499  # nobody gets to see it; the log does


class _Exchange:
    """One request and what became of it; ``path`` is without the prefix that a proxy put before it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "").rstrip("/")
        self.began = time.perf_counter()
        self.id = uuid.uuid4().hex[:16]
        self.method, self.headers = str(scope["method"]), Headers(scope=scope)
        self.path = str(scope["path"])
        if root and f"{self.path}/".startswith(f"{root}/"):  # some proxies cut the prefix off, some do not
            self.path = self.path[len(root) :]
        # What is checked here and what the framework looks up must be one path. HEAD is GET without a body.
        method = "GET" if self.method == "HEAD" else self.method
        self.scope: Scope = {"state": {}, **scope, "path": root + self.path, "method": method}
        self.receive, self._send = receive, send
        self.status: int | None = None

    @property
    def guarded(self) -> bool:
        """Whether the path asks for the API key."""
        return self.path.startswith("/v1/") or self.path == "/metrics"

    async def reply(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in (_HEADERS | {"x-request-id": self.id}).items():
                headers.setdefault(name, value)
            if not self.path.startswith("/assets/"):
                headers.setdefault("cache-control", "no-store" if self.path.startswith("/v1/") else "no-cache")
        elif self.method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        if self.status is not None:
            return  # half an answer is out already; the connection is closed on it
        headers = {}
        if refusal.retry_after_s is not None:
            headers["retry-after"] = str(refusal.retry_after_s)
        if refusal.status == 401:
            headers["www-authenticate"] = "Bearer"
        response = JSONResponse({"error": str(refusal)}, refusal.status, headers)
        await response(self.scope, self.receive, self.reply)


class Gate:
    """ASGI middleware that refuses what ``settings`` do not allow, and records the rest."""

    def __init__(self, app: ASGIApp, settings: Settings, meters: Meters) -> None:
        self._app, self._settings, self._meters = app, settings, meters
        self._requests, self._bytes = 0, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._pass(exchange)
        except Refusal as refusal:
            await exchange.refuse(refusal)
        except EarthCLIPError as error:  # a value that the model itself will not take
            await exchange.refuse(Refusal(422, str(error)))
        except TimeoutError:
            message = f"no answer within {self._settings.answer_timeout_s:g} s; try again"
            await exchange.refuse(Refusal(504, message, retry_after_s=5))
        except ClientDisconnect:
            exchange.status = exchange.status or _CLIENT_GONE
        except Exception:
            LOGGER.exception("fault", extra={"values": {"id": exchange.id}})
            await exchange.refuse(Refusal(500, f"a fault of the server's, logged as {exchange.id}; please report it"))
        finally:
            self._record(exchange)

    async def _pass(self, exchange: _Exchange) -> None:
        self._check_host(exchange)
        if exchange.method == "POST":
            self._check_key(exchange)
            with self._admitted(self._size_of(exchange)):
                async with asyncio.timeout(self._settings.answer_timeout_s):
                    await self._app(exchange.scope, self._limited(exchange), exchange.reply)
            return
        if exchange.method != "OPTIONS":  # which browsers ask without the key
            self._check_key(exchange)
        await self._app(exchange.scope, exchange.receive, exchange.reply)

    def _check_host(self, exchange: _Exchange) -> None:
        hosts = self._settings.hosts
        if hosts is None:
            return
        name = exchange.headers.get("host", "")
        name = name[: name.index("]") + 1] if name.startswith("[") and "]" in name else name.partition(":")[0]
        if name.lower() not in hosts:
            raise Refusal(421, f"this server is called {', '.join(sorted(hosts))} and by no other name")

    def _check_key(self, exchange: _Exchange) -> None:
        key = self._settings.api_key
        if key is None or not exchange.guarded:
            return
        scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
        given = exchange.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        if not key.matches(given.encode()):
            raise Refusal(401, "expected the server's API key in the header X-API-Key, or as Authorization: Bearer KEY")

    def _size_of(self, exchange: _Exchange) -> int:
        """Bytes to expect of the body: what it says, or where it does not, all that is allowed."""
        limit = self._settings.max_body_bytes
        said = exchange.headers.get("content-length", "")
        size = int(said) if said.isascii() and said.isdigit() else limit
        if size > limit:
            raise self._too_large(size)
        return size

    @contextlib.contextmanager
    def _admitted(self, size: int) -> Iterator[None]:
        full = self._bytes + size > self._settings.max_bodies_mb * 1e6
        if full or self._requests >= self._settings.max_requests:
            message = f"{self._requests} requests are being answered already; try again in a second"
            raise Refusal(429, message, retry_after_s=1)
        self._requests += 1
        self._bytes += size
        try:
            yield
        finally:
            self._requests -= 1
            self._bytes -= size

    def _limited(self, exchange: _Exchange) -> Receive:
        """Receive the body while it keeps within its limits of size and time."""
        limit, seconds = self._settings.max_body_bytes, self._settings.body_timeout_s
        received, complete = 0, False

        async def receive() -> Message:
            nonlocal received, complete
            if complete:  # only the end of the connection is left to hear of
                return await exchange.receive()
            left = seconds - (time.perf_counter() - exchange.began)
            try:
                async with asyncio.timeout(max(left, 0)):
                    message = await exchange.receive()
            except TimeoutError:
                late = f"the request took longer than {seconds:g} s to arrive; send less at a time"
                raise Refusal(408, late) from None
            received += len(message.get("body", b""))
            if received > limit:
                raise self._too_large(received)
            complete = not message.get("more_body", False)
            return message

        return receive

    def _too_large(self, size: int) -> Refusal:
        found, limit = f"{size / 1e6:,.0f} MB", f"{self._settings.max_body_mb:g} MB"
        return Refusal(413, f"the request has {found} or more, the limit is {limit}; send less at a time")

    def _record(self, exchange: _Exchange) -> None:
        scope, status = exchange.scope, exchange.status or 500
        seconds = time.perf_counter() - exchange.began
        method = exchange.method if exchange.method in _METHODS else "other"
        route = str(getattr(scope.get("route"), "path", None) or "other")
        self._meters.requests.labels(method, route, str(status)).inc()
        self._meters.seconds.labels(route).observe(seconds)
        log(
            "request",
            id=exchange.id,
            method=method,
            path=exchange.path[:200],
            status=status,
            ms=round(seconds * 1000, 1),
            pictures=scope["state"].get("pictures", 0),
        )
