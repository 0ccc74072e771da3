"""The Flask application."""

from flask import Flask

from api import (
    capacity,
    deliveries,
    documentation,
    health,
    jobs,
    limits,
    line_images,
    lines,
    models,
    new_jobs,
    templates,
    transcripts,
    usage,
    webhook_endpoints,
    webhook_secret,
)
from api.edge import guard
from api.openai import batches, chat, files, responses
from api.operations import Operation, register
from api.services import EXTENSION, Services
from core.settings import Settings

OPERATIONS: tuple[Operation, ...] = (
    *new_jobs.operations,
    *jobs.operations,
    *lines.operations,
    *line_images.operations,
    *transcripts.operations,
    *templates.operations,
    *webhook_endpoints.operations,
    *webhook_secret.operations,
    *deliveries.operations,
    *limits.operations,
    *models.operations,
    *chat.operations,
    *responses.operations,
    *files.operations,
    *batches.operations,
    *capacity.operations,
    *usage.operations,
    *health.operations,
    *documentation.operations,
)


def create_app(settings: Settings) -> Flask:
    """Build the application for one process, after any fork."""
    app = Flask("inkpost", static_folder=None, template_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    services = Services.create(settings)
    app.extensions[EXTENSION] = services
    guard(app, services)
    register(app, OPERATIONS)
    return app
