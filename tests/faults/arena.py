"""Where faults are done: a tiny region, the dataset that an undisturbed run gives, and the checks after a fault."""

import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.publish.atomic import is_temporary
from gcn_luigi.read.validate import validate
from gcn_luigi.tasks import Dataset
from tests.faults.figures import Figures
from tests.integration.builds import dataset
from tests.integration.commands import Commands, Ended, Running, Tiny, gcn_command, left_after, make_tiny
from tests.reference.timeless import tells_a_time, timeless

LOCAL = "--local-scheduler"
# Workers look for their parent twice a second, and may take ten seconds to tidy up.
_SETTLED_S = 15.0
# Luigi asks a lost scheduler for a minute, again for each thing that it has to say.
_PATIENCE_S = 420.0
_MOST_NAMED = 3
_TAIL = 1200
# The line of the command's own script at which Python reads the package.
_IMPORTING = "in <module>\n    from gcn_luigi.command import main\n"


@dataclass(frozen=True)
class Arena:
    """A place for one job.

    Attributes
    ----------
    root : Path
        Sources, configuration, reference and outputs lie below it.
    tiny : Tiny
        The region.
    commands : Commands
        Starts commands and knows every process of them.
    seconds : float
        How long an undisturbed run takes here.
    """

    root: Path
    tiny: Tiny
    commands: Commands
    seconds: float

    @property
    def reference(self) -> Path:
        """The dataset that an undisturbed run gives."""
        return self.root / "reference" / self.tiny.region

    @property
    def program(self) -> Path:
        """The `gcn` command, for programs that start it."""
        return Path(sys.executable).with_name("gcn")

    def fresh(self, start: Path | None = None) -> Path:
        """Return a new output directory, as deep as that of the reference: relative paths must be the same.

        With `start`, a dataset is copied into it, times included.
        """
        output = self.root / uuid.uuid4().hex[:12]
        output.mkdir()
        if start is not None:
            shutil.copytree(start, output / self.tiny.region)
        return output

    def own(self) -> "Arena":
        """Return an arena with its own sources and configuration, to be changed; it has no reference."""
        root = self.root / f"own-{uuid.uuid4().hex[:8]}"
        for name in ("input", "config"):
            shutil.copytree(self.root / name, root / name)
        return replace(self, root=root, tiny=Tiny(root / "input", root / "config", self.tiny.region))

    def task(self, output: Path) -> Dataset:
        """Return the root of the graph, for builds in this process."""
        return dataset(self.tiny.region, output, self.tiny.sources, self.tiny.config)

    def run(self, output: Path, *extra: str | Path) -> tuple[str | Path, ...]:
        """Return `gcn run` with its scheduler inside, or as `extra` says."""
        return (*gcn_command(self.tiny, output), *(extra or (LOCAL,)))

    def start(self, output: Path, *extra: str | Path, **variables: str) -> Running:
        """Start `gcn run`."""
        return self.commands.start(*self.run(output, *extra), **variables)

    def ends(self, running: Running, figures: Figures, what: str, *, plain: bool = True) -> Ended | None:
        """Wait for a disturbed command, and check that nothing of it lives on and, if `plain`, shows a traceback."""
        try:
            ended = running.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            figures.problem("hang", f"{what}: {running.text()[-_TAIL:]}")
            kill_all(running)
            return None
        figures.builds += 1
        figures.codes[str(ended.code)] += 1
        if left := left_after(_SETTLED_S, running.processes):
            figures.problem("orphan", f"{what}: {len(left)} processes live on")
            kill_all(running)
        # The luigi command logs failures with their tracebacks.
        if plain and "luigi" not in Path(str(running.process.args[0])).name:
            self._plain(ended, figures, what)
        return ended

    def _plain(self, ended: Ended, figures: Figures, what: str) -> None:
        """Check that nothing is told as a traceback, but for Python's own to Ctrl-C while it still imports."""
        start = ended.text.find("Traceback")
        imports = ended.err.rstrip().endswith("KeyboardInterrupt") and _IMPORTING in ended.err
        if start >= 0 and not imports:
            told = ended.text[max(0, start - _TAIL // 4) : start + _TAIL]
            figures.problem("traceback", f"{what}: exit {ended.code}: {told}")

    def honest(self, ended: Ended | None, output: Path, figures: Figures, what: str) -> None:
        """Check that a command which ended with 0 did finish the dataset."""
        if ended is not None and ended.code == 0 and (wrong := self.differences(output, Figures())):
            figures.problem("dishonest code", f"{what}: exit 0, but {named(wrong)}")

    def mends(self, output: Path, figures: Figures, what: str) -> Ended:
        """Run again undisturbed, and check that this ends well and in exactly the undisturbed dataset."""
        running = self.start(output)
        try:
            ended = running.wait()
        except subprocess.TimeoutExpired:
            figures.problem("hang", f"undisturbed, after {what}: {running.text()[-_TAIL:]}")
            kill_all(running)
            return Ended(-1, "", "")
        if ended.code:
            figures.problem("refused again", f"after {what}: exit {ended.code}: {ended.text[-_TAIL:]}")
        if left_after(_SETTLED_S, running.processes):
            figures.problem("orphan", f"undisturbed, after {what}")
            kill_all(running)
        self.equals(output, figures, what)
        return ended

    def equals(self, output: Path, figures: Figures, what: str, reference: Path | None = None) -> None:
        """Check that an output holds the undisturbed dataset and nothing else, and that it is sound."""
        if left := [path.name for path in sorted(output.rglob("*")) if is_temporary(path)]:
            figures.problem("temporary file", f"after {what}: {named(left)}")
        if wrong := self.differences(output, figures, reference):
            figures.problem("wrong dataset", f"after {what}: {named(wrong)}")
        try:
            unsound = list(validate(output / self.tiny.region))
        except GcnLuigiError as error:
            unsound = [str(error)]
        if unsound:
            figures.problem("wrong dataset", f"after {what}: not valid: {named(unsound)}")

    def differences(self, output: Path, figures: Figures, reference: Path | None = None) -> list[str]:
        """Return what differs from the undisturbed dataset, files that should not be there included; drafts apart."""
        reference = reference or self.reference
        wanted, made = files_below(reference), files_below(output / self.tiny.region)
        wrong = [f"{name} is missing" for name in sorted(wanted - made)]
        wrong += [f"{name} should not be there" for name in sorted(made - wanted)]
        for name in sorted(wanted & made):
            content = timeless(reference / name)
            figures.files += 1
            figures.compared += len(content)
            if timeless(output / self.tiny.region / name) != content:
                wrong.append(f"{name} differs")
        return wrong

    def drop(self, path: Path) -> None:
        """Remove an output that is no longer needed."""
        shutil.rmtree(path, ignore_errors=True)


def make_arena(root: Path) -> float:
    """Make sources, configuration and the undisturbed dataset; return the seconds that its run took.

    Raises
    ------
    RuntimeError
        Even the undisturbed run fails.
    """
    tiny = make_tiny(root)
    commands = Commands(root / "commands")
    began = time.monotonic()
    ended = commands.gcn_run(tiny, root / "reference", LOCAL)
    if ended.code:
        raise RuntimeError(f"the undisturbed run fails: {ended.text}")
    return time.monotonic() - began


def open_arena(root: Path, seconds: float) -> Arena:
    """Return the arena that `make_arena` made, with commands of its own."""
    commands = Commands(root / f"commands-{uuid.uuid4().hex[:8]}")
    return Arena(root, Tiny(root / "input", root / "config"), commands, seconds)


def files_below(directory: Path) -> set[str]:
    """Return the files of a dataset, by relative path; drafts and times apart."""
    found = (
        path for path in directory.rglob("*") if path.is_file() and not is_temporary(path) and not tells_a_time(path)
    )
    return {path.relative_to(directory).as_posix() for path in found}


def kill_all(running: Running) -> None:
    """End whatever is left of a command."""
    for process in running.processes():
        process.kill()
    running.process.kill()
    running.process.wait(30)


def named(things: list[str]) -> str:
    """Return the first few of a list, and how many more there are."""
    more = f" and {len(things) - _MOST_NAMED} more" if len(things) > _MOST_NAMED else ""
    return "; ".join(things[:_MOST_NAMED]) + more
