"""Cutting and counting chips in plain Python, written from the specification and nothing else."""

import dataclasses
import math

import numpy as np

from gcn_luigi.prepare.chips.selection import ChipCounts


def chip_offsets(extent, size, step, edge):
    if edge == "legacy":
        return tuple(k * step for k in range(math.ceil((extent - size) / step) + 1))
    offsets = []
    offset = 0
    while offset + size <= extent:
        offsets.append(offset)
        offset += step
    if edge == "clamp" and offsets[-1] + size < extent:
        offsets.append(extent - size)
    if edge == "pad" and offsets[-1] + size < extent and offset < extent:
        offsets.append(offset)
    return tuple(offsets)


def cut_chip(stack, row, col, size, edge, fill):
    """One chip (band, y, x) of a stack (band, y, x)."""
    return cut_window(stack, row, col, (size, size), edge, fill)


def cut_window(stack, row, col, size, edge, fill):
    """One chip (band, y, x) of `size` rows and columns."""
    chip = np.full((len(stack), *size), fill, stack.dtype)
    part = stack[:, row : row + size[0], col : col + size[1]]
    _, h, w = part.shape
    if edge != "legacy":
        chip[:, :h, :w] = part
    elif h and w:
        for i in range(size[0]):
            for j in range(size[1]):
                chip[:, i, j] = part[:, math.floor(i * h / size[0]), math.floor(j * w / size[1])]
    return chip


def chip_counts(none, debris, ice, *others):
    """Return counts of chips with the default classes, from one array (chip,) for each kind."""
    return ChipCounts(np.stack([none, debris, ice], axis=1), *others)


def count_columns(counts):
    """Return counts of chips as one array (chip, kind): classes, then the other fields."""
    others = [getattr(counts, field.name) for field in dataclasses.fields(counts)[1:]]
    return np.column_stack([counts.classes, *others])


def count_chip(label, flags, values=(0, 1, 2)):
    """Counts in the order of `count_columns`, of one cut chip."""
    return [
        *(int((label == value).sum()) for value in values),
        int((~np.isin(label, values)).sum()),
        int((flags & 1 != 0).sum()),
        int((flags & 2 != 0).sum()),
        int((flags & (1 | 2 | 8 | 16) != 0).sum()),
    ]


def coverage(origins, size, shape):
    seen = np.zeros(shape, np.uint32)
    for row, col in origins:
        seen[row : row + size, col : col + size] += 1
    return seen


def count_classes(label, values=(0, 1, 2)):
    """Counts of each class and of everything else."""
    counts = [int((label == value).sum()) for value in values]
    return [*counts, label.size - sum(counts)]
