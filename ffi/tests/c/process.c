/* Processes: by image offset and by fork, with handles, and how they end. */
#include "suites.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

static int global = 1;

struct work {
    int number;
    char text[20];
};

/* Takes its handles, and answers by each of them. */
static int worker(void *arg) {
    const struct work *work = arg;
    CHECK(global == 1 && work->number == 42 && strcmp(work->text, "copied") == 0);
    CHECK((uintptr_t)arg % 16 == 0);
    shmkit_queue *queue;
    shmkit_pipe *pipe;
    shmkit_lock *lock;
    shmkit_region *region;
    shmkit_array *array;
    shmkit_tx *tx;
    EXPECT(SHMKIT_ERR_TYPE_MISMATCH, shmkit_pipe_passed(0, &pipe));
    OK(shmkit_queue_passed(0, &queue));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_queue_passed(0, &queue));
    OK(shmkit_pipe_passed(1, &pipe));
    OK(shmkit_lock_passed(2, &lock));
    OK(shmkit_region_passed(3, &region));
    OK(shmkit_array_passed(4, &array));
    OK(shmkit_tx_passed(5, &tx));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_lock_passed(6, &lock));

    char text[16];
    size_t len;
    OK(shmkit_pipe_recv(pipe, text, sizeof text, &len, LONG));
    CHECK(len == 4 && memcmp(text, "ping", 4) == 0);
    OK(shmkit_pipe_send(pipe, "pong", 4, LONG));
    OK(shmkit_queue_put(queue, "queued", 6, LONG));
    OK(shmkit_lock_acquire(lock, LONG));
    const uint64_t nine = 9;
    OK(shmkit_array_write(array, 1, 1, &nine));
    OK(shmkit_lock_release(lock));
    shmkit_event *event;
    OK(shmkit_event_open(region, "done", &event));
    OK(shmkit_event_set(event));
    OK(shmkit_tx_push(tx, &nine, LONG));
    shmkit_event_free(event);
    shmkit_queue_free(queue);
    shmkit_pipe_free(pipe);
    shmkit_lock_free(lock);
    shmkit_region_free(region);
    shmkit_array_free(array);
    shmkit_tx_free(tx);
    return 7;
}

static int returns(void *arg) {
    CHECK(arg == NULL);
    return 0;
}

static int waits(void *arg) {
    (void)arg;
    for (;;) pause();
    return 0;
}

static shmkit_exit end_of(shmkit_process *process) {
    shmkit_exit end;
    OK(shmkit_process_wait(process, LONG, &end));
    CHECK(!shmkit_process_is_alive(process));
    return end;
}

static void with_handles(uint32_t flags) {
    const shmkit_elem u64 = {8, 8, "u64"};
    shmkit_queue *queue;
    shmkit_pipe *here, *there;
    shmkit_lock *lock;
    shmkit_region *region;
    shmkit_event *event;
    shmkit_array *array;
    shmkit_ring *ring;
    shmkit_tx *tx;
    shmkit_rx *rx;
    OK(shmkit_queue_create(NULL, NULL, NULL, &queue));
    OK(shmkit_pipe_create(NULL, NULL, NULL, &here, &there));
    OK(shmkit_lock_create(NULL, NULL, 0, &lock));
    OK(shmkit_region_create(NULL, 1 << 16, 0, 0, &region));
    OK(shmkit_event_create(region, "done", 0, &event));
    OK(shmkit_array_create(NULL, NULL, &u64, 2, 0, &array));
    OK(shmkit_ring_create(NULL, NULL, &u64, 4, 0, &ring));
    OK(shmkit_ring_producer(ring, &tx));
    OK(shmkit_ring_consumer(ring, &rx));
    const shmkit_handle handles[] = {
        {SHMKIT_HANDLE_QUEUE, queue},   {SHMKIT_HANDLE_PIPE, there},  {SHMKIT_HANDLE_LOCK, lock},
        {SHMKIT_HANDLE_REGION, region}, {SHMKIT_HANDLE_ARRAY, array}, {SHMKIT_HANDLE_TX, tx},
    };
    shmkit_process_config config = {0};
    config.struct_size = sizeof config;
    config.name = "worker";
    config.flags = flags;
    config.cpu = 1;
    config.handles = handles;
    config.handle_count = 6;
    struct work work = {42, "copied"};
    shmkit_process *process;
    global = 2;
    OK(shmkit_process_spawn(worker, &work, sizeof work, &config, &process));
    CHECK(shmkit_process_pid(process) > 0 && shmkit_process_pid(process) != getpid());
    EXPECT(SHMKIT_ERR_WRONG_PROCESS, shmkit_pipe_send(there, "x", 1, LONG));

    char text[16];
    size_t len;
    OK(shmkit_pipe_send(here, "ping", 4, LONG));
    OK(shmkit_pipe_recv(here, text, sizeof text, &len, LONG));
    CHECK(len == 4 && memcmp(text, "pong", 4) == 0);
    OK(shmkit_queue_get(queue, text, sizeof text, &len, LONG));
    CHECK(len == 6 && memcmp(text, "queued", 6) == 0);
    OK(shmkit_event_wait(event, LONG));
    uint64_t value;
    OK(shmkit_array_read(array, 1, 1, &value));
    CHECK(value == 9);
    value = 0;
    OK(shmkit_rx_pop(rx, &value, LONG));
    CHECK(value == 9);
    const shmkit_exit end = end_of(process);
    CHECK(end.code == 7 && end.signal == 0);
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_pipe_recv(here, text, sizeof text, &len, LONG));
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_rx_pop(rx, &value, LONG));
    shmkit_process_free(process);
    shmkit_queue_free(queue);
    shmkit_pipe_free(here);
    shmkit_pipe_free(there);
    shmkit_lock_free(lock);
    shmkit_event_free(event);
    shmkit_region_free(region);
    shmkit_array_free(array);
    shmkit_ring_free(ring);
    shmkit_tx_free(tx);
    shmkit_rx_free(rx);
    global = 1;
}

static void ends(void) {
    shmkit_process *process;
    OK(shmkit_process_spawn(returns, NULL, 0, NULL, &process));
    shmkit_exit end = end_of(process);
    CHECK(end.code == 0 && end.signal == 0);
    shmkit_process_free(process);

    OK(shmkit_process_spawn(waits, NULL, 0, NULL, &process));
    CHECK(shmkit_process_is_alive(process));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_process_wait(process, SHMKIT_NO_WAIT, &end));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_process_wait(process, 1000000, &end));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_process_kill(process, -3));
    OK(shmkit_process_kill(process, SIGKILL));
    end = end_of(process);
    CHECK(end.code == 0 && end.signal == SIGKILL);
    OK(shmkit_process_kill(process, SIGKILL));
    OK(shmkit_process_wait(process, LONG, NULL));
    shmkit_process_free(process);

    /* No file has a function that lies in data. */
    static const char no_code[64];
    shmkit_main_fn nowhere;
    const void *place = no_code;
    memcpy(&nowhere, &place, sizeof nowhere);
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_process_spawn(nowhere, NULL, 0, NULL, &process));
}

static int forked(void *arg) {
    CHECK(strcmp(arg, "as it is") == 0);
    printf("a forked child flushes what it printed");
    return 3;
}

static void forks(void) {
    char text[] = "as it is";
    shmkit_process *process;
    OK(shmkit_process_fork(forked, text, NULL, &process));
    shmkit_exit end = end_of(process);
    CHECK(end.code == 3 && end.signal == 0);
    shmkit_process_free(process);
}

static void executes(void) {
    const char *argv[] = {"sh", "-c", "exit 5", NULL};
    shmkit_process *process;
    OK(shmkit_process_exec("sh", argv, NULL, &process));
    int fd;
    OK(shmkit_process_fd(process, &fd));
    CHECK(fd >= 0);
    shmkit_exit end = end_of(process);
    CHECK(end.code == 5 && end.signal == 0);
    shmkit_process_free(process);
    argv[2] = "kill -9 $$";
    OK(shmkit_process_exec("/bin/sh", argv, NULL, &process));
    end = end_of(process);
    CHECK(end.code == 0 && end.signal == SIGKILL);
    shmkit_process_free(process);
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_process_exec("/no/such/program", argv, NULL, &process));
}

void before_init(void) {
    shmkit_process *process;
    shmkit_pool *pool;
    EXPECT(SHMKIT_ERR_UNSUPPORTED, shmkit_process_spawn(returns, NULL, 0, NULL, &process));
    CHECK(strstr(shmkit_last_error(), "init") != NULL);
    EXPECT(SHMKIT_ERR_UNSUPPORTED, shmkit_pool_create(1, NULL, NULL, NULL, 0, &pool));
}

void process(void) {
    CHECK(strcmp(shmkit_process_name(), "MainProcess") == 0);
    with_handles(0);
    with_handles(SHMKIT_PROCESS_FORKSERVER);
    ends();
    forks();
    executes();
}
