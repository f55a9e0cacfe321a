/* This file decides for which processors a loop is compiled, and how a version of it is chosen.
 *
 *   GCN_WIDE       before a loop: gcc compiles it twice, for every x86-64 and for AVX2, and the dynamic loader picks
 *                  one at start. So one binary runs on every node of a mixed cluster, and up to twice as fast on nodes
 *                  of the last ten years. Such loops are in C because Cython cannot put an attribute on a function.
 *   GCN_LINES      before a function that calls gcn_copy_line, which stores a whole cache line with AVX-512. It may be
 *                  called only if gcn_has_lines() is true.
 *   gcn_stream_16  writes 16 bytes past the caches, with SSE2.
 *
 *   compiler, C library, processor   GCN_WIDE        gcn_has_lines()    gcn_stream_16
 *   gcc, glibc, x86-64               both versions   asks the machine   past the caches
 *     with GCN_WIDE_ONLY             AVX2 alone      asks the machine   past the caches
 *     with GCN_BASELINE              the plain loop  0                  past the caches
 *   clang, musl or macOS, x86-64     the plain loop  0                  past the caches
 *   any other                        the plain loop  0                  an ordinary copy
 *
 * GCN_BASELINE is for the checked build, so that both versions are tested; GCN_WIDE_ONLY is for sanitizers, which are
 * not ready yet when the loader picks; such a build needs a machine with AVX2.
 * Nothing uses fused multiply-add (-ffp-contract=off) or reorders sums of floats: all versions give the same bits.
 */
#ifndef GCN_DISPATCH_H
#define GCN_DISPATCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(GCN_BASELINE)

#ifdef GCN_WIDE_ONLY
#define GCN_WIDE __attribute__((target("avx2"), unused))
#else
#define GCN_WIDE __attribute__((target_clones("avx2", "default"), unused))
#endif
#define GCN_LINES __attribute__((target("avx512f")))

typedef char gcn_line __attribute__((vector_size(64), aligned(1), may_alias));

GCN_LINES static inline void gcn_copy_line(char *out, const char *in)
{
    *(gcn_line *)out = *(const gcn_line *)in;
}

static inline int gcn_has_lines(void)
{
    return __builtin_cpu_supports("avx512f");
}

#else

#ifdef __GNUC__
#define GCN_WIDE __attribute__((unused))
#else
#define GCN_WIDE
#endif
#define GCN_LINES

static inline void gcn_copy_line(char *out, const char *in)
{
    memcpy(out, in, 64);
}

static inline int gcn_has_lines(void)
{
    return 0;
}

#endif

/* `out` is a multiple of 16. The caller must finish with gcn_stream_end. */
static inline void gcn_stream_16(char *out, const char *in)
{
#ifdef __SSE2__
    _mm_stream_si128((__m128i *)out, _mm_loadu_si128((const __m128i *)in));
#else
    memcpy(out, in, 16);
#endif
}

static inline void gcn_stream_end(void)
{
#ifdef __SSE2__
    _mm_sfence();
#endif
}

#endif
