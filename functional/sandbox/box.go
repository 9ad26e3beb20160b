package sandbox

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed power.sh
var powerScript string

// pollEvery is how often a condition of the kernel or of a machine is looked
// at while it is waited for.
const pollEvery = 25 * time.Millisecond

// A box holds the processes of one machine, or of the store, in cgroups that
// carry the box's name. The cgroups are the only record of what belongs to it.
type box struct {
	name string // of the cgroups; ends in .scope, as systemd wants it
}

// boxPrefix is what the names of all of a sandbox's boxes begin with. A
// sandbox's name has no dash, so no name's prefix is another's.
func boxPrefix(sandbox string) string { return "fleet-sandbox-" + sandbox + "-" }

func newBox(sandbox, member string) box {
	return box{name: boxPrefix(sandbox) + member + ".scope"}
}

// start runs a command in the box, detached from this process, with its output
// in the log file, and returns when it is in there.
func (b box) start(ctx context.Context, log string, env []string, command ...string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	hierarchies, err := readHierarchies()
	if err != nil {
		return err
	}
	argv := []string{"--fork"}
	var dirs []string
	if hierarchies.managed() {
		argv = append(argv, "systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--unit="+b.name, "--")
	} else if dirs, err = hierarchies.make(b.name); err != nil {
		return err
	}
	argv = append(argv, "sh", "-c", powerScript, "power", strings.Join(dirs, " "))
	cmd := exec.CommandContext(ctx, "setsid", append(argv, command...)...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, "/", out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start %s: %w", b.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := poll(ctx, b.populated); err != nil {
		return fmt.Errorf("%s did not start: %w: %s", b.name, err, tail(log))
	}
	return nil
}

// dirs are the box's cgroups, wherever they are.
func (b box) dirs() ([]string, error) { return findCgroups(b.name) }

// unified is the box's cgroup in the v2 hierarchy, empty when there is none.
func (b box) unified() string {
	dirs, err := b.dirs()
	if err != nil {
		return ""
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, "cgroup.events")); err == nil {
			return d
		}
	}
	return ""
}

// populated tells whether any process lives in the box.
func (b box) populated() bool { return b.event("populated") }

// frozen tells whether the box's processes are stopped.
func (b box) frozen() bool { return b.event("frozen") }

func (b box) event(name string) bool {
	text, err := os.ReadFile(filepath.Join(b.unified(), "cgroup.events"))
	if err != nil {
		return false
	}
	return strings.Contains("\n"+string(text), "\n"+name+" 1\n")
}

// freeze stops every process in the box where it is, or lets them go on.
func (b box) freeze(ctx context.Context, on bool) error {
	dir := b.unified()
	if dir == "" {
		return fmt.Errorf("%s is not running", b.name)
	}
	value := "0"
	if on {
		value = "1"
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte(value), 0); err != nil {
		return fmt.Errorf("freeze %s: %w", b.name, err)
	}
	return poll(ctx, func() bool { return b.frozen() == on })
}

// kill ends every process in the box at once and waits until they are gone. A
// process that is just entering the box is killed as it comes.
func (b box) kill(ctx context.Context) error {
	var failed error
	err := poll(ctx, func() bool {
		if !b.populated() {
			return true
		}
		failed = os.WriteFile(filepath.Join(b.unified(), "cgroup.kill"), []byte("1"), 0)
		if errors.Is(failed, fs.ErrNotExist) {
			failed = nil // the cgroup went away in between
		}
		return failed != nil
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("kill %s: %w", b.name, err)
	}
	return nil
}

// destroy kills what is in the box and takes its cgroups away. It does so again
// until it succeeds: a process that was just being put into the box may enter
// it late, and one that has just ended may keep a v1 cgroup busy for a moment.
func (b box) destroy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var last error
	if err := poll(ctx, func() bool { last = b.tryDestroy(ctx); return last == nil }); err != nil {
		return fmt.Errorf("remove %s: %w", b.name, errors.Join(err, last))
	}
	return nil
}

func (b box) tryDestroy(ctx context.Context) error {
	if err := b.kill(ctx); err != nil {
		return err
	}
	dirs, err := b.dirs()
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if err := removeCgroup(d); err != nil {
			return err
		}
	}
	return nil
}

// initPID finds the process in the box that is 1 in a process namespace right
// below the host's; 0 when there is none.
func (b box) initPID() int {
	found := 0
	filepath.WalkDir(b.unified(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			return nil
		}
		text, _ := os.ReadFile(path) // a cgroup that is gone by now has no process
		for pid := range strings.FieldsSeq(string(text)) {
			if isInit(pid) {
				found, _ = strconv.Atoi(pid)
				return fs.SkipAll
			}
		}
		return nil
	})
	return found
}

func isInit(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(ids)
			return len(f) == 2 && f[1] == "1"
		}
	}
	return false
}

// poll waits until the condition holds, looking at once and then every
// pollEvery, and returns the context's error if that ends first.
func poll(ctx context.Context, condition func() bool) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// tail is the end of a log file, for an error message.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}
