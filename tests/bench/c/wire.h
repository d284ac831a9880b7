/* What both programs of the bench share: the clock, a growing buffer, sockets on 127.0.0.1, and the stamp that a
 * streamed chunk carries: "@t" and 19 digits, CLOCK_MONOTONIC in nanoseconds at the moment it was written. */
#ifndef WIRE_H
#define WIRE_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define STAMP_FORMAT "@t%019lld"
#define STAMP_LENGTH 21

static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static inline struct timespec until(int64_t ns) {
    if (ns < 0) ns = 0;
    return (struct timespec){ns / SECOND, ns % SECOND};
}

static inline void die(const char *what) {
    perror(what);
    exit(2);
}

typedef struct {
    char *at;
    size_t length, room;
} buffer;

static inline void reserve(buffer *b, size_t extra) {
    if (b->length + extra <= b->room) return;
    b->room = 2 * (b->length + extra) + 4096;
    b->at = realloc(b->at, b->room);
    if (!b->at) die("realloc");
}

static inline void append(buffer *b, const char *bytes, size_t length) {
    reserve(b, length);
    memcpy(b->at + b->length, bytes, length);
    b->length += length;
}

static inline void drop_front(buffer *b, size_t length) {
    b->length -= length;
    memmove(b->at, b->at + length, b->length);
}

static inline struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline void send_at_once(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
#endif
