// One of each, from beginning to end.
#include "check.hpp"

#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;

struct frame {
    std::uint32_t width, height;
    std::uint64_t serial;
};

} // namespace

template <>
struct shmkit::tag<frame> {
    static constexpr const char *value = "smoke::frame";
};

namespace {

void locks() {
    shmkit::lock lock;
    {
        const std::lock_guard guard(lock);
        CHECK(lock.owner() == getpid());
        THROWS(SHMKIT_ERR_DEADLOCK, lock.lock());
    }
    CHECK(lock.owner() == 0);
    THROWS(SHMKIT_ERR_NOT_OWNER, lock.unlock());
    shmkit::rlock again;
    {
        const std::scoped_lock both(lock, again);
        again.lock();
        again.unlock();
    }
    std::unique_lock guard(lock, 10s);
    CHECK(guard.owns_lock());
    shmkit::condition condition;
    CHECK(condition.wait_for(guard, 1ms) == std::cv_status::timeout);
    CHECK(!condition.wait_for(guard, 1ms, [] { return false; }));
    condition.wait(guard, [] { return true; });
    condition.notify_all();

    shmkit::rw_lock shared;
    {
        const std::shared_lock first(shared);
        const std::shared_lock second(shared);
        THROWS(SHMKIT_ERR_DEADLOCK, shared.lock());
    }
    CHECK(shared.try_lock_for(1s));
    shared.unlock();
    CHECK(!shared.lock_or_recover([] {}));
    shared.unlock();

    shmkit::semaphore semaphore(1, 2);
    CHECK(semaphore.try_acquire() && !semaphore.try_acquire());
    CHECK(!semaphore.try_acquire_for(1ms));
    semaphore.release(2);
    THROWS(SHMKIT_ERR_OVERFLOW, semaphore.release());
    CHECK(semaphore.value() == 2);

    shmkit::event event;
    CHECK(!event.is_set() && !event.wait_for(1us));
    event.set();
    event.wait();
    CHECK(event.is_set());

    shmkit::barrier barrier(1);
    CHECK(barrier.arrive_and_wait() == 0u);
    barrier.abort();
    CHECK(barrier.is_broken() && !barrier.arrive_and_wait());
}

void data() {
    shmkit::array<std::uint64_t> array(3);
    {
        const auto guard = array.lock();
        CHECK(guard.size() == 3 && guard[0] == 0);
        guard[2] = 7;
        
    }
    CHECK(array.fetch_add(2, 3) == 7 && array.get(2) == 10 && array.load(2) == 10);
    std::uint64_t expected = 1;
    CHECK(!array.compare_exchange(2, expected, 5) && expected == 10);
    CHECK(array.compare_exchange(2, expected, 5));
    THROWS(SHMKIT_ERR_INVALID_ARGUMENT, array.fetch_add(3, 1));

    shmkit::value<frame> value(frame{640, 480, 1});
    CHECK(value.update([](frame &f) { return ++f.serial; }) == 2);
    CHECK(value.get().serial == 2 && value.lock()->width == 640);
    shmkit::atomic_value<frame> whole(frame{1, 2, 3});
    CHECK(whole.update([](frame &f) { return ++f.serial; }) == 4 && whole.get().serial == 4);
    whole.set(frame{5, 6, 7});
    CHECK(whole.get().width == 5);
    shmkit::atomic_value<std::uint64_t> counter(5);
    std::uint64_t was = 1;
    CHECK(counter.fetch_add(1) == 5 && !counter.compare_exchange(was, 9) && was == 6);
    CHECK(counter.compare_exchange(was, 9) && counter.get() == 9);
    shmkit::value<int> zero(0);
    CHECK(zero.fetch_sub(1) == 0 && zero.load() == -1);
}

void messages() {
    shmkit::queue queue;
    CHECK(queue.put("hello"));
    CHECK(queue.get_string() == "hello");
    CHECK(queue.put_value(frame{1, 2, 3}));
    CHECK(queue.get_value<frame>()->serial == 3);
    {
        auto loan = queue.reserve(sizeof(frame));
        CHECK(loan);
        loan->emplace<frame>(frame{4, 5, 6});
        loan->commit();
        CHECK(queue.reserve(8)); // given back at once
    }
    {
        const auto message = queue.acquire();
        CHECK(message && message->as<frame>().width == 4 && message->size() == sizeof(frame));
    }
    const std::vector<int> numbers{1, 2, 3, 4};
    CHECK(queue.put_values<int>(numbers) == 4 && queue.size() == 4);
    std::vector<int> got(8);
    CHECK(queue.get_values<int>(got) == 4 && got[3] == 4);
    CHECK(!queue.get_string(1ms));
    queue.close();
    shmkit_status why = SHMKIT_OK;
    CHECK(!queue.get_string(shmkit::forever, &why) && why == SHMKIT_ERR_CLOSED);

    shmkit::joinable_queue jobs;
    CHECK(jobs.put("job"));
    CHECK(jobs.acquire()->text() == "job"); // dropped undone: it comes again
    CHECK(!jobs.join(1ms));
    jobs.acquire()->release();
    CHECK(jobs.join());

    auto [a, b] = shmkit::pipe::make();
    CHECK(a.send("ping") && b.recv_string() == "ping");
    CHECK(!b.poll());
    b.send_value(5);
    CHECK(a.recv_value<int>() == 5);
    a.close();
    CHECK(!b.recv_string(shmkit::forever, &why) && why == SHMKIT_ERR_CLOSED);
}

void strangers() {
    const std::string path = "/tmp/shmkit-smoke." + std::to_string(getpid());
    THROWS(SHMKIT_ERR_NOT_FOUND, shmkit::pipe::connect(path));
    {
        shmkit::listener listener(path);
        CHECK(!listener.accept(1ms));
        const pid_t client = in_child([&] {
            auto pipe = shmkit::pipe::connect(path, LONG);
            return pipe && pipe->send("hello") && pipe->recv_string(LONG) == "welcome" ? 0 : 1;
        });
        auto pipe = listener.accept(LONG);
        CHECK(pipe && pipe->recv_string(LONG) == "hello" && pipe->send("welcome"));
        CHECK(ended(client) == 0);
    }
    CHECK(access(path.c_str(), F_OK) != 0);
}

void places() {
    const shmkit::region region(1 << 20);
    shmkit::lock lock = shmkit::lock::create({region, "lock"});
    THROWS(SHMKIT_ERR_EXISTS, shmkit::lock::create({region, "lock"}));
    const shmkit::lock same = shmkit::lock::open_or_create({region, "lock"});
    const std::lock_guard guard(lock);
    CHECK(same.owner() == getpid());
    shmkit::array<float> numbers = shmkit::array<float>::create({region, "numbers"}, 2);
    THROWS(SHMKIT_ERR_TYPE_MISMATCH, shmkit::array<int>::open({region, "numbers"}));
    THROWS(SHMKIT_ERR_NOT_FOUND, shmkit::array<int>::open({region, "others"}));
    try {
        static_cast<void>(shmkit::lock::open({region, "others"}));
        CHECK(false);
    } catch (const std::system_error &e) {
        CHECK(e.code() == SHMKIT_ERR_NOT_FOUND && e.code() == std::errc::no_such_file_or_directory);
    }
}

} // namespace

int main() {
    locks();
    data();
    messages();
    strangers();
    places();
    return 0;
}
