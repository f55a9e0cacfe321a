"""Two builds of one region at once."""

import random
import shutil
import time

from tests.faults.arena import LOCAL, Arena
from tests.faults.figures import Figures
from tests.integration.builds import build_inline
from tests.integration.commands import Ended, Tiny, gcn_command, luigid


def two_builds(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Start the same build twice, and builds of two configurations of one region; then run once more."""
    figures = Figures()
    for _ in range(count):
        _same(arena, rng, figures, shares_scheduler=rng.random() < 0.4)
        _different(arena, rng, figures)
    return figures


def _same(arena: Arena, rng: random.Random, figures: Figures, *, shares_scheduler: bool) -> None:
    output = arena.fresh()
    what = "the same build twice at once" + (", one luigid" if shares_scheduler else "")
    figures.faults[what] += 1
    if shares_scheduler:
        with luigid(arena.commands) as port:
            ended = _both(arena, rng, figures, what, [arena.run(output, "--port", str(port))] * 2)
    else:
        ended = _both(arena, rng, figures, what, [arena.run(output)] * 2)
    # Each waits for what the other makes.
    for one in ended:
        arena.honest(one, output, figures, what)
        if one is not None and one.code:
            figures.problem("refused again", f"{what}: exit {one.code}: {one.text[-800:]}")
    arena.mends(output, figures, what)
    arena.drop(output)


def _different(arena: Arena, rng: random.Random, figures: Figures) -> None:
    output = arena.fresh()
    config = shutil.copytree(arena.tiny.config, arena.root / f"{output.name}-config")
    path = config / f"{arena.tiny.region}.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("seed = 8", "seed = 9"), encoding="utf-8")
    other = Tiny(arena.tiny.sources, config, arena.tiny.region)
    what = "two configurations of one region at once"
    figures.faults[what] += 1
    _both(arena, rng, figures, what, [arena.run(output), (*gcn_command(other, output), LOCAL)])
    if rng.random() < 0.5:
        # The other one once more: nothing of it may be taken for ours.
        build_inline(arena.task(output), page=True)
        arena.commands.gcn_run(other, output, LOCAL)
    arena.mends(output, figures, what)
    arena.drop(output)
    arena.drop(config)


def _both(
    arena: Arena, rng: random.Random, figures: Figures, what: str, commands: list[tuple[object, ...]]
) -> list[Ended | None]:
    running = [arena.commands.start(*commands[0])]
    time.sleep(rng.uniform(0, 0.5 * arena.seconds))
    running.append(arena.commands.start(*commands[1]))
    return [arena.ends(one, figures, what) for one in running]
