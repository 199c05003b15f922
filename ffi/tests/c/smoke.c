/* One of each, from beginning to end. */
#include "suites.h"

static void locks(void) {
    shmkit_lock *lock;
    OK(shmkit_lock_create(NULL, NULL, 0, &lock));
    OK(shmkit_lock_acquire(lock, SHMKIT_FOREVER));
    EXPECT(SHMKIT_ERR_DEADLOCK, shmkit_lock_acquire(lock, SHMKIT_FOREVER));
    OK(shmkit_lock_release(lock));
    EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_lock_release(lock));
    shmkit_lock_free(lock);

    shmkit_semaphore *semaphore;
    OK(shmkit_semaphore_create(NULL, NULL, 1, 2, &semaphore));
    OK(shmkit_semaphore_acquire(semaphore, SHMKIT_NO_WAIT));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_semaphore_acquire(semaphore, SHMKIT_NO_WAIT));
    OK(shmkit_semaphore_release(semaphore, 2));
    EXPECT(SHMKIT_ERR_OVERFLOW, shmkit_semaphore_release(semaphore, 1));
    CHECK(shmkit_semaphore_value(semaphore) == 2);
    shmkit_semaphore_free(semaphore);
}

static void values(void) {
    const shmkit_elem u64 = {sizeof(uint64_t), _Alignof(uint64_t), "u64"};
    shmkit_array *array;
    void *data;
    int64_t old;
    OK(shmkit_array_create(NULL, NULL, &u64, 3, 0, &array));
    OK(shmkit_array_lock(array, LONG, &data));
    ((uint64_t *)data)[2] = 7;
    OK(shmkit_array_unlock(array));
    OK(shmkit_array_add_i64(array, 2, 3, &old));
    CHECK(old == 7);
    uint64_t copy[3];
    OK(shmkit_array_read(array, 0, 3, copy));
    CHECK(copy[0] == 0 && copy[2] == 10);
    shmkit_array_free(array);
}

static void carries(void) {
    char text[16];
    size_t len;
    shmkit_queue *queue;
    OK(shmkit_queue_create(NULL, NULL, NULL, &queue));
    OK(shmkit_queue_put(queue, "hello", 5, LONG));
    EXPECT(SHMKIT_ERR_BUFFER_TOO_SMALL, shmkit_queue_get(queue, text, 2, &len, LONG));
    CHECK(len == 5);
    OK(shmkit_queue_get(queue, text, sizeof text, &len, LONG));
    CHECK(len == 5 && memcmp(text, "hello", 5) == 0);
    shmkit_slot slot;
    OK(shmkit_queue_reserve(queue, 8, LONG, &slot));
    memcpy(slot.data, "in place", 8);
    OK(shmkit_queue_commit(queue, &slot, 8));
    OK(shmkit_queue_acquire(queue, LONG, &slot));
    CHECK(slot.len == 8 && memcmp(slot.data, "in place", 8) == 0);
    OK(shmkit_queue_release(queue, &slot));
    OK(shmkit_queue_close(queue));
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_queue_get(queue, text, sizeof text, &len, LONG));
    shmkit_queue_free(queue);

    shmkit_pipe *a, *b;
    OK(shmkit_pipe_create(NULL, NULL, NULL, &a, &b));
    OK(shmkit_pipe_send(a, "ping", 4, LONG));
    OK(shmkit_pipe_recv(b, text, sizeof text, &len, LONG));
    CHECK(len == 4 && memcmp(text, "ping", 4) == 0);
    shmkit_pipe_free(a);
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_pipe_recv(b, text, sizeof text, &len, LONG));
    shmkit_pipe_free(b);
}

void smoke(void) {
    CHECK(shmkit_version() == SHMKIT_VERSION && shmkit_abi_version() == SHMKIT_ABI_VERSION);
    CHECK(strcmp(shmkit_version_string(), SHMKIT_VERSION_STRING) == 0);
    CHECK(strcmp(shmkit_status_name(SHMKIT_ERR_BUSY), "SHMKIT_ERR_BUSY") == 0);
    locks();
    values();
    carries();

    shmkit_event *event;
    OK(shmkit_event_create(NULL, NULL, 0, &event));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_event_wait(event, 1000));
    OK(shmkit_event_set(event));
    OK(shmkit_event_wait(event, SHMKIT_FOREVER));
    shmkit_event_free(event);

    shmkit_region *region;
    OK(shmkit_region_create(NULL, 1 << 20, 0, 0, &region));
    shmkit_lock *lock, *same;
    OK(shmkit_lock_create(region, "lock", 0, &lock));
    EXPECT(SHMKIT_ERR_EXISTS, shmkit_lock_create(region, "lock", 0, &same));
    OK(shmkit_lock_open(region, "lock", &same));
    OK(shmkit_lock_acquire(lock, LONG));
    EXPECT(SHMKIT_ERR_DEADLOCK, shmkit_lock_acquire(same, LONG));
    OK(shmkit_lock_release(same));
    shmkit_lock_free(lock);
    shmkit_lock_free(same);
    shmkit_region_free(region);
}
