/* Laid over a process by LD_PRELOAD: the time of day jumps by hours, back and forth, several times a second.
 * The monotonic clock, which measures how long something takes, is left alone, as a real clock change leaves it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*real_gettime)(clockid_t, struct timespec *);

static int64_t offset_s(void)
{
    const char *seed = getenv("FAULTS_CLOCK_SEED");
    struct timespec now;
    uint64_t mixed = seed ? strtoull(seed, NULL, 10) : 0;

    real_gettime(CLOCK_MONOTONIC, &now);
    /* A new offset every 0.7 s, the same in all processes; splitmix64. */
    mixed += (uint64_t)((now.tv_sec * 10 + now.tv_nsec / 100000000) / 7) * 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    mixed ^= mixed >> 31;
    return (int64_t)(mixed % (24 * 3600)) - 12 * 3600;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int result;

    if (!real_gettime)
        real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    result = real_gettime(which, now);
    if (!result && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset_s();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec fine;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &fine))
        return -1;
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec fine;

    clock_gettime(CLOCK_REALTIME, &fine);
    if (out)
        *out = fine.tv_sec;
    return fine.tv_sec;
}
