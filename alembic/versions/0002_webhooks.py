"""Webhooks: endpoints, events, deliveries, and the client's own secret.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INCLUDE = "include IN ('summary', 'results')"


def upgrade() -> None:
    op.add_column("clients", sa.Column("webhook_secret", sa.LargeBinary()))
    op.add_column("clients", sa.Column("webhook_previous_secret", sa.LargeBinary()))
    op.add_column("clients", sa.Column("webhook_previous_secret_expires_at", sa.DateTime(timezone=True)))
    _create_endpoints()
    op.add_column("jobs", sa.Column("webhook_endpoint_id", sa.Uuid()))
    op.add_column("jobs", sa.Column("webhook_url", sa.Text()))
    op.add_column("jobs", sa.Column("webhook_events", ARRAY(sa.Text())))
    op.add_column("jobs", sa.Column("webhook_include", sa.Text()))
    op.create_foreign_key(
        "fk_jobs_webhook_endpoint_id_webhook_endpoints",
        "jobs",
        "webhook_endpoints",
        ["webhook_endpoint_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index(
        "ix_jobs_webhook_endpoint_id",
        "jobs",
        ["webhook_endpoint_id"],
        postgresql_where=sa.text("webhook_endpoint_id IS NOT NULL"),
    )
    _create_events()
    _create_deliveries()


def _create_endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("is_registered", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("events", ARRAY(sa.Text()), nullable=False),
        sa.Column("include", sa.Text(), server_default="summary", nullable=False),
        sa.Column("secret", sa.LargeBinary()),
        sa.Column("previous_secret", sa.LargeBinary()),
        sa.Column("previous_secret_expires_at", sa.DateTime(timezone=True)),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_webhook_endpoints_client_id_clients", ondelete="CASCADE"
        ),
        sa.CheckConstraint(INCLUDE, name=op.f("ck_webhook_endpoints_include")),
        sa.CheckConstraint("is_registered = (secret IS NOT NULL)", name=op.f("ck_webhook_endpoints_secret")),
        sa.CheckConstraint(
            "(disabled_at IS NULL) = (disabled_reason IS NULL)", name=op.f("ck_webhook_endpoints_disabled")
        ),
    )
    op.create_index("ix_webhook_endpoints_client_id_id", "webhook_endpoints", ["client_id", "id"])
    op.create_index(
        "uq_webhook_endpoints_url",
        "webhook_endpoints",
        ["client_id", "url"],
        unique=True,
        postgresql_where=sa.text("NOT is_registered"),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_with_lines", sa.LargeBinary()),
        sa.Column("lines_finished", sa.Integer()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_events_client_id_clients", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_events_job_id_jobs", ondelete="CASCADE"),
    )
    op.create_index("ix_events_job_id", "events", ["job_id"])
    op.create_index("ix_events_created_at", "events", ["created_at"])
    op.create_index("ix_events_client_id_created_at", "events", ["client_id", "created_at"])
    op.create_index(
        "uq_events_job_id_type",
        "events",
        ["job_id", "type"],
        unique=True,
        postgresql_where=sa.text("job_id IS NOT NULL AND type <> 'job.progress'"),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("include", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("claim", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("response_status", sa.Integer()),
        sa.Column("response_start", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_deliveries_client_id_clients", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name="fk_deliveries_endpoint_id_webhook_endpoints",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_deliveries_event_id_events", ondelete="CASCADE"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'exhausted', 'canceled')",
            name=op.f("ck_deliveries_status"),
        ),
        sa.CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name=op.f("ck_deliveries_lease")),
        sa.CheckConstraint(INCLUDE, name=op.f("ck_deliveries_include")),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.create_index(
        "ix_deliveries_due", "deliveries", ["endpoint_id", "due_at"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index(
        "ix_deliveries_running", "deliveries", ["endpoint_id"], postgresql_where=sa.text("status = 'running'")
    )
    op.create_index("ix_deliveries_client_id_id", "deliveries", ["client_id", "id"])
    op.create_index("ix_deliveries_endpoint_id_id", "deliveries", ["endpoint_id", "id"])
    op.create_index("ix_deliveries_event_id", "deliveries", ["event_id"])


def downgrade() -> None:
    op.drop_table("deliveries")
    op.drop_table("events")
    op.drop_constraint("fk_jobs_webhook_endpoint_id_webhook_endpoints", "jobs")
    op.drop_index("ix_jobs_webhook_endpoint_id", "jobs")
    for column in ("webhook_include", "webhook_events", "webhook_url", "webhook_endpoint_id"):
        op.drop_column("jobs", column)
    op.drop_table("webhook_endpoints")
    for column in ("webhook_previous_secret_expires_at", "webhook_previous_secret", "webhook_secret"):
        op.drop_column("clients", column)
