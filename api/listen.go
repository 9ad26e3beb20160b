package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// socketMode lets root and its group use the API: who can write to the socket
// can run anything on every machine.
const socketMode = 0o660

// Listen returns what the API is served on: the sockets that systemd hands
// over, however many, or else a Unix socket at path; beside them the TCP
// addresses given. It takes the environment's LISTEN_ variables away.
func Listen(path string, addresses []string) (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			listeners = nil
		}
	}()
	handed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take systemd's sockets: %w", err)
	}
	for _, l := range handed {
		if l != nil { // nil stands for a descriptor that is no stream socket
			listeners = append(listeners, l)
		}
	}
	if len(listeners) == 0 {
		l, err := listenUnix(path)
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
	}
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		if err != nil {
			return listeners, fmt.Errorf("listen on %s: %w", a, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// listenUnix listens at path, in place of a socket that nobody listens on any
// more. The directory is locked meanwhile, so that of two that start at once
// neither takes the other's new socket for a stale one.
func listenUnix(path string) (net.Listener, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	defer dir.Close() // ends the lock
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("listen on %s: lock its directory: %w", path, err)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// staleAfter bounds the wait for whoever may listen on a socket.
const staleAfter = time.Second

// removeStale removes the socket at path if nobody listens on it.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is something that is not a socket")
	}
	ctx, cancel := context.WithTimeout(context.Background(), staleAfter)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return errors.New("another process listens there")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("can't tell whether another process listens there: %w", err)
	}
	return os.Remove(path)
}
