/*
 * A git that says as much as NOISE tells, in bytes, and then dies of a refused link as git does, or succeeds where it need
 * not link. So the shim's own share of time and memory can be seen.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *text, size_t length) {
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
        size_t some = left < sizeof line ? left : sizeof line;
        say(line, some);
        left -= some;
    }
    if (!getenv("REFUSED") || !strcmp(argv[argc - 1], "--no-hardlinks")) return 0;
    static const char fatal[] = "fatal: failed to create link 'x': Operation not permitted\n";
    say(fatal, sizeof fatal - 1);
    return 128;
}
