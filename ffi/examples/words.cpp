// Words go through a queue to two workers, who count the letters.
#include <shmkit.hpp>

#include <iostream>
#include <sstream>
#include <vector>

int main() {
    shmkit::init();
    shmkit::queue words;
    shmkit::value<std::uint64_t> letters(0);

    const auto work = [](shmkit::queue &mine, shmkit::value<std::uint64_t> &sum) {
        // Read where it lies; should this process die now, the other worker gets the word.
        while (const auto word = mine.acquire()) {
            sum.fetch_add(word->size());
        }
    };
    std::vector<shmkit::process> workers;
    workers.emplace_back(work, words, letters);
    workers.emplace_back(work, words, letters);

    std::istringstream text("shared memory is the fastest way to talk to a neighbour");
    int count = 0;
    for (std::string word; text >> word; ++count) {
        words.put(word);
    }
    words.close(); // what is in it is still got
    for (auto &worker : workers) {
        worker.join();
    }
    std::cout << count << " words, " << letters.get() << " letters\n";
}
