"""Start of the command `gcn`: Ctrl-C gives one plain line even while the libraries are still being imported."""

import os
import signal

# The exit code that a shell reports for a command that Ctrl-C ended.
_CODE = 128 + signal.SIGINT


def main() -> None:
    """Run the command."""
    # A command that was started in the background may have to ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _stop_at_once)
    from gcn_luigi.cli import main as command  # noqa: PLC0415

    command()


def _stop_at_once(*_: object) -> None:
    # KeyboardInterrupt inside an import would print a traceback. No work has begun that could be left unfinished.
    os.write(2, b"stopped before any work began\n")
    os._exit(_CODE)
