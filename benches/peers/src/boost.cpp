// The queues of Boost in memory that forks share: `lockfree::queue` of fixed size, and
// `interprocess::message_queue`, which sleeps.

#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/lockfree/queue.hpp>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace ipc = boost::interprocess;

template <std::size_t Words, std::size_t Capacity> struct Lockfree {
    struct Item {
        std::uint64_t words[Words];
    };
    using Queue = boost::lockfree::queue<Item, boost::lockfree::capacity<Capacity>>;

    static void *make() {
        void *memory = mmap(nullptr, sizeof(Queue), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        return memory == MAP_FAILED ? nullptr : new (memory) Queue();
    }
    static bool push(void *queue, const void *item) {
        return static_cast<Queue *>(queue)->push(*static_cast<const Item *>(item));
    }
    static bool pop(void *queue, void *item) {
        return static_cast<Queue *>(queue)->pop(*static_cast<Item *>(item));
    }
};

struct Handle {
    void *queue;
    bool (*push)(void *, const void *);
    bool (*pop)(void *, void *);
};

template <std::size_t Words, std::size_t Capacity> static Handle lockfree() {
    using Kind = Lockfree<Words, Capacity>;
    return {Kind::make(), Kind::push, Kind::pop};
}

// Items of so many words of 8 bytes; no queue for other numbers than these.
extern "C" Handle boost_lockfree(std::size_t words) {
    switch (words) {
    case 1: return lockfree<1, 1024>();
    case 8: return lockfree<8, 1024>();
    case 128: return lockfree<128, 256>();
    default: return {};
    }
}

// The name goes at once: forks inherit the mapping.
extern "C" void *boost_message_queue(std::size_t capacity, std::size_t bytes) {
    static int made = 0;
    auto name = "shmkit.peer." + std::to_string(getpid()) + "." + std::to_string(made++);
    try {
        auto *queue = new ipc::message_queue(ipc::create_only, name.c_str(), capacity, bytes);
        ipc::message_queue::remove(name.c_str());
        return queue;
    } catch (...) {
        return nullptr;
    }
}

extern "C" bool boost_message_queue_push(void *queue, const void *item, std::size_t bytes, bool waits) {
    auto *own = static_cast<ipc::message_queue *>(queue);
    if (!waits) return own->try_send(item, bytes, 0);
    own->send(item, bytes, 0);
    return true;
}

extern "C" bool boost_message_queue_pop(void *queue, void *item, std::size_t bytes, bool waits) {
    auto *own = static_cast<ipc::message_queue *>(queue);
    ipc::message_queue::size_type got = 0;
    unsigned priority = 0;
    if (!waits) return own->try_receive(item, bytes, got, priority);
    own->receive(item, bytes, got, priority);
    return true;
}
