"""A receiver of Inkpost's webhooks in FastAPI.

Needs: pip install fastapi uvicorn standardwebhooks
Run: WEBHOOK_SECRET=whsec_... PORT=8787 python fastapi_receiver.py
"""

import os
import sqlite3

import uvicorn
from fastapi import BackgroundTasks, FastAPI, Request, Response
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
database = sqlite3.connect(os.environ.get("DATABASE", ":memory:"), check_same_thread=False, isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS seen (webhook_id TEXT PRIMARY KEY)")


@app.post("/", status_code=204)
async def receive(request: Request, later: BackgroundTasks) -> Response:
    """Verify, note and answer."""
    try:
        # The raw bytes: a body that was parsed and written anew has another signature.
        event = webhook.verify(await request.body(), dict(request.headers))
    except WebhookVerificationError:
        return Response(status_code=400)
    # The same event may come twice, so its id decides.
    is_new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", [request.headers["webhook-id"]]).rowcount
    if is_new:
        later.add_task(handle, event)  # after the answer: an attempt has 15 seconds
    return Response(status_code=204, background=later)


def handle(event: dict) -> None:
    """Do what takes longer."""
    print(event["type"], event["data"].get("id"), flush=True)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8787")), log_level="warning")
