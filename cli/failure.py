"""How a command ends badly: one line on standard error, exit status 1 (2 for a wrong call, which is click's own)."""

import importlib.util

import click


class CommandFailed(click.ClickException):
    """Something outside the call is wrong; the message says what, and what to do."""


def require_package(package: str, extra: str) -> None:
    """Fail clearly when an optional part of Inkpost is not installed."""
    if importlib.util.find_spec(package) is None:
        raise CommandFailed(f"This needs the package {package}: pip install 'inkpost[{extra}]'")
