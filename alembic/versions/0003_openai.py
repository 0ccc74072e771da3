"""OpenAI's dialect: tokens of a line, files, batches and their requests.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BATCH_STATUSES = (
    "'validating', 'failed', 'in_progress', 'finalizing', 'completed', 'expired', 'cancelling', 'cancelled'"
)


def upgrade() -> None:
    op.add_column("lines", sa.Column("tokens", JSONB()))
    _create_files()
    _create_batches()


def _create_files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_files_client_id_clients", ondelete="CASCADE"),
    )
    op.create_index("ix_files_client_id_id", "files", ["client_id", "id"])
    op.create_index("ix_files_expires_at", "files", ["expires_at"])
    op.create_table(
        "file_parts",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "number", name="pk_file_parts"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_file_parts_file_id_files", ondelete="CASCADE"),
    )


def _create_batches() -> None:
    moments = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
    counts = ("requests_total", "requests_read", "requests_completed", "requests_failed", "parts_read", "bytes_skipped")
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="validating", nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("input_file_id", sa.Uuid(), nullable=False),
        sa.Column("output_file_id", sa.Uuid()),
        sa.Column("error_file_id", sa.Uuid()),
        sa.Column("completion_window", sa.Text(), nullable=False),
        sa.Column("client_metadata", JSONB()),
        sa.Column("errors", JSONB()),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in counts),
        sa.Column("claim", sa.Integer(), server_default="0", nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("retention_seconds", sa.Integer(), nullable=False),
        sa.Column("output_retention_seconds", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(f"{moment}_at", sa.DateTime(timezone=True)) for moment in moments),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_batches_client_id_clients", ondelete="CASCADE"),
        sa.CheckConstraint(f"status IN ({BATCH_STATUSES})", name=op.f("ck_batches_status")),
    )
    op.create_index("ix_batches_client_id_id", "batches", ["client_id", "id"])
    op.create_index("ix_batches_input_file_id", "batches", ["input_file_id"])
    op.create_index("ix_batches_due", "batches", ["look_at"], postgresql_where=sa.text("look_at IS NOT NULL"))
    op.create_table(
        "batch_requests",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("custom_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("first_line", sa.Integer(), server_default="0", nullable=False),
        sa.Column("line_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("wish", JSONB()),
        sa.Column("failure", JSONB()),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_batch_requests"),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_batch_requests_batch_id_batches", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_batch_requests_job_id_jobs", ondelete="CASCADE"),
        sa.CheckConstraint("(job_id IS NULL) = (failure IS NOT NULL)", name=op.f("ck_batch_requests_failure")),
    )
    op.create_index(
        "ix_batch_requests_job_id", "batch_requests", ["job_id"], postgresql_where=sa.text("job_id IS NOT NULL")
    )


def downgrade() -> None:
    for table in ("batch_requests", "batches", "file_parts", "files"):
        op.drop_table(table)
    op.drop_column("lines", "tokens")
