"""A server process: bound first, the model opened while the framework is imported, ended gracefully by a signal."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import Future

from earthclip.errors import InputError
from earthclip.locating.locator import Locator
from earthclip.server.meters import log, log_to
from earthclip.server.service import Service
from earthclip.server.settings import Settings

_KEEP_ALIVE_S = 15
_BACKLOG = 128  # connections that wait to be taken


def serve(locator: Locator, settings: Settings, host: str, port: int, say: Callable[[str], None]) -> None:
    """Answer at ``host``:``port`` (0: a free one) until SIGINT or SIGTERM, then finish what is under way.

    Call it in the main thread. ``say`` hears the address. Raises InputError when it cannot be bound, and what kept the
    model from opening.
    """
    service = Service(locator, settings)
    with contextlib.closing(_bind(host, port)) as listening, contextlib.closing(service):
        log_to()
        opening = service.start()
        # Imported while the model is being opened in a thread: together they are ready sooner.
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
        address = _address(listening) + settings.root_path

        def opened(future: Future[None]) -> None:
            if future.exception() is not None:
                server.should_exit = True
            else:
                log("ready", model=service.label, address=address)
                say(f"serving {service.label} at {address} (its API at {address}/docs); end with Ctrl-C")

        opening.add_done_callback(opened)
        # uvicorn raises the signal that ended it once more; here an end that was asked for is a success.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        server.run(sockets=[listening])
        fault = opening.exception() if opening.done() else None
        log("ended", fault=None if fault is None else type(fault).__name__)
        if fault is not None:
            raise fault


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--host {host}: no such address ({error}); use 127.0.0.1, or an address of this machine"
        ) from error
    try:
        # From here on clients wait instead of being sent away.
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"{host}:{port}: cannot listen there ({reason}); choose another --port") from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
