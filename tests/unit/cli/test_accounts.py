"""Who may enter which folder, judged by modes alone."""

import os
import pwd
from pathlib import Path

import pytest

from cli.local.accounts import is_reachable, unprivileged_account

STRANGER = 4_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that everybody can enter, below pytest's own, which nobody else can."""
    inner = tmp_path / "open"
    inner.mkdir(mode=0o755)
    return inner


def test_a_private_folder_above_keeps_strangers_out(folder: Path) -> None:
    folder.chmod(0o700)
    assert not is_reachable(folder / "data", STRANGER, STRANGER)


def test_the_owner_of_every_private_folder_gets_through(folder: Path) -> None:
    folder.chmod(0o700)
    assert is_reachable(folder / "data", os.getuid(), os.getgid())


def test_a_file_must_be_readable_too(folder: Path) -> None:
    secret = folder / "secret"
    secret.touch(mode=0o600)
    assert is_reachable(secret, os.getuid(), os.getgid())
    assert not is_reachable(secret, STRANGER, STRANGER)


@pytest.mark.skipif(os.geteuid() == 0, reason="root is not an ordinary user")
def test_an_ordinary_user_runs_everything_as_itself(folder: Path) -> None:
    assert unprivileged_account(folder, []) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")
def test_the_owner_of_an_existing_cluster_keeps_it(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    account = unprivileged_account(folder, [])
    assert account is not None
    assert account.name == "nobody"
    assert account.capability is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")
def test_the_server_keeps_a_capability_only_where_it_could_not_pass_without(folder: Path) -> None:
    folder.chmod(0o700)
    account = unprivileged_account(folder, [folder / "data"])
    assert account is not None
    assert account.user_id != 0
    assert account.capability is not None
