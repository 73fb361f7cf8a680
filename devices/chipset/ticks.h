/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DEVICES_CHIPSET_TICKS_H
#define LIMEN_DEVICES_CHIPSET_TICKS_H

/*
 * Between the machine clock's nanoseconds and the ticks of an oscillator of @hz that started with
 * it. Exact over the clock's whole range, so that a counter derived from them never drifts.
 */

#include "base/types.h"

/** ticks_from_ns() - how many ticks have passed at @ns. */
static inline uint64_t ticks_from_ns(uint64_t ns, uint32_t hz)
{
	return (uint64_t)((unsigned __int128)ns * hz / NS_PER_S);
}

/** ticks_to_ns() - the first nanosecond at which @ticks ticks have passed; UINT64_MAX when that is
 *  never. */
static inline uint64_t ticks_to_ns(uint64_t ticks, uint32_t hz)
{
	unsigned __int128 ns = ((unsigned __int128)ticks * NS_PER_S + hz - 1) / hz;

	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

#endif
