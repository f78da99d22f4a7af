/*
 * A git that writes NOISE bytes to stderr and succeeds; with REFUSED=1, and without --no-hardlinks, it fails as git does
 * whose link was refused. It takes no time and memory of its own, so that those of the shim can be seen.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_all(const char *text, size_t length) {
    while (length) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written <= 0) _exit(1);
        text += written;
        length -= (size_t)written;
    }
}

int main(int argc, char **argv) {
    static char line[4096];
    memset(line, '.', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    const char *noise = getenv("NOISE");
    size_t left = noise ? strtoul(noise, NULL, 10) : 0;
    while (left) {
        size_t length = left < sizeof line ? left : sizeof line;
        write_all(line, length);
        left -= length;
    }
    if (strcmp(getenv("REFUSED"), "1") || !strcmp(argv[argc - 1], "--no-hardlinks")) return 0;
    static const char fatal[] = "fatal: failed to create link 'b/.git/objects/4b/825d': Invalid cross-device link\n";
    write_all(fatal, sizeof fatal - 1);
    return 128;
}
