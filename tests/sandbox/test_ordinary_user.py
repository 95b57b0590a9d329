"""The sandbox's suites once more, as a user without rights, where the tests run as root.

As a program, this file becomes that user and turns into pytest. Where others may not pass a folder
on the way to the interpreter, as in root's home, it shows them another, in a mount namespace of its
own: the machine keeps nothing of it.
"""

import ctypes
import os
import re
import stat
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SUITES = ("test_run.py", "test_hostile.py", "test_check.py", "test_live.py")
UID = 12345
NEW_MOUNT, NEW_USER = 0x20000, 0x10000000
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE, DETACH = 1, 0x20, 0x1000, 0x4000, 0x40000, 2
LANDLOCK_CREATE = 444
NOT_POSSIBLE = 77


def libc(name: str, *arguments: str | int | None) -> int:
    """One call; raises OSError if it fails."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    values = (ctypes.c_long(a) if isinstance(a, int) else a and os.fsencode(a) for a in arguments)
    if (result := function(*values)) < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def closed_parent(path: Path) -> Path | None:
    """The first folder on the way to `path` that others may not pass."""
    ways = [parent for parent in reversed(path.parents) if not parent.stat().st_mode & stat.S_IXOTH]
    return ways[0] if ways else None


def open_ways(needed: list[Path], writable: Path) -> None:
    """Makes the needed folders reachable for others, for this process and its children."""
    behind: dict[Path, list[Path]] = {}
    for path in sorted(set(needed)):
        parent = closed_parent(path)
        if parent and not any(path.is_relative_to(other) for other in behind.get(parent, [])):
            behind.setdefault(parent, []).append(path)
    if not behind:
        return
    libc("unshare", NEW_MOUNT)
    libc("mount", "none", "/", None, RECURSIVE | PRIVATE, None)
    for parent, paths in behind.items():
        # A descriptor still leads to what a mount will hide.
        folders = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in paths]
        libc("mount", "tmpfs", str(parent), "tmpfs", 0, "mode=755")
        for folder, path in zip(folders, paths, strict=True):
            path.mkdir(parents=True)
            libc("mount", f"/proc/self/fd/{folder}", str(path), None, BIND | RECURSIVE, None)
            if path != writable:
                libc("mount", None, str(path), None, BIND | REMOUNT | READ_ONLY, None)
            os.close(folder)


def user_namespaces_permitted() -> bool:
    """Whether this user may have them; tried in a child."""
    child = os.fork()
    if child == 0:
        try:
            libc("unshare", NEW_USER | NEW_MOUNT)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def main(home: Path) -> None:
    """Becomes the ordinary user and pytest."""
    places = [sys.prefix, sys.base_prefix, str(HERE.parents[1]), *sys.path]
    needed = [home, *(Path(place).resolve() for place in places if Path(place).is_dir())]
    try:
        open_ways(needed, home)
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        for path in needed:
            os.listdir(path)  # noqa: PTH208
    except OSError as error:
        print(error)
        sys.exit(NOT_POSSIBLE)
    os.umask(0o022)
    (home / "namespaces").write_text(str(user_namespaces_permitted()))
    os.chdir(HERE.parents[1])
    own = {"HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    paths = [str(HERE / suite) for suite in SUITES]
    options = ["-p", "no:cacheprovider", f"--junitxml={home / 'report.xml'}"]
    command = [sys.executable, "-m", "pytest", *options, *paths]
    os.execve(sys.executable, command, {**os.environ, **own})


def test_the_suites_pass_as_an_ordinary_user() -> None:
    if os.getuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        home.chmod(0o755)
        os.chown(home, UID, UID)
        done = subprocess.run(
            [sys.executable, __file__, str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode == NOT_POSSIBLE:
            pytest.skip(f"no ordinary user can be had here: {done.stdout.strip()}")
        assert done.returncode == 0, done.stdout[-20_000:]
        offered = {
            "namespaces": (home / "namespaces").read_text() == "True",
            "landlock": libc("syscall", LANDLOCK_CREATE, None, 0, 1) >= 3,
        }
        cases = list(ET.parse(home / "report.xml").iter("testcase"))
    passed = [case.get("name", "") for case in cases if case.find("skipped") is None]
    tried = [tier for tier in offered if any(re.search(rf"\[{tier}\b", name) for name in passed)]
    assert tried == [tier for tier, possible in offered.items() if possible]
    assert len(passed) >= 120 * len(tried)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
