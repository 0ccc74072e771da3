"""`python -m api`: the REST facade under gunicorn."""

import argparse

from api.server import Server
from core.logs import configure_logs
from core.settings import Settings, load_settings


def main() -> None:
    """Serve with the settings of the environment; arguments go before it."""
    parser = argparse.ArgumentParser(prog="inkpost api", description="The REST facade.")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument("--processes", type=int, help="API processes")
    parser.add_argument("--threads", type=int, help="threads of each process")
    settings = _with(load_settings(), vars(parser.parse_args()))
    configure_logs(settings)
    Server(settings).serve()


def _with(settings: Settings, arguments: dict[str, object]) -> Settings:
    given = {name: value for name, value in arguments.items() if value is not None}
    api = type(settings.api).model_validate({**settings.api.model_dump(), **given})
    return settings.model_copy(update={"api": api})


if __name__ == "__main__":
    main()
