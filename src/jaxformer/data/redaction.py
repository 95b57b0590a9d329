"""Secrets and e-mail addresses are replaced by `<secret>` and `<email>`.

What is replaced never holds a quote that it does not close, so a string stays a string. No rule
finds anything in a replacement or because of one: redacting twice is redacting once.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from math import log2
from typing import TypeAlias

SECRET = "<secret>"
EMAIL = "<email>"

_Edit: TypeAlias = tuple[int, int, str]
"""Replace the text from here to there by this."""


def redact_secrets(text: str) -> tuple[str, int]:
    """Replace private keys, access tokens, passwords in URLs and random literals of telling names.

    Returns:
        The new text and the number of replacements.
    """
    return _redact(text, (_private_keys, _tokens, _url_passwords, _assignments, _aws_secrets))


def redact_emails(text: str) -> tuple[str, int]:
    """Replace e-mail addresses but those of reserved domains (RFC 2606) and `git@…` remotes.

    Returns:
        The new text and the number of replacements.
    """
    return _redact(text, (_addresses,))


def _redact(text: str, rules: Iterable[Callable[[str], Iterator[_Edit]]]) -> tuple[str, int]:
    """Apply the edits of one rule after the other."""
    count = 0
    for rule in rules:
        pieces, done = [], 0
        for start, end, replacement in rule(text):
            pieces += text[done:start], replacement
            done = end
            count += 1
        if pieces:
            text = "".join(pieces) + text[done:]
    return text, count


# Secrets

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"((?:[\s\"',#*]|\\n)*+"
    r"(?:(?:Version|Comment|Proc-Type|DEK-Info): [^\"'\n\\]*(?:\n|\\n)(?:[\s\"',#*]|\\n)*+)*+"
    r"[A-Za-z0-9+/=\s\\\"',#*]*)"
    r"-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
)
_KEY_MATERIAL = re.compile(r"[A-Za-z0-9+/=]{40}")


def _private_keys(text: str) -> Iterator[_Edit]:
    """Find PEM and PGP private keys with a body, also as one string a line (RFC 7468, RFC 4880)."""
    if "PRIVATE KEY" not in text:
        return
    for match in _PRIVATE_KEY.finditer(text):
        body = match[1]
        quotes = body.count('"'), body.count("'")
        closed = min(quotes) == 0 and max(quotes) % 2 == 0
        if closed and _KEY_MATERIAL.search(body):
            yield *match.span(), SECRET


_TOKENS = {
    **dict.fromkeys(("AKIA", "ASIA"), r"[A-Z0-9]{16}(?!\w)"),  # AWS
    **{f"gh{kind}_": r"[A-Za-z0-9]{36,255}(?!\w)" for kind in "pousr"},
    "github_pat_": r"\w{22,255}",
    "glpat-": r"[\w-]{20,}",
    "xox": r"[abeoprs]-[A-Za-z0-9-]{10,}(?!\w)",  # Slack
    "xapp-": r"[A-Za-z0-9-]{20,}(?!\w)",
    "hooks.slack.com/services/": r"T\w+/B\w+/\w{16,}",
    **dict.fromkeys(("sk_live_", "rk_live_"), r"[A-Za-z0-9]{16,}(?!\w)"),  # Stripe
    "AIza": r"[\w-]{35}(?![\w-])",  # Google
    "GOCSPX-": r"[\w-]{28}(?![\w-])",
    "npm_": r"[A-Za-z0-9]{36}(?!\w)",
    "pypi-AgE": r"[\w-]{50,}",
    "hf_": r"[A-Za-z0-9]{34,}(?!\w)",
    "sk-": r"(?:(?:proj|svcacct|admin|ant)-[\w-]{20,}|[A-Za-z0-9]{32,}(?![\w-]))",  # OpenAI …
    "SG.": r"[\w-]{22}\.[\w-]{43}(?![\w-])",  # SendGrid
    "eyJ": r"[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",  # JSON Web Tokens
}
"""How the tokens of each published prefix go on."""


def _token_pattern(prefix: str, rest: str) -> re.Pattern[str]:
    """Compile a token so that it begins with literal text, which `re` finds fast."""
    literal = re.escape(prefix)
    return re.compile(f"{literal}(?<![\\w-]{literal}){rest}", re.ASCII)


_TOKEN_PATTERNS = {prefix: _token_pattern(prefix, rest) for prefix, rest in _TOKENS.items()}


def _tokens(text: str) -> Iterator[_Edit]:
    """Find tokens by their issuers' published prefixes, but for placeholders."""
    found = sorted(
        match.span()
        for prefix, pattern in _TOKEN_PATTERNS.items()
        if prefix in text
        for match in pattern.finditer(text)
        if not _is_placeholder(match[0][len(prefix) :])
    )
    done = 0
    for start, end in found:
        if start >= done:
            yield start, end, SECRET
            done = end


_PLACEHOLDER = re.compile(
    r"your|example|change.?me|placeholder|dummy|xxxx|redacted|insert|replace|\.\.\.|\*\*\*", re.I
)


def _is_placeholder(value: str) -> bool:
    """Tell whether a value stands for a secret: it says so, or has fewer than 6 characters."""
    return len(set(value)) < 6 or _PLACEHOLDER.search(value) is not None


_URL_PASSWORD = re.compile(
    r"://[^\s:/?#@'\"`<>{}()\[\]\\,;|]*:([^\s/@'\"`<>{}()\[\]\\,;|]+)@(?=[A-Za-z0-9])"
)
_NO_PASSWORD = re.compile(
    r"[$%*].*|.*(?:user|pass|secret|pwd|token|example|your|redacted).*|pw|x+|\d{1,5}", re.I
)
"""Variables, formats, words that stand for a password, and ports."""


def _url_passwords(text: str) -> Iterator[_Edit]:
    """Find the password of `scheme://user:password@host`; words for a password stay."""
    if "://" not in text:
        return
    for match in _URL_PASSWORD.finditer(text):
        if not _NO_PASSWORD.fullmatch(match[1]):
            yield *match.span(1), SECRET


_LITERAL = re.compile(r"[:=][ \t]*[bBrRuU]{0,2}([\"'])([A-Za-z0-9+/=_.~!@#$%^&*-]{16,512})\1")
_SECRET_NAME = re.compile(
    r"(?:passw(?:or)?d|passphrase|pwd|secret|api_?key|access_?key|auth_?key|token|credential)"
    r"\w{0,24}[\"']?\]?[ \t]{0,8}(?::[ \t]?[\w.\[\]| ]{1,24})?[=!:+]?$",
    re.I,
)
_AWS_SECRET = re.compile(
    r"aws_?secret(?:_?access)?(?:_?key)?[ \t]*[:=][ \t]*([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", re.I
)


def _assignments(text: str) -> Iterator[_Edit]:
    """Find random literals that are assigned to a name like `password`.

    A literal is assigned by `=` or `:`, as `token = "…"`, `"token": "…"` or `token: str = "…"`.
    """
    for match in _LITERAL.finditer(text):
        start, end = match.span(2)
        name = text[max(0, match.start() - 80) : match.start()]
        if is_random(match[2]) and _SECRET_NAME.search(name):
            yield start, end, SECRET


def _aws_secrets(text: str) -> Iterator[_Edit]:
    """Find the secret keys of AWS in settings files, which have no quotes."""
    if "aws" not in text and "AWS" not in text:
        return
    for match in _AWS_SECRET.finditer(text):
        if is_random(match[1]):
            yield *match.span(1), SECRET


def is_random(value: str) -> bool:
    """Tell whether a value looks drawn by chance, rather than written by a person.

    It has 16 characters or more and a digit among them, an entropy of at least 3 bits a character,
    and at least every fourth time its letters and digits change between lower case, upper case
    and digits (a capital before a small letter, as in a name, is no change). Placeholders do not.
    """
    if len(value) < 16 or _is_placeholder(value):
        return False
    kinds = ["d" if c.isdigit() else "l" if c.islower() else "u" for c in value if c.isalnum()]
    changes = sum(a != b and a + b != "ul" for a, b in pairwise(kinds))
    entropy = -sum(n / len(value) * log2(n / len(value)) for n in Counter(value).values())
    return "d" in kinds and 4 * changes >= len(kinds) and entropy >= 3


# E-mail addresses

_DOMAIN = re.compile(
    r"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+)"
    r"([a-z]{2}|[A-Z]{2}|(?i:com|org|net|edu|gov|mil|int|info|biz|name|dev|app|cloud|tech|email))"
    r"(?!\.?\w|[-(\[@])"
)
_LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"
_CERTAIN = re.compile("com|org|net|edu|gov|mil|de|uk|fr|cn|jp|ru|is|in", re.I)
"""Endings that attributes of an object hardly have."""
_RESERVED = re.compile(r"(?:.+\.)?example\.(?:com|org|net)", re.I)
_ESCAPE = re.compile(r"x\w\w|u\w{4}|U\w{8}|[0-7]{1,3}|\w")


def _addresses(text: str) -> Iterator[_Edit]:
    """Find `local@domain.tld`.

    The local part has 1 to 64 of the letters, digits and `._+-`, and begins with a letter or digit.
    It does not belong to a URL or a format, and what follows goes on neither the domain nor, as
    `(`, `[` and `.attribute`, an expression. A domain ends in two letters or a common generic one.
    What could be an attribute counts only after a quote or `#` in its line, or after `<`: without,
    `a@b.at` may multiply matrices. An address in angle brackets becomes `<email>` with them.
    """
    seen, marked = 0, False
    for match in _DOMAIN.finditer(text):
        at, end = match.span()
        _, newline, line = text[seen:at].rpartition("\n")
        marked = (marked and not newline) or any(mark in line for mark in "\"'#")
        seen = at
        head = text[max(0, at - 80) : at]
        begin = at - len(head) + len(head.rstrip(_LOCAL))
        if text[begin - 1 : begin] == "\\" and (escape := _ESCAPE.match(text, begin, at)):
            begin = escape.end()
        local, before = text[begin:at], text[max(0, begin - 3) : begin]
        if not (0 < len(local) <= 64 and local[0].isalnum()) or local == "git":
            continue
        if before.endswith(("://", "@", "%", "$", "}")) or _RESERVED.fullmatch(match[0][1:]):
            continue
        angle = before.endswith("<")
        if not (marked or angle or _CERTAIN.fullmatch(match[2])):
            continue
        bracketed = angle and text[end : end + 1] == ">"
        yield begin, end, "email" if bracketed else EMAIL
