/* A child answers what it is sent, in capital letters, until the pipe ends. */
#include "example.h"
#include <ctype.h>

static int child(void *arg) {
    shmkit_pipe *pipe;
    char text[64];
    size_t len;
    (void)arg;
    must(shmkit_pipe_passed(0, &pipe));
    while (shmkit_pipe_recv(pipe, text, sizeof text, &len, SHMKIT_FOREVER) == SHMKIT_OK) {
        for (size_t i = 0; i < len; i++) text[i] = (char)toupper((unsigned char)text[i]);
        must(shmkit_pipe_send(pipe, text, len, SHMKIT_FOREVER));
    }
    shmkit_pipe_free(pipe);
    return 0;
}

int main(void) {
    shmkit_init(); /* first: a child does not come back from here */

    shmkit_pipe *here, *there;
    must(shmkit_pipe_create(NULL, NULL, NULL, &here, &there));
    const shmkit_handle handles[] = {{SHMKIT_HANDLE_PIPE, there}};
    const shmkit_process_config config = {
        .struct_size = sizeof config, .handles = handles, .handle_count = 1};
    shmkit_process *process;
    must(shmkit_process_spawn(child, NULL, 0, &config, &process));
    shmkit_pipe_free(there); /* it has moved to the child */

    char text[64];
    size_t len;
    must(shmkit_pipe_send(here, "hello", 5, SHMKIT_FOREVER));
    must(shmkit_pipe_recv(here, text, sizeof text, &len, SHMKIT_FOREVER));
    printf("%.*s\n", (int)len, text);
    shmkit_pipe_free(here); /* the end, for the child */

    shmkit_exit end;
    must(shmkit_process_wait(process, SHMKIT_FOREVER, &end));
    printf("the child ended with %d\n", end.code);
    shmkit_process_free(process);
    return 0;
}
