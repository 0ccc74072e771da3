"""Read line images with OpenAI's own client: python examples/openai_client.py FILE...

Set OPENAI_BASE_URL=http://127.0.0.1:8000/v1 and OPENAI_API_KEY to a key of Inkpost's.
"""

import base64
import json
import mimetypes
import sys
import time
from pathlib import Path

from openai import OpenAI

client = OpenAI()
model = next(model.id for model in client.models.list() if getattr(model, "is_default", False))


def image_part(name: str) -> dict[str, object]:
    """Return the part of a message that holds an image."""
    media_type = mimetypes.guess_type(name)[0] or "image/png"
    data = base64.b64encode(Path(name).read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}


names = sys.argv[1:] or sys.exit("Name the images to read.")
messages = [{"role": "user", "content": [image_part(name) for name in names]}]

print("# now, a delta for each line")
for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
    print(chunk.choices[0].delta.content or "", end="", flush=True)

print("\n# as a batch, a request for each line")
requests = [
    {
        "custom_id": name,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": model, "messages": [{"role": "user", "content": [image_part(name)]}]},
    }
    for name in names
]
file = client.files.create(
    file=("lines.jsonl", "\n".join(json.dumps(request) for request in requests).encode()), purpose="batch"
)
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
while batch.status not in {"completed", "failed", "expired", "cancelled"}:
    time.sleep(1)
    batch = client.batches.retrieve(batch.id)
for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
    for line in client.files.content(file_id).text.splitlines():
        answer = json.loads(line)
        body = (answer["response"] or {}).get("body", {})
        text = body["choices"][0]["message"]["content"] if "choices" in body else body.get("error", answer["error"])
        print(answer["custom_id"], text, sep="\t")
