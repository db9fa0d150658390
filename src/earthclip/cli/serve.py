"""``earthclip serve``: the HTTP API and the page with a map."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli import options
from earthclip.cli.status import note, say
from earthclip.models import Precision, Runtime


@options.command(
    examples="""
    earthclip serve --model orbit --port 8000
    earthclip serve --host 0.0.0.0 --api-key-file key.txt
    """
)
@options.model()
@options.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on. 0.0.0.0 opens the server to every network.",
)
@options.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    metavar="PORT",
    help="Port to listen on. 0 picks a free one.",
)
@options.option(
    "--api-key-file",
    type=options.path_type(),
    metavar="FILE",
    help="File with the key that every request must send. EARTHCLIP_API_KEY can hold the key instead.",
)
@options.option(
    "--allow-origin", multiple=True, metavar="URL", help="Allow browser requests (CORS) from this origin. Repeatable."
)
@options.option(
    "--batch-size",
    default=8,
    show_default=True,
    metavar="N",
    advanced=True,
    help="Number of pictures encoded at once.",
)
@options.option(
    "--max-waiting",
    default=64,
    show_default=True,
    metavar="N",
    advanced=True,
    help="Maximum pictures in the queue; further requests get HTTP 429.",
)
@options.option(
    "--max-body-mb",
    default=64.0,
    show_default=True,
    metavar="MB",
    advanced=True,
    help="Maximum size of a request body.",
)
@options.option(
    "--max-megapixels", default=100.0, show_default=True, metavar="MP", advanced=True, help="Maximum size of a photo."
)
@options.option(
    "--timeout",
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    advanced=True,
    help="Maximum time from a request to its answer.",
)
@options.option(
    "--root-path",
    default="",
    metavar="PATH",
    advanced=True,
    help="Path at which a proxy shows the server, such as /geo.",
)
@options.index(advanced=True)
@options.runtime()
@options.precision()
def serve(
    source: str | None,
    host: str,
    port: int,
    api_key_file: Path | None,
    allow_origin: tuple[str, ...],
    batch_size: int,
    max_waiting: int,
    max_body_mb: float,
    max_megapixels: float,
    timeout: float,
    root_path: str,
    index: tuple[Path, ...],
    runtime: Runtime,
    precision: Precision,
) -> None:
    """Serve an HTTP API for programs and a page with a map for people.

    By default only this machine can reach the server. Set an API key before opening it with --host. Photos are read
    in memory; none is stored or logged. Each request is logged on standard output as one line of JSON. Ctrl-C or
    SIGTERM stops the server after the requests in progress.

    Locate a photo: curl -F photos=@photo.jpg http://127.0.0.1:8000/v1/locate
    """
    import earthclip.server  # noqa: F401  - says which extra it needs before the model is read
    from earthclip.cli.answering import ask_of, introduce_models, open_model
    from earthclip.server.run import serve as run
    from earthclip.server.settings import Settings, hosts_of, is_loopback, read_api_key

    settings = Settings(
        batch_size=batch_size,
        max_waiting=max_waiting,
        max_photos=min(Settings.max_photos, max_waiting),
        max_body_mb=max_body_mb,
        max_bodies_mb=max(Settings.max_bodies_mb, max_body_mb),
        max_megapixels=max_megapixels,
        answer_timeout_s=timeout,
        api_key=read_api_key(api_key_file),
        cors_origins=allow_origin,
        hosts=hosts_of(host),
        root_path=root_path,
        index=index,
    )
    if not is_loopback(host) and settings.api_key is None:
        say(f"warning: anyone who can reach {host} can use this server; set EARTHCLIP_API_KEY or --api-key-file")
    ask = ask_of(source, runtime=runtime, precision=precision, several=True, index=index)
    locator = open_model(ask)
    introduce_models(locator, ask)
    run(locator, settings, host, port, note)
