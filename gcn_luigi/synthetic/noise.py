"""Repeatable random fields, each decided by the world's seed and by its purpose."""

import zlib

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Field = npt.NDArray[np.float32]


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return a random generator for one purpose, which no other purpose in the same world shares."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def fractal(rng: np.random.Generator, shape: tuple[int, int], wavelength: float, roughness: float = 2.0) -> Field:
    """Return a smooth fractal field by spectral synthesis: (row, col) float32, mean 0, standard deviation 1.

    `wavelength` is the longest wave with power, in pixels. The amplitude falls with the wave number; a larger
    `roughness` makes it fall faster, and the field smoother.
    """
    # The waves are periodic over the array; a margin prevents opposite edges from looking alike.
    margin = min(round(wavelength), max(shape))
    size = tuple(fft.next_fast_len(length + margin, real=True) for length in shape)
    white = rng.standard_normal(size, dtype=np.float32)
    rows = np.fft.fftfreq(size[0]).astype(np.float32)[:, np.newaxis]
    cols = np.fft.rfftfreq(size[1]).astype(np.float32)[np.newaxis, :]
    power = rows * rows + cols * cols
    power += np.float32(wavelength**-2)
    np.log(power, out=power)
    power *= np.float32(-roughness / 2)
    np.exp(power, out=power)
    power[0, 0] = 0
    waves = fft.rfft2(white, overwrite_x=True)
    waves *= power
    field: Field = fft.irfft2(waves, s=size, overwrite_x=True)[: shape[0], : shape[1]].astype(np.float32)
    field -= field.mean()
    field /= np.float32(max(float(field.std()), 1e-12))
    return field


def enlarge(coarse: npt.NDArray[np.floating], shape: tuple[int, int], step: float, order: int = 3) -> Field:
    """Interpolate (row, col) by a spline of degree `order`, 1 or 3: float32 of `shape`, top left corners aligned.

    Pixels of `coarse` are `step` times as large; values are at the centres of pixels.
    """
    values: Field = coarse.astype(np.float32)
    if order == 3:
        values = ndimage.spline_filter(coarse, order=order, output=np.float32, mode="nearest")
    for axis, length in ((1, shape[1]), (0, shape[0])):
        values = _axis(values, axis, length, step, order)
    return values


def smoothstep(values: npt.NDArray[np.floating], low: float, high: float) -> Field:
    """Return 0 up to `low`, 1 from `high` on, and a smooth change between them; `low` may exceed `high`."""
    ramp = (values * np.float32(1 / (high - low))).astype(np.float32)
    ramp -= np.float32(low / (high - low))
    np.clip(ramp, 0, 1, out=ramp)
    curve = 3 - 2 * ramp
    ramp *= ramp
    ramp *= curve
    return ramp


def _axis(values: Field, axis: int, length: int, step: float, order: int) -> Field:
    """Interpolate along one axis with a linear or a cubic B-spline kernel."""
    size = values.shape[axis]
    at = (np.arange(length) + 0.5) / step - 0.5
    base = np.floor(at).astype(np.intp)
    t = (at - base).astype(np.float32)
    base = np.clip(base, -size, 2 * size)
    weights: tuple[Field, ...] = (1 - t, t)
    if order == 3:
        one = np.float32(6)
        weights = (
            (1 - t) ** 3 / one,
            (3 * t**3 - 6 * t**2 + 4) / one,
            (-3 * t**3 + 3 * t**2 + 3 * t + 1) / one,
            t**3 / one,
        )
    total = np.float32(0) * np.take(values, np.zeros(length, dtype=np.intp), axis=axis)
    for offset, weight in enumerate(weights, start=-(len(weights) // 2 - 1)):
        column = weight[:, np.newaxis] if axis == 0 else weight[np.newaxis, :]
        total += column * np.take(values, np.clip(base + offset, 0, size - 1), axis=axis)
    return total
