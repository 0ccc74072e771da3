"""Every knob, with its effect and the reason for its default.

Built once per process by `load_settings()` and passed in; nothing else reads the environment. A variable is the
field's name in capitals with the prefix `INKPOST_`, and `__` between a group and its field:
`INKPOST_LEASES__SECONDS=45`. The database and the broker may also be given as plain `DATABASE_URL` and `REDIS_URL`,
as hosting platforms do.
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class Group(BaseModel):
    """Base of the groups of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Group):
    """What a request may hold. `GET /v1/limits` shows the limits in force."""

    max_body_bytes: int = Field(64 * MIB, ge=1024, description="Largest request body; bounds an API thread's memory.")
    max_image_bytes: int = Field(
        8 * MIB, ge=1024, description="Largest line image after base64; a 600 dpi colour line is about 2 MiB."
    )
    max_lines: int = Field(10_000, ge=1, description="Most lines in one job.")
    min_image_side_pixels: int = Field(4, ge=1, description="Narrowest side of a line image; below it there is no ink.")
    max_image_side_pixels: int = Field(
        10_000, ge=16, description="Longest side of a line image; the model sees a few hundred pixels of it."
    )
    max_image_pixels: int = Field(
        20_000_000, ge=1024, description="Largest width times height; bounds the sandbox child's memory."
    )
    max_aspect_ratio: float = Field(100.0, gt=1, description="Longest side over shortest; beyond it, not a line.")
    max_document_bytes: int = Field(
        40 * MIB, ge=1024, description="Largest form PDF after base64; fits into the largest body."
    )
    max_pages: int = Field(1_000, ge=1, description="Most pages of a form PDF that are looked at.")
    max_page_side_points: float = Field(
        14_400.0, gt=72, description="Longest side of a page; 200 inches, the most that PDF 1.7 asks readers to bear."
    )
    max_template_regions: int = Field(1_000, ge=1, description="Most regions in a template or a document's wish.")
    max_templates: int = Field(200, ge=1, description="Most templates that one client may keep.")
    max_wait_seconds: float = Field(60.0, ge=0, le=60, description="Longest long-poll; proxies often cut at 60 s.")
    max_page_size: int = Field(1_000, ge=1, description="Most rows in one page of a listing.")
    max_retention_seconds: int = Field(
        30 * 86_400, ge=60, description="Longest time that a client may ask to keep a job; forms are personal data."
    )


class Api(Group):
    """How the REST facade listens, and what it grants one connection."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 inside a container.")
    port: int = Field(8000, ge=1, le=65_535, description="Port to listen on.")
    processes: int = Field(2, ge=1, description="API processes; one a core that the API may use.")
    threads: int = Field(
        64,
        ge=4,
        description="Requests that a process answers at once; half may be long-polls, a quarter slow large bodies, an "
        "eighth fetches of images.",
    )
    connections: int = Field(
        1_000, ge=64, description="Connections that a process holds; a new one beyond them closes the longest idle one."
    )
    request_seconds: float = Field(
        30.0, gt=0, description="Time for a request to arrive and for its answer to leave; slower ones are dropped."
    )
    keepalive_seconds: int = Field(
        75, ge=1, description="How long an idle connection stays open; longer than the usual proxy's 60 s."
    )
    key_cache_seconds: float = Field(
        2.0, ge=0, le=5, description="How long an API key that was good is not looked up again; bounds revocation."
    )
    open_metrics: bool = Field(
        False, description="Answer /metrics without an API key, for a scraper inside the operator's own network."
    )


class Leases(Group):
    """How long a claim on a line is good, and what happens when its worker dies."""

    seconds: float = Field(45.0, gt=0, description="A claim's time; renewed while its worker makes progress.")
    sweep_seconds: float = Field(5.0, gt=0, description="Pause between sweeps; a lost bell costs at most this long.")
    max_crashes: int = Field(
        3, ge=1, description="Worker deaths after which a line fails instead of being tried again."
    )
    stall_seconds: float = Field(
        120.0, gt=0, description="Without progress for this long a worker gives its lines back and kills itself."
    )


class Worker(Group):
    """What one recognition worker process does."""

    model: str | None = Field(
        None, description="Model to serve: `inkpost-starter`, a folder or a hub id. Unset: the API's default model."
    )
    device: str = Field("auto", description="`auto` takes cuda:0 when there is one, else cpu.")
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = Field(
        "auto", description="`auto` is float32 on cpu (exact) and bfloat16 on cuda."
    )
    threads: int | None = Field(None, ge=1, description="torch threads; unset leaves the choice to torch.")
    max_batch: int | None = Field(
        None, ge=1, description="Most lines in hand at once; at most, and when unset, as many as the recogniser wants."
    )
    slice_seconds: float = Field(
        300.0, gt=0, description="How long one Celery task drains its queue before it hands back to Celery."
    )
    metrics_port: int | None = Field(None, ge=1, le=65535, description="Port for Prometheus; unset serves none.")
    metrics_host: str = Field("127.0.0.1", description="Address for Prometheus; 0.0.0.0 inside a container.")


class Documents(Group):
    """How form PDFs are cut, and PDFs written from them. Their size limits are among `limits`."""

    cpu_seconds: float = Field(
        20.0,
        gt=0,
        description="Processor time to cut or write one document, and 50 ms more a line; a hostile one is ended then.",
    )
    wall_seconds: float = Field(
        60.0, gt=0, description="Time on the clock without a word from the sandbox child before it is ended."
    )
    memory_mib: int = Field(
        1024,
        ge=128,
        description="Address space of the sandbox child; resident it stays far below, measured by a bench.",
    )
    max_cut_mib: int = Field(
        512, ge=1, description="Most memory for all line images of one document; 10,000 lines are some 300 MiB."
    )
    lease_seconds: float = Field(
        30.0, gt=0, description="A claim's time; renewed while the sandbox child makes progress."
    )
    rendition_seconds: float = Field(
        20.0, gt=0, le=60, description="How long a request waits for a PDF to be written before it says 503."
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port for Prometheus of the documents worker; unset serves none."
    )


class Webhooks(Group):
    """Where webhooks may go, and how patiently they are sent."""

    allow_http: bool = Field(False, description="Allow http:// too; bodies then travel unencrypted, so off by default.")
    allowed_ports: tuple[int, ...] = Field(
        (80, 443, 8080, 8443), description="Ports that a URL may name; an empty list allows any."
    )
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description="Networks to allow though not public, such as 10.1.0.0/16; opens an intranet on purpose.",
    )
    nameservers: tuple[str, ...] = Field(
        (), description="Name servers as `address:port`; empty asks the machine's own resolver, hosts file included."
    )
    ca_file: Path | None = Field(
        None,
        description="Certificates of authorities to trust in place of the machine's; for an intranet's own authority.",
    )
    attempt_seconds: float = Field(15.0, gt=0, description="An attempt's whole time, whatever the receiver does.")
    connect_seconds: float = Field(
        3.0,
        gt=0,
        description="Time to resolve the name, and as much again to connect; a living receiver needs far less.",
    )
    lease_seconds: float = Field(
        30.0,
        gt=0,
        description="A claim's time, longer than an attempt; after it a dead worker's delivery is sent again.",
    )
    max_in_flight: int = Field(
        128, ge=1, description="Attempts that one process has on the way at once; each waiting one costs a thread."
    )
    max_in_flight_per_endpoint: int = Field(
        4, ge=1, description="Attempts on the way to one endpoint at once; one at a time while it fails."
    )
    secret_overlap_seconds: int = Field(
        86_400, ge=0, description="How long a replaced secret signs along with its successor."
    )
    give_up_seconds: int = Field(
        5 * 86_400, ge=60, description="An endpoint that does nothing but fail for this long is disabled."
    )
    history_seconds: int = Field(
        30 * 86_400, ge=86_400, description="How long events and deliveries are kept for listings and replay."
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port for Prometheus of the webhooks worker; unset serves none."
    )
    max_endpoints: int = Field(50, ge=1, description="Most endpoints that one client may register.")

    @model_validator(mode="after")
    def _outlives_an_attempt(self) -> "Webhooks":
        if self.lease_seconds <= self.attempt_seconds:
            raise ValueError("lease_seconds must be longer than attempt_seconds")
        return self


class OpenAI(Group):
    """How OpenAI's dialect answers."""

    answer_seconds: float = Field(
        50.0, gt=0, description="How long a call waits for its lines before it says 504; proxies often cut at 60 s."
    )
    max_batch_requests: int = Field(50_000, ge=1, description="Most requests in one batch; OpenAI's own limit.")
    batch_window_seconds: int = Field(
        86_400, ge=1, description="Time of a batch, after which it expires with what was read; clients write it as 24h."
    )
    batch_chunk_requests: int = Field(
        500, ge=1, description="Most requests of a batch in one job; smaller makes smaller transactions and more jobs."
    )
    fetch_images: bool = Field(
        False,
        description="Fetch images behind URLs, by the rules of webhooks; off, for callers then choose what it calls.",
    )
    fetch_seconds: float = Field(
        10.0, gt=0, description="Time to fetch all images of one call, before the wait for its lines begins."
    )
    max_fetched_images: int = Field(16, ge=1, description="Most images of one call that are fetched, one by one.")


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="INKPOST_", env_nested_delimiter="__", frozen=True, extra="ignore", populate_by_name=True
    )

    database_url: SecretStr = Field(
        SecretStr("postgresql://inkpost@127.0.0.1:5432/inkpost"),
        validation_alias=AliasChoices("INKPOST_DATABASE_URL", "DATABASE_URL"),
        description="PostgreSQL 14 or newer, as a libpq URL.",
    )
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        validation_alias=AliasChoices("INKPOST_REDIS_URL", "REDIS_URL"),
        description="Redis 6.2 or newer with `maxmemory-policy noeviction`; it carries doorbells, never the truth.",
    )
    default_model: str = Field(
        "microsoft/trocr-base-handwritten", description="Model of a job that names none; its name is the last part."
    )
    trusted_hosts: tuple[str, ...] = Field(
        (), description="Host names that the API answers to; empty answers to any, for use behind a proxy that checks."
    )
    retention_seconds: int = Field(
        7 * 86_400, ge=60, description="How long a finished job is kept unless it asks for less or more."
    )
    idempotency_seconds: int = Field(86_400, ge=60, description="How long an Idempotency-Key is remembered.")
    keep_images: bool = Field(
        True, description="Keep a line image as long as its job; false forgets it as soon as its line is finished."
    )
    database_pool_size: int = Field(10, ge=1, description="Connections per process; waiting for one ends in a 503.")
    database_timeout_seconds: float = Field(
        2.5, gt=0, description="Wait for a pooled connection, a connect, or a lock, before the API says 503."
    )
    bell_timeout_seconds: float = Field(
        0.5, gt=0, description="Budget for ringing a worker; a bell that fails is made good by the next sweep."
    )
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    failpoints: str = Field(
        "", description="Tests only: comma-separated names of places where the process kills itself, once each."
    )
    api: Api = Api()
    limits: Limits = Limits()
    leases: Leases = Leases()
    worker: Worker = Worker()
    documents: Documents = Documents()
    webhooks: Webhooks = Webhooks()
    openai: OpenAI = OpenAI()


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        pydantic.ValidationError: a variable's value is not acceptable; the message names it.
    """
    return Settings()


def served_name(model: str) -> str:
    """Return the name under which a model is served: the last part of its hub id or folder."""
    if model.startswith("fake:"):  # the fake's speed follows its name
        return "fake"
    return Path(model).resolve().name if Path(model).is_dir() else model.rstrip("/").rsplit("/", 1)[-1]
