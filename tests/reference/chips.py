"""Cutting and counting chips in plain Python, written from the specification and nothing else."""

import math

import numpy as np


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


def count_chip(label, flags):
    """Counts in the order of the fields of ChipCounts, of one cut chip."""
    return [
        int((label == 0).sum()),
        int((label == 1).sum()),
        int((label == 2).sum()),
        int((label > 2).sum()),
        int((flags & 1 != 0).sum()),
        int((flags & 2 != 0).sum()),
        int((flags & (1 | 2 | 8 | 16) != 0).sum()),
    ]


def coverage(origins, size, shape):
    seen = np.zeros(shape, np.uint32)
    for row, col in origins:
        seen[row : row + size, col : col + size] += 1
    return seen


def count_classes(label):
    """Counts of none, debris, ice and everything else."""
    counts = [int((label == value).sum()) for value in range(3)]
    return [*counts, label.size - sum(counts)]
