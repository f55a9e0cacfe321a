/* Group the bytes of items by significance, and compute their checksum. */
#ifndef GCN_FILTERS_H
#define GCN_FILTERS_H

#include "dispatch.h"

/* With a constant size the loops become vector interleaves. */
#define GCN_SHUFFLE(SIZE)                                                                              \
    GCN_WIDE static void shuffle_##SIZE(const uint8_t *in, ptrdiff_t n, uint8_t *out)                  \
    {                                                                                                  \
        for (ptrdiff_t i = 0; i < n; i++)                                                              \
            for (int k = 0; k < SIZE; k++)                                                             \
                out[k * n + i] = in[i * SIZE + k];                                                     \
    }
#define GCN_UNSHUFFLE(SIZE)                                                                            \
    GCN_WIDE static void unshuffle_##SIZE(const uint8_t *in, ptrdiff_t n, uint8_t *out)                \
    {                                                                                                  \
        for (ptrdiff_t i = 0; i < n; i++)                                                              \
            for (int k = 0; k < SIZE; k++)                                                             \
                out[i * SIZE + k] = in[k * n + i];                                                     \
    }

GCN_SHUFFLE(2)
GCN_SHUFFLE(4)
GCN_UNSHUFFLE(2)
GCN_UNSHUFFLE(4)
GCN_UNSHUFFLE(8)

/* The compiler handles eight interleaved outputs at once badly. Writing one after the other, over items
 * that stay in the first-level cache, is four times as fast. */
GCN_WIDE static void shuffle_8(const uint8_t *in, ptrdiff_t n, uint8_t *out)
{
    for (ptrdiff_t first = 0; first < n; first += 512) {
        const ptrdiff_t end = n - first < 512 ? n : first + 512;
        for (int k = 0; k < 8; k++)
            for (ptrdiff_t i = first; i < end; i++)
                out[k * n + i] = in[i * 8 + k];
    }
}

/* HDF5 sums big-endian 16-bit words. Modulo 65535, such a word is 256 times the word with its bytes
 * swapped, and the same holds for the sums. So words are read in little-endian order, and the sums are
 * multiplied at the end. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define GCN_SWAP 1
#define GCN_LAST(byte) ((uint32_t)(byte) << 8)
#else
#define GCN_SWAP 256
#define GCN_LAST(byte) ((uint32_t)(byte))
#endif

#define GCN_LANES 8
/* With this many rows, even the largest words keep a lane's second sum, 65535 * rows * (rows + 1) / 2, in 32 bits. */
#define GCN_MOST_ROWS 360

/* A sum of 0 is written as 65535, unless all words are 0 (Fletcher, 1982, as in HDF5). */
static inline uint32_t gcn_folded(uint64_t sum)
{
    const uint32_t rest = (uint32_t)(sum % 65535 * GCN_SWAP % 65535);
    return rest == 0 && sum != 0 ? 65535 : rest;
}

/* Keep a sum small without losing whether it is 0. */
static inline uint64_t gcn_reduced(uint64_t sum)
{
    return sum < 65535 ? sum : sum % 65535 + 65535;
}

/* Lane l of a row holds word row * 8 + l. If a is the sum of a lane and b the sum of its running sums,
 * a block of R rows adds sum(a) to the first sum, and R * 8 times the old first sum and
 * 8 * sum(b) - sum(l * a) to the second. */
GCN_WIDE static uint32_t fletcher_32(const uint8_t *in, ptrdiff_t n_bytes)
{
    uint64_t first = 0, second = 0;
    ptrdiff_t n_words = n_bytes / 2;
    while (n_words >= GCN_LANES) {
        uint32_t a[GCN_LANES] = {0}, b[GCN_LANES] = {0};
        uint64_t sum_a = 0, sum_b = 0, sum_la = 0;
        ptrdiff_t rows = n_words / GCN_LANES;
        if (rows > GCN_MOST_ROWS)
            rows = GCN_MOST_ROWS;
        for (ptrdiff_t row = 0; row < rows; row++, in += 2 * GCN_LANES) {
            uint16_t words[GCN_LANES];
            memcpy(words, in, sizeof words);
            for (int lane = 0; lane < GCN_LANES; lane++) {
                a[lane] += words[lane];
                b[lane] += a[lane];
            }
        }
        for (int lane = 0; lane < GCN_LANES; lane++) {
            sum_a += a[lane];
            sum_b += b[lane];
            sum_la += (uint64_t)lane * a[lane];
        }
        second = gcn_reduced(second + (uint64_t)rows * GCN_LANES * first + GCN_LANES * sum_b - sum_la);
        first = gcn_reduced(first + sum_a);
        n_words -= rows * GCN_LANES;
    }
    for (; n_words > 0; n_words--, in += 2) {
        uint16_t word;
        memcpy(&word, in, 2);
        first += word;
        second += first;
    }
    if (n_bytes % 2) {
        first += GCN_LAST(*in);
        second += first;
    }
    return gcn_folded(second) << 16 | gcn_folded(first);
}

#endif
