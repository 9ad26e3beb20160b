package systemd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// Where systemd and the bus daemon listen.
const (
	privateSocket = "/run/systemd/private"
	systemSocket  = "/run/dbus/system_bus_socket"
)

// helloTime is how long it may take to be let in.
const helloTime = 10 * time.Second

// bus is a socket that systemd can be spoken to through.
type bus struct {
	socket string
	daemon bool // a bus daemon is between: say Hello, subscribe, match
}

// findBus prefers systemd's own socket, which also answers when the bus daemon
// doesn't, and falls back to the system bus.
func findBus() bus {
	if _, err := os.Stat(privateSocket); err == nil {
		return bus{socket: privateSocket}
	}
	return bus{socket: systemSocket, daemon: true}
}

// dial opens a connection that ends with ctx, on which only those signals are
// delivered that keep, given each signal's whole message, says to. All others
// cost no more than a look at their header: systemd's own socket sends every
// signal to every connection. keep is called by the connection's reader.
func (b bus) dial(ctx context.Context, keep func(path, member, frame []byte) bool) (*dbus.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", b.socket)
	if err != nil {
		return nil, fmt.Errorf("connect to systemd: %w", err)
	}
	conn, err := dbus.NewConn(&filter{Conn: raw, in: bufio.NewReaderSize(raw, 64<<10), keep: keep}, dbus.WithContext(ctx))
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("connect to systemd: %w", err)
	}
	// A systemd that hangs accepts connections too.
	err = raw.SetDeadline(time.Now().Add(helloTime))
	if err == nil {
		err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))})
	}
	switch {
	case err != nil:
	case b.daemon:
		err = conn.Hello()
	default:
		err = knock(conn)
	}
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to systemd at %s: %w", b.socket, err)
	}
	return conn, nil
}

// knock waits until systemd answers. A message that reaches it together with
// the end of the authentication lies in its buffer until another one comes
// (seen with systemd 252, on most connections), so it is asked again and again.
func knock(conn *dbus.Conn) error {
	const ping = "org.freedesktop.DBus.Peer.Ping"
	ctx, cancel := context.WithTimeout(conn.Context(), helloTime)
	defer cancel()
	manager := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	first := manager.GoWithContext(ctx, ping, 0, make(chan *dbus.Call, 1))
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-first.Done:
			return first.Err
		case <-again.C:
			manager.GoWithContext(ctx, ping, dbus.FlagNoReplyExpected, nil)
		}
	}
}

// calls opens the connection that calls are made on and jobs are awaited on.
func (b bus) calls(ctx context.Context) (*sd.Conn, error) {
	conn, err := sd.NewConnection(func() (*dbus.Conn, error) {
		return b.dial(ctx, func(_, member, _ []byte) bool { return string(member) == "JobRemoved" })
	})
	if err == nil && b.daemon {
		// On a bus, systemd tells of jobs only while someone is subscribed.
		if err = conn.Subscribe(); err != nil {
			conn.Close()
		}
	}
	return conn, err
}

// events opens a connection for nothing but signals about units, each of which
// is handed to each. It is told of none as soon as the connection is lost.
func (b bus) events(ctx context.Context, each func(path, member, frame []byte)) (*dbus.Conn, error) {
	conn, err := b.dial(ctx, func(path, member, frame []byte) bool {
		each(path, member, frame)
		return false
	})
	if err != nil || !b.daemon {
		return conn, err
	}
	manager := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	err = manager.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.Subscribe", 0).Err
	if err == nil {
		err = conn.AddMatchSignalContext(ctx,
			dbus.WithMatchSender("org.freedesktop.systemd1"),
			dbus.WithMatchPathNamespace("/org/freedesktop/systemd1"))
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("subscribe to systemd's signals: %w", err)
	}
	return conn, nil
}

// filter is the transport of a connection, less the signals that nobody wants.
// Until the end of the authentication, which is made of lines, it passes
// everything on.
type filter struct {
	net.Conn
	in     *bufio.Reader
	keep   func(path, member, frame []byte) bool
	framed bool
	buf    []byte
	rest   []byte // of a message that is being delivered
}

// Write implements io.Writer. The line that ends the authentication is written
// before the reader of messages is started, by the goroutine that starts it.
func (f *filter) Write(p []byte) (int, error) {
	if !f.framed && bytes.Equal(p, []byte("BEGIN\r\n")) {
		f.framed = true
	}
	return f.Conn.Write(p)
}

// Read implements io.Reader.
func (f *filter) Read(p []byte) (int, error) {
	if !f.framed {
		return f.in.Read(p)
	}
	for len(f.rest) == 0 {
		frame, err := readFrame(f.in, f.buf)
		if err != nil {
			return 0, err
		}
		f.buf = frame
		if path, member, ok := signalOf(frame); !ok || f.keep(path, member, frame) {
			f.rest = frame
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
