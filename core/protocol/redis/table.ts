// The Redis command table: all that is known of a command, in one row. Every command of Redis 7.0 (a
// test compares with a real server's COMMAND), and what Redis has added up to 8.6 and Valkey up to 9.1
// (compared with test/golden/newer_commands.txt). What has no row is asked of a server, see learned.ts.

// name   "client|id" is the subcommand ID of CLIENT
// arity  as COMMAND reports it: the name counts; -n means "n or more"
// keys   1        argument 1 (the name is argument 0)
//        1..-1    arguments 1 to the last; 1..-2 to the last but one; 1..-1/2 every second one
//        @n       argument n says how many keys follow it; @n/2: each with a value behind it
//        1+@2     argument 1 and the keys counted by argument 2
//        1+store  argument 1 and what follows STORE or STOREDIST
//        streams  the first half of what follows STREAMS
// how    forward  one key: to its server
//        split    by server, the replies joined: array in key order, sum, ok (all of them +OK)
//        together all keys must live on one server; publish: ringmux adds to the number in the reply
//        any      any live server;  all: every server, the replies joined: ok, sum, first,
//                 concat (arrays one after the other), least (element-wise minimum), oldest (the
//                 least number), most (the greatest), union (each element once), some (one that is
//                 not nil), anyok (OK if one server says so)
//        rescue   as all, the ejected ones too, over connections that wait behind nothing else
//        gather   every server's and ringmux's own;  walk: one server after the other by a cursor
//        pin      on a connection of the client's own: block (waits at the server), wait (for what
//                 all servers say, joined), or the part that it has in a transaction
//        local    answered by ringmux; track (then by every
//                 server too); in a transaction: queue (a server does), reset (ends it), else refused
//        sub      the row is found by the subcommand; without one: any, else an error
//        topics   publish and subscribe (core/client/subscriptions.ts)
//        admin    administers a server: answered by an error unless the configuration opens it
//                 (policy.ts); then, by the word: one, only where the pool has one server (cluster
//                 is the same, with another error); monitor, on links of the client's own; or a way
//                 to join replies: to every server
//        refuse   answered by an error; the word chooses its text (errors.ts)
// flags  COMMAND's: r readonly, w write (either is the class of the latency figures, else "other"),
//        f fast, a admin, b blocking, p pubsub, n no_auth (for those who are not authenticated yet);
//        ringmux's own: d an argument names a database, s errors say what a client has written
// since  the version of Redis, of Valkey if it begins with a "v", or of both
// groups ACL categories besides those which the flags imply; "-" is none
// rights what users with restrictions may do. Who may only read runs what is readonly; who has
//        prefixes what has keys, all of them below one of the prefixes. Besides:
//        free     whatever a user's restrictions: it concerns the connection or the proxy, or is the
//                 same for everybody
//        look     who may only read: it changes nothing
//        keyless  who has prefixes, although there is no key in it
//        script   reaches keys that nobody can see in the request
//        channel, channels   argument 1 is a channel, or all arguments are: below the prefixes
//        patterns            all are patterns of channels or keys;  scans, sorts: see rights.ts
export const TABLE = `
acl                      -2 -       sub            -   6.0.0
acl|cat                  -2 -       any            -   6.0.0   - free
acl|deluser              -3 -       admin:one      a   6.0.0
acl|dryrun               -4 -       admin:one      a   7.0.0
acl|genpass              -2 -       any            -   6.0.0   - free
acl|getuser               3 -       admin:one      a   6.0.0
acl|help                  2 -       any            -   6.0.0   - free
acl|list                  2 -       admin:one      a   6.0.0
acl|load                  2 -       admin:ok       a   6.0.0
acl|log                  -2 -       admin:one      a   6.0.0
acl|save                  2 -       admin:ok       a   6.0.0
acl|setuser              -3 -       admin:ok       a   6.0.0
acl|users                 2 -       local          a   6.0.0
acl|whoami                2 -       local          -   6.0.0   - free
append                    3 1       forward        wf  2.0.0   string
asking                    1 -       refuse:cluster f   3.0.0   connection
auth                     -2 -       local          fn  1.0.0   connection free
bgrewriteaof              1 -       admin:first    a   1.0.0
bgsave                   -1 -       admin:first    a   1.0.0
bitcount                 -2 1       forward        r   2.6.0   bitmap
bitfield                 -2 1       forward        w   3.2.0   bitmap
bitfield_ro              -2 1       forward        rf  6.0.0   bitmap
bitop                    -4 2..-1   together       w   2.6.0   bitmap
bitpos                   -3 1       forward        r   2.8.7   bitmap
blmove                    6 1..2    pin:block      wb  6.2.0   list
blmpop                   -5 @2      pin:block      wb  7.0.0   list
blpop                    -3 1..-2   pin:block      wb  2.0.0   list
brpop                    -3 1..-2   pin:block      wb  2.0.0   list
brpoplpush                4 1..2    pin:block      wb  2.2.0   list
bzmpop                   -5 @2      pin:block      wb  7.0.0   sortedset
bzpopmax                 -3 1..-2   pin:block      wfb 5.0.0   sortedset
bzpopmin                 -3 1..-2   pin:block      wfb 5.0.0   sortedset
client                   -2 -       sub            -   2.4.0
client|caching            3 -       local          -   6.0.0   connection free
client|capa              -3 -       local          -   v8.0.0  connection free
client|getname            2 -       local          -   2.6.9   connection free
client|getredir           2 -       local          -   6.0.0   connection free
client|help               2 -       local          -   5.0.0   connection free
client|id                 2 -       local          -   5.0.0   connection free
client|import-source      3 -       refuse:importing -   v8.1.0  connection
client|info               2 -       local          -   6.2.0   connection free
client|kill              -3 -       local          a   2.4.0   connection
client|list              -2 -       local          a   2.4.0   connection free
client|no-evict           3 -       local          a   7.0.0   connection free
client|no-touch           3 -       local          -   7.2.0   connection free
client|pause             -3 -       local          a   2.9.50  connection
client|reply              3 -       local          -   3.2.0   connection free
client|setinfo            4 -       local          -   7.2.0   connection free
client|setname            3 -       local          -   2.6.9   connection free
client|tracking          -3 -       local:track:ok -   6.0.0   connection free
client|trackinginfo       2 -       local          -   6.2.0   connection free
client|unblock           -3 -       local          a   5.0.0   connection
client|unpause            2 -       local          a   6.2.0   connection
cluster                  -2 -       sub            -   3.0.0
cluster|addslots         -3 -       admin:cluster  a   3.0.0
cluster|addslotsrange    -4 -       admin:cluster  a   7.0.0
cluster|bumpepoch         2 -       admin:cluster  a   3.0.0
cluster|cancelslotmigrations  2 -       admin:cluster  a   v9.0.0
cluster|count-failure-reports  3 -       admin:cluster  a   3.0.0
cluster|countkeysinslot   3 -       admin:cluster:sum  -   3.0.0
cluster|delslots         -3 -       admin:cluster  a   3.0.0
cluster|delslotsrange    -4 -       admin:cluster  a   7.0.0
cluster|failover         -2 -       admin:cluster  a   3.0.0
cluster|flushslot        -3 -       admin:cluster  wa  v9.0.0  keyspace
cluster|flushslots        2 -       admin:cluster  a   3.0.0
cluster|forget            3 -       admin:cluster  a   3.0.0
cluster|getkeysinslot     4 -       admin:cluster:concat  -   3.0.0
cluster|getslotmigrations  2 -       admin:cluster  a   v9.0.0
cluster|help              2 -       admin:cluster  -   5.0.0
cluster|info              2 -       admin:cluster  -   3.0.0
cluster|keyslot           3 -       admin:cluster  -   3.0.0
cluster|links             2 -       admin:cluster  -   7.0.0
cluster|meet             -4 -       admin:cluster  a   3.0.0
cluster|migrateslots     -4 -       admin:cluster  a   v9.0.0
cluster|migration        -4 -       admin:cluster  a   8.4.0
cluster|myid              2 -       admin:cluster  -   3.0.0
cluster|myshardid         2 -       admin:cluster  -   7.2.0
cluster|nodes             2 -       admin:cluster  -   3.0.0
cluster|replicas          3 -       admin:cluster  a   5.0.0
cluster|replicate         3 -       admin:cluster  a   3.0.0
cluster|reset            -2 -       admin:cluster  a   3.0.0
cluster|saveconfig        2 -       admin:cluster  a   3.0.0
cluster|set-config-epoch  3 -       admin:cluster  a   3.0.0
cluster|setslot          -4 -       admin:cluster  a   3.0.0
cluster|shards            2 -       admin:cluster  -   7.0.0
cluster|slaves            3 -       admin:cluster  a   3.0.0
cluster|slot-stats       -4 -       admin:cluster  -   8.2.0,v8.0.0
cluster|slots             2 -       admin:cluster  -   3.0.0
command                  -1 -       sub:any        -   2.8.13  connection free
commandlog               -2 -       sub            -   v8.1.0
commandlog|get           -4 -       all:concat     a   v8.1.0
commandlog|help           2 -       any            -   v8.1.0  - free
commandlog|len           -3 -       all:sum        a   v8.1.0
commandlog|reset         -3 -       all:ok         a   v8.1.0
command|count             2 -       any            -   2.8.13  connection free
command|docs             -2 -       any            -   7.0.0   connection free
command|getkeys          -4 -       any            -   2.8.13  connection free
command|getkeysandflags  -4 -       any            -   7.0.0   connection free
command|help              2 -       any            -   5.0.0   connection free
command|info             -2 -       any            -   2.8.13  connection free
command|list             -2 -       any            -   7.0.0   connection free
config                   -2 -       sub            -   2.0.0
config|get               -3 -       any            a   2.0.0
config|help               2 -       any            -   5.0.0   - free
config|resetstat          2 -       all:ok         a   2.0.0
config|rewrite            2 -       admin:ok       a   2.8.0
config|set               -4 -       admin:ok       a   2.0.0
copy                     -3 1..2    together       wd  6.2.0   keyspace
dbsize                    1 -       all:sum        rf  1.0.0   keyspace
debug                    -2 -       admin:one      as  1.0.0
decr                      2 1       forward        wf  1.0.0   string
decrby                    3 1       forward        wf  1.0.0   string
del                      -2 1..-1   split:sum      w   1.0.0   keyspace
delex                    -2 1       forward        wf  8.4.0   string
delifeq                   3 1       forward        w   v9.0.0  string
digest                    2 1       forward        rf  8.4.0   string
discard                   1 -       pin:discard    f   2.0.0   transaction free
dump                      2 1       forward        r   2.6.0   keyspace
echo                      2 -       local:queue    f   1.0.0   connection free
eval                     -3 @2      together       s   2.6.0   scripting script
eval_ro                  -3 @2      together       rs  7.0.0   scripting script
evalsha                  -3 @2      together       s   2.6.0   scripting script
evalsha_ro               -3 @2      together       rs  7.0.0   scripting script
exec                      1 -       pin:exec       -   1.2.0   transaction free
exists                   -2 1..-1   split:sum      rf  1.0.0   keyspace
expire                   -3 1       forward        wf  1.0.0   keyspace
expireat                 -3 1       forward        wf  1.2.0   keyspace
expiretime                2 1       forward        rf  7.0.0   keyspace
failover                 -1 -       admin:one      a   6.2.0
fcall                    -3 @2      together       s   7.0.0   scripting script
fcall_ro                 -3 @2      together       rs  7.0.0   scripting script
flushall                 -1 -       all:ok         w   1.0.0   keyspace,dangerous
flushdb                  -1 -       all:ok         w   1.0.0   keyspace,dangerous
function                 -2 -       sub            -   7.0.0
function|delete           3 -       all:ok         w   7.0.0   scripting
function|dump             2 -       any            -   7.0.0   scripting
function|flush           -2 -       all:ok         w   7.0.0   scripting
function|help             2 -       any            -   7.0.0   scripting free
function|kill             2 -       rescue:anyok   -   7.0.0   scripting
function|list            -2 -       any            -   7.0.0   scripting look
function|load            -3 -       all:first      ws  7.0.0   scripting
function|restore         -3 -       all:ok         ws  7.0.0   scripting
function|stats            2 -       any            -   7.0.0   scripting
geoadd                   -5 1       forward        w   3.2.0   geo
geodist                  -4 1       forward        r   3.2.0   geo
geohash                  -2 1       forward        r   3.2.0   geo
geopos                   -2 1       forward        r   3.2.0   geo
georadius                -6 1+store together       w   3.2.0   geo
georadius_ro             -6 1       forward        r   3.2.10  geo
georadiusbymember        -5 1+store together       w   3.2.0   geo
georadiusbymember_ro     -5 1       forward        r   3.2.10  geo
geosearch                -7 1       forward        r   6.2.0   geo
geosearchstore           -8 1..2    together       w   6.2.0   geo
get                       2 1       forward        rf  1.0.0   string
getbit                    3 1       forward        rf  2.2.0   bitmap
getdel                    2 1       forward        wf  6.2.0   string
getex                    -2 1       forward        wf  6.2.0   string
getrange                  4 1       forward        r   2.4.0   string
getset                    3 1       forward        wf  1.0.0   string
hdel                     -3 1       forward        wf  2.0.0   hash
hello                    -1 -       local          fn  6.0.0   connection free
hexists                   3 1       forward        rf  2.0.0   hash
hexpire                  -6 1       forward        wf  7.4.0,v9.0.0 hash
hexpireat                -6 1       forward        wf  7.4.0,v9.0.0 hash
hexpiretime              -5 1       forward        rf  7.4.0,v9.0.0 hash
hget                      3 1       forward        rf  2.0.0   hash
hgetall                   2 1       forward        r   2.0.0   hash
hgetdel                  -5 1       forward        wf  8.0.0,v9.1.0 hash
hgetex                   -5 1       forward        wf  8.0.0,v9.0.0 hash
hincrby                   4 1       forward        wf  2.0.0   hash
hincrbyfloat              4 1       forward        wf  2.6.0   hash
hkeys                     2 1       forward        r   2.0.0   hash
hlen                      2 1       forward        rf  2.0.0   hash
hmget                    -3 1       forward        rf  2.0.0   hash
hmset                    -4 1       forward        wf  2.0.0   hash
hotkeys                  -2 -       sub            -   8.6.0
hotkeys|get               2 -       admin:one      a   8.6.0
hotkeys|help              2 -       any            a   8.6.1   - free
hotkeys|reset             2 -       admin:one      a   8.6.0
hotkeys|start            -2 -       admin:one      a   8.6.0
hotkeys|stop              2 -       admin:one      a   8.6.0
hpersist                 -5 1       forward        wf  7.4.0,v9.0.0 hash
hpexpire                 -6 1       forward        wf  7.4.0,v9.0.0 hash
hpexpireat               -6 1       forward        wf  7.4.0,v9.0.0 hash
hpexpiretime             -5 1       forward        rf  7.4.0,v9.0.0 hash
hpttl                    -5 1       forward        rf  7.4.0,v9.0.0 hash
hrandfield               -2 1       forward        r   6.2.0   hash
hscan                    -3 1       forward        r   2.8.0   hash
hset                     -4 1       forward        wf  2.0.0   hash
hsetex                   -6 1       forward        wf  8.0.0,v9.0.0 hash
hsetnx                    4 1       forward        wf  2.0.0   hash
hstrlen                   3 1       forward        rf  3.2.0   hash
httl                     -5 1       forward        rf  7.4.0,v9.0.0 hash
hvals                     2 1       forward        r   2.0.0   hash
incr                      2 1       forward        wf  1.0.0   string
incrby                    3 1       forward        wf  1.0.0   string
incrbyfloat               3 1       forward        wf  2.6.0   string
info                     -1 -       gather:info    -   1.0.0   dangerous free
keys                      2 -       all:concat     r   1.0.0   keyspace,dangerous patterns
lastsave                  1 -       all:oldest     f   1.0.0   admin,dangerous look
latency                  -2 -       sub            -   2.8.13
latency|doctor            2 -       admin:one      a   2.8.13
latency|graph             3 -       admin:one      a   2.8.13
latency|help              2 -       any            -   2.8.13  - free
latency|histogram        -2 -       admin:one      a   7.0.0
latency|history           3 -       all:concat     a   2.8.13
latency|latest            2 -       all:concat     a   2.8.13
latency|reset            -2 -       all:sum        a   2.8.13
lcs                      -3 1..2    together       r   7.0.0   string
lindex                    3 1       forward        r   1.0.0   list
linsert                   5 1       forward        w   2.2.0   list
llen                      2 1       forward        rf  1.0.0   list
lmove                     5 1..2    together       w   6.2.0   list
lmpop                    -4 @1      together       w   7.0.0   list
lolwut                   -1 -       local          rf  5.0.0   - free
lpop                     -2 1       forward        wf  1.0.0   list
lpos                     -3 1       forward        r   6.0.6   list
lpush                    -3 1       forward        wf  1.0.0   list
lpushx                   -3 1       forward        wf  2.2.0   list
lrange                    4 1       forward        r   1.0.0   list
lrem                      4 1       forward        w   1.0.0   list
lset                      4 1       forward        w   1.0.0   list
ltrim                     4 1       forward        w   1.0.0   list
memory                   -2 -       sub            -   4.0.0
memory|doctor             2 -       admin:one      -   4.0.0
memory|help               2 -       any            -   4.0.0   - free
memory|malloc-stats       2 -       admin:one      -   4.0.0
memory|purge              2 -       all:ok         -   4.0.0
memory|stats              2 -       admin:one      -   4.0.0
memory|usage             -3 2       forward        r   4.0.0
mget                     -2 1..-1   split:array    rf  1.0.0   string
migrate                  -6 -       admin:one      w   2.6.0   keyspace,dangerous
module                   -2 -       sub            -   4.0.0
module|help               2 -       any            -   5.0.0   - free
module|list               2 -       any            a   4.0.0
module|load              -3 -       admin:ok       a   4.0.0
module|loadex            -3 -       admin:ok       a   7.0.0
module|unload             3 -       admin:ok       a   4.0.0
monitor                   1 -       admin:monitor  a   1.0.0
move                      3 1       forward        wfd 1.0.0   keyspace
mset                     -3 1..-1/2 split:ok       w   1.0.1   string
msetex                   -4 @1/2    together       w   8.4.0,v9.1.0 string
msetnx                   -3 1..-1/2 together       w   1.0.1   string
multi                     1 -       pin:multi      f   1.2.0   transaction free
object                   -2 -       sub            -   2.2.3
object|encoding           3 2       forward        r   2.2.3   keyspace
object|freq               3 2       forward        r   4.0.0   keyspace
object|help               2 -       any            -   6.2.0   keyspace free
object|idletime           3 2       forward        r   2.2.3   keyspace
object|refcount           3 2       forward        r   2.2.3   keyspace
persist                   2 1       forward        wf  2.2.0   keyspace
pexpire                  -3 1       forward        wf  2.6.0   keyspace
pexpireat                -3 1       forward        wf  2.6.0   keyspace
pexpiretime               2 1       forward        rf  7.0.0   keyspace
pfadd                    -2 1       forward        wf  2.8.9   hyperloglog
pfcount                  -2 1..-1   together       r   2.8.9   hyperloglog
pfdebug                   3 2       forward        wa  2.8.9   hyperloglog
pfmerge                  -2 1..-1   together       w   2.8.9   hyperloglog
pfselftest                1 -       any            a   2.8.9   hyperloglog
ping                     -1 -       local:queue    f   1.0.0   connection free
psetex                    4 1       forward        w   2.6.0   string
psubscribe               -2 -       topics         p   2.0.0   - look+patterns
psync                    -3 -       refuse:stream  a   2.8.0
pttl                      2 1       forward        rf  2.6.0   keyspace
publish                   3 1       together:publish fp  2.0.0   - channel
pubsub                   -2 -       sub            -   2.8.0
pubsub|channels          -2 -       all:union      p   2.8.0   - look
pubsub|help               2 -       any            -   6.2.0   - free
pubsub|numpat             2 -       all:most       p   2.8.0   - look
pubsub|numsub            -2 -       gather:numsub  p   2.8.0   - look
pubsub|shardchannels     -2 -       all:union      p   7.0.0   - look
pubsub|shardnumsub       -2 -       gather:numsub  p   7.0.0   - look
punsubscribe             -1 -       topics         p   2.0.0   - free
quit                     -1 -       quit           fn  1.0.0   connection free
randomkey                 1 -       all:some       r   1.0.0   keyspace
readonly                  1 -       local          f   3.0.0   connection free
readwrite                 1 -       local          f   3.0.0   connection free
rename                    3 1..2    together       w   1.0.0   keyspace
renamenx                  3 1..2    together       wf  1.0.0   keyspace
replconf                 -1 -       refuse:stream  a   3.0.0
replicaof                 3 -       admin:one      a   5.0.0
reset                     1 -       local:reset    fn  6.2.0   connection free
restore                  -4 1       forward        w   2.6.0   keyspace,dangerous
restore-asking           -4 1       refuse:cluster w   3.0.0   keyspace,dangerous
role                      1 -       local          f   2.8.12  admin,dangerous free
rpop                     -2 1       forward        wf  1.0.0   list
rpoplpush                 3 1..2    together       w   1.2.0   list
rpush                    -3 1       forward        wf  1.0.0   list
rpushx                   -3 1       forward        wf  2.2.0   list
sadd                     -3 1       forward        wf  1.0.0   set
save                      1 -       admin:ok       a   1.0.0
scan                     -2 -       walk:cursor    r   2.8.0   keyspace scans
scard                     2 1       forward        rf  1.0.0   set
script                   -2 -       sub            -   2.6.0
script|debug              3 -       refuse:stream  -   3.2.0   scripting
script|exists            -3 -       all:least      s   2.6.0   scripting look+script+keyless
script|flush             -2 -       all:ok         -   2.6.0   scripting
script|help               2 -       any            -   5.0.0   scripting free
script|kill               2 -       rescue:anyok   -   2.6.0   scripting
script|load               3 -       all:first      s   2.6.0   scripting script+keyless
script|show               3 -       any            -   v8.0.0  scripting
sdiff                    -2 1..-1   together       r   1.0.0   set
sdiffstore               -3 1..-1   together       w   1.0.0   set
select                    2 -       local          f   1.0.0   connection free
set                      -3 1       forward        w   1.0.0   string
setbit                    4 1       forward        w   2.2.0   bitmap
setex                     4 1       forward        w   2.0.0   string
setnx                     3 1       forward        wf  1.0.0   string
setrange                  4 1       forward        w   2.2.0   string
shutdown                 -1 -       admin:one      a   1.0.0
sinter                   -2 1..-1   together       r   1.0.0   set
sintercard               -3 @1      together       r   7.0.0   set
sinterstore              -3 1..-1   together       w   1.0.0   set
sismember                 3 1       forward        rf  1.0.0   set
slaveof                   3 -       admin:one      a   1.0.0
slowlog                  -2 -       sub            -   2.2.12
slowlog|get              -2 -       all:concat     a   2.2.12
slowlog|help              2 -       any            -   6.2.0   - free
slowlog|len               2 -       all:sum        a   2.2.12
slowlog|reset             2 -       all:ok         a   2.2.12
smembers                  2 1       forward        r   1.0.0   set
smismember               -3 1       forward        rf  6.2.0   set
smove                     4 1..2    together       wf  1.0.0   set
sort                     -2 1+store together       w   1.0.0   set,sortedset,list,dangerous sorts
sort_ro                  -2 1       forward        r   7.0.0   set,sortedset,list,dangerous sorts
spop                     -2 1       forward        wf  1.0.0   set
spublish                  3 1       together:publish fp  7.0.0   - channel
srandmember              -2 1       forward        r   1.0.0   set
srem                     -3 1       forward        wf  1.0.0   set
sscan                    -3 1       forward        r   2.8.0   set
ssubscribe               -2 -       topics         p   7.0.0   - look+channels
strlen                    2 1       forward        rf  2.2.0   string
subscribe                -2 -       topics         p   2.0.0   - look+channels
substr                    4 1       forward        r   1.0.0   string
sunion                   -2 1..-1   together       r   1.0.0   set
sunionstore              -3 1..-1   together       w   1.0.0   set
sunsubscribe             -1 -       topics         p   7.0.0   - free
swapdb                    3 -       admin:ok       wf  4.0.0   keyspace,dangerous
sync                      1 -       refuse:stream  a   1.0.0
time                      1 -       local:queue    f   2.6.0   - free
touch                    -2 1..-1   split:sum      rf  3.2.1   keyspace
ttl                       2 1       forward        rf  1.0.0   keyspace
type                      2 1       forward        rf  1.0.0   keyspace
unlink                   -2 1..-1   split:sum      wf  4.0.0   keyspace
unsubscribe              -1 -       topics         p   2.0.0   - free
unwatch                   1 -       pin:unwatch    f   2.2.0   transaction free
vadd                     -5 1       forward        w   8.0.0   vectorset
vcard                     2 1       forward        rf  8.0.0   vectorset
vdim                      2 1       forward        rf  8.0.0   vectorset
vemb                     -3 1       forward        r   8.0.0   vectorset
vgetattr                  3 1       forward        r   8.0.0   vectorset
vinfo                     2 1       forward        rf  8.0.0   vectorset
vismember                 3 1       forward        r   8.0.0   vectorset
vlinks                   -3 1       forward        r   8.0.0   vectorset
vrandmember              -2 1       forward        r   8.0.0   vectorset
vrange                   -4 1       forward        r   8.4.0   vectorset
vrem                     -3 1       forward        w   8.0.0   vectorset
vsetattr                  4 1       forward        w   8.0.0   vectorset
vsim                     -4 1       forward        r   8.0.0   vectorset
wait                      3 -       pin:wait:oldest -   3.0.0   connection free
waitaof                   4 -       pin:wait:least b   7.2.0   connection free
watch                    -2 1..-1   pin:watch      f   2.2.0   transaction look
xack                     -4 1       forward        wf  5.0.0   stream
xackdel                  -6 1       forward        wf  8.2.0   stream
xadd                     -5 1       forward        wf  5.0.0   stream
xautoclaim               -6 1       forward        wf  6.2.0   stream
xcfgset                  -2 1       forward        wf  8.6.0   stream
xclaim                   -6 1       forward        wf  5.0.0   stream
xdel                     -3 1       forward        wf  5.0.0   stream
xdelex                   -5 1       forward        wf  8.2.0   stream
xgroup                   -2 -       sub            -   5.0.0
xgroup|create            -5 2       forward        w   5.0.0   stream
xgroup|createconsumer     5 2       forward        w   6.2.0   stream
xgroup|delconsumer        5 2       forward        w   5.0.0   stream
xgroup|destroy            4 2       forward        w   5.0.0   stream
xgroup|help               2 -       any            -   5.0.0   stream free
xgroup|setid             -5 2       forward        w   5.0.0   stream
xinfo                    -2 -       sub            -   5.0.0
xinfo|consumers           4 2       forward        r   5.0.0   stream
xinfo|groups              3 2       forward        r   5.0.0   stream
xinfo|help                2 -       any            -   5.0.0   stream free
xinfo|stream             -3 2       forward        r   5.0.0   stream
xlen                      2 1       forward        rf  5.0.0   stream
xpending                 -3 1       forward        r   5.0.0   stream
xrange                   -4 1       forward        r   5.0.0   stream
xread                    -4 streams together       rb  5.0.0   stream
xreadgroup               -7 streams together       wb  5.0.0   stream
xrevrange                -4 1       forward        r   5.0.0   stream
xsetid                   -3 1       forward        wf  5.0.0   stream
xtrim                    -4 1       forward        w   5.0.0   stream
zadd                     -4 1       forward        wf  1.2.0   sortedset
zcard                     2 1       forward        rf  1.2.0   sortedset
zcount                    4 1       forward        rf  2.0.0   sortedset
zdiff                    -3 @1      together       r   6.2.0   sortedset
zdiffstore               -4 1+@2    together       w   6.2.0   sortedset
zincrby                   4 1       forward        wf  1.2.0   sortedset
zinter                   -3 @1      together       r   6.2.0   sortedset
zintercard               -3 @1      together       r   7.0.0   sortedset
zinterstore              -4 1+@2    together       w   2.0.0   sortedset
zlexcount                 4 1       forward        rf  2.8.9   sortedset
zmpop                    -4 @1      together       w   7.0.0   sortedset
zmscore                  -3 1       forward        rf  6.2.0   sortedset
zpopmax                  -2 1       forward        wf  5.0.0   sortedset
zpopmin                  -2 1       forward        wf  5.0.0   sortedset
zrandmember              -2 1       forward        r   6.2.0   sortedset
zrange                   -4 1       forward        r   1.2.0   sortedset
zrangebylex              -4 1       forward        r   2.8.9   sortedset
zrangebyscore            -4 1       forward        r   1.0.5   sortedset
zrangestore              -5 1..2    together       w   6.2.0   sortedset
zrank                    -3 1       forward        rf  2.0.0   sortedset
zrem                     -3 1       forward        wf  1.2.0   sortedset
zremrangebylex            4 1       forward        w   2.8.9   sortedset
zremrangebyrank           4 1       forward        w   2.0.0   sortedset
zremrangebyscore          4 1       forward        w   1.2.0   sortedset
zrevrange                -4 1       forward        r   1.2.0   sortedset
zrevrangebylex           -4 1       forward        r   2.8.9   sortedset
zrevrangebyscore         -4 1       forward        r   2.2.0   sortedset
zrevrank                 -3 1       forward        rf  2.0.0   sortedset
zscan                    -3 1       forward        r   2.8.0   sortedset
zscore                    3 1       forward        rf  1.2.0   sortedset
zunion                   -3 @1      together       r   6.2.0   sortedset
zunionstore              -4 1+@2    together       w   2.0.0   sortedset
`;
