"""Reading a process's pipes."""

import contextlib
import os
import time

import pytest

from jaxformer.sandbox.pipes import Reader, pipe


@pytest.mark.parametrize("news", [b"it has ended", b""])
def test_what_was_written_before_the_end_is_read(news: bytes):
    """The last words may come between a look at their pipe and the news of the end."""
    with contextlib.ExitStack() as stack:
        (report, last_words), (status, end) = pipe(stack), pipe(stack)

        class Late(Reader):
            def _keep(self, name: str, chunk: bytes) -> None:
                super()._keep(name, chunk)
                if (name, chunk) == ("status", news):  # its look at the report is over
                    os.write(last_words.fileno(), b"passed")

        reader = Late({"report": report, "status": status}, 100)
        end.write(news)
        if not news:
            end.close()
        ended = reader.read(
            time.monotonic() + 5, {"status"}, or_until=lambda: bool(reader.data["status"])
        )
        assert ended
        assert reader.data["report"] == b"passed"
