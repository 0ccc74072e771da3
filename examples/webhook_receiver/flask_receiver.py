"""A receiver of Inkpost's webhooks in Flask.

Needs: pip install flask standardwebhooks
Run: WEBHOOK_SECRET=whsec_... PORT=8787 python flask_receiver.py
"""

import os
import sqlite3

from flask import Flask, Response, request
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

app = Flask(__name__)
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
database = sqlite3.connect(os.environ.get("DATABASE", ":memory:"), check_same_thread=False, isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS seen (webhook_id TEXT PRIMARY KEY)")


@app.post("/")
def receive() -> Response:
    """Verify, note and answer."""
    try:
        # The raw bytes: a body that was parsed and written anew has another signature.
        event = webhook.verify(request.get_data(), dict(request.headers))
    except WebhookVerificationError:
        return Response(status=400)
    # The same event may come twice, so its id decides. In your service this row and what you keep of the event belong
    # into one transaction.
    is_new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", [request.headers["webhook-id"]]).rowcount
    if is_new:
        print(event["type"], event["data"].get("id"), flush=True)  # hand longer work to a queue and answer now
    return Response(status=204)


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8787")))
