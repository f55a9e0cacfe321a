/* Loops over contiguous samples: the innermost loops of the kernels. */
#ifndef GCN_ROWS_H
#define GCN_ROWS_H

#include "dispatch.h"

/* The most samples per call of mark_*. Its counter is as wide as a sample, so that the loop has a
 * single width, and the flags of this many samples stay in the first-level cache for all bands. */
#define GCN_BLOCK 4096

/* T is the sample type, M an unsigned integer of the same width. Comparisons become masks of all ones. */
#define GCN_ROWS(NAME, T, M)                                                                                      \
    /* Set `bit` in `flags` where a sample is missing; return how many finite ones are out of range. */           \
    GCN_WIDE static ptrdiff_t mark_##NAME(                                                                        \
        const T *run, ptrdiff_t n, const T *limits, uint8_t bit, uint8_t *flags)                                  \
    {                                                                                                             \
        const T nodata = limits[0], sentinel = limits[1], lowest = limits[2], highest = limits[3];                \
        M n_wild = 0;                                                                                             \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                       \
            const T value = run[i];                                                                               \
            const M gone = (M)-(M)((value == nodata) | (value == sentinel) | !(value - value == 0));              \
            const M wild = (M)-(M)((value < lowest) | (value > highest));                                         \
            n_wild += (M)(wild & ~gone);                                                                          \
            flags[i] |= bit & (uint8_t)(gone | wild);                                                             \
        }                                                                                                         \
        return (ptrdiff_t)(M)-n_wild;                                                                             \
    }                                                                                                             \
    /* Copy samples; write `fill` where `flags` has `bit`. */                                                     \
    GCN_WIDE static void fill_##NAME(                                                                             \
        const T *run, ptrdiff_t n, const uint8_t *flags, uint8_t bit, T fill, T *out)                             \
    {                                                                                                             \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                       \
            /* Always read: a conditional read cannot be vectorised. */                                           \
            const T value = run[i];                                                                               \
            out[i] = (flags[i] & bit) ? fill : value;                                                             \
        }                                                                                                         \
    }                                                                                                             \
    /* Write classes 0, 1, 2. Elsewhere, or where the bit is set, write 255 and set `bit` in `flags`. */          \
    GCN_WIDE static void label_##NAME(                                                                            \
        const T *run, ptrdiff_t n, T nodata, uint8_t bit, uint8_t *flags, uint8_t *label)                         \
    {                                                                                                             \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                       \
            /* Never cast a value that uint8 cannot hold. */                                                      \
            const T value = run[i];                                                                               \
            const M none = (M)-(M)(value == 0), debris = (M)-(M)(value == 1), ice = (M)-(M)(value == 2);          \
            const M seen = (M)((none | debris | ice) & -(M)(value != nodata));                                    \
            const uint8_t unknown = (uint8_t)~seen | (uint8_t)-(uint8_t)((flags[i] & bit) != 0);                  \
            label[i] = ((uint8_t)debris & 1) | ((uint8_t)ice & 2) | unknown;                                      \
            flags[i] |= bit & unknown;                                                                            \
        }                                                                                                         \
    }

GCN_ROWS(int16, int16_t, uint16_t)
GCN_ROWS(int32, int32_t, uint32_t)
GCN_ROWS(float32, float, uint32_t)
GCN_ROWS(float64, double, uint64_t)

/* Add the numbers of bytes that are 0, 1 and 2 to `counts`. Count in bytes first, up to 255 lines. */
GCN_WIDE static void count_bytes(const uint8_t *run, ptrdiff_t n, int64_t *counts)
{
    ptrdiff_t i = 0;
    while (i + 64 <= n) {
        uint8_t none[64] = {0}, debris[64] = {0}, ice[64] = {0};
        const ptrdiff_t lines = (n - i) / 64 < 255 ? (n - i) / 64 : 255;
        for (ptrdiff_t line = 0; line < lines; line++, i += 64)
            for (int j = 0; j < 64; j++) {
                none[j] = (uint8_t)(none[j] + (run[i + j] == 0));
                debris[j] = (uint8_t)(debris[j] + (run[i + j] == 1));
                ice[j] = (uint8_t)(ice[j] + (run[i + j] == 2));
            }
        for (int j = 0; j < 64; j++) {
            counts[0] += none[j];
            counts[1] += debris[j];
            counts[2] += ice[j];
        }
    }
    for (; i < n; i++)
        if (run[i] < 3)
            counts[run[i]]++;
}

/* For each class k, add the number of weighted pixels to counts[2k], the sum of their weights to counts[2k + 1]. */
GCN_WIDE static void weigh_classes(const uint8_t *label, const uint32_t *weight, ptrdiff_t n, int64_t *counts)
{
    for (int k = 0; k < 3; k++) {
        uint64_t sum = 0;
        uint64_t once = 0;
        for (ptrdiff_t i = 0; i < n; i++) {
            const uint32_t here = label[i] == k ? weight[i] : 0;
            once += here != 0;
            sum += here;
        }
        counts[2 * k] += (int64_t)once;
        counts[2 * k + 1] += (int64_t)sum;
    }
}

/* Write weight * 2**32 + 1 for each pixel, or 0 where `flags` has `bit` or the weight is 0. */
GCN_WIDE static void pack_weights(
    const uint32_t *weight, const uint8_t *flags, uint8_t bit, ptrdiff_t n, uint64_t *words)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        const uint32_t here = (flags[i] & bit) ? 0 : weight[i];
        words[i] = (uint64_t)here << 32 | (here != 0);
    }
}

/* Add each word to the bin of its sample; bin 0 is that of the value 0. Four samples are read at once.
 * The compiler cannot know that bins and samples are different memory, and a read that waits for the
 * writes to bins costs more than the additions. */
static inline void add_packed(const int16_t *run, const uint64_t *words, ptrdiff_t n, uint64_t *bins)
{
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4) {
        int16_t values[4];
        uint64_t four;
        memcpy(&four, run + i, 8);
        memcpy(values, &four, 8);
        const uint64_t a = words[i], b = words[i + 1], c = words[i + 2], d = words[i + 3];
        bins[values[0]] += a;
        bins[values[1]] += b;
        bins[values[2]] += c;
        bins[values[3]] += d;
    }
    for (; i < n; i++)
        bins[run[i]] += words[i];
}

/* A row of a chip is a few cache lines long, and calling memcpy for each costs as much as the copy. With
 * a constant size, the compiler replaces the call with the moves themselves. */
static inline void gcn_copy_row(char *out, const char *in, ptrdiff_t bytes)
{
    ptrdiff_t i = 0;
    for (; i + 64 <= bytes; i += 64)
        memcpy(out + i, in + i, 64);
    if (i < bytes)
        memcpy(out + i, in + i, (size_t)(bytes - i));
}

static void gcn_copy_rows(
    char *out, ptrdiff_t out_pitch, const char *in, ptrdiff_t pitch, ptrdiff_t bytes, ptrdiff_t rows)
{
    for (ptrdiff_t y = 0; y < rows; y++, out += out_pitch, in += pitch)
        gcn_copy_row(out, in, bytes);
}

/* Storing a whole cache line at once is faster. */
GCN_LINES static void gcn_copy_lines(
    char *out, ptrdiff_t out_pitch, const char *in, ptrdiff_t pitch, ptrdiff_t bytes, ptrdiff_t rows)
{
    for (ptrdiff_t y = 0; y < rows; y++, out += out_pitch, in += pitch) {
        ptrdiff_t i = 0;
        for (; i + 64 <= bytes; i += 64)
            gcn_copy_line(out + i, in + i);
        if (i < bytes)
            memcpy(out + i, in + i, (size_t)(bytes - i));
    }
}

/* Copy rows of `bytes` bytes that start `pitch` bytes apart into rows `out_pitch` bytes apart. */
static inline void copy_rows(
    char *out, ptrdiff_t out_pitch, const char *in, ptrdiff_t pitch, ptrdiff_t bytes, ptrdiff_t rows)
{
    if (gcn_has_lines())
        gcn_copy_lines(out, out_pitch, in, pitch, bytes, rows);
    else
        gcn_copy_rows(out, out_pitch, in, pitch, bytes, rows);
}

/* The same, past the caches, for data that is too large to stay in them. The caller must finish with
 * gcn_stream_end; `out`, `out_pitch` and `bytes` are multiples of 16. */
static inline void stream_rows(
    char *out, ptrdiff_t out_pitch, const char *in, ptrdiff_t pitch, ptrdiff_t bytes, ptrdiff_t rows)
{
    for (ptrdiff_t y = 0; y < rows; y++, out += out_pitch, in += pitch)
        for (ptrdiff_t i = 0; i < bytes; i += 16)
            gcn_stream_16(out + i, in + i);
}

#endif
