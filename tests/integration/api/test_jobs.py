import base64
import json

import pytest
import redis
from sqlalchemy import text

from core.tables import Job, Line, StoredImage
from tests.integration.api.conftest import line
from tests.unit.api.pictures import image_of, png


def test_a_job_is_accepted_read_and_reported(caller, bench):
    accepted = caller.submit(line("surname"), line("town"), client_reference="form-7", metadata={"desk": "3"})
    assert accepted.status_code == 202
    assert accepted.headers["Location"] == f"/v1/jobs/{accepted.json['id']}"
    assert int(accepted.headers["Retry-After"]) >= 1
    assert accepted.json["counts"] == {
        "total": 2, "queued": 2, "running": 0, "succeeded": 0, "failed": 0, "canceled": 0, "needs_review": 0,
    }  # fmt: skip

    bench.read_lines()

    finished = caller("GET", accepted.headers["Location"])
    assert finished.status_code == 200
    assert "Retry-After" not in finished.headers
    job = finished.json
    assert (job["status"], job["client_reference"], job["metadata"]) == ("succeeded", "form-7", {"desk": "3"})
    assert [(read["index"], read["custom_id"], read["text"]) for read in job["lines"]] == [
        (0, "surname", "text 0"),
        (1, "town", "text 1"),
    ]


def test_the_answer_to_a_submission_is_what_a_look_at_the_job_says(caller):
    accepted = caller.submit(line("a"), line(), priority="bulk", decoding={"num_beams": 2}, review_threshold=0.5)
    looked = caller("GET", accepted.headers["Location"])
    assert looked.json == accepted.json
    assert looked.headers["Retry-After"] == accepted.headers["Retry-After"]


def test_what_was_asked_for_is_stored(caller, bench):
    job_id = caller.submitted(
        line(),
        priority="interactive",
        decoding={"n_best": 3, "max_new_tokens": 9},
        review_threshold=1,
        retention_seconds=77,
    )
    with bench.sessions() as session:
        job = session.query(Job).one()
        assert (job.priority, job.review_threshold, job.retention_seconds, job.model) == (0, 1.0, 77, "fake")
        assert job.decoding == {"num_beams": 3, "n_best": 3, "max_new_tokens": 9}
        assert f"job_{job.id.hex}" == job_id


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_one_image_is_a_job_whatever_its_format(caller, bench, kind):
    image = image_of(kind)
    answer = caller("POST", "/v1/jobs", data=image, content_type=f"image/{kind.lower()}")
    assert answer.status_code == 202
    with bench.sessions() as session:
        stored = session.query(StoredImage).one()
        assert (stored.data, stored.media_type) == (image, f"image/{kind.lower()}")


def multipart(*parts: tuple[str, str | None, bytes]) -> dict[str, object]:
    body = b"".join(
        f'--BB\r\nContent-Disposition: form-data; name="{name}"\r\n'.encode()
        + (f"Content-Type: {media_type}\r\n" if media_type else "").encode()
        + b"\r\n" + data + b"\r\n"
        for name, media_type, data in parts
    )  # fmt: skip
    return {"data": body + b"--BB--\r\n", "content_type": "multipart/form-data; boundary=BB"}


def test_images_may_come_as_parts_in_their_order_with_options(caller, bench):
    images = [png(50 + index, 20) for index in range(5)]
    options = json.dumps({"client_reference": "scan", "priority": "bulk"}).encode()
    parts = [("image", "image/png", image) for image in images]
    answer = caller("POST", "/v1/jobs", **multipart(*parts[:2], ("options", "application/json", options), *parts[2:]))
    assert answer.status_code == 202
    assert (answer.json["client_reference"], answer.json["priority"]) == ("scan", "bulk")
    with bench.sessions() as session:
        assert [stored.data for stored in session.query(StoredImage).order_by(StoredImage.index)] == images


@pytest.mark.parametrize(
    ("parts", "status", "code", "pointer"),
    [
        ([("image", None, b"GIF89a")], 422, "unsupported_image_format", "/lines/0/image"),
        ([("image", "image/jpeg", png())], 422, "type_mismatch", "/lines/0/image"),
        ([("image", None, png()), ("picture", None, png())], 422, "unknown_field", "/picture"),
        ([("image", None, png()), ("options", None, b'{"status":"succeeded"}')], 422, "unknown_field", "/status"),
        (
            [("image", None, png()), ("options", None, b"{}"), ("options", None, b"{}")],
            422,
            "duplicate_key",
            "/options",
        ),
        ([("options", None, b"{}")], 422, "too_few", "/lines"),
    ],
)
def test_a_wrong_part_is_refused(caller, parts, status, code, pointer):
    answer = caller("POST", "/v1/jobs", **multipart(*parts))
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("body", [b"", b"--BB", b"--BB\r\n\r\n", b"nonsense"])
def test_a_broken_multipart_body_is_refused(caller, body):
    answer = caller("POST", "/v1/jobs", data=body, content_type="multipart/form-data; boundary=BB")
    assert answer.status_code == 400


def test_nothing_is_stored_when_any_line_is_refused_and_every_bad_line_is_named(caller, bench):
    bad = {"image": base64.b64encode(b"GIF89a" + bytes(20)).decode()}
    answer = caller.submit(line(), bad, line(), {"image": "****"}, *[line() for _ in range(7)], line(image=png(1, 1)))
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid_request"
    assert [(fault["pointer"], fault["code"]) for fault in answer.json["errors"]] == [
        ("/lines/1/image", "unsupported_image_format"),
        ("/lines/3/image", "invalid_base64"),
        ("/lines/11/image", "image_dimensions"),
    ]
    with bench.sessions() as session:
        assert [session.query(table).count() for table in (Job, Line, StoredImage)] == [0, 0, 0]


def test_a_line_that_only_decoding_can_fail_fails_alone(caller, bench):
    job_id = caller.submitted(*[line() for _ in range(11)])
    bench.read_lines(damaged=(4,))
    job = caller("GET", f"/v1/jobs/{job_id}").json
    assert job["status"] == "partial"
    assert job["lines"][4]["error"]["code"] == "corrupt_image"
    assert job["counts"]["succeeded"] == 10


def test_a_job_of_a_thousand_lines_keeps_their_order(caller, bench):
    job_id = caller.submitted(*[line(str(index), png(40 + index, 30)) for index in range(1_000)])
    while bench.read_lines():
        pass
    lines = caller("GET", f"/v1/jobs/{job_id}").json["lines"]
    assert [(read["index"], read["custom_id"], read["text"]) for read in lines] == [
        (index, str(index), f"text {index}") for index in range(1_000)
    ]


def test_an_unchanged_job_is_304_and_a_changed_one_is_not(caller, bench):
    job_id = caller.submitted()
    first = caller("GET", f"/v1/jobs/{job_id}")
    tag = first.headers["ETag"]
    same = caller("GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": tag})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
    bench.read_lines()
    changed = caller("GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_jobs_are_listed_newest_first_page_by_page(caller, stranger):
    stranger.submitted()
    submitted = [caller.submitted(client_reference=f"ref-{index % 2}") for index in range(7)]
    seen, cursor = [], ""
    while cursor is not None:
        page = caller("GET", f"/v1/jobs?limit=3{f'&cursor={cursor}' if cursor else ''}").json
        assert len(page["data"]) <= 3
        assert all("lines" not in job for job in page["data"])
        seen += [job["id"] for job in page["data"]]
        cursor = page["next_cursor"]
    assert seen == submitted[::-1]


def test_a_listing_is_filtered_by_status_reference_and_time(caller, bench):
    first = caller.submitted(client_reference="a")
    bench.read_lines()
    second = caller.submitted(client_reference="b")

    def ids(query: str) -> list[str]:
        return [job["id"] for job in caller("GET", f"/v1/jobs?{query}").json["data"]]

    assert ids("status=succeeded") == [first]
    assert ids("client_reference=b") == [second]
    created = caller("GET", f"/v1/jobs/{first}").json["created_at"]
    assert second in ids(f"created_after={created}")
    assert ids("created_after=2999-01-01T00:00:00Z") == []


def test_lines_are_listed_by_index_page_by_page_and_filtered(caller, bench):
    job_id = caller.submitted(*[line(str(index)) for index in range(7)], review_threshold=0.95)
    bench.read_lines(3)
    seen, cursor = [], ""
    while cursor is not None:
        page = caller("GET", f"/v1/jobs/{job_id}/lines?limit=2{f'&cursor={cursor}' if cursor else ''}").json
        seen += [read["index"] for read in page["data"]]
        cursor = page["next_cursor"]
    assert seen == list(range(7))

    def count(query: str) -> int:
        return len(caller("GET", f"/v1/jobs/{job_id}/lines?{query}").json["data"])

    assert (count("needs_review=true"), count("needs_review=false"), count("status=queued")) == (3, 4, 4)


def test_a_canceled_job_keeps_what_was_read_and_cannot_be_canceled_again(caller, bench):
    job_id = caller.submitted(line(), line(), line())
    bench.read_lines(1)
    canceled = caller("POST", f"/v1/jobs/{job_id}/cancel")
    assert canceled.status_code == 202
    assert canceled.json["status"] == "canceled"
    assert canceled.json["counts"] | {"total": 3} == {
        "total": 3, "queued": 0, "running": 0, "succeeded": 1, "failed": 0, "canceled": 2, "needs_review": 0,
    }  # fmt: skip
    again = caller("POST", f"/v1/jobs/{job_id}/cancel")
    assert (again.status_code, again.json["code"]) == (409, "already_terminal")
    assert caller("GET", f"/v1/jobs/{job_id}").json["lines"][0]["text"] == "text 0"


def test_a_deleted_job_is_gone_with_its_images_and_may_be_deleted_again(caller, bench):
    job_id = caller.submitted(line("a"))
    bench.read_lines()
    deleted = caller("DELETE", f"/v1/jobs/{job_id}")
    assert (deleted.status_code, deleted.data, deleted.content_type) == (204, b"", None)
    for method, path in [("GET", ""), ("GET", "/lines"), ("POST", "/cancel")]:
        answer = caller(method, f"/v1/jobs/{job_id}{path}")
        assert (answer.status_code, answer.json["code"]) == (410, "expired")
    assert caller("DELETE", f"/v1/jobs/{job_id}").status_code == 204
    assert caller("GET", "/v1/jobs").json["data"] == []
    with bench.sessions() as session:
        assert session.query(StoredImage).count() == 0


def test_a_job_is_gone_once_its_retention_is_over(caller, bench):
    job_id = caller.submitted(retention_seconds=60)
    bench.read_lines()
    with bench.sessions.begin() as session:
        session.execute(text("UPDATE jobs SET expires_at = now() - interval '1 s'"))
    answer = caller("GET", f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json["code"]) == (410, "expired")
    assert caller("GET", "/v1/jobs").json["data"] == []


def test_another_clients_job_does_not_exist(caller, stranger):
    job_id = caller.submitted()
    for method, path in [("GET", ""), ("GET", "/lines"), ("POST", "/cancel"), ("DELETE", "")]:
        theirs = stranger(method, f"/v1/jobs/{job_id}{path}")
        nobodys = stranger(method, f"/v1/jobs/job_{'0' * 32}{path}")
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json["code"] == nobodys.json["code"] == "not_found"
    assert caller("GET", f"/v1/jobs/{job_id}").json["status"] == "queued"


def test_a_model_that_nobody_serves_is_refused_and_the_default_is_not(caller):
    assert caller.submit(model="fake").status_code == 202
    answer = caller.submit(model="gpt-handwriting")
    assert (answer.status_code, answer.json["code"], answer.json["errors"][0]["pointer"]) == (
        422,
        "unknown_model",
        "/model",
    )


def test_a_submission_rings_the_bell_of_its_model(caller, redis_url):
    caller.submitted()
    with redis.Redis.from_url(redis_url) as broker:
        assert broker.llen("lines.fake") == 1
