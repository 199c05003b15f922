// What the C++ tests share: a check that says where it failed.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <shmkit.hpp>

#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
            std::abort();                                                                          \
        }                                                                                          \
    } while (0)

// Calls, and checks that it throws an error with this status.
#define THROWS(expected, call)                                                                     \
    do {                                                                                           \
        bool thrown_ = false;                                                                      \
        try {                                                                                      \
            [&] { return call; }();                                                               \
        } catch (const shmkit::error &e) {                                                         \
            thrown_ = true;                                                                        \
            if (e.status() != (expected)) {                                                        \
                std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, e.what());      \
                std::abort();                                                                      \
            }                                                                                      \
        }                                                                                          \
        CHECK(thrown_ && #call);                                                                   \
    } while (0)

// Longer than anything takes that is not stuck.
constexpr std::chrono::seconds LONG(60);

// Runs `f` in a child, which ends with what it returns.
template <class F>
pid_t in_child(F f) {
    std::fflush(nullptr);
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        _exit(f());
    }
    return pid;
}

// How a child ended: its exit code, or minus its signal.
inline int ended(pid_t pid) {
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
