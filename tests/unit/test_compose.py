"""compose.yaml and the Dockerfiles say nothing that the code does not know. No Docker engine is needed."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from jsonschema import Draft201909Validator
from pydantic import AliasChoices, BaseModel

from cli.main import main
from core.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILES = sorted(ROOT.glob("*/Dockerfile"))


def setting_names(group: type[BaseModel], prefix: str = "INKPOST_") -> set[str]:
    """Return every environment variable that the settings read."""
    names: set[str] = set()
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= setting_names(field.annotation, f"{prefix}{name.upper()}__")
        elif isinstance(field.validation_alias, AliasChoices):
            names |= {str(choice) for choice in field.validation_alias.choices}
        else:
            names.add(prefix + name.upper())
    return names


def parse(words: list[str]) -> None:
    """Let click parse a command line without running it; an unknown command or option raises."""
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, f"there is no command {words[0]}"
    command.make_context(words[0], words[1:])


def test_the_file_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec/schema.json").read_text())
    faults = [
        f"{list(fault.absolute_path)}: {fault.message}" for fault in Draft201909Validator(schema).iter_errors(COMPOSE)
    ]
    assert faults == []


def test_the_schema_would_notice_a_mistake() -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec/schema.json").read_text())
    assert not Draft201909Validator(schema).is_valid({"services": {"api": {"comand": ["api"]}}})


def test_every_role_of_the_service_is_there() -> None:
    assert set(SERVICES) >= {
        "postgres",
        "redis",
        "migrate",
        "api",
        "webhooks",
        "documents",
        "recogniser",
        "recogniser-gpu",
    }


@pytest.mark.parametrize("name", OURS)
def test_each_command_is_one_that_inkpost_has(name: str) -> None:
    parse(OURS[name]["command"])


@pytest.mark.parametrize("name", OURS)
def test_each_environment_name_is_a_setting(name: str) -> None:
    assert set(OURS[name]["environment"]) <= setting_names(Settings)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_each_environment_name_of_an_image_is_a_setting(dockerfile: Path) -> None:
    named = set(re.findall(r"\b(INKPOST_\w+)=", dockerfile.read_text()))
    assert named
    assert named <= setting_names(Settings)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_each_image_runs_inkpost_and_not_as_root(dockerfile: Path) -> None:
    instructions = [line.split(maxsplit=1) for line in dockerfile.read_text().splitlines() if line[:1].isupper()]
    users = [value for word, value in instructions if word == "USER"]
    assert users
    assert users[-1].strip() not in {"root", "0"}
    assert ["ENTRYPOINT", '["inkpost"]'] in instructions
    (default,) = [json.loads(value) for word, value in instructions if word == "CMD"]
    parse(default)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_each_image_copies_what_exists_and_is_in_the_build_context(dockerfile: Path) -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in dockerfile.read_text().splitlines():
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists()
                assert source in admitted


@pytest.mark.parametrize("name", OURS)
def test_each_image_is_built_from_a_dockerfile_with_the_arguments_that_it_takes(name: str) -> None:
    build = OURS[name]["build"]
    dockerfile = (ROOT / build["dockerfile"]).read_text()
    assert set(build.get("args", {})) <= set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))


@pytest.mark.parametrize("name", OURS)
def test_each_extra_that_an_image_is_built_with_is_one_that_inkpost_has(name: str) -> None:
    extra = OURS[name]["build"].get("args", {}).get("EXTRA")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extra is None or extra in extras


def test_no_secret_has_a_default() -> None:
    used = re.findall(r"\$\{(\w*PASSWORD\w*)([^}]*)\}", (ROOT / "compose.yaml").read_text())
    assert {name for name, _ in used} == {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    assert all(rest.startswith(":?") for _, rest in used)


def test_nothing_that_holds_state_is_reachable_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["api"]


def test_what_recognises_and_what_cuts_can_be_scaled() -> None:
    for name in ("recogniser", "recogniser-gpu", "documents"):
        assert "ports" not in SERVICES[name]
        assert "container_name" not in SERVICES[name]


def test_a_gpu_is_reserved_only_when_asked_for() -> None:
    assert "deploy" not in SERVICES["recogniser"]
    assert SERVICES["recogniser-gpu"]["profiles"] == ["gpu"]
    (device,) = SERVICES["recogniser-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_what_runs_for_long_comes_back_and_what_serves_others_is_checked() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped"), name
    assert all("healthcheck" in SERVICES[name] for name in ("postgres", "redis", "api"))


def test_redis_keeps_its_file_and_refuses_rather_than_forgets() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
