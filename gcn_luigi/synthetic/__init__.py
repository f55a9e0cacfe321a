"""A small made-up Alaska for the demo and the tests: nothing is downloaded, nothing is real."""

from gcn_luigi.synthetic.world import World, WorldSettings, make_world
from gcn_luigi.synthetic.write import is_written, make_demo, write_world

__all__ = ["World", "WorldSettings", "is_written", "make_demo", "make_world", "write_world"]
