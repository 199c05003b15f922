// A process is killed while it has something: the others are told, and go on.
#include "check.hpp"

#include <csignal>
#include <mutex>
#include <stdexcept>

namespace {

// Runs `f` in a child, and kills the child where `f` says that it is ready and waits.
template <class F>
void killed(F f) {
    shmkit::event ready;
    const pid_t pid = in_child([&] {
        f([&] {
            ready.set();
            for (;;) {
                pause();
            }
        });
        return 1;
    });
    ready.wait();
    CHECK(kill(pid, SIGKILL) == 0 && ended(pid) == -SIGKILL);
}

void locks() {
    shmkit::lock lock;
    killed([&](auto wait) {
        lock.lock();
        wait();
    });
    bool told = false;
    try {
        const std::lock_guard guard(lock);
    } catch (const shmkit::owner_died &e) {
        told = e.status() == SHMKIT_OWNER_DIED;
    }
    CHECK(told && lock.owner() == 0);
    THROWS(SHMKIT_OWNER_DIED, lock.try_lock()); // it stays so until somebody repairs
    bool thrown = false;
    try {
        lock.lock_or_recover([] { throw std::runtime_error("it cannot be repaired now"); });
    } catch (const std::runtime_error &) {
        thrown = true;
    }
    CHECK(thrown && lock.owner() == 0);
    int repaired = 0;
    CHECK(lock.lock_or_recover([&] { ++repaired; }));
    const std::lock_guard guard(lock, std::adopt_lock);
    CHECK(repaired == 1 && lock.owner() == getpid());
}

void conditions() {
    shmkit::lock lock;
    shmkit::condition condition;
    std::unique_lock guard(lock);
    const pid_t pid = in_child([&] {
        lock.lock(); // once the other waits
        condition.notify_all();
        kill(getpid(), SIGKILL);
        return 1;
    });
    THROWS(SHMKIT_OWNER_DIED, condition.wait(guard, [] { return false; }));
    CHECK(!guard.owns_lock() && ended(pid) == -SIGKILL);
    THROWS(SHMKIT_ERR_NOT_OWNER, condition.wait(guard));
    lock.lock_or_recover([] {});
    lock.unlock();
    lock.lock();
    lock.unlock();
}

void arrays() {
    shmkit::array<int> numbers(2);
    killed([&](auto wait) {
        const auto guard = numbers.lock();
        guard[0] = 5; // and not the other one
        wait();
    });
    THROWS(SHMKIT_OWNER_DIED, numbers.lock());
    THROWS(SHMKIT_OWNER_DIED, numbers.get(0));
    {
        const auto guard = numbers.lock_or_recover([](shmkit::span<int> half_done) {
            CHECK(half_done[0] == 5 && half_done[1] == 0);
            half_done[1] = 5;
        });
        CHECK(guard[1] == 5);
    }
    CHECK(numbers.get(1) == 5);
    shmkit::value<int> value(1);
    killed([&](auto wait) {
        value.update([&](int &v) {
            v = 2;
            wait();
        });
    });
    THROWS(SHMKIT_OWNER_DIED, value.update([](int &) {}));
    CHECK(*value.lock_or_recover([](int &v) { v = 3; }) == 3 && value.get() == 3);
}

void messages() {
    shmkit::queue queue;
    CHECK(queue.put("a message"));
    killed([&](auto wait) {
        const auto message = queue.acquire();
        const auto room = queue.reserve(100);
        wait();
    });
    CHECK(queue.get_string(LONG) == "a message");
    CHECK(!queue.get_string(shmkit::no_wait));

    shmkit::ring<int> ring(4);
    auto consumer = ring.consumer();
    killed([&](auto wait) {
        auto producer = ring.producer();
        CHECK(producer.push(1));
        wait();
    });
    shmkit_status why = SHMKIT_OK;
    CHECK(consumer.pop(LONG) == 1 && !consumer.pop(LONG, &why) && why == SHMKIT_ERR_PEER_DIED);
    auto heir = ring.producer(); // the end of the dead
    CHECK(heir.push(2) && consumer.pop(LONG) == 2);

    shmkit::semaphore semaphore(1);
    killed([&](auto wait) {
        semaphore.acquire();
        wait();
    });
    CHECK(semaphore.try_acquire_for(LONG));

    shmkit::barrier barrier(2);
    killed([&](auto wait) {
        static_cast<void>(barrier.arrive_and_wait(std::chrono::milliseconds(1)));
        wait();
    });
    CHECK(!barrier.arrive_and_wait(LONG));
}

} // namespace

int main() {
    locks();
    conditions();
    arrays();
    messages();
    return 0;
}
