/* Regions, arrays and rings. */
#include "suites.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const shmkit_elem u64 = {8, 8, "u64"};

static void regions(void) {
    shmkit_region *region, *same;
    uint64_t one, two, found;
    OK(shmkit_region_create(NULL, 1 << 16, 0, 0600, &region));
    CHECK(shmkit_region_size(region) >= 1 << 16 && shmkit_region_fd(region) >= 0);
    OK(shmkit_region_from_fd(shmkit_region_fd(region), 0, &same));
    OK(shmkit_region_alloc(region, 100, 8, &one));
    OK(shmkit_region_alloc(region, 100, 4096, &two));
    CHECK(one != two);
    uint64_t *place = shmkit_region_at(region, two, 100);
    CHECK(place != NULL && (uintptr_t)place % 4096 == 0 && *place == 0);
    *place = 5;
    OK(shmkit_region_offset(same, place, &found));
    CHECK(found == two);
    CHECK(shmkit_region_at(region, 0, 8) == NULL);
    CHECK(shmkit_region_at(region, shmkit_region_size(region), 8) == NULL);
    CHECK(shmkit_region_at(region, UINT64_MAX, 8) == NULL);
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_region_offset(region, &found, &found));
    OK(shmkit_region_publish(region, "numbers", two, &u64));
    EXPECT(SHMKIT_ERR_EXISTS, shmkit_region_publish(region, "numbers", one, &u64));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_region_publish(region, "x", two + 1, &u64));
    OK(shmkit_region_find(same, "numbers", &u64, &found));
    CHECK(found == two);
    const shmkit_elem i64 = {8, 8, "i64"};
    EXPECT(SHMKIT_ERR_TYPE_MISMATCH, shmkit_region_find(same, "numbers", &i64, &found));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_region_find(same, "letters", &u64, &found));
    OK(shmkit_region_dealloc(region, two));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_region_dealloc(region, two));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_region_find(same, "numbers", &u64, &found));
    OK(shmkit_region_alloc(region, 50, 4096, &found));
    CHECK(found == two && *place == 0);
    OK(shmkit_region_publish(region, "numbers", found, &i64));
    OK(shmkit_region_find(same, "numbers", &i64, &found));
    EXPECT(SHMKIT_ERR_NO_SPACE, shmkit_region_alloc(region, 1 << 20, 8, &found));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_region_alloc(region, 8, 3, &found));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_region_alloc(region, 0, 8, &found));
    shmkit_lock *lock;
    EXPECT(SHMKIT_ERR_TYPE_MISMATCH, shmkit_lock_open(region, "numbers", &lock));
    shmkit_region_free(same);
    shmkit_region_free(region);
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_region_from_fd(999999, 0, &region));
    EXPECT(SHMKIT_ERR_CORRUPT, shmkit_region_from_fd(STDIN_FILENO, 0, &region));
}

static void arrays(void) {
    shmkit_array *array;
    void *data;
    int64_t value;
    OK(shmkit_array_create(NULL, NULL, &u64, 4, 0, &array));
    CHECK(shmkit_array_len(array) == 4 && shmkit_array_data(array) != NULL);
    OK(shmkit_array_lock(array, LONG, &data));
    CHECK(data == shmkit_array_data(array));
    const uint64_t two[] = {1, 2};
    OK(shmkit_array_write(array, 2, 2, two)); /* by the holder itself */
    EXPECT(SHMKIT_ERR_DEADLOCK, shmkit_array_lock(array, LONG, NULL));
    OK(shmkit_array_unlock(array));
    EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_array_unlock(array));
    OK(shmkit_array_load_i64(array, 3, &value));
    CHECK(value == 2);
    OK(shmkit_array_store_i64(array, 0, INT64_MAX));
    OK(shmkit_array_add_i64(array, 0, 1, &value));
    CHECK(value == INT64_MAX);
    value = 0;
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_array_cas_i64(array, 0, &value, 9));
    CHECK(value == INT64_MIN);
    OK(shmkit_array_cas_i64(array, 0, &value, 9));

    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        OK(shmkit_array_lock(array, LONG, &data));
        ((uint64_t *)data)[1] = 77; /* half of what it wanted */
        raise(SIGKILL);
    }
    CHECK(waitpid(child, NULL, 0) == child);
    uint64_t copy[4];
    EXPECT(SHMKIT_OWNER_DIED, shmkit_array_read(array, 0, 4, copy));
    CHECK(copy[1] == 77 && copy[0] == 9);
    EXPECT(SHMKIT_OWNER_DIED, shmkit_array_lock(array, LONG, &data));
    OK(shmkit_array_mark_consistent(array));
    OK(shmkit_array_unlock(array));
    OK(shmkit_array_read(array, 0, 4, copy));
    shmkit_array_free(array);
}

static void rings(void) {
    shmkit_ring *ring;
    shmkit_tx *tx, *second;
    shmkit_rx *rx;
    uint64_t values[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8] = {0};
    size_t done;
    void *place;
    const void *seen;
    OK(shmkit_ring_create(NULL, NULL, &u64, 5, 0, &ring));
    CHECK(shmkit_ring_capacity(ring) == 5);
    OK(shmkit_ring_producer(ring, &tx));
    EXPECT(SHMKIT_ERR_BUSY, shmkit_ring_producer(ring, &second));
    OK(shmkit_ring_consumer(ring, &rx));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_rx_pop(rx, out, SHMKIT_NO_WAIT));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_rx_pop(rx, out, 1000000));
    for (int i = 0; i < 3; i++) {
        OK(shmkit_tx_push(tx, &values[i], SHMKIT_NO_WAIT));
    }
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_tx_push_n(tx, values + 3, 5, SHMKIT_NO_WAIT, &done));
    CHECK(done == 2 && shmkit_ring_len(ring) == 5);
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_tx_push(tx, values, 1000000));
    OK(shmkit_rx_pop(rx, out, LONG));
    CHECK(out[0] == 1);
    OK(shmkit_rx_peek(rx, 8, LONG, &seen, &done));
    CHECK(done == 4 && memcmp(seen, values + 1, 4 * 8) == 0);
    OK(shmkit_rx_release(rx, 2));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_rx_release(rx, 1));
    /* Up to the end of the slots, and from their start. */
    OK(shmkit_tx_reserve(tx, 8, LONG, &place, &done));
    CHECK(done == 3);
    memcpy(place, values + 5, 2 * 8);
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_tx_commit(tx, 4));
    OK(shmkit_tx_commit(tx, 2));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_rx_pop_n(rx, out, 8, SHMKIT_NO_WAIT, &done));
    CHECK(done == 4 && memcmp(out, values + 3, 4 * 8) == 0);
    OK(shmkit_tx_push_n(tx, values, 5, LONG, &done));
    OK(shmkit_rx_pop_n(rx, out, 5, LONG, &done));
    CHECK(done == 5 && memcmp(out, values, 5 * 8) == 0);
    shmkit_ring_view view;
    OK(shmkit_tx_view(tx, &view));
    CHECK(*view.head == *view.tail && view.mask == 7 && view.stride == 8 && view.layout == 1);
    OK(shmkit_rx_view(rx, &view));

    /* A forked copy owns nothing; a dead owner's end is taken over. */
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        EXPECT(SHMKIT_ERR_WRONG_PROCESS, shmkit_tx_push(tx, values, SHMKIT_NO_WAIT));
        shmkit_tx_free(tx);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    OK(shmkit_tx_push(tx, values, LONG));
    shmkit_tx_free(tx);
    OK(shmkit_rx_pop(rx, out, LONG));
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_rx_pop(rx, out, LONG));
    shmkit_rx_free(rx);
    shmkit_ring_free(ring);
}

static void death_of_a_producer(void) {
    shmkit_ring *ring;
    shmkit_tx *tx;
    shmkit_rx *rx;
    uint64_t value = 0;
    OK(shmkit_ring_create(NULL, NULL, &u64, 4, 0, &ring));
    OK(shmkit_ring_consumer(ring, &rx));
    for (uint64_t turn = 1; turn <= 2; turn++) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            void *place;
            size_t got;
            OK(shmkit_ring_producer(ring, &tx)); /* in the second turn after a dead one */
            OK(shmkit_tx_push(tx, &turn, LONG));
            OK(shmkit_tx_reserve(tx, 2, LONG, &place, &got));
            memset(place, 0xff, 16);
            raise(SIGKILL);
        }
        CHECK(waitpid(child, NULL, 0) == child);
        OK(shmkit_rx_pop(rx, &value, LONG));
        CHECK(value == turn);
        EXPECT(SHMKIT_ERR_PEER_DIED, shmkit_rx_pop(rx, &value, LONG));
    }
    shmkit_rx_free(rx);
    shmkit_ring_free(ring);
}

static void values(void) {
    const shmkit_elem wide = {24, 8, "[u64; 3]"};
    shmkit_value *number, *triple;
    uint64_t got[3] = {0};
    const uint64_t seven = 7, three[3] = {1, 2, 3}, other[3] = {4, 5, 6};
    int64_t old;
    OK(shmkit_value_create(NULL, NULL, &u64, &seven, 0, &number));
    OK(shmkit_value_add_i64(number, -10, &old));
    CHECK(old == 7);
    old = 0;
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_value_cas_i64(number, &old, 1));
    CHECK(old == -3);
    OK(shmkit_value_cas_i64(number, &old, 1));
    OK(shmkit_value_get(number, got));
    CHECK(got[0] == 1);
    OK(shmkit_value_create(NULL, NULL, &wide, NULL, 0, &triple));
    OK(shmkit_value_get(triple, got));
    CHECK(got[0] == 0 && got[2] == 0);
    OK(shmkit_value_set(triple, three));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_value_add_i64(triple, 1, NULL));
    OK(shmkit_value_lock(triple, LONG));
    OK(shmkit_value_set(triple, other)); /* by the holder itself */
    EXPECT(SHMKIT_ERR_DEADLOCK, shmkit_value_lock(triple, LONG));
    OK(shmkit_value_unlock(triple));
    EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_value_unlock(triple));
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        OK(shmkit_value_lock(triple, LONG));
        raise(SIGKILL);
    }
    CHECK(waitpid(child, NULL, 0) == child);
    EXPECT(SHMKIT_OWNER_DIED, shmkit_value_lock(triple, LONG));
    OK(shmkit_value_mark_consistent(triple));
    OK(shmkit_value_unlock(triple));
    OK(shmkit_value_get(triple, got));
    CHECK(memcmp(got, other, sizeof got) == 0);
    shmkit_value_free(number);
    shmkit_value_free(triple);
}

void data(void) {
    values();
    regions();
    arrays();
    rings();
    death_of_a_producer();
}
