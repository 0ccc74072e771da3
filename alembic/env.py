"""How Alembic reaches the database: one transaction, one migration at a time, also when several processes try."""

from alembic import context
from sqlalchemy import create_engine, make_url, pool, text

from core.settings import load_settings
from core.tables import Base

# Two `inkpost migrate` at once (two replicas starting) take turns. The number is arbitrary and Inkpost's own.
MIGRATION_LOCK = 0x1A4B_0057


def run() -> None:
    """Run the migrations on `database_url` of the configuration's attributes, else on that of the settings."""
    url = context.config.attributes.get("database_url") or load_settings().database_url.get_secret_value()
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    raise SystemExit("Inkpost's migrations are run against a database; --sql is not supported.")
run()
