/* Three processes write records of three lines to one file, under a lock: none is torn apart. */
#include "example.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { WRITERS = 3, RECORDS = 30, LINE = 40 };

struct job {
    char path[64];
    int writer;
};

static int line_of(char *line, int writer, int record, int n) {
    return snprintf(line, LINE, "writer %d, record %d, line %d\n", writer, record, n);
}

static int write_records(void *arg) {
    const struct job *job = arg;
    shmkit_lock *turn;
    must(shmkit_lock_passed(0, &turn));
    const int file = open(job->path, O_WRONLY | O_APPEND);
    for (int record = 0; record < RECORDS; record++) {
        must(shmkit_lock_acquire(turn, SHMKIT_FOREVER));
        for (int n = 0; n < 3; n++) {
            char line[LINE];
            const int len = line_of(line, job->writer, record, n);
            if (write(file, line, (size_t)len) != len) return 1;
        }
        must(shmkit_lock_release(turn));
    }
    shmkit_lock_free(turn);
    return 0;
}

int main(void) {
    shmkit_init();
    shmkit_lock *turn;
    must(shmkit_lock_create(NULL, NULL, 0, &turn));
    const shmkit_handle handles[] = {{SHMKIT_HANDLE_LOCK, turn}};
    const shmkit_process_config config = {
        .struct_size = sizeof config, .handles = handles, .handle_count = 1};

    struct job job = {"/tmp/lock_file.XXXXXX", 0};
    const int file = mkstemp(job.path);
    shmkit_process *writers[WRITERS];
    for (job.writer = 0; job.writer < WRITERS; job.writer++) {
        must(shmkit_process_spawn(write_records, &job, sizeof job, &config, &writers[job.writer]));
    }
    for (int i = 0; i < WRITERS; i++) {
        must(shmkit_process_wait(writers[i], SHMKIT_FOREVER, NULL));
        shmkit_process_free(writers[i]);
    }

    FILE *text = fdopen(file, "r");
    char line[LINE], expected[LINE];
    int lines = 0, whole = 0, fit = 0, writer = 0, record = 0;
    for (; fgets(line, LINE, text) != NULL; lines++) {
        const int n = lines % 3;
        if (n == 0) {
            fit = 0;
            sscanf(line, "writer %d, record %d", &writer, &record);
        }
        line_of(expected, writer, record, n);
        fit += strcmp(line, expected) == 0;
        whole += n == 2 && fit == 3;
    }
    printf("%d lines, %d whole records\n", lines, whole);
    fclose(text);
    unlink(job.path);
    shmkit_lock_free(turn);
    return 0;
}
