/*
 * Runs the program that is its first argument with the arguments behind that, and prints the largest resident size, in
 * KiB, of all the programs that this one process has been: exec does not reset ru_maxrss (getrusage(2)).
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    pid_t child = fork();
    if (child == 0) {
        execv(argv[1], argv + 2);
        _exit(126);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status) return 1;
    printf("%ld\n", usage.ru_maxrss);
    return 0;
}
