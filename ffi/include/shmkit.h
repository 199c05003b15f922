/*
 * shmkit: shared-memory IPC for Linux. Queues, pipes, locks, arrays and processes that go on working
 * when any process is killed at any instruction.
 *
 * Made from the sources of the library: do not edit. README.md beside the library is the reference.
 *
 * Rules for all functions
 *
 * - Status: 0 is success, more than 0 success with news (SHMKIT_OWNER_DIED: you hold the lock), less than
 *   0 failure. Results are written on success only, except where a function says otherwise.
 * - Time: `int64_t timeout_ns` is relative, on the monotonic clock: SHMKIT_NO_WAIT, SHMKIT_FOREVER, or
 *   nanoseconds. Signals do not end a wait.
 * - Handles: made by `_create` and `_open`, given up by `_free`, which takes NULL too and never waits.
 *   No other thread may use a handle while it is freed. Any other function answers a NULL handle with
 *   SHMKIT_ERR_INVALID_ARGUMENT (or 0, false, -1, NULL where it returns no status).
 * - Places: with `region` NULL an object has a region of its own; otherwise it lies in that one and lives
 *   as long as it. With `name` NULL nobody finds it: it goes to others by fork, or with its region. With a
 *   name others find it: by the name alone, or by region and name.
 * - Threads: any, at once, unless a type says otherwise (pipes, and the ends of rings: one at a time).
 * - Fork: handles survive it, unless a type says otherwise; what a process holds (locks, permits, slots,
 *   ends) stays with the parent, and the child gets SHMKIT_ERR_NOT_OWNER or SHMKIT_ERR_WRONG_PROCESS. The
 *   child of a process with several threads may use handles that it inherited, but make none before it
 *   executes another program.
 * - Death: a process may be killed anywhere. Others go on and are told by the statuses; nothing that was
 *   acknowledged is lost, and no name or memory stays behind.
 */

#ifndef SHMKIT_H
#define SHMKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define SHMKIT_VERSION_MAJOR 0
#define SHMKIT_VERSION_MINOR 1
#define SHMKIT_VERSION_PATCH 0
#define SHMKIT_VERSION_STRING "0.1.0"
/** Compare with shmkit_version(). */
#define SHMKIT_VERSION                                                                             \
    (SHMKIT_VERSION_MAJOR * 1000000 + SHMKIT_VERSION_MINOR * 1000 + SHMKIT_VERSION_PATCH)

/** As a timeout: do not wait. */
#define SHMKIT_NO_WAIT INT64_C(0)
/** As a timeout: wait as long as it takes. */
#define SHMKIT_FOREVER INT64_C(-1)

#if defined(__cplusplus)
#if __cplusplus >= 201703L
#define SHMKIT_NODISCARD [[nodiscard]]
#endif
#define SHMKIT_NOEXCEPT noexcept
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ > 201710L
#define SHMKIT_NODISCARD [[nodiscard]]
#endif
#ifndef SHMKIT_NODISCARD
#if defined(__GNUC__)
#define SHMKIT_NODISCARD __attribute__((warn_unused_result))
#else
#define SHMKIT_NODISCARD
#endif
#endif
#ifndef SHMKIT_NOEXCEPT
#define SHMKIT_NOEXCEPT
#endif

/**
 * In place of a call of shmkit_init() first in main: write it once, outside of all functions and without a
 * semicolon, in a file of the executable (not of a library). Constructors are run before a child is taken
 * over; main is not reached there.
 */
#define SHMKIT_AUTO_INIT                                                                           static void shmkit_auto_init_hook_(int, char **, char **);                                     __attribute__((used, section(".init_array"))) static shmkit_hook_fn                            shmkit_auto_init_entry_ = shmkit_auto_init_hook_;                                          static void shmkit_auto_init_hook_(int argc, char **argv, char **envp)                         {                                                                                              shmkit_auto_init(&shmkit_auto_init_entry_, argc, argv, envp);                              }

/**
 * The name is free: make the object, or fail with SHMKIT_ERR_EXISTS.
 */
#define SHMKIT_CREATE_EXCLUSIVE 0

/**
 * If the object is there, open it.
 */
#define SHMKIT_CREATE_OR_OPEN 1

/**
 * If the object is there and nobody alive uses it, make it anew. This is always done.
 */
#define SHMKIT_CREATE_REPLACE_DEAD 2

/**
 * A lock that its holder may take again.
 */
#define SHMKIT_LOCK_RECURSIVE 256

/**
 * The object has a descriptor for `poll`. All that can have one always have.
 */
#define SHMKIT_POLLABLE 512

/**
 * The kind of a `shmkit_region *`.
 */
#define SHMKIT_HANDLE_REGION 1

/**
 * The kind of a `shmkit_lock *`.
 */
#define SHMKIT_HANDLE_LOCK 2

/**
 * The kind of a `shmkit_semaphore *`.
 */
#define SHMKIT_HANDLE_SEMAPHORE 3

/**
 * The kind of a `shmkit_condition *`.
 */
#define SHMKIT_HANDLE_CONDITION 4

/**
 * The kind of a `shmkit_event *`.
 */
#define SHMKIT_HANDLE_EVENT 5

/**
 * The kind of a `shmkit_barrier *`.
 */
#define SHMKIT_HANDLE_BARRIER 6

/**
 * The kind of a `shmkit_array *`.
 */
#define SHMKIT_HANDLE_ARRAY 7

/**
 * The kind of a `shmkit_queue *`.
 */
#define SHMKIT_HANDLE_QUEUE 8

/**
 * The kind of a `shmkit_pipe *`.
 */
#define SHMKIT_HANDLE_PIPE 9

/**
 * The kind of a `shmkit_ring *`.
 */
#define SHMKIT_HANDLE_RING 10

/**
 * The kind of a `shmkit_tx *`.
 */
#define SHMKIT_HANDLE_TX 11

/**
 * The kind of a `shmkit_rx *`.
 */
#define SHMKIT_HANDLE_RX 12

/**
 * The kind of a `shmkit_manager *`.
 */
#define SHMKIT_HANDLE_MANAGER 13

/**
 * The kind of a `shmkit_dict *`.
 */
#define SHMKIT_HANDLE_DICT 14

/**
 * The kind of a `shmkit_list *`.
 */
#define SHMKIT_HANDLE_LIST 15

/**
 * The kind of a `shmkit_namespace *`.
 */
#define SHMKIT_HANDLE_NAMESPACE 16

/**
 * The process ends with this one, however that ends: it is terminated at a normal exit, and killed by the
 * kernel otherwise.
 */
#define SHMKIT_PROCESS_DAEMON 1

/**
 * The process is made by a small server process, which is several times faster.
 */
#define SHMKIT_PROCESS_FORKSERVER 2

/**
 * Fork although there are other threads, which do not exist in the child, whatever they have locked.
 */
#define SHMKIT_PROCESS_ALLOW_THREADS 4

/**
 * A queue whose messages are to be done: `_release` says that one is, `shmkit_queue_join()` waits for
 * all, and a message whose consumer died or called `_abort` comes again. Rust opens it as
 * `JoinableQueue<T>`.
 */
#define SHMKIT_QUEUE_JOINABLE 1024

/**
 * A queue that takes its memory as it grows, and gives it back as it is drained, instead of having all of
 * it from the start: for a `max_messages` that is there for bad times only.
 */
#define SHMKIT_QUEUE_GROWING 2048

/**
 * The number of the binary interface: that of the shared library's name. A program runs with the
 * library that it was linked with, or with a later one of the same number.
 */
#define SHMKIT_ABI_VERSION 1

/**
 * What came of a call: 0 is success, more than 0 success with news, less than 0 failure.
 *
 * The numbers are part of the binary interface: they never change, and new ones may come.
 */
typedef enum shmkit_status {
    /**
     * Done.
     */
    SHMKIT_OK = 0,
    /**
     * The lock *is* held, but its last holder died in its section: repair what it protects and call
     * `_mark_consistent`, or the next owner is told again.
     */
    SHMKIT_OWNER_DIED = 1,
    /**
     * Not now, and the call was not to wait.
     */
    SHMKIT_ERR_WOULD_BLOCK = -1,
    /**
     * Not for as long as the call was to wait.
     */
    SHMKIT_ERR_TIMED_OUT = -2,
    /**
     * The other side is closed, and nothing is left.
     */
    SHMKIT_ERR_CLOSED = -3,
    /**
     * The process of the other side has died, and nothing is left.
     */
    SHMKIT_ERR_PEER_DIED = -4,
    /**
     * The barrier is broken.
     */
    SHMKIT_ERR_BROKEN = -5,
    /**
     * Kept for objects that cannot be used again after a death; no function returns it now.
     */
    SHMKIT_ERR_NOT_RECOVERABLE = -6,
    /**
     * This thread does not hold the lock.
     */
    SHMKIT_ERR_NOT_OWNER = -7,
    /**
     * This thread would wait for itself.
     */
    SHMKIT_ERR_DEADLOCK = -8,
    /**
     * The semaphore would have more permits than it can have.
     */
    SHMKIT_ERR_OVERFLOW = -9,
    /**
     * The message can never fit.
     */
    SHMKIT_ERR_TOO_LARGE = -10,
    /**
     * The message is longer than the buffer; it is still there.
     */
    SHMKIT_ERR_BUFFER_TOO_SMALL = -11,
    /**
     * An argument is NULL, outside its range, or contradicts another.
     */
    SHMKIT_ERR_INVALID_ARGUMENT = -20,
    /**
     * Nothing live has this name.
     */
    SHMKIT_ERR_NOT_FOUND = -21,
    /**
     * Something live has this name.
     */
    SHMKIT_ERR_EXISTS = -22,
    /**
     * The system does not allow it.
     */
    SHMKIT_ERR_PERMISSION = -23,
    /**
     * There is not that much memory.
     */
    SHMKIT_ERR_NO_MEMORY = -24,
    /**
     * The region, its table of processes, or the shared-memory file system is full.
     */
    SHMKIT_ERR_NO_SPACE = -25,
    /**
     * It is there, but of another kind, or of other elements.
     */
    SHMKIT_ERR_TYPE_MISMATCH = -26,
    /**
     * It was made by a library with another format of shared memory.
     */
    SHMKIT_ERR_LAYOUT_VERSION = -27,
    /**
     * What lies in shared memory cannot be true.
     */
    SHMKIT_ERR_CORRUPT = -28,
    /**
     * The handle belongs to another process: this is a forked copy, or the end was moved.
     */
    SHMKIT_ERR_WRONG_PROCESS = -29,
    /**
     * In use: the end has a live owner, or a message is still lent.
     */
    SHMKIT_ERR_BUSY = -30,
    /**
     * This cannot be done here; `shmkit_last_error()` says why.
     */
    SHMKIT_ERR_UNSUPPORTED = -31,
    /**
     * The system refused: see `shmkit_last_errno()`.
     */
    SHMKIT_ERR_SYSTEM = -32,
    /**
     * A bug of the library, which was contained.
     */
    SHMKIT_ERR_INTERNAL = -99,
} shmkit_status;

/**
 * A fixed number of elements in shared memory, under one lock. Any thread of any process may use it
 * at once; a handle survives fork, the held lock does not.
 */
typedef struct shmkit_array shmkit_array;

/**
 * A place where a number of threads of any processes meet. Any thread of any process may use it at
 * once; a handle survives fork.
 */
typedef struct shmkit_barrier shmkit_barrier;

/**
 * Where threads of any process wait for what a lock protects to change. Any thread of any process may
 * use it at once; a handle survives fork.
 */
typedef struct shmkit_condition shmkit_condition;

/**
 * A dictionary from bytes to bytes. Any thread of any process may use it at once; a handle survives fork.
 * Rust has it as `Dict<Vec<u8>, Vec<u8>>`.
 */
typedef struct shmkit_dict shmkit_dict;

/**
 * A flag to wait for. Any thread of any process may use it at once; a handle survives fork.
 */
typedef struct shmkit_event shmkit_event;

/**
 * A list of bytes. Any thread of any process may use it at once; a handle survives fork. Rust has it as
 * `List<Vec<u8>>`.
 */
typedef struct shmkit_list shmkit_list;

/**
 * A place in the file system where processes of the same user get a pipe to this one. Any thread of this
 * process may use it at once; a forked child gets SHMKIT_ERR_WRONG_PROCESS. Rust has it as `Listener<T>`.
 */
typedef struct shmkit_listener shmkit_listener;

/**
 * A lock between processes and threads. Any thread of any process may use it at once; a handle
 * survives fork, a held lock does not: the child holds nothing that its parent does.
 */
typedef struct shmkit_lock shmkit_lock;

/**
 * Named objects and containers in one region, without a server. Any thread of any process may use it at
 * once; a handle survives fork.
 */
typedef struct shmkit_manager shmkit_manager;

/**
 * Values by name, for settings and the like. Any thread of any process may use it at once; a handle
 * survives fork. Rust gets and sets the same values as `Vec<u8>`.
 */
typedef struct shmkit_namespace shmkit_namespace;

/**
 * One end of a pipe, which carries messages of bytes in both directions, whole and in order. One thread
 * of one process at a time uses an end; what a forked child has inherited is its parent's.
 *
 * Rust has it as `Connection<T>`: `send_bytes` and `recv_bytes` there are the same bytes as here.
 */
typedef struct shmkit_pipe shmkit_pipe;

/**
 * A crew of processes that run functions of this program. Any thread of the process that made it may use
 * it at once; a forked child gets SHMKIT_ERR_WRONG_PROCESS. When that process ends, its workers do.
 */
typedef struct shmkit_pool shmkit_pool;

/**
 * A process that this one has started. Any thread of this process may use it at once.
 */
typedef struct shmkit_process shmkit_process;

/**
 * Messages of bytes from any number of producers to any number of consumers, each to one of them. Any
 * thread of any process may use it at once; a handle survives fork, what is lent in place does not.
 *
 * Rust opens it as `Queue<T>`: `loan` and `receive` there are the same bytes as here.
 */
typedef struct shmkit_queue shmkit_queue;

/**
 * Shared memory for many objects, under one descriptor. Any thread of any process may use it at
 * once; a handle survives fork.
 */
typedef struct shmkit_region shmkit_region;

/**
 * A lock-free ring for elements of one type, from one producer to one consumer: the fastest way between
 * two processes. Any thread of any process may use the handle at once; it survives fork.
 *
 * Rust has the ends as `ring::Producer<T>` and `ring::Consumer<T>`.
 */
typedef struct shmkit_ring shmkit_ring;

/**
 * A lock for many readers or one writer. Any thread of any process may use it at once; a handle survives
 * fork, what is held does not. Rust has it as `RwLock<()>`.
 */
typedef struct shmkit_rwlock shmkit_rwlock;

/**
 * The end of a ring that pops: as shmkit_tx.
 */
typedef struct shmkit_rx shmkit_rx;

/**
 * A number of permits. Any thread of any process may use it at once; a handle survives fork, what the
 * parent has acquired stays the parent's.
 */
typedef struct shmkit_semaphore shmkit_semaphore;

/**
 * A task that was submitted. One thread at a time uses it.
 */
typedef struct shmkit_task shmkit_task;

/**
 * The end of a ring that pushes. One thread of one process at a time uses it; what a forked child has
 * inherited is its parent's.
 *
 * A ring wakes nobody: a call that waits looks again and again, at first without a pause and then after
 * sleeps of up to a millisecond.
 */
typedef struct shmkit_tx shmkit_tx;

/**
 * A value in shared memory, which is read whole and without a lock, and replaced whole. Any thread of any
 * process may use it at once; a handle survives fork, the held lock does not. Rust has it as `Value<T>`.
 */
typedef struct shmkit_value shmkit_value;

/**
 * Elements of one type, for arrays and rings.
 *
 * The tag is the name of the type: a region remembers size, alignment and a hash of the tag, and whoever
 * opens the object must say the same. For sharing with Rust the tag is what `std::any::type_name`
 * gives for the type there: "u8" to "u64", "i8" to "i64", "usize", "isize", "f32", "f64", "[u64; 4]",
 * "my_crate::my_module::Frame".
 */
typedef struct shmkit_elem {
    /**
     * Bytes of an element, a multiple of `align`; not 0.
     */
    size_t size;
    /**
     * How an element is aligned: a power of two, at most 128.
     */
    size_t align;
    /**
     * The name of the type; NULL is the same as "".
     */
    const char *tag;
} shmkit_elem;

/**
 * Is shown an entry: its key (of a list, its index as a `size_t`) and its value. What is not 0 stops.
 */
typedef int (*shmkit_visit_fn)(void *ctx,
                               const void *key,
                               size_t key_len,
                               const void *data,
                               size_t len);

/**
 * Edits a value under the lock of its container: `*len` bytes of `cap` at `data` are the value, or none if
 * `*present` is false; it leaves the new ones there. 0 keeps the change, anything else drops it.
 */
typedef int (*shmkit_edit_fn)(void *ctx, void *data, size_t cap, size_t *len, bool *present);

/**
 * How a queue or a pipe is made; NULL or zeros for what does by default.
 */
typedef struct shmkit_channel_config {
    /**
     * `sizeof(shmkit_channel_config)`: tells the library what the program knows of.
     */
    size_t struct_size;
    /**
     * SHMKIT_CREATE_EXCLUSIVE, or SHMKIT_CREATE_OR_OPEN for a queue; for a queue SHMKIT_QUEUE_JOINABLE,
     * SHMKIT_QUEUE_GROWING.
     */
    uint32_t flags;
    /**
     * Of a queue: memory for all messages together that are longer than `max_message`, in bytes; 0:
     * 128 MiB, or none in a region. It is taken as it is needed. Of a pipe: what a direction holds, in
     * bytes; 0: 64 KiB.
     */
    size_t capacity;
    /**
     * Of a queue: the longest message that has a place in the queue itself, which is faster; 0: 232. Of
     * a pipe: the longest message that is to travel in one piece; 0: half of `capacity`.
     */
    size_t max_message;
    /**
     * Of a queue: the messages that it holds at most; 0: 64. A pipe counts bytes only.
     */
    size_t max_messages;
    /**
     * For sharing with a Rust program that uses its typed calls: what `std::any::type_name` gives for
     * its T; NULL: any T will do.
     */
    const char *tag;
} shmkit_channel_config;

/**
 * A buffer, for several messages in one call.
 */
typedef struct shmkit_buf {
    /**
     * Its first byte.
     */
    void *data;
    /**
     * Its length in bytes; of a received message the length of that, afterwards.
     */
    size_t len;
} shmkit_buf;

/**
 * A message in place: room to be filled, or one that was received.
 */
typedef struct shmkit_slot {
    /**
     * Its first byte.
     */
    void *data;
    /**
     * Its length in bytes.
     */
    size_t len;
    /**
     * Whose it is: the library's own.
     */
    uint64_t token[2];
} shmkit_slot;

/**
 * What a queue or a pipe is doing.
 */
typedef struct shmkit_stats {
    /**
     * Of a queue: messages that it holds at most. Of a pipe: 0.
     */
    size_t capacity;
    /**
     * Of a queue: messages in it now. Of a pipe: 1 if there is something to receive, or else 0.
     */
    size_t len;
    /**
     * The longest message that can be lent in a slot (of a queue longer ones lie in pages).
     */
    size_t max_inline;
    /**
     * Whether this end, or the queue, is closed.
     */
    bool closed;
} shmkit_stats;

/**
 * How a pool is made; NULL or zeros for what does by default.
 */
typedef struct shmkit_pool_config {
    /**
     * `sizeof(shmkit_pool_config)`: tells the library what the program knows of.
     */
    size_t struct_size;
    /**
     * A worker is replaced after so many tasks; 0: never.
     */
    uint64_t max_tasks_per_worker;
    /**
     * A task whose worker died is begun again so many times.
     */
    uint32_t retries;
    /**
     * Memory for inputs and outputs that are under way, in bytes; 0: what does by default.
     */
    uint64_t arena_bytes;
} shmkit_pool_config;

/**
 * What a process runs: its return value is the exit code, of which the low 8 bits count.
 */
typedef int (*shmkit_main_fn)(void *arg);

/**
 * A task: gets `in_len` bytes at `in`, writes up to `out_cap` bytes to `out` and their number to `*out_len`
 * (0 at first), and returns 0 for success.
 */
typedef int (*shmkit_task_fn)(const void *in,
                              size_t in_len,
                              void *out,
                              size_t out_cap,
                              size_t *out_len);

/**
 * The function of a constructor, for SHMKIT_AUTO_INIT.
 */
typedef void (*shmkit_hook_fn)(int argc, char **argv, char **envp);

/**
 * A handle for a process that is being started: what it is, and the handle itself.
 */
typedef struct shmkit_handle {
    /**
     * SHMKIT_HANDLE_REGION, ..
     */
    int32_t kind;
    /**
     * A `shmkit_region *`, ..; what it leads to stays usable here, but an end (pipe, tx, rx) moves: free
     * its handle.
     */
    void *object;
} shmkit_handle;

/**
 * How a process is started; NULL or zeros for what does by default.
 */
typedef struct shmkit_process_config {
    /**
     * `sizeof(shmkit_process_config)`: tells the library what the program knows of.
     */
    size_t struct_size;
    /**
     * SHMKIT_PROCESS_DAEMON, SHMKIT_PROCESS_FORKSERVER, SHMKIT_PROCESS_ALLOW_THREADS.
     */
    uint32_t flags;
    /**
     * The name of the process; NULL: "Process-1", and so on.
     */
    const char *name;
    /**
     * One more than the number of the processor that it is to run on; 0: on any.
     */
    int32_t cpu;
    /**
     * Handles for the process, which takes them by their number: `shmkit_queue_passed(0, &queue)`.
     * Only for `shmkit_process_spawn()`; a forked process has its parent's.
     */
    const struct shmkit_handle *handles;
    /**
     * How many they are.
     */
    size_t handle_count;
} shmkit_process_config;

/**
 * How a process has ended.
 */
typedef struct shmkit_exit {
    /**
     * The exit code, if no signal has ended it; or else 0.
     */
    int code;
    /**
     * The signal that has ended it, or 0.
     */
    int signal;
} shmkit_exit;

/**
 * Where a ring lies in this process, for programs that go without calls: `head` and `tail` count the
 * elements ever popped and pushed, and the element of a count lies at `data` plus `stride` times the count
 * masked by `mask`.
 */
typedef struct shmkit_ring_view {
    /**
     * The consumer's position: 64 bits, aligned; only the consumer stores it (release).
     */
    const uint64_t *head;
    /**
     * The producer's position: 64 bits, aligned; only the producer stores it (release).
     */
    const uint64_t *tail;
    /**
     * The first slot.
     */
    void *data;
    /**
     * Slots in memory minus one: the capacity, rounded up to a power of two, minus one.
     */
    uint64_t mask;
    /**
     * Bytes from one slot to the next.
     */
    size_t stride;
    /**
     * The number of this layout: 1.
     */
    uint32_t layout;
} shmkit_ring_view;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes `len` zeroed elements of the type `elem`. `region`, `name` and `flags` as of
 * `shmkit_lock_create()`. Rust opens it as `Array<T>` with the T that `elem` names.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_array_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_create(const struct shmkit_region *region,
                                       const char *name,
                                       const struct shmkit_elem *elem,
                                       size_t len,
                                       uint32_t flags,
                                       struct shmkit_array **out)
SHMKIT_NOEXCEPT;

/**
 * Opens an array of elements of the type `elem` by its name; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_open(const struct shmkit_region *region,
                                     const char *name,
                                     const struct shmkit_elem *elem,
                                     struct shmkit_array **out)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. If this process holds the array's lock, it keeps it until its last
 * handle to the region is gone. Never blocks.
 */
void shmkit_array_free(struct shmkit_array *array)
SHMKIT_NOEXCEPT;

/**
 * The first element; NULL for NULL. Valid until the handle is freed. Others read and write there at
 * the same time, unless all take the lock. Never blocks.
 */
void *shmkit_array_data(const struct shmkit_array *array) SHMKIT_NOEXCEPT;

/**
 * The number of elements, which never changes; 0 for NULL. Never blocks.
 */
size_t shmkit_array_len(const struct shmkit_array *array) SHMKIT_NOEXCEPT;

/**
 * Acquires the array's lock, waiting for it at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
 * SHMKIT_FOREVER), and sets `*data` to the first element, to be edited in place. `data` may be NULL.
 *
 * SHMKIT_OWNER_DIED: the lock is held, and the elements are as its last holder left them when it died,
 * perhaps half written: repair them and call `shmkit_array_mark_consistent()`.
 *
 * Errors: as of `shmkit_lock_acquire()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_lock(struct shmkit_array *array,
                                     int64_t timeout_ns,
                                     void **data)
SHMKIT_NOEXCEPT;

/**
 * Gives the array's lock back. Only the thread that holds it may. Never blocks.
 *
 * Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_array_unlock(struct shmkit_array *array) SHMKIT_NOEXCEPT;

/**
 * Declares the elements good, after SHMKIT_OWNER_DIED. Only the holder of the array's lock may. Never
 * blocks.
 *
 * Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_mark_consistent(struct shmkit_array *array)
SHMKIT_NOEXCEPT;

/**
 * Copies `count` elements from the one at `index` on to `dst`: of one moment, under the array's lock,
 * which it waits for unless this thread holds it.
 *
 * SHMKIT_OWNER_DIED: they were copied, but a holder of the lock died and nobody has repaired what it
 * left.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also elements that are not there).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_read(struct shmkit_array *array,
                                     size_t index,
                                     size_t count,
                                     void *dst)
SHMKIT_NOEXCEPT;

/**
 * Copies `count` elements from `src` over those from `index` on, under the array's lock, which it waits
 * for unless this thread holds it.
 *
 * SHMKIT_OWNER_DIED: they were written, but a holder of the lock died and nobody has repaired what it
 * left elsewhere.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also elements that are not there).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_write(struct shmkit_array *array,
                                      size_t index,
                                      size_t count,
                                      const void *src)
SHMKIT_NOEXCEPT;

/**
 * Reads the element at `index`, of 8 bytes, in one piece and without the lock; whoever wrote it has done
 * before what it did before. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also elements of another size or alignment).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_load_i64(const struct shmkit_array *array,
                                         size_t index,
                                         int64_t *out)
SHMKIT_NOEXCEPT;

/**
 * Writes the element at `index`, of 8 bytes, in one piece and without the lock. Never blocks.
 *
 * Errors: as of `shmkit_array_load_i64()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_store_i64(struct shmkit_array *array,
                                          size_t index,
                                          int64_t value)
SHMKIT_NOEXCEPT;

/**
 * Adds to the element at `index`, of 8 bytes, without the lock, wrapping around; `*old` is what was
 * there before. `old` may be NULL. Never blocks.
 *
 * Errors: as of `shmkit_array_load_i64()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_add_i64(struct shmkit_array *array,
                                        size_t index,
                                        int64_t value,
                                        int64_t *old)
SHMKIT_NOEXCEPT;

/**
 * Replaces the element at `index`, of 8 bytes, by `value` if it is `*expected`, without the lock. Never
 * blocks.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK if it is something else, which `*expected` is then; and those of
 * `shmkit_array_load_i64()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_cas_i64(struct shmkit_array *array,
                                        size_t index,
                                        int64_t *expected,
                                        int64_t value)
SHMKIT_NOEXCEPT;

/**
 * Makes a barrier for `parties`, 1 to 65535. `region` and `name` as of `shmkit_lock_create()`.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_barrier_create(const struct shmkit_region *region,
                                         const char *name,
                                         uint32_t parties,
                                         struct shmkit_barrier **out)
SHMKIT_NOEXCEPT;

/**
 * Opens a barrier by its name; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_barrier_open(const struct shmkit_region *region,
                                       const char *name,
                                       struct shmkit_barrier **out)
SHMKIT_NOEXCEPT;

/**
 * Waits until as many have come as the barrier has parties, at most `timeout_ns` nanoseconds
 * (SHMKIT_NO_WAIT, SHMKIT_FOREVER), and sets `*index` to this one's number in the order of arrival,
 * from 0. `index` may be NULL.
 *
 * Who gives up after its time breaks the barrier for all, and is told SHMKIT_ERR_TIMED_OUT; the others
 * are told SHMKIT_ERR_BROKEN, as after an abort, and after the death of a process that has a handle.
 * A broken barrier stays so until `shmkit_barrier_reset()`.
 *
 * Errors: SHMKIT_ERR_BROKEN, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_PEER_DIED (a party has died),
 * SHMKIT_ERR_INVALID_ARGUMENT; only in a forked child SHMKIT_ERR_NO_SPACE and SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_barrier_wait(struct shmkit_barrier *barrier,
                                       int64_t timeout_ns,
                                       uint32_t *index)
SHMKIT_NOEXCEPT;

/**
 * Makes a broken barrier whole again; those who wait are told SHMKIT_ERR_BROKEN. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_barrier_reset(struct shmkit_barrier *barrier)
SHMKIT_NOEXCEPT;

/**
 * Breaks the barrier: those who wait and those who come are told SHMKIT_ERR_BROKEN. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_barrier_abort(struct shmkit_barrier *barrier)
SHMKIT_NOEXCEPT;

/**
 * How many have to come; 0 for NULL. Never blocks.
 */
uint32_t shmkit_barrier_parties(const struct shmkit_barrier *barrier) SHMKIT_NOEXCEPT;

/**
 * How many wait now; 0 if the barrier is broken, or for NULL. Stale at once. Never blocks.
 */
uint32_t shmkit_barrier_waiting(const struct shmkit_barrier *barrier) SHMKIT_NOEXCEPT;

/**
 * Whether the barrier is broken; false for NULL. Stale at once. Never blocks.
 */
bool shmkit_barrier_is_broken(const struct shmkit_barrier *barrier) SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Never blocks.
 */
void shmkit_barrier_free(struct shmkit_barrier *barrier) SHMKIT_NOEXCEPT;

/**
 * Makes a condition. `region` and `name` as of `shmkit_lock_create()`.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_condition_create(const struct shmkit_region *region,
                                           const char *name,
                                           struct shmkit_condition **out)
SHMKIT_NOEXCEPT;

/**
 * Opens a condition by its name; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_condition_open(const struct shmkit_region *region,
                                         const char *name,
                                         struct shmkit_condition **out)
SHMKIT_NOEXCEPT;

/**
 * Gives the lock back, waits until notified, at most `timeout_ns` nanoseconds, and acquires the lock
 * again, however long that takes. The caller holds the lock, which is not recursive.
 *
 * The lock is held after SHMKIT_OK, SHMKIT_OWNER_DIED (another holder died meanwhile; notified or not),
 * SHMKIT_ERR_TIMED_OUT and SHMKIT_ERR_WOULD_BLOCK (SHMKIT_NO_WAIT). Look at the state again in any
 * case.
 *
 * Errors: SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_UNSUPPORTED (a
 * recursive lock), SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_condition_wait(struct shmkit_condition *condition,
                                         struct shmkit_lock *lock,
                                         int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Wakes up to `n` of those who wait now, those who came first. Need not hold the lock. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_condition_notify(struct shmkit_condition *condition,
                                           uint32_t n)
SHMKIT_NOEXCEPT;

/**
 * Wakes all who wait now. Need not hold the lock. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_condition_notify_all(struct shmkit_condition *condition)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Never blocks.
 */
void shmkit_condition_free(struct shmkit_condition *condition) SHMKIT_NOEXCEPT;

/**
 * The list under `key`, which is made if there is none.
 *
 * Errors: SHMKIT_ERR_TYPE_MISMATCH (something else is there), SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY,
 * SHMKIT_ERR_INVALID_ARGUMENT (a key has 1 to 1024 bytes), SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_manager_list(struct shmkit_manager *manager,
                                       const char *key,
                                       struct shmkit_list **out)
SHMKIT_NOEXCEPT;

/**
 * How many entries there are; 0 for NULL. Stale at once. Never blocks.
 */
size_t shmkit_list_len(const struct shmkit_list *list) SHMKIT_NOEXCEPT;

/**
 * Removes all entries.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_list_clear(struct shmkit_list *list) SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Never blocks.
 */
void shmkit_list_free(struct shmkit_list *list) SHMKIT_NOEXCEPT;

/**
 * Appends an element.
 *
 * Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_list_push(struct shmkit_list *list,
                                    const void *data,
                                    size_t len)
SHMKIT_NOEXCEPT;

/**
 * Copies the last element to `buf` of `cap` bytes, sets `*len` to its length, and removes it.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND (the list is empty), SHMKIT_ERR_BUFFER_TOO_SMALL (`*len` is what it needs; it is
 * put back to the end), SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_list_pop(struct shmkit_list *list,
                                   void *buf,
                                   size_t cap,
                                   size_t *len)
SHMKIT_NOEXCEPT;

/**
 * Copies the element at `index` to `buf` of `cap` bytes, and sets `*len` to its length.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND (no such index), SHMKIT_ERR_BUFFER_TOO_SMALL (`*len` is what it needs),
 * SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_list_get(struct shmkit_list *list,
                                   size_t index,
                                   void *buf,
                                   size_t cap,
                                   size_t *len)
SHMKIT_NOEXCEPT;

/**
 * Replaces the element at `index`.
 *
 * Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM(also no such index).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_list_set(struct shmkit_list *list,
                                   size_t index,
                                   const void *data,
                                   size_t len)
SHMKIT_NOEXCEPT;

/**
 * Inserts an element before the one at `index`, or at the end.
 *
 * Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_list_insert(struct shmkit_list *list,
                                      size_t index,
                                      const void *data,
                                      size_t len)
SHMKIT_NOEXCEPT;

/**
 * Removes the element at `index`.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_list_remove(struct shmkit_list *list,
                                      size_t index)
SHMKIT_NOEXCEPT;

/**
 * Shows all elements, as they are at one moment, to `fn`, in order.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_list_each(struct shmkit_list *list,
                                    shmkit_visit_fn fn,
                                    void *ctx)
SHMKIT_NOEXCEPT;

/**
 * The namespace under `key`, which is made if there is none.
 *
 * Errors: SHMKIT_ERR_TYPE_MISMATCH (something else is there), SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY,
 * SHMKIT_ERR_INVALID_ARGUMENT (a key has 1 to 1024 bytes), SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_manager_namespace(struct shmkit_manager *manager,
                                            const char *key,
                                            struct shmkit_namespace **out)
SHMKIT_NOEXCEPT;

/**
 * How many entries there are; 0 for NULL. Stale at once. Never blocks.
 */
size_t shmkit_namespace_len(const struct shmkit_namespace *namespace_) SHMKIT_NOEXCEPT;

/**
 * Removes all entries.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_namespace_clear(struct shmkit_namespace *namespace_)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Never blocks.
 */
void shmkit_namespace_free(struct shmkit_namespace *namespace_) SHMKIT_NOEXCEPT;

/**
 * Sets the value of a name.
 *
 * Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_namespace_set(struct shmkit_namespace *namespace_,
                                        const char *name,
                                        const void *data,
                                        size_t len)
SHMKIT_NOEXCEPT;

/**
 * Copies the value of a name to `buf` of `cap` bytes, and sets `*len` to its length.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_BUFFER_TOO_SMALL (`*len` is what it needs),
 * SHMKIT_ERR_TYPE_MISMATCH (Rust has set it as another type), SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_namespace_get(struct shmkit_namespace *namespace_,
                                        const char *name,
                                        void *buf,
                                        size_t cap,
                                        size_t *len)
SHMKIT_NOEXCEPT;

/**
 * Removes a name and its value.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_namespace_remove(struct shmkit_namespace *namespace_,
                                           const char *name)
SHMKIT_NOEXCEPT;

/**
 * Whether there is a value of this name: SHMKIT_OK or SHMKIT_ERR_NOT_FOUND. Stale at once.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_namespace_contains(struct shmkit_namespace *namespace_,
                                             const char *name)
SHMKIT_NOEXCEPT;

/**
 * Shows all names, which end with a NUL that `key_len` does not count, to `fn`, without their values.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_namespace_each(struct shmkit_namespace *namespace_,
                                         shmkit_visit_fn fn,
                                         void *ctx)
SHMKIT_NOEXCEPT;

/**
 * Makes an event, clear. `region`, `name` and `flags` as of `shmkit_lock_create()`.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_event_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_event_create(const struct shmkit_region *region,
                                       const char *name,
                                       uint32_t flags,
                                       struct shmkit_event **out)
SHMKIT_NOEXCEPT;

/**
 * Opens an event by its name; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_event_open(const struct shmkit_region *region,
                                     const char *name,
                                     struct shmkit_event **out)
SHMKIT_NOEXCEPT;

/**
 * Sets the flag and lets all go on who wait. Never blocks; a signal handler may call it.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_event_set(struct shmkit_event *event) SHMKIT_NOEXCEPT;

/**
 * Clears the flag: who comes from now on waits. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_event_clear(struct shmkit_event *event) SHMKIT_NOEXCEPT;

/**
 * Whether the flag is set; false for NULL. Stale at once. Never blocks.
 */
bool shmkit_event_is_set(const struct shmkit_event *event) SHMKIT_NOEXCEPT;

/**
 * Waits until the flag is set, or has been since the call, at most `timeout_ns` nanoseconds
 * (SHMKIT_NO_WAIT, SHMKIT_FOREVER).
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_event_wait(struct shmkit_event *event,
                                     int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Never blocks.
 */
void shmkit_event_free(struct shmkit_event *event) SHMKIT_NOEXCEPT;

/**
 * What the last call of this thread that failed had to say: one line, never NULL, "" if none has.
 *
 * Only failures that a status does not explain leave a text: after SHMKIT_ERR_WOULD_BLOCK,
 * _TIMED_OUT, _CLOSED, _PEER_DIED and _BUFFER_TOO_SMALL it is that of an earlier call. Valid
 * until the next call of this library by this thread. Never blocks.
 */
const char *shmkit_last_error(void) SHMKIT_NOEXCEPT;

/**
 * The `errno` value that goes with `shmkit_last_error()`: the system's if it refused something, or
 * else the one that comes nearest to the status; 0 if no call of this thread has failed. Never blocks.
 */
int shmkit_last_errno(void)
SHMKIT_NOEXCEPT;

/**
 * Listens at `path`, where no file is, or that of a listener which is dead.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_PERMISSION, SHMKIT_ERR_NOT_FOUND (no
 * such folder), SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_listener_bind(const char *path,
                                        struct shmkit_listener **out)
SHMKIT_NOEXCEPT;

/**
 * Gives the next client its pipe, and takes the other end, waiting for one at most `timeout_ns` nanoseconds
 * (SHMKIT_NO_WAIT, SHMKIT_FOREVER).
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; of one client only, so that others may come next:
 * SHMKIT_ERR_TYPE_MISMATCH, SHMKIT_ERR_PERMISSION; SHMKIT_ERR_WRONG_PROCESS, SHMKIT_ERR_INVALID_ARGUMENT,
 * SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_listener_accept(struct shmkit_listener *listener,
                                          int64_t timeout_ns,
                                          struct shmkit_pipe **out)
SHMKIT_NOEXCEPT;

/**
 * Stops listening, and removes the file; NULL is fine. Pipes stay. Never blocks.
 */
void shmkit_listener_free(struct shmkit_listener *listener) SHMKIT_NOEXCEPT;

/**
 * Connects to the listener at `path`, in C or Rust, waiting at most `timeout_ns` nanoseconds for it to accept.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND (nobody listens), SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_CLOSED (it went away),
 * SHMKIT_ERR_TYPE_MISMATCH, SHMKIT_ERR_PERMISSION, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_INVALID_ARGUMENT,
 * SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_connect(const char *path,
                                       int64_t timeout_ns,
                                       struct shmkit_pipe **out)
SHMKIT_NOEXCEPT;

/**
 * Makes a lock, free.
 *
 * `region` NULL: the lock gets a region of its own. `name` NULL: nobody finds it, it goes to others by
 * fork; otherwise others find it by `region` and `name`. `flags`: SHMKIT_CREATE_EXCLUSIVE or
 * SHMKIT_CREATE_OR_OPEN; SHMKIT_LOCK_RECURSIVE for one that its holder may take again. Rust opens it
 * as `Lock<()>` or `RLock<()>`.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_lock_create(const struct shmkit_region *region,
                                      const char *name,
                                      uint32_t flags,
                                      struct shmkit_lock **out)
SHMKIT_NOEXCEPT;

/**
 * Opens a lock, plain or recursive, by its name; in `region` if that is not NULL.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_TYPE_MISMATCH (another kind of object, or a Rust lock with
 * data in it), SHMKIT_ERR_LAYOUT_VERSION, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_PERMISSION, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_lock_open(const struct shmkit_region *region,
                                    const char *name,
                                    struct shmkit_lock **out)
SHMKIT_NOEXCEPT;

/**
 * Acquires the lock, waiting for it at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT, SHMKIT_FOREVER).
 *
 * SHMKIT_OWNER_DIED: the lock is held, and its last holder died, or went on without repairing: see
 * `shmkit_lock_mark_consistent()`. Nobody who waits starves.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_DEADLOCK (this thread holds it, and
 * it is not recursive), SHMKIT_ERR_INVALID_ARGUMENT; only in a forked child SHMKIT_ERR_NO_SPACE and
 * SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_lock_acquire(struct shmkit_lock *lock,
                                       int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Gives the lock back; a recursive one once. Only the thread that holds it may. Never blocks.
 *
 * A lock that was acquired with SHMKIT_OWNER_DIED and not marked consistent since tells its next
 * holder the same.
 *
 * Errors: SHMKIT_ERR_NOT_OWNER (also in a forked child of the holder), SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_lock_release(struct shmkit_lock *lock) SHMKIT_NOEXCEPT;

/**
 * Declares what the lock protects good, after SHMKIT_OWNER_DIED. Only its holder may. Never blocks.
 *
 * Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_lock_mark_consistent(struct shmkit_lock *lock)
SHMKIT_NOEXCEPT;

/**
 * The pid of the process that holds the lock, which may be dead; 0 if nobody does, or for NULL. Stale
 * at once. Never blocks.
 */
int32_t shmkit_lock_owner(const struct shmkit_lock *lock)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. If this process holds the lock, it keeps it until its last handle
 * to the region is gone; then the next holder is told SHMKIT_OWNER_DIED. Never blocks.
 */
void shmkit_lock_free(struct shmkit_lock *lock)
SHMKIT_NOEXCEPT;

/**
 * Makes a manager with room for `capacity` bytes in containers, and as many in other objects (0: 1 GiB), which
 * is address space; others find it by `name`, or if that is NULL it goes to them by fork or as a handle.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_manager_create(const char *name,
                                         size_t capacity,
                                         struct shmkit_manager **out)
SHMKIT_NOEXCEPT;

/**
 * Opens the live manager of this name.
 *
 * Errors: as of `shmkit_region_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_manager_open(const char *name,
                                       struct shmkit_manager **out)
SHMKIT_NOEXCEPT;

/**
 * A handle to the manager's region, in which other objects lie under their keys: with SHMKIT_CREATE_OR_OPEN,
 * `shmkit_queue_create(region, "jobs", ..)` is what `manager.queue("jobs", ..)` is in Rust.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_manager_region(const struct shmkit_manager *manager,
                                         struct shmkit_region **out)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. What was opened of it stays usable. Never blocks.
 */
void shmkit_manager_free(struct shmkit_manager *manager) SHMKIT_NOEXCEPT;

/**
 * The dict under `key`, which is made if there is none.
 *
 * Errors: SHMKIT_ERR_TYPE_MISMATCH (something else is there), SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY,
 * SHMKIT_ERR_INVALID_ARGUMENT (a key has 1 to 1024 bytes), SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_manager_dict(struct shmkit_manager *manager,
                                       const char *key,
                                       struct shmkit_dict **out)
SHMKIT_NOEXCEPT;

/**
 * How many entries there are; 0 for NULL. Stale at once. Never blocks.
 */
size_t shmkit_dict_len(const struct shmkit_dict *dict) SHMKIT_NOEXCEPT;

/**
 * Removes all entries.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_dict_clear(struct shmkit_dict *dict) SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Never blocks.
 */
void shmkit_dict_free(struct shmkit_dict *dict) SHMKIT_NOEXCEPT;

/**
 * Sets the value of a key, and replaces the one that is there. All or nothing, also if this process dies.
 *
 * Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_dict_set(struct shmkit_dict *dict,
                                   const void *key,
                                   size_t key_len,
                                   const void *data,
                                   size_t len)
SHMKIT_NOEXCEPT;

/**
 * Copies the value of a key to `buf` of `cap` bytes, and sets `*len` to its length.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_BUFFER_TOO_SMALL (`*len` is what it needs), SHMKIT_ERR_INVALID_ARGUMENT,
 * SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_dict_get(struct shmkit_dict *dict,
                                   const void *key,
                                   size_t key_len,
                                   void *buf,
                                   size_t cap,
                                   size_t *len)
SHMKIT_NOEXCEPT;

/**
 * Removes a key and its value.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_dict_remove(struct shmkit_dict *dict,
                                      const void *key,
                                      size_t key_len)
SHMKIT_NOEXCEPT;

/**
 * Whether there is a value of this key: SHMKIT_OK or SHMKIT_ERR_NOT_FOUND. Stale at once.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_dict_contains(struct shmkit_dict *dict,
                                        const void *key,
                                        size_t key_len)
SHMKIT_NOEXCEPT;

/**
 * Lets `fn` edit the value of a key, which may be none, under the lock of the dict: nobody else changes it
 * meanwhile. `cap` is the room for a new value. `fn` must not use the dict. Without effect if `fn` does not
 * return 0.
 *
 * Errors: SHMKIT_ERR_BROKEN (`fn` did not return 0), SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY,
 * SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_dict_update(struct shmkit_dict *dict,
                                      const void *key,
                                      size_t key_len,
                                      size_t cap,
                                      shmkit_edit_fn fn,
                                      void *ctx)
SHMKIT_NOEXCEPT;

/**
 * Shows all entries, as they are at one moment, to `fn`, in no particular order.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_dict_each(struct shmkit_dict *dict,
                                    shmkit_visit_fn fn,
                                    void *ctx)
SHMKIT_NOEXCEPT;

/**
 * Takes the region that this process was started with as handle number `index`, once.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND (there is none, or it was taken), SHMKIT_ERR_TYPE_MISMATCH,
 * SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_passed(size_t index,
                                        struct shmkit_region **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the lock that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_lock_passed(size_t index,
                                      struct shmkit_lock **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the semaphore that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_semaphore_passed(size_t index,
                                           struct shmkit_semaphore **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the condition that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_condition_passed(size_t index,
                                           struct shmkit_condition **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the event that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_event_passed(size_t index,
                                       struct shmkit_event **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the barrier that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_barrier_passed(size_t index,
                                         struct shmkit_barrier **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the array that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_array_passed(size_t index,
                                       struct shmkit_array **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the queue that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_passed(size_t index,
                                       struct shmkit_queue **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the end of a pipe that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_passed(size_t index,
                                      struct shmkit_pipe **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the ring that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_ring_passed(size_t index,
                                      struct shmkit_ring **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the pushing end that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_tx_passed(size_t index,
                                    struct shmkit_tx **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the popping end that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rx_passed(size_t index,
                                    struct shmkit_rx **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the manager that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_manager_passed(size_t index,
                                         struct shmkit_manager **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the dict that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_dict_passed(size_t index,
                                      struct shmkit_dict **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the list that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_list_passed(size_t index,
                                      struct shmkit_list **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the namespace that this process was started with as handle number `index`, once.
 *
 * Errors: as of `shmkit_region_passed()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_namespace_passed(size_t index,
                                           struct shmkit_namespace **out)
SHMKIT_NOEXCEPT;

/**
 * Makes a pipe, and its two ends `*a` and `*b`.
 *
 * `name` NULL: both ends are this process's, to be passed on. With a name `b` may be NULL: another
 * process takes that end by `shmkit_pipe_open()`. Ends of a pipe with a name have no descriptor and
 * carry none. `region` as of `shmkit_lock_create()`; `config` may be NULL.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_create(const struct shmkit_region *region,
                                      const char *name,
                                      const struct shmkit_channel_config *config,
                                      struct shmkit_pipe **a,
                                      struct shmkit_pipe **b)
SHMKIT_NOEXCEPT;

/**
 * Takes the second end of the pipe with this name; in `region` if that is not NULL. An end whose owner
 * is dead can be taken again, and goes on where that one stopped.
 *
 * Errors: as of `shmkit_lock_open()`; SHMKIT_ERR_WRONG_PROCESS when both ends have live owners or were
 * closed.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_open(const struct shmkit_region *region,
                                    const char *name,
                                    struct shmkit_pipe **out)
SHMKIT_NOEXCEPT;

/**
 * Sends a message of `len` bytes, waiting for room at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
 * SHMKIT_FOREVER). A message longer than half of the capacity goes in pieces: unless SHMKIT_NO_WAIT, it
 * may be as long as it likes.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_CLOSED, SHMKIT_ERR_PEER_DIED,
 * SHMKIT_ERR_TOO_LARGE, SHMKIT_ERR_BUSY (a slot of this end is reserved), SHMKIT_ERR_WRONG_PROCESS,
 * SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_send(struct shmkit_pipe *pipe,
                                    const void *data,
                                    size_t len,
                                    int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Receives the next message into `buf` of `cap` bytes, waiting for it at most `timeout_ns` nanoseconds
 * (SHMKIT_NO_WAIT, SHMKIT_FOREVER), and sets `*len` to its length.
 *
 * Errors: SHMKIT_ERR_BUFFER_TOO_SMALL: `*len` is what it needs, and the message stays;
 * SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; SHMKIT_ERR_CLOSED and SHMKIT_ERR_PEER_DIED after the last
 * message; SHMKIT_ERR_BUSY (a slot of this end is acquired), SHMKIT_ERR_WRONG_PROCESS,
 * SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_recv(struct shmkit_pipe *pipe,
                                    void *buf,
                                    size_t cap,
                                    size_t *len,
                                    int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Sends `n` messages, those of `bufs` in order, waiting for room for all at most `timeout_ns`
 * nanoseconds; `*done`, which is also set on failure, is how many were sent.
 *
 * Errors: as of `shmkit_pipe_send()`, of the message after those that were sent.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_send_n(struct shmkit_pipe *pipe,
                                      const struct shmkit_buf *bufs,
                                      size_t n,
                                      int64_t timeout_ns,
                                      size_t *done)
SHMKIT_NOEXCEPT;

/**
 * Receives up to `n` messages into `bufs`, waiting at most `timeout_ns` nanoseconds for the first;
 * `*done`, which is also set on failure, is how many came, and the `len` of each of their buffers the
 * length of its message.
 *
 * Errors: as of `shmkit_pipe_recv()`, of the first message; SHMKIT_ERR_BUFFER_TOO_SMALL also of a later
 * one, whose buffer's `len` says then what it needs: `*done` counts those before it.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_recv_n(struct shmkit_pipe *pipe,
                                      struct shmkit_buf *bufs,
                                      size_t n,
                                      int64_t timeout_ns,
                                      size_t *done)
SHMKIT_NOEXCEPT;

/**
 * Room for a message of `len` bytes, to be filled in place, waiting for it at most `timeout_ns`
 * nanoseconds. One at a time; `len` is at most about half of the capacity.
 *
 * Errors: as of `shmkit_pipe_send()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_reserve(struct shmkit_pipe *pipe,
                                       size_t len,
                                       int64_t timeout_ns,
                                       struct shmkit_slot *slot)
SHMKIT_NOEXCEPT;

/**
 * Sends the first `len` bytes of what was reserved, at most all. The slot is used up. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also a slot that is not reserved, or `len` beyond it: it stays),
 * SHMKIT_ERR_WRONG_PROCESS (in a forked child).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_commit(struct shmkit_pipe *pipe,
                                      struct shmkit_slot *slot,
                                      size_t len)
SHMKIT_NOEXCEPT;

/**
 * Gives a slot back as if it had never been reserved or acquired. The slot is used up. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_abort(struct shmkit_pipe *pipe,
                                     struct shmkit_slot *slot)
SHMKIT_NOEXCEPT;

/**
 * The next message, to be read in place, waiting for it at most `timeout_ns` nanoseconds. One at a time.
 *
 * Errors: as of `shmkit_pipe_recv()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_acquire(struct shmkit_pipe *pipe,
                                       int64_t timeout_ns,
                                       struct shmkit_slot *slot)
SHMKIT_NOEXCEPT;

/**
 * Done with an acquired message: it is received for good, and its place is free. The slot is used up.
 * Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_release(struct shmkit_pipe *pipe,
                                       struct shmkit_slot *slot)
SHMKIT_NOEXCEPT;

/**
 * Sends a descriptor, which stays open here, as a message of its own, waiting for room at most
 * `timeout_ns` nanoseconds. `shmkit_pipe_recv()` finds an empty message in its place.
 *
 * Errors: as of `shmkit_pipe_send()`; SHMKIT_ERR_UNSUPPORTED for a pipe with a name.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_send_fd(struct shmkit_pipe *pipe,
                                       int fd,
                                       int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Receives a descriptor, which is the caller's to close, waiting for it at most `timeout_ns`
 * nanoseconds.
 *
 * Errors: as of `shmkit_pipe_recv()`; SHMKIT_ERR_CORRUPT if the message was no descriptor, and it is
 * gone; SHMKIT_ERR_UNSUPPORTED for a pipe with a name.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_recv_fd(struct shmkit_pipe *pipe,
                                       int *fd,
                                       int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * 1 if there is something to receive, or the end of the stream; or else 0, also for NULL. Never blocks.
 */
size_t shmkit_pipe_len(struct shmkit_pipe *pipe)
SHMKIT_NOEXCEPT;

/**
 * Sets `*fd` to a descriptor that is readable, for `poll` and `epoll`, when there is something to receive
 * or the stream is at its end. It stays the pipe's: do not read or close it. When a call finds nothing
 * the descriptor is silent again: receive until SHMKIT_ERR_WOULD_BLOCK before you sleep.
 *
 * Errors: SHMKIT_ERR_UNSUPPORTED for a pipe with a name, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_fd(struct shmkit_pipe *pipe,
                                  int *fd)
SHMKIT_NOEXCEPT;

/**
 * What this end is doing. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_stats(struct shmkit_pipe *pipe,
                                     struct shmkit_stats *stats)
SHMKIT_NOEXCEPT;

/**
 * Closes this end, both directions: the other end gets what was sent, and then SHMKIT_ERR_CLOSED. Never
 * blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pipe_close(struct shmkit_pipe *pipe)
SHMKIT_NOEXCEPT;

/**
 * Gives the end up and closes it, unless this is a forked copy; NULL is fine. A slot that is out is given
 * back: do not use it any more. Never blocks.
 */
void shmkit_pipe_free(struct shmkit_pipe *pipe)
SHMKIT_NOEXCEPT;

/**
 * Makes a pool of `workers` processes; 0: one for each processor. Each runs `init`, which may be NULL, with a
 * copy of the `init_len` bytes at `init_arg` before its first task; what is not 0 ends the worker, and if
 * that happens here, the call fails. `config` may be NULL.
 *
 * Errors: SHMKIT_ERR_UNSUPPORTED if neither `shmkit_init()` nor SHMKIT_AUTO_INIT was run in this process;
 * SHMKIT_ERR_BROKEN (the workers could not begin), SHMKIT_ERR_INVALID_ARGUMENT (also a function that no
 * loaded file has), SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pool_create(uint32_t workers,
                                      const struct shmkit_pool_config *config,
                                      shmkit_main_fn init,
                                      const void *init_arg,
                                      size_t init_len,
                                      struct shmkit_pool **out)
SHMKIT_NOEXCEPT;

/**
 * Gives the pool a task: `fn` with a copy of the `in_len` bytes at `in`, and room for `out_cap` bytes of
 * output. Waits while too many are under way.
 *
 * Errors: SHMKIT_ERR_CLOSED, SHMKIT_ERR_BROKEN, SHMKIT_ERR_TOO_LARGE, SHMKIT_ERR_WRONG_PROCESS,
 * SHMKIT_ERR_INVALID_ARGUMENT (also a function that no loaded file has), SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pool_submit(struct shmkit_pool *pool,
                                      shmkit_task_fn fn,
                                      const void *in,
                                      size_t in_len,
                                      size_t out_cap,
                                      struct shmkit_task **out)
SHMKIT_NOEXCEPT;

/**
 * Waits until the task is done, at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT, SHMKIT_FOREVER); then
 * `*out` and `*len` are what it wrote, valid until the task is freed, and `*result` is what it returned.
 * Each of the three may be NULL. May be called again.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; SHMKIT_ERR_PEER_DIED: the worker died in it, and it
 * may have had effects; SHMKIT_ERR_CLOSED (the pool was terminated), SHMKIT_ERR_BROKEN,
 * SHMKIT_ERR_TOO_LARGE, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_task_wait(struct shmkit_task *task,
                                    int64_t timeout_ns,
                                    const void **out,
                                    size_t *len,
                                    int *result)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle of a task, and its output, up; NULL is fine. The task goes on. Never blocks.
 */
void shmkit_task_free(struct shmkit_task *task) SHMKIT_NOEXCEPT;

/**
 * Runs `fn` with each of `n` inputs of `in_size` bytes at `in`, and writes the outputs, of `out_size` bytes
 * each, to `out`, in the order of the inputs, waiting at most `timeout_ns` nanoseconds for all. Each task of
 * the pool takes `chunk` of them; 0: chosen by `n`. Outputs that are shorter are filled with zeros.
 *
 * Errors: SHMKIT_ERR_BROKEN if `fn` did not return 0 for one of them, or the pool is broken;
 * SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_PEER_DIED (a worker died), SHMKIT_ERR_CLOSED, SHMKIT_ERR_TOO_LARGE,
 * SHMKIT_ERR_WRONG_PROCESS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pool_map(struct shmkit_pool *pool,
                                   shmkit_task_fn fn,
                                   const void *in,
                                   size_t in_size,
                                   size_t n,
                                   void *out,
                                   size_t out_size,
                                   size_t chunk,
                                   int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * How many workers there are to be; 0 for NULL. Never blocks.
 */
uint32_t shmkit_pool_workers(const struct shmkit_pool *pool) SHMKIT_NOEXCEPT;

/**
 * Lets the pool take no more tasks; those that it has are done. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_pool_close(struct shmkit_pool *pool) SHMKIT_NOEXCEPT;

/**
 * Ends the workers; tasks that are not done end with SHMKIT_ERR_CLOSED. Does not wait for the workers.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pool_terminate(struct shmkit_pool *pool)
SHMKIT_NOEXCEPT;

/**
 * Waits until all tasks are done and all workers have ended, at most `timeout_ns` nanoseconds
 * (SHMKIT_NO_WAIT, SHMKIT_FOREVER). May be called again.
 *
 * Errors: SHMKIT_ERR_BUSY if the pool was neither closed nor terminated; SHMKIT_ERR_WOULD_BLOCK,
 * SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_BROKEN, SHMKIT_ERR_WRONG_PROCESS, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_pool_join(struct shmkit_pool *pool,
                                    int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Gives the pool up; NULL is fine. Unlike other handles, the last one of a pool terminates it, and waits for
 * its workers, about a second at most.
 */
void shmkit_pool_free(struct shmkit_pool *pool)
SHMKIT_NOEXCEPT;

/**
 * Takes this process over if it is a child of `shmkit_process_spawn()` or a worker of a pool, and does not
 * return then; otherwise lets this process start such. Call it first in `main`, or write SHMKIT_AUTO_INIT
 * once in the executable.
 */
void shmkit_init(void)
SHMKIT_NOEXCEPT;

/**
 * What SHMKIT_AUTO_INIT calls.
 */
void shmkit_auto_init(const shmkit_hook_fn *entry,
                      int argc,
                      char **argv,
                      char **envp)
SHMKIT_NOEXCEPT;

/**
 * Starts a process that runs `fn` of this program with a copy of the `len` bytes at `arg`, and exits with
 * what that returns.
 *
 * The child is this executable, started afresh: `main` is not reached, globals are as at the start, and
 * nothing of this process's memory is there, so that pointers in `arg` mean nothing. `fn` may be in the
 * executable or in any library. Handles go by `config`, which may be NULL.
 *
 * Errors: SHMKIT_ERR_UNSUPPORTED if neither `shmkit_init()` nor SHMKIT_AUTO_INIT was run in this process,
 * and for programs started through their loader; SHMKIT_ERR_INVALID_ARGUMENT (also a function that no
 * loaded file has), SHMKIT_ERR_WRONG_PROCESS and SHMKIT_ERR_BUSY for an end that cannot move,
 * SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_process_spawn(shmkit_main_fn fn,
                                        const void *arg,
                                        size_t len,
                                        const struct shmkit_process_config *config,
                                        struct shmkit_process **out)
SHMKIT_NOEXCEPT;

/**
 * Starts a process by `fork`: it runs `fn` with `arg` as it is, on a copy of this process's memory, and
 * exits with what that returns. Works without `shmkit_init()`, and for functions that no file has.
 *
 * The rules for fork are at the top of this header. Refused while this process has other threads, unless
 * SHMKIT_PROCESS_ALLOW_THREADS.
 *
 * Errors: SHMKIT_ERR_UNSUPPORTED (other threads), SHMKIT_ERR_INVALID_ARGUMENT (also handles in `config`),
 * SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_process_fork(shmkit_main_fn fn,
                                       void *arg,
                                       const struct shmkit_process_config *config,
                                       struct shmkit_process **out)
SHMKIT_NOEXCEPT;

/**
 * Starts another program: `path`, which is searched for in PATH if it has no '/', with the arguments
 * `argv`, the first of which is its name, up to a NULL. It inherits what is not closed on exec.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_PERMISSION, SHMKIT_ERR_INVALID_ARGUMENT (also flags and
 * handles in `config`), SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_process_exec(const char *path,
                                       const char *const *argv,
                                       const struct shmkit_process_config *config,
                                       struct shmkit_process **out)
SHMKIT_NOEXCEPT;

/**
 * The pid; 0 for NULL. Never blocks.
 */
int32_t shmkit_process_pid(const struct shmkit_process *process) SHMKIT_NOEXCEPT;

/**
 * Sets `*fd` to a descriptor that is readable, for `poll` and `epoll`, once the process has ended: a pidfd.
 * It stays the handle's. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_process_fd(const struct shmkit_process *process,
                                     int *fd)
SHMKIT_NOEXCEPT;

/**
 * Waits until the process has ended, at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT, SHMKIT_FOREVER), and
 * sets `*exit`, which may be NULL, to how. May be called again.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_INVALID_ARGUMENT; SHMKIT_ERR_SYSTEM if
 * it has ended, but somebody else was told how (SIGCHLD is ignored, or another `wait` has taken it).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_process_wait(struct shmkit_process *process,
                                       int64_t timeout_ns,
                                       struct shmkit_exit *exit)
SHMKIT_NOEXCEPT;

/**
 * Whether the process has not ended yet; false for NULL. Never blocks.
 */
bool shmkit_process_is_alive(const struct shmkit_process *process) SHMKIT_NOEXCEPT;

/**
 * Sends a signal; nothing if the process has ended. Never hits another process. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also a signal that is none), SHMKIT_ERR_PERMISSION.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_process_kill(struct shmkit_process *process,
                                       int signal)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. The process goes on. Never blocks.
 */
void shmkit_process_free(struct shmkit_process *process) SHMKIT_NOEXCEPT;

/**
 * The name of this process: what its `config` said, or "MainProcess". Valid until the process ends.
 */
const char *shmkit_process_name(void) SHMKIT_NOEXCEPT;

/**
 * Makes a queue. `region` and `name` as of `shmkit_lock_create()`, the rest by `config`, which may be
 * NULL.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_queue_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_create(const struct shmkit_region *region,
                                       const char *name,
                                       const struct shmkit_channel_config *config,
                                       struct shmkit_queue **out)
SHMKIT_NOEXCEPT;

/**
 * Opens a queue by its name, of whatever messages; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_open(const struct shmkit_region *region,
                                     const char *name,
                                     struct shmkit_queue **out)
SHMKIT_NOEXCEPT;

/**
 * Puts a message of `len` bytes, waiting for room at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
 * SHMKIT_FOREVER). After SHMKIT_OK it is in the queue, also if this process dies next.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_CLOSED, SHMKIT_ERR_PEER_DIED (the
 * queue is full, and no other handle is left), SHMKIT_ERR_TOO_LARGE, SHMKIT_ERR_NO_MEMORY,
 * SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_put(struct shmkit_queue *queue,
                                    const void *data,
                                    size_t len,
                                    int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Gets the next message into `buf` of `cap` bytes, waiting for it at most `timeout_ns` nanoseconds
 * (SHMKIT_NO_WAIT, SHMKIT_FOREVER), and sets `*len` to its length.
 *
 * Errors: SHMKIT_ERR_BUFFER_TOO_SMALL: `*len` is what it needs, and the message stays;
 * SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_CLOSED (and nothing is left),
 * SHMKIT_ERR_PEER_DIED (nothing is left, and no other handle), SHMKIT_ERR_INVALID_ARGUMENT,
 * SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_get(struct shmkit_queue *queue,
                                    void *buf,
                                    size_t cap,
                                    size_t *len,
                                    int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Puts `n` messages, those of `bufs` in order, waiting for room for all at most `timeout_ns` nanoseconds;
 * `*done`, which is also set on failure, is how many were put. Several times faster than one by one.
 *
 * Errors: as of `shmkit_queue_put()`, of the message after those that were put.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_put_n(struct shmkit_queue *queue,
                                      const struct shmkit_buf *bufs,
                                      size_t n,
                                      int64_t timeout_ns,
                                      size_t *done)
SHMKIT_NOEXCEPT;

/**
 * Gets up to `n` messages into `bufs`, waiting at most `timeout_ns` nanoseconds for the first; `*done`,
 * which is also set on failure, is how many were got, and the `len` of each of their buffers the length
 * of its message. Several times faster than one by one.
 *
 * Errors: as of `shmkit_queue_get()`, of the first message; SHMKIT_ERR_BUFFER_TOO_SMALL also of a later
 * one, whose buffer's `len` says then what it needs: `*done` counts those before it.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_get_n(struct shmkit_queue *queue,
                                      struct shmkit_buf *bufs,
                                      size_t n,
                                      int64_t timeout_ns,
                                      size_t *done)
SHMKIT_NOEXCEPT;

/**
 * Room for a message of `len` bytes, to be filled in place, waiting for it at most `timeout_ns`
 * nanoseconds. Several may be out at once. What others put after it waits until it is committed or
 * aborted: fill it and commit. If this process dies, nobody sees it.
 *
 * Errors: as of `shmkit_queue_put()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_reserve(struct shmkit_queue *queue,
                                        size_t len,
                                        int64_t timeout_ns,
                                        struct shmkit_slot *slot)
SHMKIT_NOEXCEPT;

/**
 * Puts the first `len` bytes of what was reserved, at most all. The slot is used up. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also a slot that is not reserved, or `len` beyond it: it stays),
 * SHMKIT_ERR_WRONG_PROCESS (in a forked child).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_commit(struct shmkit_queue *queue,
                                       struct shmkit_slot *slot,
                                       size_t len)
SHMKIT_NOEXCEPT;

/**
 * Gives a slot back as if it had never been reserved or acquired: an acquired message is the next one
 * again, for whoever gets it. The slot is used up. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_abort(struct shmkit_queue *queue,
                                      struct shmkit_slot *slot)
SHMKIT_NOEXCEPT;

/**
 * The next message, to be read in place, waiting for it at most `timeout_ns` nanoseconds. Several may be
 * out at once. If this process dies before `_release`, another gets it.
 *
 * Errors: as of `shmkit_queue_get()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_acquire(struct shmkit_queue *queue,
                                        int64_t timeout_ns,
                                        struct shmkit_slot *slot)
SHMKIT_NOEXCEPT;

/**
 * Done with an acquired message: it is got for good, and its place is free. The slot is used up. Never
 * blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_release(struct shmkit_queue *queue,
                                        struct shmkit_slot *slot)
SHMKIT_NOEXCEPT;

/**
 * Waits until all that was put is done, at most `timeout_ns` nanoseconds: for a queue with
 * SHMKIT_QUEUE_JOINABLE.
 *
 * Errors: SHMKIT_ERR_TIMED_OUT (also with SHMKIT_NO_WAIT), SHMKIT_ERR_PEER_DIED (nobody is left to do
 * it), SHMKIT_ERR_UNSUPPORTED (another queue), SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_join(struct shmkit_queue *queue,
                                     int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Messages that are to be had now; 0 for NULL. Stale at once. Never blocks.
 */
size_t shmkit_queue_len(const struct shmkit_queue *queue) SHMKIT_NOEXCEPT;

/**
 * Sets `*fd` to a descriptor that is readable, for `poll` and `epoll`, when there is something to get or
 * the queue is at its end. It stays the queue's: do not read or close it. When a get finds nothing the
 * descriptor is silent again: get until SHMKIT_ERR_WOULD_BLOCK before you sleep.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child: open the queue
 * anew), SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_fd(struct shmkit_queue *queue,
                                   int *fd)
SHMKIT_NOEXCEPT;

/**
 * What the queue is doing. Stale at once. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_queue_stats(const struct shmkit_queue *queue,
                                      struct shmkit_stats *stats)
SHMKIT_NOEXCEPT;

/**
 * Closes the queue for everybody: puts fail from now on, gets once nothing is left. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_queue_close(struct shmkit_queue *queue) SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Slots that are out are given back as by `shmkit_queue_abort()`: do
 * not use them any more. The queue goes on for others. Never blocks.
 */
void shmkit_queue_free(struct shmkit_queue *queue)
SHMKIT_NOEXCEPT;

/**
 * Makes a region for objects of up to `size` bytes in all, which other processes of the same user
 * find by `name`; NULL for one without a name, which goes to others by fork or by its descriptor.
 *
 * `size` is address space: memory is taken as objects are made. `flags`: SHMKIT_CREATE_EXCLUSIVE
 * or SHMKIT_CREATE_OR_OPEN, which takes a region of this name whatever its size. `mode` is 0 or 0600:
 * a region is its user's. The name goes with the last handle.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT (a name is 1 to 200 letters, digits, '-',
 * '_' or '.', and does not start with '.'), SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_UNSUPPORTED (another mode), SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of
 * `shmkit_region_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_create(const char *name,
                                        size_t size,
                                        uint32_t flags,
                                        uint32_t mode,
                                        struct shmkit_region **out)
SHMKIT_NOEXCEPT;

/**
 * Opens the live region of this name. `flags` is 0.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_TYPE_MISMATCH (a single object has the name),
 * SHMKIT_ERR_LAYOUT_VERSION, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_NO_SPACE (too many processes use it),
 * SHMKIT_ERR_PERMISSION, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_open(const char *name,
                                      uint32_t flags,
                                      struct shmkit_region **out)
SHMKIT_NOEXCEPT;

/**
 * Joins the region behind a descriptor that came from another process, which stays the caller's.
 * `flags` is 0.
 *
 * Errors: as `shmkit_region_open()`; SHMKIT_ERR_PERMISSION for memory that a peer could cut.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_from_fd(int fd,
                                         uint32_t flags,
                                         struct shmkit_region **out)
SHMKIT_NOEXCEPT;

/**
 * The descriptor of the region, to send to another process; it stays the region's. Do not lock or
 * duplicate it: by it the others see whether this process lives. -1 for NULL. Never blocks.
 */
int shmkit_region_fd(const struct shmkit_region *region) SHMKIT_NOEXCEPT;

/**
 * Where the region lies in this process; NULL for NULL. Its first bytes are tables of the library.
 * Never blocks.
 */
void *shmkit_region_base(const struct shmkit_region *region) SHMKIT_NOEXCEPT;

/**
 * The size of the region with its tables, in bytes; 0 for NULL. Never blocks.
 */
size_t shmkit_region_size(const struct shmkit_region *region) SHMKIT_NOEXCEPT;

/**
 * Takes a name away from whatever has it: nobody finds that any more, and those who use it go on.
 *
 * For names of regions and of single objects. Nothing needs this to clean up: a name goes with its
 * last user, and that of the dead with the next one who wants it.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT (the file is none of
 * this library's), SHMKIT_ERR_PERMISSION, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_unlink(const char *name)
SHMKIT_NOEXCEPT;

/**
 * Takes `size` zeroed bytes of the region, aligned to `align` (a power of two, at most 4096), and sets
 * `*offset` to where they are: the same in every process. They stay until `shmkit_region_dealloc()`, or
 * the end of the region, also if this process dies. Any thread of any process, one after the other.
 *
 * Errors: SHMKIT_ERR_NO_SPACE (the region is full), SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT,
 * SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_alloc(struct shmkit_region *region,
                                       size_t size,
                                       size_t align,
                                       uint64_t *offset)
SHMKIT_NOEXCEPT;

/**
 * Gives the bytes at `offset`, which `shmkit_region_alloc()` took, and their name back. Nobody may use
 * them any more.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also if there are none), SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_dealloc(struct shmkit_region *region,
                                         uint64_t offset)
SHMKIT_NOEXCEPT;

/**
 * Where the `size` bytes at `offset` lie in this process; NULL if they are not all in the region, and for
 * NULL. Valid until the region is freed. Never blocks.
 */
void *shmkit_region_at(const struct shmkit_region *region,
                       uint64_t offset,
                       size_t size)
SHMKIT_NOEXCEPT;

/**
 * Sets `*offset` to the offset of the address `place`, for other processes. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also an address outside of the region).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_offset(const struct shmkit_region *region,
                                        const void *place,
                                        uint64_t *offset)
SHMKIT_NOEXCEPT;

/**
 * Gives the bytes at `offset`, which `shmkit_region_alloc()` took, the name `key` within the region, for
 * others to find, and says what they are. What was written there before is visible to who finds them.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_publish(struct shmkit_region *region,
                                         const char *key,
                                         uint64_t offset,
                                         const struct shmkit_elem *elem)
SHMKIT_NOEXCEPT;

/**
 * Sets `*offset` to the bytes that were published as `key`, which are what `elem` says.
 *
 * Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_TYPE_MISMATCH, SHMKIT_ERR_INVALID_ARGUMENT,
 * SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_region_find(struct shmkit_region *region,
                                      const char *key,
                                      const struct shmkit_elem *elem,
                                      uint64_t *offset)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Objects that were made or opened in the region stay usable by
 * their own handles. Never blocks.
 */
void shmkit_region_free(struct shmkit_region *region) SHMKIT_NOEXCEPT;

/**
 * Makes a ring for `capacity` elements of the type `elem`. `region`, `name` and `flags` as of
 * `shmkit_lock_create()`. Nobody has its ends yet.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_ring_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_ring_create(const struct shmkit_region *region,
                                      const char *name,
                                      const struct shmkit_elem *elem,
                                      size_t capacity,
                                      uint32_t flags,
                                      struct shmkit_ring **out)
SHMKIT_NOEXCEPT;

/**
 * Opens a ring for elements of the type `elem` by its name; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_ring_open(const struct shmkit_region *region,
                                    const char *name,
                                    const struct shmkit_elem *elem,
                                    struct shmkit_ring **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the end that pushes: the first time, or after its owner has died; then it goes on where that one
 * stopped. It does not need the handle of the ring any more.
 *
 * Errors: SHMKIT_ERR_BUSY (the end has a live owner, or was closed), SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_ring_producer(struct shmkit_ring *ring,
                                        struct shmkit_tx **out)
SHMKIT_NOEXCEPT;

/**
 * Takes the end that pops: as `shmkit_ring_producer()`.
 *
 * Errors: SHMKIT_ERR_BUSY (the end has a live owner, or was closed), SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_ring_consumer(struct shmkit_ring *ring,
                                        struct shmkit_rx **out)
SHMKIT_NOEXCEPT;

/**
 * The elements that the ring holds at most; 0 for NULL. Never blocks.
 */
size_t shmkit_ring_capacity(const struct shmkit_ring *ring) SHMKIT_NOEXCEPT;

/**
 * The elements in the ring; 0 for NULL. Stale at once. Never blocks.
 */
size_t shmkit_ring_len(const struct shmkit_ring *ring) SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Ends that were taken stay usable. Never blocks.
 */
void shmkit_ring_free(struct shmkit_ring *ring) SHMKIT_NOEXCEPT;

/**
 * Pushes the element at `src`, waiting for room at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
 * SHMKIT_FOREVER). After SHMKIT_OK it is in the ring, also if this process dies next.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; SHMKIT_ERR_CLOSED and SHMKIT_ERR_PEER_DIED, which
 * is noticed once a lap; SHMKIT_ERR_WRONG_PROCESS (or this end was closed), SHMKIT_ERR_INVALID_ARGUMENT,
 * SHMKIT_ERR_CORRUPT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_tx_push(struct shmkit_tx *tx,
                                  const void *src,
                                  int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Pushes `n` elements, waiting for room at most `timeout_ns` nanoseconds, and sets `*done`, also on
 * failure, to how many were pushed. Those for which there is room at once appear to the consumer at once.
 * Ten times cheaper for each than single pushes.
 *
 * Errors: as of `shmkit_tx_push()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_tx_push_n(struct shmkit_tx *tx,
                                    const void *src,
                                    size_t n,
                                    int64_t timeout_ns,
                                    size_t *done)
SHMKIT_NOEXCEPT;

/**
 * Lends up to `want` free slots in a row, to be filled in place, waiting for the first at most
 * `timeout_ns` nanoseconds: `*buf` is the first of `*got`, at least one. They hold what they held before.
 * A later reserve or push takes them back.
 *
 * Errors: as of `shmkit_tx_push()`; `want` 0 is SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_tx_reserve(struct shmkit_tx *tx,
                                     size_t want,
                                     int64_t timeout_ns,
                                     void **buf,
                                     size_t *got)
SHMKIT_NOEXCEPT;

/**
 * Pushes the first `n` of the slots that were reserved last; the others are given back. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (more than are reserved: nothing happens), SHMKIT_ERR_WRONG_PROCESS.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_tx_commit(struct shmkit_tx *tx,
                                    size_t n)
SHMKIT_NOEXCEPT;

/**
 * Sets `*view` to where the ring lies in this process; valid as long as this end. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_tx_view(const struct shmkit_tx *tx,
                                  struct shmkit_ring_view *view)
SHMKIT_NOEXCEPT;

/**
 * Closes the end: the consumer pops what is left and is then told SHMKIT_ERR_CLOSED. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_tx_close(struct shmkit_tx *tx) SHMKIT_NOEXCEPT;

/**
 * Gives the end up and closes it, unless this is a forked copy; NULL is fine. What is reserved is given
 * back. Never blocks.
 */
void shmkit_tx_free(struct shmkit_tx *tx)
SHMKIT_NOEXCEPT;

/**
 * Pops the oldest element into `dst`, waiting for one at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
 * SHMKIT_FOREVER).
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; SHMKIT_ERR_CLOSED and SHMKIT_ERR_PEER_DIED when
 * nothing is left; SHMKIT_ERR_WRONG_PROCESS (or this end was closed), SHMKIT_ERR_INVALID_ARGUMENT,
 * SHMKIT_ERR_CORRUPT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rx_pop(struct shmkit_rx *rx,
                                 void *dst,
                                 int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Pops `n` elements into `dst`, waiting for them at most `timeout_ns` nanoseconds, and sets `*done`, also
 * on failure, to how many were popped. With SHMKIT_NO_WAIT: those that are there. Ten times cheaper for
 * each than single pops.
 *
 * Errors: as of `shmkit_rx_pop()`, if fewer than `n` were popped.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rx_pop_n(struct shmkit_rx *rx,
                                   void *dst,
                                   size_t n,
                                   int64_t timeout_ns,
                                   size_t *done)
SHMKIT_NOEXCEPT;

/**
 * Lends up to `want` of the oldest elements in a row, to be read in place, waiting for the first at most
 * `timeout_ns` nanoseconds: `*buf` is the first of `*got`, at least one. A later peek or pop takes them
 * back.
 *
 * Errors: as of `shmkit_rx_pop()`; `want` 0 is SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rx_peek(struct shmkit_rx *rx,
                                  size_t want,
                                  int64_t timeout_ns,
                                  const void **buf,
                                  size_t *got)
SHMKIT_NOEXCEPT;

/**
 * Pops the first `n` of the elements that were lent last; the others stay. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (more than are lent: nothing happens), SHMKIT_ERR_WRONG_PROCESS.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rx_release(struct shmkit_rx *rx,
                                     size_t n)
SHMKIT_NOEXCEPT;

/**
 * Sets `*view` to where the ring lies in this process; valid as long as this end. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rx_view(const struct shmkit_rx *rx,
                                  struct shmkit_ring_view *view)
SHMKIT_NOEXCEPT;

/**
 * Closes the end: the producer is told SHMKIT_ERR_CLOSED, at the latest after a ring full of elements.
 * Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rx_close(struct shmkit_rx *rx)
SHMKIT_NOEXCEPT;

/**
 * Gives the end up and closes it, unless this is a forked copy; NULL is fine. What is lent stays in the
 * ring. Never blocks.
 */
void shmkit_rx_free(struct shmkit_rx *rx)
SHMKIT_NOEXCEPT;

/**
 * Makes a lock for many readers or one writer. `region`, `name` and `flags` as of `shmkit_lock_create()`.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
 * SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_rwlock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rwlock_create(const struct shmkit_region *region,
                                        const char *name,
                                        uint32_t flags,
                                        struct shmkit_rwlock **out)
SHMKIT_NOEXCEPT;

/**
 * Opens such a lock by its name; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rwlock_open(const struct shmkit_region *region,
                                      const char *name,
                                      struct shmkit_rwlock **out)
SHMKIT_NOEXCEPT;

/**
 * Acquires the lock to read, with others who do, waiting at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
 * SHMKIT_FOREVER). A thread that reads may do so again.
 *
 * SHMKIT_OWNER_DIED: it is held, and the last writer died: see `shmkit_rwlock_mark_consistent()`.
 *
 * Errors: as of `shmkit_lock_acquire()`; SHMKIT_ERR_DEADLOCK if this thread writes.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rwlock_read(struct shmkit_rwlock *rwlock,
                                      int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Acquires the lock to write, alone, waiting at most `timeout_ns` nanoseconds.
 *
 * SHMKIT_OWNER_DIED: it is held, and the last writer died: see `shmkit_rwlock_mark_consistent()`.
 *
 * Errors: as of `shmkit_lock_acquire()`; SHMKIT_ERR_DEADLOCK if this thread reads or writes.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rwlock_write(struct shmkit_rwlock *rwlock,
                                       int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Gives back what this thread has acquired last by this handle. Never blocks.
 *
 * Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rwlock_release(struct shmkit_rwlock *rwlock)
SHMKIT_NOEXCEPT;

/**
 * Declares what the lock protects good, after SHMKIT_OWNER_DIED. That of one who writes is for all; one who
 * reads declares it for itself. Never blocks.
 *
 * Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_rwlock_mark_consistent(struct shmkit_rwlock *rwlock)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. What this thread holds by it is given back; what other threads hold stays
 * held as long as this process has a handle to the region. Never blocks.
 */
void shmkit_rwlock_free(struct shmkit_rwlock *rwlock)
SHMKIT_NOEXCEPT;

/**
 * Makes a semaphore with `initial` permits, and at most `max`; `max` 0: at most 2147483647.
 *
 * `region` and `name` as of `shmkit_lock_create()`. Rust opens it as `BoundedSemaphore` if there is a
 * `max`, or else as `Semaphore`.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT (also `initial` above `max`),
 * SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_semaphore_create(const struct shmkit_region *region,
                                           const char *name,
                                           uint32_t initial,
                                           uint32_t max,
                                           struct shmkit_semaphore **out)
SHMKIT_NOEXCEPT;

/**
 * Opens a semaphore by its name; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_semaphore_open(const struct shmkit_region *region,
                                         const char *name,
                                         struct shmkit_semaphore **out)
SHMKIT_NOEXCEPT;

/**
 * Acquires a permit, waiting for it at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT, SHMKIT_FOREVER).
 *
 * The permit is this process's, of whichever thread: if the process dies, it comes back by itself.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_INVALID_ARGUMENT; only in a forked
 * child SHMKIT_ERR_NO_SPACE and SHMKIT_ERR_SYSTEM.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_semaphore_acquire(struct shmkit_semaphore *semaphore,
                                            int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Gives `n` permits back: those that this process has acquired first; beyond that it adds permits that
 * nobody had. Never blocks.
 *
 * Errors: SHMKIT_ERR_OVERFLOW if there would be more than `max`; then nothing has changed.
 * SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_semaphore_release(struct shmkit_semaphore *semaphore,
                                            uint32_t n)
SHMKIT_NOEXCEPT;

/**
 * Lets go of up to `n` permits that this process has acquired without giving them back: for hand-offs,
 * where another process calls `shmkit_semaphore_release()` for them. The death of this process does
 * not bring them back any more. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_semaphore_forget(struct shmkit_semaphore *semaphore,
                                           uint32_t n)
SHMKIT_NOEXCEPT;

/**
 * The permits that are to be had now; 0 for NULL. Stale at once. Never blocks.
 */
uint32_t shmkit_semaphore_value(const struct shmkit_semaphore *semaphore) SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Permits that this process has stay its own. Never blocks.
 */
void shmkit_semaphore_free(struct shmkit_semaphore *semaphore) SHMKIT_NOEXCEPT;

/**
 * The name of a status as in this header; of a number that is none, "SHMKIT_UNKNOWN".
 *
 * Static; never NULL. Any thread; never blocks.
 */
const char *shmkit_status_name(int32_t status) SHMKIT_NOEXCEPT;

/**
 * What a status means, in a few words; of a number that is none, "unknown status".
 *
 * Static; never NULL. Any thread; never blocks.
 */
const char *shmkit_status_message(int32_t status) SHMKIT_NOEXCEPT;

/**
 * The `errno` value that comes nearest to a status: 0 for `SHMKIT_OK`, EINVAL for a number that is
 * none. Any thread; never blocks.
 */
int shmkit_status_errno(int32_t status) SHMKIT_NOEXCEPT;

/**
 * Makes a value of the type `elem`, a copy of what is at `initial`, or zeros if that is NULL. `region`, `name`
 * and `flags` as of `shmkit_lock_create()`.
 *
 * Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT (also more than 1 MiB: take an array),
 * SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of
 * `shmkit_value_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_value_create(const struct shmkit_region *region,
                                       const char *name,
                                       const struct shmkit_elem *elem,
                                       const void *initial,
                                       uint32_t flags,
                                       struct shmkit_value **out)
SHMKIT_NOEXCEPT;

/**
 * Opens a value of the type `elem` by its name; in `region` if that is not NULL.
 *
 * Errors: as of `shmkit_lock_open()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_value_open(const struct shmkit_region *region,
                                     const char *name,
                                     const struct shmkit_elem *elem,
                                     struct shmkit_value **out)
SHMKIT_NOEXCEPT;

/**
 * Copies the value to `dst`: as it was last published, never torn. Never waits for a writer.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_value_get(const struct shmkit_value *value,
                                    void *dst)
SHMKIT_NOEXCEPT;

/**
 * Replaces the value by a copy of what is at `src`. One of more than 8 bytes is replaced under its lock, which
 * it waits for unless this thread holds it.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_value_set(struct shmkit_value *value,
                                    const void *src)
SHMKIT_NOEXCEPT;

/**
 * Acquires the value's lock, to get, change and set it while nobody else does so, waiting for it at most
 * `timeout_ns` nanoseconds.
 *
 * SHMKIT_OWNER_DIED: the lock is held, and its last holder died; the value is as that one last set it. Call
 * `shmkit_value_mark_consistent()`.
 *
 * Errors: as of `shmkit_lock_acquire()`.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_value_lock(struct shmkit_value *value,
                                     int64_t timeout_ns)
SHMKIT_NOEXCEPT;

/**
 * Gives the value's lock back. Only the thread that holds it may. Never blocks.
 *
 * Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD enum shmkit_status shmkit_value_unlock(struct shmkit_value *value) SHMKIT_NOEXCEPT;

/**
 * Declares the value good, after SHMKIT_OWNER_DIED. Only the holder of its lock may. Never blocks.
 *
 * Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_value_mark_consistent(struct shmkit_value *value)
SHMKIT_NOEXCEPT;

/**
 * Adds to a value of 8 bytes without its lock, wrapping around; `*old`, which may be NULL, is what it was
 * before. Never blocks.
 *
 * Errors: SHMKIT_ERR_INVALID_ARGUMENT (also a value of another size).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_value_add_i64(struct shmkit_value *value,
                                        int64_t operand,
                                        int64_t *old)
SHMKIT_NOEXCEPT;

/**
 * Replaces a value of 8 bytes by `desired` if it is `*expected`, without its lock. Never blocks.
 *
 * Errors: SHMKIT_ERR_WOULD_BLOCK if it is something else, which `*expected` is then;
 * SHMKIT_ERR_INVALID_ARGUMENT (also a value of another size).
 */
SHMKIT_NODISCARD
enum shmkit_status shmkit_value_cas_i64(struct shmkit_value *value,
                                        int64_t *expected,
                                        int64_t desired)
SHMKIT_NOEXCEPT;

/**
 * Gives the handle up; NULL is fine. Never blocks.
 */
void shmkit_value_free(struct shmkit_value *value) SHMKIT_NOEXCEPT;

/**
 * The version of the library at run time, to compare with `SHMKIT_VERSION`: major times 1000000
 * plus minor times 1000 plus patch. Any thread; never blocks.
 */
uint32_t shmkit_version(void) SHMKIT_NOEXCEPT;

/**
 * The number of the library's binary interface at run time: `SHMKIT_ABI_VERSION` of the header
 * that it was built with. Any thread; never blocks.
 */
uint32_t shmkit_abi_version(void) SHMKIT_NOEXCEPT;

/**
 * The version of the library at run time as text, such as "0.1.0". Static; never NULL.
 */
const char *shmkit_version_string(void) SHMKIT_NOEXCEPT;

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHMKIT_H */
