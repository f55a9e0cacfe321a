"""What a probe finds, and how probes are run: whatever happens in one is told, and the next one goes on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gcn_luigi.errors import GcnLuigiError


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    LOOK = "look"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes
    ----------
    what, found : str
        What was looked at, and what is there.
    verdict : Verdict
        Whether a build works with it.
    fix : str
        How to mend it; empty where nothing is to be mended.
    """

    what: str
    found: str
    verdict: Verdict = Verdict.OK
    fix: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What is looked at; tests give others.

    Attributes
    ----------
    output : Path
        Where datasets go.
    port : int
        The scheduler's.
    environ : mapping
        The environment.
    directory : Path
        Where the command is given.
    root : Path
        Where ``proc`` and ``sys`` are.
    """

    output: Path
    port: int
    environ: Mapping[str, str] = field(default_factory=dict)
    directory: Path = Path()
    root: Path = Path("/")

    @property
    def place(self) -> Path:
        """The output directory, or the nearest one around it that exists."""
        output = (self.directory / self.output).absolute()
        return next(path for path in (output, *output.parents) if path.is_dir())


Probe = Callable[[Surroundings], Iterator[Finding]]


def examine(probes: Sequence[tuple[str, Probe]], surroundings: Surroundings) -> list[Finding]:
    """Run all probes.

    Parameters
    ----------
    probes : sequence of (str, Probe)
        What each looks at, and the probe.
    surroundings : Surroundings
        What they look at.

    Returns
    -------
    list of Finding
        In their order; a probe that fails is one itself.
    """
    findings: list[Finding] = []
    for what, probe in probes:
        try:
            findings.extend(probe(surroundings))
        except GcnLuigiError as error:
            findings.append(Finding(what, f"{error.what} ({error.where})", Verdict.BROKEN, error.fix))
        # A broken library may raise anything, and the rest is still to be told.
        except Exception as error:  # noqa: BLE001
            told = f"cannot be looked at: {type(error).__name__}: {' '.join(str(error).split())}"
            findings.append(Finding(what, told, Verdict.BROKEN, "mend what is named here, then look again"))
    return findings
