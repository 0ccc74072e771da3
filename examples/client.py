"""Read line images with a running Inkpost: python examples/client.py FILE... (INKPOST_URL, INKPOST_API_KEY)."""

import base64
import os
import sys
from pathlib import Path

import httpx

api = httpx.Client(
    base_url=os.environ.get("INKPOST_URL", "http://127.0.0.1:8000"),
    headers={"Authorization": f"Bearer {os.environ['INKPOST_API_KEY']}"},
    timeout=60,
)
lines = [{"custom_id": name, "image": base64.b64encode(Path(name).read_bytes()).decode()} for name in sys.argv[1:]]
job = api.post("/v1/jobs", json={"lines": lines}).raise_for_status().json()
while job["status"] in ("queued", "running"):
    job = api.get(job["links"]["self"], params={"wait": 30}).raise_for_status().json()
for line in job["lines"]:
    print(line["custom_id"], line["text"] or line["error"], line["confidence"], sep="\t")
