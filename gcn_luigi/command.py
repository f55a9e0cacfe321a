"""The command `gcn` from its first moment: Ctrl-C is answered plainly while the libraries are still being imported."""

import os
import signal

# As a shell says of a command that Ctrl-C ended.
_CODE = 128 + signal.SIGINT


def main() -> None:
    """Run the command."""
    # Started in the background it may be told to be deaf to Ctrl-C.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _stop_at_once)
    from gcn_luigi.cli import main as command  # noqa: PLC0415

    command()


def _stop_at_once(*_: object) -> None:
    # A module that is being imported would tell it as a traceback. Nothing has begun that could be left half done.
    os.write(2, b"stopped: nothing was begun\n")
    os._exit(_CODE)
