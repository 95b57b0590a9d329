"""The system-call filter: its numbers, its decisions and its effect on real processes."""

import itertools
import json
import os
import re
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, run
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxformer.sandbox import seccomp

Fork = Literal["deny", "notify"]
Code = list[seccomp.Instruction]
Kind = tuple[str, bool, Fork]
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
KINDS: list[Kind] = [(m, a, f) for m in MACHINES for a in (False, True) for f in get_args(Fork)]
PID = 4321
KILL, ALLOW, NOTIFY, EPERM, ENOSYS = 0x80000000, 0x7FFF0000, 0x7FC00000, 0x50001, 0x50026
MACHINE = os.uname().machine
OTHER = sys.platform != "linux" or MACHINE not in MACHINES
real = pytest.mark.skipif(OTHER, reason="needs Linux on x86_64 or aarch64")


def words(text: str) -> list[str]:
    return text.split()


HEADERS = {"x86_64": ["x86_64-linux-gnu/asm/unistd_64.h"], "aarch64": ["asm-generic/unistd.h"]}
if MACHINE == "x86_64":  # elsewhere this is another machine's
    HEADERS[MACHINE].append("asm/unistd_64.h")
RECORDED = {  # for where the headers are not installed
    "x86_64": "read 0 write 1 open 2 close 3 mmap 9 ioctl 16 socket 41 socketpair 53 clone 56 "
    "fork 57 kill 62 fcntl 72 chmod 90 ptrace 101 prctl 157 futex 202 tgkill 234 openat 257 "
    "utimensat 280 prlimit64 302 getrandom 318",
    "aarch64": "dup 23 fcntl 25 ioctl 29 fchmod 52 openat 56 close 57 read 63 write 64 futex 98 "
    "utimensat 88 ptrace 117 kill 129 tgkill 131 prctl 167 socket 198 socketpair 199 clone 220 "
    "execve 221 mmap 222 prlimit64 261 getrandom 278",
}
METADATA = words(
    "chmod fchmod fchmodat chown lchown fchown fchownat utime utimes futimesat utimensat setxattr "
    "lsetxattr fsetxattr removexattr lremovexattr fremovexattr"
)
FORBIDDEN = words(
    "socket connect bind listen accept accept4 fork vfork execve execveat setsid setpgid ptrace "
    "process_vm_readv process_vm_writev kcmp tkill rt_sigqueueinfo rt_tgsigqueueinfo setpriority "
    "ioprio_set sched_setscheduler sched_setparam sched_setattr migrate_pages move_pages "
    "memfd_create shmget shmat shmctl semget semop semctl msgget msgsnd msgrcv mq_open mq_unlink "
    "unshare setns mount umount2 pivot_root chroot name_to_handle_at open_by_handle_at add_key "
    "request_key keyctl bpf perf_event_open userfaultfd kexec_load init_module finit_module "
    "delete_module seccomp setuid setgid setresuid setresgid setreuid setregid setgroups setfsuid "
    "capset fanotify_init quotactl swapon reboot sethostname settimeofday clock_settime syslog "
    "acct sync syncfs splice vmsplice tee mlockall io_setup modify_ldt iopl ioperm uselib "
    "io_uring_setup io_uring_enter pidfd_open pidfd_getfd pidfd_send_signal clone3 open_tree "
    "move_mount fsopen mount_setattr landlock_create_ruleset memfd_secret process_madvise"
)


def header_numbers(machine: str) -> dict[str, int]:
    """What the system's headers say, or else the recorded numbers."""
    for name in HEADERS[machine]:
        if (path := Path("/usr/include", name)).exists():
            defined = dict(re.findall(r"#define (__NR\w+) (\w+)", path.read_text()))
            values = {name[5:]: defined.get(value, value) for name, value in defined.items()}
            return {name: int(value) for name, value in values.items() if value.isdigit()}
    recorded = words(RECORDED[machine])
    return dict(zip(recorded[::2], map(int, recorded[1::2]), strict=True))


def own_numbers(machine: str, metadata: bool = True) -> dict[str, int]:
    numbers = seccomp._numbers(seccomp._ALLOWED + "," + seccomp._METADATA, machine)
    return {n: number for n, number in numbers.items() if metadata or n not in METADATA}


def decide(code: Code, arch: int, number: int, arguments: Sequence[int]) -> int:
    """A classic BPF machine, as far as the filter needs one."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments)
    loaded = at = 0
    while True:
        operation, yes, no, field = code[at]
        constant = PID if isinstance(field, str) else field
        at += 1
        if operation == 0x06:
            return constant
        if operation == 0x20:
            loaded = int.from_bytes(data[constant : constant + 4], "little")
        else:
            hit = {0x15: loaded == constant, 0x35: loaded >= constant, 0x45: loaded & constant != 0}
            at += yes if hit[operation] else no


def policy(machine: str, metadata: bool, fork: str, number: int, arguments: Sequence[int]) -> int:
    """The filter as one would say it."""
    if machine == "x86_64" and number & 0x40000000:
        return KILL
    name = NAMES[machine, metadata].get(number)
    if name is None:
        return EPERM if number < 424 else ENOSYS
    if name == "clone" and arguments[0] == 0x01200011 and fork == "notify":
        return NOTIFY
    a, b, c = (argument & 0xFFFFFFFF for argument in arguments[:3])  # as the kernel reads them
    fine = {
        "clone": arguments[0] in (0x3D0F00, 0x7D0F00),
        **dict.fromkeys(("kill", "tgkill"), a == PID),
        **dict.fromkeys(("prlimit64", "sched_setaffinity"), a in (0, PID)),
        "socketpair": a == 1 and b & ~0x80800 == 1,
        "setsockopt": c in (2, 7, 8, 9, 20, 21),
        "ioctl": b in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x802C542A),
        "fcntl": b <= 7 or b in (36, 37, 38, 1030, 1032),
        "prctl": a in (3, 15, 16, 21, 0x53564D41),
        "personality": a == 0xFFFFFFFF,
    }
    return ALLOW if fine.get(name, True) else EPERM


SMALL = [*range(40), 1024, 1030, 1031, 1032, PID, PID + 1, 0x801, 0x80001, 0x80801, 0x802]
SMALL += [0x5401, 0x5402, 0x5412, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x8901, 0x802C542A]
SMALL += [0x3D0F00, 0x7D0F00, 0x3D0F11, 0x10000, 0x01200011, 0x01200000, 0x53564D41, 0xFFFFFFFF]
VALUES = SMALL + [1 << 32 | value for value in SMALL] + [(1 << 64) - 1]
NAMES = {k[:2]: {n: name for name, n in own_numbers(*k[:2]).items()} for k in KINDS}
FILTERS = {k: seccomp.build(k[0], metadata=k[1], fork=k[2]) for k in KINDS}


def agree(kind: Kind, number: int, arguments: Sequence[int]) -> bool:
    decided = decide(FILTERS[kind], MACHINES[kind[0]], number, arguments)
    return decided == policy(*kind, number, arguments)


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_the_headers(machine: str) -> None:
    truth, own = header_numbers(machine), own_numbers(machine)
    shared = truth.keys() & own.keys()
    assert {n: own[n] for n in shared} == {n: truth[n] for n in shared}
    assert len(set(own.values())) == len(own)
    assert len(shared) > 15
    # Old headers lack the newest calls.
    assert len(truth) < 100 or all(own[name] >= 424 for name in own.keys() - shared)
    assert not own.keys() & set(FORBIDDEN)
    assert set(METADATA) & own.keys() == own.keys() - own_numbers(machine, False).keys()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_call_is_decided_as_the_policy_says(kind: Kind) -> None:
    numbers = own_numbers(kind[0])
    some = (0, 1, 2, PID, 0x80801, (1 << 64) - 1)
    pairs = [*itertools.product(VALUES, some), *itertools.product(some, VALUES)]
    cases = [(number, (a,) * 6) for number in range(601) for a in some]
    cases += [(numbers[name], (a, b, b, a, a, a)) for name in seccomp._RULES for a, b in pairs]
    for number, arguments in cases:
        assert agree(kind, number, arguments), (number, arguments)


@given(
    kind=st.sampled_from(KINDS),
    number=st.integers(0, 600) | st.integers(0, 2**32 - 1) | st.integers(2**30, 2**30 + 600),
    arguments=st.lists(st.integers(0, 2**64 - 1) | st.sampled_from(VALUES), min_size=6, max_size=6),
)
def test_any_call_is_decided_as_the_policy_says(
    kind: Kind, number: int, arguments: list[int]
) -> None:
    assert agree(kind, number, arguments)


def test_filters_fit_their_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(seccomp.supports(machine) for machine in MACHINES)
    assert not seccomp.supports("riscv64")
    for (machine, _, _), code in FILTERS.items():
        assert len(code) < 4096
        assert all(0 <= yes <= 255 and 0 <= no <= 255 for _, yes, no, _ in code)
        for arch in {0, 0x40000003, 0x40000028, *MACHINES.values()} - {MACHINES[machine]}:
            assert decide(code, arch, 1, [0] * 6) == KILL
    monkeypatch.setattr(seccomp, "_LONGEST_JUMP", 60)
    with pytest.raises(ValueError, match="jumps over"):
        seccomp.build("x86_64", metadata=True)


# --- real processes -------------------------------------------------------------------------------

INSTALL = """
import ctypes, json, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    arguments = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return ctypes.get_errno() if getattr(libc, name)(*arguments) < 0 else 0
lines = [[os.getpid() if f == "pid" else f for f in line] for line in json.loads(sys.argv[1])]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
assert call("prctl", 38, 1, 0, 0, 0) == 0
assert call("prctl", 22, 2, struct.pack("@HP", len(lines), ctypes.addressof(code)), 0, 0) == 0
"""


def inside(program: str, metadata: bool = True, fork: Fork = "deny", stdin: int = DEVNULL) -> str:
    """What a program prints behind the filter."""
    code = json.dumps(seccomp.build(MACHINE, metadata=metadata, fork=fork))
    line = [sys.executable, "-c", INSTALL + program, code]
    ended = run(line, capture_output=True, text=True, timeout=60, stdin=stdin, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


HONEST = {
    "threads": """
import concurrent.futures, threading
with concurrent.futures.ThreadPoolExecutor(8) as pool: assert sum(pool.map(abs, range(-9, 0))) == 45
timer = threading.Timer(0.01, print); timer.start(); timer.join()
assert not threading.Event().wait(0.01)""",
    "asyncio": """
import asyncio, signal, socket
async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
    os.kill(os.getpid(), signal.SIGUSR1)
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=one)
    other.send(b"line\\n"); assert await reader.readline() == b"line\\n"; writer.close()
    return await asyncio.to_thread(abs, -1)
assert asyncio.run(main()) == 1""",
    "files": """
import fcntl, mmap, pathlib, shutil, sqlite3, tempfile, zipfile
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name); (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/c").write_text("text"); assert len(list(folder.rglob("*"))) == 3
    shutil.copyfile(folder / "a/b/c", folder / "d"); os.listxattr(folder / "d")
    with zipfile.ZipFile(folder / "z", "w") as file: file.write(folder / "d", "c")
    zipfile.ZipFile(folder / "z").extractall(folder / "e")
    with sqlite3.connect(folder / "s") as base: base.execute("create table t(x)")
    with open(folder / "m", "w+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX); file.truncate(8192)
        memory = mmap.mmap(file.fileno(), 8192); memory[:1] = b"x"; memory.flush(); memory.close()
    os.rename(folder / "m", folder / "n"); os.symlink("n", folder / "l"); os.unlink(folder / "n")
tempfile.TemporaryFile().write(os.getrandom(4))""",
    "numpy": """
import numpy
assert (numpy.ones((300, 300)) @ numpy.linalg.eigh(numpy.eye(300))[1]).sum() == 90000""",
    "system": """
import locale, platform, resource, select, shutil, signal, time, uuid
locale.setlocale(locale.LC_ALL, ""); platform.platform(); uuid.uuid1(); os.urandom(9)
signal.pthread_sigmask(signal.SIG_BLOCK, {14}); signal.setitimer(signal.ITIMER_REAL, 0.01)
assert signal.sigwait({14}) == 14; signal.alarm(0); resource.setrlimit(4, (0, 0))
os.sched_setaffinity(0, os.sched_getaffinity(0)); shutil.get_terminal_size(); os.getloadavg()
read, write = os.pipe(); poll = select.epoll(); poll.register(read); os.write(write, b"x")
assert poll.poll(1); os.set_blocking(read, False); os.get_inheritable(os.dup(read))
time.sleep(0.01); ctypes.CFUNCTYPE(None)(lambda: None)()
assert ctypes.CDLL("libm.so.6").ilogb(ctypes.c_double(8)) == 3""",
}


@real
@pytest.mark.parametrize("metadata", [False, True])
@pytest.mark.parametrize("program", HONEST.values(), ids=HONEST)
def test_honest_programs_work(program: str, metadata: bool) -> None:
    inside(program, metadata=metadata)


@real
def test_a_terminal_is_recognised() -> None:
    terminal, side = os.openpty()
    with os.fdopen(terminal), os.fdopen(side):
        assert inside("print(os.isatty(0), os.isatty(1))", stdin=side) == "True False\n"


@real
def test_forbidden_calls_are_refused() -> None:
    numbers = [number for name, number in header_numbers(MACHINE).items() if name in FORBIDDEN]
    answers = inside(
        f"print([call('syscall', n, *[-1] * 6) for n in {numbers}])"
    )  # harmless anyway
    assert json.loads(answers) == [1 if number < 424 else 38 for number in numbers]


@real
def test_forbidden_arguments_are_refused() -> None:
    clone, setsockopt = (own_numbers(MACHINE)[name] for name in ("clone", "setsockopt"))
    program = f"""
one, other = os.pipe(); parent = os.getppid()
print([
    call("kill", parent, 0), call("kill", -1, 0), call("kill", 0, 0),
    call("tgkill", parent, parent, 0), call("prlimit", parent, 7, None, None),
    call("sched_setaffinity", parent, 8, bytes(8)), call("fcntl", one, 8, os.getpid()),
    call("fcntl", one, 10, 9), call("fcntl", one, 1031, 1 << 20), call("ioctl", one, 0x5412, b"x"),
    call("ioctl", one, 0x8901, bytes(4)), call("prctl", 1, 9, 0, 0, 0),
    call("prctl", 4, 0, 0, 0, 0), call("prctl", 22, 1, 0, 0, 0),
    call("socketpair", 1, 2, 0, bytes(8)), call("socketpair", 2, 1, 0, bytes(8)),
    call("syscall", {setsockopt}, -1, 1, 26, None, 0), call("personality", 0x40000),
    call("syscall", {clone}, 17, 0, 0, 0, 0), call("syscall", {clone}, 0x4111, 0, 0, 0, 0),
])"""
    assert json.loads(inside(program)) == [1] * 20


@real
def test_metadata_and_forks_are_choices() -> None:
    program = "print(call('chmod', b'/nonexistent', 0), call('chown', b'/nonexistent', -1, -1))"
    assert [inside(program, metadata=choice) for choice in (False, True)] == ["1 1\n", "2 2\n"]
    # Without a listener the kernel answers a notification with "no such call".
    program = "try: os.fork()\nexcept OSError as e: print(e.errno)"
    assert [inside(program, fork=fork) for fork in get_args(Fork)] == ["1\n", "38\n"]
