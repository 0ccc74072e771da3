"""Documents: form PDFs, what is made of them, templates; what a line needs to stand on a page.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lines", sa.Column("image_width", sa.Integer()))
    op.add_column("lines", sa.Column("image_height", sa.Integer()))
    op.add_column("lines", sa.Column("source", sa.Text(), server_default="recognised", nullable=False))
    op.create_check_constraint(op.f("ck_lines_source"), "lines", "source IN ('recognised', 'typed')")
    _create_documents()
    _create_renditions()
    _create_templates()


def _leased() -> list[sa.Column]:
    """Return the columns of what a worker claims."""
    return [
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("crash_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("leased_by", sa.Uuid()),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    ]


def _index_leased(table: str) -> None:
    op.create_index(f"ix_{table}_queued", table, ["created_at"], postgresql_where=sa.text("status = 'queued'"))
    op.create_index(f"ix_{table}_lease", table, ["lease_expires_at"], postgresql_where=sa.text("status = 'running'"))


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        *_leased(),
        sa.Column("data", sa.LargeBinary()),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("password", sa.Text()),
        sa.Column("asked_cut", sa.Text(), nullable=False),
        sa.Column("pages", JSONB()),
        sa.Column("regions", JSONB()),
        sa.Column("template", sa.Text()),
        sa.Column("cut", sa.Text()),
        sa.Column("found_pages", JSONB()),
        sa.Column("skipped", JSONB()),
        sa.PrimaryKeyConstraint("job_id", name="pk_documents"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_documents_job_id_jobs", ondelete="CASCADE"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')", name=op.f("ck_documents_status")
        ),
        sa.CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name=op.f("ck_documents_lease")),
        sa.CheckConstraint("status <> 'queued' OR data IS NOT NULL", name=op.f("ck_documents_data")),
    )
    _index_leased("documents")


def _create_renditions() -> None:
    op.create_table(
        "renditions",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        *_leased(),
        sa.Column("data", sa.LargeBinary()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_detail", sa.Text()),
        sa.PrimaryKeyConstraint("job_id", "format", name="pk_renditions"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["documents.job_id"], name="fk_renditions_job_id_documents", ondelete="CASCADE"
        ),
        sa.CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed')", name=op.f("ck_renditions_status")),
        sa.CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name=op.f("ck_renditions_lease")),
        sa.CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name=op.f("ck_renditions_error")),
        sa.CheckConstraint("(status = 'succeeded') = (data IS NOT NULL)", name=op.f("ck_renditions_data")),
    )
    _index_leased("renditions")


def _create_templates() -> None:
    op.create_table(
        "templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cut", sa.Text(), nullable=False),
        sa.Column("pages", JSONB()),
        sa.Column("regions", JSONB()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_templates"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_templates_client_id_clients", ondelete="CASCADE"
        ),
    )
    op.create_index("uq_templates_client_id_name", "templates", ["client_id", "name"], unique=True)


def downgrade() -> None:
    for table in ("templates", "renditions", "documents"):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_lines_source"), "lines")
    for column in ("source", "image_height", "image_width"):
        op.drop_column("lines", column)
