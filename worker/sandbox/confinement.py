"""How a sandbox child gives up, one after the other, everything it does not need. Runs in the child only."""

import contextlib
import ctypes
import gc
import os
import resource
import signal
import sys
from pathlib import Path
from types import FrameType

from worker.sandbox.limits import SandboxLimits
from worker.sandbox.system_calls import refuse_system_calls

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_NOBODY = 65534


def forget_inherited_signals() -> None:
    """Undo what the parent's handlers and masks left behind; an interrupt at its terminal is the parent's matter."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPROF, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def confine(limits: SandboxLimits, parent_id: int) -> dict[str, bool]:
    """Give up network, identity, memory, files, processes and system calls, for good; say what of it took hold.

    Call it after every import and with a single thread: nothing can be opened or loaded afterwards.
    """
    is_linux = sys.platform == "linux"
    network_namespace = is_linux and _leave_network()
    if is_linux:
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # the kernel takes this process before the model's
    _limit_resources(limits)
    unprivileged = _leave_root()
    if is_linux:
        _drop_capabilities()  # a new user namespace hands out a full set of its own
        # Both after the change of identity, which resets them.
        _prctl(_PR_SET_DUMPABLE, 0)
        _die_with_parent(parent_id)
    filtered = is_linux and limits.system_call_filter and refuse_system_calls()
    gc.freeze()
    return {"network_namespace": network_namespace, "unprivileged_user": unprivileged, "system_call_filter": filtered}


def _leave_network() -> bool:
    """Move into an empty network namespace; without root that takes a user namespace around it."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Root does not take the second way: in a namespace without mapped users it could not become nobody any more.
    namespaces = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    return bool(libc.unshare(namespaces) == 0)


def _limit_resources(limits: SandboxLimits) -> None:
    """Lower the hard limits too, so that nothing in this process can raise them again."""
    next_descriptor = os.dup(0)
    os.close(next_descriptor)
    wanted = {
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: next_descriptor,
        resource.RLIMIT_NPROC: 0,
    }
    for which, value in wanted.items():
        hard = resource.getrlimit(which)[1]
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows RLIMIT_AS but refuses to lower it
            resource.setrlimit(which, (bounded, bounded))


def _leave_root() -> bool:
    """Become nobody if we are root; return whether this process is now without root's rights."""
    if os.geteuid() != 0:
        return True
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:  # a container may withhold even these rights from its root
        return False
    return True


def _drop_capabilities() -> None:
    """Keep no capability, neither the system's nor those within a user namespace of our own (capset(2))."""
    version_3, this_process = 0x20080522, 0
    header = (ctypes.c_uint32 * 2)(version_3, this_process)
    nothing = (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None, use_errno=True).capset(header, nothing)


def _die_with_parent(parent_id: int) -> None:
    """End when the parent ends, though not when only the thread ends that happened to start us.

    The kernel sends the signal in both cases (prctl(2), PR_SET_PDEATHSIG), so the handler looks who the parent is.
    """

    def end_if_orphaned(_number: int = 0, _frame: FrameType | None = None) -> None:
        if os.getppid() != parent_id:
            os._exit(0)

    signal.signal(signal.SIGUSR1, end_if_orphaned)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    end_if_orphaned()  # the parent may have died before the kernel knew of our wish


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
