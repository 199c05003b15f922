/* Queues and pipes: loans, batches, lengths, ends, descriptors. */
#include "suites.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

static bool is_readable(int fd) {
    struct pollfd end = {fd, POLLIN, 0};
    return poll(&end, 1, 0) == 1;
}

static void loans(void) {
    shmkit_queue *queue, *other;
    shmkit_slot one, two, copy;
    char text[64];
    size_t len;
    OK(shmkit_queue_create(NULL, NULL, NULL, &queue));
    OK(shmkit_queue_create(NULL, NULL, NULL, &other));
    OK(shmkit_queue_reserve(queue, 10, LONG, &one));
    OK(shmkit_queue_reserve(queue, 1 << 20, LONG, &two));
    CHECK(one.len == 10 && two.len == 1 << 20);
    memset(two.data, 'b', two.len);
    memcpy(one.data, "aaaaaaaaaa", 10);
    copy = one;
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_queue_commit(queue, &one, 11));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_queue_release(queue, &one));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_queue_commit(other, &copy, 1));
    OK(shmkit_queue_commit(queue, &one, 4));
    CHECK(one.data == NULL);
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_queue_commit(queue, &one, 4));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_queue_commit(queue, &copy, 4));
    OK(shmkit_queue_commit(queue, &two, 700000));
    OK(shmkit_queue_reserve(queue, 5, LONG, &one));
    OK(shmkit_queue_abort(queue, &one));
    CHECK(shmkit_queue_len(queue) == 2);

    OK(shmkit_queue_acquire(queue, LONG, &one));
    OK(shmkit_queue_acquire(queue, LONG, &two));
    CHECK(one.len == 4 && memcmp(one.data, "aaaa", 4) == 0);
    CHECK(two.len == 700000 && ((char *)two.data)[699999] == 'b');
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_queue_commit(queue, &one, 1));
    OK(shmkit_queue_release(queue, &two));
    OK(shmkit_queue_abort(queue, &one));
    OK(shmkit_queue_get(queue, text, sizeof text, &len, LONG));
    CHECK(len == 4);
    EXPECT(SHMKIT_ERR_TOO_LARGE, shmkit_queue_reserve(queue, (size_t)1 << 40, LONG, &one));

    /* What is out when a handle goes is given back. */
    OK(shmkit_queue_put(queue, "kept", 4, LONG));
    shmkit_queue *named, *again;
    OK(shmkit_queue_create(NULL, NULL, NULL, &named));
    (void)again;
    OK(shmkit_queue_reserve(named, 5, LONG, &one));
    OK(shmkit_queue_acquire(queue, LONG, &two));
    shmkit_queue_free(named);
    shmkit_queue_free(queue);
    shmkit_queue_free(other);
}

static void given_back_by_free(void) {
    shmkit_region *region;
    shmkit_queue *queue, *same;
    shmkit_channel_config config = {0};
    shmkit_slot slot;
    char text[8];
    size_t len;
    config.struct_size = sizeof config;
    config.max_messages = 2;
    OK(shmkit_region_create(NULL, 1 << 20, 0, 0, &region));
    OK(shmkit_queue_create(region, "q", &config, &queue));
    OK(shmkit_queue_open(region, "q", &same));
    OK(shmkit_queue_put(queue, "m", 1, LONG));
    OK(shmkit_queue_acquire(same, LONG, &slot));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_queue_get(queue, text, sizeof text, &len, 0));
    shmkit_queue_free(same);
    OK(shmkit_queue_get(queue, text, sizeof text, &len, LONG));
    CHECK(len == 1 && text[0] == 'm');
    shmkit_queue_free(queue);
    shmkit_region_free(region);
}

static void batches(void) {
    shmkit_queue *queue;
    shmkit_channel_config config = {0};
    enum { N = 40 };
    static char texts[N][8];
    shmkit_buf bufs[N];
    size_t done;
    config.struct_size = sizeof config;
    config.max_messages = 32;
    OK(shmkit_queue_create(NULL, NULL, &config, &queue));
    for (int i = 0; i < N; i++) {
        snprintf(texts[i], sizeof texts[i], "%d", i);
        bufs[i].data = texts[i];
        bufs[i].len = strlen(texts[i]);
    }
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_queue_put_n(queue, bufs, N, SHMKIT_NO_WAIT, &done));
    CHECK(done == 32);
    for (int i = 0; i < N; i++) {
        bufs[i].len = i == 12 ? 1 : sizeof texts[i];
    }
    EXPECT(SHMKIT_ERR_BUFFER_TOO_SMALL, shmkit_queue_get_n(queue, bufs, N, LONG, &done));
    CHECK(done == 12 && bufs[11].len == 2 && memcmp(bufs[11].data, "11", 2) == 0);
    CHECK(bufs[12].len == 2);
    for (size_t got = 12; got < 32; got += done) {
        for (int i = 0; i < N; i++) {
            bufs[i].len = sizeof texts[i];
        }
        OK(shmkit_queue_get_n(queue, bufs, N, LONG, &done));
        CHECK(done > 0 && bufs[0].len == 2);
        CHECK(atoi(bufs[0].data) == (int)got);
    }
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_queue_get_n(queue, bufs, N, 1000, &done));
    CHECK(done == 0);
    OK(shmkit_queue_put_n(queue, bufs, 0, 0, &done));
    shmkit_queue_free(queue);

    shmkit_pipe *a, *b;
    OK(shmkit_pipe_create(NULL, NULL, NULL, &a, &b));
    OK(shmkit_pipe_send_n(a, bufs, 10, LONG, &done));
    CHECK(done == 10);
    for (int i = 0; i < N; i++) {
        bufs[i].len = sizeof texts[i];
    }
    OK(shmkit_pipe_recv_n(b, bufs, N, LONG, &done));
    CHECK(done == 10);
    shmkit_pipe_free(a);
    shmkit_pipe_free(b);
}

static void jobs(void) {
    shmkit_queue *queue;
    shmkit_channel_config config = {0};
    shmkit_slot slot;
    config.struct_size = sizeof config;
    config.flags = SHMKIT_QUEUE_JOINABLE | SHMKIT_QUEUE_GROWING;
    OK(shmkit_queue_create(NULL, NULL, &config, &queue));
    OK(shmkit_queue_put(queue, "job", 3, LONG));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_queue_join(queue, 1000));
    OK(shmkit_queue_acquire(queue, LONG, &slot));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_queue_join(queue, 1000));
    OK(shmkit_queue_release(queue, &slot));
    OK(shmkit_queue_join(queue, LONG));
    shmkit_queue_free(queue);
}

static void polls(void) {
    shmkit_queue *queue;
    char text[8];
    size_t len;
    int fd;
    OK(shmkit_queue_create(NULL, NULL, NULL, &queue));
    OK(shmkit_queue_fd(queue, &fd));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_queue_get(queue, text, sizeof text, &len, 0));
    CHECK(!is_readable(fd));
    OK(shmkit_queue_put(queue, "x", 1, LONG));
    CHECK(is_readable(fd));
    OK(shmkit_queue_get(queue, text, sizeof text, &len, 0));
    shmkit_stats stats;
    OK(shmkit_queue_stats(queue, &stats));
    CHECK(stats.capacity == 64 && stats.len == 0 && stats.max_inline == 232 && !stats.closed);
    OK(shmkit_queue_close(queue));
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_queue_put(queue, "x", 1, LONG));
    OK(shmkit_queue_stats(queue, &stats));
    CHECK(stats.closed);
    shmkit_queue_free(queue);

    shmkit_pipe *a, *b;
    OK(shmkit_pipe_create(NULL, NULL, NULL, &a, &b));
    OK(shmkit_pipe_fd(b, &fd));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_pipe_recv(b, text, sizeof text, &len, 0));
    CHECK(!is_readable(fd) && shmkit_pipe_len(b) == 0);
    OK(shmkit_pipe_send(a, "x", 1, LONG));
    CHECK(is_readable(fd) && shmkit_pipe_len(b) == 1);
    OK(shmkit_pipe_stats(a, &stats));
    CHECK(!stats.closed && stats.max_inline > 1000);
    shmkit_pipe_free(a);
    shmkit_pipe_free(b);
}

struct sender {
    shmkit_pipe *pipe;
    size_t len;
};

static void *sends(void *arg) {
    struct sender *sender = arg;
    char *data = malloc(sender->len);
    CHECK(data != NULL);
    memset(data, 'z', sender->len);
    OK(shmkit_pipe_send(sender->pipe, data, sender->len, LONG));
    free(data);
    return NULL;
}

static void pipes(void) {
    shmkit_pipe *a, *b;
    shmkit_slot slot, second;
    char text[16];
    size_t len;
    OK(shmkit_pipe_create(NULL, NULL, NULL, &a, &b));
    OK(shmkit_pipe_reserve(a, 10, LONG, &slot));
    EXPECT(SHMKIT_ERR_BUSY, shmkit_pipe_reserve(a, 10, LONG, &second));
    memcpy(slot.data, "0123456789", 10);
    OK(shmkit_pipe_commit(a, &slot, 5));
    OK(shmkit_pipe_reserve(a, 10, LONG, &slot));
    OK(shmkit_pipe_abort(a, &slot));
    EXPECT(SHMKIT_ERR_BUFFER_TOO_SMALL, shmkit_pipe_recv(b, text, 4, &len, LONG));
    CHECK(len == 5);
    OK(shmkit_pipe_acquire(b, LONG, &slot));
    CHECK(slot.len == 5 && memcmp(slot.data, "01234", 5) == 0);
    OK(shmkit_pipe_abort(b, &slot));
    OK(shmkit_pipe_acquire(b, LONG, &slot));
    OK(shmkit_pipe_release(b, &slot));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_pipe_acquire(b, SHMKIT_NO_WAIT, &slot));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_pipe_recv(b, text, sizeof text, &len, 1000));

    /* Longer than the pipe: in pieces. */
    struct sender sender = {a, 1 << 20};
    pthread_t thread;
    EXPECT(SHMKIT_ERR_TOO_LARGE, shmkit_pipe_reserve(a, sender.len, LONG, &slot));
    CHECK(pthread_create(&thread, NULL, sends, &sender) == 0);
    char *whole = malloc(sender.len);
    CHECK(whole != NULL);
    OK(shmkit_pipe_recv(b, whole, sender.len, &len, LONG));
    CHECK(len == sender.len && whole[len - 1] == 'z');
    free(whole);
    CHECK(pthread_join(thread, NULL) == 0);

    int ends[2], fd;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    OK(shmkit_pipe_send_fd(a, ends[0], LONG));
    OK(shmkit_pipe_recv_fd(b, &fd, LONG));
    CHECK(write(ends[1], "!", 1) == 1 && read(fd, text, 1) == 1 && text[0] == '!');
    close(fd);
    close(ends[0]);
    close(ends[1]);
    OK(shmkit_pipe_send(a, "x", 1, LONG));
    EXPECT(SHMKIT_ERR_CORRUPT, shmkit_pipe_recv_fd(b, &fd, LONG));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_pipe_send_fd(a, -1, LONG));
    OK(shmkit_pipe_close(a));
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_pipe_send(b, "x", 1, LONG));
    shmkit_pipe_free(a);
    shmkit_pipe_free(b);
}

static void named_pipes(void) {
    char name[64], text[8];
    size_t len;
    int fd;
    snprintf(name, sizeof name, "c.pipe.%d", (int)getpid());
    shmkit_pipe *a, *b, *c;
    OK(shmkit_pipe_create(NULL, name, NULL, &a, NULL));
    EXPECT(SHMKIT_ERR_EXISTS, shmkit_pipe_create(NULL, name, NULL, &c, NULL));
    OK(shmkit_pipe_open(NULL, name, &b));
    EXPECT(SHMKIT_ERR_WRONG_PROCESS, shmkit_pipe_open(NULL, name, &c));
    OK(shmkit_pipe_send(a, "1", 1, LONG));
    OK(shmkit_pipe_send(b, "2", 1, LONG));
    OK(shmkit_pipe_recv(b, text, sizeof text, &len, LONG));
    CHECK(text[0] == '1');
    OK(shmkit_pipe_recv(a, text, sizeof text, &len, LONG));
    CHECK(text[0] == '2');
    EXPECT(SHMKIT_ERR_UNSUPPORTED, shmkit_pipe_fd(a, &fd));
    EXPECT(SHMKIT_ERR_UNSUPPORTED, shmkit_pipe_send_fd(a, 0, LONG));
    shmkit_pipe_free(b);
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_pipe_recv(a, text, sizeof text, &len, LONG));
    shmkit_pipe_free(a);
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_pipe_open(NULL, name, &c));
}

static void *connects(void *arg) {
    shmkit_pipe *pipe;
    OK(shmkit_pipe_connect(arg, LONG, &pipe));
    OK(shmkit_pipe_send(pipe, "hello", 5, LONG));
    shmkit_pipe_free(pipe);
    return NULL;
}

static void listeners(void) {
    char path[64], text[8];
    size_t len;
    shmkit_listener *listener, *second;
    shmkit_pipe *pipe;
    pthread_t thread;
    snprintf(path, sizeof path, "/tmp/shmkit.c.%d", (int)getpid());
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_pipe_connect(path, LONG, &pipe));
    OK(shmkit_listener_bind(path, &listener));
    EXPECT(SHMKIT_ERR_EXISTS, shmkit_listener_bind(path, &second));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_listener_accept(listener, SHMKIT_NO_WAIT, &pipe));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_listener_accept(listener, 1000000, &pipe));
    CHECK(pthread_create(&thread, NULL, connects, path) == 0);
    OK(shmkit_listener_accept(listener, LONG, &pipe));
    OK(shmkit_pipe_recv(pipe, text, sizeof text, &len, LONG));
    CHECK(len == 5 && memcmp(text, "hello", 5) == 0 && pthread_join(thread, NULL) == 0);
    EXPECT(SHMKIT_ERR_CLOSED, shmkit_pipe_recv(pipe, text, sizeof text, &len, LONG));
    shmkit_pipe_free(pipe);
    shmkit_listener_free(listener);
}

void messages(void) {
    listeners();
    loans();
    given_back_by_free();
    batches();
    jobs();
    polls();
    pipes();
    named_pipes();
}
