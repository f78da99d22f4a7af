/* A git that does nothing: whatever takes time around it can be seen. */
int main(void) {
    return 0;
}
