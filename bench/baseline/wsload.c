/*
 * wsload - a WebSocket (RFC 6455) load generator for comparing servers.
 *
 *   wsload echo    round trips: C connections, D messages in flight on each
 *   wsload idle    hold C quiet connections, answer pings
 *   wsload storm   connect, handshake, close, again; K at a time
 *   wsload fanout  N subscribers, P publishers: what is published must reach every subscriber once
 *
 * Every byte that comes back is accounted for: handshake answer, frame rules, opcode, length, order and
 * content.  Anything wrong is counted, described on stderr (the first few) and makes the exit status 1.
 *
 * One parent process coordinates (phases, printing); N forked workers run one epoll loop each.  They share
 * one anonymous mapping, `S`.  All hot state of a worker is in `W`, all options are in `O`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <immintrin.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum {
    MAX_PROCS = 64,
    MAX_PUBS = 64,
    MAX_LIST = 32,             /* repeatable options */
    FDS_PER_PROC = 19000,
    RBUF_SIZE = 128 << 10,     /* bytes asked for by one recv() */
    WBUF_SIZE = 128 << 10,     /* frames built for one send(), unless one frame is larger */
    MAX_RESPONSE = 16 << 10,
    MAX_MESSAGE = 64 << 20,    /* largest message reassembled outside echo mode */
    RING = 1 << 16,            /* fan-out messages whose completion can be tracked at once */
    SEQ_DIGITS = 10,
    TS_DIGITS = 16,
    EVENTS = 256,
    CLOSE_TIMEOUT_S = 15,
};

enum mode { ECHO, IDLE, STORM, FANOUT };
enum close_mode { CLOSE_PROPER, CLOSE_FIN, CLOSE_ABRUPT };
enum phase { PH_CONNECT, PH_RUN, PH_MEASURE, PH_COOL, PH_DRAIN, PH_CLOSE, PH_EXIT };
enum { OP_CONT = 0, OP_TEXT = 1, OP_BIN = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

enum err {
    E_CONNECT,    /* connect() failed for good */
    E_HANDSHAKE,  /* not a valid 101 answer */
    E_TIMEOUT,    /* handshake, hello-ack or a stalled publication */
    E_PROTOCOL,   /* a frame that RFC 6455 forbids */
    E_CORRUPT,    /* wrong opcode, length or content */
    E_LOST,       /* sent, or published, and never received */
    E_REORDERED,  /* received after a later one */
    E_DUPLICATE,
    E_CLOSED,     /* connection ended by the server while it should stay */
    E_CLOSING,    /* closing handshake not completed */
    E_INTERNAL,
    E_COUNT
};
static const char *const err_name[E_COUNT] = {
    "connect", "handshake", "timeout", "protocol", "corrupt", "lost", "reordered", "duplicate",
    "closed", "closing", "internal",
};

static struct {
    enum mode mode;
    const char *host, *path, *subprotocol;
    struct sockaddr_in addr;
    const char *header[MAX_LIST], *hello[MAX_LIST], *pub_hello[MAX_LIST];
    int headers, hellos, pub_hellos;
    const char *hello_ack, *template;
    int procs, src_ips, inflight, pubs;
    long conns, size, depth;
    double warmup, time, connect_rate, connect_timeout, rate, settle, drain, open_pause;
    int opcode;                /* echo: OP_TEXT or OP_BIN */
    bool utf8, full_verify, exact, no_final_close, gate;
    enum close_mode close;
} O = {
    .host = "127.0.0.1", .path = "/ws", .conns = 100, .size = 16, .depth = 1, .warmup = 1, .time = 5,
    .connect_timeout = 15, .inflight = 128, .settle = 0.3, .drain = 3, .open_pause = 0.2, .pubs = 1,
    .opcode = OP_BIN, .template = "PUB m={seq} {ts} {pad}",
};

/* ---------------------------------------------------------------- small things */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("wsload: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    exit(2);
}

static void *xalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        die("out of memory (%zu bytes)", n);
    return p;
}

static uint64_t mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void sha1(const uint8_t *msg, size_t len, uint8_t out[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t blocks = (len + 8) / 64 + 1;
    for (size_t b = 0; b < blocks; b++) {
        uint8_t blk[64] = {0};
        size_t off = b * 64;
        if (off < len)
            memcpy(blk, msg + off, len - off < 64 ? len - off : 64);
        if (off <= len && len < off + 64)
            blk[len - off] = 0x80;
        if (b == blocks - 1)
            for (int i = 0; i < 8; i++)
                blk[63 - i] = (uint8_t)((uint64_t)len * 8 >> (8 * i));
        uint32_t w[80];
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)blk[4 * i] << 24 | (uint32_t)blk[4 * i + 1] << 16 | (uint32_t)blk[4 * i + 2] << 8 | blk[4 * i + 3];
        for (int i = 16; i < 80; i++) {
            uint32_t x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
            w[i] = x << 1 | x >> 31;
        }
        uint32_t a = h[0], bb = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            uint32_t f, k;
            if (i < 20)      f = (bb & c) | (~bb & d),            k = 0x5A827999;
            else if (i < 40) f = bb ^ c ^ d,                      k = 0x6ED9EBA1;
            else if (i < 60) f = (bb & c) | (bb & d) | (c & d),   k = 0x8F1BBCDC;
            else             f = bb ^ c ^ d,                      k = 0xCA62C1D6;
            uint32_t t = (a << 5 | a >> 27) + f + e + k + w[i];
            e = d, d = c, c = bb << 30 | bb >> 2, bb = a, a = t;
        }
        h[0] += a, h[1] += bb, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++)
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* Writes 4 characters for every 3 bytes begun; no terminator. */
static void base64(const uint8_t *in, size_t n, char *out)
{
    static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) | (i + 2 < n ? in[i + 2] : 0);
        *out++ = abc[v >> 18];
        *out++ = abc[v >> 12 & 63];
        *out++ = i + 1 < n ? abc[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? abc[v & 63] : '=';
    }
}

/* dst = src ^ key, the key repeated from its first byte. */
static inline void mask_copy(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    uint64_t k8 = key | (uint64_t)key << 32, v;
#ifdef __AVX2__
    __m256i k32 = _mm256_set1_epi32((int)key);
    for (; n >= 32; n -= 32, src += 32, dst += 32)
        _mm256_storeu_si256((__m256i *)dst, _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)src), k32));
#endif
    for (; n >= 8; n -= 8, src += 8, dst += 8) {
        memcpy(&v, src, 8);
        v ^= k8;
        memcpy(dst, &v, 8);
    }
    for (size_t i = 0; i < n; i++)
        dst[i] = src[i] ^ (uint8_t)(k8 >> (8 * i));
}

/* ---------------------------------------------------------------- latency histogram (nanoseconds, < 0.8 % wide) */

enum { HB = 7, HIST_SIZE = 36 << HB };
struct hist { uint64_t n, max, bucket[HIST_SIZE]; };

static inline void hist_add(struct hist *h, uint64_t v)
{
    int e = 63 - __builtin_clzll(v | 1) - HB;
    if (e < 0)
        e = 0;
    size_t i = ((size_t)e << HB) + (v >> e);
    if (unlikely(i >= HIST_SIZE))
        i = HIST_SIZE - 1;
    h->bucket[i]++;
    h->n++;
    if (v > h->max)
        h->max = v;
}

static double hist_us(const struct hist *h, double q)
{
    uint64_t want = (uint64_t)(q * (double)h->n), seen = 0;
    if (!h->n)
        return 0;
    for (size_t i = 0; i < HIST_SIZE; i++) {
        seen += h->bucket[i];
        if (seen > want || seen == h->n) {
            size_t e = i < (2u << HB) ? 0 : (i >> HB) - 1;
            double v = (double)((i - (e << HB)) << e) + (e ? (double)(1u << e) / 2 : 0);
            return (v > (double)h->max ? (double)h->max : v) / 1e3;
        }
    }
    return (double)h->max / 1e3;
}

static void hist_merge(struct hist *to, const struct hist *from)
{
    to->n += from->n;
    if (from->max > to->max)
        to->max = from->max;
    for (size_t i = 0; i < HIST_SIZE; i++)
        to->bucket[i] += from->bucket[i];
}

/* ---------------------------------------------------------------- sequence tracking
 * Tells in order / after a gap / late / twice, for one stream of numbers that should count 0, 1, 2 ... */

struct track { uint64_t next, seen; uint32_t holes; };    /* seen: bit i set when next-1-i has been received */
enum seen { IN_ORDER, AFTER_GAP, LATE, TWICE };

static inline enum seen track_seq(struct track *t, uint64_t seq)
{
    if (likely(seq == t->next)) {
        t->next++;
        t->seen = t->seen << 1 | 1;
        return IN_ORDER;
    }
    if (seq > t->next) {
        uint64_t gap = seq - t->next;
        t->holes += (uint32_t)gap;
        t->seen = gap >= 63 ? 1 : t->seen << (gap + 1) | 1;
        t->next = seq + 1;
        return AFTER_GAP;
    }
    uint64_t back = t->next - 1 - seq;
    bool had = back < 64 ? t->seen >> back & 1 : t->holes == 0;
    if (had)
        return TWICE;
    if (back < 64)
        t->seen |= 1ull << back;
    t->holes--;
    return LATE;
}

/* ---------------------------------------------------------------- seen by all the processes */

struct wstats {                     /* one per worker, written by it alone */
    uint64_t measured;              /* nanoseconds of its measured interval(s) */
    double cpu_user, cpu_sys;       /* inside that interval */
    uint64_t msgs, bytes;           /* inside that interval: echoes, handshakes or deliveries */
    uint64_t cycles;                /* storm: connections closed as asked, inside the interval */
    uint64_t published;             /* fan-out: inside the interval */
    uint64_t frames, other, pings, retries, own, skipped, total;    /* since the start */
    uint64_t open, opened, failed;  /* connections: open now, ever opened, given up */
    uint64_t errors[E_COUNT];
    struct hist lat, lat2;          /* lat2: storm whole cycle, fan-out completion */
    _Atomic uint64_t done;          /* the last step (see S->step) whose work this one has finished */
} __attribute__((aligned(128)));

struct slot { uint64_t seq, ts; _Atomic uint32_t count; };    /* one published message */

static struct {
    _Atomic uint64_t step;                      /* phase changes so far; the parent makes them */
    _Atomic uint8_t phase[16];                  /* of step % 16 */
    _Atomic uint64_t alive;                     /* fan-out: subscribers that are open */
    _Atomic uint64_t published[MAX_PUBS];       /* messages each publisher has sent */
    struct slot ring[RING];
    struct wstats w[MAX_PROCS];
} *S;

static int wake_fd = -1;            /* tells worker 0 that a publication is complete */

/* ---------------------------------------------------------------- worker state */

enum { ST_NEW, ST_CONNECTING, ST_HANDSHAKE, ST_OPEN, ST_CLOSING, ST_DEAD };
enum { SUBSCRIBER, PUBLISHER };

struct conn {
    int fd;
    uint8_t state, role, hdr_len, op, fin, msg_op, close_sent, close_rcvd;
    uint8_t in_frame, bad, acked, want_out;
    uint8_t hdr[10];                /* frame header split over reads */
    uint64_t left, flen;            /* payload bytes of the frame: still to come, in all */
    uint64_t off;                   /* bytes of the message before this chunk */
    uint8_t *acc;                   /* handshake answer or message not yet whole */
    uint32_t acc_len, acc_cap;
    uint8_t *ctl;                   /* control payload split over reads (125 bytes) */
    uint8_t *out;                   /* bytes the kernel would not take yet */
    size_t out_off, out_len, out_cap;
    uint64_t t0, attempt, gen, retry_at;    /* first attempt, this one; key generator; when to try again */
    uint64_t sent, owed, tag, salt; /* echo: messages sent, messages to send, tag being received, its start */
    struct track track;             /* echo */
    struct track *sub_track;        /* fan-out: one per publisher */
    TAILQ_ENTRY(conn) link;
};
TAILQ_HEAD(conn_list, conn);

static struct {
    int id, ep, phase;
    uint64_t step;
    bool measuring, sending;
    struct wstats *st;
    struct conn *conns;
    long nconns, nsubs, base, started, kicked, closing;
    uint64_t acks;
    struct conn_list inflight, retry;      /* handshakes under way; to be started (again) */
    int ninflight;
    uint64_t now, t_start, t_measure, rng, gen, key_seed;
    char req[8192];
    size_t req_len, req_key;
    uint8_t *rbuf, *wbuf;
    size_t wbuf_size;
    uint8_t *pattern;                      /* echo payload; its first 8 bytes are replaced by the tag */
    uint64_t *ts;                          /* echo: [connection][seq % depth] send time */
    size_t frame_hdr_len, frame_len;
    uint8_t frame_hdr[10];
    /* fan-out */
    uint8_t *msg, *pad;                    /* template with room for the numbers; the padding in it */
    size_t msg_len, pad_len, seq_at[8], ts_at[8], hint, pad_hint;
    int nseq, nts;
    uint8_t last_mark[64];
    size_t mark_len;
    uint64_t last_seq, last_ts, checks;
    struct conn *pub[MAX_PUBS];
    uint64_t pub_busy[MAX_PUBS];           /* time of the publication that is not complete, else 0 */
    uint64_t pub_next, pub_turn;           /* open loop: time of the next publication, whose turn */
} W;

/* Nanoseconds from t to the time of this turn of the loop; t may be a little later. */
static inline uint64_t since(uint64_t t) { return W.now > t ? W.now - t : 0; }
static inline uint64_t rnd(void) { return mix64(W.rng += 0x9E3779B97F4A7C15u); }

static void report(enum err e, uint64_t n, const char *fmt, ...)
{
    uint64_t before = W.st->errors[e];
    W.st->errors[e] += n;
    if (before >= 5)
        return;
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fprintf(stderr, "wsload[%d] %s: %s\n", W.id, err_name[e], line);
}

/* ---------------------------------------------------------------- connection life */

static void watch(struct conn *c, int op, bool out)
{
    struct epoll_event ev = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(W.ep, op, c->fd, &ev) < 0)
        report(E_INTERNAL, 1, "epoll_ctl: %s", strerror(errno));
    c->want_out = out;
}

static void conn_reset(struct conn *c)
{
    free(c->acc), free(c->ctl), free(c->out);
    c->acc = c->ctl = c->out = NULL;
    c->acc_len = c->acc_cap = 0;
    c->out_off = c->out_len = c->out_cap = 0;
    c->hdr_len = c->in_frame = c->msg_op = c->close_sent = c->close_rcvd = c->want_out = 0;
    c->off = c->left = 0;
}

/* Ends the connection on our side.  A storm slot goes back into the queue. */
static void conn_end(struct conn *c, bool reset)
{
    if (reset) {
        struct linger l = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    }
    close(c->fd);
    c->fd = -1;
    if (c->state == ST_CONNECTING || c->state == ST_HANDSHAKE) {
        TAILQ_REMOVE(&W.inflight, c, link);
        W.ninflight--;
    } else {
        W.st->open--;
        if (c->state == ST_CLOSING)
            W.closing--;
        if (O.mode == FANOUT && c->role == SUBSCRIBER)
            atomic_fetch_sub(&S->alive, 1);
    }
    conn_reset(c);
    c->state = ST_DEAD;
    if (O.mode == STORM) {
        c->retry_at = 0;
        TAILQ_INSERT_TAIL(&W.retry, c, link);
        c->state = ST_NEW;
    }
}

/* A handshake that did not succeed: counted, never tried again (a storm slot starts afresh). */
static int handshake_failed(struct conn *c, enum err e, const char *why)
{
    report(e, 1, "%s", why);
    W.st->failed++;
    conn_end(c, true);
    return -1;
}

static int conn_lost(struct conn *c, enum err e, const char *why)
{
    report(e, 1, "connection %ld: %s", (long)(c - W.conns) + W.base, why);
    conn_end(c, e != E_CLOSED);
    return -1;
}

/* Sends, or keeps what the kernel does not take.  -1: the connection is gone. */
static int tx(struct conn *c, const uint8_t *p, size_t n)
{
    if (likely(c->out_len == 0)) {
        ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
        if (likely(k == (ssize_t)n))
            return 0;
        if (k < 0) {
            if (errno != EAGAIN)
                return conn_lost(c, c->state == ST_CLOSING ? E_CLOSING : E_CLOSED, strerror(errno));
            k = 0;
        }
        p += k;
        n -= (size_t)k;
    }
    if (c->out_off + c->out_len + n > c->out_cap) {
        size_t cap = c->out_len + n;
        uint8_t *q = xalloc(cap);
        if (c->out_len)
            memcpy(q, c->out + c->out_off, c->out_len);
        free(c->out);
        c->out = q, c->out_off = 0, c->out_cap = cap;
    }
    memcpy(c->out + c->out_off + c->out_len, p, n);
    c->out_len += n;
    if (!c->want_out)
        watch(c, EPOLL_CTL_MOD, true);
    return 0;
}

static int tx_pending(struct conn *c)
{
    ssize_t k = send(c->fd, c->out + c->out_off, c->out_len, MSG_NOSIGNAL);
    if (k < 0)
        return errno == EAGAIN ? 0 : conn_lost(c, c->state == ST_CLOSING ? E_CLOSING : E_CLOSED, strerror(errno));
    c->out_off += (size_t)k;
    c->out_len -= (size_t)k;
    if (c->out_len == 0) {
        free(c->out);
        c->out = NULL;
        c->out_off = c->out_cap = 0;
        watch(c, EPOLL_CTL_MOD, false);
    }
    return 0;
}

/* Frame header without the key; returns its length. */
static size_t put_header(uint8_t *h, int op, size_t n)
{
    h[0] = (uint8_t)(0x80 | op);
    if (n < 126) {
        h[1] = (uint8_t)(0x80 | n);
        return 2;
    }
    int bytes = n < 65536 ? 2 : 8;
    h[1] = (uint8_t)(0x80 | (bytes == 2 ? 126 : 127));
    for (int i = 0; i < bytes; i++)
        h[2 + i] = (uint8_t)(n >> (8 * (bytes - 1 - i)));
    return 2 + (size_t)bytes;
}

/* One masked frame; for the paths that are not hot. */
static int tx_frame(struct conn *c, int op, const void *p, size_t n)
{
    uint8_t small[256], *b = n + 14 <= sizeof small ? small : xalloc(n + 14);
    size_t h = put_header(b, op, n);
    uint32_t key = (uint32_t)rnd();
    memcpy(b + h, &key, 4);
    mask_copy(b + h + 4, p, n, key);
    int r = tx(c, b, h + 4 + n);
    if (b != small)
        free(b);
    return r;
}

static int start_closing(struct conn *c)
{
    static const uint8_t normal[2] = {1000 >> 8, 1000 & 255};
    c->state = ST_CLOSING;
    c->close_sent = 1;
    W.closing++;
    return tx_frame(c, OP_CLOSE, normal, 2);
}

/* ---------------------------------------------------------------- opening handshake */

static void build_request(void)
{
    int n = snprintf(W.req, sizeof W.req, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\n", O.path, O.host, ntohs(O.addr.sin_port));
    if (O.subprotocol)
        n += snprintf(W.req + n, sizeof W.req - (size_t)n, "Sec-WebSocket-Protocol: %s\r\n", O.subprotocol);
    for (int i = 0; i < O.headers && n < (int)sizeof W.req - 100; i++)
        n += snprintf(W.req + n, sizeof W.req - (size_t)n, "%s\r\n", O.header[i]);
    if (n >= (int)sizeof W.req - 100)
        die("request too long");
    n += sprintf(W.req + n, "Sec-WebSocket-Key: ");
    W.req_key = (size_t)n;
    n += sprintf(W.req + n, "%24s\r\n\r\n", "");
    W.req_len = (size_t)n;
}

/* The key of a connection is computed again when the answer comes instead of being stored. */
static void make_key(uint64_t gen, char key[24])
{
    uint64_t k[2] = {mix64(W.key_seed ^ 2 * gen), mix64(W.key_seed ^ (2 * gen + 1))};
    base64((uint8_t *)k, 16, key);
}

static int send_request(struct conn *c)
{
    make_key(c->gen, W.req + W.req_key);
    ssize_t k = send(c->fd, W.req, W.req_len, MSG_NOSIGNAL);
    if (k == (ssize_t)W.req_len) {
        if (c->state == ST_CONNECTING && c->want_out)
            watch(c, EPOLL_CTL_MOD, false);
        c->state = ST_HANDSHAKE;
        return 0;
    }
    if (k >= 0)
        return handshake_failed(c, E_INTERNAL, "request sent in part");
    return errno;
}

static void retry_later(struct conn *c, int why)
{
    W.st->retries++;
    close(c->fd);
    c->fd = -1;
    TAILQ_REMOVE(&W.inflight, c, link);
    W.ninflight--;
    conn_reset(c);
    if (since(c->t0) > (uint64_t)(O.connect_timeout * 1e9)) {
        report(E_CONNECT, 1, "%s", strerror(why));
        W.st->failed++;
        c->state = ST_DEAD;
        if (O.mode != STORM)
            return;
    }
    c->state = ST_NEW;
    c->retry_at = W.now + 20000000;
    TAILQ_INSERT_TAIL(&W.retry, c, link);
}

/* The connection attempt; on loopback it is established when connect() returns, so the request goes out at once. */
static void start_connect(struct conn *c)
{
    int one = 1;
    c->gen = W.gen++;
    c->attempt = now_ns();
    c->state = ST_CONNECTING;
    TAILQ_INSERT_TAIL(&W.inflight, c, link);
    W.ninflight++;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        retry_later(c, errno);
        return;
    }
    if (O.mode != STORM)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (O.src_ips) {
        struct sockaddr_in a = {.sin_family = AF_INET};
        a.sin_addr.s_addr = htonl(0x7F000002u + (uint32_t)((uint64_t)(c - W.conns + W.base) % (uint64_t)O.src_ips));
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&a, sizeof a) < 0) {
            retry_later(c, errno);
            return;
        }
    }
    if (connect(c->fd, (struct sockaddr *)&O.addr, sizeof O.addr) < 0 && errno != EINPROGRESS) {
        retry_later(c, errno);
        return;
    }
    int r = send_request(c);
    if (r > 0 && r != EAGAIN)
        retry_later(c, r);
    else if (r >= 0)
        watch(c, EPOLL_CTL_ADD, r == EAGAIN);
}

static void connect_more(void)
{
    if (O.mode == STORM && !W.sending)
        return;
    while (W.ninflight < O.inflight) {
        struct conn *c = TAILQ_FIRST(&W.retry);
        if (c && c->retry_at <= W.now) {
            TAILQ_REMOVE(&W.retry, c, link);
            if (O.mode == STORM && c->retry_at == 0)
                c->t0 = now_ns();
        } else {
            if (W.started == W.nconns)
                return;
            if (O.connect_rate > 0 && (double)W.started >= (double)(W.now - W.t_start) / 1e9 * O.connect_rate / O.procs)
                return;
            c = &W.conns[W.started++];
            c->t0 = now_ns();
        }
        start_connect(c);
    }
}

static bool has_token(const char *v, size_t n, const char *token)
{
    size_t t = strlen(token);
    for (size_t i = 0; i < n;) {
        size_t e = i;
        while (e < n && v[e] != ',')
            e++;
        size_t a = i, b = e;
        while (a < b && (v[a] == ' ' || v[a] == '\t')) a++;
        while (b > a && (v[b - 1] == ' ' || v[b - 1] == '\t')) b--;
        if (b - a == t && !strncasecmp(v + a, token, t))
            return true;
        i = e + 1;
    }
    return false;
}

/* Why the answer h[0..n) (it ends with an empty line) is not acceptable, or NULL. */
static const char *check_response(struct conn *c, const char *h, size_t n)
{
    const char *end = h + n;
    char text[24 + 36], want[28];
    uint8_t digest[20];
    int upgrade = 0, connection = 0, accept = 0, protocol = 0;
    if (n < 13 || memcmp(h, "HTTP/1.1 101", 12) || (h[12] != ' ' && h[12] != '\r'))
        return "status is not 101";
    make_key(c->gen, text);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    sha1((uint8_t *)text, 60, digest);
    base64(digest, 20, want);
    for (const char *l = (const char *)memchr(h, '\n', n) + 1; l < end;) {
        const char *e = memchr(l, '\n', (size_t)(end - l));
        size_t len = (size_t)(e - l);
        if (len && l[len - 1] == '\r')
            len--;
        const char *colon = memchr(l, ':', len);
        if (colon) {
            size_t nl = (size_t)(colon - l), vl;
            const char *v = colon + 1;
            while (v < l + len && (*v == ' ' || *v == '\t')) v++;
            vl = (size_t)(l + len - v);
            while (vl && (v[vl - 1] == ' ' || v[vl - 1] == '\t')) vl--;
#define IS(name) (nl == sizeof name - 1 && !strncasecmp(l, name, nl))
            if (IS("Upgrade"))
                upgrade += vl == 9 && !strncasecmp(v, "websocket", 9);
            else if (IS("Connection"))
                connection += has_token(v, vl, "upgrade");
            else if (IS("Sec-WebSocket-Accept")) {
                accept++;
                if (vl != 28 || memcmp(v, want, 28))
                    return "Sec-WebSocket-Accept is wrong";
            } else if (IS("Sec-WebSocket-Extensions")) {
                if (vl)
                    return "an extension that was not offered";
            } else if (IS("Sec-WebSocket-Protocol")) {
                char one[256];
                if (vl >= sizeof one)
                    return "subprotocol too long";
                memcpy(one, v, vl);
                one[vl] = 0;
                if (!O.subprotocol || !has_token(O.subprotocol, strlen(O.subprotocol), one))
                    return "a subprotocol that was not offered";
                protocol++;
            }
#undef IS
        }
        l = e + 1;
    }
    if (!upgrade)
        return "no Upgrade: websocket";
    if (!connection)
        return "no Connection: Upgrade";
    if (accept != 1)
        return "Sec-WebSocket-Accept missing or repeated";
    if (protocol > 1)
        return "Sec-WebSocket-Protocol repeated";
    if (O.subprotocol && !protocol)
        return "subprotocol not accepted";
    return NULL;
}

static int hello(struct conn *c, const char *const *list, int n)
{
    for (int i = 0; i < n; i++) {
        const char *id = strstr(list[i], "{id}");
        char text[4096];
        if (id)
            snprintf(text, sizeof text, "%.*s%ld%s", (int)(id - list[i]), list[i], (long)(c - W.conns) + W.base, id + 4);
        else
            snprintf(text, sizeof text, "%s", list[i]);
        if (tx_frame(c, OP_TEXT, text, strlen(text)) < 0)
            return -1;
    }
    return 0;
}

/* The handshake is done. */
static int conn_open(struct conn *c)
{
    TAILQ_REMOVE(&W.inflight, c, link);
    W.ninflight--;
    c->state = ST_OPEN;
    W.st->open++;
    W.st->opened++;
    if (O.mode == STORM) {
        W.st->total++;
        if (W.measuring) {
            W.st->msgs++;
            hist_add(&W.st->lat, now_ns() - c->t0);
        }
        if (O.close == CLOSE_PROPER)
            return start_closing(c);
        if (W.measuring)
            W.st->cycles++;
        conn_end(c, O.close == CLOSE_ABRUPT);
        return -1;
    }
    if (O.mode == FANOUT) {
        if (c->role == PUBLISHER)
            return hello(c, O.pub_hello, O.pub_hellos);
        atomic_fetch_add(&S->alive, 1);
        return hello(c, O.hello, O.hellos);
    }
    return 0;
}

static void acc_add(struct conn *c, const uint8_t *p, size_t n)
{
    if (c->acc_len + n > c->acc_cap) {
        size_t cap = c->acc_cap ? c->acc_cap * 2 : 512;
        while (cap < c->acc_len + n)
            cap *= 2;
        c->acc = realloc(c->acc, cap);
        if (!c->acc)
            die("out of memory");
        c->acc_cap = (uint32_t)cap;
    }
    memcpy(c->acc + c->acc_len, p, n);
    c->acc_len += (uint32_t)n;
}

static void acc_free(struct conn *c)
{
    free(c->acc);
    c->acc = NULL;
    c->acc_len = c->acc_cap = 0;
}

static int feed(struct conn *c, const uint8_t *p, size_t n);

static int feed_handshake(struct conn *c, const uint8_t *p, size_t n)
{
    size_t before = c->acc_len;
    const uint8_t *h = p;
    size_t len = n;
    if (before) {
        acc_add(c, p, n);
        h = c->acc, len = c->acc_len;
    }
    const uint8_t *end = memmem(h, len, "\r\n\r\n", 4);
    if (!end) {
        if (len > MAX_RESPONSE)
            return handshake_failed(c, E_HANDSHAKE, "answer too long");
        if (!before)
            acc_add(c, p, n);
        return 0;
    }
    size_t used = (size_t)(end - h) + 4;
    const char *why = check_response(c, (const char *)h, used);
    if (why) {
        char text[200];
        int eol = (int)((const uint8_t *)memchr(h, '\r', len) - h);
        snprintf(text, sizeof text, "%s (%.*s)", why, eol < 80 ? eol : 80, (const char *)h);
        return handshake_failed(c, E_HANDSHAKE, text);
    }
    acc_free(c);
    if (conn_open(c) < 0)
        return -1;
    return used > before + n ? 0 : feed(c, p + (used - before), n - (used - before));
}

/* ---------------------------------------------------------------- echo */

/* 48 bits as 8 printable characters, so that the tag is fit for text messages too. */
static inline uint64_t make_tag(uint64_t v)
{
    return _pdep_u64(v, 0x3F3F3F3F3F3F3F3Fu) + 0x3030303030303030u;
}

static inline uint64_t tag_mask(void) { return O.size >= 8 ? ~0ull : (1ull << (8 * O.size)) - 1; }

static void fill_pattern(void)
{
    size_t n = (size_t)O.size;
    W.pattern = xalloc(n + 64);
    if (O.utf8) {
        static const char *const piece[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "Z"};
        size_t i = 8;
        for (unsigned k = 0; i < n; k++) {
            const char *s = piece[k % 5];
            size_t l = strlen(s);
            if (i + l > n)
                s = "x", l = 1;
            memcpy(W.pattern + i, s, l);
            i += l;
        }
    } else {
        for (size_t i = 0; i < n; i++)
            W.pattern[i] = O.opcode == OP_TEXT ? (uint8_t)(' ' + mix64(i) % 95) : (uint8_t)mix64(i);
    }
    W.frame_hdr_len = put_header(W.frame_hdr, O.opcode, n);
    W.frame_len = W.frame_hdr_len + 4 + n;
}

/* Sends what is owed, as far as the kernel takes it. */
static int echo_pump(struct conn *c)
{
    size_t size = (size_t)O.size, hl = W.frame_hdr_len, depth = (size_t)O.depth;
    uint64_t *ts = W.ts + (size_t)(c - W.conns) * depth, salt = c->salt;
    while (c->owed && !c->out_len) {
        size_t k = W.wbuf_size / W.frame_len;
        if (k > c->owed)
            k = c->owed;
        uint8_t *q = W.wbuf;
        uint64_t now = k * size > 4096 ? now_ns() : W.now;
        for (size_t i = 0; i < k; i++) {
            uint32_t key = (uint32_t)rnd();
            uint64_t tag = make_tag(salt + c->sent) ^ (key | (uint64_t)key << 32);
            memcpy(q, W.frame_hdr, sizeof W.frame_hdr);
            memcpy(q + hl, &key, 4);
            q += hl + 4;
            mask_copy(q, W.pattern, size, key);
            memcpy(q, &tag, size < 8 ? size : 8);
            q += size;
            ts[c->sent++ % depth] = now;
        }
        c->owed -= k;
        if (tx(c, W.wbuf, (size_t)(q - W.wbuf)) < 0)
            return -1;
    }
    return 0;
}

/* One more piece of a message, at offset c->off: compare it.  The tag is judged when the message is whole. */
static inline void echo_chunk(struct conn *c, const uint8_t *p, size_t n)
{
    size_t size = (size_t)O.size, off = c->off;
    if (unlikely(off + n > size)) {
        c->bad = 1;
        return;
    }
    if (likely(off == 0 && n >= 8)) {
        memcpy(&c->tag, p, 8);
        p += 8, n -= 8, off = 8;
    } else {
        if (off == 0)
            c->tag = 0;
        for (; n && off < 8; off++, n--)
            c->tag |= (uint64_t)*p++ << (8 * off);
    }
    const uint8_t *want = W.pattern + off;
    if (n <= 256 || O.full_verify || (c->track.next & 7) == 0)
        c->bad |= memcmp(p, want, n) != 0;
    else
        c->bad |= memcmp(p, want, 64) != 0 || memcmp(p + n - 64, want + n - 64, 64) != 0;
}

static inline int echo_message(struct conn *c, int op, uint64_t len)
{
    uint64_t salt = c->salt, seq = c->track.next;
    if (unlikely(len != (uint64_t)O.size || op != O.opcode))
        c->bad = 1;
    bool in_order = c->tag == (make_tag(salt + seq) & tag_mask());
    if (unlikely(c->bad || !in_order || seq >= c->sent)) {
        const char *what = c->bad ? "wrong opcode, length or content" : "nothing was sent that this could answer";
        uint64_t got = (_pext_u64(c->tag - 0x3030303030303030u, 0x3F3F3F3F3F3F3F3Fu) - salt) & 0xFFFFFFFFFFFFull;
        if (!c->bad && !in_order && got < c->sent && O.size >= 8 && make_tag(salt + got) == c->tag) {
            enum seen how = track_seq(&c->track, got);
            if (how == AFTER_GAP) {
                c->owed += W.sending ? got - seq : 0;   /* the missing ones no longer fill the pipeline */
                goto count;
            }
            report(how == LATE ? E_REORDERED : E_DUPLICATE, 1, "connection %ld: message %lu after %lu",
                   (long)(c - W.conns) + W.base, (unsigned long)got, (unsigned long)seq - 1);
            c->bad = 0;
            return 0;
        }
        report(E_CORRUPT, 1, "connection %ld, message %lu: %s (opcode %d, %lu bytes)", (long)(c - W.conns) + W.base,
               (unsigned long)seq, c->bad || seq >= c->sent ? what : "wrong tag", op, (unsigned long)len);
        c->bad = 0;
        if (seq >= c->sent)
            return 0;
    }
    track_seq(&c->track, seq);
count:
    if (W.measuring) {
        W.st->msgs++;
        hist_add(&W.st->lat, W.now - W.ts[(size_t)(c - W.conns) * (size_t)O.depth + (c->track.next - 1) % (size_t)O.depth]);
    }
    c->owed += W.sending;
    return 0;
}

/* ---------------------------------------------------------------- fan-out */

static void put_digits(uint8_t *p, int n, uint64_t v)
{
    while (n--)
        p[n] = (uint8_t)('0' + v % 10), v /= 10;
}

/* The published text: numbers of fixed width, padding up to the size asked for. */
static void build_template(void)
{
    size_t fixed = 0, pads = 0;
    for (const char *t = O.template; *t;) {
        if (!strncmp(t, "{seq}", 5)) fixed += SEQ_DIGITS, t += 5;
        else if (!strncmp(t, "{ts}", 4)) fixed += TS_DIGITS, t += 4;
        else if (!strncmp(t, "{pad}", 5)) pads++, t += 5;
        else fixed++, t++;
    }
    if (pads > 1)
        die("more than one {pad}");
    W.pad_len = pads && (size_t)O.size > fixed ? (size_t)O.size - fixed : 0;
    W.msg_len = fixed + W.pad_len;
    W.msg = xalloc(W.msg_len + 64);
    uint8_t *m = W.msg;
    for (const char *t = O.template; *t;) {
        if (!strncmp(t, "{seq}", 5)) {
            if (W.nseq == 8)
                die("too many {seq}");
            W.seq_at[W.nseq++] = (size_t)(m - W.msg);
            m += SEQ_DIGITS, t += 5;
        } else if (!strncmp(t, "{ts}", 4)) {
            if (W.nts == 8)
                die("too many {ts}");
            W.ts_at[W.nts++] = (size_t)(m - W.msg);
            m += TS_DIGITS, t += 4;
        } else if (!strncmp(t, "{pad}", 5)) {
            W.pad = m;
            for (size_t i = 0; i < W.pad_len; i++)
                *m++ = (uint8_t)"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[mix64(i) % 62];
            t += 5;
        } else
            *m++ = (uint8_t)*t++;
    }
    if (!W.nseq || !W.nts || W.seq_at[0] < 2 || memcmp(W.msg + W.seq_at[0] - 2, "m=", 2) ||
        W.ts_at[0] <= W.seq_at[0] || W.ts_at[0] - W.seq_at[0] - SEQ_DIGITS > 8 || W.ts_at[0] == W.seq_at[0] + SEQ_DIGITS)
        die("the template needs 'm={seq}', 1 to 8 characters that are not digits, '{ts}'");
}

static int publish(int p, uint64_t ts)
{
    struct conn *c = W.pub[p];
    if (c->state != ST_OPEN)
        return -1;
    if (c->out_len > 4 << 20) {
        W.st->skipped++;
        return 0;
    }
    uint64_t seq = atomic_load_explicit(&S->published[p], memory_order_relaxed) * (uint64_t)O.pubs + (uint64_t)p;
    struct slot *s = &S->ring[seq % RING];
    s->seq = seq, s->ts = ts;
    atomic_store(&s->count, 0);
    atomic_fetch_add(&S->published[p], 1);
    for (int i = 0; i < W.nseq; i++)
        put_digits(W.msg + W.seq_at[i], SEQ_DIGITS, seq);
    for (int i = 0; i < W.nts; i++)
        put_digits(W.msg + W.ts_at[i], TS_DIGITS, ts);
    W.pub_busy[p] = now_ns();
    W.st->published += W.measuring;
    uint8_t *q = W.wbuf;
    size_t h = put_header(q, OP_TEXT, W.msg_len);
    uint32_t key = (uint32_t)rnd();
    memcpy(q + h, &key, 4);
    mask_copy(q + h + 4, W.msg, W.msg_len, key);
    return tx(c, q, h + 4 + W.msg_len);
}

static bool pub_complete(int p)
{
    uint64_t n = atomic_load(&S->published[p]);
    if (!n)
        return true;
    struct slot *s = &S->ring[((n - 1) * (uint64_t)O.pubs + (uint64_t)p) % RING];
    return atomic_load(&s->count) >= atomic_load(&S->alive);
}

/* Closed loop: publishes again where the last publication is complete (or given up). */
static void publish_ready(void)
{
    if (O.mode != FANOUT || !W.sending || O.rate > 0 || W.id != 0)
        return;
    for (int p = 0; p < O.pubs; p++) {
        if (W.pub_busy[p] && !pub_complete(p)) {
            if (now_ns() - W.pub_busy[p] < 2000000000u)
                continue;
            report(E_TIMEOUT, 1, "publication of publisher %d did not reach every subscriber within 2 s", p);
        }
        publish(p, now_ns());
    }
}

/* Open loop: publishes everything that is due; returns nanoseconds until the next. */
static uint64_t publish_due(void)
{
    uint64_t step = (uint64_t)(1e9 / O.rate), now = now_ns();
    while (W.pub_next <= now) {
        publish((int)(W.pub_turn++ % (uint64_t)O.pubs), W.pub_next);
        W.pub_next += step;
    }
    return W.pub_next - now;
}

static bool get_digits(const uint8_t *p, int n, uint64_t *v)
{
    uint64_t x = 0;
    for (int i = 0; i < n; i++) {
        unsigned d = p[i] - '0';
        if (d > 9)
            return false;
        x = x * 10 + d;
    }
    *v = x;
    return true;
}

/* Is there a marker at p?  Its length, or 0. */
static size_t marker_at(const uint8_t *p, const uint8_t *end, uint64_t *seq, uint64_t *ts)
{
    const uint8_t *q = p + 2 + SEQ_DIGITS;
    if (end - p < 2 + SEQ_DIGITS + 1 + TS_DIGITS || p[0] != 'm' || p[1] != '=' || !get_digits(p + 2, SEQ_DIGITS, seq))
        return 0;
    for (int i = 0; i <= 8 && end - q >= TS_DIGITS; i++, q++)
        if (*q >= '0' && *q <= '9')
            return i && get_digits(q, TS_DIGITS, ts) ? (size_t)(q + TS_DIGITS - p) : 0;
    return 0;
}

static bool find_marker(const uint8_t *p, size_t n, uint64_t *seq, uint64_t *ts)
{
    const uint8_t *end = p + n;
    if (W.mark_len && n >= W.hint + W.mark_len && !memcmp(p + W.hint, W.last_mark, W.mark_len)) {
        *seq = W.last_seq, *ts = W.last_ts;      /* the same publication as the last one seen */
        return true;
    }
    size_t at = W.hint, len = n > at ? marker_at(p + at, end, seq, ts) : 0;
    for (const uint8_t *m = p; !len && (m = memmem(m, (size_t)(end - m), "m=", 2)); m++)
        if ((len = marker_at(m, end, seq, ts)))
            at = (size_t)(m - p);
    if (!len)
        return false;
    W.hint = at;
    W.mark_len = len;
    memcpy(W.last_mark, p + at, len);
    W.last_seq = *seq, W.last_ts = *ts;
    return true;
}

/* The message must carry the padding unchanged; with --exact it must be the published text and nothing else. */
static bool fanout_content_ok(const uint8_t *p, size_t n, uint64_t seq, uint64_t ts)
{
    if (O.exact && n != W.msg_len)
        return false;
    bool all = O.full_verify || n <= 256 || (W.checks++ & 15) == 0;
    if (!all)
        return true;
    if (O.exact) {
        uint8_t head[512];
        size_t k = W.msg_len < sizeof head ? W.msg_len : sizeof head;
        memcpy(head, W.msg, k);
        for (int i = 0; i < W.nseq; i++)
            if (W.seq_at[i] + SEQ_DIGITS <= k)
                put_digits(head + W.seq_at[i], SEQ_DIGITS, seq);
        for (int i = 0; i < W.nts; i++)
            if (W.ts_at[i] + TS_DIGITS <= k)
                put_digits(head + W.ts_at[i], TS_DIGITS, ts);
        if (memcmp(p, head, k))
            return false;
    }
    if (!W.pad_len)
        return true;
    if (n >= W.pad_hint + W.pad_len && !memcmp(p + W.pad_hint, W.pad, W.pad_len))
        return true;
    const uint8_t *at = memmem(p, n, W.pad, W.pad_len);
    if (at)
        W.pad_hint = (size_t)(at - p);
    return at != NULL;
}

static int fanout_message(struct conn *c, int op, const uint8_t *p, size_t n)
{
    uint64_t seq, ts;
    if (!find_marker(p, n, &seq, &ts)) {
        W.st->other++;
        if (O.hello_ack && !c->acked && c->role == SUBSCRIBER && memmem(p, n, O.hello_ack, strlen(O.hello_ack))) {
            c->acked = 1;
            W.acks++;
        }
        return 0;
    }
    if (c->role == PUBLISHER) {
        W.st->own++;
        return 0;
    }
    int pub = (int)(seq % (uint64_t)O.pubs);
    uint64_t k = seq / (uint64_t)O.pubs;
    struct slot *s = &S->ring[seq % RING];
    if (op != OP_TEXT || k >= atomic_load_explicit(&S->published[pub], memory_order_acquire) ||
        (s->seq == seq && s->ts != ts) || !fanout_content_ok(p, n, seq, ts)) {
        report(E_CORRUPT, 1, "subscriber %ld: message %lu, opcode %d, %zu bytes: %.*s", (long)(c - W.conns) + W.base,
               (unsigned long)seq, op, n, n < 80 ? (int)n : 80, (const char *)p);
        return 0;
    }
    enum seen how = track_seq(&c->sub_track[pub], k);
    W.st->total++;
    if (unlikely(how == TWICE)) {
        report(E_DUPLICATE, 1, "subscriber %ld got message %lu twice", (long)(c - W.conns) + W.base, (unsigned long)seq);
        return 0;
    }
    if (unlikely(how == LATE))
        report(E_REORDERED, 1, "subscriber %ld got message %lu late", (long)(c - W.conns) + W.base, (unsigned long)seq);
    if (W.measuring) {
        W.st->msgs++;
        W.st->bytes += n;
        hist_add(&W.st->lat, since(ts));
    }
    if (s->seq == seq && atomic_fetch_add(&s->count, 1) + 1 == atomic_load_explicit(&S->alive, memory_order_relaxed)) {
        if (W.measuring)
            hist_add(&W.st->lat2, now_ns() - ts);
        if (W.id == 0)
            publish_ready();
        else if (O.rate <= 0) {
            uint64_t one = 1;
            if (write(wake_fd, &one, 8) < 0)
                report(E_INTERNAL, 1, "eventfd: %s", strerror(errno));
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- frames */

static int control_frame(struct conn *c, const uint8_t *p, size_t n)
{
    if (c->op == OP_PING) {
        W.st->pings++;
        return c->state == ST_OPEN ? tx_frame(c, OP_PONG, p, n) : 0;
    }
    if (c->op == OP_PONG)
        return 0;
    if (n == 1)
        return conn_lost(c, E_PROTOCOL, "close frame with one byte of payload");
    int code = n ? p[0] << 8 | p[1] : 1005;
    if (c->close_rcvd)
        return conn_lost(c, E_PROTOCOL, "two close frames");
    c->close_rcvd = 1;
    if (n && (code < 1000 || code == 1004 || code == 1005 || code == 1006 || (code > 1014 && code < 3000) || code > 4999))
        return conn_lost(c, E_PROTOCOL, "close code that must not be sent");
    if (c->close_sent)
        return 0;                       /* the answer to ours: the server now closes the connection */
    char why[200];
    snprintf(why, sizeof why, "server closed: %d %.*s", code, n > 2 ? (int)n - 2 : 0, n > 2 ? (const char *)p + 2 : "");
    if (tx_frame(c, OP_CLOSE, p, n < 2 ? 0 : 2) < 0)
        return -1;
    return conn_lost(c, E_CLOSED, why);
}

static inline size_t header_size(uint8_t second)
{
    return second < 126 ? 2 : second == 126 ? 4 : 10;
}

/* A whole header: check it. */
static inline int begin_frame(struct conn *c, const uint8_t *h)
{
    uint64_t len = h[1];
    int op = h[0] & 15;
    if (unlikely(h[0] & 0x70 || h[1] & 0x80))
        return conn_lost(c, E_PROTOCOL, "reserved bit set, or masked frame from the server");
    if (len == 126) {
        len = (uint64_t)h[2] << 8 | h[3];
        if (len < 126)
            return conn_lost(c, E_PROTOCOL, "length not in its shortest form");
    } else if (len == 127) {
        len = 0;
        for (int i = 2; i < 10; i++)
            len = len << 8 | h[i];
        if (len < 65536 || len >> 63)
            return conn_lost(c, E_PROTOCOL, "length not in its shortest form, or negative");
    }
    if (unlikely(op & 8)) {
        if (op > OP_PONG || !(h[0] & 0x80) || len > 125)
            return conn_lost(c, E_PROTOCOL, "bad control frame");
    } else {
        if (unlikely(op > OP_BIN || (op == OP_CONT) != (c->msg_op != 0)))
            return conn_lost(c, E_PROTOCOL, "data frame out of place, or unknown opcode");
        if (op != OP_CONT) {
            c->msg_op = (uint8_t)op;
            c->off = 0;
        }
        if (c->close_rcvd)
            return conn_lost(c, E_PROTOCOL, "data after a close frame");
    }
    c->op = (uint8_t)op;
    c->fin = h[0] >> 7;
    c->left = c->flen = len;
    c->in_frame = 1;
    W.st->frames++;
    return 0;
}

/* n bytes of the payload of the current frame (perhaps 0, perhaps all of it). */
static inline int frame_payload(struct conn *c, const uint8_t *p, size_t n)
{
    bool whole = n == c->flen, last = n == c->left;
    if (unlikely(c->op & 8)) {
        if (!whole) {
            if (!c->ctl)
                c->ctl = xalloc(125);
            memcpy(c->ctl + (c->flen - c->left), p, n);
        }
        return last ? control_frame(c, whole ? p : c->ctl, c->flen) : 0;
    }
    if (O.mode == ECHO) {
        echo_chunk(c, p, n);
        c->off += n;
        if (!last || !c->fin)
            return 0;
        int op = c->msg_op;
        c->msg_op = 0;
        return echo_message(c, op, c->off);
    }
    if (O.mode != FANOUT) {
        if (last && c->fin)
            c->msg_op = 0, W.st->other++;
        return 0;
    }
    bool one_piece = whole && c->fin && c->op != OP_CONT;
    if (!one_piece) {
        if (c->acc_len + n > MAX_MESSAGE)
            return conn_lost(c, E_PROTOCOL, "message too long");
        if (n)
            acc_add(c, p, n);
        if (!last || !c->fin)
            return 0;
    }
    int op = c->msg_op;
    c->msg_op = 0;
    int r = one_piece ? fanout_message(c, op, p, n) : fanout_message(c, op, c->acc, c->acc_len);
    if (!one_piece && r == 0)
        acc_free(c);
    return r;
}

static int feed(struct conn *c, const uint8_t *p, size_t n)
{
    while (n) {
        if (!c->in_frame) {
            size_t hl;
            if (likely(c->hdr_len == 0 && n >= 2 && n >= (hl = header_size(p[1])))) {
                if (begin_frame(c, p) < 0)
                    return -1;
                p += hl, n -= hl;
            } else {
                c->hdr[c->hdr_len++] = *p++, n--;
                if (c->hdr_len < 2 || c->hdr_len < header_size(c->hdr[1]))
                    continue;
                if (begin_frame(c, c->hdr) < 0)
                    return -1;
                c->hdr_len = 0;
            }
        }
        size_t k = n < c->left ? n : (size_t)c->left;
        if (frame_payload(c, p, k) < 0)
            return -1;
        p += k, n -= k, c->left -= k;
        if (c->left == 0)
            c->in_frame = 0;
    }
    return 0;
}

/* ---------------------------------------------------------------- events */

static void closed_by_peer(struct conn *c, const char *why)
{
    if (c->state == ST_HANDSHAKE || c->state == ST_CONNECTING)
        handshake_failed(c, E_HANDSHAKE, why);
    else if (c->state == ST_CLOSING && c->close_rcvd) {
        if (O.mode == STORM && W.measuring) {
            W.st->cycles++;
            hist_add(&W.st->lat2, now_ns() - c->t0);
        }
        conn_end(c, false);
    } else
        conn_lost(c, c->state == ST_CLOSING ? E_CLOSING : E_CLOSED, why);
}

static void readable(struct conn *c)
{
    ssize_t n = recv(c->fd, W.rbuf, RBUF_SIZE, 0);
    if (unlikely(n <= 0)) {
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno == ECONNREFUSED && c->state == ST_CONNECTING)
            retry_later(c, errno);
        else
            closed_by_peer(c, n ? strerror(errno) : "end of stream");
        return;
    }
    W.now = now_ns();
    if (unlikely(c->state == ST_HANDSHAKE))
        feed_handshake(c, W.rbuf, (size_t)n);
    else if (feed(c, W.rbuf, (size_t)n) == 0 && c->owed && c->out_len == 0)
        echo_pump(c);
}

static void writable(struct conn *c)
{
    if (c->state == ST_CONNECTING) {
        int e = 0;
        socklen_t l = sizeof e;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
        if (!e && (e = send_request(c)) == EAGAIN)
            return;
        if (e > 0)
            retry_later(c, e);
        return;
    }
    if (c->out_len && tx_pending(c) == 0 && c->out_len == 0 && c->owed && c->state == ST_OPEN) {
        W.now = now_ns();
        echo_pump(c);
    }
}

/* ---------------------------------------------------------------- worker */

static double cpu_of(const struct timeval *t) { return (double)t->tv_sec + (double)t->tv_usec / 1e6; }

static void enter_phase(int ph)
{
    struct rusage ru;
    W.phase = ph;
    W.now = now_ns();
    switch (ph) {
    case PH_RUN:
        W.sending = true;
        W.kicked = 0;
        W.pub_next = W.now;
        publish_ready();
        break;
    case PH_MEASURE:
    case PH_COOL: {
        double sign = ph == PH_MEASURE ? -1 : 1;
        getrusage(RUSAGE_SELF, &ru);
        W.st->cpu_user += sign * cpu_of(&ru.ru_utime);
        W.st->cpu_sys += sign * cpu_of(&ru.ru_stime);
        if (ph == PH_MEASURE)
            W.t_measure = W.now;
        else
            W.st->measured += W.now - W.t_measure;
        W.measuring = ph == PH_MEASURE;
        W.st->done = W.step;
        break;
    }
    case PH_DRAIN:
        W.sending = false;
        for (long i = 0; i < W.nconns; i++)
            W.conns[i].owed = 0;
        break;
    case PH_CLOSE:
        for (long i = 0; i < W.nconns; i++) {
            struct conn *c = &W.conns[i];
            if (O.mode == ECHO) {
                uint64_t lost = c->sent - c->track.next + c->track.holes;
                if (lost)
                    report(E_LOST, lost, "connection %ld: %lu of %lu messages never came back", i + W.base,
                           (unsigned long)lost, (unsigned long)c->sent);
            } else if (O.mode == FANOUT && c->role == SUBSCRIBER) {
                for (int p = 0; p < O.pubs; p++) {
                    uint64_t lost = atomic_load(&S->published[p]) - c->sub_track[p].next + c->sub_track[p].holes;
                    if (lost)
                        report(E_LOST, lost, "subscriber %ld: %lu messages of publisher %d never came", i + W.base,
                               (unsigned long)lost, p);
                }
            }
            if (c->state != ST_OPEN)
                continue;
            if (O.no_final_close || O.close == CLOSE_ABRUPT)
                conn_end(c, true);
            else if (O.close == CLOSE_FIN)
                conn_end(c, false);
            else
                start_closing(c);
        }
        break;
    }
}

/* Echo: fills the pipelines of the next few connections; between two calls what comes back is read. */
static void kick_some(void)
{
    for (int n = 0; n < 32 && W.kicked < W.nconns; n++) {
        struct conn *c = &W.conns[W.kicked++];
        if (c->state == ST_OPEN) {
            c->owed = (uint64_t)O.depth;
            echo_pump(c);
        }
    }
}

/* Everything sent has been answered / published has arrived? */
static bool drained(void)
{
    if (O.mode == STORM)
        return W.ninflight == 0 && W.closing == 0;
    for (long i = 0; i < W.nconns; i++) {
        struct conn *c = &W.conns[i];
        if (c->state != ST_OPEN)
            continue;
        if (O.mode == ECHO && c->track.next < c->sent)
            return false;
        if (O.mode == FANOUT && c->role == SUBSCRIBER)
            for (int p = 0; p < O.pubs; p++)
                if (c->sub_track[p].next < atomic_load(&S->published[p]))
                    return false;
    }
    return true;
}

/* Ten times a second or so: time limits and the flags that the parent waits for. */
static void periodic(void)
{
    struct conn *c;
    while ((c = TAILQ_FIRST(&W.inflight)) && since(c->attempt) > (uint64_t)(O.connect_timeout * 1e9))
        handshake_failed(c, E_TIMEOUT, "no handshake answer in time");
    bool done = false;
    if (W.phase == PH_CONNECT)
        done = (O.mode == STORM || (long)(W.st->opened + W.st->failed) >= W.nconns) && (!O.hello_ack || W.acks >= (uint64_t)W.nsubs);
    else if (W.phase == PH_DRAIN)
        done = drained();
    else if (W.phase == PH_CLOSE)
        done = W.closing == 0;
    else if (O.mode == FANOUT)
        publish_ready();
    if (done)
        W.st->done = W.step;
}

static void worker_setup(int id)
{
    W.id = id;
    W.st = &S->w[id];
    W.nsubs = O.conns / O.procs + (id < O.conns % O.procs);
    W.base = O.conns / O.procs * id + (id < O.conns % O.procs ? id : O.conns % O.procs);
    W.nconns = W.nsubs + (O.mode == FANOUT && id == 0 ? O.pubs : 0);
    W.conns = xalloc((size_t)W.nconns * sizeof *W.conns);
    TAILQ_INIT(&W.inflight);
    TAILQ_INIT(&W.retry);
    if (getrandom(&W.rng, 8, 0) != 8 || getrandom(&W.key_seed, 8, 0) != 8)
        die("getrandom: %s", strerror(errno));
    build_request();
    if (O.mode == ECHO) {
        fill_pattern();
        W.ts = xalloc((size_t)W.nconns * (size_t)O.depth * sizeof *W.ts);
        for (long i = 0; i < W.nconns; i++)
            W.conns[i].salt = rnd();
    } else if (O.mode == FANOUT) {
        build_template();
        for (long i = 0; i < W.nsubs; i++)
            W.conns[i].sub_track = xalloc((size_t)O.pubs * sizeof(struct track));
        for (long i = W.nsubs; i < W.nconns; i++) {
            W.conns[i].role = PUBLISHER;
            W.pub[i - W.nsubs] = &W.conns[i];
        }
    }
    size_t frame = W.frame_len > W.msg_len + 14 ? W.frame_len : W.msg_len + 14;
    W.wbuf_size = frame > WBUF_SIZE ? frame : WBUF_SIZE;
    W.wbuf = xalloc(W.wbuf_size + 64);
    W.rbuf = xalloc(RBUF_SIZE + 64);
    W.ep = epoll_create1(EPOLL_CLOEXEC);
    if (wake_fd >= 0 && id == 0) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
        epoll_ctl(W.ep, EPOLL_CTL_ADD, wake_fd, &ev);
    }
    W.now = W.t_start = now_ns();
}

static void worker(int id)
{
    struct epoll_event ev[EVENTS];
    uint64_t last_periodic = 0;
    worker_setup(id);
    for (;;) {
        uint64_t step = atomic_load_explicit(&S->step, memory_order_acquire);
        while (unlikely(W.step < step)) {
            W.step++;
            enter_phase(S->phase[W.step % 16]);
        }
        if (W.phase == PH_EXIT)
            return;
        connect_more();
        bool kicking = unlikely(W.phase == PH_RUN && O.mode == ECHO && W.kicked < W.nconns);
        if (kicking)
            kick_some();
        else if (W.phase == PH_RUN && W.st->done < W.step)
            W.st->done = W.step;
        uint64_t wait = kicking ? 0 : O.connect_rate > 0 && W.started < W.nconns ? 1000000 : 10000000;
        if (O.mode == FANOUT && O.rate > 0 && W.id == 0 && W.sending) {
            uint64_t due = publish_due();
            if (due < wait)
                wait = due;
        }
        struct timespec ts = {.tv_nsec = (long)wait};
        int n = epoll_pwait2(W.ep, ev, EVENTS, &ts, NULL);
        if (n < 0 && errno != EINTR)
            die("epoll_pwait2: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (unlikely(!c)) {
                uint64_t v;
                if (read(wake_fd, &v, 8) == 8)
                    publish_ready();
                continue;
            }
            if (unlikely(ev[i].events & EPOLLOUT))
                writable(c);
            if (likely(c->fd >= 0 && ev[i].events & ~EPOLLOUT))
                readable(c);
        }
        if (n < EVENTS || O.mode == STORM)
            W.now = now_ns();
        if (W.now - last_periodic > (W.phase == PH_RUN || W.phase == PH_MEASURE || W.phase == PH_COOL ? 100000000u : 10000000u)) {
            last_periodic = W.now;
            periodic();
        }
    }
}

/* ---------------------------------------------------------------- parent */

static pid_t kids[MAX_PROCS];
static int alive_kids;
static bool kid_failed;

static void reap(void)
{
    int st;
    pid_t p;
    while ((p = waitpid(-1, &st, WNOHANG)) > 0) {
        alive_kids--;
        if (!WIFEXITED(st) || WEXITSTATUS(st)) {
            fprintf(stderr, "wsload: worker %d ended with status %#x\n", (int)p, (unsigned)st);
            kid_failed = true;
        }
        for (int i = 0; i < O.procs; i++)
            if (kids[i] == p)
                kids[i] = 0;
    }
}

static void pause_s(double s)
{
    uint64_t end = now_ns() + (uint64_t)(s * 1e9), now;
    while (!kid_failed && (now = now_ns()) < end) {
        uint64_t d = end - now < 100000000 ? end - now : 100000000;
        nanosleep(&(struct timespec){.tv_nsec = (long)d}, NULL);
        reap();
    }
}

static void go(enum phase ph)
{
    uint64_t step = S->step + 1;
    S->phase[step % 16] = (uint8_t)ph;
    S->step = step;
}

/* Waits until every worker has done what the current phase asks for. */
static bool done_by_all(double limit)
{
    uint64_t end = now_ns() + (uint64_t)(limit * 1e9);
    for (int i = 0; i < O.procs; i++)
        while (S->w[i].done < S->step) {
            if (kid_failed || now_ns() > end)
                return false;
            pause_s(0.002);
        }
    return true;
}

static uint64_t sum_u64(size_t offset)
{
    uint64_t n = 0;
    for (int i = 0; i < O.procs; i++)
        n += *(volatile uint64_t *)((char *)&S->w[i] + offset);
    return n;
}
#define SUM(field) sum_u64(offsetof(struct wstats, field))

/* Nothing has arrived for --settle seconds (joins and their echoes are over); at most 30 s. */
static void settle(void)
{
    uint64_t last = ~0ull, quiet = now_ns(), end = quiet + 30000000000u;
    while (now_ns() < end && !kid_failed) {
        uint64_t n = SUM(frames);
        if (n != last)
            last = n, quiet = now_ns();
        else if (now_ns() - quiet > (uint64_t)(O.settle * 1e9))
            return;
        pause_s(0.01);
    }
}

static void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

static void json_lat(const char *name, const struct hist *h)
{
    printf(",\"%s\":{\"n\":%lu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}", name, (unsigned long)h->n,
           hist_us(h, .5), hist_us(h, .9), hist_us(h, .99), hist_us(h, .999), (double)h->max / 1e3);
}

static void say_lat(const char *name, const struct hist *h)
{
    say("  %-18s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f us  (%lu samples)", name, hist_us(h, .5), hist_us(h, .9),
        hist_us(h, .99), hist_us(h, .999), (double)h->max / 1e3, (unsigned long)h->n);
}

static int report_all(uint64_t opened)
{
    static struct hist lat, lat2;
    static const char *const mode[] = {"echo", "idle", "storm", "fanout"};
    double secs = 0, rate = 0, cycle_rate = 0, pub_rate = 0, cpu_user = 0, cpu_sys = 0, bytes = 0;
    uint64_t errors[E_COUNT] = {0}, total_errors = 0, published = 0;
    for (int i = 0; i < O.procs; i++) {
        struct wstats *w = &S->w[i];
        double s = (double)w->measured / 1e9;
        if (w->measured) {
            secs = s > secs ? s : secs;
            rate += (double)w->msgs / s;
            cycle_rate += (double)w->cycles / s;
            pub_rate += (double)w->published / s;
            bytes += (O.mode == ECHO ? (double)w->msgs * (double)O.size : (double)w->bytes) / s;
        }
        cpu_user += w->cpu_user, cpu_sys += w->cpu_sys;
        hist_merge(&lat, &w->lat);
        hist_merge(&lat2, &w->lat2);
        for (int e = 0; e < E_COUNT; e++)
            errors[e] += w->errors[e], total_errors += w->errors[e];
    }
    if (kid_failed)
        errors[E_INTERNAL]++, total_errors++;
    for (int p = 0; p < O.pubs; p++)
        published += S->published[p];
    double client = secs > 0 ? (cpu_user + cpu_sys) / secs : 0;

    if (O.mode == ECHO) {
        say("echo: %lu connections, %ld bytes, depth %ld: %.0f messages/s, %.1f MB/s, over %.2f s", (unsigned long)opened, O.size,
            O.depth, rate, bytes / 1e6, secs);
        say_lat("latency", &lat);
    } else if (O.mode == IDLE)
        say("idle: %lu connections held for %.2f s, %lu pings answered, %lu lost", (unsigned long)opened, secs,
            (unsigned long)SUM(pings), (unsigned long)errors[E_CLOSED]);
    else if (O.mode == STORM) {
        say("storm: %ld at a time: %.0f handshakes/s, %.0f closed/s, over %.2f s", O.conns, rate, cycle_rate, secs);
        say_lat("handshake", &lat);
        if (lat2.n)
            say_lat("connect to close", &lat2);
    } else {
        say("fanout: %ld subscribers, %d publishers: %.0f deliveries/s (%.1f MB/s), %.1f published/s, over %.2f s", O.conns, O.pubs,
            rate, bytes / 1e6, pub_rate, secs);
        say("  published %lu, delivered %lu, other frames %lu, to publishers %lu, publications skipped %lu", (unsigned long)published,
            (unsigned long)SUM(total), (unsigned long)SUM(other), (unsigned long)SUM(own), (unsigned long)SUM(skipped));
        say_lat("delivery", &lat);
        say_lat("last receiver", &lat2);
    }
    say("  client CPU %.2f of %d process(es) (user %.2f s, system %.2f s); connect retries %lu", client, O.procs, cpu_user, cpu_sys,
        (unsigned long)SUM(retries));
    printf("  errors %lu", (unsigned long)total_errors);
    for (int e = 0; e < E_COUNT; e++)
        if (errors[e])
            printf("  %s %lu", err_name[e], (unsigned long)errors[e]);
    say("");

    printf("{\"mode\":\"%s\",\"ok\":%s,\"conns\":%ld,\"opened\":%lu,\"procs\":%d,\"size\":%ld,\"depth\":%ld,\"secs\":%.3f,"
           "\"rate\":%.1f,\"mb_s\":%.2f,\"closed_rate\":%.1f,\"published_rate\":%.1f,\"published\":%lu,\"total\":%lu,"
           "\"frames\":%lu,\"other\":%lu,\"to_publishers\":%lu,\"skipped\":%lu,\"pings\":%lu,\"retries\":%lu,"
           "\"client_cpu\":%.3f,\"client_user_s\":%.3f,\"client_sys_s\":%.3f",
           mode[O.mode], total_errors ? "false" : "true", O.conns, (unsigned long)opened, O.procs, O.size, O.depth, secs, rate,
           bytes / 1e6, cycle_rate, pub_rate, (unsigned long)published, (unsigned long)SUM(total), (unsigned long)SUM(frames),
           (unsigned long)SUM(other), (unsigned long)SUM(own), (unsigned long)SUM(skipped), (unsigned long)SUM(pings),
           (unsigned long)SUM(retries), client, cpu_user, cpu_sys);
    json_lat("lat_us", &lat);
    json_lat("lat2_us", &lat2);
    printf(",\"errors_total\":%lu,\"errors\":{", (unsigned long)total_errors);
    for (int e = 0; e < E_COUNT; e++)
        printf("%s\"%s\":%lu", e ? "," : "", err_name[e], (unsigned long)errors[e]);
    say("}}");
    return total_errors ? 1 : 0;
}

/* One measured interval: START and END enclose it; the load begins before and goes on a little after it. */
static void interval(void)
{
    go(PH_RUN);
    done_by_all(60);
    pause_s(O.warmup);
    go(PH_MEASURE);
    say("START");
    pause_s(O.time);
    go(PH_COOL);
    say("END");
    pause_s(O.gate ? 0.02 : 0.15);      /* while a driver takes its last sample */
    go(PH_DRAIN);
    done_by_all(O.drain);
}

/* --gate: an interval for each line on stdin, and what it gave. */
static void gated_intervals(void)
{
    char line[64];
    uint64_t msgs[MAX_PROCS] = {0}, ns[MAX_PROCS] = {0};
    while (!kid_failed && fgets(line, sizeof line, stdin)) {
        double rate = 0;
        interval();
        for (int i = 0; i < O.procs; i++) {
            struct wstats *w = &S->w[i];
            if (w->measured > ns[i])
                rate += (double)(w->msgs - msgs[i]) * 1e9 / (double)(w->measured - ns[i]);
            msgs[i] = w->msgs, ns[i] = w->measured;
        }
        say("WINDOW %.1f", rate);
    }
}

static int run(void)
{
    size_t bytes = (sizeof *S + 4095) & ~(size_t)4095;
    S = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (S == MAP_FAILED)
        die("mmap: %s", strerror(errno));
    if (O.mode == FANOUT && O.procs > 1)
        wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    go(PH_CONNECT);
    for (int i = 0; i < O.procs; i++) {
        kids[i] = fork();
        if (kids[i] < 0)
            die("fork: %s", strerror(errno));
        if (kids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            worker(i);
            fflush(stderr);
            _exit(0);
        }
        alive_kids++;
    }
    double connect_limit = O.connect_timeout + 30 + (O.connect_rate > 0 ? (double)O.conns / O.connect_rate : (double)O.conns / 1000);
    W.st = &S->w[0];
    bool ready = done_by_all(connect_limit);
    uint64_t opened = SUM(open);
    if (!ready)
        report(E_TIMEOUT, 1, "not every connection became ready within %.0f s (%lu open)", connect_limit, (unsigned long)opened);
    say("OPEN %lu", (unsigned long)opened);
    if (O.mode == FANOUT)
        settle();
    pause_s(O.open_pause);
    if (O.gate)
        gated_intervals();
    else
        interval();
    go(PH_CLOSE);
    if (!done_by_all(CLOSE_TIMEOUT_S) && !kid_failed)
        report(E_CLOSING, 1, "closing handshakes not complete after %d s", CLOSE_TIMEOUT_S);
    go(PH_EXIT);
    uint64_t end = now_ns() + 5000000000u;
    while (alive_kids && now_ns() < end) {
        reap();
        usleep(1000);
    }
    for (int i = 0; i < O.procs; i++)
        if (kids[i] > 0)
            kill(kids[i], SIGKILL), kid_failed = true;
    return report_all(opened);
}

static const char usage[] =
    "usage: wsload MODE --port P [options]        MODE: echo | idle | storm | fanout\n"
    "  all modes\n"
    "    --host 127.0.0.1  --port P  --path /ws  --header 'K: V' (repeatable)  --subprotocol S\n"
    "    --conns N (echo, idle: connections; storm: at a time; fanout: subscribers)\n"
    "    --procs N (client processes; default enough for 19000 connections each)\n"
    "    --src-ips N (source addresses 127.0.0.2 ...; default enough for 25000 connections each, storm 4)\n"
    "    --inflight 128 (handshakes under way, per process)  --connect-rate R (connections/s, all processes)\n"
    "    --connect-timeout 15  --warmup 1  --time 5  --open-pause 0.2 (after OPEN)  --drain 3\n"
    "    --close proper|fin|abrupt (storm: how each connection ends; others: at the end of the run)\n"
    "    --gate (wait for a line on stdin, measure one interval, print WINDOW messages/s; again, until end of file)\n"
    "  echo\n"
    "    --size 16  --depth 1  --binary | --text | --utf8 (default binary)  --full-verify\n"
    "  fanout\n"
    "    --pubs 1  --size S  --template 'PUB m={seq} {ts} {pad}'  --rate R (all publishers; default closed loop)\n"
    "    --hello 'TEXT {id}' (repeatable)  --pub-hello TEXT  --hello-ack TEXT (wait for it)  --settle 0.3\n"
    "    --exact (what arrives must be the published text and nothing else)  --full-verify\n"
    "prints OPEN n, START, END, results, one JSON line.  status: 0 all right, 1 errors were seen, 2 usage\n";

static double number(const char *s)
{
    char *e;
    double v = strtod(s, &e);
    if (*e == 'k' || *e == 'K')
        v *= 1024, e++;
    if (*e || e == s || v < 0)
        die("not a number: %s", s);
    return v;
}

static void add(const char **list, int *n, const char *s)
{
    if (*n == MAX_LIST)
        die("option repeated too often");
    list[(*n)++] = s;
}

int main(int argc, char **argv)
{
    enum { HOST = 256, PORT, PATH, HEADER, SUBPROTO, CONNS, PROCS, SRC_IPS, INFLIGHT, CONNECT_RATE, CONNECT_TIMEOUT, WARMUP, TIME,
           OPEN_PAUSE, DRAIN, CLOSE, NO_CLOSE, SIZE, DEPTH, BINARY, TEXT, UTF8, FULL, PUBS, TEMPLATE, RATE, HELLO, PUB_HELLO,
           HELLO_ACK, SETTLE, EXACT, GATE };
    static const struct option opts[] = {
        {"host", 1, 0, HOST}, {"port", 1, 0, PORT}, {"path", 1, 0, PATH}, {"header", 1, 0, HEADER}, {"subprotocol", 1, 0, SUBPROTO},
        {"conns", 1, 0, CONNS}, {"procs", 1, 0, PROCS}, {"src-ips", 1, 0, SRC_IPS}, {"inflight", 1, 0, INFLIGHT},
        {"connect-rate", 1, 0, CONNECT_RATE}, {"connect-timeout", 1, 0, CONNECT_TIMEOUT}, {"warmup", 1, 0, WARMUP},
        {"time", 1, 0, TIME}, {"open-pause", 1, 0, OPEN_PAUSE}, {"drain", 1, 0, DRAIN}, {"close", 1, 0, CLOSE},
        {"no-final-close", 0, 0, NO_CLOSE}, {"size", 1, 0, SIZE}, {"depth", 1, 0, DEPTH}, {"binary", 0, 0, BINARY},
        {"text", 0, 0, TEXT}, {"utf8", 0, 0, UTF8}, {"full-verify", 0, 0, FULL}, {"pubs", 1, 0, PUBS},
        {"template", 1, 0, TEMPLATE}, {"rate", 1, 0, RATE}, {"hello", 1, 0, HELLO}, {"pub-hello", 1, 0, PUB_HELLO},
        {"hello-ack", 1, 0, HELLO_ACK}, {"settle", 1, 0, SETTLE}, {"exact", 0, 0, EXACT}, {"gate", 0, 0, GATE}, {0},
    };
    static const char *const modes[] = {"echo", "idle", "storm", "fanout"};
    int port = 0, m = -1, o;
    for (int i = 0; argc > 1 && i < 4; i++)
        if (!strcmp(argv[1], modes[i]))
            m = i;
    if (m < 0) {
        fputs(usage, stderr);
        return 2;
    }
    O.mode = (enum mode)m;
    while ((o = getopt_long(argc - 1, argv + 1, "", opts, NULL)) != -1) {
        switch (o) {
        case HOST: O.host = optarg; break;
        case PORT: port = (int)number(optarg); break;
        case PATH: O.path = optarg; break;
        case HEADER: add(O.header, &O.headers, optarg); break;
        case SUBPROTO: O.subprotocol = optarg; break;
        case CONNS: O.conns = (long)number(optarg); break;
        case PROCS: O.procs = (int)number(optarg); break;
        case SRC_IPS: O.src_ips = (int)number(optarg); break;
        case INFLIGHT: O.inflight = (int)number(optarg); break;
        case CONNECT_RATE: O.connect_rate = number(optarg); break;
        case CONNECT_TIMEOUT: O.connect_timeout = number(optarg); break;
        case WARMUP: O.warmup = number(optarg); break;
        case TIME: O.time = number(optarg); break;
        case OPEN_PAUSE: O.open_pause = number(optarg); break;
        case DRAIN: O.drain = number(optarg); break;
        case CLOSE:
            O.close = !strcmp(optarg, "proper") ? CLOSE_PROPER : !strcmp(optarg, "fin") ? CLOSE_FIN : CLOSE_ABRUPT;
            if (O.close == CLOSE_ABRUPT && strcmp(optarg, "abrupt"))
                die("--close proper|fin|abrupt");
            break;
        case NO_CLOSE: O.no_final_close = true; break;
        case SIZE: O.size = (long)number(optarg); break;
        case DEPTH: O.depth = (long)number(optarg); break;
        case BINARY: O.opcode = OP_BIN; break;
        case TEXT: O.opcode = OP_TEXT; break;
        case UTF8: O.opcode = OP_TEXT, O.utf8 = true; break;
        case FULL: O.full_verify = true; break;
        case PUBS: O.pubs = (int)number(optarg); break;
        case TEMPLATE: O.template = optarg; break;
        case RATE: O.rate = number(optarg); break;
        case HELLO: add(O.hello, &O.hellos, optarg); break;
        case PUB_HELLO: add(O.pub_hello, &O.pub_hellos, optarg); break;
        case HELLO_ACK: O.hello_ack = optarg; break;
        case SETTLE: O.settle = number(optarg); break;
        case EXACT: O.exact = true; break;
        case GATE: O.gate = true; break;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind != argc - 1 || port <= 0 || port > 65535 || O.conns < 1 || O.depth < 1 || O.pubs < 1 || O.pubs > MAX_PUBS || O.inflight < 1) {
        fputs(usage, stderr);
        return 2;
    }
    O.addr.sin_family = AF_INET;
    O.addr.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, O.host, &O.addr.sin_addr) != 1 || ntohl(O.addr.sin_addr.s_addr) >> 24 != 127)
        die("--host: an address in 127.0.0.0/8");
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    long per_proc = (long)rl.rlim_max < FDS_PER_PROC + 1000 ? (long)rl.rlim_max - 1000 : FDS_PER_PROC;
    if (per_proc < 10)
        per_proc = 10;
    int need = (int)((O.conns + (O.mode == FANOUT ? O.pubs : 0) + per_proc - 1) / per_proc);
    if (!O.procs)
        O.procs = need;
    if (O.procs < need || O.procs > MAX_PROCS)
        die("--procs: %d to %d for %ld connections", need, MAX_PROCS, O.conns);
    if (O.conns < O.procs)
        O.procs = (int)O.conns;
    if (!O.src_ips)
        O.src_ips = O.mode == STORM ? 4 : (int)(O.conns / 25000 + 1);
    if (O.mode == STORM && O.inflight < O.conns)
        O.inflight = (int)O.conns;
    signal(SIGPIPE, SIG_IGN);
    return run();
}
