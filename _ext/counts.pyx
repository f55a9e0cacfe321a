"""Counts of classes, flags and chips over planes.

Compiled because numpy needs a mask and a pass for every kind that is counted. For overlapping windows
it also reads all pixels of every chip, or keeps six cumulative copies of the plane.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from rows cimport count_bytes, weigh_classes

cdef enum:
    # Optical missing, topo missing, any band missing.
    N_MASKS = 3
    # none, debris, ice. These have loops of their own, because nearly every label has these classes.
    N_DEFAULT = 3
    # The most rows that a column can count in one byte.
    MOST_ROWS = 255


def count_windows(
    const uint8_t[:, ::1] label not None,
    const uint8_t[:, ::1] flags not None,
    const uint8_t[::1] values not None,
    const uint8_t[::1] masks not None,
    const int64_t[:, ::1] origins not None,
    Py_ssize_t size,
    int64_t[::1] slots not None,
    uint8_t[:, ::1] columns not None,
    uint32_t[:, :, ::1] sums not None,
    int64_t[:, ::1] counts not None,
):
    """Count the pixels of each class and of three masks of flags in every window.

    This uses a summed-area table that has only the rows where a window begins or ends. Between these
    rows, columns are counted in bytes. The part of a window beyond the edge is not counted. Sums wrap
    at 2**32; differences between them are still right. `values` are those of the classes. Shapes:
    label, flags (row, col); values (class,); masks (3,); origins (chip, 2), not negative; counts
    (chip, kind), where kinds are the classes, then the masks. Scratch, overwritten: slots (row + 1,);
    columns (kind, col); sums (min(row + 1, 2 * chip) + 1, kind, col + 1). Releases the GIL.
    """
    cdef Py_ssize_t chip, k, y, since = 0, slot = 0, height = label.shape[0], width = label.shape[1]
    cdef Py_ssize_t top, left, bottom, right, n_kinds = values.shape[0] + N_MASKS
    if flags.shape[0] != height or flags.shape[1] != width:
        raise ValueError("label and flags must have the same shape")
    if masks.shape[0] != N_MASKS:
        raise ValueError("masks must have 3 values")
    if origins.shape[1] != 2 or counts.shape[0] != origins.shape[0] or counts.shape[1] != n_kinds:
        raise ValueError("origins must be (chip, 2) and counts (chip, kind)")
    if size < 1 or size > 65535:
        raise ValueError("size must be in 1..65535")
    if slots.shape[0] != height + 1 or columns.shape[0] != n_kinds or columns.shape[1] != width:
        raise ValueError("slots must be (row + 1,) and columns (kind, col)")
    if (
        sums.shape[0] != min(height + 1, 2 * origins.shape[0]) + 1
        or sums.shape[1] != n_kinds
        or sums.shape[2] != width + 1
    ):
        raise ValueError("sums must have a table per kind, one column more than label, and a row for each window edge")
    for chip in range(origins.shape[0]):
        if origins[chip, 0] < 0 or origins[chip, 1] < 0:
            raise ValueError("a window starts before the planes")
    # Indices: rows are clipped to 0..height and columns to 0..width; `slots` and a row of `sums` have one entry more
    # than the planes. Because size is small, no sum with it exceeds 63 bits. A row gets a slot only where a window
    # begins or ends: at most height + 1 rows and two per window. `sums` has one more, for the row after the last.
    with nogil:
        slots[:] = 0
        for chip in range(origins.shape[0]):
            top = min(origins[chip, 0], height)
            slots[top] = 1
            slots[min(top + size, height)] = 1
        columns[:, :] = 0
        sums[0, :, :] = 0
        for y in range(height + 1):
            if slots[y] != 0 or since == MOST_ROWS:
                _close_rows(columns, sums, slot)
                since = 0
            if slots[y] != 0:
                _finish_row(sums, slot)
                slots[y] = slot
                slot += 1
            if y < height:
                _count_row(label, flags, values, masks, columns, y)
                since += 1
        for chip in range(origins.shape[0]):
            top = min(origins[chip, 0], height)
            bottom = slots[min(top + size, height)]
            top = slots[top]
            left = min(origins[chip, 1], width)
            right = min(left + size, width)
            for k in range(n_kinds):
                counts[chip, k] = <uint32_t>(
                    sums[bottom, k, right] - sums[top, k, right] - sums[bottom, k, left] + sums[top, k, left]
                )


cdef void _count_row(
    const uint8_t[:, ::1] label,
    const uint8_t[:, ::1] flags,
    const uint8_t[::1] values,
    const uint8_t[::1] masks,
    uint8_t[:, ::1] columns,
    Py_ssize_t y,
) noexcept nogil:
    """Add row `y` of the planes to columns, which have the same width and hold at most MOST_ROWS - 1 rows so far."""
    cdef Py_ssize_t k, x, n_classes = values.shape[0]
    cdef uint8_t wanted
    # Each kind has its own loop: the compiler cannot vectorise one loop over so many arrays.
    for k in range(n_classes):
        wanted = values[k]
        for x in range(label.shape[1]):
            columns[k, x] = <uint8_t>(columns[k, x] + (label[y, x] == wanted))
    for k in range(N_MASKS):
        wanted = masks[k]
        for x in range(label.shape[1]):
            columns[n_classes + k, x] = <uint8_t>(columns[n_classes + k, x] + ((flags[y, x] & wanted) != 0))


cdef void _close_rows(uint8_t[:, ::1] columns, uint32_t[:, :, ::1] sums, Py_ssize_t slot) noexcept nogil:
    """Move the byte counts of columns to the open row of the tables, shifted by one column."""
    cdef Py_ssize_t k, x
    for k in range(columns.shape[0]):
        for x in range(columns.shape[1]):
            sums[slot, k, x + 1] += columns[k, x]
            columns[k, x] = 0


cdef void _finish_row(uint32_t[:, :, ::1] sums, Py_ssize_t slot) noexcept nogil:
    """Copy this row of the tables to the next one, then replace it by its running sums from left to right."""
    cdef Py_ssize_t k, x
    cdef uint32_t running
    for k in range(sums.shape[1]):
        running = 0
        for x in range(sums.shape[2]):
            sums[slot + 1, k, x] = sums[slot, k, x]
            running += sums[slot, k, x]
            sums[slot, k, x] = running


def cover(
    const int64_t[:, ::1] origins not None,
    Py_ssize_t size,
    uint32_t[:, ::1] seen not None,
):
    """Write how many windows contain each pixel. Parts of windows beyond the edge are ignored.

    A window of any size adds four differences, one at each corner; they are summed in place. A row
    without corners equals the row above. Shapes: origins (chip, 2), not negative; seen (row, col).
    Releases the GIL.
    """
    cdef Py_ssize_t chip, y, x, height = seen.shape[0], width = seen.shape[1]
    cdef uint32_t running, any_corner
    if origins.shape[1] != 2:
        raise ValueError("origins must be (chip, 2)")
    if size < 1 or size > 65535:
        raise ValueError("size must be in 1..65535")
    for chip in range(origins.shape[0]):
        if origins[chip, 0] < 0 or origins[chip, 1] < 0:
            raise ValueError("a window starts before the plane")
    # Indices: a corner is added only if it is on the plane. The row of such a corner is below height and its column
    # below width. Because size is small, their sums with it do not exceed 63 bits.
    with nogil:
        seen[:, :] = 0
        for chip in range(origins.shape[0]):
            if origins[chip, 0] < height and origins[chip, 1] < width:
                _add_corners(seen, origins[chip, 0], origins[chip, 1], size, 1)
                _add_corners(seen, origins[chip, 0] + size, origins[chip, 1], size, <uint32_t>-1)
        for y in range(height):
            any_corner = 0
            for x in range(width):
                any_corner |= seen[y, x]
            if any_corner != 0:
                running = 0
                for x in range(width):
                    running += seen[y, x]
                    seen[y, x] = running
            if y > 0:
                for x in range(width):
                    seen[y, x] += seen[y - 1, x]


cdef void _add_corners(
    uint32_t[:, ::1] seen, Py_ssize_t row, Py_ssize_t col, Py_ssize_t size, uint32_t sign
) noexcept nogil:
    """Add `sign` at (row, col) and subtract it `size` columns further right, each only if it is on the plane."""
    if row < seen.shape[0]:
        seen[row, col] += sign
        if col + size < seen.shape[1]:
            seen[row, col + size] -= sign


def weigh(
    const uint8_t[:, ::1] label not None,
    const uint8_t[::1] values not None,
    const uint32_t[:, ::1] weight not None,
    int64_t[:, ::1] counts not None,
):
    """For each class, add the number of weighted pixels and the sum of their weights to `counts`.

    Shapes: label, weight (row, col); values (class,), those of the classes, rising; counts (class, 2).
    Releases the GIL.
    """
    cdef Py_ssize_t y, x, k
    cdef int64_t once[256]
    cdef int64_t sums[256]
    if weight.shape[0] != label.shape[0] or weight.shape[1] != label.shape[1]:
        raise ValueError("label and weight must have the same shape")
    if counts.shape[0] != values.shape[0] or counts.shape[1] != 2:
        raise ValueError("counts must be (class, 2)")
    if label.shape[0] > 0 and label.shape[1] > 0:
        if _are_default(values):
            # Indices: both planes have the same number of pixels; weigh_classes adds to the six counts.
            with nogil:
                weigh_classes(&label[0, 0], &weight[0, 0], label.shape[0] * label.shape[1], &counts[0, 0])
            return
        # Indices: a label is a byte, and both tables have an entry for each byte.
        with nogil:
            for k in range(256):
                once[k] = 0
                sums[k] = 0
            for y in range(label.shape[0]):
                for x in range(label.shape[1]):
                    once[label[y, x]] += weight[y, x] != 0
                    sums[label[y, x]] += weight[y, x]
            for k in range(values.shape[0]):
                counts[k, 0] += once[values[k]]
                counts[k, 1] += sums[values[k]]


def count_classes(
    const uint8_t[::1] label not None,
    const uint8_t[::1] values not None,
    int64_t[::1] counts not None,
):
    """Write how many pixels have each class, and how many have none of these.

    Shapes: label (pixel,); values (class,), those of the classes, rising; counts (class + 1,).
    Releases the GIL.
    """
    cdef Py_ssize_t i, k, n_classes = values.shape[0]
    cdef int64_t found[256]
    if counts.shape[0] != n_classes + 1:
        raise ValueError("counts must be (class + 1,)")
    counts[:] = 0
    if label.shape[0] > 0:
        if _are_default(values):
            # Indices: the run is the label from its first pixel to its last; count_bytes adds to counts 0, 1 and 2.
            with nogil:
                count_bytes(&label[0], label.shape[0], &counts[0])
        else:
            # Indices: a label is a byte, and the table has an entry for each byte.
            with nogil:
                for k in range(256):
                    found[k] = 0
                for i in range(label.shape[0]):
                    found[label[i]] += 1
                for k in range(n_classes):
                    counts[k] = found[values[k]]
    counts[n_classes] = label.shape[0]
    for k in range(n_classes):
        counts[n_classes] -= counts[k]


cdef bint _are_default(const uint8_t[::1] values) noexcept:
    """Return whether the classes are 0, 1 and 2."""
    return values.shape[0] == N_DEFAULT and values[0] == 0 and values[1] == 1 and values[2] == 2
