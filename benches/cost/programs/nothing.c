/* A git that does nothing, so that the time before it can be seen. */
int main(void) {
    return 0;
}
