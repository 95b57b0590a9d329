"""The walls around a program, each put up by the process that is to stand behind it.

This runs in the fork server and in the programs' own processes before the program starts: system
calls through libc, nothing else. A wall that fails to go up raises OSError.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NO_PROCESS = 0x7FFFFFFF
"""No process has this id."""

NEW_MOUNT, NEW_IPC, NEW_USER = 0x00020000, 0x08000000, 0x10000000
NEW_PID, NEW_NET = 0x20000000, 0x40000000
_SHARE_MEMORY, _SHARE_FOLDER, _SHARE_DESCRIPTORS = 0x100, 0x200, 0x400
_NOSUID, _NODEV, _BIND, _DETACH, _RECURSIVE, _PRIVATE = 2, 4, 0x1000, 2, 0x4000, 0x40000
_ATTR_READ_ONLY, _ATTR_NOSUID, _ATTR_NODEV, _AT_CWD, _AT_RECURSIVE = 1, 2, 4, -100, 0x8000
_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SECCOMP, _SET_FILTER, _NEW_LISTENER = {"x86_64": 317, "aarch64": 277}, 1, 8
_MOUNT_SETATTR, _LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 442, 444, 445, 446
_CHOWN, _KILL, _SETGID, _SETUID, _SYS_ADMIN = 1, 1 << 5, 1 << 6, 1 << 7, 1 << 21
_NOBODY_UID = 65534
_OWN_PID = 0x6A664944  # stands for the program's process id; no other constant of a filter is it
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> int:
    """One libc call; raises OSError with the call's name if it fails."""
    function = getattr(_LIBC, name)
    function.restype = ctypes.c_long if name == "syscall" else ctypes.c_int
    # The kernel reads whole registers where C would promote to int.
    result = function(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _kernel_call(name: str, number: int, *arguments: Any) -> int:
    """One system call that libc has no function for."""
    try:
        return _call("syscall", number, *arguments)
    except OSError as error:
        raise OSError(error.errno, f"{name}: {os.strerror(error.errno or 0)}") from None


# --- namespaces and the file system ---------------------------------------------------------------


def leave_the_host(readable: Iterable[str], folder: str) -> None:
    """Leaves the host's files, network, IPC and (from the next fork on) processes behind.

    Args:
        readable: The paths that stay to be read.
        folder: Where the private folders are to be mounted.
    """
    user, group = os.getuid(), os.getgid()
    ordinary = NEW_USER if user != 0 else 0
    _call("unshare", NEW_MOUNT | NEW_IPC | NEW_PID | NEW_NET | ordinary)
    if ordinary:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _build_root(readable, folder)


def _build_root(readable: Iterable[str], folder: str) -> None:
    """Makes a new file-system root: the readable paths and a place for the private folder."""
    sources = {path: "/.host" + os.path.realpath(path) for path in readable}
    _call("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
    _mount_tmpfs("/tmp", "mode=755,size=1m")
    Path("/tmp/.host").mkdir()
    _kernel_call("pivot_root", _PIVOT_ROOT[os.uname().machine], b"/tmp", b"/tmp/.host")
    os.chdir("/")
    for name, source in sources.items():
        target = Path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir() if Path(source).is_dir() else target.touch()
        _call("mount", os.fsencode(source), os.fsencode(name), None, _BIND | _RECURSIVE, None)
        nodev = 0 if name.startswith("/dev/") else _ATTR_NODEV
        _set_attributes(name, _ATTR_READ_ONLY | _ATTR_NOSUID | nodev, _AT_RECURSIVE)
    Path(folder).mkdir(parents=True, exist_ok=True)
    _call("umount2", b"/.host", _DETACH)
    Path("/.host").rmdir()
    _set_attributes("/", _ATTR_READ_ONLY)


def _mount_tmpfs(target: str, options: str) -> None:
    _call("mount", b"tmpfs", os.fsencode(target), b"tmpfs", _NOSUID | _NODEV, options.encode())


def _set_attributes(path: str, attributes: int, flags: int = 0) -> None:
    """Adds mount attributes; unlike a remount, it leaves those there are as they are."""
    packed = struct.pack("=4Q", attributes, 0, 0, 0)
    _kernel_call(
        "mount_setattr", _MOUNT_SETATTR, _AT_CWD, os.fsencode(path), flags, packed, len(packed)
    )


class NewProcesses:
    """A PID namespace, which is there as long as its first process is.

    That process does nothing: it shares this one's memory and waits in `pause`. So programs are
    second processes, to whom signals mean what they always do, without a second fork of a whole
    interpreter.

    Args:
        orphans: Whether processes may come to have it as their parent, which the kernel is to reap.
    """

    def __init__(self, *, orphans: bool) -> None:
        self._stack = ctypes.create_string_buffer(1 << 16)  # room for a signal's frame too
        top = ctypes.addressof(self._stack) + len(self._stack) & ~0xF
        flags = _SHARE_MEMORY | _SHARE_FOLDER | _SHARE_DESCRIPTORS | NEW_PID | signal.SIGCHLD
        pause = ctypes.cast(_LIBC.pause, ctypes.c_void_p)
        # It inherits what is done about ended children; this process must not miss one meanwhile.
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN) if orphans else None
        self.pid = _call("clone", pause, ctypes.c_void_p(top), flags, None)
        if orphans:
            signal.signal(signal.SIGCHLD, before)

    def fork(self, home: int) -> int:
        """Forks a child into this namespace.

        Args:
            home: A pidfd of the caller, to whose namespace its later children return.
        """
        handle = os.pidfd_open(self.pid)
        _call("setns", handle, NEW_PID)
        os.close(handle)
        if child := os.fork():
            _call("setns", home, NEW_PID)
        return child

    def end(self) -> None:
        """Ends every process in it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def mount_private_folder(folder: str, uid: int, size: int) -> None:
    """Leaves the fork server's mounts and IPC, and mounts an empty folder in memory."""
    _call("unshare", NEW_MOUNT | NEW_IPC)
    group = os.getgid() if uid == os.getuid() else uid
    _mount_tmpfs(folder, f"mode=700,uid={uid},gid={group},size={size},nr_inodes=10k")


# --- users, privileges and resources --------------------------------------------------------------


def choose_uid(*, new_root: bool) -> int:
    """The user id for programs: root gives itself up if others can read the interpreter.

    Each fork server gets an id of its own where it can, so that thread counts don't add up.

    Args:
        new_root: Whether the programs will see a new root, whose folders everyone may pass.
    """
    if os.getuid() != 0:
        return os.getuid()
    for prefix in {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}:
        parents = [] if new_root else prefix.parents
        if prefix.stat().st_mode & 0o5 != 0o5 or any(not p.stat().st_mode & 1 for p in parents):
            return 0
    own = 0x70000000 + os.getpid()
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        start, _, count = map(int, line.split())
        if start <= own < start + count:
            return own
    return _NOBODY_UID


def keep_needed_privileges() -> None:
    """Leaves the fork server what it needs to start and to kill programs."""
    _set_capabilities(_CHOWN | _KILL | _SETGID | _SETUID | _SYS_ADMIN)


def drop_privileges(uid: int) -> None:
    """Takes the program's user id and drops every capability, for good."""
    if uid != os.getuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _set_capabilities(0)
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _set_capabilities(mask: int) -> None:
    version_3_self = struct.pack("=Ii", 0x20080522, 0)
    _call("capset", version_3_self, struct.pack("=6I", mask, mask, 0, 0, 0, 0))


def end_with_parent() -> None:
    """Has the kernel kill this process when its parent ends."""
    _call("prctl", _PARENT_DEATH_SIGNAL, signal.SIGKILL)


def limit_resources(limits: dict[str, Any], used_memory: int, *, strict: bool) -> None:
    """Sets the rlimits; the hard CPU limit is a second later, so that SIGXCPU tells the reason.

    Args:
        limits: The fields of `Limits`.
        used_memory: Address space in bytes that the interpreter takes up before the program.
        strict: Raise if the system lacks one, as macOS does.
    """
    wanted = {
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_AS: limits["memory_bytes"] + used_memory,
    }
    for kind, soft in wanted.items():
        hard, ceiling = soft + (kind == resource.RLIMIT_CPU), resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        try:
            resource.setrlimit(kind, (soft, hard))
        except (OSError, ValueError):
            if strict:
                raise


def limit_tasks(tasks: int) -> None:
    """Bounds the processes and threads of this process's user."""
    resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))


# --- Landlock and the system-call filter ----------------------------------------------------------


def make_ruleset(readable: Iterable[str], writable: str, *, required: bool) -> int | None:
    """A Landlock ruleset: read the readable paths, write beneath one folder, signal nobody outside.

    Args:
        readable: Files and folders.
        writable: A folder. What is mounted on a folder *in* it is beneath it, on it is not.
        required: Raise where the kernel is too old; otherwise None is returned, for in a new root
            it is a second wall.
    """
    abi = _LIBC.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if required and abi < 3:
        raise OSError("Landlock 3 (Linux 6.2) is missing")
    if abi < 1:
        return None
    handled = (1 << 13) - 1
    for since, right in ((2, 13), (3, 14), (5, 15)):  # refer, truncate, device ioctl
        handled |= (abi >= since) << right
    network, scoped = 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _kernel_call(
        "landlock_create_ruleset",
        _LANDLOCK_CREATE,
        struct.pack("=3Q", handled, network, scoped)[:size],
        size,
        0,
    )
    execute, write_file, read_file, read_folder = 1, 1 << 1, 1 << 2, 1 << 3
    rules = dict.fromkeys(readable, execute | read_file | read_folder)
    rules |= {"/dev/null": write_file | read_file, writable: handled}
    for path, rights in rules.items():
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not Path(path).is_dir():
            rights &= execute | write_file | read_file
        rule = struct.pack("=Qi", rights, descriptor)
        _kernel_call("landlock_add_rule", _LANDLOCK_ADD, ruleset, 1, rule, 0)
        os.close(descriptor)
    return ruleset


def restrict_files(ruleset: int) -> None:
    """Puts this process behind a ruleset, for good."""
    _kernel_call("landlock_restrict_self", _LANDLOCK_RESTRICT, ruleset, 0)


def pack_filter(instructions: list[list[Any]]) -> bytes:
    """A system-call filter of `seccomp.build` as the kernel reads it, without process ids."""
    return b"".join(
        struct.pack("=HBBI", *(_OWN_PID if field == "pid" else field for field in line))
        for line in instructions
    )


def filter_calls(packed: bytes, pid: int, *, listen: bool = False) -> int:
    """Installs a system-call filter, for good.

    Args:
        packed: The filter.
        pid: The process that may be sent signals: this one. Copies of a state inherit the filter
            and have other ids, so that a state may send none.
        listen: Whether to make a descriptor that tells of the calls that wait for an answer.

    Returns:
        That descriptor, or 0.
    """
    own = packed.replace(struct.pack("=I", _OWN_PID), struct.pack("=I", pid))
    code = ctypes.create_string_buffer(own, len(own))
    header = struct.pack("@HP", len(own) // 8, ctypes.addressof(code))
    number = _SECCOMP[os.uname().machine]
    return _kernel_call("seccomp", number, _SET_FILTER, _NEW_LISTENER if listen else 0, header)
