// Processes by lambdas, functions, fork and exec; their arguments and their ends.
#include "check.hpp"

#include <cstring>
#include <mutex>
#include <stdexcept>

#if defined(AUTO)
SHMKIT_AUTO_INIT
#endif

namespace {

using namespace std::chrono_literals;

int global = 1;
const std::string constructed("before a child is taken over");

struct point {
    double x, y;
};

int add(int a, short b) { return a + b; }

void takes_by_value(shmkit::pipe pipe, point where) {
    CHECK(where.x == 1.5 && where.y == -2.5);
    CHECK(pipe.send("from a function"));
}

void arguments() {
    global = 2;
    shmkit::queue words;
    shmkit::lock lock;
    shmkit::value<std::uint64_t> sum(0);
    shmkit::array<char> text(5);
    auto [here, there] = shmkit::pipe::make();
    const point origin{3, 4};
    shmkit::process child(
        [](shmkit::queue &q, int n, const point &p, shmkit::lock &l, shmkit::value<std::uint64_t> &s,
           shmkit::pipe &end, shmkit::array<char> &t) {
            CHECK(constructed == "before a child is taken over");
            CHECK(global == 1 && n == 42 && p.x == 3 && p.y == 4);
            const std::lock_guard guard(l);
            s.update([](std::uint64_t &v) { v += 7; });
            std::memcpy(t.lock().data(), "text!", 5);
            CHECK(end.recv_string() == "ping" && end.send("pong"));
            return q.put("a word") ? 5 : 6;
        },
        words, 42, origin, lock, sum, std::move(there), text);
    CHECK(there.handle() == nullptr && child.pid() > 0 && child.pid() != getpid());
    CHECK(here.send("ping") && here.recv_string(LONG) == "pong");
    CHECK(words.get_string(LONG) == "a word");
    const auto end = child.join();
    CHECK(end.code == 5 && end.signal == 0 && !end.ok() && !child.is_alive());
    CHECK(child.join().code == 5 && child.join_for(0s)->code == 5);
    CHECK(sum.get() == 7 && text.get(4) == '!' && lock.owner() == 0);
    shmkit_status why = SHMKIT_OK;
    CHECK(!here.recv_string(LONG, &why) && why == SHMKIT_ERR_CLOSED);
    global = 1;
}

void functions() {
    CHECK(shmkit::process::spawn<add>(40, static_cast<short>(2)).join().code == 42);
    auto [here, there] = shmkit::pipe::make();
    auto child = shmkit::process::spawn<takes_by_value>(std::move(there), point{1.5, -2.5});
    CHECK(here.recv_string(LONG) == "from a function" && child.join().ok());
}

void rings() {
    shmkit::ring<int> ring(16);
    auto consumer = ring.consumer();
    THROWS(SHMKIT_ERR_BUSY, ring.consumer());
    shmkit::process_options options;
    options.name = "numbers";
    options.fork_server = true;
    shmkit::process child(
        options,
        [](shmkit::producer<int> numbers) {
            CHECK(std::strcmp(shmkit::process::own_name(), "numbers") == 0);
            for (int i = 0; i < 1000; ++i) {
                CHECK(numbers.push(i));
            }
        },
        ring.producer());
    for (int i = 0; i < 1000; ++i) {
        CHECK(consumer.pop(LONG) == i);
    }
    shmkit_status why = SHMKIT_OK;
    CHECK(!consumer.pop(LONG, &why) && why == SHMKIT_ERR_CLOSED);
    CHECK(child.join().ok());
}

void ends() {
    shmkit::process thrower([] { throw std::runtime_error("thrown in a child, caught there"); });
    CHECK(thrower.join().code == 1);
    shmkit::process odd([] { throw 5; });
    CHECK(odd.join().code == 1);

    shmkit::event never;
    shmkit::process waiter([](shmkit::event &e) { e.wait(); }, never);
    CHECK(waiter.is_alive() && !waiter.join_for(1ms) && waiter.fd() >= 0);
    waiter.kill();
    CHECK(waiter.join().signal == SIGKILL);
    shmkit::process_options options;
    options.daemon = true;
    shmkit::process daemon(options, [](shmkit::event &e) { e.wait(); }, never);
    daemon.terminate();
    CHECK(daemon.join().signal == SIGTERM);
}

void forks() {
    int seen = 20;
    shmkit::value<int> shared(1);
    auto child = shmkit::process::fork([&] {
        shared.fetch_add(seen);
        ++seen;
        return seen;
    });
    CHECK(child.join().code == 21 && seen == 20 && shared.get() == 21);
    CHECK(shmkit::process::exec("sh", {"-c", "exit 9"}).join().code == 9);
    THROWS(SHMKIT_ERR_NOT_FOUND, shmkit::process::exec("/no/such/program"));
}

} // namespace

int main() {
#if !defined(AUTO)
    THROWS(SHMKIT_ERR_UNSUPPORTED, shmkit::process([] {}));
    shmkit::init();
#endif
    arguments();
    functions();
    rings();
    ends();
    forks();
    return 0;
}
