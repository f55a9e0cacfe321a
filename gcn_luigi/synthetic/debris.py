"""Where rock lies on the ice: moraines that follow the flow, and covered fronts."""

import numpy as np
from scipy import ndimage

from gcn_luigi.synthetic.glaciers import Ice
from gcn_luigi.synthetic.noise import Field, enlarge, smoothstep

# Moraines are traced on pixels twice as large.
_SCALE = 2
_STEPS, _STRIDE = 130, 1.2


def trace_moraines(ice: Ice, ground: Field) -> Field:
    """Return how much rock the ice has picked up from its walls on the way to each pixel.

    Every pixel's path is followed up the surface. Where two glaciers join, the paths beside the seam lead back to
    the foot of the spur between them: that is a medial moraine.

    Parameters
    ----------
    ice : Ice
        The glaciers, at their largest.
    ground : ndarray of float32, (row, col)
        Bare ground in metres.

    Returns
    -------
    ndarray of float32, (row, col)
        0 for clean ice to 1.
    """
    mask = ice.mask[::_SCALE, ::_SCALE]
    height = np.maximum(ice.surface, ground)[::_SCALE, ::_SCALE]
    height = ndimage.gaussian_filter(height, 2.5)
    down_rows, down_cols = np.gradient(height)
    length = np.hypot(down_rows, down_cols) + 1e-3
    up_row, up_col = _STRIDE * down_rows / length, _STRIDE * down_cols / length
    inside = ndimage.distance_transform_cdt(np.pad(mask, 1, mode="edge"), "chessboard")[1:-1, 1:-1]
    source = mask & (inside <= 1)
    row, col = (part.astype(np.float32) for part in np.nonzero(mask))
    load = np.zeros(row.size, dtype=np.float32)
    here_row, here_col = row.astype(np.intp), col.astype(np.intp)
    for step in range(_STEPS):
        load += source[here_row, here_col] * np.float32(np.exp(-step / 70))
        row, col = row + up_row[here_row, here_col], col + up_col[here_row, here_col]
        np.clip(row, 0, mask.shape[0] - 1, out=row)
        np.clip(col, 0, mask.shape[1] - 1, out=col)
        here_row, here_col = np.rint(row).astype(np.intp), np.rint(col).astype(np.intp)
    carried = np.zeros(mask.shape, dtype=np.float32)
    carried[mask] = 1 - np.exp(-load / 4)
    return enlarge(ndimage.gaussian_filter(carried, 0.8), ice.mask.shape, _SCALE, order=1)


def cover_with_debris(ice: Ice, moraines: Field, above_line: Field, patches: Field, share: float) -> Field:
    """Return the part of each pixel of ice that rock covers.

    Parameters
    ----------
    ice : Ice
        One year's glaciers.
    moraines : ndarray of float32, (row, col)
        From `trace_moraines`.
    above_line : ndarray of float32, (row, col)
        Height of the surface above the equilibrium line, in metres.
    patches : ndarray of float32, (row, col)
        A fractal field.
    share : float
        Share of all ice that is to be covered.

    Returns
    -------
    ndarray of float32, (row, col)
        0 to 1; 0 off the ice.
    """
    covered = np.zeros(ice.mask.shape, dtype=np.float32)
    if not ice.mask.any():
        return covered
    height, load, unrest = (layer[ice.mask] for layer in (above_line, moraines, patches))
    low = smoothstep(height, 0, -450)
    front = smoothstep(ice.vigour[ice.mask], 0.55, 0.0)
    score = low * (0.15 + 0.9 * load * (0.5 + low) + 0.75 * front + 0.13 * unrest)
    # Above the line new snow buries whatever falls.
    score += 2 * smoothstep(height, 120, -120)
    threshold = float(np.quantile(score, 1 - share))
    covered[ice.mask] = smoothstep(score, threshold - 0.07, threshold + 0.07)
    return covered
