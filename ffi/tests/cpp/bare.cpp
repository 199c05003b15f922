// Without exceptions and type information: the same calls; an error ends the program with words.
#include <shmkit.hpp>

#include <mutex>
#include <string_view>
#include <thread>

int main(int argc, char **argv) {
    if (argc > 1 && std::string_view(argv[1]) == "fail") {
        const auto lock = shmkit::lock::open("shmkit-no-such-lock");
        return lock.handle() != nullptr;
    }
    shmkit::lock lock;
    shmkit::condition condition;
    shmkit::queue queue;
    shmkit::value<int> sum(0);
    std::thread other([&] {
        while (const auto number = queue.get_value<int>()) {
            const std::lock_guard guard(lock);
            sum.fetch_add(*number);
            condition.notify_one();
        }
    });
    for (int i = 1; i <= 10; ++i) {
        if (!queue.put_value(i)) {
            return 1;
        }
    }
    {
        std::unique_lock guard(lock);
        condition.wait(guard, [&] { return sum.load() == 55; });
    }
    queue.close();
    other.join();
    return sum.get() == 55 && !queue.get_string(shmkit::no_wait) ? 0 : 2;
}
