/* A crew of processes squares numbers: all at once, and one by itself. */
#include "example.h"

static int square(const void *in, size_t in_len, void *out, size_t out_cap, size_t *out_len) {
    if (in_len != sizeof(int) || out_cap < sizeof(long)) return 1;
    const int n = *(const int *)in;
    *(long *)out = (long)n * n;
    *out_len = sizeof(long);
    return 0;
}

int main(void) {
    shmkit_init();
    shmkit_pool *pool;
    must(shmkit_pool_create(2, NULL, NULL, NULL, 0, &pool));

    int numbers[10];
    long squares[10];
    for (int i = 0; i < 10; i++) numbers[i] = i;
    must(shmkit_pool_map(pool, square, numbers, sizeof *numbers, 10, squares, sizeof *squares, 0,
                         SHMKIT_FOREVER));
    for (int i = 0; i < 10; i++) printf("%ld ", squares[i]);

    const int thousand = 1000;
    const void *out;
    shmkit_task *task;
    must(shmkit_pool_submit(pool, square, &thousand, sizeof thousand, sizeof(long), &task));
    must(shmkit_task_wait(task, SHMKIT_FOREVER, &out, NULL, NULL));
    printf("and %ld\n", *(const long *)out);
    shmkit_task_free(task);

    must(shmkit_pool_close(pool));
    must(shmkit_pool_join(pool, SHMKIT_FOREVER));
    shmkit_pool_free(pool);
    return 0;
}
