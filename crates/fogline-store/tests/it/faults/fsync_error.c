/* fsync that fails with EIO for files whose path ends with the first line of the file that FOGLINE_FSYNC_FAILS names. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int fd) {
    char ending[256], link[64], path[4096];
    const char *orders = getenv("FOGLINE_FSYNC_FAILS");
    FILE *file = orders ? fopen(orders, "r") : NULL;
    if (!file) return 0;
    size_t length = fread(ending, 1, sizeof ending - 1, file);
    fclose(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path);
    return length > 0 && size >= (ssize_t)length && memcmp(path + size - length, ending, length) == 0;
}

int fsync(int fd) {
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}
