// Threads of one process that hand plain memory to each other through every object: what a sanitizer for
// threads looks at. With RACY one of them does without the lock.
#include "check.hpp"

#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr int rounds = 300;

template <class F, class G>
void both(F f, G g) {
    std::thread other(g);
    f();
    other.join();
}

void through_a_lock() {
    shmkit::lock lock;
    int plain = 0;
    const auto add = [&] {
        for (int i = 0; i < rounds; ++i) {
            const std::lock_guard guard(lock);
            ++plain;
        }
    };
#if defined(RACY)
    both(add, [&] {
        for (int i = 0; i < rounds; ++i) {
            ++plain;
        }
    });
#else
    both(add, add);
    CHECK(plain == 2 * rounds);
#endif
}

void through_a_condition() {
    shmkit::lock lock;
    shmkit::condition condition;
    int turn = 0;
    const auto play = [&](int me) {
        for (int i = 0; i < rounds; ++i) {
            std::unique_lock guard(lock);
            condition.wait(guard, [&] { return turn % 2 == me; });
            ++turn;
            condition.notify_all();
        }
    };
    both([&] { play(0); }, [&] { play(1); });
    CHECK(turn == 2 * rounds);
}

void through_a_queue() {
    shmkit::queue queue;
    std::vector<int> contents(rounds);
    both(
        [&] {
            for (int i = 0; i < rounds; ++i) {
                contents[static_cast<std::size_t>(i)] = i;
                CHECK(queue.put_value(i, LONG));
            }
        },
        [&] {
            for (int i = 0; i < rounds; ++i) {
                const auto message = queue.acquire(LONG);
                const int at = message->as<int>();
                CHECK(contents[static_cast<std::size_t>(at)] == at);
            }
        });
}

void through_a_pipe() {
    auto [a, b] = shmkit::pipe::make();
    int plain = 0;
    both(
        [&, &end = a] {
            for (int i = 0; i < rounds; ++i) {
                ++plain;
                CHECK(end.send("yours", LONG) && end.recv_string(LONG) == "mine");
            }
        },
        [&, &end = b] {
            for (int i = 0; i < rounds; ++i) {
                CHECK(end.recv_string(LONG) == "yours");
                ++plain;
                CHECK(end.send("mine", LONG));
            }
        });
    CHECK(plain == 2 * rounds);
}

void through_a_ring() {
    shmkit::ring<int> ring(8);
    auto producer = ring.producer();
    auto consumer = ring.consumer();
    std::vector<int> contents(rounds);
    both(
        [&] {
            for (int i = 0; i < rounds; ++i) {
                contents[static_cast<std::size_t>(i)] = i;
                CHECK(producer.push(i, LONG));
            }
        },
        [&] {
            for (int i = 0; i < rounds; ++i) {
                CHECK(consumer.pop(LONG) == i && contents[static_cast<std::size_t>(i)] == i);
            }
        });
}

void through_the_others() {
    shmkit::semaphore full(0), free(1);
    shmkit::barrier barrier(2);
    shmkit::event event;
    shmkit::array<int> numbers(1);
    int plain = 0, early = 0;
    both(
        [&] {
            early = 1;
            event.set();
            for (int i = 0; i < rounds; ++i) {
                free.acquire();
                plain = i;
                full.release();
                CHECK(barrier.arrive_and_wait());
                numbers.lock()[0] += 1;
            }
        },
        [&] {
            event.wait();
            CHECK(early == 1);
            for (int i = 0; i < rounds; ++i) {
                full.acquire();
                CHECK(plain == i);
                free.release();
                CHECK(barrier.arrive_and_wait());
                numbers.lock()[0] += 1;
            }
        });
    CHECK(numbers.get(0) == 2 * rounds);
}

} // namespace

int main() {
    through_a_lock();
    through_a_condition();
    through_a_queue();
    through_a_pipe();
    through_a_ring();
    through_the_others();
    return 0;
}
