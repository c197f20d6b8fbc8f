"""``gunshot metrics``: results and runs, for Prometheus."""

from __future__ import annotations

import click

__all__ = ["metrics"]


@click.command(short_help="Tell Prometheus of results and of the server's runs.")
@click.option("--results", multiple=True, metavar="URI", help="Results of scoring; may be given again.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Serve them on 127.0.0.1 until Ctrl+C.")
@click.option("--textfile", metavar="FILE.prom", help="Write them for the node exporter, and end.")
def metrics(results: tuple[str, ...], port: int | None, textfile: str | None) -> None:
    """Tell Prometheus of results, and of the runs on the server at PREFECT_API_URL; printed if nothing else is said.

    \b
    Example:  gunshot metrics --results results --port 9410
              gunshot metrics --results results --textfile /var/lib/node_exporter/gunshot.prom
    """  # noqa: D301
    from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile

    from flows.operations.metrics import GunshotCollector
    from flows.operations.server import server_address
    from gunshot.errors import ParameterError

    try:
        server = server_address()
    except ParameterError:
        server = None
    if not results and server is None:
        raise ParameterError("nothing to tell of: give --results URI, or set PREFECT_API_URL to a Prefect server")
    registry = CollectorRegistry()
    registry.register(GunshotCollector(results, server))
    if port is not None:
        try:
            _, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            raise ParameterError(f"--port {port} cannot be listened on: {error.strerror}; give another") from None
        click.echo(f"metrics: http://127.0.0.1:{port}/metrics")
        thread.join()
    elif textfile is not None:
        write_to_textfile(textfile, registry)
        click.echo(f"metrics: {textfile}")
    else:
        click.echo(generate_latest(registry).decode(), nl=False)
