// Command hello is the example's web server: it says who answers and from
// where, so that one can watch a unit move from machine to machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listen := flag.String("listen", ":8080", "answer HTTP on `ADDRESS`")
	flag.Parse()
	if err := run(ctx, *listen); err != nil {
		slog.Error("hello", "err", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and then lets the requests under way finish.
func run(ctx context.Context, listen string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(os.Getenv, os.Hostname), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	slog.Info("hello", "listen", l.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = server.Shutdown(last)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// handler answers with one line: the instance and the machine, which the unit
// passes in the environment, and the host name, which is the container's.
func handler(getenv func(string) string, hostname func() (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, err := hostname()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "hello from instance %s on machine %s, container %s\n", getenv("INSTANCE"), getenv("MACHINE"), host)
	})
}
