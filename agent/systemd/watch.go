package systemd

import (
	"bytes"
	"encoding/hex"
	"maps"
	"slices"
	"sync"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// watcher collects which units may have changed since they were last read. It
// is fed by the reader of signals, which it must not hold up, and by Load and
// Unload.
type watcher struct {
	wake chan struct{} // holds one when there is something to take

	telling sync.Mutex // held while fn is called, before mu

	mu      sync.Mutex
	paths   map[string]string // D-Bus object path → name, of the units to look out for
	dirty   map[string]bool
	touched map[string]bool   // by a call, since take
	all     bool              // everything may have changed
	started map[string]string // name → invocation ID, as signalled
}

func newWatcher() *watcher {
	return &watcher{
		wake:    make(chan struct{}, 1),
		paths:   map[string]string{},
		dirty:   map[string]bool{},
		touched: map[string]bool{},
		started: map[string]string{},
	}
}

func objectPath(name string) string {
	return "/org/freedesktop/systemd1/unit/" + sd.PathBusEscape(name)
}

// signal takes one signal of systemd's.
func (w *watcher) signal(path, member, frame []byte) {
	switch string(member) {
	case "PropertiesChanged":
		w.mu.Lock()
		defer w.mu.Unlock()
		name, ok := w.paths[string(path)]
		if !ok {
			return
		}
		if id := invocation(frame); id != "" {
			w.started[name] = id
		}
		w.dirty[name] = true
	case "Reloading":
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = true
	default:
		return
	}
	w.awake()
}

// touch notes that a call has done something about a unit, and waits until
// nobody is being told what is no longer so.
func (w *watcher) touch(name string) {
	w.mu.Lock()
	w.paths[objectPath(name)] = name
	w.dirty[name], w.touched[name] = true, true
	w.awake()
	w.mu.Unlock()
	w.telling.Lock()
	defer w.telling.Unlock()
}

func (w *watcher) awake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns, and forgets, what may have changed, sorted, whether that may be
// everything, and what calls have touched. It begins to note anew what is
// touched.
func (w *watcher) take() (names []string, all bool, touched map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	names, all, touched = slices.Sorted(maps.Keys(w.dirty)), w.all, maps.Clone(w.touched)
	clear(w.dirty)
	clear(w.touched)
	w.all = false
	return names, all, touched
}

// isTouched reports whether a call has done something about the unit since
// take: then what was read of it may be older.
func (w *watcher) isTouched(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.touched[name]
}

// follow looks out for a unit from now on; drop no longer.
func (w *watcher) follow(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths[objectPath(name)] = name
}

func (w *watcher) drop(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.paths, objectPath(name))
	delete(w.started, name)
}

// invocationOf returns the ID of the last run that was signalled. systemd
// forgets it together with a unit that has stopped.
func (w *watcher) invocationOf(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started[name]
}

// invocation returns the invocation ID in a PropertiesChanged, empty for none.
// Only a message that has one is decoded.
func invocation(frame []byte) string {
	if !bytes.Contains(frame, []byte("InvocationID\x00")) {
		return ""
	}
	msg, err := dbus.DecodeMessage(bytes.NewReader(frame))
	if err != nil || len(msg.Body) < 2 {
		return ""
	}
	changed, _ := msg.Body[1].(map[string]dbus.Variant)
	id, _ := changed["InvocationID"].Value().([]byte)
	return hex.EncodeToString(id)
}
