/* What a call from C costs: the table of the README, in ns. One thread; the minimum of many windows. */
#include <shmkit.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOWS = 1500, TURNS = 16384 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != SHMKIT_OK) {                                                                 \
            fprintf(stderr, "%s: %s\n", #call, shmkit_last_error());                               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The least that one turn of `body` takes, divided by `per`. */
#define MEASURE(label, per, body)                                                                  \
    do {                                                                                           \
        double least = 1e18;                                                                       \
        for (int w = 0; w < WINDOWS; w++) {                                                        \
            const double start = now();                                                            \
            for (int i = 0; i < TURNS / (per); i++) {                                              \
                body;                                                                              \
            }                                                                                      \
            const double took = (now() - start) / (TURNS / (per)) / (per);                         \
            if (took < least) {                                                                    \
                least = took;                                                                      \
            }                                                                                      \
        }                                                                                          \
        printf("%-24s %8.2f\n", label, least);                                                     \
    } while (0)

static void ring(size_t size, const char *tag, const char *label) {
    const shmkit_elem elem = {size, 8, tag};
    static uint64_t values[64 * 128];
    shmkit_ring *ring;
    shmkit_tx *tx;
    shmkit_rx *rx;
    size_t done;
    void *place;
    const void *seen;
    char text[64];
    OK(shmkit_ring_create(NULL, NULL, &elem, 1024, 0, &ring));
    OK(shmkit_ring_producer(ring, &tx));
    OK(shmkit_ring_consumer(ring, &rx));
    snprintf(text, sizeof text, "push, pop %s", label);
    MEASURE(text, 1, {
        OK(shmkit_tx_push(tx, values, SHMKIT_NO_WAIT));
        OK(shmkit_rx_pop(rx, values, SHMKIT_NO_WAIT));
    });
    snprintf(text, sizeof text, "push_n, pop_n 32 %s", label);
    MEASURE(text, 32, {
        OK(shmkit_tx_push_n(tx, values, 32, SHMKIT_NO_WAIT, &done));
        OK(shmkit_rx_pop_n(rx, values, 32, SHMKIT_NO_WAIT, &done));
    });
    snprintf(text, sizeof text, "reserve, peek 1 %s", label);
    MEASURE(text, 1, {
        OK(shmkit_tx_reserve(tx, 1, SHMKIT_NO_WAIT, &place, &done));
        *(uint64_t *)place = (uint64_t)i;
        OK(shmkit_tx_commit(tx, 1));
        OK(shmkit_rx_peek(rx, 1, SHMKIT_NO_WAIT, &seen, &done));
        OK(shmkit_rx_release(rx, 1));
    });
    shmkit_tx_free(tx);
    shmkit_rx_free(rx);
    shmkit_ring_free(ring);
}

int main(void) {
    const shmkit_elem i64 = {8, 8, "i64"};
    shmkit_lock *lock;
    shmkit_array *array;
    shmkit_semaphore *semaphore;
    shmkit_queue *queue;
    shmkit_slot slot;
    char buf[64] = {0};
    size_t len;
    int64_t old;
    MEASURE("empty call", 1, shmkit_abi_version());
    ring(8, "u64", "8 B");
    ring(24, "[u64; 3]", "24 B");
    ring(64, "[u64; 8]", "64 B");
    OK(shmkit_lock_create(NULL, NULL, 0, &lock));
    MEASURE("lock, unlock", 1, {
        OK(shmkit_lock_acquire(lock, SHMKIT_FOREVER));
        OK(shmkit_lock_release(lock));
    });
    OK(shmkit_array_create(NULL, NULL, &i64, 1, 0, &array));
    MEASURE("add_i64", 1, OK(shmkit_array_add_i64(array, 0, 1, &old)));
    MEASURE("load_i64", 1, OK(shmkit_array_load_i64(array, 0, &old)));
    OK(shmkit_semaphore_create(NULL, NULL, 1, 0, &semaphore));
    MEASURE("permit", 1, {
        OK(shmkit_semaphore_acquire(semaphore, SHMKIT_FOREVER));
        OK(shmkit_semaphore_release(semaphore, 1));
    });
    OK(shmkit_queue_create(NULL, NULL, NULL, &queue));
    MEASURE("put, get 8 B", 1, {
        OK(shmkit_queue_put(queue, buf, 8, SHMKIT_FOREVER));
        OK(shmkit_queue_get(queue, buf, sizeof buf, &len, SHMKIT_FOREVER));
    });
    MEASURE("loan, receive 8 B", 1, {
        OK(shmkit_queue_reserve(queue, 8, SHMKIT_FOREVER, &slot));
        OK(shmkit_queue_commit(queue, &slot, 8));
        OK(shmkit_queue_acquire(queue, SHMKIT_FOREVER, &slot));
        OK(shmkit_queue_release(queue, &slot));
    });
    return 0;
}
