/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of all streams: that at position n of stream s is a function of (seed, s, n) which can be turned round, so
 * that bytes in the wrong place tell where they belong. */
#pragma once

#include "../lab/streams/streams.h"

#define STREAM_BITS 24
#define INDEX_BITS (64 - STREAM_BITS)

#define MIX_1 0xbf58476d1ce4e5b9ull
#define MIX_2 0x94d049bb133111ebull

static uint64_t bytes_key;

/* Any number from several: a seed for each thing that is random. */
static inline uint64_t mix(uint64_t seed, uint64_t number)
{
	uint64_t word = seed ^ (number + 1) * 0x9e3779b97f4a7c15ull;

	word = (word ^ word >> 32) * MIX_1;
	word = (word ^ word >> 32) * MIX_2;
	return word ^ word >> 32;
}

static inline uint64_t stream_word(uint32_t stream, uint64_t index)
{
	uint64_t word = ((uint64_t)stream << INDEX_BITS | index) ^ bytes_key;

	word = (word ^ word >> 32) * MIX_1;
	word = (word ^ word >> 32) * MIX_2;
	return word ^ word >> 32;
}

static inline uint8_t stream_byte(uint32_t stream, uint64_t position)
{
	return pattern_byte(stream_word, stream, position);
}

static inline void fill_bytes(uint8_t *bytes, size_t count, uint32_t stream, uint64_t position)
{
	fill_pattern(stream_word, bytes, count, stream, position);
}

/* How many of them are right, from the first on. */
static inline size_t count_right(const uint8_t *bytes, size_t count, uint32_t stream, uint64_t position)
{
	return match_pattern(stream_word, bytes, count, stream, position);
}

/* The x for which x * odd is 1: each step doubles the bits that are right. */
static inline uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

struct place {
	uint32_t stream;
	uint64_t position;
};

/* Where strange bytes belong: false when they are of no stream below `streams`, or too few to tell. */
static inline bool find_place(const uint8_t *bytes, size_t count, uint32_t streams, struct place *place)
{
	for (size_t skip = 0; skip < 8 && skip + 8 <= count; skip++) {
		uint64_t word;

		memcpy(&word, bytes + skip, sizeof(word));
		word = (word ^ word >> 32) * inverse(MIX_2);
		word = (word ^ word >> 32) * inverse(MIX_1);
		word = (word ^ word >> 32) ^ bytes_key;
		place->stream = word >> INDEX_BITS;
		place->position = (word & ((1ull << INDEX_BITS) - 1)) * 8 - skip;
		/* A terabyte through one stream is more than any run has. */
		if (place->stream < streams && place->position < 1ull << 40)
			return true;
	}
	return false;
}
