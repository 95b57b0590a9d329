"""Messages between the supervisor and its fork server: JSON of a known length, and descriptors."""

import array
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

LONGEST = 64 << 20
"""Bytes of one message; more is refused before it is read."""

_HEAD = struct.Struct("=I")
_MOST_DESCRIPTORS = 16


def send(to: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Sends one message, with copies of open descriptors."""
    data = json.dumps(message).encode()
    if len(data) > LONGEST:
        raise ValueError(f"a message of {len(data)} bytes is longer than {LONGEST}")
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    to.sendmsg([_HEAD.pack(len(data))], rights if descriptors else [])
    to.sendall(data)


def receive(source: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Waits for one message; raises EOFError when the other side is gone."""
    head, descriptors, _, _ = socket.recv_fds(source, _HEAD.size, _MOST_DESCRIPTORS)
    head += _exactly(source, _HEAD.size - len(head)) if head else b""
    if not head:
        raise EOFError
    [size] = _HEAD.unpack(head)
    if size > LONGEST:
        raise ValueError(f"a message of {size} bytes is longer than {LONGEST}")
    message = json.loads(_exactly(source, size))
    if not isinstance(message, dict):
        raise ValueError("a message must be an object")
    return message, descriptors


def _exactly(source: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = source.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
