// peer talks to itself over TCP: "peer serve ADDR" answers every connection
// with the host's name, "peer call ADDR" prints that answer, or fails within a
// second.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: peer serve|call ADDR")
		os.Exit(2)
	}
	act := call
	if os.Args[1] == "serve" {
		act = serve
	}
	if err := act(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(addr string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprint(conn, name)
		conn.Close()
	}
}

func call(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	conn.SetDeadline(time.Now().Add(time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	fmt.Print(string(answer))
	return nil
}
