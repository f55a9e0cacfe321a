"""How much memory a shard may need, and what makes it need less."""

from gcn_luigi.io.raster.stack import DEFAULT_MEMORY
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.shards.chip_encoder import BATCH

# Beside partitions and chips: blocks that GDAL has decoded, windows read ahead, tables, HDF5. As measured.
_FIXED = 56_000_000 + DEFAULT_MEMORY.blocks + DEFAULT_MEMORY.ahead
# Weights, labels in words and masks of the partition that is counted, in bytes a pixel.
_COUNTED = 24
_LEAST_SIZE = 32


def shard_bytes(settings: RegionSettings, threads: int, size: int | None = None) -> int:
    """Return a bound in bytes on what building a shard adds to a process that has its libraries loaded.

    `size` is the edge of a partition in pixels, in place of the settings': partitions of a grid that is read from a
    file may be larger. Where chips are few, each partition may be a single piece of work; then as many partitions as
    pieces are under way, and that is the case allowed for. A build whose partitions have many chips needs half of it or
    less.
    """
    pixels = (settings.grid.size if size is None else size) ** 2
    n_image = len(settings.schema_bands.image)
    sample = 2 * n_image + 2
    partition = pixels * sample
    piece = partition if settings.shards.layout == "windows" else BATCH * settings.chips.size**2 * sample
    raw = 2 * (n_image + 1) * pixels
    # One that is cut; with threads those read ahead, the one at hand, and one for each piece under way.
    in_threads = threads > 1
    partitions = 2 * threads + 4 if in_threads else 1
    pieces = 2 * threads + 1 if in_threads else 1
    ahead = max(raw - DEFAULT_MEMORY.ahead, 0)
    return _FIXED + raw + ahead + partitions * partition + (pieces + threads) * piece + _COUNTED * pixels


def lighter_shard(settings: RegionSettings, threads: int, limit: int) -> list[str]:
    """Return what to lower so that a shard fits `limit` bytes; where nothing would, what it depends on."""
    advice = []
    fewer = next((count for count in range(threads - 1, 0, -1) if shard_bytes(settings, count) <= limit), None)
    if threads > 1:
        advice.append(f"lower threads ([gcn] in luigi.cfg, now {threads}) to {fewer or 1}")
    size = settings.grid.size
    smaller = next((s for s in _halves(size) if shard_bytes(settings, 1, s) <= limit), None)
    if fewer is None and smaller is not None:
        advice.append(f"lower [grid] size (now {size}) to {smaller}")
    return advice


def _halves(size: int) -> list[int]:
    """Return `size` halved again and again."""
    return [size >> k for k in range(1, 16) if size >> k >= _LEAST_SIZE]
