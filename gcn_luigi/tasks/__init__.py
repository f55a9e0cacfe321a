"""The task graph: each task has parameters, requirements, outputs and one call of a stage.

``luigi --module gcn_luigi.tasks gcn.Dataset --region southern`` builds a region.
"""

from gcn_luigi.luigi_host.worker import use_forkserver
from gcn_luigi.tasks.aligned import AlignedBand
from gcn_luigi.tasks.dataset import (
    AllRegions,
    Dataset,
    DatasetCard,
    LayerStyles,
    QualityReport,
)
from gcn_luigi.tasks.evaluation import Autocorrelation, StrataTables, TrainingDistances
from gcn_luigi.tasks.inventory import CubeTiles, TileInventory, TileQuality
from gcn_luigi.tasks.metadata import DatasetMetadata, StacCatalog
from gcn_luigi.tasks.partitions import (
    GridComparison,
    GridReport,
    PartitionCatalog,
    PartitionFiles,
    PartitionGrid,
)
from gcn_luigi.tasks.rasters import (
    ClassLabel,
    DerivedBand,
    DistanceRaster,
    LabelConfidence,
    OpticalMosaic,
    StackFiles,
    TopoMosaic,
    YearStack,
)
from gcn_luigi.tasks.shards import BandStatistics, ChipIndex, ChipShard

__all__ = [
    "AlignedBand",
    "AllRegions",
    "Autocorrelation",
    "BandStatistics",
    "ChipIndex",
    "ChipShard",
    "ClassLabel",
    "CubeTiles",
    "Dataset",
    "DatasetCard",
    "DatasetMetadata",
    "DerivedBand",
    "DistanceRaster",
    "GridComparison",
    "GridReport",
    "LabelConfidence",
    "LayerStyles",
    "OpticalMosaic",
    "PartitionCatalog",
    "PartitionFiles",
    "PartitionGrid",
    "QualityReport",
    "StacCatalog",
    "StackFiles",
    "StrataTables",
    "TileInventory",
    "TileQuality",
    "TopoMosaic",
    "TrainingDistances",
    "YearStack",
]

# The only action at import: Luigi has no other hook for it, and the wrong start method corrupts pixels.
use_forkserver()
