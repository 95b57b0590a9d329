"""The system-call filter of a program, as data for the launcher.

It names the calls that Python and the numeric libraries need and refuses every other, so that a
call nobody thought of, or that a later kernel adds, is refused too. A program may compute, start
threads and use its private folder. It cannot reach the network or another process, start
processes, change who it is, or make kernel objects outside its memory limit.
"""

from typing import Literal

OWN_PID = "pid"
"""Stands for the program's own process id, which only the launcher knows."""

Instruction = tuple[int, int, int, int | str]
"""One classic BPF instruction: code, jump if true, jump if false, constant."""

# The kernel's names for the machines, as the filter finds them in AUDIT_ARCH.
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMNS = tuple(_MACHINES)

# Each call with its numbers on x86_64 and aarch64; "-" where a machine lacks it.
_ALLOWED = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
pwritev 296 70, preadv2 327 286, pwritev2 328 287, lseek 8 62, sendfile 40 71,
copy_file_range 326 285, fsync 74 82, fdatasync 75 83, sync_file_range 277 84, fallocate 285 47,
fadvise64 221 223, truncate 76 45, ftruncate 77 46, fcntl 72 25, ioctl 16 29,

open 2 -, openat 257 56, openat2 437 437, creat 85 -, close 3 57, close_range 436 436,
dup 32 23, dup2 33 -, dup3 292 24, pipe 22 -, pipe2 293 59, umask 95 166,
stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291, statfs 137 43, fstatfs 138 44,
access 21 -, faccessat 269 48, faccessat2 439 439, getdents64 217 61, getcwd 79 17, chdir 80 49,
fchdir 81 50, rename 82 -, renameat 264 38, renameat2 316 276, mkdir 83 -, mkdirat 258 34,
rmdir 84 -, link 86 -, linkat 265 37, unlink 87 -, unlinkat 263 35, symlink 88 -,
symlinkat 266 36, readlink 89 -, readlinkat 267 78, mknod 133 -, mknodat 259 33,
getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, listxattr 194 11, llistxattr 195 12,
flistxattr 196 13,

select 23 -, pselect6 270 72, poll 7 -, ppoll 271 73, epoll_create1 291 20, epoll_ctl 233 21,
epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441, eventfd2 290 19,
timerfd_create 283 85, timerfd_settime 286 86, timerfd_gettime 287 87,

socketpair 53 199, sendto 44 206, recvfrom 45 207, sendmsg 46 211, recvmsg 47 212,
shutdown 48 210, getsockname 51 204, getpeername 52 205, getsockopt 55 209, setsockopt 54 208,

mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, msync 26 227, madvise 28 233,
brk 12 214, mbind 237 235, membarrier 324 283,

clone 56 220, futex 202 98, futex_waitv 449 449, set_robust_list 273 99, set_tid_address 218 96,
rseq 334 293, arch_prctl 158 -, prctl 157 167, exit 60 93, exit_group 231 94, wait4 61 260,
waitid 247 95, sched_yield 24 124, sched_getaffinity 204 123, sched_setaffinity 203 122,
sched_getparam 143 121, sched_getscheduler 145 120, sched_getattr 315 275,
sched_get_priority_max 146 125, sched_get_priority_min 147 126, sched_rr_get_interval 148 127,

rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132, restart_syscall 219 128,
kill 62 129, tgkill 234 131, pause 34 -, alarm 37 -, getitimer 36 102, setitimer 38 103,

time 201 -, gettimeofday 96 169, clock_gettime 228 113, clock_getres 229 114, nanosleep 35 101,
clock_nanosleep 230 115, times 100 153, getrusage 98 165,

getpid 39 172, gettid 186 178, getppid 110 173, getpgrp 111 -, getpgid 121 155, getsid 124 156,
getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, getresuid 118 148,
getresgid 120 150, getgroups 115 158, getpriority 140 141, getrlimit 97 163, setrlimit 160 164,
prlimit64 302 261, uname 63 160, sysinfo 99 179, getcpu 309 168, getrandom 318 278,
personality 135 92
"""

# Landlock does not govern these; where no private file system does, they are refused.
_METADATA = """
chmod 90 -, fchmod 91 52, fchmodat 268 53, chown 92 -, lchown 94 -, fchown 93 55, fchownat 260 54,
utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88, setxattr 188 5, lsetxattr 189 6,
fsetxattr 190 7, removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16
"""

# From 424 on, numbers are the same on every machine. An unlisted one gets "no such call", on which
# C libraries fall back to an older call: clone3, whose arguments no filter can see, to clone.
_FIRST_COMMON = 424

# The flags with which C libraries start a thread (musl adds the obsolete CLONE_DETACHED), and
# CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, with which they fork.
_THREAD = (0x3D0F00, 0x7D0F00)
_FORK = 0x01200011

# An allowed call is refused unless each of these halves of its arguments has one of the values.
# Half 2n is the low half of argument n (the machines are little-endian), 2n + 1 the high one. The
# low half is compared alone where the kernel reads no more than that.
_RULES: dict[str, dict[int, tuple[int | str, ...]]] = {
    "clone": {1: (0,), 0: _THREAD},
    # on itself, never on another process
    "kill": {0: (OWN_PID,)},
    "tgkill": {0: (OWN_PID,)},
    "prlimit64": {0: (0, OWN_PID)},
    "sched_setaffinity": {0: (0, OWN_PID)},
    # AF_UNIX and SOCK_STREAM, with or without SOCK_NONBLOCK and SOCK_CLOEXEC. From a datagram
    # socket of a pair one could send to any socket of the host that has a name.
    "socketpair": {0: (1,), 2: (1, 0x801, 0x80001, 0x80801)},
    # SO_REUSEADDR, SNDBUF, RCVBUF, KEEPALIVE, RCVTIMEO, SNDTIMEO: no packet filters
    "setsockopt": {4: (2, 7, 8, 9, 20, 21)},
    # TCGETS, TCGETS2 (isatty), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: no typing into a
    # terminal, no signals through descriptors
    "ioctl": {2: (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)},
    # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK,
    # F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC, F_GETPIPE_SZ: no signals, no larger pipes
    "fcntl": {2: (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)},
    # PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_SET_VMA
    "prctl": {0: (3, 15, 16, 21, 0x53564D41)},
    "personality": {0: (0xFFFFFFFF,)},  # the question for it
}

# Offsets in the kernel's struct seccomp_data, BPF codes and the filter's answers.
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _NOTIFY, _ERRNO = 0x80000000, 0x7FFF0000, 0x7FC00000, 0x00050000
_EPERM, _ENOSYS = _ERRNO | 1, _ERRNO | 38
_X32 = 0x40000000  # marks the calls of a second numbering on x86_64
_LONGEST_JUMP = 255


def supports(machine: str) -> bool:
    """Whether a filter exists for `machine`, as `os.uname().machine` names it."""
    return machine in _MACHINES


def build(
    machine: str, *, metadata: bool, fork: Literal["deny", "notify"] = "deny"
) -> list[Instruction]:
    """The filter for `machine`.

    Args:
        machine: A name that `supports` accepts.
        metadata: Whether the program may change modes, owners, times and attributes of files.
        fork: "notify" leaves a fork, exactly as C libraries ask for it, to whoever listens to the
            filter's notifications; "deny" refuses it.
    """
    answers = {
        number: _answer(name, fork)
        for name, number in _numbers(_ALLOWED + "," + _METADATA * metadata, machine).items()
    }
    # Which answer begins at which number, up to the next.
    pieces: list[tuple[int, list[Instruction]]] = []
    for number in range(max(*answers, _FIRST_COMMON) + 2):
        refusal = _EPERM if number < _FIRST_COMMON else _ENOSYS
        answer = answers.get(number, [(_RETURN, 0, 0, refusal)])
        if not pieces or pieces[-1][1] != answer:
            pieces.append((number, answer))

    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, _MACHINES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_ANY_BIT, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    return code + _search(pieces)


def _numbers(table: str, machine: str) -> dict[str, int]:
    """The calls in a table that `machine` has, with their numbers."""
    entries = (entry.split() for entry in table.split(",") if entry.strip())
    column = 1 + _COLUMNS.index(machine)
    return {entry[0]: int(entry[column]) for entry in entries if entry[column] != "-"}


def _answer(name: str, fork: str) -> list[Instruction]:
    """What decides on an allowed call."""
    code: list[Instruction] = []
    if name == "clone" and fork == "notify":
        code += [
            (_LOAD, 0, 0, _ARGUMENTS + 4),
            (_EQUAL, 0, 3, 0),
            (_LOAD, 0, 0, _ARGUMENTS),
            (_EQUAL, 0, 1, _FORK),
            (_RETURN, 0, 0, _NOTIFY),
        ]
    for half, values in _RULES.get(name, {}).items():
        code.append((_LOAD, 0, 0, _ARGUMENTS + 4 * half))
        for place, value in enumerate(values):
            code.append((_EQUAL, len(values) - place, 0, value))  # over the refusal
        code.append((_RETURN, 0, 0, _EPERM))
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def _search(pieces: list[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """A binary search for the piece in which the number lies."""
    if len(pieces) == 1:
        return pieces[0][1]
    middle = len(pieces) // 2
    below, above = _search(pieces[:middle]), _search(pieces[middle:])
    if len(below) > _LONGEST_JUMP:
        raise ValueError(f"the system-call filter jumps over {len(below)} instructions")
    return [(_AT_LEAST, len(below), 0, pieces[middle][0]), *below, *above]
