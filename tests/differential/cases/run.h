/* SPDX-License-Identifier: Apache-2.0 */
/* What main.c needs of the other files, and cases do not. */
#pragma once

#include <stdbool.h>

/* Makes this process the client or the server, with a pipe to the other one and one from it. */
void be_end(bool client, int to_other, int from_other);

/* Another program takes over a connection: sharing.c starts it, with a UNIX socket as its standard input. */
void take_over(void);
