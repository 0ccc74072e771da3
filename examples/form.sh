#!/usr/bin/env bash
# A session with curl: submit a form PDF, wait, fetch its texts as CSV, as a searchable PDF and as a filled form. Needs
#   export INKPOST_URL=http://127.0.0.1:8000 INKPOST_API_KEY=$(cat inkpost-data/api-key)
# and takes a folder to write to: bash examples/form.sh /tmp
set -euo pipefail
form=$(cd "$(dirname "$0")" && pwd)/forms/intake.pdf
cd "${1:-.}"
call() { curl --silent --show-error --fail-with-body --header "Authorization: Bearer $INKPOST_API_KEY" "$@"; }

echo "# the form as it is: its fields become lines, each named after its field"
job=$(call --form "pdf=@$form;type=application/pdf" --form 'options={"client_reference": "intake-1", "document": {"cut": "field"}};type=application/json' \
    "$INKPOST_URL/v1/jobs" | sed -E 's/.*"id": ?"(job_[0-9a-f]+)".*/\1/')
echo "$job"

echo "# wait for it, up to 30 seconds a call"
call --output /dev/null "$INKPOST_URL/v1/jobs/$job?wait=30"

echo "# the texts as CSV"
call "$INKPOST_URL/v1/jobs/$job/transcript?format=csv"

echo "# the first line's picture, the form with an invisible layer of text, the form with its fields filled in"
call --remote-name --remote-header-name "$INKPOST_URL/v1/jobs/$job/lines/0/image"
call --output searchable.pdf "$INKPOST_URL/v1/jobs/$job/transcript?format=pdf"
call --output filled.pdf "$INKPOST_URL/v1/jobs/$job/transcript?format=form"
ls -- intake-1-0.png searchable.pdf filled.pdf

echo "# forget it: the form, its pictures and its texts are gone at once"
call --output /dev/null --write-out "%{http_code}\n" --request DELETE "$INKPOST_URL/v1/jobs/$job"
