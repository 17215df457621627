"""``blipvino serve``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import (
    DEFAULT_CACHE,
    Arithmetic,
    ArithmeticOption,
    CacheOption,
    DeviceOption,
    NoCacheFlag,
    Precision,
    PrecisionOption,
    StrictFlag,
    engine_options,
    usable_cache,
)
from blipvino.cli.output import print_error
from blipvino.cli.unused_options import refuse_unused
from blipvino.errors import InputError
from blipvino.machine.devices import CPU

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from blipvino.serve.serve_settings import ServeSettings

BundlesArgument = Annotated[
    list[str],
    typer.Argument(
        help="Bundles, checkpoints and indexes of photos; each may be given a name: NAME=BUNDLE.", metavar="BUNDLE..."
    ),
]
HostOption = Annotated[str, typer.Option(help="Address to listen on; by default this machine alone can reach it.")]
PortOption = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")]
WorkersOption = Annotated[int, typer.Option(help="Processes.")]
ThreadsOption = Annotated[
    int | None, typer.Option(help="CPU threads of each model of a worker.", show_default="all cores, shared out")
]
PinFlag = Annotated[
    bool, typer.Option("--pin", help="Keep each thread on a core of its own, on a machine that does nothing else.")
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        help="File of API keys, one a line, of which a request must bring one; $BLIPVINO_API_KEYS has some, too."
    ),
]
AllowedHostOption = Annotated[
    list[str] | None, typer.Option(help="A name that clients call this server by; * is any.", metavar="NAME")
]
FetchFlag = Annotated[bool, typer.Option("--fetch", help="Fetch images from public http and https URLs.")]
QueueOption = Annotated[int, typer.Option(help="Texts that may be waited for, in each worker; more are refused.")]
TimeoutOption = Annotated[float, typer.Option(help="Seconds until a request that is not answered is given up.")]
DrainOption = Annotated[float, typer.Option(help="Seconds for requests that are under way when the server shall end.")]
BodyOption = Annotated[int, typer.Option(help="Megabytes of a request at the most.")]
BodiesOption = Annotated[
    int, typer.Option(help="Bodies of that size whose bytes may be held at a time, in each worker; more are refused.")
]
ImagesOption = Annotated[int, typer.Option(help="Images of a request at the most.")]
MegapixelsOption = Annotated[int, typer.Option(help="Megapixels of an image at the most.")]
TextsOption = Annotated[int, typer.Option(help="Texts of a request at the most: captions, answers, matches.")]
TokensOption = Annotated[int, typer.Option(help="Tokens of a text at the most.")]
BeamsOption = Annotated[int, typer.Option(help="Beams of a text at the most.")]
ImageCacheOption = Annotated[int, typer.Option(help="Megabytes for what is known of images, of each model; 0: none.")]
JsonLogsFlag = Annotated[bool, typer.Option("--json-logs", help="Log JSON objects, one a line.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino serve blip-vqa photos.index --port 8000")
def serve(
    context: typer.Context,
    bundles: BundlesArgument,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    workers: WorkersOption = 1,
    threads: ThreadsOption = None,
    pin: PinFlag = False,
    api_key_file: KeyFileOption = None,
    allowed_host: AllowedHostOption = None,
    fetch: FetchFlag = False,
    queue: QueueOption = 256,
    timeout: TimeoutOption = 60.0,
    drain: DrainOption = 60.0,
    max_body_mb: BodyOption = 32,
    max_bodies: BodiesOption = 8,
    max_images: ImagesOption = 16,
    max_megapixels: MegapixelsOption = 64,
    max_texts: TextsOption = 64,
    max_tokens: TokensOption = 256,
    max_beams: BeamsOption = 8,
    image_cache_mb: ImageCacheOption = 256,
    json_logs: JsonLogsFlag = False,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticOption = Arithmetic.auto,
    device: DeviceOption = CPU,
    strict: StrictFlag = False,
    cache: CacheOption = DEFAULT_CACHE,
    no_cache: NoCacheFlag = False,
) -> None:
    """Serve captions, answers and searches over HTTP."""
    check_installed()
    from blipvino.serve.api_keys import key_digests
    from blipvino.serve.given_places import served_places
    from blipvino.serve.serve_settings import RequestLimits, ServeSettings

    if no_cache:
        refuse_unused(context, ("cache",), "with --no-cache")
    sizes = {"body_bytes": max_body_mb * 2**20, "images": max_images, "texts": max_texts, "megapixels": max_megapixels}
    limits = RequestLimits(**sizes, new_tokens=max_tokens, beams=max_beams, seconds=timeout)
    engine = engine_options(precision, arithmetic, device=device, strict=strict)
    pinning = pin if device == CPU else None
    engine = replace(engine, threads=threads, pinning=pinning, cache=usable_cache(cache, no_cache))
    settings = ServeSettings(
        *served_places(bundles, lambda given: bundle_folder(Path(given), cache=cache)),
        host=host,
        port=port,
        workers=workers,
        engine=engine,
        image_cache_bytes=image_cache_mb * 10**6,
        limits=limits,
        bodies=max_bodies,
        queue=queue,
        drain_seconds=drain,
        keys=key_digests(api_key_file),
        hosts=tuple(allowed_host or ()),
        fetch=fetch,
        json_logs=json_logs,
    )
    raise typer.Exit(run_server(settings))


def run_server(
    settings: ServeSettings, listening: socket | None = None, show: Callable[[str], object] | None = None
) -> int:
    """Serve until the process is told to end.

    Args:
        settings: what is served.
        listening: the socket to serve at; by default one at the settings' address.
        show: is given the server's URL.

    Returns:
        The exit status.

    Raises:
        BlipvinoError: the address is in use, or the models cannot be loaded.
    """
    from blipvino.serve.server import address_text, bound_socket
    from blipvino.serve.server import serve as serve_here
    from blipvino.serve.workers import WorkerGroup

    listening = listening or bound_socket(settings.host, settings.port)
    url = f"http://{address_text(settings.host, listening.getsockname()[1])}/"
    if not settings.is_loopback and not settings.keys:
        print_error(f"{settings.host} may be reached by others, and whoever does may ask: no API key is set")
    names = ", ".join(place.name for place in (*settings.models, *settings.indexes))
    with suppress(OSError):  # a log on a full disk; whoever asks is answered all the same
        typer.echo(f"Serving {names} at {url}", err=True)
    if show is not None:
        show(url)  # what it asks before the models are loaded waits
    if settings.workers > 1:
        return WorkerGroup(settings, [listening]).run()
    serve_here(settings, [listening], load_first=show is not None)
    return 0


def check_installed() -> None:
    """Refuse to serve where what it takes is not installed.

    Raises:
        InputError: the extra ``serve`` is missing.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError(f"a server needs {error.name}: pip install 'blipvino[serve]'") from error
