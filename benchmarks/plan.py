"""How much work each contestant is given: enough to be measured, or just enough to run."""

from dataclasses import dataclass

from gcn_luigi.synthetic import WorldSettings

YEARS = (2004, 2008)


@dataclass(frozen=True)
class Plan:
    """Amounts of work; rates are compared, so contestants of one row need not do equally much.

    Attributes
    ----------
    name : str
        Directory of the data.
    world : WorldSettings
        The made-up region.
    rounds : int
        Samples of each contestant, taken in turns.
    all_partitions, slow_partitions, few_partitions, fewest_partitions : int
        For ours and fast peers; for peers that deflate; for the published way at step 32 and at step 8.
    kernel_partitions : int
        Masked and cut in one sample.
    written_partitions : int
        Partitions whose chips are written in one sample of the write row.
    read_partitions, file_chips : int
        Partitions whose chips are read; chips that also exist as one file each.
    fast_batches, slow_batches, cold_batches : int
        Batches of 64 chips in one sample.
    flight_chips : int
        Chips that torchgeo and xbatcher make in one sample.
    curve_partitions, curve_bands, curve_shards : tuple of int
        Where the curves are measured.
    band_partitions, shard_partitions, luigi_partitions : int
        Partitions for the curves over bands, shards and workers.
    """

    name: str
    world: WorldSettings
    rounds: int
    all_partitions: int
    slow_partitions: int
    few_partitions: int
    fewest_partitions: int
    kernel_partitions: int
    written_partitions: int
    read_partitions: int
    file_chips: int
    fast_batches: int
    slow_batches: int
    cold_batches: int
    flight_chips: int
    curve_partitions: tuple[int, ...]
    curve_bands: tuple[int, ...]
    curve_shards: tuple[int, ...]
    band_partitions: int
    shard_partitions: int
    luigi_partitions: int


FULL = Plan(
    name="full",
    world=WorldSettings(shape=(2560, 3072), tiles=(2, 2), years=YEARS),
    rounds=5,
    all_partitions=120,
    slow_partitions=20,
    few_partitions=8,
    fewest_partitions=2,
    kernel_partitions=400,
    written_partitions=100,
    read_partitions=120,
    file_chips=1000,
    fast_batches=16,
    slow_batches=2,
    cold_batches=6,
    flight_chips=400,
    curve_partitions=(50, 200, 1000, 5000),
    curve_bands=(10, 20, 40),
    curve_shards=(1, 4, 16, 64),
    band_partitions=240,
    shard_partitions=960,
    luigi_partitions=1920,
)

QUICK = Plan(
    name="quick",
    world=WorldSettings(shape=(512, 640), tiles=(1, 2), years=YEARS),
    rounds=1,
    all_partitions=4,
    slow_partitions=1,
    few_partitions=1,
    fewest_partitions=1,
    kernel_partitions=2,
    written_partitions=2,
    read_partitions=4,
    file_chips=80,
    fast_batches=1,
    slow_batches=1,
    cold_batches=1,
    flight_chips=20,
    curve_partitions=(2, 8),
    curve_bands=(10, 12),
    curve_shards=(1, 2),
    band_partitions=2,
    shard_partitions=2,
    luigi_partitions=8,
)

PLANS = {plan.name: plan for plan in (FULL, QUICK)}
