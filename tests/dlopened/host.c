/* A program that loads a library with shmkit in it, and must never run its main in a child. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    (void)argc;
    printf("main\n");
    fflush(stdout);
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library) {
        printf("%s\n", dlerror());
        return 1;
    }
    int (*start)(int) = (int (*)(int))dlsym(library, "dlopened_start");
    printf("spawn %d\n", start(0));
    printf("server %d\n", start(1));
    printf("fork %d\n", start(2));
    return 0;
}
