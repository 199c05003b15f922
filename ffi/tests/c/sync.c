/* Locks and their family, between threads and forked processes, and after deaths. */
#include "suites.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `body` in a forked child, which must exit with 0, or be killed by `sig`. */
#define IN_CHILD(sig, body)                                                                        \
    do {                                                                                           \
        const pid_t child_ = fork();                                                               \
        CHECK(child_ >= 0);                                                                        \
        if (child_ == 0) {                                                                         \
            body;                                                                                  \
            _exit(0);                                                                              \
        }                                                                                          \
        int status_;                                                                               \
        CHECK(waitpid(child_, &status_, 0) == child_);                                             \
        CHECK((sig) == 0 ? WIFEXITED(status_) && WEXITSTATUS(status_) == 0                         \
                         : WIFSIGNALED(status_) && WTERMSIG(status_) == (sig));                    \
    } while (0)

static void locks(uint32_t flags) {
    shmkit_lock *lock;
    OK(shmkit_lock_create(NULL, NULL, flags, &lock));
    CHECK(shmkit_lock_owner(lock) == 0);
    OK(shmkit_lock_acquire(lock, LONG));
    CHECK(shmkit_lock_owner(lock) == getpid());
    if (flags & SHMKIT_LOCK_RECURSIVE) {
        OK(shmkit_lock_acquire(lock, LONG));
        OK(shmkit_lock_release(lock));
    } else {
        EXPECT(SHMKIT_ERR_DEADLOCK, shmkit_lock_acquire(lock, LONG));
    }
    IN_CHILD(0, {
        EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_lock_release(lock));
        EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_lock_mark_consistent(lock));
        EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_lock_acquire(lock, SHMKIT_NO_WAIT));
        EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_lock_acquire(lock, 1000000));
    });
    OK(shmkit_lock_release(lock));
    EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_lock_release(lock));

    /* The dead are told of until somebody has repaired what they left. */
    IN_CHILD(SIGKILL, {
        OK(shmkit_lock_acquire(lock, LONG));
        raise(SIGKILL);
    });
    EXPECT(SHMKIT_OWNER_DIED, shmkit_lock_acquire(lock, LONG));
    OK(shmkit_lock_release(lock));
    EXPECT(SHMKIT_OWNER_DIED, shmkit_lock_acquire(lock, SHMKIT_NO_WAIT));
    OK(shmkit_lock_mark_consistent(lock));
    OK(shmkit_lock_release(lock));
    OK(shmkit_lock_acquire(lock, LONG));
    OK(shmkit_lock_release(lock));
    shmkit_lock_free(lock);
}

static void semaphores(void) {
    shmkit_semaphore *semaphore;
    OK(shmkit_semaphore_create(NULL, NULL, 2, 0, &semaphore));
    OK(shmkit_semaphore_acquire(semaphore, LONG));
    IN_CHILD(SIGKILL, {
        OK(shmkit_semaphore_acquire(semaphore, LONG));
        raise(SIGKILL);
    });
    OK(shmkit_semaphore_acquire(semaphore, LONG)); /* that of the dead came back */
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_semaphore_acquire(semaphore, SHMKIT_NO_WAIT));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_semaphore_acquire(semaphore, 1000000));
    OK(shmkit_semaphore_release(semaphore, 2));
    CHECK(shmkit_semaphore_value(semaphore) == 2);
    /* Handed off: it is another's to give back. */
    IN_CHILD(0, {
        OK(shmkit_semaphore_acquire(semaphore, LONG));
        OK(shmkit_semaphore_forget(semaphore, 1));
    });
    CHECK(shmkit_semaphore_value(semaphore) == 1);
    OK(shmkit_semaphore_release(semaphore, 1));
    CHECK(shmkit_semaphore_value(semaphore) == 2);
    shmkit_semaphore_free(semaphore);
}

struct meeting {
    shmkit_lock *lock;
    shmkit_condition *condition;
    shmkit_barrier *barrier;
    int ready;
};

static void *comes(void *arg) {
    struct meeting *meeting = arg;
    uint32_t index;
    OK(shmkit_lock_acquire(meeting->lock, LONG));
    meeting->ready = 1;
    OK(shmkit_lock_release(meeting->lock));
    OK(shmkit_condition_notify(meeting->condition, 1));
    OK(shmkit_barrier_wait(meeting->barrier, LONG, &index));
    CHECK(index < 2);
    return NULL;
}

static void conditions_and_barriers(void) {
    struct meeting meeting = {0};
    shmkit_lock *nested;
    pthread_t thread;
    uint32_t index = 77;
    OK(shmkit_lock_create(NULL, NULL, 0, &meeting.lock));
    OK(shmkit_lock_create(NULL, NULL, SHMKIT_LOCK_RECURSIVE, &nested));
    OK(shmkit_condition_create(NULL, NULL, &meeting.condition));
    OK(shmkit_barrier_create(NULL, NULL, 2, &meeting.barrier));
    EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_condition_wait(meeting.condition, meeting.lock, LONG));
    EXPECT(SHMKIT_ERR_UNSUPPORTED, shmkit_condition_wait(meeting.condition, nested, LONG));
    OK(shmkit_lock_acquire(meeting.lock, LONG));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_condition_wait(meeting.condition, meeting.lock, 0));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_condition_wait(meeting.condition, meeting.lock, 1000));
    CHECK(pthread_create(&thread, NULL, comes, &meeting) == 0);
    while (!meeting.ready) {
        OK(shmkit_condition_wait(meeting.condition, meeting.lock, LONG));
    }
    OK(shmkit_lock_release(meeting.lock));
    OK(shmkit_condition_notify_all(meeting.condition));
    OK(shmkit_barrier_wait(meeting.barrier, LONG, &index));
    CHECK(index < 2 && pthread_join(thread, NULL) == 0);

    CHECK(shmkit_barrier_parties(meeting.barrier) == 2 && shmkit_barrier_waiting(meeting.barrier) == 0);
    index = 77;
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_barrier_wait(meeting.barrier, 1000, &index));
    CHECK(index == 77 && shmkit_barrier_is_broken(meeting.barrier));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_barrier_wait(meeting.barrier, LONG, NULL));
    OK(shmkit_barrier_reset(meeting.barrier));
    OK(shmkit_barrier_abort(meeting.barrier));
    EXPECT(SHMKIT_ERR_BROKEN, shmkit_barrier_wait(meeting.barrier, LONG, NULL));
    OK(shmkit_barrier_reset(meeting.barrier));
    IN_CHILD(SIGKILL, {
        EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_barrier_wait(meeting.barrier, 1000, NULL));
        OK(shmkit_barrier_reset(meeting.barrier));
        raise(SIGKILL);
    });
    EXPECT(SHMKIT_ERR_PEER_DIED, shmkit_barrier_wait(meeting.barrier, LONG, NULL));
    shmkit_barrier_free(meeting.barrier);
    shmkit_condition_free(meeting.condition);
    shmkit_lock_free(meeting.lock);
    shmkit_lock_free(nested);
}

static shmkit_event *signalled;

static void sets_event(int sig) {
    (void)sig;
    (void)!shmkit_event_set(signalled);
}

static void events(void) {
    OK(shmkit_event_create(NULL, NULL, 0, &signalled));
    CHECK(!shmkit_event_is_set(signalled));
    EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_event_wait(signalled, SHMKIT_NO_WAIT));
    EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_event_wait(signalled, 1000));
    CHECK(signal(SIGUSR1, sets_event) != SIG_ERR);
    raise(SIGUSR1);
    CHECK(shmkit_event_is_set(signalled));
    OK(shmkit_event_clear(signalled));
    IN_CHILD(0, OK(shmkit_event_set(signalled)));
    OK(shmkit_event_wait(signalled, SHMKIT_FOREVER));
    signal(SIGUSR1, SIG_DFL);
    shmkit_event_free(signalled);
}

static void names(void) {
    char name[64];
    snprintf(name, sizeof name, "c.sync.%d", (int)getpid());
    shmkit_lock *lock, *same;
    shmkit_event *event;
    OK(shmkit_lock_create(NULL, name, SHMKIT_CREATE_EXCLUSIVE, &lock));
    EXPECT(SHMKIT_ERR_EXISTS, shmkit_lock_create(NULL, name, SHMKIT_CREATE_EXCLUSIVE, &same));
    EXPECT(SHMKIT_ERR_TYPE_MISMATCH, shmkit_event_open(NULL, name, &event));
    CHECK(strstr(shmkit_last_error(), "lock") != NULL);
    OK(shmkit_lock_create(NULL, name, SHMKIT_CREATE_OR_OPEN, &same));
    OK(shmkit_lock_acquire(lock, LONG));
    EXPECT(SHMKIT_ERR_DEADLOCK, shmkit_lock_acquire(same, LONG));
    OK(shmkit_lock_release(same));
    shmkit_lock_free(same);
    OK(shmkit_region_unlink(name));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_lock_open(NULL, name, &same));
    OK(shmkit_lock_acquire(lock, LONG));
    OK(shmkit_lock_release(lock));
    shmkit_lock_free(lock);
    /* A name goes with its last user, also a killed one. */
    IN_CHILD(SIGKILL, {
        OK(shmkit_lock_create(NULL, name, 0, &lock));
        raise(SIGKILL);
    });
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_lock_open(NULL, name, &same));
}

static void read_write_locks(void) {
    shmkit_rwlock *rwlock;
    OK(shmkit_rwlock_create(NULL, NULL, 0, &rwlock));
    OK(shmkit_rwlock_read(rwlock, LONG));
    OK(shmkit_rwlock_read(rwlock, LONG));
    IN_CHILD(0, {
        EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_rwlock_release(rwlock));
        OK(shmkit_rwlock_read(rwlock, LONG));
        OK(shmkit_rwlock_release(rwlock));
        EXPECT(SHMKIT_ERR_WOULD_BLOCK, shmkit_rwlock_write(rwlock, SHMKIT_NO_WAIT));
        EXPECT(SHMKIT_ERR_TIMED_OUT, shmkit_rwlock_write(rwlock, 1000000));
    });
    EXPECT(SHMKIT_ERR_DEADLOCK, shmkit_rwlock_write(rwlock, LONG));
    OK(shmkit_rwlock_release(rwlock));
    OK(shmkit_rwlock_release(rwlock));
    EXPECT(SHMKIT_ERR_NOT_OWNER, shmkit_rwlock_release(rwlock));
    OK(shmkit_rwlock_write(rwlock, LONG));
    EXPECT(SHMKIT_ERR_DEADLOCK, shmkit_rwlock_read(rwlock, LONG));
    OK(shmkit_rwlock_release(rwlock));
    IN_CHILD(SIGKILL, {
        OK(shmkit_rwlock_write(rwlock, LONG));
        raise(SIGKILL);
    });
    EXPECT(SHMKIT_OWNER_DIED, shmkit_rwlock_write(rwlock, LONG));
    OK(shmkit_rwlock_release(rwlock));
    EXPECT(SHMKIT_OWNER_DIED, shmkit_rwlock_read(rwlock, LONG));
    OK(shmkit_rwlock_mark_consistent(rwlock)); /* a reader's is good for itself */
    OK(shmkit_rwlock_release(rwlock));
    EXPECT(SHMKIT_OWNER_DIED, shmkit_rwlock_write(rwlock, LONG));
    OK(shmkit_rwlock_mark_consistent(rwlock));
    OK(shmkit_rwlock_release(rwlock));
    OK(shmkit_rwlock_write(rwlock, LONG));
    shmkit_rwlock_free(rwlock);
}

void sync_objects(void) {
    read_write_locks();
    locks(0);
    locks(SHMKIT_LOCK_RECURSIVE);
    semaphores();
    conditions_and_barriers();
    events();
    names();
}
