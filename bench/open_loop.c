/*
 * The open loop of the load generator: requests are due at given times, whatever the replies do, and
 * each is timed from when it was due. In C because what is measured is pauses: a load generator with a
 * collector and a compiler of its own has pauses too, and charges them to whom it measures. Compiled
 * by Bun itself (TinyCC), without headers, so libc's functions are declared here. Linux only.
 *
 * Request i belongs to client i % clients; a client has one request on the wire at a time, and the
 * next ones wait for it.
 */

typedef unsigned char byte;
struct timespec { long seconds, nanos; };
struct address { unsigned short family, port; unsigned int host; char rest[8]; };
struct event {
  unsigned int events;
  unsigned long data;
}
#ifdef __x86_64__
__attribute__((packed))
#endif
;

int socket(int, int, int);
int connect(int, const struct address *, unsigned int);
int setsockopt(int, int, int, const void *, unsigned int);
int fcntl(int, int, ...);
int close(int);
long send(int, const void *, unsigned long, int);
long recv(int, void *, unsigned long, int);
int epoll_create1(int);
int epoll_ctl(int, int, int, struct event *);
int epoll_pwait2(int, struct event *, int, const struct timespec *, const void *);
int clock_gettime(int, struct timespec *);
int prctl(int, ...);
int memcmp(const void *, const void *, unsigned long);
void *calloc(unsigned long, unsigned long);
void free(void *);
int *__errno_location(void);

enum { AF_INET = 2, SOCK_STREAM = 1, IPPROTO_TCP = 6, TCP_NODELAY = 1, F_SETFL = 4, O_NONBLOCK = 2048 };
enum { EPOLLIN = 1, EPOLL_CTL_ADD = 1, EAGAIN = 11, CLOCK_MONOTONIC = 1, PR_SET_TIMERSLACK = 29 };
enum { CHUNK = 262144, EVENTS = 256 };

/* What goes wrong; what libc says is -1000 - errno. */
enum { CLOSED = -1, SILENT = -2, WRONG = -3, REFUSED = -4, SHORT = -5, LONG = -6 };

struct client {
  int fd;
  /* The request on the wire, or the next one. */
  int request;
  /* Bytes of its reply still to come; 0: none is on the wire. */
  int left;
};

/* The job: pointers into the caller's arrays, which must outlive it. */
static const byte *requests;      /* `batches` requests of `request_length` bytes */
static const byte *replies;       /* what the first reply of each client must be */
static const double *due;         /* when each request is due, ms after the start */
static float *took;               /* ms from when a request was due to its reply */
static float *late;               /* ms from when it was due until this loop saw that */
static int batches, request_length, reply_length, total, clients;

static struct client *all;
static int epoll, arrived, answered;
static double start, heard;
static byte chunk[CHUNK];

static double clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.seconds * 1e3 + t.nanos / 1e6;
}

static int failure(void) { return -1000 - *__errno_location(); }

void loop_job(const byte *requests_, int batches_, int request_length_, const byte *replies_,
              int reply_length_) {
  requests = requests_;
  batches = batches_;
  request_length = request_length_;
  replies = replies_;
  reply_length = reply_length_;
}

/* Connects `count` clients to 127.0.0.1; 0, or what went wrong. */
int loop_open(int port, int count) {
  struct address to = {AF_INET, (port & 255) << 8 | port >> 8, 0x0100007f};
  int on = 1;
  clients = count;
  arrived = answered = 0;
  all = calloc(count, sizeof *all);
  for (int i = 0; i < count; i++) all[i].fd = -1;
  epoll = epoll_create1(0);
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  for (int i = 0; i < count; i++) {
    struct event interest = {EPOLLIN, i};
    all[i].request = i;
    all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
    if (all[i].fd < 0 || connect(all[i].fd, &to, sizeof to) < 0) return failure();
    setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &interest) < 0) return failure();
  }
  return 0;
}

/* The clock of `due_` begins now. */
void loop_start(const double *due_, int total_, float *took_, float *late_) {
  due = due_;
  total = total_;
  took = took_;
  late = late_;
  start = heard = clock_ms();
}

static int put(struct client *c) {
  const byte *from = requests + (unsigned long)(c->request % batches) * request_length;
  c->left = reply_length;
  return send(c->fd, from, request_length, 0) == request_length ? 0 : SHORT;
}

static int take(struct client *c) {
  long n = recv(c->fd, chunk, CHUNK, 0);
  if (n < 0) return *__errno_location() == EAGAIN ? 0 : failure();
  if (n == 0) return CLOSED;
  /* All right replies begin with the same byte. */
  if (c->left == reply_length && chunk[0] != replies[0]) return REFUSED;
  if (n > c->left) return LONG;
  if (c->request < clients) {
    const byte *expected = replies + (unsigned long)c->request * reply_length;
    if (memcmp(chunk, expected + reply_length - c->left, n) != 0) return WRONG;
  }
  c->left -= n;
  heard = clock_ms();
  if (c->left > 0) return 0;
  took[c->request] = heard - start - due[c->request];
  answered++;
  c->request += clients;
  return c->request < arrived ? put(c) : 0;
}

/*
 * Works until `until` ms after the start, or, if that is below 0, until all that was sent is answered.
 * How many requests have been answered, or what went wrong. `patience`: ms without any reply.
 */
int loop_run(double until, double patience) {
  struct event events[EVENTS];
  int wrong;
  for (;;) {
    double now = clock_ms() - start;
    while (until >= 0 && arrived < total && due[arrived] <= now) {
      struct client *c = all + arrived % clients;
      late[arrived] = now - due[arrived];
      arrived++;
      if (c->left == 0 && (wrong = put(c)) != 0) return wrong;
    }
    if (until < 0 ? answered == arrived : now >= until) return answered;
    if (answered < arrived && now - (heard - start) > patience) return SILENT;
    double wait = until < 0 ? 100 : until - now;
    if (until >= 0 && arrived < total && due[arrived] - now < wait) wait = due[arrived] - now;
    struct timespec t = {(long)(wait / 1e3), (long)((wait - (long)(wait / 1e3) * 1e3) * 1e6)};
    int n = epoll_pwait2(epoll, events, EVENTS, &t, 0);
    for (int i = 0; i < n; i++) {
      if ((wrong = take(all + events[i].data)) != 0) return wrong;
    }
  }
}

void loop_close(void) {
  for (int i = 0; i < clients; i++) {
    if (all[i].fd >= 0) close(all[i].fd);
  }
  close(epoll);
  free(all);
}
