"""The first tables: clients and keys, jobs and lines, idempotency keys, workers.

Revision: 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clients"),
        sa.UniqueConstraint("name", name="uq_clients_name"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("scopes", ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_api_keys_client_id_clients", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_api_keys_client_id", "api_keys", ["client_id"])
    _create_jobs()
    _create_lines()
    op.create_table(
        "line_images",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "index", name="pk_line_images"),
        sa.ForeignKeyConstraint(
            ["job_id", "index"],
            ["lines.job_id", "lines.index"],
            name="fk_line_images_job_id_index_lines",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("answer", JSONB()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "key", name="pk_idempotency_keys"),
        sa.UniqueConstraint("job_id", name="uq_idempotency_keys_job_id"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_idempotency_keys_client_id_clients", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_idempotency_keys_job_id_jobs", ondelete="CASCADE"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "workers",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_revision", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("slot", name="pk_workers"),
    )
    op.create_index("ix_workers_model", "workers", ["model"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_revision", sa.Text()),
        sa.Column("priority", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("decoding", JSONB(), nullable=False),
        sa.Column("review_threshold", sa.Double()),
        sa.Column("client_reference", sa.Text()),
        sa.Column("client_metadata", JSONB(), nullable=False),
        sa.Column("retention_seconds", sa.Integer(), nullable=False),
        sa.Column("lines_total", sa.Integer(), nullable=False),
        sa.Column("lines_succeeded", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lines_failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lines_canceled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lines_needing_review", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_detail", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("gone_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_jobs_client_id_clients"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'partial', 'failed', 'canceled')", name=op.f("ck_jobs_status")
        ),
        sa.CheckConstraint(
            "lines_succeeded + lines_failed + lines_canceled <= lines_total", name=op.f("ck_jobs_counts")
        ),
    )
    op.create_index("ix_jobs_client_id_id", "jobs", ["client_id", "id"])
    op.create_index(
        "ix_jobs_client_reference",
        "jobs",
        ["client_id", "client_reference"],
        postgresql_where=sa.text("client_reference IS NOT NULL"),
    )
    op.create_index("ix_jobs_expires_at", "jobs", ["expires_at"], postgresql_where=sa.text("gone_at IS NULL"))
    op.create_index("ix_jobs_gone_at", "jobs", ["gone_at"], postgresql_where=sa.text("gone_at IS NOT NULL"))


def _create_lines() -> None:
    op.create_table(
        "lines",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("fair_tag", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("crash_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("leased_by", sa.Uuid()),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True)),
        sa.Column("custom_id", sa.Text()),
        sa.Column("page", sa.Integer()),
        sa.Column("box", ARRAY(sa.Double())),
        sa.Column("text", sa.Text()),
        sa.Column("confidence", sa.Double()),
        sa.Column("min_token_confidence", sa.Double()),
        sa.Column("alternatives", JSONB()),
        sa.Column("truncated", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("needs_review", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("review_reasons", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_detail", sa.Text()),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("job_id", "index", name="pk_lines"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_lines_job_id_jobs", ondelete="CASCADE"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')", name=op.f("ck_lines_status")
        ),
        sa.CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name=op.f("ck_lines_lease")),
        sa.CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name=op.f("ck_lines_error")),
        sa.CheckConstraint("(status = 'succeeded') = (text IS NOT NULL)", name=op.f("ck_lines_text")),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.02"},
    )
    queued = sa.text("status = 'queued'")
    op.create_index(
        "ix_lines_claim", "lines", ["model", "priority", "fair_tag", "job_id", "index"], postgresql_where=queued
    )
    op.create_index("ix_lines_share", "lines", ["client_id", "model", "priority", "fair_tag"], postgresql_where=queued)
    op.create_index(
        "ix_lines_suspect",
        "lines",
        ["model", "priority", "fair_tag"],
        postgresql_where=sa.text("status = 'queued' AND crash_attempts > 0"),
    )
    op.create_index("ix_lines_lease", "lines", ["lease_expires_at"], postgresql_where=sa.text("status = 'running'"))


def downgrade() -> None:
    for table in ("workers", "idempotency_keys", "line_images", "lines", "jobs", "api_keys", "clients"):
        op.drop_table(table)
