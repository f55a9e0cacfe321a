/* Loops in two versions: for every x86-64, and for what the machine at hand can do besides.
 *
 * Such loops are C for one reason: Cython cannot put an attribute on a function. With it the compiler
 * makes each loop twice, for every x86-64 and for AVX2, and the dynamic loader picks; so one binary
 * runs on every node of a mixed cluster, and up to twice as fast on those of the last ten years.
 * Elsewhere, and with GCN_BASELINE, the attribute is empty and the loop is the plain one. No fused
 * multiply-add, no reordered sums of floats: all versions give the same bits.
 *
 * The loader picks before a sanitizer is ready. With GCN_WIDE_ONLY there is the AVX2 version alone, and
 * nothing to pick: such a build runs on machines that have it.
 */
#ifndef GCN_WIDE_H
#define GCN_WIDE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(GCN_BASELINE)
#define GCN_HAS_VERSIONS
#ifdef GCN_WIDE_ONLY
#define GCN_WIDE __attribute__((target("avx2"), unused))
#else
#define GCN_WIDE __attribute__((target_clones("avx2", "default"), unused))
#endif
#elif defined(__GNUC__)
#define GCN_WIDE __attribute__((unused))
#else
#define GCN_WIDE
#endif

#endif
