"""Chips for torch, read from shards or cut on the device itself, and files of trained models."""

from gcn_luigi.read.torch.device import DeviceBatches, DeviceChips
from gcn_luigi.read.torch.loaders import ChipDataset, ChipStream, collate, tensors
from gcn_luigi.read.torch.models import load_model, make_model, save_model
from gcn_luigi.read.torch.orientation import dihedral

__all__ = [
    "ChipDataset",
    "ChipStream",
    "DeviceBatches",
    "DeviceChips",
    "collate",
    "dihedral",
    "load_model",
    "make_model",
    "save_model",
    "tensors",
]
