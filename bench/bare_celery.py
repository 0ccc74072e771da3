"""The bare Celery application that `bench/service.py` compares with: one task that does nothing, a Redis result."""

import os

from celery import Celery

TASK = "bench.read"


def create_app(redis_url: str) -> Celery:
    """Build the application: late acknowledgement and no prefetching, as the service has it."""
    app = Celery("bare", broker=redis_url, backend=redis_url)
    app.conf.worker_prefetch_multiplier = 1
    app.conf.task_acks_late = True
    app.task(name=TASK)(_read)
    return app


def _read(text: str) -> str:
    return text


if __name__ == "__main__":
    options = ["--concurrency=1", "--loglevel=WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    create_app(os.environ["BARE_REDIS_URL"]).worker_main(["worker", *options])
