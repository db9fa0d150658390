"""``earthclip serve``: the HTTP API and the map page, on this machine unless told otherwise."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli.status import StatusLine, say
from earthclip.models import PRECISIONS, RUNTIMES, Precision, Runtime


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--model", "source", metavar="SOURCE", help="orbit, geoclip, or the path of a model folder.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="0.0.0.0: every network.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any free one.")
@click.option("--api-key-file", type=click.Path(path_type=Path), metavar="FILE", help="Or set EARTHCLIP_API_KEY.")
@click.option("--allow-origin", multiple=True, metavar="URL", help="Of pages elsewhere that may ask; repeatable.")
@click.option("--batch-size", default=8, show_default=True, metavar="N", help="Pictures encoded at once.")
@click.option("--max-waiting", default=64, show_default=True, metavar="N", help="Pictures let in; then 429.")
@click.option("--max-body-mb", default=64.0, show_default=True, metavar="MB", help="Of one request.")
@click.option("--max-megapixels", default=100.0, show_default=True, metavar="MP", help="Of one photo.")
@click.option("--timeout", default=60.0, show_default=True, metavar="S", help="From a request to its answer.")
@click.option("--root-path", default="", metavar="PATH", help="Path at which a proxy shows the server, such as /geo.")
@click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True, help="What runs the model.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True, help="Of its numbers.")
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
    runtime: Runtime,
    precision: Precision,
) -> None:
    """Answer over HTTP: an API for programs, and a page with a map for people.

    Only this machine can reach it, unless --host says otherwise; then give it an API key. Photos are read from
    memory, neither kept nor logged. One line of JSON for each request goes to stdout. Without --model, geoclip
    answers where it is on this machine, else orbit. SIGTERM or Ctrl-C ends it when what is under way is answered.

    \b
    earthclip serve --model orbit --port 8000
    curl -F photos=@photo.jpg http://127.0.0.1:8000/v1/locate
    """
    import earthclip.server  # noqa: F401  - says which extra it needs before the model is read
    from earthclip.locating.locator import load
    from earthclip.models.sources import default_source
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
    )
    if not is_loopback(host) and settings.api_key is None:
        say(f"warning: whoever can reach {host} can use this server; set EARTHCLIP_API_KEY or give --api-key-file")
    status = StatusLine()

    def encoded(done: int, n: int) -> None:
        status.show(f"encoding {n:,} places, once: {100 * done // n} %")

    locator = load(source or default_source(), encoded, runtime=runtime, precision=precision)
    if locator.config.caution:
        say(f"caution: {locator.config.caution}")
    run(locator, settings, host, port, say)
