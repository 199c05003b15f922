// Three processes write records of three lines to one file, under a lock: none is torn apart.
#include <shmkit.hpp>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <set>
#include <unistd.h>
#include <vector>

constexpr int writers = 3, records = 30;

static std::string record_of(int writer, int n) {
    const std::string begin = "writer " + std::to_string(writer) + ", record " + std::to_string(n);
    return begin + ", first line\n" + begin + ", second line\n" + begin + ", third line\n";
}

int main() {
    shmkit::init();
    shmkit::lock turn;
    std::array<char, 32> path{"/tmp/lock_file.XXXXXX"};
    ::close(::mkstemp(path.data()));

    std::vector<shmkit::process> all;
    for (int writer = 0; writer < writers; ++writer) {
        all.emplace_back(
            [](shmkit::lock &mine, std::array<char, 32> &name, int me) {
                for (int n = 0; n < records; ++n) {
                    const std::lock_guard guard(mine);
                    std::ofstream file(name.data(), std::ios::app);
                    for (const char c : record_of(me, n)) {
                        file << c << std::flush; // each letter on its own way
                    }
                }
            },
            turn, path, writer);
    }
    for (auto &process : all) {
        process.join();
    }

    std::set<std::string> expected;
    for (int writer = 0; writer < writers; ++writer) {
        for (int n = 0; n < records; ++n) {
            expected.insert(record_of(writer, n));
        }
    }
    std::ifstream file(path.data());
    int lines = 0, whole = 0;
    std::string record;
    for (std::string line; std::getline(file, line);) {
        record += line + '\n';
        if (++lines % 3 == 0) {
            whole += expected.count(record) != 0 ? 1 : 0;
            record.clear();
        }
    }
    ::unlink(path.data());
    std::cout << lines << " lines, " << whole << " whole records\n";
}
