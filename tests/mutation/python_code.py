"""Mutants of Python modules, made by the operators of Cosmic Ray."""

import ast
import random
from collections import defaultdict
from collections.abc import Iterator

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutation.mutant import Mutant

Place = tuple[int, int]


def annotations(source: str) -> list[tuple[Place, Place]]:
    """Return begin and end of each annotation. Nothing evaluates them, so a change there means nothing."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
    # ast counts columns in bytes, Cosmic Ray in characters. The modules hold ASCII where there is an annotation.
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in found
        if node is not None
    ]


def changes(source: str) -> dict[Place, list[tuple[str, int]]]:
    """Return for each place the operators that can change it, each with the number of the occurrence."""
    nodes, left_out = list(ast_nodes(get_ast(source))), annotations(source)
    found: dict[Place, list[tuple[str, int]]] = defaultdict(list)
    for name in operator_names():
        if get_operator(name).arguments():
            continue
        operator, occurrence = get_operator(name)(), 0
        for node in nodes:
            for begin, _ in operator.mutation_positions(node):
                if not any(first <= begin < last for first, last in left_out):
                    found[begin].append((name, occurrence))
                occurrence += 1
    return dict(found)


def drawn(path: str, source: str, count: int, seed: int) -> list[Mutant]:
    """Return at most `count` mutants of a module, each at a different place; the same seed draws the same ones."""
    return sorted(_drawn(path, source, count, seed), key=lambda mutant: mutant.line)


def _drawn(path: str, source: str, count: int, seed: int) -> Iterator[Mutant]:
    rng = random.Random(f"{seed} {path}")
    possible = changes(source)
    left = count
    # One operator per place: otherwise each + would count eleven times, because eleven operators can replace it.
    for place in rng.sample(sorted(possible), len(possible)):
        if left == 0:
            return
        name, occurrence = rng.choice(possible[place])
        changed = mutate_code(source, get_operator(name)(), occurrence)
        if changed is not None and _is_python(changed):
            yield Mutant.between(path, name.removeprefix("core/"), source, changed)
            left -= 1


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
