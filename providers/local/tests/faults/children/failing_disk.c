/* A disk that fails: loaded before libc, it lets system calls on files below one folder fail.

   FAULTS_FOLDER   real path of the folder; calls on anything else go through
   FAULTS_CONTROL  a file; while it is there, calls fail. It holds the error number and the kinds of calls: "28 wt"

   Kinds: r read, w write, s sync, t set the length, o open, n create, rename and delete names.

   A process can also arm itself: faults_arm(28, "w", 3) lets its third write from now fail, once. A write that fails
   has written its first half: disks tear. With error -1 the process is killed at that call instead. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int armed_error, armed_left, armed_failed, counted;
static char armed_kinds[16] = "";

void faults_arm(int error, const char *kinds, int nth) {
    snprintf(armed_kinds, sizeof armed_kinds, "%s", kinds);
    armed_error = error, armed_left = nth, armed_failed = counted = 0;
}

int faults_counted(void) { return counted; }
int faults_failed(void) { return armed_failed; }

static int is_below(const char *path) {
    const char *folder = getenv("FAULTS_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static int file_is_below(int file) {
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_below(path);
}

static int name_is_below(const char *name) {
    char folder[PATH_MAX], path[PATH_MAX];
    if (name[0] == '/')
        return is_below(name);
    if (!getcwd(folder, sizeof folder))
        return 0;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && is_below(path);
}

static int asked_by_file(char kind) {
    const char *control = getenv("FAULTS_CONTROL");
    if (!control)
        return 0;
    int file = REAL(open)(control, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    char text[32] = "", kinds[16] = "";
    int error = 0;
    ssize_t length = REAL(read)(file, text, sizeof text - 1);
    REAL(close)(file);
    return length > 0 && sscanf(text, "%d %15s", &error, kinds) == 2 && strchr(kinds, kind) ? error : 0;
}

static void fail_with(int error) {
    if (error < 0)
        kill(getpid(), SIGKILL);
    errno = error;
}

/* The error that this call shall fail with, or 0. */
static int fault(char kind, int below) {
    int before = errno, error = 0;
    if (below) {
        error = asked_by_file(kind);
        if (strchr(armed_kinds, kind)) {
            counted++;
            if (armed_left > 0 && --armed_left == 0)
                error = armed_error, armed_failed = 1;
        }
    }
    errno = before;
    return error;
}

#define FAIL_IF(kind, below)                                                                                          \
    do {                                                                                                              \
        int error_ = fault(kind, below);                                                                              \
        if (error_) {                                                                                                 \
            fail_with(error_);                                                                                        \
            return -1;                                                                                                \
        }                                                                                                             \
    } while (0)

#define FAIL_TORN_IF(half)                                                                                            \
    do {                                                                                                              \
        int error_ = fault('w', file_is_below(file));                                                                 \
        if (error_) {                                                                                                 \
            ssize_t torn_ = (half);                                                                                   \
            (void)torn_;                                                                                              \
            fail_with(error_);                                                                                        \
            return -1;                                                                                                \
        }                                                                                                             \
    } while (0)

ssize_t write(int file, const void *data, size_t count) {
    FAIL_TORN_IF(REAL(write)(file, data, count / 2));
    return REAL(write)(file, data, count);
}

ssize_t pwrite(int file, const void *data, size_t count, off_t at) {
    FAIL_TORN_IF(REAL(pwrite)(file, data, count / 2, at));
    return REAL(pwrite)(file, data, count, at);
}

ssize_t pwrite64(int file, const void *data, size_t count, off64_t at) {
    FAIL_TORN_IF(REAL(pwrite64)(file, data, count / 2, at));
    return REAL(pwrite64)(file, data, count, at);
}

ssize_t read(int file, void *data, size_t count) {
    FAIL_IF('r', file_is_below(file));
    return REAL(read)(file, data, count);
}

ssize_t pread(int file, void *data, size_t count, off_t at) {
    FAIL_IF('r', file_is_below(file));
    return REAL(pread)(file, data, count, at);
}

ssize_t pread64(int file, void *data, size_t count, off64_t at) {
    FAIL_IF('r', file_is_below(file));
    return REAL(pread64)(file, data, count, at);
}

int fsync(int file) {
    FAIL_IF('s', file_is_below(file));
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    FAIL_IF('s', file_is_below(file));
    return REAL(fdatasync)(file);
}

int ftruncate(int file, off_t length) {
    FAIL_IF('t', file_is_below(file));
    return REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
    FAIL_IF('t', file_is_below(file));
    return REAL(ftruncate64)(file, length);
}

#define MODE_OF(flags)                                                                                                \
    va_list more;                                                                                                     \
    va_start(more, flags);                                                                                            \
    int mode = (flags) & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0;                                             \
    va_end(more)

int open(const char *name, int flags, ...) {
    MODE_OF(flags);
    FAIL_IF('o', name_is_below(name));
    return REAL(open)(name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE_OF(flags);
    FAIL_IF('o', name_is_below(name));
    return REAL(open64)(name, flags, mode);
}

int mkdir(const char *name, mode_t mode) {
    FAIL_IF('n', name_is_below(name));
    return REAL(mkdir)(name, mode);
}

int rename(const char *from, const char *to) {
    FAIL_IF('n', name_is_below(to));
    return REAL(rename)(from, to);
}

int unlink(const char *name) {
    FAIL_IF('n', name_is_below(name));
    return REAL(unlink)(name);
}
