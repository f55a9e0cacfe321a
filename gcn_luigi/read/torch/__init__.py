"""Chips for torch: sets and streams that read from shards, and chips that are cut on the device itself."""

from gcn_luigi.read.torch.device import DeviceBatches, DeviceChips
from gcn_luigi.read.torch.loaders import ChipDataset, ChipStream, collate, tensors
from gcn_luigi.read.torch.orientation import dihedral

__all__ = ["ChipDataset", "ChipStream", "DeviceBatches", "DeviceChips", "collate", "dihedral", "tensors"]
