"""Runs in the child process: puts up the walls, forks, and executes the program inside them.

The supervisor starts this file as a script in isolated mode, so it imports the standard library
only. The job comes as JSON on standard input. What happened goes, as JSON lines, to the status
pipe, which the program never holds; the program's uncaught exception goes to the report pipe.
"""

import ctypes
import json
import linecache
import os
import resource
import signal
import struct
import sys
import traceback
import types
from pathlib import Path
from typing import Any

NAME = "<program>"
MESSAGE_LENGTH = 4000  # so that a report always fits into a pipe's buffer

NEW_MOUNT, NEW_IPC, NEW_USER = 0x00020000, 0x08000000, 0x10000000
NEW_PID, NEW_NET = 0x20000000, 0x40000000
NOSUID, NODEV, BIND, DETACH, RECURSIVE, PRIVATE = 2, 4, 0x1000, 2, 0x4000, 0x40000
ATTR_READ_ONLY, ATTR_NOSUID, ATTR_NODEV, AT_CWD, AT_RECURSIVE = 1, 2, 4, -100, 0x8000
SET_PARENT_DEATH_SIGNAL, SET_SECCOMP, SET_NO_NEW_PRIVILEGES = 1, 22, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MOUNT_SETATTR, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 442, 444, 445, 446
NOBODY = 65534
LIBC = ctypes.CDLL(None, use_errno=True)


def system(name: str, *arguments: Any) -> int:
    """One libc call; raises OSError with the call's name if it fails."""
    function = getattr(LIBC, name)
    function.restype = ctypes.c_long if name == "syscall" else ctypes.c_int
    # The kernel reads whole registers where C would promote to int.
    result = function(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def mount_tmpfs(target: str, options: str) -> None:
    """Mounts an empty file system in memory."""
    system("mount", b"tmpfs", os.fsencode(target), b"tmpfs", NOSUID | NODEV, options.encode())


def set_attributes(path: str, attributes: int, flags: int = 0) -> None:
    """Adds mount attributes; unlike a remount, it leaves those there are as they are."""
    packed = struct.pack("=4Q", attributes, 0, 0, 0)
    system("syscall", MOUNT_SETATTR, AT_CWD, os.fsencode(path), flags, packed, len(packed))


def build_root(job: dict[str, Any], uid: int) -> None:
    """Makes a new file-system root: the readable paths and an empty private folder, no more."""
    sources = {path: "/.host" + os.path.realpath(path) for path in job["readable"]}
    system("mount", b"none", b"/", None, RECURSIVE | PRIVATE, None)
    mount_tmpfs("/tmp", "mode=755,size=1m")
    Path("/tmp/.host").mkdir()
    system("syscall", PIVOT_ROOT[os.uname().machine], b"/tmp", b"/tmp/.host")
    os.chdir("/")
    for name, source in sources.items():
        target = Path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir() if Path(source).is_dir() else target.touch()
        system("mount", os.fsencode(source), os.fsencode(name), None, BIND | RECURSIVE, None)
        nodev = 0 if name.startswith("/dev/") else ATTR_NODEV
        set_attributes(name, ATTR_READ_ONLY | ATTR_NOSUID | nodev, AT_RECURSIVE)
    Path(job["folder"]).mkdir()
    group, size = os.getgid() if uid == os.getuid() else uid, job["limits"]["file_bytes"]
    mount_tmpfs(job["folder"], f"mode=700,uid={uid},gid={group},size={size},nr_inodes=10k")
    system("umount2", b"/.host", DETACH)
    Path("/.host").rmdir()
    set_attributes("/", ATTR_READ_ONLY)


def enter_namespaces(job: dict[str, Any], uid: int) -> None:
    """Leaves the host's mounts, network, IPC and (from the next fork on) processes behind."""
    user, group = os.getuid(), os.getgid()
    ordinary = NEW_USER if user != 0 else 0
    system("unshare", NEW_MOUNT | NEW_IPC | NEW_PID | NEW_NET | ordinary)
    if ordinary:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    build_root(job, uid)


def choose_uid(job: dict[str, Any]) -> int:
    """The user id to run the program as: root gives itself up if others can read the interpreter.

    A run gets an id of its own where it can, so that the process counts of two runs don't add up.
    """
    if os.getuid() != 0:
        return os.getuid()
    for prefix in {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}:
        # A new root has parents that everyone may pass.
        parents = [] if job["tier"] == "namespaces" else prefix.parents
        if prefix.stat().st_mode & 0o5 != 0o5 or any(not p.stat().st_mode & 1 for p in parents):
            return 0
    own = 0x70000000 + os.getpid()
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        start, _, count = map(int, line.split())
        if start <= own < start + count:
            return own
    return NOBODY


def limit_resources(limits: dict[str, Any], tier: str) -> None:
    """Sets the rlimits; the hard CPU limit is a second later, so that SIGXCPU tells the reason."""
    wanted = {
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_AS: limits["memory_bytes"],
    }
    for kind, soft in wanted.items():
        hard, ceiling = soft + (kind == resource.RLIMIT_CPU), resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        try:
            resource.setrlimit(kind, (soft, hard))
        except (OSError, ValueError):
            if tier != "unprotected":  # which promises nothing: macOS lacks some limits
                raise


def become(uid: int) -> None:
    """Takes the program's user id and drops every capability, for good."""
    if uid != os.getuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    version_3_self, none = struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", *[0] * 6)
    system("capset", version_3_self, none)
    system("prctl", SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def restrict_files(job: dict[str, Any]) -> None:
    """Landlock: read the readable paths, write the private folder, signal nobody outside."""
    abi = LIBC.syscall(LANDLOCK_CREATE, None, 0, 1)
    if job["tier"] == "landlock" and abi < 3:
        raise OSError("Landlock 3 (Linux 6.2) is missing")
    if abi < 1:  # in a new root it is a second wall
        return
    handled = (1 << 13) - 1
    for since, right in ((2, 13), (3, 14), (5, 15)):  # refer, truncate, device ioctl
        handled |= (abi >= since) << right
    network, scoped = 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = system(
        "syscall", LANDLOCK_CREATE, struct.pack("=3Q", handled, network, scoped)[:size], size, 0
    )
    execute, write_file, read_file, read_folder = 1, 1 << 1, 1 << 2, 1 << 3
    rules = dict.fromkeys(job["readable"], execute | read_file | read_folder)
    rules |= {"/dev/null": write_file | read_file, job["folder"]: handled}
    for path, rights in rules.items():
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not Path(path).is_dir():
            rights &= execute | write_file | read_file
        rule = struct.pack("=Qi", rights, descriptor)
        system("syscall", LANDLOCK_ADD, ruleset, 1, rule, 0)
        os.close(descriptor)
    system("syscall", LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def filter_calls(instructions: list[list[Any]]) -> None:
    """Installs the supervisor's seccomp filter."""
    own = [[os.getpid() if field == "pid" else field for field in line] for line in instructions]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in own))
    header = struct.pack("@HP", len(own), ctypes.addressof(code))
    system("prctl", SET_SECCOMP, 2, header, 0, 0)


def confine(job: dict[str, Any], uid: int) -> None:
    """Puts up, in the program's process, every wall that its tier promises."""
    limit_resources(job["limits"], job["tier"])
    if job["tier"] == "unprotected":
        os.chdir(job["folder"])
        return
    # The count is per user. An ordinary user's other processes are counted too, unless a user
    # namespace starts from zero; there the two processes of the launcher are counted.
    if job["tier"] == "namespaces" or uid != os.getuid():
        tasks = job["limits"]["processes"] + (2 if uid == os.getuid() else 0)
        resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
    become(uid)
    os.chdir(job["folder"])
    # After the change of user, which would clear it.
    system("prctl", SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    restrict_files(job)
    filter_calls(job["filter"])


def execute(job: dict[str, Any]) -> None:
    """Executes the program as `__main__`; an uncaught exception is reported and printed."""
    source = job["program"]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    lines = [line + "\n" for line in source.split("\n")]
    linecache.cache[NAME] = (len(source), None, lines, NAME)
    sys.argv = [NAME]
    sys.path[:] = [job["folder"], *sys.path, *(p for p in job["packages"] if p not in sys.path)]
    sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        exec(compile(source, NAME, "exec", dont_inherit=True), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        memory = isinstance(error, MemoryError)
        if memory:  # room to tell of it
            traceback.clear_frames(error.__traceback__)
            main.__dict__.clear()
        try:
            message = str(error)
        except Exception:
            message = "<exception str() failed>"
        text = f"{type(error).__name__}: {message}" if message else type(error).__name__
        tell(job["report_fd"], {"exception": text[:MESSAGE_LENGTH], "memory": memory})
        frames = error.__traceback__
        traceback.print_exception(error.with_traceback(frames.tb_next if frames else None))
        sys.exit(1)


def tell(descriptor: int, message: dict[str, Any]) -> None:
    """Writes one JSON line."""
    os.write(descriptor, json.dumps(message).encode() + b"\n")


def main() -> None:
    """Three processes: this one, the first of the new PID namespace, and the program."""
    job = json.load(sys.stdin)
    status, tier = job["status_fd"], job["tier"]
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.umask(0o022)
    try:
        uid = os.getuid()
        if tier != "unprotected":
            system("prctl", SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() != job["supervisor"]:
                os._exit(1)
            uid = choose_uid(job)
        if tier == "namespaces":
            enter_namespaces(job, uid)
            if child := os.fork():
                os.waitpid(child, 0)
                os._exit(0)
            system("prctl", SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        elif uid != os.getuid():
            os.chown(job["folder"], uid, uid)
        if child := os.fork():
            _, wait, usage = os.wait4(child, 0)
            tell(status, {"wait": wait, "cpu_seconds": usage.ru_utime + usage.ru_stime})
            os._exit(0)
        confine(job, uid)
    except Exception as error:
        tell(status, {"error": str(error)})
        os._exit(1)
    tell(status, {"ready": True})
    os.close(status)
    execute(job)


if __name__ == "__main__":
    main()
