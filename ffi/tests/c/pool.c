/* Pools: tasks, maps, workers that die. */
#include "suites.h"

#include <signal.h>
#include <unistd.h>

static int offset;

static int prepare(void *arg) {
    offset = *(const int *)arg;
    return 0;
}

static int fails(void *arg) {
    (void)arg;
    return 1;
}

static int square(const void *in, size_t in_len, void *out, size_t out_cap, size_t *out_len) {
    int64_t number;
    if (in_len != sizeof number || out_cap < sizeof number) {
        return 1;
    }
    memcpy(&number, in, sizeof number);
    if (number < 0) {
        return 2;
    }
    number = number * number + offset;
    memcpy(out, &number, sizeof number);
    *out_len = sizeof number;
    return 0;
}

static int dies(const void *in, size_t in_len, void *out, size_t out_cap, size_t *out_len) {
    (void)in, (void)in_len, (void)out, (void)out_cap, (void)out_len;
    return kill(getpid(), SIGKILL);
}

static int sleeps(const void *in, size_t in_len, void *out, size_t out_cap, size_t *out_len) {
    (void)in, (void)in_len, (void)out, (void)out_cap, (void)out_len;
    pause();
    return 0;
}

void pool(void) {
    const int seven = 7;
    shmkit_pool *pool;
    shmkit_task *task;
    const void *out;
    size_t len;
    int result;
    EXPECT(SHMKIT_ERR_BROKEN, shmkit_pool_create(1, NULL, fails, NULL, 0, &pool));
    OK(shmkit_pool_create(2, NULL, prepare, &seven, sizeof seven, &pool));
    CHECK(shmkit_pool_workers(pool) == 2);

    const int64_t three = 3, bad = -1;
    OK(shmkit_pool_submit(pool, square, &three, sizeof three, 8, &task));
    OK(shmkit_task_wait(task, LONG, &out, &len, &result));
    int64_t number;
    CHECK(len == sizeof number && result == 0);
    memcpy(&number, out, sizeof number);
    CHECK(number == 16);
    OK(shmkit_task_wait(task, SHMKIT_NO_WAIT, NULL, NULL, NULL));
    shmkit_task_free(task);
    OK(shmkit_pool_submit(pool, square, &bad, sizeof bad, 8, &task));
    OK(shmkit_task_wait(task, LONG, NULL, &len, &result));
    CHECK(len == 0 && result == 2);
    shmkit_task_free(task);

    enum { N = 1000 };
    static int64_t in[N], squares[N];
    for (int i = 0; i < N; i++) {
        in[i] = i;
    }
    OK(shmkit_pool_map(pool, square, in, 8, N, squares, 8, 0, LONG));
    for (int i = 0; i < N; i++) {
        CHECK(squares[i] == (int64_t)i * i + 7);
    }
    OK(shmkit_pool_map(pool, square, in, 8, 3, squares, 8, 1, LONG));
    OK(shmkit_pool_map(pool, square, in, 8, 0, squares, 8, 0, LONG));
    in[500] = -1;
    EXPECT(SHMKIT_ERR_BROKEN, shmkit_pool_map(pool, square, in, 8, N, squares, 8, 7, LONG));

    OK(shmkit_pool_submit(pool, dies, NULL, 0, 0, &task));
    EXPECT(SHMKIT_ERR_PEER_DIED, shmkit_task_wait(task, LONG, &out, &len, &result));
    shmkit_task_free(task);
    OK(shmkit_pool_map(pool, square, in, 8, 100, squares, 8, 0, LONG));

    OK(shmkit_pool_submit(pool, sleeps, NULL, 0, 0, &task));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_task_wait(task, SHMKIT_NO_WAIT, &out, &len, &result));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_task_wait(task, 1000000, &out, &len, &result));
    EXPECT(SHMKIT_ERR_BUSY, shmkit_pool_join(pool, LONG));
    OK(shmkit_pool_close(pool));
    shmkit_task *refused;
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_pool_submit(pool, square, &three, 8, 8, &refused));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_pool_join(pool, 1000000));
    OK(shmkit_pool_terminate(pool));
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_task_wait(task, LONG, &out, &len, &result));
    shmkit_task_free(task);
    OK(shmkit_pool_join(pool, LONG));
    shmkit_pool_free(pool);
}
