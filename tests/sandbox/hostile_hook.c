/* A hostile hook: it tries to act beyond what a hook of the daemon's own user may do, and prints what it could.
 *
 * hostile_hook SOCKET KEY DECISION VICTIM: the control socket, the service key, a decision to write, a daemon's number.
 * Signals are 0 where they might end something. One word a line; "done" at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define X32 0x40000000L

static void could(const char *what, long result) {
    if (result >= 0) puts(what);
}

/* By the calls of another table: in a child, because the kernel ends who makes them. */
static void could_in_child(const char *what, long (*call)(void)) {
    pid_t child = fork();
    if (child == 0) _exit(call() >= 0 ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    could(what, WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1);
}

#if defined(__x86_64__)
static long by_x32(void) { return syscall(X32 | SYS_socket, AF_UNIX, SOCK_STREAM, 0); }

static long by_32_bits(void) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(359L), "b"(1L), "c"(1L), "d"(0L) : "memory");
    return result;
}
#endif

int main(int count, char **words) {
    if (count != 5) return 2;
    pid_t victim = atoi(words[4]), keeper = getppid();
    struct sockaddr_un there = {.sun_family = AF_UNIX};
    strncpy(there.sun_path, words[1], sizeof there.sun_path - 1);
    char buffer[64] = {0};
    struct iovec here = {buffer, sizeof buffer}, far = {(void *)0x400000, sizeof buffer};
    struct rlimit limit = {1 << 20, 1 << 20};
    int pair[2];

    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    could("socket unix", fd);
    could("connect", fd < 0 ? -1 : connect(fd, (struct sockaddr *)&there, sizeof there));
    could("socket inet", socket(AF_INET, SOCK_DGRAM, 0));
    could("socket packet", socket(AF_PACKET, SOCK_RAW, 0));
    could("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    could("socket vsock", socket(40, SOCK_STREAM, 0));
    could("socket with more bits", syscall(SYS_socket, 0x100000000L | AF_UNIX, SOCK_STREAM, 0));
    could("socket of an unknown family", syscall(SYS_socket, 0x80000001L, SOCK_STREAM, 0) >= 0 ? 0 : -1);
    could("datagram pair", socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
    could("io_uring", syscall(425, 8, memset(malloc(256), 0, 256)));
    could("attach to the daemon", ptrace(PTRACE_ATTACH, victim, 0, 0));
    could("seize the daemon", ptrace(PTRACE_SEIZE, victim, 0, 0));
    could("read the daemon's memory", process_vm_readv(victim, &here, 1, &far, 1, 0));
    could("take a descriptor of the daemon", syscall(SYS_pidfd_getfd, syscall(434, victim, 0), 0, 0));
    could("limit the daemon", prlimit(victim, RLIMIT_NOFILE, NULL, &limit));
    could("signal the keeper", kill(keeper, 0));
    could("signal the keeper's group", kill(-keeper, 0));
    could("signal the keeper's thread", syscall(SYS_tkill, keeper, 0));
    could("signal everybody", kill(-1, 0));
#if defined(__x86_64__)
    could_in_child("socket by x32", by_x32);
    could_in_child("socket by 32 bits", by_32_bits);
#endif
    could("read the key", open(words[2], O_RDONLY));
    could("write a decision", open(words[3], O_WRONLY | O_CREAT, 0600));
    snprintf(buffer, sizeof buffer, "/proc/%d/mem", victim);
    could("open the daemon's memory", open(buffer, O_RDWR));
    could("write beside programs", open("/usr/local/bin/diode-hostile", O_WRONLY | O_CREAT, 0600));
    could("write a table of cron", open("/etc/diode-hostile", O_WRONLY | O_CREAT, 0600));
    fd = open("/tmp", O_TMPFILE | O_WRONLY, 0600);
    if (fd < 0) puts("cannot write below /tmp");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) puts("cannot make a pair for itself");
    puts("done");
    return 0;
}
