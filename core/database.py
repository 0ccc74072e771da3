"""The engine: one per process, built after any fork."""

import select
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from core.errors import DatabaseUnavailable, Overloaded
from core.settings import Settings

# SQLSTATE classes that pass by themselves: connection, resources (disk full, too many connections), operator
# intervention (shutdown, terminated backend), system error, lock not available, serialisation and deadlock, read-only.
_PASSING_SQLSTATES = ("08", "53", "57", "58", "55P03", "40", "25006")


class Blobs(list[bytes]):
    """Bytes that travel to Postgres as one array of bytea, as they are.

    A plain list goes as text: escaped twice, it doubles on its way and costs more time than its storage.
    """


def create_database_engine(settings: Settings, application_name: str) -> Engine:
    """Build the engine. Connections are checked when they leave the pool, so a restarted database costs no error."""
    engine = _create_engine(settings, application_name)
    event.listen(engine, "checkout", _refuse_dead_connection)
    return engine


def _create_engine(settings: Settings, application_name: str) -> Engine:
    milliseconds = int(settings.database_timeout_seconds * 1000)
    engine = create_engine(
        make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+psycopg"),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_timeout_seconds,
        hide_parameters=True,  # else an error's message holds texts and images, and a log would too
        connect_args={
            "application_name": application_name,
            "connect_timeout": max(2, round(settings.database_timeout_seconds)),  # libpq's least is 2
            "options": f"-c lock_timeout={milliseconds} -c TimeZone=UTC -c idle_in_transaction_session_timeout=60000",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        },
    )
    event.listen(engine, "connect", _send_blobs_as_they_are)
    event.listen(engine, "handle_error", _forget_quoted_row)
    return engine


def _send_blobs_as_they_are(connection: psycopg.Connection[object], _: object) -> None:
    connection.adapters.register_dumper(Blobs, ListBinaryDumper)


def _forget_quoted_row(context: ExceptionContext) -> None:
    """Keep of the server's message its first part only: the detail quotes the row, and a log would hold its text."""
    error = context.original_exception
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    if primary is not None and context.sqlalchemy_exception is not None:
        error.args = (primary,)
        context.sqlalchemy_exception.args = (f"({type(error).__name__}) {primary}",)


def _refuse_dead_connection(connection: psycopg.Connection[object], _record: object, _proxy: object) -> None:
    """Make the pool replace a connection whose server has gone.

    Nothing is due on an idle connection, so bytes that wait on it are the server's farewell or the end of the stream.
    A look at the socket tells that in microseconds; `pool_pre_ping` asks the server, which costs as much as a query.
    """
    if connection.closed:
        raise DisconnectionError("the connection is closed")
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server has closed the connection")


def create_session_factory(engine: Engine) -> sessionmaker[Session]:
    """Build the factory; rows stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


def is_passing(error: DBAPIError) -> bool:
    """Tell whether a database error may go away by itself."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated:
        return True
    if sqlstate is None:  # the driver's own: a connection that failed, or an argument that it could not send
        return isinstance(error, OperationalError | InterfaceError)
    return str(sqlstate).startswith(_PASSING_SQLSTATES)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn a database that does not answer into `DatabaseUnavailable` or `Overloaded`; let bugs through.

    Raises:
        DatabaseUnavailable: the database is down, restarting, out of disk, or a lock was not to be had.
        Overloaded: no connection of the pool became free in time.
    """
    try:
        yield
    except PoolTimeout as error:
        raise Overloaded from error
    except DBAPIError as error:
        if not is_passing(error):
            raise
        raise DatabaseUnavailable from error
