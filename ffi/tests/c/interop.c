/* The other side of tests/interop.rs: says "ready" once it is, and does what its arguments tell. */
#include "check.h"

#include <unistd.h>

static const shmkit_elem u64 = {sizeof(uint64_t), _Alignof(uint64_t), "u64"};

static void ready(void) {
    puts("ready");
    fflush(stdout);
}

/* Until somebody kills us. */
static void hold(void) {
    ready();
    for (;;) pause();
}

/* Each message comes back with its first byte changed, one way and the other. */
static void echo(const char *in, const char *out) {
    shmkit_queue *from, *to;
    shmkit_slot slot, room;
    OK(shmkit_queue_open(NULL, in, &from));
    OK(shmkit_queue_open(NULL, out, &to));
    ready();
    shmkit_status status;
    while ((status = shmkit_queue_acquire(from, LONG, &slot)) == SHMKIT_OK) {
        OK(shmkit_queue_reserve(to, slot.len, LONG, &room));
        memcpy(room.data, slot.data, slot.len);
        if (room.len != 0) {
            ((char *)room.data)[0] = '!';
        }
        OK(shmkit_queue_commit(to, &room, slot.len));
        OK(shmkit_queue_release(from, &slot));
    }
    CHECK(status == SHMKIT_ERR_CLOSED);
    OK(shmkit_queue_close(to));
    shmkit_queue_free(from);
    shmkit_queue_free(to);
}

static void makes_queue(const char *name) {
    shmkit_queue *queue;
    shmkit_channel_config config = {0};
    config.struct_size = sizeof config;
    config.tag = "alloc::string::String";
    OK(shmkit_queue_create(NULL, name, &config, &queue));
    /* As messages are encoded: the length, and the text. */
    OK(shmkit_queue_put(queue, "\x05hello", 6, LONG));
    hold();
}

static void adds(const char *name, int n) {
    shmkit_array *array;
    void *data;
    OK(shmkit_array_open(NULL, name, &u64, &array));
    ready();
    for (int i = 0; i < n; i++) {
        OK(shmkit_array_lock(array, LONG, &data));
        ((uint64_t *)data)[0]++;
        OK(shmkit_array_unlock(array));
        OK(shmkit_array_add_i64(array, 1, 1, NULL));
    }
    shmkit_array_free(array);
}

static void sums(const char *name) {
    shmkit_ring *ring;
    shmkit_rx *rx;
    uint64_t value, sum = 0;
    OK(shmkit_ring_open(NULL, name, &u64, &ring));
    OK(shmkit_ring_consumer(ring, &rx));
    shmkit_ring_free(ring);
    ready();
    while (shmkit_rx_pop(rx, &value, LONG) == SHMKIT_OK) {
        sum += value;
    }
    printf("%llu\n", (unsigned long long)sum);
    shmkit_rx_free(rx);
}

static void counts(const char *name, int n) {
    shmkit_ring *ring;
    shmkit_tx *tx;
    uint64_t batch[16];
    size_t done;
    OK(shmkit_ring_create(NULL, name, &u64, 64, 0, &ring));
    OK(shmkit_ring_producer(ring, &tx));
    ready();
    for (int i = 0; i < n; i += 16) {
        for (int k = 0; k < 16; k++) {
            batch[k] = (uint64_t)(i + k);
        }
        OK(shmkit_tx_push_n(tx, batch, 16, LONG, &done));
    }
    shmkit_tx_free(tx);
    while (shmkit_ring_len(ring) != 0) {
        usleep(1000); /* the name goes with us */
    }
    shmkit_ring_free(ring);
}

/* Talks to a listener. */
static void talks(const char *path) {
    shmkit_pipe *pipe;
    char text[16];
    size_t len;
    ready();
    OK(shmkit_pipe_connect(path, LONG, &pipe));
    OK(shmkit_pipe_recv(pipe, text, sizeof text, &len, LONG));
    CHECK(len == 4 && memcmp(text, "rust", 4) == 0);
    OK(shmkit_pipe_send(pipe, "c", 1, LONG));
    shmkit_pipe_free(pipe);
}

static void adds_value(const char *name, int n) {
    shmkit_value *value;
    uint64_t number;
    OK(shmkit_value_open(NULL, name, &u64, &value));
    ready();
    for (int i = 0; i < n; i++) {
        OK(shmkit_value_lock(value, LONG));
        OK(shmkit_value_get(value, &number));
        number++;
        OK(shmkit_value_set(value, &number));
        OK(shmkit_value_unlock(value));
    }
    shmkit_value_free(value);
}

static void meets(const char *name) {
    char other[128];
    shmkit_event *event;
    shmkit_barrier *barrier;
    shmkit_semaphore *semaphore;
    snprintf(other, sizeof other, "%s.event", name);
    OK(shmkit_event_open(NULL, other, &event));
    snprintf(other, sizeof other, "%s.barrier", name);
    OK(shmkit_barrier_open(NULL, other, &barrier));
    snprintf(other, sizeof other, "%s.semaphore", name);
    OK(shmkit_semaphore_open(NULL, other, &semaphore));
    ready();
    OK(shmkit_event_wait(event, LONG));
    OK(shmkit_barrier_wait(barrier, LONG, NULL));
    OK(shmkit_semaphore_release(semaphore, 1));
    shmkit_event_free(event);
    shmkit_barrier_free(barrier);
    shmkit_semaphore_free(semaphore);
}

static void answers(const char *name) {
    shmkit_manager *manager;
    shmkit_dict *dict;
    char text[16];
    size_t len;
    OK(shmkit_manager_open(name, &manager));
    OK(shmkit_manager_dict(manager, "dict", &dict));
    OK(shmkit_dict_get(dict, "from rust", 9, text, sizeof text, &len));
    CHECK(len == 3 && memcmp(text, "abc", 3) == 0);
    OK(shmkit_dict_set(dict, "from c", 6, "xyz", 3));
    shmkit_region *region;
    shmkit_lock *lock;
    OK(shmkit_manager_region(manager, &region));
    OK(shmkit_lock_create(region, "lock", SHMKIT_CREATE_OR_OPEN, &lock));
    OK(shmkit_lock_acquire(lock, LONG));
    hold();
}

int main(int argc, char **argv) {
    CHECK(argc >= 3);
    const char *what = argv[1], *name = argv[2];
    shmkit_slot slot;
    if (strcmp(what, "echo") == 0) {
        echo(name, argv[3]);
    } else if (strcmp(what, "makes-queue") == 0) {
        makes_queue(name);
    } else if (strcmp(what, "adds") == 0) {
        adds(name, atoi(argv[3]));
    } else if (strcmp(what, "sums") == 0) {
        sums(name);
    } else if (strcmp(what, "counts") == 0) {
        counts(name, atoi(argv[3]));
    } else if (strcmp(what, "talks") == 0) {
        talks(name);
    } else if (strcmp(what, "adds-value") == 0) {
        adds_value(name, atoi(argv[3]));
    } else if (strcmp(what, "meets") == 0) {
        meets(name);
    } else if (strcmp(what, "answers") == 0) {
        answers(name);
    } else if (strcmp(what, "holds-lock") == 0) {
        shmkit_lock *lock;
        OK(shmkit_lock_open(NULL, name, &lock));
        OK(shmkit_lock_acquire(lock, LONG));
        hold();
    } else if (strcmp(what, "holds-array") == 0) {
        shmkit_array *array;
        void *data;
        OK(shmkit_array_open(NULL, name, &u64, &array));
        OK(shmkit_array_lock(array, LONG, &data));
        *(uint64_t *)data = 13;
        hold();
    } else if (strcmp(what, "holds-permit") == 0) {
        shmkit_semaphore *semaphore;
        OK(shmkit_semaphore_open(NULL, name, &semaphore));
        OK(shmkit_semaphore_acquire(semaphore, LONG));
        hold();
    } else if (strcmp(what, "holds-room") == 0) {
        shmkit_queue *queue;
        OK(shmkit_queue_open(NULL, name, &queue));
        OK(shmkit_queue_reserve(queue, (size_t)atoi(argv[3]), LONG, &slot));
        memset(slot.data, 'h', slot.len);
        hold();
    } else if (strcmp(what, "holds-message") == 0) {
        shmkit_queue *queue;
        OK(shmkit_queue_open(NULL, name, &queue));
        OK(shmkit_queue_acquire(queue, LONG, &slot));
        hold();
    } else if (strcmp(what, "joins") == 0) {
        shmkit_region *region;
        shmkit_array *array;
        OK(shmkit_region_from_fd(atoi(name), 0, &region));
        OK(shmkit_array_create(region, "array", &u64, 4, 0, &array));
        hold();
    } else {
        CHECK(!"known");
    }
    return 0;
}
