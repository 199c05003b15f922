// Threads of several processes at once over a queue, a lock, a condition and a ring; and what moving and
// destruction do.
#include "check.hpp"

#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr int processes = 3, threads = 3, each = 400, all = processes * threads * each;

struct shared {
    explicit shared(const shmkit::region &in)
        : queue(shmkit::queue::create(in, [] {
              shmkit::queue_options options;
              options.max_messages = 16;
              return options;
          }())),
          lock(shmkit::lock::create(in)), turned(shmkit::condition::create(in)),
          seen(shmkit::array<std::uint32_t>::create(in, all)),
          pair(shmkit::array<int>::create(in, 2)), turn(shmkit::value<int>::create(in)) {}

    shmkit::queue queue;
    shmkit::lock lock;
    shmkit::condition turned;
    shmkit::array<std::uint32_t> seen;
    shmkit::array<int> pair; // equal whenever the lock is free
    shmkit::value<int> turn;
};

template <class F>
void in_threads(F f) {
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
        running.emplace_back(f, i);
    }
    for (auto &thread : running) {
        thread.join();
    }
}

void count(shared &s) {
    const std::lock_guard guard(s.lock);
    const auto both = s.pair.unsynchronized();
    CHECK(both[0] == both[1]);
    ++both[0];
    std::this_thread::yield();
    ++both[1];
}

int produce(shared &s, int process) {
    in_threads([&](int thread) {
        for (int i = 0; i < each; ++i) {
            const int number = (process * threads + thread) * each + i;
            if (i % 2 == 0) {
                CHECK(s.queue.put_value(number, LONG));
            } else {
                auto loan = s.queue.reserve(sizeof number, LONG);
                loan->emplace<int>(number);
                loan->commit();
            }
            count(s);
        }
    });
    return 0;
}

int consume(shared &s) {
    in_threads([&](int thread) {
        while (const auto number = s.queue.get_value<int>()) {
            CHECK(s.seen.fetch_add(static_cast<std::size_t>(*number), 1) == 0);
            count(s);
        }
        static_cast<void>(thread);
    });
    return 0;
}

// Each message to one of them, nothing lost, nothing torn.
void crowds() {
    const shmkit::region region(1 << 22);
    shared s(region);
    std::vector<pid_t> producers, consumers;
    for (int i = 0; i < processes; ++i) {
        producers.push_back(in_child([&] { return produce(s, i); }));
        consumers.push_back(in_child([&] { return consume(s); }));
    }
    for (const pid_t pid : producers) {
        CHECK(ended(pid) == 0);
    }
    s.queue.close();
    for (const pid_t pid : consumers) {
        CHECK(ended(pid) == 0);
    }
    for (std::size_t i = 0; i < all; ++i) {
        CHECK(s.seen.load(i) == 1);
    }
    CHECK(s.pair.get(0) == 2 * all && s.pair.get(1) == 2 * all && s.queue.empty());
}

// The threads of two processes take turns, in order.
void turns() {
    const shmkit::region region(1 << 22);
    shared s(region);
    constexpr int players = 2 * threads, rounds = 60;
    const auto play = [&](int side) {
        in_threads([&](int thread) {
            const int me = side * threads + thread;
            for (int round = 0; round < rounds; ++round) {
                std::unique_lock guard(s.lock);
                s.turned.wait(guard, [&] { return s.turn.load() == round * players + me; });
                s.turn.fetch_add(1);
                s.turned.notify_all();
            }
        });
        return 0;
    };
    const pid_t other = in_child([&] { return play(1); });
    play(0);
    CHECK(ended(other) == 0 && s.turn.load() == rounds * players);
}

void rings() {
    shmkit::ring<std::uint64_t> ring(64);
    auto consumer = ring.consumer();
    const pid_t other = in_child([&] {
        auto producer = ring.producer();
        std::vector<std::uint64_t> batch(100);
        for (std::uint64_t i = 0; i < 50; ++i) {
            for (std::uint64_t k = 0; k < 100; ++k) {
                batch[k] = 200 * i + k;
            }
            CHECK(producer.push_n(batch, LONG) == 100);
            for (std::uint64_t k = 100; k < 200;) {
                const auto slots = producer.reserve(200 - k, LONG);
                CHECK(!slots.empty());
                for (auto &slot : slots) {
                    slot = 200 * i + k++;
                }
                producer.commit(slots.size());
            }
        }
        return 0;
    });
    std::uint64_t next = 0;
    while (next < 10000) {
        for (const auto &number : consumer.peek(7, LONG)) {
            CHECK(number == next++);
            consumer.release(1);
            break;
        }
        std::uint64_t some[3];
        const std::size_t n = consumer.pop_n(some, shmkit::no_wait);
        for (std::size_t i = 0; i < n; ++i) {
            CHECK(some[i] == next++);
        }
    }
    CHECK(ended(other) == 0 && ring.size() == 0);
}

std::ptrdiff_t descriptors() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

// Whatever is moved is given back once, and nothing stays open.
void moves() {
    static_cast<void>(shmkit::lock());
    const auto before = descriptors();
    {
        shmkit::lock a, b;
        const auto *kept = a.handle();
        b = std::move(a);
        CHECK(b.handle() == kept && a.handle() == nullptr);
        std::vector<shmkit::lock> many;
        for (int i = 0; i < 10; ++i) {
            many.emplace_back();
        }
        const std::scoped_lock both(many[3], many[7]);
        CHECK(many[3].owner() == getpid() && many[4].owner() == 0);
        auto owned = std::make_unique<shmkit::queue>();
        auto loan = owned->reserve(8);
        shmkit::queue moved = std::move(*owned);
        owned.reset();
        auto other = moved.reserve(8);
        std::swap(loan, other);
        other.reset(); // given back
        shmkit::loan last = *std::move(loan);
        last.bytes()[0] = std::byte{1};
        last.commit(1);
        THROWS(SHMKIT_ERR_INVALID_ARGUMENT, last.commit(1));
        {
            auto first = moved.acquire();
            auto second = std::move(first);
            second->put_back();
        }
        CHECK(moved.acquire()->size() == 1 && !moved.acquire(shmkit::no_wait));
        shmkit::array<int> numbers(4);
        auto held = numbers.lock();
        auto still = std::move(held);
        THROWS(SHMKIT_ERR_DEADLOCK, numbers.try_lock());
        still = [&] {
            shmkit::array<int> others(1);
            static std::vector<shmkit::array<int>> alive;
            alive.push_back(std::move(others));
            return alive.back().lock();
        }();
        CHECK(still.size() == 1);
    }
    // One array lives on in a static.
    CHECK(descriptors() <= before + 1);
}

} // namespace

int main() {
    crowds();
    turns();
    rings();
    moves();
    return 0;
}
