/* The load generator of the bench. One thread, epoll, HTTP/1.1 keep-alive, 127.0.0.1 only.
 *
 *   load -p PORT -b BODY_FILE [-c CONNECTIONS] [-d SECONDS] [-n CALLS] [-r CALLS_PER_SECOND] [-w WARM_UP_CALLS] [-k CHUNKS]
 *   load -q < numbers        prints the summary of the numbers, as it stands in a result
 *
 * Without -r every connection calls again as soon as it has its answer (closed loop). With -r calls are planned at
 * that rate and each is timed from its planned moment, so that a stalled server shows (open loop). With -k every
 * answer must be a stream of that many stamped chunks that ends in [DONE]; anything else counts as an error.
 * -d and -n count from the end of the warm-up, which is not timed.
 * Prints one JSON line; times in microseconds. */
#include "wire.h"

#define GRACE (20 * SECOND) /* how long open calls may take after the end of a run */
#define CARRY (STAMP_LENGTH + 3)

/* ---- samples ---- */

typedef struct {
    float *at;
    size_t count, room;
} samples;

static void add(samples *s, double value) {
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 65536;
        s->at = realloc(s->at, s->room * sizeof *s->at);
        if (!s->at) die("realloc");
    }
    s->at[s->count++] = value;
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(const samples *sorted, int percent) { /* nearest rank */
    size_t rank = (sorted->count * percent + 99) / 100;
    return sorted->at[rank ? rank - 1 : 0];
}

static void print_summary(const char *name, samples *s) {
    printf("\"%s\":{\"n\":%zu", name, s->count);
    if (s->count) {
        qsort(s->at, s->count, sizeof *s->at, ascending);
        printf(",\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f", percentile(s, 50), percentile(s, 99), percentile(s, 100));
    }
    printf("}");
}

/* ---- one connection ---- */

enum state { STATUS, HEADERS, SIZED, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILERS };

typedef struct {
    int fd; /* -1: not connected */
    bool busy, armed, keep;
    enum state state;
    int status;
    size_t sent, left;
    long stamps;
    int64_t began;
    char line[8192], carry[CARRY];
    size_t line_length, carry_length;
} connection;

static connection *connections;
static int connection_count = 1, port, poll_fd;
static buffer request;
static long chunks_wanted, warm_calls, calls_wanted, started, finished, errors, stamps_seen;
static long finished_when_warm, stamps_when_warm;
static int64_t warm_at, last_answer;
static samples latency, first_chunk, chunk_age;
static char first_error[200];

static bool warm(void) { return finished >= warm_calls; }

static void watch(connection *l, bool for_room, int how) {
    l->armed = for_room;
    struct epoll_event e = {EPOLLIN | (for_room ? EPOLLOUT : 0), {.ptr = l}};
    epoll_ctl(poll_fd, how, l->fd, &e);
}

static void hang_up(connection *l) {
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
    l->busy = false;
}

static void fail(connection *l, const char *why) {
    if (!errors++) snprintf(first_error, sizeof first_error, "%s (status %d)", why, l->status);
    hang_up(l);
}

static bool dial(connection *l) {
    struct sockaddr_in address = loopback(port);
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(l->fd, (void *)&address, sizeof address)) { fail(l, "cannot connect"); return false; }
    send_at_once(l->fd);
    watch(l, false, EPOLL_CTL_ADD);
    return true;
}

static void send_rest(connection *l) {
    while (l->sent < request.length) {
        ssize_t n = send(l->fd, request.at + l->sent, request.length - l->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) { fail(l, "connection lost while sending"); return; }
        if (n < 0) break;
        l->sent += n;
    }
    bool unsent = l->sent < request.length;
    if (unsent != l->armed) watch(l, unsent, EPOLL_CTL_MOD);
}

static void start_call(connection *l, int64_t began) {
    started++;
    l->status = 0;
    if (l->fd < 0 && !dial(l)) return;
    l->busy = l->keep = true;
    l->state = STATUS;
    l->sent = l->line_length = l->carry_length = 0;
    l->stamps = 0;
    l->began = began;
    send_rest(l);
}

static void finish_call(connection *l) {
    bool ended = memmem(l->carry, l->carry_length, "[DONE]", 6);
    if (l->status != 200) { fail(l, "not answered with 200"); return; }
    if (chunks_wanted && (l->stamps != chunks_wanted || !ended)) { fail(l, "a stream came incomplete"); return; }
    last_answer = now_ns();
    if (warm()) add(&latency, (last_answer - l->began) / 1e3);
    if (++finished == warm_calls) {
        warm_at = last_answer;
        finished_when_warm = finished;
        stamps_when_warm = stamps_seen;
    }
    l->busy = false;
    if (!l->keep) hang_up(l);
}

/* ---- reading an answer ---- */

static void see_stamp(connection *l, int64_t written, int64_t now) {
    stamps_seen++;
    if (warm()) {
        add(&chunk_age, (now - written) / 1e3);
        if (!l->stamps) add(&first_chunk, (now - l->began) / 1e3);
    }
    l->stamps++;
}

static bool is_stamp(const char *p) {
    if (p[1] != 't') return false;
    for (int i = 2; i < STAMP_LENGTH; i++)
        if (p[i] < '0' || p[i] > '9') return false;
    return true;
}

static void read_text(connection *l, const char *bytes, size_t length) {
    static char text[CARRY + 256 * 1024];
    if (!chunks_wanted) return;
    int64_t now = now_ns();
    memcpy(text, l->carry, l->carry_length);
    memcpy(text + l->carry_length, bytes, length);
    const char *p = text, *end = text + l->carry_length + length;
    for (const char *found; (found = memchr(p, '@', end - p)) && end - found >= STAMP_LENGTH;) {
        if (!is_stamp(found)) { p = found + 1; continue; }
        see_stamp(l, strtoll(found + 2, NULL, 10), now);
        p = found + STAMP_LENGTH;
    }
    /* A stamp, or the end mark, may be cut between two reads: the rest after the last whole stamp is kept. */
    l->carry_length = end - p < CARRY ? end - p : CARRY;
    memmove(l->carry, end - l->carry_length, l->carry_length);
}

static bool whole_line(connection *l, const char **p, const char *end) { /* without its line end, in l->line */
    const char *stop = memchr(*p, '\n', end - *p);
    size_t length = (stop ? stop + 1 : end) - *p;
    if (l->line_length + length >= sizeof l->line) { fail(l, "a header line without end"); *p = end; return false; }
    memcpy(l->line + l->line_length, *p, length);
    l->line_length += length;
    *p += length;
    if (!stop) return false;
    while (l->line_length && strchr("\r\n", l->line[l->line_length - 1])) l->line_length--;
    l->line[l->line_length] = 0;
    l->line_length = 0;
    return true;
}

static void read_header(connection *l) {
    if (!strncasecmp(l->line, "content-length:", 15)) l->left = strtoul(l->line + 15, NULL, 10);
    else if (!strncasecmp(l->line, "transfer-encoding: chunked", 26)) l->left = SIZE_MAX;
    else if (!strncasecmp(l->line, "connection: close", 17)) l->keep = false;
    else if (!*l->line) {
        l->state = l->left == SIZE_MAX ? CHUNK_SIZE : SIZED;
        if (!l->left) finish_call(l);
    }
}

static const char *read_body(connection *l, const char *p, const char *end) {
    size_t length = (size_t)(end - p) < l->left ? (size_t)(end - p) : l->left;
    read_text(l, p, length);
    l->left -= length;
    return p + length;
}

static void read_answer(connection *l, const char *p, const char *end) {
    while (p < end) {
        if (!l->busy) { if (l->fd >= 0) fail(l, "bytes that nobody asked for"); return; }
        switch (l->state) {
        case STATUS:
            if (!whole_line(l, &p, end)) break;
            l->status = strlen(l->line) > 9 ? atoi(l->line + 9) : 0;
            l->left = 0;
            l->state = HEADERS;
            break;
        case HEADERS:
            if (whole_line(l, &p, end)) read_header(l);
            break;
        case SIZED:
            p = read_body(l, p, end);
            if (!l->left) finish_call(l);
            break;
        case CHUNK_SIZE:
            if (!whole_line(l, &p, end)) break;
            l->left = strtoul(l->line, NULL, 16);
            l->state = l->left ? CHUNK : TRAILERS;
            break;
        case CHUNK:
            p = read_body(l, p, end);
            if (!l->left) l->state = CHUNK_END;
            break;
        case CHUNK_END:
            if (whole_line(l, &p, end)) l->state = CHUNK_SIZE;
            break;
        case TRAILERS:
            if (whole_line(l, &p, end) && !*l->line) finish_call(l);
            break;
        }
    }
}

static void receive(connection *l) {
    static char bytes[128 * 1024];
    ssize_t n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) read_answer(l, bytes, bytes + n);
    else if (n < 0 && errno == EAGAIN) return;
    else if (l->busy) fail(l, "connection lost while waiting");
    else hang_up(l);
}

/* ---- a run ---- */

static connection *free_connection(void) {
    for (int i = 0; i < connection_count; i++)
        if (!connections[i].busy) return &connections[i];
    return NULL;
}

static bool may_start(int64_t now, int64_t end) {
    return now < end && errors < 100 && (!calls_wanted || started < warm_calls + calls_wanted);
}

static bool any_busy(void) {
    for (int i = 0; i < connection_count; i++)
        if (connections[i].busy) return true;
    return false;
}

static void run(double seconds, double rate) {
    int64_t begin = now_ns(), length = (int64_t)(seconds * SECOND), planned = begin;
    int64_t pause = rate > 0 ? (int64_t)(SECOND / rate) : 0;
    struct epoll_event events[512];
    warm_at = last_answer = begin;
    for (;;) {
        int64_t now = now_ns(), end = warm() ? warm_at + length : begin + length + GRACE;
        connection *l;
        while (may_start(now, end) && (!pause || planned <= now) && (l = free_connection())) {
            start_call(l, pause ? planned : now_ns());
            planned += pause;
        }
        bool over = !may_start(now, end);
        if (over && (!any_busy() || now > end + GRACE)) break;
        int64_t wake = pause && !over && planned > now ? planned - now : SECOND / 20;
        struct timespec wait = until(wake);
        int n = epoll_pwait2(poll_fd, events, 512, &wait, NULL);
        for (int i = 0; i < n; i++) {
            l = events[i].data.ptr;
            if (l->fd >= 0 && events[i].events & EPOLLOUT) send_rest(l);
            if (l->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(l);
            if (!pause && !l->busy && may_start(now_ns(), end)) start_call(l, now_ns());
        }
    }
    for (int i = 0; i < connection_count; i++)
        if (connections[i].busy) fail(&connections[i], "no answer in time");
}

static void print_result(void) {
    double seconds = (last_answer - warm_at) / 1e9;
    long calls = finished - finished_when_warm, chunks = stamps_seen - stamps_when_warm;
    printf("{\"calls\":%ld,\"calls_with_warm_up\":%ld,\"chunks_with_warm_up\":%ld,\"errors\":%ld,\"first_error\":\"%s\",",
           calls, finished, stamps_seen, errors, first_error);
    printf("\"seconds\":%.4f,\"calls_per_second\":%.1f,\"chunks_per_second\":%.1f,", seconds,
           seconds > 0 ? calls / seconds : 0, seconds > 0 ? chunks / seconds : 0);
    print_summary("latency_us", &latency);
    printf(",");
    print_summary("first_chunk_us", &first_chunk);
    printf(",");
    print_summary("chunk_age_us", &chunk_age);
    printf("}\n");
}

static void write_request(const char *body_file, const char *more_headers) {
    FILE *file = fopen(body_file, "rb");
    if (!file) die(body_file);
    buffer body = {0};
    for (size_t n = 1; n; body.length += n) {
        reserve(&body, 65536);
        n = fread(body.at + body.length, 1, 65536, file);
    }
    fclose(file);
    char head[2000];
    append(&request, head, snprintf(head, sizeof head,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
        "Accept: application/json\r\nAuthorization: Bearer sk-bench-agent\r\n%sContent-Length: %zu\r\n\r\n",
        port, more_headers, body.length));
    append(&request, body.at, body.length);
    free(body.at);
}

static int summarise_stdin(void) {
    double value;
    while (scanf("%lf", &value) == 1) add(&latency, value);
    printf("{");
    print_summary("summary", &latency);
    printf("}\n");
    return 0;
}

int main(int argc, char **argv) {
    const char *body_file = NULL, *more_headers = "";
    double seconds = 600, rate = 0;
    for (int option; (option = getopt(argc, argv, "p:b:c:d:n:r:w:k:H:q")) != -1;) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'b': body_file = optarg; break;
        case 'c': connection_count = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'n': calls_wanted = atol(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'w': warm_calls = atol(optarg); break;
        case 'k': chunks_wanted = atol(optarg); break;
        case 'H': more_headers = optarg; break;
        case 'q': return summarise_stdin();
        default: return 2;
    }
    if (!port || !body_file) { fprintf(stderr, "load: -p and -b are needed\n"); return 2; }
    if (strlen(more_headers) > 1000) { fprintf(stderr, "load: -H is too long\n"); return 2; }
    write_request(body_file, more_headers);
    poll_fd = epoll_create1(0);
    connections = calloc(connection_count, sizeof *connections);
    for (int i = 0; i < connection_count; i++) connections[i].fd = -1;
    run(seconds, rate);
    print_result();
    return 0;
}
