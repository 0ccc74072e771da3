"""Which user runs PostgreSQL, which refuses to run as root."""

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CAP_DAC_OVERRIDE = 1
CANDIDATES = ("inkpost", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user to run as, and the capability it keeps when it could not reach the folders without it."""

    name: str
    user_id: int
    group_id: int
    capability: int | None = None


def unprivileged_account(owner_of: Path, must_reach: Iterable[Path]) -> Account | None:
    """Return the account that shall own and run a PostgreSQL cluster, or None when this process is not root.

    An existing cluster's owner is kept. A checkout or a data folder below a private home cannot be entered by another
    user; opening the home to everybody would be worse than what we do: that one server keeps CAP_DAC_OVERRIDE, which
    is still far less than the root it is started by.
    """
    if os.geteuid() != 0:
        return None
    entry = _owner(owner_of) or _first_existing(CANDIDATES)
    reachable = all(is_reachable(path, entry.pw_uid, entry.pw_gid) for path in must_reach)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, None if reachable else CAP_DAC_OVERRIDE)


def is_reachable(path: Path, user_id: int, group_id: int) -> bool:
    """Tell whether a user can enter every folder above a path and, if it is a file, read it."""
    path = path.resolve()
    wanted = [(parent, 0o1) for parent in path.parents]
    if path.is_file():
        wanted.append((path, 0o4))
    return all(_allows(folder, bits, user_id, group_id) for folder, bits in wanted)


def _allows(path: Path, bits: int, user_id: int, group_id: int) -> bool:
    status = path.stat()
    if status.st_uid == user_id:
        return bool(status.st_mode & (bits << 6))
    if status.st_gid == group_id:
        return bool(status.st_mode & (bits << 3))
    return bool(status.st_mode & bits)


def _owner(path: Path) -> pwd.struct_passwd | None:
    if not path.exists() or path.stat().st_uid == 0:
        return None
    try:
        return pwd.getpwuid(path.stat().st_uid)
    except KeyError:
        return None


def _first_existing(names: Iterable[str]) -> pwd.struct_passwd:
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError(f"PostgreSQL does not run as root, and none of these users exists: {', '.join(names)}")
