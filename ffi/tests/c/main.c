/* Runs the suites that it is told to. */
#include "suites.h"

#include <dirent.h>
#include <unistd.h>

/* Open descriptors, and names of this process in the folder of shared memory. */
static int count(const char *folder, const char *start) {
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    int found = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        found += strncmp(entry->d_name, start, strlen(start)) == 0;
    }
    closedir(dir);
    return found;
}

#ifdef AUTO
SHMKIT_AUTO_INIT
#endif

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
        int times;
    } suites[] = {
        {"data", data, 2},   {"managers", managers, 2}, {"messages", messages, 2},
        {"nulls", nulls, 2}, {"pool", pool, 1},         {"process", process, 1},
        {"smoke", smoke, 2}, {"sync_objects", sync_objects, 2},
    };
#ifndef AUTO
    before_init();
    shmkit_init();
#endif
    for (int i = 1; i < argc; i++) {
        int found = 0;
        for (size_t n = 0; n < sizeof suites / sizeof *suites; n++) {
            if (strcmp(suites[n].name, argv[i]) == 0) {
                suites[n].run();
                /* The library keeps some descriptors: as many after the second time as after the first. */
                const int open = count("/proc/self/fd", "");
                for (int turn = 1; turn < suites[n].times; turn++) {
                    suites[n].run();
                    CHECK(count("/proc/self/fd", "") == open);
                }
                found = 1;
            }
        }
        CHECK(found);
    }
    char names[64];
    for (const char *const *kind = (const char *const[]){"sync", "pipe", NULL}; *kind; kind++) {
        snprintf(names, sizeof names, "shmkit.c.%s.%d", *kind, (int)getpid());
        CHECK(count("/dev/shm", names) == 0);
    }
    return 0;
}
