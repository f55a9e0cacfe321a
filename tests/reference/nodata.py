"""The two nodata rules in plain numpy, written from the specification and nothing else."""

import numpy as np


def _truthy_product(samples, mask):
    """Where `samples` times `mask` is truthy: the scripts' way of asking for masked samples."""
    with np.errstate(invalid="ignore"):
        return (samples * mask).astype(bool)


def legacy_nodata(
    stack,
    *,
    class_band=9,
    optical_band=0,
    topo_band=-3,
    alt_topo_band=None,
    optical_start=0,
    topo_start=5,
    optical_nodata=-32768,
    topo_nodata=-9999,
    class_nodata=None,
    fill=0,
):
    cn = class_nodata or optical_nodata
    missing_class = stack[class_band] == cn
    missing_optical = stack[optical_band] == optical_nodata
    missing_topo = stack[topo_band] < 0
    if alt_topo_band:
        alternative = stack[alt_topo_band]
        for sentinel in (-cn - 1, topo_nodata, cn):
            missing_topo = missing_topo | (alternative == sentinel)

    result = stack.copy()
    for band in range(optical_start, topo_start):
        result[band][_truthy_product(stack[band], missing_optical)] = fill
    for band in range(topo_start, class_band):
        result[band][_truthy_product(stack[band], missing_topo)] = fill
    for band in range(len(stack)):
        result[band][_truthy_product(result[band].copy(), missing_class)] = fill
    return result


def _verdict(band, value, largest=32767):
    """How one sample of `band` is lost: "sentinel", "range" or not at all."""
    if band.role == "label":
        return "sentinel" if value == band.nodata or value not in (0.0, 1.0, 2.0) else None
    if not np.isfinite(value) or value == band.nodata or (band.role == "topo" and value == largest):
        return "sentinel"
    too_low = band.valid_min is not None and value < band.valid_min
    too_high = band.valid_max is not None and value > band.valid_max
    return "range" if too_low or too_high else None


def strict_nodata(stack, schema, inside=None, fill=0):
    """Image, label, flags, out_of_range, pixel by pixel."""
    bits = {"optical": 1, "topo": 2, "label": 4, "distance": 16}
    planes = np.array(stack)
    flags = np.zeros(stack.shape[1:], np.uint8)
    out_of_range = np.zeros(len(stack), np.int64)
    for y, x in np.ndindex(*flags.shape):
        if inside is None or (
            inside.row <= y < inside.row + inside.height and inside.col <= x < inside.col + inside.width
        ):
            largest = 32767 if stack.dtype.kind == "i" else float(np.finfo(stack.dtype).max)
            samples = zip(schema, stack[:, y, x], strict=True)
            verdicts = [_verdict(band, float(value), largest) for band, value in samples]
        else:
            verdicts = ["sentinel"] * len(stack)
            flags[y, x] = 8
        out_of_range += np.array([verdict == "range" for verdict in verdicts])
        lost = {str(band.role) for band, verdict in zip(schema, verdicts, strict=True) if verdict}
        flags[y, x] += sum(bits[role] for role in lost)
        for number, band in enumerate(schema):
            if str(band.role) in lost:
                planes[number, y, x] = 255 if band.role == "label" else fill
    at = next(number for number, band in enumerate(schema) if band.role == "label")
    return np.delete(planes, at, axis=0), planes[at].astype(np.uint8), flags, np.delete(out_of_range, at)
