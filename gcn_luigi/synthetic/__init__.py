"""A small made-up Alaska for the demo and the tests: nothing is downloaded, nothing is real."""

from gcn_luigi.synthetic.demo import make_demo
from gcn_luigi.synthetic.place import WorldSettings
from gcn_luigi.synthetic.world import World, make_world
from gcn_luigi.synthetic.write import is_written, write_world

__all__ = ["World", "WorldSettings", "is_written", "make_demo", "make_world", "write_world"]
