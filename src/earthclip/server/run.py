"""A server process: bound first, the model opened while the framework is imported, ended gracefully by a signal."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import FrameType

from earthclip.errors import InputError
from earthclip.locating.locator import Locator
from earthclip.server.meters import log, log_to
from earthclip.server.service import Service
from earthclip.server.settings import Settings

_KEEP_ALIVE_S = 15
_BACKLOG = 128  # connections that wait to be taken


def serve(locator: Locator, settings: Settings, host: str, port: int, say: Callable[[str], None]) -> None:
    """Answer at ``host``:``port`` (0: a free one) until SIGINT or SIGTERM, then finish what is under way.

    ``say`` hears the address. Raises InputError when it cannot be bound, and what kept the model from opening.
    """
    service = Service(locator, settings)
    with contextlib.closing(_bind(host, port)) as listening, contextlib.closing(service):
        log_to()
        service.start()
        # Imported while the model is being opened in the encoder's thread: together they are ready sooner.
        import uvicorn

        from earthclip.server.app import app_of

        config = uvicorn.Config(
            app_of(service),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            ws="none",
            lifespan="on",
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(settings.shutdown_s),
        )
        server = uvicorn.Server(config)
        address = _address(listening)

        def opened(future: Future[None]) -> None:
            if future.exception() is not None:
                server.should_exit = True
            else:
                log("ready", model=locator.name, address=address)
                say(f"serving {locator.name} at {address} (its API at {address}/docs); end with Ctrl-C")

        service.opened.add_done_callback(opened)
        with _ended_by_signals(server):
            server.run(sockets=[listening])
        fault = service.opened.exception() if service.opened.done() else None
        log("ended", fault=None if fault is None else type(fault).__name__)
        if fault is not None:
            raise fault


@contextlib.contextmanager
def _ended_by_signals(server: object) -> Iterator[None]:
    """uvicorn raises the signal that ended it once more; here an end that was asked for is a success."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ignore(number: int, frame: FrameType | None) -> None:
        del number, frame

    before = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--host {host}: no such address ({error}); use 127.0.0.1, or an address of this machine"
        ) from error
    try:
        # A server that was killed leaves connections behind, for which its successor should not have to wait.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)  # from here on clients wait instead of being sent away
    except OSError as error:
        listening.close()
        raise InputError(f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port") from error
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
