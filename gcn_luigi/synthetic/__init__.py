"""A small invented piece of Alaska for the demo and the tests; nothing in it is real, and nothing is downloaded."""

from gcn_luigi.synthetic.world import World, WorldSettings, make_world
from gcn_luigi.synthetic.write import is_written, make_demo, write_world

__all__ = ["World", "WorldSettings", "is_written", "make_demo", "make_world", "write_world"]
