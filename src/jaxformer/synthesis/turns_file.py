"""Conversations as plain text: a prompt a line; empty lines and `#!` comments do not count."""

from pathlib import Path

from jaxformer.errors import UserError


def parse_turns(data: bytes, source: str) -> list[str]:
    """Return the prompts.

    Args:
        data: The text, in UTF-8.
        source: Its name, for error messages.

    Raises:
        UserError: If it is no UTF-8 or holds no prompt.
    """
    prompts = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            text = line.decode("utf-8").lstrip("\ufeff").strip()
        except UnicodeDecodeError as error:
            raise UserError(
                f"{source}, line {number}, is not valid UTF-8; save the file as UTF-8."
            ) from error
        if text and not text.startswith("#!"):
            prompts.append(text)
    if not prompts:
        raise UserError(f"{source} holds no turns; write one prompt a line.")
    return prompts


def read_bytes(path: Path) -> bytes:
    """Read a file that the user named.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def read_text(path: Path) -> str:
    """Read a text in UTF-8 that the user named.

    Raises:
        UserError: If it cannot be read, or is no UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid UTF-8; save the file as UTF-8.") from error
