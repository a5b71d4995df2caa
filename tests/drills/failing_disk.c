/* A disk whose n-th step fails: loaded before libc by tests/drills/every_step.py.

   Every call that changes something below `root` is a step: open to write, write, fsync,
   rename, unlink, mkdir, truncate, allocate, shared mmap; SQLite's own among them. Step
   `target` fails with `fault`, or kills (fault < 0), a write half done. A disk that is
   full stays full until `drill_room`. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[4096];
static long count, target;
static int fault, armed, tripped;

void drill_arm(const char *folder, long n, int how) {
    snprintf(root, sizeof root, "%s", folder);
    count = 0, target = n, fault = how, tripped = 0, armed = 1;
}
void drill_room(void) { armed = 0; }
long drill_count(void) { return count; }
int drill_tripped(void) { return tripped; }

static int starts(const char *path) {
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == 0);
}
static int ours_at(int dir, const char *path) {
    char link[64], place[4096];
    ssize_t n;
    if (!armed || !path) return 0;
    if (path[0] == '/') return starts(path);
    if (dir == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    n = readlink(link, place, sizeof place - 1);
    if (n < 0) return 0;
    place[n] = 0;
    return starts(place);
}
static int ours(int fd) {
    char link[64], place[4096];
    ssize_t n;
    if (!armed || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, place, sizeof place - 1);
    if (n < 0) return 0;
    place[n] = 0;
    return starts(place);
}
/* Returns 0, or the errno of the fault; `grows`: the call needs room on the disk. */
static int step(int grows) {
    count++;
    if (count == target) {
        tripped = 1;
        return fault;
    }
    return tripped && fault == ENOSPC && grows ? ENOSPC : 0;
}
#define DIE() do { kill(getpid(), SIGKILL); pause(); } while (0)
#define FAIL(why, bad) do { if ((why) < 0) DIE(); if (why) { errno = (why); return (bad); } } while (0)
#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define WRITES(flags) (((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0)
#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); MODE(flags) \
        if (WRITES(flags) && ours_at(AT_FDCWD, path)) { int why = step((flags & O_CREAT) != 0); FAIL(why, -1); } \
        return real(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int dir, const char *path, int flags, ...) { \
        REAL(name); MODE(flags) \
        if (WRITES(flags) && ours_at(dir, path)) { int why = step((flags & O_CREAT) != 0); FAIL(why, -1); } \
        return real(dir, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* A full disk takes what still fits; a kill may come in the middle. */
#define WRITE_BODY(call_half, call) \
    if (ours(fd)) { \
        int why = step(1); \
        if (why && why != EIO && size > 1) { \
            ssize_t some = call_half; \
            if (why < 0) DIE(); \
            return some; \
        } \
        FAIL(why, -1); \
    } \
    return call;

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    WRITE_BODY(real(fd, data, size / 2), real(fd, data, size))
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(pwrite);
    WRITE_BODY(real(fd, data, size / 2, at), real(fd, data, size, at))
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    WRITE_BODY(real(fd, data, size / 2, at), real(fd, data, size, at))
}
ssize_t sendfile(int fd, int from, off_t *at, size_t size) {
    static ssize_t (*real)(int, int, off_t *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "sendfile");
    if (ours(fd)) { int why = step(1); FAIL(why, -1); }
    return real(fd, from, at, size);
}
ssize_t copy_file_range(int from, off64_t *a, int fd, off64_t *b, size_t size, unsigned flags) {
    REAL(copy_file_range);
    if (ours(fd)) { int why = step(1); FAIL(why, -1); }
    return real(from, a, fd, b, size, flags);
}

#define ON_FD(name, grows, args, names) \
    int name args { REAL(name); if (ours(fd)) { int why = step(grows); FAIL(why, -1); } return real names; }
ON_FD(fsync, 0, (int fd), (fd))
ON_FD(fdatasync, 0, (int fd), (fd))
ON_FD(ftruncate, 1, (int fd, off_t size), (fd, size))
ON_FD(ftruncate64, 1, (int fd, off64_t size), (fd, size))

#define ALLOCATE(name, type) \
    int name(int fd, type at, type size) { \
        REAL(name); \
        if (ours(fd)) { int why = step(1); if (why < 0) DIE(); if (why) return why; } \
        return real(fd, at, size); \
    }
ALLOCATE(posix_fallocate, off_t)
ALLOCATE(posix_fallocate64, off64_t)

#define ON_PATH(name, grows, dir, path, args, names) \
    int name args { REAL(name); if (ours_at(dir, path)) { int why = step(grows); FAIL(why, -1); } return real names; }
ON_PATH(rename, 1, AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(renameat, 1, b, to, (int a, const char *from, int b, const char *to), (a, from, b, to))
ON_PATH(link, 1, AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(unlink, 0, AT_FDCWD, path, (const char *path), (path))
ON_PATH(unlinkat, 0, dir, path, (int dir, const char *path, int flags), (dir, path, flags))
ON_PATH(rmdir, 0, AT_FDCWD, path, (const char *path), (path))
ON_PATH(mkdir, 1, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
ON_PATH(mkdirat, 1, dir, path, (int dir, const char *path, mode_t mode), (dir, path, mode))

#define MMAP(name, type) \
    void *name(void *at, size_t size, int use, int flags, int fd, type from) { \
        static void *(*real)(void *, size_t, int, int, int, type); \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        if ((flags & MAP_SHARED) && (use & PROT_WRITE) && ours(fd)) { \
            int why = step(1); \
            if (why < 0) DIE(); \
            if (why) { errno = why == ENOSPC ? ENOMEM : why; return MAP_FAILED; } \
        } \
        return real(at, size, use, flags, fd, from); \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)
