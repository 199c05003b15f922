/* What the examples in C do with a status that they do not expect: say it, and end. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>

static inline void must(shmkit_status status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "%s: %s\n", shmkit_status_message(status), shmkit_last_error());
        exit(1);
    }
}

#endif
