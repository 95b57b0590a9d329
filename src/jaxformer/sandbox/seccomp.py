"""The system-call filter of a program, as data for the launcher.

A program may compute, start threads and use its private folder. It gets EPERM for making sockets,
processes or kernel objects outside its memory limit, and for touching any other process.
"""

from typing import NamedTuple

OWN_PID = "pid"
"""Stands for the program's own process id, which only the launcher knows."""

Instruction = tuple[int, int, int, int | str]
"""One classic BPF instruction: code, jump if true, jump if false, constant."""


class _Machine(NamedTuple):
    audit_arch: int
    column: int


_MACHINES = {"x86_64": _Machine(0xC000003E, 0), "aarch64": _Machine(0xC00000B7, 1)}

# From 424 on numbers are the same on every machine. All of those are answered with "no such call",
# io_uring, pidfd_*, clone3 and those not yet invented included, save these harmless ones:
# close_range, openat2, faccessat2, epoll_pwait2, futex_waitv.
_FIRST_COMMON = 424
_COMMON_ALLOWED = (436, 437, 439, 441, 449)

# The numbers on x86_64 and aarch64; None where a machine lacks the call.
_DENIED: dict[str, tuple[int, int | None]] = {
    # the network
    "socket": (41, 198),
    # new processes: with one process, the memory and CPU limits hold for the whole program
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # memory that the address-space limit does not count
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # namespaces, mounts and the deeper kernel
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
}

# Landlock does not govern these; where no private file system does, they are refused.
_METADATA: dict[str, tuple[int, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}

# Calls allowed for these values of the first argument only: on itself, never on another process.
_ONLY: dict[str, tuple[tuple[int, int], tuple[int | str, ...]]] = {
    "kill": ((62, 129), (OWN_PID,)),
    "tgkill": ((234, 131), (OWN_PID,)),
    "prlimit64": ((302, 261), (0, OWN_PID)),
    "sched_setaffinity": ((203, 122), (0, OWN_PID)),
}
# Calls denied for these values of the second argument: signals through file descriptors
# (F_SETOWN, F_SETSIG, F_SETOWN_EX; FIOSETOWN, SIOCSPGRP) and typing into a terminal (TIOCSTI).
_NEVER: dict[str, tuple[tuple[int, int], tuple[int, ...]]] = {
    "fcntl": ((72, 25), (8, 10, 15)),
    "ioctl": ((16, 29), (0x8901, 0x8902, 0x5412)),
}
_CLONE = (56, 220)
_CLONE_THREAD = 0x10000

# Offsets in the kernel's struct seccomp_data; arguments by their low half (little-endian machines).
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = _ERRNO | 1, _ERRNO | 38


def supports(machine: str) -> bool:
    """Whether a filter exists for `machine`, as `os.uname().machine` names it."""
    return machine in _MACHINES


def build(machine: str, *, metadata: bool) -> list[Instruction]:
    """The filter for `machine`.

    Args:
        machine: A name that `supports` accepts.
        metadata: Whether the program may change modes, owners, times and attributes of files.
    """
    arch, column = _MACHINES[machine]
    tables = (_DENIED,) if metadata else (_DENIED, _METADATA)
    denied = [numbers[column] for table in tables for numbers in table.values()]

    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]

    def when_equal(number: int, answer: int) -> None:
        code.extend([(_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)])

    for number in _COMMON_ALLOWED:
        when_equal(number, _ALLOW)
    code.extend([(_AT_LEAST, 0, 1, _FIRST_COMMON), (_RETURN, 0, 0, _ENOSYS)])
    for number in denied:
        if number is not None:
            when_equal(number, _EPERM)

    def when_argument(
        number: int, argument: int, test: int, values: tuple[int | str, ...], hit: int, miss: int
    ) -> None:
        body: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
        for value in values:
            body.extend([(test, 0, 1, value), (_RETURN, 0, 0, hit)])
        body.append((_RETURN, 0, 0, miss))
        code.append((_EQUAL, 0, len(body), number))
        code.extend(body)

    when_argument(_CLONE[column], 0, _ANY_BIT, (_CLONE_THREAD,), _ALLOW, _EPERM)
    for numbers, allowed in _ONLY.values():
        when_argument(numbers[column], 0, _EQUAL, allowed, _ALLOW, _EPERM)
    for numbers, refused in _NEVER.values():
        when_argument(numbers[column], 1, _EQUAL, refused, _EPERM, _ALLOW)
    code.append((_RETURN, 0, 0, _ALLOW))
    return code
