/* What the C tests share: a check that says where it failed. */
#ifndef CHECK_H
#define CHECK_H

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Calls, and checks the status that comes back. */
#define EXPECT(status, call)                                                                       \
    do {                                                                                           \
        shmkit_status expected_ = (status), got_ = (call);                                         \
        if (got_ != expected_) {                                                                   \
            fprintf(stderr, "%s:%d: %s: %s, not %s (%s)\n", __FILE__, __LINE__, #call,             \
                    shmkit_status_name(got_), shmkit_status_name(expected_), shmkit_last_error()); \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define OK(call) EXPECT(SHMKIT_OK, call)

/* Longer than anything takes that is not stuck. */
#define LONG INT64_C(60000000000)

#endif
