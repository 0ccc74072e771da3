#!/usr/bin/env bash
# A session with curl: submit two line images, wait, read, delete. Needs INKPOST_URL and INKPOST_API_KEY, for example
#   export INKPOST_URL=http://127.0.0.1:8000 INKPOST_API_KEY=$(cat inkpost-data/api-key)
set -euo pipefail
cd "$(dirname "$0")/lines"
auth="Authorization: Bearer $INKPOST_API_KEY"

echo "# one image as it is: the answer is the job, its address in Location"
curl --silent --show-error --fail-with-body --include --header "$auth" \
    --header "Content-Type: image/png" --data-binary @01-surname.png "$INKPOST_URL/v1/jobs" | grep -iE "^(HTTP|Location|Retry-After)"

echo "# two images of one form, with the form's own number; safe to send again, thanks to the Idempotency-Key"
job=$(printf '{"client_reference": "form-4711", "lines": [
        {"custom_id": "address", "image": "%s"},
        {"custom_id": "date", "image": "%s"}]}' "$(base64 <03-address.png)" "$(base64 <05-date.png)" | tr -d '\n' |
    curl --silent --show-error --fail-with-body --header "$auth" --header "Idempotency-Key: form-4711-$$" \
        --header "Content-Type: application/json" --data-binary @- "$INKPOST_URL/v1/jobs" |
    sed -E 's/.*"id": ?"(job_[0-9a-f]+)".*/\1/')
echo "$job"

echo "# wait for it, up to 30 seconds a call"
curl --silent --show-error --fail-with-body --header "$auth" "$INKPOST_URL/v1/jobs/$job?wait=30"
echo

echo "# forget it: images and texts are gone at once"
curl --silent --show-error --fail-with-body --output /dev/null --write-out "%{http_code}\n" --request DELETE --header "$auth" \
    "$INKPOST_URL/v1/jobs/$job"
