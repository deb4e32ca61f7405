/* Stands between the daemon and libc (LD_PRELOAD): makes file calls below one folder fail as told, and writes down what is
 * done to them and when an answer goes out.
 *
 * SHIM_FOLDER   the folder
 * SHIM_CONTROL  a file of six numbers of 64 bits, shared with the test while the daemon runs: mode, classes, which call,
 *               errno, calls so far, calls failed; then the text of the last failed call (a look at the disk only where
 *               nothing else failed), and of the only calls that count, if not all do
 * SHIM_TRACE    a file that gets a line per call: name, path, second path
 * SHIM_WRITTEN  a file that gets everything that is written to files
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { OFF = 0, ONCE = 1, FROM_THEN_ON = 2 };

/* What a call does to the disk: only some errors make sense for it. */
enum class { CHANGES = 1, READS = 2, LOCKS = 4 };

struct control {
    _Atomic uint64_t mode;
    _Atomic uint64_t classes;
    _Atomic uint64_t nth;
    _Atomic uint64_t error;
    _Atomic uint64_t calls;
    _Atomic uint64_t failed;
    char last[400];
    char only[100];
};

static struct control *control;
static int trace = -1;
static int copy = -1;
static char folder[PATH_MAX];
static size_t folder_length;

#define REAL(type, name, ...)                          \
    static type (*real_##name)(__VA_ARGS__);           \
    if (!real_##name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SHIM_FOLDER");
    if (!name) return;
    snprintf(folder, sizeof folder, "%s", name);
    folder_length = strlen(folder);
    name = getenv("SHIM_CONTROL");
    int file = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *at = (void *)syscall(SYS_mmap, 0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (at != MAP_FAILED) control = at;
        syscall(SYS_close, file);
    }
    name = getenv("SHIM_TRACE");
    if (name) trace = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    name = getenv("SHIM_WRITTEN");
    if (name) copy = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int watching(void) { return folder_length && (trace >= 0 || copy >= 0 || (control && control->mode)); }

static int inside(const char *path) {
    return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || !path[folder_length]);
}

/* The path of a descriptor; empty when it has none. */
static void path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
}

static void path_at(int at, const char *name, char *path) {
    if (name[0] == '/' || at == AT_FDCWD) {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    path_of(at, path);
    if (!name[0]) return;
    size_t length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "/%s", name);
}

static void note(const char *call, const char *path, const char *second) {
    if (trace < 0) return;
    char line[3 * PATH_MAX];
    int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", call, path, second);
    syscall(SYS_write, trace, line, (size_t)length);
}

static void keep(const void *bytes, ssize_t written) {
    if (copy >= 0 && written > 0) syscall(SYS_write, copy, bytes, (size_t)written);
}

/* Whether this call is to fail; errno is set then. */
static int fails(enum class class, const char *call, const char *path) {
    if (!control || !control->mode || !(control->classes & class) || !inside(path)) return 0;
    char text[sizeof control->last];
    snprintf(text, sizeof text, "%s %s", call, path + folder_length);
    if (control->only[0] && strcmp(control->only, text) != 0) return 0;
    uint64_t number = ++control->calls, nth = control->nth;
    if (control->mode == ONCE ? number != nth : number < nth) return 0;
    /* The daemon looks at the disk after another failure: that one is what is asked for. */
    int looks = strstr(text, " /.write-probe") != NULL;
    if (!looks || !control->failed) memcpy(control->last, text, sizeof text);
    control->failed++;
    errno = (int)control->error;
    return 1;
}

#define ON_PATH(class, call, at, name, failure)          \
    char path[PATH_MAX];                                 \
    int watched = watching();                            \
    if (watched) {                                       \
        path_at(at, name, path);                         \
        watched = inside(path);                          \
        if (watched && fails(class, call, path)) return failure; \
    }

#define ON_FD(class, call, fd, failure)                  \
    char path[PATH_MAX];                                 \
    int watched = watching();                            \
    if (watched) {                                       \
        path_of(fd, path);                               \
        watched = inside(path);                          \
        if (watched && fails(class, call, path)) return failure; \
    }

#define TOLD(call, good)                                 \
    if (watched && (good)) {                             \
        int kept = errno;                                \
        note(call, path, "");                            \
        errno = kept;                                    \
    }

/* --- opening --- */

static enum class of_flags(int flags) {
    return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) ? CHANGES : READS;
}

static int is_new(const char *path) { return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0; }

#define OPENING(name, at, file, flags, call)                                   \
    mode_t mode = 0;                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                       \
        va_list rest;                                                          \
        va_start(rest, flags);                                                 \
        mode = va_arg(rest, mode_t);                                           \
        va_end(rest);                                                          \
    }                                                                          \
    ON_PATH(of_flags(flags), "open", at, file, -1)                             \
    int creates = watched && trace >= 0 && (flags & O_CREAT) && is_new(path);  \
    int fd = call;                                                             \
    TOLD("create", creates && fd >= 0)                                         \
    return fd;

int open(const char *file, int flags, ...) {
    REAL(int, open, const char *, int, ...);
    OPENING(open, AT_FDCWD, file, flags, real_open(file, flags, mode))
}

int open64(const char *file, int flags, ...) {
    REAL(int, open64, const char *, int, ...);
    OPENING(open64, AT_FDCWD, file, flags, real_open64(file, flags, mode))
}

int openat(int at, const char *file, int flags, ...) {
    REAL(int, openat, int, const char *, int, ...);
    OPENING(openat, at, file, flags, real_openat(at, file, flags, mode))
}

int openat64(int at, const char *file, int flags, ...) {
    REAL(int, openat64, int, const char *, int, ...);
    OPENING(openat64, at, file, flags, real_openat64(at, file, flags, mode))
}

DIR *opendir(const char *name) {
    REAL(DIR *, opendir, const char *);
    ON_PATH(READS, "opendir", AT_FDCWD, name, NULL)
    return real_opendir(name);
}

struct dirent64 *readdir64(DIR *dir) {
    REAL(struct dirent64 *, readdir64, DIR *);
    ON_FD(READS, "readdir", dirfd(dir), NULL)
    return real_readdir64(dir);
}

/* --- writing --- */

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, write, int, const void *, size_t);
    ON_FD(CHANGES, "write", fd, -1)
    ssize_t written = real_write(fd, bytes, count);
    TOLD("write", written >= 0)
    if (watched) keep(bytes, written);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    char path[PATH_MAX];
    if (trace >= 0) {
        path_of(fd, path);
        if (strncmp(path, "socket:", 7) == 0) note("send", path, "");
    }
    ssize_t written;
    {
        ON_FD(CHANGES, "write", fd, -1)
        written = real_writev(fd, parts, count);
        TOLD("write", written >= 0)
        for (int part = 0; watched && part < count; part++) keep(parts[part].iov_base, (ssize_t)parts[part].iov_len);
    }
    return written;
}

#define PWRITE(name, offset_type)                                                  \
    ssize_t name(int fd, const void *bytes, size_t count, offset_type offset) {    \
        REAL(ssize_t, name, int, const void *, size_t, offset_type);               \
        ON_FD(CHANGES, "write", fd, -1)                                            \
        ssize_t written = real_##name(fd, bytes, count, offset);                   \
        TOLD("write", written >= 0)                                                \
        if (watched) keep(bytes, written);                                         \
        return written;                                                            \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, offset_type)                        \
    int name(int fd, offset_type length) {                 \
        REAL(int, name, int, offset_type);                 \
        ON_FD(CHANGES, "truncate", fd, -1)                 \
        int result = real_##name(fd, length);              \
        TOLD("write", result == 0)                         \
        return result;                                     \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define ALLOCATE(name, offset_type)                                    \
    int name(int fd, offset_type offset, offset_type length) {         \
        REAL(int, name, int, offset_type, offset_type);                \
        ON_FD(CHANGES, "allocate", fd, errno)                          \
        return real_##name(fd, offset, length);                        \
    }
ALLOCATE(posix_fallocate, off_t)
ALLOCATE(posix_fallocate64, off64_t)

#define SYNC(name)                                         \
    int name(int fd) {                                     \
        REAL(int, name, int);                              \
        ON_FD(CHANGES, "sync", fd, -1)                     \
        int result = real_##name(fd);                      \
        TOLD("sync", result == 0)                          \
        return result;                                     \
    }
SYNC(fsync)
SYNC(fdatasync)

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset) {
    REAL(void *, mmap64, void *, size_t, int, int, int, off64_t);
    if (fd >= 0) {
        ON_FD(CHANGES, "mmap", fd, MAP_FAILED)
    }
    return real_mmap64(at, length, protection, flags, fd, offset);
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    REAL(void *, mmap, void *, size_t, int, int, int, off_t);
    if (fd >= 0) {
        ON_FD(CHANGES, "mmap", fd, MAP_FAILED)
    }
    return real_mmap(at, length, protection, flags, fd, offset);
}

/* --- names --- */

#define TOLD_AT(call, good) TOLD(call, (good) == 0)

int unlink(const char *name) {
    REAL(int, unlink, const char *);
    ON_PATH(CHANGES, "unlink", AT_FDCWD, name, -1)
    int result = real_unlink(name);
    TOLD_AT("unlink", result)
    return result;
}

int unlinkat(int at, const char *name, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    ON_PATH(CHANGES, "unlink", at, name, -1)
    int result = real_unlinkat(at, name, flags);
    TOLD_AT("unlink", result)
    return result;
}

int mkdir(const char *name, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    ON_PATH(CHANGES, "mkdir", AT_FDCWD, name, -1)
    int result = real_mkdir(name, mode);
    TOLD_AT("create", result)
    return result;
}

int rmdir(const char *name) {
    REAL(int, rmdir, const char *);
    ON_PATH(CHANGES, "rmdir", AT_FDCWD, name, -1)
    int result = real_rmdir(name);
    TOLD_AT("unlink", result)
    return result;
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    ON_PATH(CHANGES, "rename", AT_FDCWD, from, -1)
    int result = real_rename(from, to);
    if (watched && result == 0) note("rename", from, to);
    return result;
}

int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    ON_PATH(CHANGES, "link", AT_FDCWD, to, -1)
    return real_link(from, to);
}

int chmod(const char *name, mode_t mode) {
    REAL(int, chmod, const char *, mode_t);
    ON_PATH(CHANGES, "chmod", AT_FDCWD, name, -1)
    return real_chmod(name, mode);
}

int fchmod(int fd, mode_t mode) {
    REAL(int, fchmod, int, mode_t);
    ON_FD(CHANGES, "chmod", fd, -1)
    return real_fchmod(fd, mode);
}

/* --- reading --- */

ssize_t read(int fd, void *bytes, size_t count) {
    REAL(ssize_t, read, int, void *, size_t);
    ON_FD(READS, "read", fd, -1)
    return real_read(fd, bytes, count);
}

#define PREAD(name, offset_type)                                             \
    ssize_t name(int fd, void *bytes, size_t count, offset_type offset) {    \
        REAL(ssize_t, name, int, void *, size_t, offset_type);               \
        ON_FD(READS, "read", fd, -1)                                         \
        return real_##name(fd, bytes, count, offset);                        \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

int statx(int at, const char *restrict name, int flags, unsigned mask, struct statx *restrict found) {
    REAL(int, statx, int, const char *, int, unsigned, struct statx *);
    /* Rust asks with no name whether there is such a call; the declaration says that there always is one. */
    const char *volatile given = name;
    if (given) {
        ON_PATH(READS, "stat", at, given, -1)
    }
    return real_statx(at, name, flags, mask, found);
}

#define STAT(name)                                         \
    int name(const char *restrict file, struct stat64 *restrict found) { \
        REAL(int, name, const char *, struct stat64 *);    \
        ON_PATH(READS, "stat", AT_FDCWD, file, -1)         \
        return real_##name(file, found);                   \
    }
STAT(stat64)
STAT(lstat64)

int fstat64(int fd, struct stat64 *found) {
    REAL(int, fstat64, int, struct stat64 *);
    ON_FD(READS, "stat", fd, -1)
    return real_fstat64(fd, found);
}

int stat(const char *restrict file, struct stat *restrict found) {
    REAL(int, stat, const char *, struct stat *);
    ON_PATH(READS, "stat", AT_FDCWD, file, -1)
    return real_stat(file, found);
}

int lstat(const char *restrict file, struct stat *restrict found) {
    REAL(int, lstat, const char *, struct stat *);
    ON_PATH(READS, "stat", AT_FDCWD, file, -1)
    return real_lstat(file, found);
}

int fstat(int fd, struct stat *found) {
    REAL(int, fstat, int, struct stat *);
    ON_FD(READS, "stat", fd, -1)
    return real_fstat(fd, found);
}

int access(const char *name, int mode) {
    REAL(int, access, const char *, int);
    ON_PATH(READS, "access", AT_FDCWD, name, -1)
    return real_access(name, mode);
}

/* --- locks --- */

#define LOCK(name)                                         \
    int name(int fd, int command, ...) {                   \
        REAL(int, name, int, int, ...);                    \
        va_list rest;                                      \
        va_start(rest, command);                           \
        void *argument = va_arg(rest, void *);             \
        va_end(rest);                                      \
        if (command == F_SETLK || command == F_SETLKW) {   \
            struct flock *lock = argument;                 \
            if (lock->l_type != F_UNLCK) {                 \
                ON_FD(LOCKS, "lock", fd, -1)               \
            }                                              \
        }                                                  \
        return real_##name(fd, command, argument);         \
    }
LOCK(fcntl)
LOCK(fcntl64)

/* --- answers --- */

ssize_t send(int fd, const void *bytes, size_t count, int flags) {
    REAL(ssize_t, send, int, const void *, size_t, int);
    if (trace >= 0) {
        char path[PATH_MAX];
        path_of(fd, path);
        note("send", path, count >= 5 && memcmp(bytes, "HTTP/", 5) == 0 ? "answer" : "");
    }
    return real_send(fd, bytes, count, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *to, socklen_t length) {
    REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    if (trace >= 0) {
        char path[PATH_MAX];
        path_of(fd, path);
        note("send", path, count >= 5 && memcmp(bytes, "HTTP/", 5) == 0 ? "answer" : "");
    }
    return real_sendto(fd, bytes, count, flags, to, length);
}
