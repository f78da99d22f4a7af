/*
 * Runs the program that is its first argument with the argv that follows, and prints what wait4(2) reports of that process:
 * the largest resident size of all programs that it has been, in KiB, and its page faults. exec resets neither
 * (getrusage(2)). Addresses are not randomised, so that two runs touch the same pages.
 */
#include <stdio.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    pid_t child = fork();
    if (child == 0) {
        personality(ADDR_NO_RANDOMIZE);
        execv(argv[1], argv + 2);
        _exit(126);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status) return 1;
    printf("%ld %ld\n", usage.ru_maxrss, usage.ru_minflt + usage.ru_majflt);
    return 0;
}
