"""Become another program, after promising the kernel to die with the parent.

Run as a script (`python -I -S launch.py SIGNAL ACCOUNT CAPABILITY -- COMMAND...`), so that it starts in a few
milliseconds and no Python code runs between the fork and the exec of a process that may have threads.

SIGNAL is what the kernel sends when the parent dies (Linux only; elsewhere the next `up` finds the orphans). ACCOUNT is
a user's name or `-`; CAPABILITY is `-` or the number of a capability that this user keeps.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522


def become(account: str, capability: int | None) -> None:
    """Leave root for an account; the capability, if any, survives the change of user and the exec."""
    entry = pwd.getpwnam(account)
    if capability is not None:
        control_process(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if capability is not None:
        mask = 1 << capability
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(
            mask, mask, mask, 0, 0, 0
        )  # effective, permitted, inheritable; then the high words
        if ctypes.CDLL(None, use_errno=True).capset(header, sets) != 0:
            raise OSError(ctypes.get_errno(), "capset")
        control_process(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def control_process(option: int, *values: int) -> None:
    """Call prctl(2)."""
    words = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *words) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def main(arguments: list[str]) -> None:
    """Change the user, set the signal, and exec the command."""
    death_signal, account, capability, parent, separator, *command = arguments
    if separator != "--" or not command:
        sys.exit("usage: launch.py SIGNAL ACCOUNT CAPABILITY PARENT -- COMMAND...")
    if account != "-":
        become(account, None if capability == "-" else int(capability))
    if sys.platform == "linux":  # after the change of user, which forgets it
        control_process(PR_SET_PDEATHSIG, getattr(signal, death_signal))
        if os.getppid() != int(parent):  # it died in between
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - replacing this process is the point


if __name__ == "__main__":
    main(sys.argv[1:])
