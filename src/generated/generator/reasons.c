/* SPDX-License-Identifier: Apache-2.0 */
/* The reasons as lines of JSON, by the preprocessor alone, for the reasons.ts beside it. */
#define __u32 unsigned
#include "../../../bpf/reasons.h"

/* clang-format off */
#define ROW(group, NAME, words, remedy) ROW_IS [#group, #NAME, words, remedy] ROW_ENDS
#define ROW_OF_REFUSAL(NAME, words, remedy) ROW(refused, NAME, words, remedy)
#define ROW_OF_PASS(NAME, urgency, lasts, words, remedy) ROW(passed, NAME, words, remedy)
#define ROW_OF_DEPARTURE(NAME, words, remedy) ROW(left, NAME, words, remedy)

REFUSALS(ROW_OF_REFUSAL)
PASSES(ROW_OF_PASS)
DEPARTURES(ROW_OF_DEPARTURE)
