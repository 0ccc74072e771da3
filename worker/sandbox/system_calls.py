"""The seccomp filter of a sandbox child: once it is installed, only memory, time, read and write are left.

Written by hand because the bindings on offer wrap a libseccomp that has to be installed besides; the filter itself is
forty instructions of classic BPF (https://docs.kernel.org/userspace-api/seccomp_filter.html). A refused call fails
with EPERM instead of ending the process, so a library that merely probes for something goes on without it.
"""

import ctypes
import errno
import os
import struct

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_LOAD_WORD, _JUMP_IF_EQUAL, _JUMP_IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_THIRD_ARGUMENT = 0, 4, 32
_PROT_EXEC = 4

# Machine name -> (AUDIT_ARCH value, allowed calls, calls allowed only without PROT_EXEC in their third argument).
# In order: read write close fstat lseek readv writev, brk munmap mremap madvise, rt_sigaction rt_sigprocmask
# rt_sigreturn sigaltstack, sched_yield sched_getaffinity setitimer getpid getppid gettid, exit exit_group
# restart_syscall futex, clock_gettime gettimeofday times getrusage getrandom; then mmap mprotect.
_X86_64 = "0 1 3 5 8 19 20  12 11 25 28  13 14 15 131  24 204 38 39 110 186  60 231 219 202  228 96 100 98 318"
_AARCH64 = (
    "63 64 57 80 62 65 66  214 215 216 233  134 135 139 132  124 123 103 172 173 178  93 94 128 98  113 169 153 165 278"
)
_MACHINES = {
    "x86_64": (0xC000003E, tuple(map(int, _X86_64.split())), (9, 10)),
    "aarch64": (0xC00000B7, tuple(map(int, _AARCH64.split())), (222, 226)),
}


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def refuse_system_calls() -> bool:
    """Install the filter for the rest of this process's life; return False where no filter is known or allowed."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None or struct.calcsize("P") != 8:  # not for 32 bits on a 64-bit kernel
        return False
    instructions = _program(*machine)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    program = _Program(len(instructions) // 8, instructions)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _program(architecture: int, allowed: tuple[int, ...], allowed_without_exec: tuple[int, ...]) -> bytes:
    """Assemble: another architecture is refused, listed calls are allowed, memory never becomes executable anew."""
    listed = [(number, "allow") for number in allowed] + [(number, "check") for number in allowed_without_exec]
    refuse, check, allow = 3 + len(listed), 4 + len(listed), 7 + len(listed)  # where the three endings start
    lines = [
        (_LOAD_WORD, 0, 0, _OFFSET_ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, refuse - 2, architecture),
        (_LOAD_WORD, 0, 0, _OFFSET_NUMBER),
    ]
    for number, ending in listed:
        target = allow if ending == "allow" else check
        lines.append((_JUMP_IF_EQUAL, target - len(lines) - 1, 0, number))
    lines += [
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD_WORD, 0, 0, _OFFSET_THIRD_ARGUMENT),
        (_JUMP_IF_ANY_BIT, 0, 1, _PROT_EXEC),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
