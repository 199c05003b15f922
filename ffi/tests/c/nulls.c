/* Every function answers NULL and nonsense with a status, and writes nothing. */
#include "suites.h"

#include <errno.h>

#define REFUSED(call) EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, call)

/* Each function with nothing at all. */
static void nothing(void) {
    REFUSED(shmkit_array_create(NULL, NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_array_open(NULL, NULL, NULL, NULL));
    REFUSED(shmkit_array_lock(NULL, 0, NULL));
    REFUSED(shmkit_array_unlock(NULL));
    REFUSED(shmkit_array_mark_consistent(NULL));
    REFUSED(shmkit_array_read(NULL, 0, 0, NULL));
    REFUSED(shmkit_array_write(NULL, 0, 0, NULL));
    REFUSED(shmkit_array_load_i64(NULL, 0, NULL));
    REFUSED(shmkit_array_store_i64(NULL, 0, 0));
    REFUSED(shmkit_array_add_i64(NULL, 0, 0, NULL));
    REFUSED(shmkit_array_cas_i64(NULL, 0, NULL, 0));
    REFUSED(shmkit_barrier_create(NULL, NULL, 0, NULL));
    REFUSED(shmkit_barrier_open(NULL, NULL, NULL));
    REFUSED(shmkit_barrier_wait(NULL, 0, NULL));
    REFUSED(shmkit_barrier_reset(NULL));
    REFUSED(shmkit_barrier_abort(NULL));
    REFUSED(shmkit_condition_create(NULL, NULL, NULL));
    REFUSED(shmkit_condition_open(NULL, NULL, NULL));
    REFUSED(shmkit_condition_wait(NULL, NULL, 0));
    REFUSED(shmkit_condition_notify(NULL, 0));
    REFUSED(shmkit_condition_notify_all(NULL));
    REFUSED(shmkit_manager_list(NULL, NULL, NULL));
    REFUSED(shmkit_list_clear(NULL));
    REFUSED(shmkit_list_push(NULL, NULL, 0));
    REFUSED(shmkit_list_pop(NULL, NULL, 0, NULL));
    REFUSED(shmkit_list_get(NULL, 0, NULL, 0, NULL));
    REFUSED(shmkit_list_set(NULL, 0, NULL, 0));
    REFUSED(shmkit_list_insert(NULL, 0, NULL, 0));
    REFUSED(shmkit_list_remove(NULL, 0));
    REFUSED(shmkit_list_each(NULL, NULL, NULL));
    REFUSED(shmkit_manager_namespace(NULL, NULL, NULL));
    REFUSED(shmkit_namespace_clear(NULL));
    REFUSED(shmkit_namespace_set(NULL, NULL, NULL, 0));
    REFUSED(shmkit_namespace_get(NULL, NULL, NULL, 0, NULL));
    REFUSED(shmkit_namespace_remove(NULL, NULL));
    REFUSED(shmkit_namespace_contains(NULL, NULL));
    REFUSED(shmkit_namespace_each(NULL, NULL, NULL));
    REFUSED(shmkit_event_create(NULL, NULL, 0, NULL));
    REFUSED(shmkit_event_open(NULL, NULL, NULL));
    REFUSED(shmkit_event_set(NULL));
    REFUSED(shmkit_event_clear(NULL));
    REFUSED(shmkit_event_wait(NULL, 0));
    REFUSED(shmkit_lock_create(NULL, NULL, 0, NULL));
    REFUSED(shmkit_lock_open(NULL, NULL, NULL));
    REFUSED(shmkit_lock_acquire(NULL, 0));
    REFUSED(shmkit_lock_release(NULL));
    REFUSED(shmkit_lock_mark_consistent(NULL));
    REFUSED(shmkit_manager_create(NULL, 0, NULL));
    REFUSED(shmkit_manager_open(NULL, NULL));
    REFUSED(shmkit_manager_region(NULL, NULL));
    REFUSED(shmkit_manager_dict(NULL, NULL, NULL));
    REFUSED(shmkit_dict_clear(NULL));
    REFUSED(shmkit_dict_set(NULL, NULL, 0, NULL, 0));
    REFUSED(shmkit_dict_get(NULL, NULL, 0, NULL, 0, NULL));
    REFUSED(shmkit_dict_remove(NULL, NULL, 0));
    REFUSED(shmkit_dict_contains(NULL, NULL, 0));
    REFUSED(shmkit_dict_update(NULL, NULL, 0, 0, NULL, NULL));
    REFUSED(shmkit_dict_each(NULL, NULL, NULL));
    REFUSED(shmkit_region_passed(0, NULL));
    REFUSED(shmkit_lock_passed(0, NULL));
    REFUSED(shmkit_semaphore_passed(0, NULL));
    REFUSED(shmkit_condition_passed(0, NULL));
    REFUSED(shmkit_event_passed(0, NULL));
    REFUSED(shmkit_barrier_passed(0, NULL));
    REFUSED(shmkit_array_passed(0, NULL));
    REFUSED(shmkit_queue_passed(0, NULL));
    REFUSED(shmkit_pipe_passed(0, NULL));
    REFUSED(shmkit_ring_passed(0, NULL));
    REFUSED(shmkit_tx_passed(0, NULL));
    REFUSED(shmkit_rx_passed(0, NULL));
    REFUSED(shmkit_manager_passed(0, NULL));
    REFUSED(shmkit_dict_passed(0, NULL));
    REFUSED(shmkit_list_passed(0, NULL));
    REFUSED(shmkit_namespace_passed(0, NULL));
    REFUSED(shmkit_pipe_create(NULL, NULL, NULL, NULL, NULL));
    REFUSED(shmkit_pipe_open(NULL, NULL, NULL));
    REFUSED(shmkit_pipe_send(NULL, NULL, 0, 0));
    REFUSED(shmkit_pipe_recv(NULL, NULL, 0, NULL, 0));
    REFUSED(shmkit_pipe_send_n(NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_pipe_recv_n(NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_pipe_reserve(NULL, 0, 0, NULL));
    REFUSED(shmkit_pipe_commit(NULL, NULL, 0));
    REFUSED(shmkit_pipe_abort(NULL, NULL));
    REFUSED(shmkit_pipe_acquire(NULL, 0, NULL));
    REFUSED(shmkit_pipe_release(NULL, NULL));
    REFUSED(shmkit_pipe_send_fd(NULL, 0, 0));
    REFUSED(shmkit_pipe_recv_fd(NULL, NULL, 0));
    REFUSED(shmkit_pipe_fd(NULL, NULL));
    REFUSED(shmkit_pipe_stats(NULL, NULL));
    REFUSED(shmkit_pipe_close(NULL));
    REFUSED(shmkit_pool_create(0, NULL, NULL, NULL, 0, NULL));
    REFUSED(shmkit_pool_submit(NULL, NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_task_wait(NULL, 0, NULL, NULL, NULL));
    REFUSED(shmkit_pool_map(NULL, NULL, NULL, 0, 0, NULL, 0, 0, 0));
    REFUSED(shmkit_pool_close(NULL));
    REFUSED(shmkit_pool_terminate(NULL));
    REFUSED(shmkit_pool_join(NULL, 0));
    REFUSED(shmkit_process_spawn(NULL, NULL, 0, NULL, NULL));
    REFUSED(shmkit_process_fork(NULL, NULL, NULL, NULL));
    REFUSED(shmkit_process_exec(NULL, NULL, NULL, NULL));
    REFUSED(shmkit_process_fd(NULL, NULL));
    REFUSED(shmkit_process_wait(NULL, 0, NULL));
    REFUSED(shmkit_process_kill(NULL, 0));
    REFUSED(shmkit_queue_create(NULL, NULL, NULL, NULL));
    REFUSED(shmkit_queue_open(NULL, NULL, NULL));
    REFUSED(shmkit_queue_put(NULL, NULL, 0, 0));
    REFUSED(shmkit_queue_get(NULL, NULL, 0, NULL, 0));
    REFUSED(shmkit_queue_put_n(NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_queue_get_n(NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_queue_reserve(NULL, 0, 0, NULL));
    REFUSED(shmkit_queue_commit(NULL, NULL, 0));
    REFUSED(shmkit_queue_abort(NULL, NULL));
    REFUSED(shmkit_queue_acquire(NULL, 0, NULL));
    REFUSED(shmkit_queue_release(NULL, NULL));
    REFUSED(shmkit_queue_join(NULL, 0));
    REFUSED(shmkit_queue_fd(NULL, NULL));
    REFUSED(shmkit_queue_stats(NULL, NULL));
    REFUSED(shmkit_queue_close(NULL));
    REFUSED(shmkit_region_create(NULL, 0, 0, 0, NULL));
    REFUSED(shmkit_region_open(NULL, 0, NULL));
    REFUSED(shmkit_region_from_fd(0, 0, NULL));
    REFUSED(shmkit_region_unlink(NULL));
    REFUSED(shmkit_region_alloc(NULL, 0, 0, NULL));
    REFUSED(shmkit_region_dealloc(NULL, 0));
    REFUSED(shmkit_region_offset(NULL, NULL, NULL));
    REFUSED(shmkit_region_publish(NULL, NULL, 0, NULL));
    REFUSED(shmkit_region_find(NULL, NULL, NULL, NULL));
    REFUSED(shmkit_ring_create(NULL, NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_ring_open(NULL, NULL, NULL, NULL));
    REFUSED(shmkit_ring_producer(NULL, NULL));
    REFUSED(shmkit_ring_consumer(NULL, NULL));
    REFUSED(shmkit_tx_push(NULL, NULL, 0));
    REFUSED(shmkit_tx_push_n(NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_tx_reserve(NULL, 0, 0, NULL, NULL));
    REFUSED(shmkit_tx_commit(NULL, 0));
    REFUSED(shmkit_tx_view(NULL, NULL));
    REFUSED(shmkit_tx_close(NULL));
    REFUSED(shmkit_rx_pop(NULL, NULL, 0));
    REFUSED(shmkit_rx_pop_n(NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_rx_peek(NULL, 0, 0, NULL, NULL));
    REFUSED(shmkit_rx_release(NULL, 0));
    REFUSED(shmkit_rx_view(NULL, NULL));
    REFUSED(shmkit_rx_close(NULL));
    REFUSED(shmkit_semaphore_create(NULL, NULL, 0, 0, NULL));
    REFUSED(shmkit_semaphore_open(NULL, NULL, NULL));
    REFUSED(shmkit_semaphore_acquire(NULL, 0));
    REFUSED(shmkit_semaphore_release(NULL, 0));
    REFUSED(shmkit_semaphore_forget(NULL, 0));
    REFUSED(shmkit_rwlock_create(NULL, NULL, 0, NULL));
    REFUSED(shmkit_rwlock_open(NULL, NULL, NULL));
    REFUSED(shmkit_rwlock_read(NULL, 0));
    REFUSED(shmkit_rwlock_write(NULL, 0));
    REFUSED(shmkit_rwlock_release(NULL));
    REFUSED(shmkit_rwlock_mark_consistent(NULL));
    REFUSED(shmkit_value_create(NULL, NULL, NULL, NULL, 0, NULL));
    REFUSED(shmkit_value_open(NULL, NULL, NULL, NULL));
    REFUSED(shmkit_value_get(NULL, NULL));
    REFUSED(shmkit_value_set(NULL, NULL));
    REFUSED(shmkit_value_lock(NULL, 0));
    REFUSED(shmkit_value_unlock(NULL));
    REFUSED(shmkit_value_mark_consistent(NULL));
    REFUSED(shmkit_value_add_i64(NULL, 0, NULL));
    REFUSED(shmkit_value_cas_i64(NULL, NULL, 0));
    REFUSED(shmkit_listener_bind(NULL, NULL));
    REFUSED(shmkit_listener_accept(NULL, 0, NULL));
    REFUSED(shmkit_pipe_connect(NULL, 0, NULL));
    shmkit_rwlock_free(NULL);
    shmkit_value_free(NULL);
    shmkit_listener_free(NULL);
    CHECK(shmkit_last_errno() == EINVAL && shmkit_last_error()[0] != '\0');
}

/* Functions that return no status. */
static void zeros(void) {
    CHECK(shmkit_array_data(NULL) == NULL);
    CHECK(shmkit_array_len(NULL) == 0);
    CHECK(shmkit_barrier_parties(NULL) == 0);
    CHECK(shmkit_barrier_waiting(NULL) == 0);
    CHECK(shmkit_barrier_is_broken(NULL) == false);
    CHECK(shmkit_list_len(NULL) == 0);
    CHECK(shmkit_namespace_len(NULL) == 0);
    CHECK(shmkit_event_is_set(NULL) == false);
    CHECK(shmkit_lock_owner(NULL) == 0);
    CHECK(shmkit_dict_len(NULL) == 0);
    CHECK(shmkit_pipe_len(NULL) == 0);
    CHECK(shmkit_pool_workers(NULL) == 0);
    CHECK(shmkit_process_pid(NULL) == 0);
    CHECK(shmkit_process_is_alive(NULL) == false);
    CHECK(shmkit_queue_len(NULL) == 0);
    CHECK(shmkit_region_fd(NULL) == -1);
    CHECK(shmkit_region_base(NULL) == NULL);
    CHECK(shmkit_region_size(NULL) == 0);
    CHECK(shmkit_region_at(NULL, 0, 0) == NULL);
    CHECK(shmkit_ring_capacity(NULL) == 0);
    CHECK(shmkit_ring_len(NULL) == 0);
    CHECK(shmkit_semaphore_value(NULL) == 0);
    shmkit_array_free(NULL);
    shmkit_barrier_free(NULL);
    shmkit_condition_free(NULL);
    shmkit_list_free(NULL);
    shmkit_namespace_free(NULL);
    shmkit_event_free(NULL);
    shmkit_lock_free(NULL);
    shmkit_manager_free(NULL);
    shmkit_dict_free(NULL);
    shmkit_pipe_free(NULL);
    shmkit_task_free(NULL);
    shmkit_pool_free(NULL);
    shmkit_process_free(NULL);
    shmkit_queue_free(NULL);
    shmkit_region_free(NULL);
    shmkit_ring_free(NULL);
    shmkit_tx_free(NULL);
    shmkit_rx_free(NULL);
    shmkit_semaphore_free(NULL);
}

/* Where one thing is wrong, and the rest right. */
static void nonsense(void) {
    const shmkit_elem u64 = {8, 8, "u64"};
    const shmkit_elem wrong[] = {
        {0, 8, "u64"}, {8, 0, "u64"}, {8, 3, "u64"}, {12, 8, "u64"}, {256, 256, "big"}, {8, 8, "\xff"},
    };
    const char *const names[] = {"", ".x", "a/b", "\xff", "sp ace"};
    char *const sentinel = (char *)0x5a5a;
    shmkit_array *array = (void *)sentinel;
    shmkit_ring *ring = (void *)sentinel;
    shmkit_lock *lock = (void *)sentinel;
    shmkit_queue *queue = (void *)sentinel;
    shmkit_pipe *a = (void *)sentinel, *b = (void *)sentinel;
    shmkit_region *region = (void *)sentinel;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        REFUSED(shmkit_array_create(NULL, NULL, &wrong[i], 4, 0, &array));
        REFUSED(shmkit_array_open(NULL, "x", i < 4 ? &wrong[i] : &wrong[5], &array));
        REFUSED(shmkit_ring_create(NULL, NULL, &wrong[i], 4, 0, &ring));
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        REFUSED(shmkit_lock_create(NULL, names[i], 0, &lock));
        REFUSED(shmkit_lock_open(NULL, names[i], &lock));
        REFUSED(shmkit_region_create(names[i], 4096, 0, 0, &region));
        REFUSED(shmkit_region_open(names[i], 0, &region));
        REFUSED(shmkit_region_unlink(names[i]));
        REFUSED(shmkit_queue_create(NULL, names[i], NULL, &queue));
        REFUSED(shmkit_pipe_create(NULL, names[i], NULL, &a, NULL));
    }
    REFUSED(shmkit_lock_create(NULL, NULL, 0x8000, &lock));
    REFUSED(shmkit_array_create(NULL, NULL, &u64, SIZE_MAX / 8 + 1, 0, &array));
    REFUSED(shmkit_ring_create(NULL, NULL, &u64, 0, 0, &ring));
    REFUSED(shmkit_region_create(NULL, 4096, 0x10, 0, &region));
    REFUSED(shmkit_region_from_fd(-1, 0, &region));
    EXPECT(SHMKIT_ERR_UNSUPPORTED, shmkit_region_create(NULL, 4096, 0, 0666, &region));
    EXPECT(SHMKIT_ERR_NO_MEMORY, shmkit_region_create(NULL, SIZE_MAX / 2, 0, 0, &region));
    EXPECT(SHMKIT_ERR_NO_MEMORY, shmkit_array_create(NULL, NULL, &u64, (size_t)1 << 56, 0, &array));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_lock_open(NULL, "nobody.has.this", &lock));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_region_unlink("nobody.has.this"));
    REFUSED(shmkit_pipe_create(NULL, NULL, NULL, &a, NULL));
    shmkit_channel_config config = {0};
    REFUSED(shmkit_queue_create(NULL, NULL, &config, &queue));
    config.struct_size = sizeof config;
    config.flags = 0x8000;
    REFUSED(shmkit_queue_create(NULL, NULL, &config, &queue));
    config.flags = 0;
    config.max_message = SIZE_MAX;
    REFUSED(shmkit_queue_create(NULL, NULL, &config, &queue));
    CHECK((char *)array == sentinel && (char *)ring == sentinel && (char *)lock == sentinel);
    CHECK((char *)queue == sentinel && (char *)a == sentinel && (char *)b == sentinel);
    CHECK((char *)region == sentinel);

    /* A config of an older program ends earlier. */
    config.max_message = 0;
    config.struct_size = offsetof(shmkit_channel_config, tag);
    config.tag = (const char *)1;
    OK(shmkit_queue_create(NULL, NULL, &config, &queue));
    size_t len = 77, done = 77;
    shmkit_slot slot = {sentinel, 77, {77, 77}}, none = {NULL, 0, {0, 0}};
    char text[4];
    int fd = 77;
    REFUSED(shmkit_queue_put(queue, NULL, 1, 0));
    REFUSED(shmkit_queue_put(queue, text, SIZE_MAX, 0));
    OK(shmkit_queue_put(queue, NULL, 0, 0));
    REFUSED(shmkit_queue_get(queue, NULL, 1, &len, 0));
    REFUSED(shmkit_queue_get(queue, text, sizeof text, NULL, 0));
    REFUSED(shmkit_queue_put_n(queue, NULL, 2, 0, &done));
    REFUSED(shmkit_queue_get_n(queue, NULL, 2, 0, &done));
    REFUSED(shmkit_queue_reserve(queue, 1, 0, NULL));
    REFUSED(shmkit_queue_acquire(queue, 0, NULL));
    REFUSED(shmkit_queue_commit(queue, NULL, 0));
    REFUSED(shmkit_queue_commit(queue, &none, 0));
    REFUSED(shmkit_queue_release(queue, &none));
    REFUSED(shmkit_queue_abort(queue, &none));
    REFUSED(shmkit_queue_fd(queue, NULL));
    EXPECT(SHMKIT_ERR_UNSUPPORTED, shmkit_queue_join(queue, 0));
    CHECK(len == 77 && done == 77 && fd == 77 && slot.data == sentinel && slot.len == 77);
    shmkit_queue_free(queue);

    OK(shmkit_array_create(NULL, NULL, &u64, 4, 0, &array));
    uint64_t values[4] = {0};
    int64_t value = 77;
    REFUSED(shmkit_array_read(array, 0, 1, NULL));
    REFUSED(shmkit_array_read(array, 4, 1, values));
    REFUSED(shmkit_array_read(array, 0, SIZE_MAX, values));
    REFUSED(shmkit_array_read(array, SIZE_MAX, 1, values));
    REFUSED(shmkit_array_write(array, 1, 4, values));
    REFUSED(shmkit_array_load_i64(array, 4, &value));
    REFUSED(shmkit_array_load_i64(array, 0, NULL));
    REFUSED(shmkit_array_cas_i64(array, 0, NULL, 1));
    CHECK(value == 77);
    OK(shmkit_array_read(array, 4, 0, NULL));
    shmkit_array_free(array);
    const shmkit_elem bytes = {1, 1, "u8"};
    OK(shmkit_array_create(NULL, NULL, &bytes, 8, 0, &array));
    REFUSED(shmkit_array_add_i64(array, 0, 1, NULL));
    shmkit_array_free(array);

    shmkit_semaphore *semaphore;
    shmkit_barrier *barrier;
    REFUSED(shmkit_semaphore_create(NULL, NULL, 3, 2, &semaphore));
    REFUSED(shmkit_semaphore_create(NULL, NULL, UINT32_MAX, 0, &semaphore));
    REFUSED(shmkit_barrier_create(NULL, NULL, 0, &barrier));
    REFUSED(shmkit_barrier_create(NULL, NULL, 65536, &barrier));

    shmkit_tx *tx;
    shmkit_rx *rx;
    void *place;
    const void *seen;
    OK(shmkit_ring_create(NULL, NULL, &u64, 4, 0, &ring));
    OK(shmkit_ring_producer(ring, &tx));
    OK(shmkit_ring_consumer(ring, &rx));
    REFUSED(shmkit_tx_push(tx, NULL, 0));
    REFUSED(shmkit_tx_push_n(tx, NULL, 1, 0, &done));
    REFUSED(shmkit_tx_push_n(tx, values, SIZE_MAX, 0, &done));
    REFUSED(shmkit_tx_push_n(tx, values, 1, 0, NULL));
    REFUSED(shmkit_tx_reserve(tx, 0, 0, &place, &done));
    REFUSED(shmkit_tx_reserve(tx, 1, 0, NULL, &done));
    REFUSED(shmkit_tx_commit(tx, 1));
    REFUSED(shmkit_rx_pop(rx, NULL, 0));
    REFUSED(shmkit_rx_pop_n(rx, NULL, 1, 0, &done));
    REFUSED(shmkit_rx_peek(rx, 0, 0, &seen, &done));
    REFUSED(shmkit_rx_release(rx, 1));
    CHECK(done == 77);
    shmkit_tx_free(tx);
    shmkit_rx_free(rx);
    shmkit_ring_free(ring);
}

static void statuses(void) {
    CHECK(strcmp(shmkit_status_name(SHMKIT_OWNER_DIED), "SHMKIT_OWNER_DIED") == 0);
    CHECK(strcmp(shmkit_status_name(12345), "SHMKIT_UNKNOWN") == 0);
    CHECK(strcmp(shmkit_status_message(-12345), "unknown status") == 0);
    CHECK(shmkit_status_errno(SHMKIT_OK) == 0 && shmkit_status_errno(777) == EINVAL);
    CHECK(shmkit_status_errno(SHMKIT_ERR_TIMED_OUT) == ETIMEDOUT);
    static const int numbers[] = {0,   1,   -1,  -2,  -3,  -4,  -5,  -6,  -7,  -8,  -9,  -10, -11, -20,
                                  -21, -22, -23, -24, -25, -26, -27, -28, -29, -30, -31, -32, -99};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        CHECK(strncmp(shmkit_status_name(numbers[i]), "SHMKIT_O", 8) == 0 ||
              strncmp(shmkit_status_name(numbers[i]), "SHMKIT_ERR_", 11) == 0);
        CHECK(shmkit_status_message(numbers[i])[0] != '\0');
    }
}

void nulls(void) {
    nothing();
    zeros();
    nonsense();
    statuses();
}
