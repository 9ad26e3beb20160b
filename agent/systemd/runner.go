package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"fleet/agent"
	"fleet/unit"
)

const (
	// DefaultDir is where unit files lie when nothing else is configured.
	DefaultDir = "/run/fleet/units"

	runtimeDir = "/run/systemd/system"

	// answerTime is how long systemd may take to answer. While it reloads it
	// answers nobody.
	answerTime = 90 * time.Second
)

// Config is what a Runner needs to know.
type Config struct {
	Dir    string       // of unit files, on a tmpfs; empty for DefaultDir
	Logger *slog.Logger // nil for none
}

// Runner is an agent.Runner over this machine's systemd.
type Runner struct {
	log      *slog.Logger
	bus      bus
	files    files
	search   []string // systemd's search path
	reloader *reloader

	life context.Context // ends with Close
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu       sync.Mutex // of what follows
	conn     *sd.Conn   // nil when there is none
	watchers map[*watcher]bool
}

var _ agent.Runner = (*Runner)(nil)

// New connects to systemd. ctx bounds the connecting; the runner lasts until
// Close.
func New(ctx context.Context, c Config) (*Runner, error) {
	return open(ctx, c, findBus())
}

func open(ctx context.Context, c Config, b bus) (*Runner, error) {
	if c.Dir == "" {
		c.Dir = DefaultDir
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Runner{
		log:      c.Logger,
		bus:      b,
		files:    files{dir: c.Dir, links: runtimeDir},
		watchers: map[*watcher]bool{},
	}
	r.life, r.end = context.WithCancel(context.WithoutCancel(ctx))
	r.reloader = newReloader(r.life, &r.wg, r.reload)
	conn, err := r.systemd(ctx)
	if err != nil {
		r.end()
		return nil, err
	}
	if r.search, err = searchPath(conn); err != nil {
		r.Close()
		return nil, fmt.Errorf("ask systemd for its search path: %w", err)
	}
	return r, nil
}

// searchPath returns the directories that systemd looks for units in. The
// library has a property of the manager in the notation for humans only.
func searchPath(conn *sd.Conn) ([]string, error) {
	list, err := conn.GetManagerProperty("UnitPath")
	if err != nil {
		return nil, err
	}
	v, err := dbus.ParseVariant(list, dbus.SignatureOf([]string{}))
	if err != nil {
		return nil, err
	}
	dirs, ok := v.Value().([]string)
	if !ok || len(dirs) == 0 {
		return nil, fmt.Errorf("it is %s", list)
	}
	return dirs, nil
}

// Close lets go of systemd. What runs runs on.
func (r *Runner) Close() {
	r.end()
	r.mu.Lock()
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// systemd returns a connection that works, as far as can be known. One that was
// cut, as daemon-reexec does, is replaced.
func (r *Runner) systemd(ctx context.Context) (*sd.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.life.Err(); err != nil {
		return nil, fmt.Errorf("connect to systemd: the runner is closed: %w", err)
	}
	if r.conn != nil && r.conn.Connected() {
		return r.conn, nil
	}
	if r.conn != nil {
		r.log.Warn("systemd: connection lost, connecting again")
		r.conn.Close()
		r.conn = nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn, err := r.bus.calls(r.life)
	if err != nil {
		return nil, err
	}
	r.conn = conn
	return conn, nil
}

func (r *Runner) reload(ctx context.Context) error {
	conn, err := r.systemd(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	began := time.Now()
	if err := conn.ReloadContext(ctx); err != nil {
		return fmt.Errorf("daemon-reload: %w", err)
	}
	r.log.Info("systemd: reloaded its units", "took", time.Since(began))
	return nil
}

// Load implements agent.Runner.
func (r *Runner) Load(ctx context.Context, name, text string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	defer r.touched(name)
	if err := r.load(ctx, name, text); err != nil {
		return fmt.Errorf("load %s: %w", name, err)
	}
	return nil
}

func (r *Runner) load(ctx context.Context, name, text string) error {
	conn, err := r.systemd(ctx)
	if err != nil {
		return err
	}
	if err := r.checkForeign(ctx, conn, name); err != nil {
		return err
	}
	install, err := r.readInstall(name, text)
	if err != nil {
		return err
	}
	changed, err := r.files.put(name, text)
	if err != nil {
		return err
	}
	reload := false
	if changed {
		if reload, err = r.isStale(ctx, conn, name); err != nil {
			return err
		}
	}
	installed, err := r.install(ctx, conn, name, install, changed)
	if err != nil {
		return err
	}
	if reload || installed {
		return r.reloader.do(ctx)
	}
	return nil
}

// isStale reports whether systemd would start a unit from an older file, unless
// it reloads. A unit that failed is let go of, which often suffices; one that
// runs is left as it is until it is to be started again.
func (r *Runner) isStale(ctx context.Context, conn *sd.Conn, name string) (bool, error) {
	row, ok, err := inMemory(ctx, conn, name)
	if err != nil || !ok || running(row) {
		return false, err
	}
	if row.ActiveState == "failed" {
		// That systemd has just forgotten the unit by itself is no error.
		_ = conn.ResetFailedUnitContext(ctx, name)
	}
	return property[bool](ctx, conn, name, "Unit", "NeedDaemonReload")
}

// Unload implements agent.Runner.
func (r *Runner) Unload(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	defer r.touched(name)
	if err := r.unload(ctx, name); err != nil {
		return fmt.Errorf("unload %s: %w", name, err)
	}
	return nil
}

func (r *Runner) unload(ctx context.Context, name string) error {
	if _, err := unit.ParseName(name); err != nil {
		return err
	}
	conn, err := r.systemd(ctx)
	if err != nil {
		return err
	}
	row, ok, err := inMemory(ctx, conn, name)
	if err != nil {
		return err
	}
	ours := false
	if ok {
		if ours, err = r.isOurs(ctx, conn, name); err != nil {
			return err
		}
		if ours && running(row) {
			return fmt.Errorf("it is %s, stop it first", row.ActiveState)
		}
	}
	if err := r.files.remove(name); err != nil {
		return err
	}
	if !ours {
		return nil
	}
	return r.forget(ctx, conn, name, row)
}

// forget makes systemd forget a unit whose file is gone. It does so by itself
// unless the unit failed or another one refers to it.
func (r *Runner) forget(ctx context.Context, conn *sd.Conn, name string, row sd.UnitStatus) error {
	if row.ActiveState == "failed" {
		_ = conn.ResetFailedUnitContext(ctx, name) // it may be forgotten by now
	}
	row, ok, err := inMemory(ctx, conn, name)
	if err != nil || !ok || row.LoadState == "not-found" {
		return err
	}
	return r.reloader.do(ctx)
}
