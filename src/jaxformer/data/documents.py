"""What goes into a data set: documents, and what is said of those that stay out."""

from dataclasses import dataclass, replace

from jaxformer.transcript import HEADER, Turn, ask, render


@dataclass(frozen=True)
class Document:
    """One text and what is known of it."""

    text: str
    path: str
    """Where it comes from: a path within its source, with `:LINE` or `:ROW` for a record."""
    language: str = ""
    """A name of `languages.LANGUAGES`, or nothing if unknown."""
    license: str = ""
    """SPDX identifier, or nothing if unknown."""
    turns: tuple[Turn, ...] = ()
    """The turns of a conversation, whose transcript `text` is."""

    @property
    def size(self) -> int:
        """Bytes in UTF-8."""
        return len(self.text.encode())


@dataclass(frozen=True)
class Dropped:
    """A document that stays out, by which rule, and why."""

    path: str
    rule: str
    detail: str = ""
    size: int = 0
    """Bytes, as far as they are known."""
    language: str = ""
    license: str = ""


def conversation(turns: tuple[Turn, ...], path: str, license: str = "") -> Document:
    """Return the document of a conversation: its transcript, as a session writes it."""
    return Document(render(turns), path, "python", license, turns)


def prompt_spans(turns: tuple[Turn, ...]) -> list[int]:
    """Return where a transcript's header and prompts are: start, end, start, end, … in characters.

    The `#` before a prompt is the end of the code before it, and not part of the prompt.
    """
    spans = [0, len(HEADER)] if turns else []
    start = len(HEADER)
    for turn in turns:
        spans += [start + 1, start + len(ask(turn.prompt))]
        start += len(render([turn])) - len(HEADER)
    return spans


def drop(document: Document, rule: str, detail: str = "") -> Dropped:
    """Return what the ledger says of a document that a rule drops."""
    return Dropped(document.path, rule, detail, document.size, document.language, document.license)


def with_text(document: Document, text: str) -> Document:
    """Return the document with its text redacted."""
    return replace(document, text=text)
