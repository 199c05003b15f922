/* Runs the suites that it is told to. */
#include "suites.h"

#ifdef AUTO
SHMKIT_AUTO_INIT
#endif

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } suites[] = {
        {"data", data},   {"managers", managers}, {"messages", messages},         {"nulls", nulls},
        {"pool", pool},   {"process", process},   {"sync_objects", sync_objects}, {"smoke", smoke},
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
                found = 1;
            }
        }
        CHECK(found);
    }
    return 0;
}
