"""Every kind of input that is broken on purpose.

Another kind is one module with its samples and its attempt, one entry here, and one number in `tests.faults.fuzz`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tests.faults.datasets import DATASET, GRAPH, SHARD
from tests.faults.kind import Kind
from tests.faults.labels import DISTANCE, LABEL, VOTES
from tests.faults.texts import LUIGI_CFG, PARAMS, TOML
from tests.faults.tiles import TILE, TOPO
from tests.faults.vectors import EXCLUSIONS, GRID, OUTLINES, REJECTS

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "tile": TILE,
        "topo": TOPO,
        "votes": VOTES,
        "label": LABEL,
        "distance": DISTANCE,
        "outlines": OUTLINES,
        "grid": GRID,
        "exclusions": EXCLUSIONS,
        "rejects": REJECTS,
        "toml": TOML,
        "luigi_cfg": LUIGI_CFG,
        "params": PARAMS,
        "shard": SHARD,
        "dataset": DATASET,
        "graph": GRAPH,
    }
)
