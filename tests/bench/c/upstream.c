/* The upstream of the bench: answers as an OpenAI-style or an Anthropic server does, and must never be what limits
 * a proxy. One thread, epoll, HTTP/1.1 keep-alive, 127.0.0.1 only.
 *
 *   upstream         takes a free port, prints it, serves until it is killed
 *
 * POST /…/messages is answered in Anthropic Messages, every other POST in OpenAI Chat Completions, streamed when the
 * body asks for it. How a stream runs stands in the prompt, so that it survives a gateway's translation:
 *   [[bench chunks=50 gap_us=20000 spread=1]]
 * text chunks, the pause between two of them (0: as fast as they go), and whether streams that begin together fall out
 * of step after their first chunk, as those of independent agents do.
 * GET /counts tells how many calls each dialect has answered. */
#include "wire.h"

#define MAX_PEERS 4096
#define SLOW_READER (64 * 1024) /* unsent bytes at which a stream waits for its reader */

enum dialect { OPENAI, ANTHROPIC };

typedef struct {
    int fd;
    buffer in, out;
    bool answering, armed; /* a stream is under way; EPOLLOUT is set */
    enum dialect dialect;
    long chunks, sent;
    int64_t gap_ns, due;
} peer;

static peer *peers[MAX_PEERS], *streams[MAX_PEERS];
static int stream_count, poll_fd;
static long counts[2];

static const char FILLER[] = "A plain answer in plain words, long enough to weigh what an answer of a model weighs. ";
static char plain[2][4096]; /* head and body, ready to send */

/* ---- the two dialects ---- */

#define CHAT_CHUNK \
    "data: {\"id\":\"chatcmpl-bench0001\",\"object\":\"chat.completion.chunk\",\"created\":1760000000," \
    "\"model\":\"bench-openai\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\",\"choices\":"

static void prepare_plain(enum dialect dialect) {
    char body[3000], text[800] = "";
    while (strlen(text) + sizeof FILLER < (dialect == OPENAI ? 500 : 660)) strcat(text, FILLER);
    int length = sprintf(body, dialect == OPENAI
        ? "{\"id\":\"chatcmpl-bench0001\",\"object\":\"chat.completion\",\"created\":1760000000,\"model\":\"bench-openai\","
          "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\",\"refusal\":null,\"annotations\":[]},"
          "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":480,\"completion_tokens\":120,"
          "\"total_tokens\":600,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
          "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}},\"service_tier\":\"default\","
          "\"system_fingerprint\":\"fp_bench\"}"
        : "{\"id\":\"msg_bench0001\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench-anthropic\","
          "\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
          "\"usage\":{\"input_tokens\":480,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
          "\"output_tokens\":120,\"service_tier\":\"standard\"}}", text);
    sprintf(plain[dialect], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, body);
}

static void put_chunk(peer *p, const char *event) {
    char size[32];
    size_t length = strlen(event);
    append(&p->out, size, sprintf(size, "%zx\r\n", length));
    append(&p->out, event, length);
    append(&p->out, "\r\n", 2);
}

static void put_opening(peer *p) {
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    append(&p->out, head, sizeof head - 1);
    if (p->dialect == OPENAI) {
        put_chunk(p, CHAT_CHUNK "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
                                "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n");
        return;
    }
    put_chunk(p, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_bench0001\","
                 "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench-anthropic\",\"content\":[],"
                 "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":480,"
                 "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\n");
    put_chunk(p, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                 "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
}

static void put_text(peer *p) {
    char event[600];
    sprintf(event, p->dialect == OPENAI
        ? CHAT_CHUNK "[{\"index\":0,\"delta\":{\"content\":\"" STAMP_FORMAT " \"},\"logprobs\":null,"
                     "\"finish_reason\":null}],\"usage\":null}\n\n"
        : "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
          "\"delta\":{\"type\":\"text_delta\",\"text\":\"" STAMP_FORMAT " \"}}\n\n", (long long)now_ns());
    put_chunk(p, event);
}

static void put_ending(peer *p) {
    char event[600];
    if (p->dialect == OPENAI) {
        put_chunk(p, CHAT_CHUNK "[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n");
        sprintf(event, CHAT_CHUNK "[],\"usage\":{\"prompt_tokens\":480,\"completion_tokens\":%ld,\"total_tokens\":%ld}}\n\n",
                p->chunks, 480 + p->chunks);
        put_chunk(p, event);
        put_chunk(p, "data: [DONE]\n\n");
    } else {
        put_chunk(p, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
        sprintf(event, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
                       "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%ld}}\n\n", p->chunks);
        put_chunk(p, event);
        put_chunk(p, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
    append(&p->out, "0\r\n\r\n", 5);
}

/* ---- connections ---- */

static void forget_stream(peer *p) {
    for (int i = 0; i < stream_count; i++)
        if (streams[i] == p) { streams[i] = streams[--stream_count]; return; }
}

static void hang_up(peer *p) {
    forget_stream(p);
    peers[p->fd] = NULL;
    close(p->fd);
    free(p->in.at);
    free(p->out.at);
    free(p);
}

static void watch(peer *p, bool for_room) {
    if (p->armed == for_room) return;
    p->armed = for_room;
    struct epoll_event e = {EPOLLIN | (for_room ? EPOLLOUT : 0), {.ptr = p}};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, p->fd, &e);
}

static bool flush(peer *p) { /* false: the peer is gone */
    size_t done = 0;
    while (done < p->out.length) {
        ssize_t n = send(p->fd, p->out.at + done, p->out.length - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return false;
        if (n < 0) break;
        done += n;
    }
    drop_front(&p->out, done);
    watch(p, p->out.length > 0);
    return true;
}

/* ---- answering ---- */

static long number_after(const char *text, size_t length, const char *key, long otherwise) {
    const char *found = memmem(text, length, key, strlen(key));
    return found ? atol(found + strlen(key)) : otherwise;
}

static bool asks_for_stream(const char *body, size_t length) {
    const char *found = memmem(body, length, "\"stream\":", 9), *end = body + length;
    if (!found) return false;
    for (found += 9; found < end && *found == ' '; found++) {}
    return end - found >= 4 && !memcmp(found, "true", 4);
}

static double next_phase(void) { /* 0 to 1; any few in a row lie evenly (golden ratio sequence) */
    static double phase;
    phase += 0.6180339887;
    if (phase >= 1) phase -= 1;
    return phase;
}

static bool answer_next_chunk(peer *p) {
    put_text(p);
    if (++p->sent == p->chunks) {
        put_ending(p);
        p->answering = false;
        forget_stream(p);
    }
    p->due += p->gap_ns;
    return flush(p);
}

static bool answer(peer *p, const char *body, size_t length) {
    counts[p->dialect]++;
    if (!asks_for_stream(body, length)) {
        append(&p->out, plain[p->dialect], strlen(plain[p->dialect]));
        return flush(p);
    }
    const char *script = memmem(body, length, "[[bench ", 8);
    size_t rest = script ? (size_t)(body + length - script) : 0;
    if (rest > 100) rest = 100;
    p->chunks = number_after(script, rest, "chunks=", 50);
    p->gap_ns = 1000 * number_after(script, rest, "gap_us=", 0);
    p->sent = 0;
    p->due = p->gap_ns ? now_ns() : 0;
    if (number_after(script, rest, "spread=", 0)) p->due -= p->gap_ns * next_phase();
    p->answering = true;
    streams[stream_count++] = p;
    put_opening(p);
    return answer_next_chunk(p);
}

static bool answer_counts(peer *p) {
    char body[100], head[100];
    int length = sprintf(body, "{\"openai\":%ld,\"anthropic\":%ld}", counts[OPENAI], counts[ANTHROPIC]);
    append(&p->out, head, sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length));
    append(&p->out, body, length);
    return flush(p);
}

static bool serve(peer *p) { /* answers what has arrived whole; false: the peer is gone */
    while (!p->answering && p->in.length) {
        char *head = p->in.at, *head_end = memmem(head, p->in.length, "\r\n\r\n", 4);
        if (!head_end) return true;
        size_t body_length = 0, head_length = head_end + 4 - head;
        for (char *line = head; line < head_end; line = (char *)memchr(line, '\n', head_end + 2 - line) + 1)
            if (!strncasecmp(line, "content-length:", 15)) body_length = strtoul(line + 15, NULL, 10);
            else if (!strncasecmp(line, "transfer-encoding:", 18)) return false; /* no proxy here needs it */
        if (p->in.length < head_length + body_length) return true;
        char *line_end = memchr(head, '\r', head_length);
        p->dialect = memmem(head, line_end - head, "/messages", 9) ? ANTHROPIC : OPENAI;
        bool alive = memcmp(head, "POST ", 5) ? answer_counts(p) : answer(p, head + head_length, body_length);
        if (!alive) return false;
        drop_front(&p->in, head_length + body_length);
    }
    return true;
}

static bool receive(peer *p) {
    for (;;) {
        reserve(&p->in, 32 * 1024);
        ssize_t n = recv(p->fd, p->in.at + p->in.length, p->in.room - p->in.length, 0);
        if (n > 0) { p->in.length += n; return serve(p); }
        return n < 0 && errno == EAGAIN;
    }
}

static void welcome(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (fd >= MAX_PEERS) { close(fd); continue; }
        send_at_once(fd);
        peer *p = peers[fd] = calloc(1, sizeof *p);
        p->fd = fd;
        struct epoll_event e = {EPOLLIN, {.ptr = p}};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void advance_streams(void) {
    int64_t now = now_ns();
    for (int i = stream_count - 1; i >= 0; i--) {
        peer *p = streams[i];
        if (p->due > now || p->out.length > SLOW_READER) continue;
        if (!answer_next_chunk(p) || (!p->answering && !serve(p))) hang_up(p);
    }
}

static int64_t next_due(void) {
    int64_t soonest = INT64_MAX;
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->due < soonest && streams[i]->out.length <= SLOW_READER) soonest = streams[i]->due;
    return soonest;
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (bind(listener, (void *)&address, size) || listen(listener, 1024)) die("listen");
    getsockname(listener, (void *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    prepare_plain(OPENAI);
    prepare_plain(ANTHROPIC);
    poll_fd = epoll_create1(0);
    struct epoll_event e = {EPOLLIN, {.ptr = NULL}}, events[256];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int64_t due = next_due();
        struct timespec wait = until(due == INT64_MAX ? 0 : due - now_ns());
        int n = epoll_pwait2(poll_fd, events, 256, due == INT64_MAX ? NULL : &wait, NULL);
        for (int i = 0; i < n; i++) {
            peer *p = events[i].data.ptr;
            if (!p) { welcome(listener); continue; }
            bool alive = !(events[i].events & EPOLLOUT) || flush(p);
            if (alive && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) alive = receive(p);
            if (!alive) hang_up(p);
        }
        advance_streams();
    }
}
