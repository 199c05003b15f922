// The other of two units.
#include <shmkit.hpp>

#include <mutex>

void add(shmkit::lock &lock, shmkit::array<int> &numbers, int to_each);
std::string next(shmkit::queue &words);

void add(shmkit::lock &lock, shmkit::array<int> &numbers, int to_each) {
    const std::lock_guard guard(lock);
    for (int &number : numbers.lock()) {
        number += to_each;
    }
}

std::string next(shmkit::queue &words) {
    const auto message = words.acquire();
    return std::string(message->text());
}
