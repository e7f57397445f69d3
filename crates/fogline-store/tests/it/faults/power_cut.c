/* Writes down what a process does to the files of one directory, and what it says on its standard output, in the order
 * in which it does so. FOGLINE_JOURNAL names the journal, FOGLINE_JOURNAL_OF the directory.
 *
 * Only one call at a time, so that the order is true. What was done to a file is written down first, what makes it last
 * (a sync) afterwards; making, removing and renaming is announced before (kind i) and written down afterwards, with
 * whether the file was there already. A kill loses at most the last entry. Nothing is really synced: that costs time, and
 * a kill does not need it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* As `Entry::parse` in lost_writes.rs reads it; then name and data. */
struct head {
    uint64_t kind, file, offset, name_bytes, data_bytes;
};

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static const char *directory;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FOGLINE_JOURNAL");
    directory = getenv("FOGLINE_JOURNAL_OF");
    if (path && directory) journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(char kind, uint64_t file, uint64_t offset, const char *name, const void *data, size_t data_bytes) {
    struct head head = {(uint64_t)kind, file, offset, strlen(name), data_bytes};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)name, head.name_bytes}, {(void *)data, data_bytes}};
    if (syscall(SYS_writev, journal, parts, 3) != (long)(sizeof head + head.name_bytes + data_bytes)) abort();
}

/* The name within the directory; empty for the directory itself; none for anything else. */
static const char *name_of(const char *path) {
    size_t length = directory ? strlen(directory) : 0;
    if (journal < 0 || strncmp(path, directory, length) != 0) return NULL;
    if (path[length] == 0) return path + length;
    return path[length] == '/' ? path + length + 1 : NULL;
}

static const char *name_of_open(int fd, char *path, uint64_t *file) {
    char link[64];
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = journal < 0 ? -1 : readlink(link, path, 4095);
    if (size < 0 || fstat(fd, &status) != 0) return NULL;
    path[size] = 0;
    *file = status.st_ino;
    return name_of(path);
}

static ssize_t changed(ssize_t result, ssize_t expected) {
    /* What was written down has not happened. */
    if (result != expected) abort();
    return result;
}

static ssize_t write_at(int fd, const void *data, size_t bytes, off_t offset, int positioned) {
    char path[4096];
    uint64_t file;
    int number = positioned ? SYS_pwrite64 : SYS_write;
    int saved = errno;
    const char *name = name_of_open(fd, path, &file);
    errno = saved;
    if (fd == STDOUT_FILENO && journal >= 0) {
        pthread_mutex_lock(&one_at_a_time);
        note('a', 0, 0, "", data, bytes);
        pthread_mutex_unlock(&one_at_a_time);
    }
    if (!name) return syscall(number, fd, data, bytes, offset);
    pthread_mutex_lock(&one_at_a_time);
    if (!positioned) offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    note('w', file, offset, "", data, bytes);
    ssize_t result = changed(syscall(number, fd, data, bytes, offset), bytes);
    pthread_mutex_unlock(&one_at_a_time);
    return result;
}

ssize_t write(int fd, const void *data, size_t bytes) { return write_at(fd, data, bytes, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) { return write_at(fd, data, bytes, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t offset) { return write_at(fd, data, bytes, offset, 1); }

int ftruncate(int fd, off_t bytes) {
    char path[4096];
    uint64_t file;
    const char *name = name_of_open(fd, path, &file);
    if (!name) return (int)syscall(SYS_ftruncate, fd, bytes);
    pthread_mutex_lock(&one_at_a_time);
    note('t', file, bytes, "", NULL, 0);
    int result = (int)changed(syscall(SYS_ftruncate, fd, bytes), 0);
    pthread_mutex_unlock(&one_at_a_time);
    return result;
}

int ftruncate64(int fd, off_t bytes) { return ftruncate(fd, bytes); }

int fsync(int fd) {
    char path[4096];
    uint64_t file;
    const char *name = name_of_open(fd, path, &file);
    if (!name) return (int)syscall(SYS_fsync, fd);
    pthread_mutex_lock(&one_at_a_time);
    note(*name ? 's' : 'd', file, 0, name, NULL, 0);
    pthread_mutex_unlock(&one_at_a_time);
    return 0;
}

int fdatasync(int fd) { return fsync(fd); }

static int open_it(const char *path, int flags, va_list rest) {
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    const char *name = name_of(path);
    if (!name || !(flags & (O_CREAT | O_TRUNC))) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&one_at_a_time);
    int existed = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
    if (!existed) note('i', 0, 0, name, NULL, 0);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0) {
        if (flags & O_CREAT) note('c', status.st_ino, existed, name, NULL, 0);
        if (existed && flags & O_TRUNC) note('t', status.st_ino, 0, "", NULL, 0);
    }
    pthread_mutex_unlock(&one_at_a_time);
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int fd = open_it(path, flags, rest);
    va_end(rest);
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int fd = open_it(path, flags, rest);
    va_end(rest);
    return fd;
}

int unlink(const char *path) {
    const char *name = name_of(path);
    if (!name) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&one_at_a_time);
    note('i', 0, 0, name, NULL, 0);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int saved = errno;
    if (result == 0) note('u', 0, 0, name, NULL, 0);
    pthread_mutex_unlock(&one_at_a_time);
    errno = saved;
    return result;
}

int rename(const char *from, const char *to) {
    const char *name = name_of(from), *new_name = name_of(to);
    if (!name || !new_name) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&one_at_a_time);
    note('i', 0, 0, name, NULL, 0);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    int saved = errno;
    if (result == 0) note('r', 0, 0, name, new_name, strlen(new_name));
    pthread_mutex_unlock(&one_at_a_time);
    errno = saved;
    return result;
}
