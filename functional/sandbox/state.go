package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
)

// state is what a sandbox's directory remembers for other processes. What runs
// is not in it: that is looked up.
type state struct {
	Config   Config         `json:"config"`
	Complete bool           `json:"complete"` // Up came to its end
	Gateway  netip.Addr     `json:"gateway"`  // the host on the bridge
	Members  []string       `json:"members"`  // addresses of the embedded store's
	Machines []machineState `json:"machines"`
	// Metadata is what Config.Metadata says of every machine that there can
	// be, machine m1's first, for those that another process adds.
	Metadata []map[string]string `json:"metadata,omitempty"`
}

type machineState struct {
	Name string     `json:"name"`
	ID   string     `json:"id"`
	IP   netip.Addr `json:"ip"`
}

func statePath(dir, name string) string { return filepath.Join(dir, name, "state.json") }

func readState(dir, name string) (state, error) {
	var s state
	text, err := os.ReadFile(statePath(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("no sandbox %q is up in %s", name, dir)
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("state of sandbox %q: %w", name, err)
	}
	return s, nil
}

func (s state) write() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	path := statePath(s.Config.Dir, s.Config.Name)
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// lock keeps other processes from making or removing the same sandbox at the
// same time. The lock ends with the process at the latest.
func lock(ctx context.Context, dir, name string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "."+name+".lock")
	var file *os.File
	var failed error
	err = poll(ctx, func() bool {
		file, failed = tryLock(path)
		return file != nil || failed != nil
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("lock sandbox %q: %w", name, err)
	}
	return func() {
		os.Remove(path) // while it is still held: see tryLock
		file.Close()
		os.Remove(dir) // succeeds once the last sandbox is gone
	}, nil
}

// tryLock returns nil when someone else has the lock. Its holder removes the
// file before releasing it, so a file that has been locked must still be the
// one with that name.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, os.MkdirAll(filepath.Dir(path), 0o755) // removed with the last sandbox
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		mine, _ := f.Stat()
		if now, statErr := os.Stat(path); statErr == nil && os.SameFile(mine, now) {
			return f, nil
		}
	}
	f.Close()
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, err
	}
	return nil, nil
}

// lockSubnets keeps other sandboxes of this host, in whatever directory, from
// choosing a subnet. It locks a directory that every host has, and so leaves no
// file behind.
func lockSubnets(ctx context.Context) (unlock func(), err error) {
	d, err := os.Open("/run")
	if err != nil {
		return nil, err
	}
	var failed error
	err = poll(ctx, func() bool {
		failed = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		return !errors.Is(failed, syscall.EWOULDBLOCK)
	})
	if err := errors.Join(err, failed); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock the choice of a subnet: %w", err)
	}
	return func() { d.Close() }, nil
}
