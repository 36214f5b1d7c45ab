// A tour of redigo with default settings: redigo PORT SERVERS
package main

import (
	"fmt"
	"os"
	"reflect"

	"github.com/gomodule/redigo/redis"
)

func check(ok bool, what ...interface{}) {
	if !ok {
		fmt.Fprintln(os.Stderr, append([]interface{}{"not so:"}, what...)...)
		os.Exit(1)
	}
}

func main() {
	pool := &redis.Pool{
		MaxIdle: 3,
		Dial:    func() (redis.Conn, error) { return redis.Dial("tcp", "127.0.0.1:"+os.Args[1]) },
	}
	c := pool.Get()
	defer c.Close()
	names := []interface{}{}
	pairs := redis.Args{}
	for i := 0; i < 50; i++ {
		names = append(names, fmt.Sprint("go:", i))
		pairs = pairs.Add(fmt.Sprint("go:", i), i)
	}
	said, err := redis.String(c.Do("MSET", pairs...))
	check(said == "OK", "MSET", err)
	numbers, err := redis.Ints(c.Do("MGET", names...))
	check(len(numbers) == 50 && numbers[49] == 49, "MGET", err)
	gone, err := redis.Int(c.Do("DEL", names...))
	check(gone == 50, "DEL", err)

	for i := 0; i < 100; i++ {
		c.Send("INCRBY", fmt.Sprint("go:p", i), i)
	}
	c.Flush()
	for i := 0; i < 100; i++ {
		n, err := redis.Int(c.Receive())
		check(n == i, "pipeline", err)
	}

	c.Send("MULTI")
	c.Send("SET", "{go}a", 1)
	c.Send("INCR", "{go}b")
	both, err := redis.Values(c.Do("EXEC"))
	check(reflect.DeepEqual(both, []interface{}{"OK", int64(1)}), "transaction", both, err)
	c.Send("MULTI")
	for i := 0; i < 20; i++ {
		c.Send("SET", fmt.Sprint(i, ":go:m"), i)
	}
	_, err = c.Do("EXEC")
	check((err == nil) == (os.Args[2] == "1"), "transaction on several servers", err)
	again := pool.Get()
	_, err = again.Do("SET", "go:after", 1)
	check(err == nil, "after that", err)

	script := redis.NewScript(1, "return redis.call('incrby', KEYS[1], ARGV[1])")
	n, err := redis.Int(script.Do(again, "go:n", 5))
	check(n == 5, "script", err)

	listener := redis.PubSubConn{Conn: pool.Get()}
	check(listener.Subscribe("go:c1", "go:c2") == nil && listener.PSubscribe("go:*") == nil, "subscribe")
	for i := 0; i < 3; i++ {
		_, ok := listener.Receive().(redis.Subscription)
		check(ok, "confirmation", i)
	}
	heard, err := redis.Int(again.Do("PUBLISH", "go:c2", "hi"))
	check(heard == 2, "PUBLISH", heard, err)
	for i := 0; i < 2; i++ {
		message, ok := listener.Receive().(redis.Message)
		check(ok && message.Channel == "go:c2" && string(message.Data) == "hi", "message", i)
	}
	// redigo asks a connection that goes back to the pool to unsubscribe, and for an ECHO behind it.
	check(listener.Close() == nil, "close")
	used := pool.Get()
	said, err = redis.String(used.Do("GET", "go:after"))
	check(said == "1", "a connection that was subscribed", err)
	said, err = redis.String(used.Do("FLUSHDB"))
	check(said == "OK", "FLUSHDB", err)
	fmt.Println("done")
}
