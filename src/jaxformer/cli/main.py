"""The command line: one command a module; errors are one sentence and exit status 2."""

import os
import sys

import typer

from jaxformer.cli import (
    chat,
    compiled,
    complete,
    data,
    evaluate,
    export,
    inspect,
    perplexity,
    report,
    reproduce,
    synthesize,
    tokenizer,
    train,
)
from jaxformer.errors import UserError
from jaxformer.sandbox.__main__ import app as sandbox

app = typer.Typer(
    name="jaxformer",
    help="Train, talk to and measure open code models, from a laptop to a TPU pod.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(synthesize.synthesize)
app.command()(chat.chat)
app.command()(complete.complete)
app.command()(evaluate.evaluate)
app.command()(report.report)
app.command()(perplexity.perplexity)
app.command()(inspect.inspect)
app.command()(export.export)
app.command()(train.train)
app.command()(reproduce.reproduce)
app.add_typer(data.app, name="data")
app.add_typer(tokenizer.app, name="tokenizer")
app.add_typer(sandbox, name="sandbox")


def main() -> None:
    """Run the command line; the exit status is 2 for an error that the user can mend."""
    compiled.keep()
    try:
        status = app(standalone_mode=False)
    except UserError as error:
        _fail(str(error))
    except typer.TyperException as error:
        message = str(error.format_message() if hasattr(error, "format_message") else error)
        _fail(
            f"{message.rstrip('.')}{'' if message.endswith('?') else '.'} See 'jaxformer --help'."
        )
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        _fail(f"{error.filename or 'A file'} cannot be read or written: {error.strerror}.")
    except Exception as error:
        if sentence := _of_devices(error):
            _fail(sentence)
        raise
    else:
        sys.exit(status or 0)


def _of_devices(error: Exception) -> str | None:
    """Return a sentence about what JAX says of devices; None if this is something else."""
    if "jax" not in sys.modules:
        return None
    import jax

    if isinstance(error, jax.errors.JaxRuntimeError):
        reason = (str(error).splitlines() or ["unknown"])[0].rstrip(".")
        if "RESOURCE_EXHAUSTED" in reason:
            return f"A device has too little memory ({reason}); ask for less at one time."
        return f"A device failed ({reason})."
    try:
        jax.devices()
    except Exception:
        wanted = os.environ.get("JAX_PLATFORMS")
        cause = f" of JAX_PLATFORMS={wanted}" if wanted else ""
        return f"JAX cannot use the devices{cause}; install what they need, or choose others."
    return None


def _fail(sentence: str) -> None:
    print(f"jaxformer: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
