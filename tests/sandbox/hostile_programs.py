"""Hostile programs and, for each, an honest one that uses the feature next door.

A test fills in the words between `@`: FOLDER (a folder outside, open to all, with the files
"canary" and "secret" and the sockets "stream" and "datagram"), TCP and UDP (ports), MARK (a name
that nothing else bears), VICTIM and SUPERVISOR (process ids), PREFIX, BASE and HERE (folders of the
interpreter and of the tests).
"""

import dataclasses
import os

MIB = 1 << 20
ALIVE = "print('alive')"
INTEL = os.uname().machine == "x86_64"


@dataclasses.dataclass(frozen=True)
class Case:
    """A hostile program and its benign twin, which runs with the same limits but time enough.

    Attributes:
        name: What it does.
        program: What runs.
        ends: The statuses it may end with, between spaces.
        twin: The honest program.
        says: Its exact output.
        output: The hostile program's exact output, where it matters.
        exception: How the reported exception begins, where it matters.
        code: The exit code, where it matters.
        landlock: Further statuses in the tier without a file system of its own.
        limits: Other limits than `LIMITS`.
        after: A program that must say the same before and afterwards.
    """

    name: str
    program: str
    ends: str
    twin: str
    says: str
    output: str | None = None
    exception: str | None = None
    code: int | None = None
    landlock: str = ""
    limits: dict[str, float] = dataclasses.field(default_factory=dict)
    after: str = ALIVE


LIMITS: dict[str, float] = {"wall_seconds": 5.0, "cpu_seconds": 5}
SOON: dict[str, float] = {"wall_seconds": 0.5}
SMALL: dict[str, float] = {"memory_bytes": 256 * MIB}

_TRY = """
import ctypes, fcntl, os, resource, signal, socket, sys
L = ctypes.CDLL(None, use_errno=True)
zeros = ctypes.create_string_buffer(4096)
{setup}
for attempt in {attempts!r}:
    try:
        done = eval(attempt)
        print('refused' if type(done) is int and done < 0 else attempt)
    except OSError as error:
        print('refused')
"""


def refused(
    name: str,
    *attempts: str,
    twin: str,
    says: str,
    setup: str = "",
    limits: dict[str, float] | None = None,
) -> Case:
    """A program that tries several things, each of which must fail like a system call."""
    program = _TRY.format(setup=setup, attempts=attempts)
    output = "refused\n" * len(attempts)
    return Case(name, program, "ok", twin, says, output=output, limits=limits or {})


def tries(*attempts: str, setup: str = "") -> str:
    """A program that tries several things; what counts is what the watchers see."""
    return _TRY.format(setup=setup, attempts=attempts).replace("except OSError", "except Exception")


def number(intel: int, arm: int) -> int:
    """A system call's number on this machine."""
    return intel if INTEL else arm


# --- time -----------------------------------------------------------------------------------------

TIME = [
    Case(
        "endless loop",
        "while True: pass",
        "timeout",
        "print(sum(i & 3 for i in range(10**6)))",
        "1500000\n",
        limits=SOON,
    ),
    Case(
        "sleep",
        "import time\ntime.sleep(60)",
        "timeout",
        "import time\ntime.sleep(0.05)\nprint('rested')",
        "rested\n",
        limits=SOON,
    ),
    Case(
        "ignored signals",
        "import signal, time\nfor s in set(signal.Signals) - {9, 19}:\n"
        "    signal.signal(s, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "while True: time.sleep(1)",
        "timeout",
        "import os, signal\nsignal.signal(signal.SIGUSR1, lambda *_: print('caught'))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\nsignal.raise_signal(signal.SIGUSR1)",
        "caught\ncaught\n",
        limits=SOON,
    ),
    Case(
        "cancelled timers",
        "import signal, time\nsignal.alarm(0)\n"
        "for t in range(3): signal.setitimer(t, 0)\n"
        "while True: time.sleep(0.01)",
        "timeout",
        "import signal, time\nsignal.signal(signal.SIGALRM, lambda *_: print('rang'))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.02)\ntime.sleep(0.2)\nprint('end')",
        "rang\nend\n",
        limits=SOON,
    ),
    Case(
        "raised CPU limit",
        "import resource, signal\nhard = resource.getrlimit(resource.RLIMIT_CPU)[1]\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))\n"
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "timeout",
        "import resource\nsoft, hard = resource.getrlimit(resource.RLIMIT_CPU)\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))\nprint(soft)",
        "1\n",
        limits={"cpu_seconds": 1},
    ),
    Case(
        "swallowed BaseException",
        "import sys\nwhile True:\n    try: sys.exit(1 / 0)\n    except BaseException: pass",
        "timeout",
        "for x in 1, 0, 2:\n    try: print(4 // x)\n    except ZeroDivisionError: print('none')",
        "4\nnone\n2\n",
        limits=SOON,
    ),
    Case(
        "stops itself",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "timeout",
        "import os, signal\nos.kill(os.getpid(), signal.SIGCONT)\nprint('goes on')",
        "goes on\n",
        limits=SOON,
    ),
    Case(
        "outliving thread",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
        "timeout",
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()",
        "late\n",
        limits=SOON,
    ),
    Case(
        "daemon thread",
        "import threading\ndef spin():\n    while True: pass\n"
        "for _ in range(4): threading.Thread(target=spin, daemon=True).start()\nprint('main ends')",
        "ok",
        "import queue, threading\nq = queue.Queue()\n"
        "threading.Thread(target=lambda: [q.put(i) for i in range(3)], daemon=True).start()\n"
        "print([q.get() for _ in range(3)])",
        "[0, 1, 2]\n",
        output="main ends\n",
    ),
    Case(
        "deadlock",
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
        "timeout",
        "import threading\nlock = threading.RLock()\nwith lock, lock: print('again')",
        "again\n",
        limits=SOON,
    ),
    Case(
        "catastrophic regular expression",
        "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
        "timeout",
        "import re\nprint(re.findall(r'(\\w)\\1', 'aabbcd' * 2))",
        "['a', 'b', 'a', 'b']\n",
        limits=SOON,
    ),
    Case(
        "huge power",
        "print(9 ** 9 ** 9 % 7)",
        "timeout memory",
        "print(9 ** 99 % 7, pow(9, 9 ** 99, 7))",
        "1 1\n",
        limits={**SOON, **SMALL},
    ),
    Case(
        "huge number to text",
        "import sys\nsys.set_int_max_str_digits(0)\nprint(len(str(1 << (1 << 24))))",
        "timeout",
        "import sys\nsys.set_int_max_str_digits(0)\nprint(len(str(10 ** 9999)))",
        "10000\n",
        limits=SOON,
    ),
    Case(
        "asks for input forever",
        "while True:\n    try: input()\n    except EOFError: pass",
        "timeout",
        "import sys\nprint(repr(sys.stdin.read()), list(sys.stdin))",
        "'' []\n",
        limits=SOON,
    ),
    Case(
        "endless finalizer",
        "class Z:\n    def __del__(self):\n        while True: pass\nz = Z()",
        "timeout",
        "class Z:\n    def __del__(self): print('gone')\nz = Z()",
        "gone\n",
        limits=SOON,
    ),
    Case(
        "endless exit handler",
        "import atexit, time\natexit.register(time.sleep, 60)\nprint('done')",
        "timeout",
        "import atexit\natexit.register(print, 'end')\nprint('done')",
        "done\nend\n",
        output="done\n",
        limits=SOON,
    ),
    Case(
        "tracing everything",
        "import sys\ndef trace(*_):\n    while True: pass\n"
        "sys.setprofile(trace)\nsys.settrace(trace)\nlen('')",
        "timeout",
        "import sys\nseen = []\ndef f(): return 1\n"
        "sys.settrace(lambda frame, *_: seen.append(frame.f_code.co_name))\nf()\n"
        "sys.settrace(None)\nprint(seen)",
        "['f']\n",
        limits=SOON,
    ),
    Case(
        "cleared death signal",
        "import ctypes, time\nL = ctypes.CDLL(None)\nL.prctl(1, 0, 0, 0, 0)\n"
        "L.prctl(4, 0, 0, 0, 0)\nL.prctl(36, 1, 0, 0, 0)\ntime.sleep(60)",
        "timeout",
        "import ctypes\nL = ctypes.CDLL(None)\nname = ctypes.create_string_buffer(16)\n"
        "L.prctl(15, b'honest', 0, 0, 0)\nL.prctl(16, name, 0, 0, 0)\nprint(name.value)",
        "b'honest'\n",
        limits=SOON,
    ),
    Case(
        "closed descriptors, then sleep",
        "import os, time\nprint('x', flush=True)\nos.closerange(0, 4096)\ntime.sleep(60)",
        "timeout",
        "import os\nos.close(0)\nprint('no input needed')",
        "no input needed\n",
        output="x\n",
        limits=SOON,
    ),
]

# --- memory ---------------------------------------------------------------------------------------

MEMORY = [
    Case(
        "huge allocation",
        "bytearray(1 << 40)",
        "memory",
        "print(len(bytearray(64 << 20)))",
        "67108864\n",
        exception="MemoryError",
        limits=SMALL,
    ),
    Case(
        "growing list",
        "a = []\nwhile True: a.append(' ' * 10**6)",
        "memory",
        "a = []\nfor i in range(10**5): a.append(i)\nprint(len(a))",
        "100000\n",
        exception="MemoryError",
        limits=SMALL,
    ),
    Case(
        "infinite generator to list",
        "from itertools import repeat\nlist(repeat(0))",
        "memory timeout",
        "from itertools import count, islice\nprint(sum(islice(count(), 10**5)))",
        "4999950000\n",
        limits=SMALL,
    ),
    Case(
        "swallowed MemoryError",
        "a = []\nwhile True:\n    try: a.append(bytearray(1 << 20))\n    except MemoryError: pass",
        "timeout",
        "try: bytearray(1 << 40)\nexcept MemoryError: print('too much')\nprint(len(bytes(9)))",
        "too much\n9\n",
        limits={**SOON, **SMALL},
    ),
    Case(
        "decompression bomb",
        "import bz2\nbz2.decompress(bz2.compress(bytes(1 << 20)) * 2000)",
        "memory",
        "import bz2, zlib\ntext = b'to and fro ' * 1000\n"
        "print(bz2.decompress(bz2.compress(text)) == zlib.decompress(zlib.compress(text)))",
        "True\n",
        limits=SMALL,
    ),
    Case(
        "mapped memory",
        "import mmap\nmaps = [mmap.mmap(-1, 64 << 20) for _ in range(64)]",
        "exception memory",
        "import mmap\nm = mmap.mmap(-1, 1 << 20)\nm[:3] = b'abc'\nprint(m[:4])",
        "b'abc\\x00'\n",
        exception="OSError: [Errno 12]",
        limits=SMALL,
    ),
    Case(
        "raised memory limit",
        "import resource\nfor kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):\n"
        "    for wish in (resource.RLIM_INFINITY, 1 << 40):\n"
        "        try: resource.setrlimit(kind, (wish, wish))\n"
        "        except (ValueError, OSError): pass\n"
        "bytearray(1 << 30)",
        "memory",
        "import resource\nsoft, hard = resource.getrlimit(resource.RLIMIT_AS)\n"
        "print(256 << 20 <= soft == hard < 1 << 30)",
        "True\n",
        limits=SMALL,
    ),
    Case(
        "giant array",
        "import numpy as np\nnp.ones((1 << 20, 1 << 20))",
        "memory",
        "import numpy as np\nprint(int((np.ones((99, 99)) @ np.eye(99)).sum()))",
        "9801\n",
    ),
    Case(
        "giant source",
        "exec('x = 1\\n' * (1 << 28))",
        "memory",
        "exec('x = 1\\n' * 5000)\nprint(x)",
        "1\n",
        limits=SMALL,
    ),
]

# --- nesting and recursion ------------------------------------------------------------------------

RECURSION = [
    Case(
        "endless recursion",
        "def f(): f()\nf()",
        "exception",
        "def f(n): return n and 1 + f(n - 1)\nprint(f(900))",
        "900\n",
        exception="RecursionError",
    ),
    Case(
        "endless recursion without the limit",
        "import sys\nsys.setrecursionlimit(2**31 - 1)\n"
        "class A:\n    def __getattr__(self, name): return getattr(self, name + '_')\nA().x",
        "killed memory exception timeout",
        "import sys\nsys.setrecursionlimit(5000)\n"
        "def f(n): return n and 1 + f(n - 1)\nprint(f(4000))",
        "4000\n",
        limits={**SMALL, "wall_seconds": 1.5},
    ),
    Case(
        "deep source",
        "-" * 200_000 + "1",
        "exception memory killed",
        "print(" + "-" * 90 + "1)",
        "1\n",
    ),
    Case(
        "deep brackets",
        "(" * 100_000 + ")" * 100_000,
        "exception memory killed",
        "print(" + "[" * 50 + "]" * 50 + ")",
        "[" * 50 + "]" * 50 + "\n",
    ),
    Case(
        "deep syntax tree",
        "import ast\nnode = ast.Constant(1)\n"
        "for _ in range(10**5): node = ast.UnaryOp(ast.USub(), node)\n"
        "compile(ast.fix_missing_locations(ast.Expression(node)), '', 'eval')",
        "exception memory killed",
        "import ast\nprint(ast.unparse(ast.parse('x = -(-1)')), ast.literal_eval('[1, {2: 3}]'))",
        "x = --1 [1, {2: 3}]\n",
    ),
    Case(
        "number of a million digits",
        "x = " + "9" * 10**6,
        "exception",
        "x = " + "9" * 4000 + "\nprint(x % 10)",
        "9\n",
        exception="SyntaxError",
    ),
    Case(
        "long source",
        "x = '" + "a" * (8 * MIB) + "'\nprint(len(x))",
        "ok",
        "# " + "a" * MIB + "\nprint('commented')",
        "commented\n",
        output="8388608\n",
    ),
    Case(
        "source that is not text",
        "print('ran')\nx = '\ud800'",
        "exception",
        "π, name = 3, '🙂 naïve'\nprint(π, name)",
        "3 🙂 naïve\n",
        output="",
    ),
    Case(
        "deep copy",
        "import copy\na = []\nfor _ in range(10**5): a = [a]\ncopy.deepcopy(a)",
        "exception",
        "import copy\na = [1]\na.append(a)\nb = copy.deepcopy(a)\nprint(b[1] is b, b)",
        "True [1, [...]]\n",
        exception="RecursionError",
    ),
    Case(
        "deep JSON",
        "import json\njson.loads('[' * 10**6)",
        "exception killed",
        "import json\nprint(json.loads('[' * 99 + ']' * 99) == [], json.dumps({'a': [None]}))",
        'False {"a": [null]}\n',
    ),
    Case(
        "endless representation",
        "class A:\n    def __repr__(self): return repr([self])\nprint(A())",
        "exception",
        "a = []\na.append(a)\nprint(a)",
        "[[...]]\n",
        exception="RecursionError",
    ),
    Case(
        "finalizers that make more",
        "class Z:\n    def __del__(self): Z(); Z()\nZ()",
        "ok output timeout killed",
        "import weakref\nclass Z: pass\nz = Z()\nweakref.finalize(z, print, 'gone')\ndel z",
        "gone\n",
        limits=SOON,
    ),
]

# --- processes ------------------------------------------------------------------------------------

_TOUCH = "['touch', '@FOLDER@/@MARK@']"
PROCESSES = [
    Case(
        "fork bomb",
        # Bounded, should a wall ever be missing.
        "import os, time\nfor _ in range(20):\n    if os.fork() == 0: time.sleep(30); os._exit(0)",
        "exception",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool: print(sum(pool.map(abs, range(-10, 0))))",
        "55\n",
        exception="PermissionError",
    ),
    Case(
        "thread bomb",
        "import threading, time\nfor _ in range(2000):\n"
        "    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
        "exception memory",
        "import threading\nout = []\n"
        "threads = [threading.Thread(target=out.append, args=(i,)) for i in range(8)]\n"
        "for t in threads: t.start()\nfor t in threads: t.join()\nprint(sorted(out))",
        "[0, 1, 2, 3, 4, 5, 6, 7]\n",
        exception="RuntimeError: can't start new thread",
    ),
    refused(
        "a daemon",
        "os.setpgid(0, 0)",
        "os.setpgrp()",
        "os.forkpty()",
        "L.daemon(0, 0)",
        "os.setsid()",
        twin="import os\nprint(type(os.getpid()), type(os.getsid(0)), type(os.getpgid(0)))",
        says="<class 'int'> <class 'int'> <class 'int'>\n",
    ),
    refused(
        "other programs",
        f"subprocess.run({_TOUCH})",
        f"os.posix_spawn('/usr/bin/touch', {_TOUCH}, {{}})",
        f"os.spawnv(os.P_WAIT, '/usr/bin/touch', {_TOUCH})",
        "os.system('touch @FOLDER@/@MARK@') and -1",
        "os.popen('touch @FOLDER@/@MARK@')",
        "multiprocessing.Process(target=print).start()",
        "multiprocessing.get_context('spawn').Process(target=print).start()",
        setup="import subprocess, multiprocessing",
        twin="import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    import shlex; exec('print(shlex.split(\"a b\"))')\nprint(out.getvalue(), end='')",
        says="['a', 'b']\n",
    ),
    refused(
        "becoming another program",
        f"os.execv('/usr/bin/touch', {_TOUCH})",
        f"os.execve(os.open('/usr/bin/touch', os.O_RDONLY), {_TOUCH}, {{}})",
        "os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
        "os.execv('/bin/sh', ['sh', '-c', 'touch @FOLDER@/@MARK@'])",
        "os.memfd_create('@MARK@')",
        twin="import runpy\nopen('part.py', 'w').write('x = 6 * 7')\n"
        "print(runpy.run_path('part.py')['x'])",
        says="42\n",
    ),
    refused(
        "signals to others",
        # Ones that do no harm where they might reach everyone.
        "os.kill(-1, signal.SIGWINCH)",
        "os.kill(0, signal.SIGWINCH)",
        "os.kill(1, signal.SIGWINCH)",
        "os.kill(@SUPERVISOR@, signal.SIGWINCH)",
        "os.kill(os.getppid(), signal.SIGKILL)",
        "os.kill(@VICTIM@, signal.SIGKILL)",
        "os.killpg(@VICTIM@, signal.SIGKILL)",
        "os.kill(@VICTIM@, signal.SIGSTOP)",
        "L.tgkill(@VICTIM@, @VICTIM@, 9)",
        f"L.syscall({number(200, 130)}, @VICTIM@, 9)",
        "L.sigqueue(@VICTIM@, 9, None)",
        "os.pidfd_open(@VICTIM@)",
        "fcntl.fcntl(pipe, fcntl.F_SETOWN, @VICTIM@)",
        setup="pipe = os.pipe()[0]",
        twin="import signal, threading\nsignal.signal(signal.SIGUSR2, lambda *_: print('mine'))\n"
        "signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)",
        says="mine\n",
    ),
    refused(
        "the insides of others",
        "L.ptrace(0, 0, 0, 0)",
        "L.ptrace(16, @VICTIM@, 0, 0)",
        "L.ptrace(0x4206, @VICTIM@, 0, 0)",
        "L.ptrace(0x4206, os.getppid(), 0, 0)",
        "open('/proc/@VICTIM@/mem', 'rb')",
        "open('/proc/@SUPERVISOR@/mem', 'rb')",
        "open(f'/proc/{os.getppid()}/mem', 'r+b')",
        "os.readlink('/proc/@VICTIM@/cwd')",
        twin="import ctypes, ctypes.util, math\nm = ctypes.CDLL(ctypes.util.find_library('m') or"
        " 'libm.so.6')\nm.sqrt.restype = ctypes.c_double\n"
        "print(m.sqrt(ctypes.c_double(2)) == math.sqrt(2))",
        says="True\n",
    ),
    refused(
        "priorities and limits of others",
        "os.setpriority(os.PRIO_PROCESS, @VICTIM@, 19)",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.setpriority(os.PRIO_USER, os.getuid(), 19)",
        "os.nice(-5)",
        "os.sched_setaffinity(@VICTIM@, {min(os.sched_getaffinity(0))})",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))",
        "resource.prlimit(@VICTIM@, resource.RLIMIT_NOFILE, (9, 9))",
        "resource.prlimit(os.getppid() or 1, resource.RLIMIT_NOFILE, (9, 9))",
        f"L.syscall({number(251, 30)}, 1, @VICTIM@, 3 << 13)",
        twin="import os\nos.sched_setaffinity(0, os.sched_getaffinity(0))\nos.sched_yield()\n"
        "print(len(os.sched_getaffinity(0)) > 0, os.getpriority(os.PRIO_PROCESS, 0) >= -20)",
        says="True True\n",
    ),
    Case(
        "raised limits",
        "import resource\n"
        "for kind in sorted({v for k, v in vars(resource).items() if k.startswith('RLIMIT_')}):\n"
        "    hard = resource.getrlimit(kind)[1]\n"
        "    if hard == resource.RLIM_INFINITY: continue\n"
        "    for wish in (hard + 1, resource.RLIM_INFINITY):\n"
        "        try: resource.setrlimit(kind, (wish, wish)); print('raised', kind)\n"
        "        except (OSError, ValueError): pass",
        "ok",
        "import resource\nhard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard))\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])",
        "32\n",
        output="",
    ),
    refused(
        "namespaces and mounts",
        "L.unshare(0x10000000)",
        "L.unshare(0x20000)",
        "L.mount(b'none', b'.', b'tmpfs', 0, None)",
        "os.chroot('.')",
        "L.syscall(428, -100, b'.', 1)",
        "L.syscall(430, b'tmpfs', 0)",
        "L.sethostname(b'@MARK@', 9)",
        "os.setuid(54321)",
        "os.setgroups([54321])",
        f"bury(L.syscall({number(56, 220)}, 17, 0, 0, 0, 0))",
        f"bury(L.syscall({number(56, 220)}, 0x10000000 | 17, 0, 0, 0, 0))",
        "bury(L.syscall(435, (ctypes.c_ulong * 11)(0, 0, 0, 0, 17), 88))",
        setup="def bury(pid):\n    if pid == 0: os._exit(0)\n    return pid",
        twin="import ctypes\nclass P(ctypes.Structure):\n"
        "    _fields_ = [('x', ctypes.c_int), ('y', ctypes.c_byte)]\n"
        "print(P(1, 2).y, ctypes.sizeof(P), ctypes.CDLL(None).abs(-3))",
        says="2 8 3\n",
    ),
    refused(
        "doors to the deeper kernel",
        "L.syscall(425, 8, zeros)",
        f"L.syscall({number(323, 282)}, 1)",
        f"L.syscall({number(298, 241)}, attributes, 0, -1, -1, 0)",
        f"L.syscall({number(250, 219)}, 0, -3, 1)",
        f"L.syscall({number(248, 217)}, b'user', b'@MARK@', b'x', 1, -4)",
        f"L.syscall({number(321, 280)}, 0, (ctypes.c_int * 30)(2, 4, 4, 1), 120)",
        "L.klogctl(3, zeros, 4096)",
        setup="attributes = (ctypes.c_uint * 28)(1, 112, 9)",
        twin="import os, selectors, time\nr, w = os.pipe()\ns = selectors.DefaultSelector()\n"
        "s.register(r, selectors.EVENT_READ)\nos.write(w, b'x')\n"
        "print(len(s.select(1)), time.perf_counter() > 0)",
        says="1 True\n",
    ),
    refused(
        "memory shared with others",
        "L.shmget(0, 4096, 0o1666)",
        "L.semget(0, 1, 0o1666)",
        "L.msgget(0, 0o1666)",
        f"L.syscall({number(240, 180)}, b'@MARK@', os.O_CREAT | os.O_RDWR, 0o666, None)",
        "_posixshmem.shm_open('/@MARK@', os.O_CREAT | os.O_RDWR, 0o666)",
        "_multiprocessing.SemLock(1, 1, 1, '/@MARK@', False)",
        "os.truncate(os.open('/dev/shm/@MARK@', os.O_CREAT | os.O_RDWR), 1 << 40)",
        setup="import _multiprocessing, _posixshmem",
        twin="import tempfile\nwith tempfile.TemporaryFile() as f:\n"
        "    f.write(b'scratch'); f.seek(0); print(f.read())",
        says="b'scratch'\n",
    ),
    refused(
        "os brought back",
        "os.fork()",
        "importlib.reload(os).fork()",
        "sys.modules['posix'].fork()",
        "subprocess.Popen(['true'])",
        setup="import importlib\nfor name in ('os', 'posix', 'subprocess', '_posixsubprocess'):\n"
        "    sys.modules.pop(name, None)\nimport os, posix, subprocess",
        twin="import importlib, sys\nopen('fresh.py', 'w').write('x = 1')\nimport fresh\n"
        "print(importlib.reload(fresh).x, 'fresh' in sys.modules)",
        says="1 True\n",
    ),
]

# Machine code, past every library: the second way in is the old one of 32-bit programs.
_CODE = """
import ctypes, mmap, os
m = mmap.mmap(-1, 4096, prot=7)
m.write(bytes.fromhex('{code}'))
place = ctypes.addressof(ctypes.c_char.from_buffer(m))
if ctypes.CFUNCTYPE(ctypes.c_int)(place)() >= 0: os._exit(9)
"""
_SORT = (
    "import ctypes\nkind = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.POINTER(ctypes.c_int)] * 2)\n"
    "a = (ctypes.c_int * 3)(3, 1, 2)\n"
    "ctypes.CDLL(None).qsort(a, 3, 4, kind(lambda x, y: x[0] - y[0]))\nprint(list(a))"
)
if INTEL:
    PROCESSES += [
        Case(
            "fork by machine code",
            _CODE.format(code="b8390000000f05c3"),
            "ok killed",
            _SORT,
            "[1, 2, 3]\n",
        ),
        Case(
            "fork by the 32-bit door",
            _CODE.format(code="b802000000cd80c3"),
            "killed ok",
            "import ctypes\nprint(ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)())",
            "7\n",
        ),
        Case(
            "fork by the x32 door",
            _CODE.format(code="b8390000400f05c3"),
            "ok killed",
            "import mmap\nm = mmap.mmap(-1, 4096, prot=7)\nprint(len(m), m.write(b'ab'))",
            "4096 2\n",
        ),
    ]

# --- the network ----------------------------------------------------------------------------------

NETWORK = [
    refused(
        "network connections",
        "socket.create_connection(('127.0.0.1', @TCP@), 1).send(b'x')",
        "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @UDP@))",
        "socket.create_server(('127.0.0.1', 0))",
        "urllib.request.urlopen('http://127.0.0.1:@TCP@/', timeout=1)",
        "L.socket(2, 1, 0)",
        "L.socket(2, 3, 1)",
        setup="import urllib.request",
        twin="import asyncio\nasync def main(): return await asyncio.gather(asyncio.sleep(0.01, 1),"
        " asyncio.to_thread(abs, -2))\nprint(asyncio.run(main()))",
        says="[1, 2]\n",
    ),
    refused(
        "local sockets",
        "socket.socket(socket.AF_UNIX).connect('@FOLDER@/stream')",
        "socket.socket(socket.AF_UNIX).connect('\\0@MARK@-stream')",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '@FOLDER@/datagram')",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '\\0@MARK@-datagram')",
        "socket.socket(socket.AF_UNIX).bind('\\0@MARK@-own')",
        twin="import io\nf = io.TextIOWrapper(io.BytesIO(b'1\\n2\\n'))\nprint([int(x) for x in f])",
        says="[1, 2]\n",
    ),
    refused(
        "a socket pair turned outwards",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', '@FOLDER@/datagram')",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', '\\0@MARK@-datagram')",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].connect('@FOLDER@/datagram')",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].connect('\\0@MARK@-datagram')",
        twin="import socket\na, b = socket.socketpair()\na.sendall(b'ping')\nprint(b.recv(9))",
        says="b'ping'\n",
    ),
    refused(
        "sockets of the kernel",
        "socket.socket(16, socket.SOCK_RAW, 0)",
        "socket.socket(17, socket.SOCK_RAW)",
        "socket.socket(38, socket.SOCK_SEQPACKET)",
        "socket.socket(40, socket.SOCK_STREAM)",
        twin="import ipaddress, urllib.parse\nprint(ipaddress.ip_address('::1').is_loopback,"
        " urllib.parse.urlsplit('http://a:8/b').port)",
        says="True 8\n",
    ),
]

# --- files ----------------------------------------------------------------------------------------

_WRITES = [
    f"open({place + '/@MARK@'!r}, 'w')"
    for place in (
        *("@PREFIX@", "@BASE@", "/usr", "/usr/lib", "/etc", "/dev/shm", "/tmp", "/var/tmp", "/"),
        *("/dev", "/root", "/home", "@FOLDER@", "@HERE@", "/proc/self/root/tmp"),
    )
]
FILES = [
    refused(
        "shadow files and accounts",
        "open('/etc/shadow')",
        "open('/etc/gshadow')",
        "open('/etc/passwd')",  # of no use to an honest program: the design hides it too
        "open('/etc/hostname')",
        twin="import os\nprint('def makedirs' in open(os.__file__).read(),"
        " os.path.expanduser('~') == os.getcwd())",
        says="True True\n",
    ),
    refused(
        "files of the user",
        "open('@FOLDER@/secret').read()",
        "os.listdir('@FOLDER@')",
        "os.open('@FOLDER@/canary', os.O_WRONLY)",
        "os.listdir('@HERE@')",
        "open('@HERE@/test_hostile.py').read()",
        "os.listdir('/home')",
        "os.listdir('/var/log')",
        "os.listdir('/proc/@SUPERVISOR@/fd')",
        twin="import inspect, json, os\nprint(len(inspect.getsource(json.dumps)) > 99,"
        " 'abc.py' in os.listdir(os.path.dirname(os.__file__)))",
        says="True True\n",
    ),
    refused(
        "environments",
        *(
            f"print(open(f'/proc/{who}/{what}').read())"
            for who in ("self", "1", "@VICTIM@", "@SUPERVISOR@", "{os.getppid()}")
            for what in ("environ", "cmdline", "maps")
        ),
        twin="import os\nos.environ['COLOUR'] = 'red'\nprint(os.getenv('COLOUR'),"
        " os.path.expandvars('$COLOUR'), 'PATH' in os.environ)",
        says="red red True\n",
    ),
    Case(
        "searches its own memory",
        "import ctypes, gc, os, re, sys\nfound = set()\n"
        "def search(x): found.update(re.findall('sec' + 'ret-[0-9a-f]{32}', repr(x)))\n"
        "search(dict(os.environ))\nblock = ctypes.POINTER(ctypes.c_char_p).in_dll("
        "ctypes.CDLL(None), 'environ')\ni = 0\n"
        "while block and block[i]: search(block[i]); i += 1\n"
        "frame = sys._getframe()\n"
        "while frame: search(list(frame.f_locals.items())); frame = frame.f_back\n"
        "for x in gc.get_objects():\n"
        "    for y in gc.get_referents(x):\n"
        "        if type(y) in (str, bytes, bytearray) and len(y) < 10**5: search(y)\n"
        "print(found or 'nothing')",
        "ok",
        "import gc\nclass A: pass\na = A()\na.a = a\ndel a\nprint(gc.collect() > 0)",
        "True\n",
        output="nothing\n",
    ),
    refused(
        "writing everywhere",
        *_WRITES,
        "open('link/@MARK@', 'w')",
        "open('away/@MARK@', 'w')",
        "os.mkdir('link/@MARK@')",
        "os.symlink('/', '@FOLDER@/@MARK@')",
        "os.mkfifo('@FOLDER@/@MARK@')",
        "open(os.path.dirname(os.__file__) + '/__pycache__/@MARK@.pyc', 'wb')",
        setup="os.symlink('@FOLDER@', 'link')\nos.symlink('@PREFIX@', 'away')",
        twin="import os, pathlib\npathlib.Path('a/b').mkdir(parents=True)\n"
        "pathlib.Path('a/b/f').write_text('mine')\nos.symlink('a/b', 'link')\n"
        "print(open('link/f').read(), os.stat('a/b/f').st_size)",
        says="mine 4\n",
    ),
    refused(
        "the canary's content and name",
        "open('@FOLDER@/canary', 'a')",
        "open('link', 'r+')",
        "os.truncate('@FOLDER@/canary', 0)",
        "os.remove('@FOLDER@/canary')",
        "os.rename('@FOLDER@/canary', 'mine')",
        "os.rename('@FOLDER@/canary', '@FOLDER@/@MARK@')",
        "os.link('@FOLDER@/canary', 'mine')",
        "os.link('own', '@FOLDER@/@MARK@')",
        "os.rename('own', '@FOLDER@/@MARK@')",
        "os.rename('own', '@FOLDER@/canary')",
        "shutil.rmtree('@FOLDER@')",
        setup="import shutil\nopen('own', 'w')\nos.symlink('@FOLDER@/canary', 'link')",
        twin="import os, shutil\nopen('a', 'w').write('one')\nos.link('a', 'b')\n"
        "os.rename('a', 'c')\nshutil.copyfile('b', 'd')\nshutil.move('d', 'e')\nos.remove('b')\n"
        "print(sorted(os.listdir()), open('e').read())",
        says="['c', 'e'] one\n",
    ),
    Case(
        "the canary's mode, owner, times and attributes",
        tries(
            *(
                call
                for place in ("'@FOLDER@/canary'", "'@FOLDER@'", "os.path.realpath('link')")
                for call in (
                    f"os.symlink('@FOLDER@/secret', 'link') or os.chmod({place}, 0o777)",
                    f"os.chmod({place}, 0o4755)",
                    f"os.chown({place}, os.getuid(), os.getgid())",
                    f"os.lchown({place}, 1, 1)",
                    f"os.utime({place}, (0, 0))",
                    f"os.setxattr({place}, 'user.mark', b'x')",
                    f"L.chmod({place}.encode(), 0)",
                    f"L.syscall(452, -100, {place}.encode(), 0, 0)",
                )
            )
        ),
        "ok",
        "import os, stat\nopen('f', 'w').write('x')\ns = os.stat('f')\n"
        "print(stat.S_ISREG(s.st_mode), s.st_uid == os.getuid(), os.access('f', os.W_OK),"
        " s.st_mtime > 0)",
        "True True True True\n",
    ),
    refused(
        "watching others' files",
        "L.inotify_add_watch(watch, b'@FOLDER@', 0xFFF)",
        "L.inotify_add_watch(watch, b'@FOLDER@/canary', 0xFFF)",
        f"L.fanotify_mark(L.syscall({number(300, 262)}, 0x200, 0), 1, ctypes.c_long(0x20), -100,"
        " b'@FOLDER@')",
        setup="watch = L.inotify_init()",
        twin="import os\nopen('f', 'w').close()\nbefore = os.stat('f').st_size\n"
        "open('f', 'w').write('x')\nprint(before, os.stat('f').st_size)",
        says="0 1\n",
    ),
    refused(
        "devices and the kernel's files",
        *(
            f"open({place!r}, {mode!r})"
            for place, mode in (
                *(
                    ("/dev/mem", "rb"),
                    ("/dev/kmem", "rb"),
                    ("/dev/kmsg", "rb"),
                    ("/dev/port", "rb"),
                ),
                *(("/dev/vda", "rb"), ("/dev/sda", "rb"), ("/dev/fuse", "rb"), ("/dev/kvm", "rb")),
                *(("/dev/tty", "w"), ("/dev/ptmx", "r+b")),
                *(("/sys/kernel/uevent_helper", "w"), ("/proc/sys/kernel/core_pattern", "w")),
                *(("/proc/sysrq-trigger", "w"), ("/proc/self/oom_score_adj", "w")),
                *(("/proc/self/uid_map", "w"), ("/sys/fs/cgroup/cgroup.procs", "w")),
            )
        ),
        "os.mknod('disk', 0o60666, os.makedev(254, 0))",
        "os.mknod('memory', 0o20666, os.makedev(1, 1))",
        "fcntl.ioctl(0, 0x5412, b'x')",
        "fcntl.ioctl(1, 0x5412, b'x')",
        "os.openpty()",
        twin="import os, shutil\nopen('/dev/null', 'w').write('x')\n"
        "print(len(open('/dev/urandom', 'rb').read(8)), open('/dev/zero', 'rb').read(2),"
        " os.isatty(0), shutil.get_terminal_size())",
        says="8 b'\\x00\\x00' False os.terminal_size(columns=80, lines=24)\n",
    ),
    Case(
        "full disk, many files",
        "for i in range(40): open(str(i), 'wb').write(bytes(1 << 20))",
        "exception",
        "open('f', 'wb').write(bytes(1 << 19))\nprint(len(open('f', 'rb').read()))",
        "524288\n",
        landlock="ok output",
        limits={"file_bytes": MIB},
    ),
    Case(
        "full disk, one file",
        "with open('f', 'wb', buffering=0) as f:\n    while f.write(bytes(1 << 16)): pass",
        "exception",
        "with open('f', 'wb') as f:\n    for _ in range(8): f.write(bytes(1 << 16))\n"
        "print(f.closed)",
        "True\n",
        exception="OSError: [Errno 2",  # 27 or 28
        limits={"file_bytes": MIB},
    ),
    Case(
        "sparse file",
        "import os\nos.truncate(os.open('f', os.O_CREAT | os.O_RDWR), 1 << 50)",
        "exception",
        "import os\nos.truncate(os.open('f', os.O_CREAT | os.O_RDWR), 1000)\n"
        "print(os.path.getsize('f'))",
        "1000\n",
        exception="OSError",
    ),
    Case(
        "many small files",
        "for i in range(12_000): open(str(i), 'w').close()",
        "exception",
        "import os\nfor i in range(500): open(str(i), 'w').close()\nprint(len(os.listdir()))",
        "500\n",
        exception="OSError: [Errno 28]",
        landlock="ok output",
        limits={"wall_seconds": 10.0, "cpu_seconds": 10},
    ),
    Case(
        "names and folders that resist removal",
        "import os\nfor name in b'\\xff\\xfe', b'a\\nb', b'-rf', b' ', b'x' * 255, b'$(reboot)':\n"
        "    open(name, 'w').close()\nos.symlink('@FOLDER@', 'way out')\n"
        "os.symlink('@FOLDER@/canary', '@MARK@')\nos.symlink('loop', 'loop')\n"
        "os.mkfifo('fifo')\nos.mkdir('closed'); os.mkdir('closed/inner', 0)\n"
        "for _ in range(1500): os.mkdir('d' * 200); os.chdir('d' * 200)\nos.mkdir('end', 0)\n"
        "print('done')",
        "ok",
        "import os, shutil\nos.makedirs('/'.join(['d'] * 30))\nopen('ä b\\n', 'w').write('x')\n"
        "shutil.rmtree('d')\nprint(os.listdir())",
        "['ä b\\n']\n",
        landlock="output",
    ),
    Case(
        "name of enormous length",
        "open('a' * 10**6, 'w')",
        "exception",
        "open('a' * 255, 'w').close()\nimport os\nprint(len(os.listdir()[0]))",
        "255\n",
        exception="OSError: [Errno 36]",
    ),
    Case(
        "its own folder swapped",
        tries(
            "os.chmod(own, 0)",
            "os.mkdir(own + '/../@MARK@')",
            "os.rename(own, '@FOLDER@/@MARK@')",
            "os.rename(own, own + '@MARK@')",
            "os.rmdir(own)",
            "os.symlink('@FOLDER@', own)",
            setup="own = os.getcwd()",
        ),
        "ok",
        "import os\nhome = os.getcwd()\nos.mkdir('a')\nos.chdir('a')\n"
        "print(os.path.dirname(os.getcwd()) == home)",
        "True\n",
    ),
    Case(
        "inherited descriptors",
        "import os, stat\nfor fd in range(4096):\n"
        "    try: mode = os.fstat(fd).st_mode\n    except OSError: continue\n"
        "    if stat.S_ISDIR(mode) or stat.S_ISBLK(mode): print('folder or disk', fd)\n"
        "    if fd > 2 and stat.S_ISREG(mode):\n"
        "        print('file', os.pread(fd, 99, 0))\n"
        "    if fd > 2:\n"
        "        os.set_blocking(fd, False)\n"
        "        try: print('told', os.read(fd, 9999))\n        except OSError: pass",
        "ok",
        "import os\nwith open('f', 'w+') as f: f.write('x'); f.flush(); print(os.pread(f.fileno(),"
        " 9, 0))",
        "b'x'\n",
        output="",
    ),
    Case(
        "all descriptors",
        "a = [open('/dev/null') for _ in range(10**4)]",
        "exception",
        "a = [open('/dev/null') for _ in range(40)]\nprint(len(a))",
        "40\n",
        exception="OSError: [Errno 24]",
    ),
    Case(
        "all pipes, filled",
        "import fcntl, os\nwhile True:\n    r, w = os.pipe()\n    fcntl.fcntl(w, 1031, 1 << 20)\n"
        "    os.set_blocking(w, False)\n    os.write(w, bytes(1 << 20))",
        "exception",
        "import os\nr, w = os.pipe()\nos.write(w, b'through')\nprint(os.read(r, 99))",
        "b'through'\n",
        exception="",
    ),
]

# --- what it says and how it ends -----------------------------------------------------------------

_FORGE = """
import json, os, pickle, struct, sys
class P:
    def __reduce__(self): return os.mkdir, ('@FOLDER@/@MARK@',)
lie = {'wait': 0, 'status': 'ok', 'ready': True, 'ok': True, 'cpu_seconds': 0, 'exit_code': 0,
       'code': 0, 'exception': None, 'error': None, 'memory': True, 'kind': 'ok', 'done': True}
text = json.dumps(lie).encode()
blobs = [text + b'\\n', struct.pack('<I', len(text)) + text, struct.pack('>Q', len(text)) + text,
         pickle.dumps(P()), pickle.dumps(lie), bytes(64), b'\\xff' * 64, b'[' * 60_000, b'\\n']
for fd in range(3, 4096):
    for blob in blobs:
        try:
            os.set_blocking(fd, False)
            os.write(fd, blob)
        except OSError: break
"""
ENDS = [
    Case(
        "flood of text",
        "while True: print('flood')",
        "output",
        "print('x' * 900_000)",
        "x" * 900_000 + "\n",
    ),
    Case(
        "flood of raw bytes from threads",
        "import os, threading\ndef pour(fd):\n    while True: os.write(fd, b'f' * 65536)\n"
        "for fd in 1, 2, 1, 2: threading.Thread(target=pour, args=(fd,)).start()",
        "output",
        "import os\nos.write(1, b'one ')\nos.write(1, b'two\\n')",
        "one two\n",
    ),
    Case(
        "flood while it ends",
        "import atexit\n@atexit.register\ndef _():\n    while True: print('flood' * 999)",
        "output",
        "import sys\nsys.stdout.reconfigure(encoding='latin-1', errors='replace')\n"
        "print('caf\\xe9'[:3], '\\u6c49', sys.stdout.seekable(), end='')",
        "caf ? False",
    ),
    Case(
        "huge exception text",
        "raise ValueError('x' * 50_000_000)",
        "exception output",
        "try: raise ValueError('x' * 10**6)\nexcept ValueError as e: print(len(str(e)))",
        "1000000\n",
    ),
    Case(
        "exception that cannot be told",
        "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
        "exception",
        "class E(Exception):\n    def __str__(self): return f'custom {self.args}'\n"
        "try: raise E(1)\nexcept E as e: print(e)",
        "custom (1,)\n",
        exception="E",
        code=1,
    ),
    Case(
        "exception that exits when told",
        "class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E",
        "exception exit",
        "try:\n    try: 1 / 0\n    except ZeroDivisionError as e: raise KeyError('k') from e\n"
        "except KeyError as e: print(repr(e.__cause__))",
        "ZeroDivisionError('division by zero')\n",
    ),
    Case(
        "exception that never finishes telling",
        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
        "timeout",
        "import traceback\ntry: 1 / 0\n"
        "except ZeroDivisionError: print(traceback.format_exc().splitlines()[-1])",
        "ZeroDivisionError: division by zero\n",
        limits=SOON,
    ),
    Case(
        "exception with a false name",
        "class M(type):\n    @property\n    def __name__(cls): raise KeyboardInterrupt\n"
        "class E(Exception, metaclass=M):\n    __module__ = property(lambda s: 1 / 0)\nraise E",
        "exception exit",
        "class M(type):\n    def __repr__(cls): return 'a kind'\nclass A(metaclass=M): pass\n"
        "print(A, type(A()).__name__)",
        "a kind A\n",
        code=1,
    ),
    Case(
        "exception that is not text",
        "raise ValueError('\\ud800\\0\\x1b[2J')",
        "exception",
        "try: '\\ud800'.encode()\nexcept UnicodeEncodeError as e: print(e.reason)",
        "surrogates not allowed\n",
        exception="ValueError: ",
    ),
    Case(
        "endless chain of exceptions",
        "e = None\nfor i in range(3000):\n    n = ValueError(i); n.__cause__ = e; e = n\n"
        "g = ExceptionGroup('g', [e])\nfor _ in range(900): g = ExceptionGroup('g', [g])\nraise g",
        "exception output exit killed",
        "try: raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n"
        "except* ValueError as g: print(g.exceptions)\nexcept* TypeError: print('typed')",
        "(ValueError(1),)\ntyped\n",
    ),
    Case(
        "output that is not text",
        "import sys\nsys.stdout.buffer.write(b'\\xff\\xed\\xa0\\x80\\0\\x1b[2J\\r\\n')\n"
        "sys.stdout.flush()\nprint('\\ud800')",
        "exception",
        "print('🙂', '\\u0301', '汉', end='\\t\\0')",
        "🙂 \u0301 汉\t\0",
        output="\N{REPLACEMENT CHARACTER}" * 4 + "\0\x1b[2J\r\n",
        exception="UnicodeEncodeError",
    ),
    Case(
        "sys.exit(0) halfway",
        "import sys\nprint('half')\nsys.exit(0)\nprint('never')",
        "ok",
        "import sys\nprint('whole')\nsys.exit(0)",
        "whole\n",
        output="half\n",
        code=0,
    ),
    Case(
        "os._exit(0) from a thread",
        "import os, threading, time\nprint('x', flush=True)\n"
        "threading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(60)",
        "ok",
        "import sys, threading\nt = threading.Thread(target=sys.exit)\nt.start(); t.join()\n"
        "print('main goes on')",
        "main goes on\n",
        output="x\n",
        code=0,
    ),
    Case(
        "exit code of enormous size",
        "import sys\nsys.exit(10**40 + 7)",
        "exit exception",
        "import sys\nprint('none')\nsys.exit(None)",
        "none\n",
    ),
    Case(
        "exit that cannot be told",
        "class E:\n    def __str__(self): raise KeyboardInterrupt\nraise SystemExit(E())",
        "exit exception killed",
        "try: exit()\nexcept SystemExit as e: print(e.code)",
        "None\n",
    ),
    Case(
        "exit handler that forges the code",
        "import atexit, os\natexit.register(os._exit, 0)\nprint('x', flush=True)\nraise ValueError",
        "ok exception",
        "import atexit\nfor i in range(3): atexit.register(print, i)",
        "2\n1\n0\n",
        output="x\n",
    ),
    Case(
        "segmentation fault",
        "import ctypes\nprint('x', flush=True)\nctypes.string_at(0)",
        "killed",
        "import ctypes\nprint(ctypes.string_at(b'safe'))",
        "b'safe'\n",
        output="x\n",
        code=-11,
    ),
    Case(
        "abort",
        "import os\nos.abort()",
        "killed",
        "import os\ntry: os.strerror(10**20)\nexcept OverflowError: print('caught')",
        "caught\n",
        code=-6,
    ),
    Case(
        "fault handler",
        "import faulthandler\nfaulthandler.dump_traceback_later(0.05, exit=True)\nwhile True: pass",
        "exit",
        "import faulthandler\nwith open('f', 'w+') as f:\n    faulthandler.dump_traceback(f)\n"
        "    print(f.seek(0), 'File' in f.read())",
        "0 True\n",
        code=1,
    ),
    Case(
        "debugger without a terminal",
        "breakpoint()",
        "exception",
        "import sys\nsys.breakpointhook = lambda: print('hooked')\nbreakpoint()",
        "hooked\n",
        exception="BdbQuit",
    ),
    Case(
        "broken standard output",
        "import sys\nclass Bad:\n    def __getattr__(self, name): raise MemoryError\n"
        "sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Bad()\n1 / 0",
        "exception exit",
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()) as f: print('kept')\n"
        "print(repr(f.getvalue()))",
        "'kept\\n'\n",
    ),
    Case(
        "broken builtins at the end",
        "import builtins, io, json, os, sys, traceback\n"
        "for module in (json, os, traceback, io):\n"
        "    for name in list(vars(module)):\n"
        "        if not name.startswith('__'): setattr(module, name, None)\n"
        "sys.modules.clear()\n"
        "for name in list(vars(builtins)):\n"
        "    if not name.startswith('__'): delattr(builtins, name)\n"
        "[][0]",
        "exception exit killed",
        "import builtins\nbuiltins.shout = lambda text: print(text.upper())\nshout('hi')",
        "HI\n",
    ),
    Case(
        "forged reports, then another exit code",
        _FORGE + "print('x', flush=True)\nos._exit(7)",
        "exit",
        "import json\nprint(json.dumps({'status': 'ok', 'exit_code': 0}))",
        '{"status": "ok", "exit_code": 0}\n',
        output="x\n",
        code=7,
    ),
    Case(
        "forged reports, then an exception",
        _FORGE + "raise ValueError('true')",
        "exception exit memory",
        "import pickle\nprint(pickle.loads(pickle.dumps({'wait': 0})))",
        "{'wait': 0}\n",
        code=1,
    ),
    Case(
        "forged reports, then an endless loop",
        _FORGE + "while True: pass",
        "timeout",
        "import struct\nprint(struct.unpack('<I', struct.pack('<I', 7)))",
        "(7,)\n",
        limits=SOON,
    ),
    Case(
        "forged reports, then a fault",
        _FORGE + "os.closerange(3, 4096)\nos.kill(os.getpid(), 11)",
        "killed",
        'print(\'{"exception": "none"}\')',
        '{"exception": "none"}\n',
        code=-11,
    ),
    Case(
        "closed descriptors, then an exception",
        "import os\nos.closerange(0, 4096)\nraise ValueError",
        "exception exit",
        "import os\nos.dup2(1, 9)\nos.write(9, b'by another way\\n')",
        "by another way\n",
        output="",
    ),
]

# --- what the next program finds ------------------------------------------------------------------

_STATE = """
import builtins, codecs, ctypes, decimal, faulthandler, gc, json, locale, logging, os, resource
import signal, sys, tempfile, threading, time, warnings
def place(x): return type(x).__name__, getattr(x, '__module__', None)
name = ctypes.create_string_buffer(16)
ctypes.CDLL(None).prctl(16, name, 0, 0, 0)
for fact in (
    os.listdir(), sorted(os.environ), sorted(sys.modules), name.value, sys.argv, 200 + 1, [1] * 2,
    {n: place(v) for n, v in vars(builtins).items()}, {n: place(v) for n, v in vars(os).items()},
    {n: place(v) for n, v in vars(json).items()}, json.dumps(json.loads('[1, {}]')),
    [str(signal.getsignal(s)) for s in sorted(signal.valid_signals())],
    os.getcwd() == os.getenv('HOME'), signal.pthread_sigmask(signal.SIG_BLOCK, []),
    signal.getitimer(signal.ITIMER_REAL),
    sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits(), sys.flags,
    place(sys.excepthook), place(sys.displayhook), place(sys.unraisablehook),
    sys.dont_write_bytecode, len(gc.callbacks), gc.get_threshold(), gc.isenabled(), gc.get_debug(),
    threading.active_count(), sys.gettrace(), sys.getprofile(), threading.gettrace(),
    threading.stack_size(), os.umask(0o22), os.sched_getaffinity(0),
    [resource.getrlimit(k) for k in range(16)], len(sys.path), len(sys.path_hooks),
    [place(f) for f in sys.meta_path], os.getpriority(os.PRIO_PROCESS, 0), os.getgroups(),
    decimal.getcontext(), locale.setlocale(locale.LC_ALL), time.tzname, warnings.filters,
    faulthandler.is_enabled(), logging.root.handlers, logging.root.level, sys.stdout.encoding,
    sys.stdout.errors, sys.stdout.line_buffering, tempfile.tempdir, codecs.lookup('utf-8').name,
    sorted(globals()), sys.stdin.read(),
):
    print(fact)
"""
_LEAK = """
import atexit, builtins, codecs, ctypes, decimal, faulthandler, gc, json, locale, logging, os
import resource, signal, sys, tempfile, threading, time, warnings
for name in ('json', 'sitecustomize', 'usercustomize', 'decimal', 'locale', 'numpy', 'tempfile'):
    open(name + '.py', 'w').write('raise SystemExit("poisoned")')
ctypes.CDLL(None).prctl(15, b'forged', 0, 0, 0)
os.environ.update(LEAK='1', HOME='/', TZ='Asia/Tokyo', PYTHONSTARTUP='x', LD_PRELOAD='x')
time.tzset()
sys.modules['forged'] = sys
sys.argv.append('forged')
sys.path.insert(0, os.getcwd())
sys.path_hooks.clear()
class Finder:
    def find_spec(self, *_): raise SystemExit('poisoned')
sys.meta_path.insert(0, Finder())
sys.excepthook = sys.displayhook = sys.unraisablehook = lambda *_: os._exit(0)
sys.set_int_max_str_digits(0)
sys.setswitchinterval(9)
sys.dont_write_bytecode = not sys.dont_write_bytecode
threading.stack_size(1 << 20)
threading.settrace(lambda *_: None)
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGCHLD])
signal.setitimer(signal.ITIMER_REAL, 3)
gc.disable()
gc.set_threshold(1, 1, 1)
gc.callbacks.append(lambda *_: os._exit(0))
os.umask(0)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
decimal.getcontext().prec = 3
warnings.simplefilter('error')
faulthandler.enable()
logging.basicConfig(level=1)
sys.stdout.reconfigure(line_buffering=False)
tempfile.tempdir = '/'
sys.settrace(lambda *_: None)
for module in (os, json):
    for name in list(vars(module)):
        if name[0] != '_' and name != 'write': setattr(module, name, lambda *_: 'forged')
os.write(1, b'leaked\\n')
builtins.open = builtins.len = builtins.print = builtins.__import__ = lambda *_: 'forged'
sys.setrecursionlimit(50)
"""
STATE = [
    Case(
        "everything of the interpreter changed",
        _LEAK,
        "ok exit exception killed",
        "import os, sys\nos.environ['A'] = 'b'\nsys.setrecursionlimit(3000)\nos.umask(0o77)\n"
        "print(os.environ['A'], sys.getrecursionlimit(), oct(os.umask(0)))",
        "b 3000 0o77\n",
        output="leaked\n",
        after=_STATE,
    ),
    Case(
        "numbers and types changed in memory",
        "import ctypes\nctypes.c_int.from_address(id(201) + 24).value = 202\n"
        "ctypes.pythonapi.PyType_Modified(ctypes.py_object(list))\n"
        "for o in vars(ctypes), dict.__dict__: print(len(o) > 0)\n"
        "ctypes.memset(id(list) + 16, 0, 200)\nlist([1])",
        "ok killed exception",
        "import ctypes\nn = ctypes.c_int(5)\nctypes.pointer(n).contents.value = 6\n"
        "ctypes.memset(ctypes.addressof(n), 1, 1)\nprint(n.value)",
        "1\n",
        after=_STATE,
    ),
    Case(
        "files left for the next",
        "import os\nfor name in ('os', 'json', 'sitecustomize', 'site', 'encodings', 'numpy'):\n"
        "    os.makedirs('__pycache__', exist_ok=True)\n"
        "    for ending in '.py', '.pth', '.so', '.cpython-311-x86_64-linux-gnu.so':\n"
        "        open(name + ending, 'w').write('raise SystemExit(\"poisoned\")')\n"
        "os.makedirs('.local/lib/python3.11/site-packages')\n"
        "open('.local/lib/python3.11/site-packages/x.pth', 'w').write('import os; os._exit(9)')\n"
        "open('pyvenv.cfg', 'w').write('home = /')\nprint('left')",
        "ok",
        "open('helper.py', 'w').write('def f(): return 5')\nimport helper\nprint(helper.f())",
        "5\n",
        output="left\n",
        after="import os, json, numpy, glob\nprint(os.listdir(), glob.glob('.*'), json.dumps([1]),"
        " numpy.arange(2), os.path.exists('pyvenv.cfg'))",
    ),
    Case(
        "files left beside its folder",
        "import os\nfor place in '..', '../..', '../../..', os.path.dirname(os.getcwd()):\n"
        "    for call in open, os.mkdir, os.mkfifo:\n"
        "        try: call(place + '/@MARK@' + call.__name__, *(['w'] * (call is open)))\n"
        "        except OSError: pass\nprint('left')",
        "ok",
        "import os\nos.makedirs('a/b')\nos.chdir('a/b')\nopen('../../f', 'w').close()\n"
        "print(sorted(os.listdir('../..')))",
        "['a', 'f']\n",
        output="left\n",
        after="import os\nfor place in '..', '../..', '../../..':\n"
        "    for name in 'open', 'mkdir', 'mkfifo':\n"
        "        print(os.path.lexists(f'{place}/@MARK@{name}'))",
    ),
    Case(
        "a fault in the middle of output",
        "import os, sys\nsys.stdout.write('torn')\nos.write(1, b'raw')\nos.write(2, b'wrong')\n"
        "os.kill(os.getpid(), 9)",
        "killed",
        "import sys\nprint('one', flush=True)\nsys.stdout.write('two')",
        "one\ntwo",
        output="raw",
        code=-9,
    ),
]

CASES = [*TIME, *MEMORY, *RECURSION, *PROCESSES, *NETWORK, *FILES, *ENDS, *STATE]
