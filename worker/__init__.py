"""The Celery processes: recognise lines today, and whatever else needs hands and no HTTP."""
