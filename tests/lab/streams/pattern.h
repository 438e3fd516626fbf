/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that can be checked: each is a function of its stream and of its position there. Programs choose the function. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes 8 * index to 8 * index + 7 of a stream, the first one lowest. */
typedef uint64_t word_function(uint32_t stream, uint64_t index);

/* The function is known where these are called, so that it is inlined too: a stream of gigabytes must not wait for it. */
#define pattern_inline static inline __attribute__((always_inline))

pattern_inline uint8_t pattern_byte(word_function *word_of, uint32_t stream, uint64_t position)
{
	return word_of(stream, position >> 3) >> (position & 7) * 8;
}

/* A word at a time where that is possible, here and below. */
pattern_inline void fill_pattern(word_function *word_of, uint8_t *bytes, size_t count, uint32_t stream, uint64_t position)
{
	size_t i = 0;

	for (; i < count && (position + i) & 7; i++)
		bytes[i] = pattern_byte(word_of, stream, position + i);
	for (; count - i >= 8; i += 8) {
		uint64_t word = word_of(stream, (position + i) >> 3);

		memcpy(bytes + i, &word, sizeof(word));
	}
	for (; i < count; i++)
		bytes[i] = pattern_byte(word_of, stream, position + i);
}

/* How many of them are right, from the first on. */
pattern_inline size_t match_pattern(word_function *word_of, const uint8_t *bytes, size_t count, uint32_t stream,
				    uint64_t position)
{
	size_t i = 0;

	while (i < count) {
		uint64_t word;

		if (!((position + i) & 7) && count - i >= 8) {
			memcpy(&word, bytes + i, sizeof(word));
			if (word == word_of(stream, (position + i) >> 3)) {
				i += 8;
				continue;
			}
		}
		if (bytes[i] != pattern_byte(word_of, stream, position + i))
			break;
		i++;
	}
	return i;
}
