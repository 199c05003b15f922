// One of two units: what is declared here is used there, in another standard.
#include <shmkit.hpp>

#include <mutex>

void add(shmkit::lock &lock, shmkit::array<int> &numbers, int to_each);
std::string next(shmkit::queue &words);

int main() {
    shmkit::lock lock;
    shmkit::array<int> numbers(3);
    add(lock, numbers, 4);
    shmkit::queue words;
    if (!words.put("word") || next(words) != "word") {
        return 1;
    }
    for (const int number : numbers.lock()) {
        if (number != 4) {
            return 2;
        }
    }
    return 0;
}
