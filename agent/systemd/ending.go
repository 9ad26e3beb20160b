package systemd

import (
	"context"
	"fmt"
	"strings"

	sd "github.com/coreos/go-systemd/v22/dbus"
)

// How a process ended, as waitid(2) says it in si_code.
const (
	exited = 1
	killed = 2
	dumped = 3
)

// run is how the last run of a unit ended, as systemd says it.
type run struct {
	result string // Result of the unit
	code   int32  // ExecMainCode and ExecMainStatus of a service; 0 where
	status int32  // there was no main process
}

// sentence tells a user how the run ended: "exit-code, main process exited with
// status 1".
func (e run) sentence() string {
	switch e.code {
	case exited:
		return fmt.Sprintf("%s, main process exited with status %d%s", e.result, e.status, statusWord(e.status))
	case killed, dumped:
		return fmt.Sprintf("%s, main process was killed by signal %d", e.result, e.status)
	}
	return e.result
}

// statusWord names the statuses by which systemd says that it could not even
// run the program (systemd.exec(5), PROCESS EXIT CODES), as far as a user can
// do something about them.
func statusWord(status int32) string {
	switch status {
	case 200:
		return " (CHDIR: its working directory can't be entered)"
	case 203:
		return " (EXEC: its program can't be executed)"
	case 216:
		return " (GROUP: its group is unknown)"
	case 217:
		return " (USER: its user is unknown)"
	case 226:
		return " (NAMESPACE: its file system can't be set up)"
	}
	return ""
}

// ending tells a user why a start job ended with any other result than done.
func (r *Runner) ending(ctx context.Context, name, result string) string {
	conn, err := r.systemd(ctx)
	if err != nil {
		return result
	}
	switch result {
	case "failed":
		last, err := lastRun(ctx, conn, name)
		if err != nil || last.result == "" || last.result == "success" {
			return "its job failed"
		}
		return last.sentence()
	case "dependency":
		if failed := failedDependencies(ctx, conn, name); len(failed) > 0 {
			return "dependency, it requires " + strings.Join(failed, ", ")
		}
		return "dependency, a unit that it requires did not start"
	case "timeout":
		return "timeout, its job took longer than JobTimeoutSec="
	case "assert":
		return "assert, an Assert…= of its file does not hold"
	}
	return "its job ended as " + result
}

// lastRun reads how a unit's last run ended. Types that have no Result, such as
// target, can't end badly.
func lastRun(ctx context.Context, conn *sd.Conn, name string) (run, error) {
	kind := typeName(name)
	var last run
	var err error
	switch kind {
	case "Service", "Socket", "Timer", "Path", "Mount", "Automount", "Swap", "Scope":
		last.result, err = property[string](ctx, conn, name, kind, "Result")
	default:
		last.result = "success"
	}
	if err == nil && kind == "Service" {
		last.code, err = property[int32](ctx, conn, name, kind, "ExecMainCode")
	}
	if err == nil && last.code != 0 {
		last.status, err = property[int32](ctx, conn, name, kind, "ExecMainStatus")
	}
	return last, err
}

// typeName is the D-Bus interface of a unit's type: Service for web.service.
func typeName(name string) string {
	suffix := name[strings.LastIndexByte(name, '.')+1:]
	if suffix == "" {
		return ""
	}
	return strings.ToUpper(suffix[:1]) + suffix[1:]
}

// failedDependencies returns, with their states, the units that a unit can't do
// without and that don't run.
func failedDependencies(ctx context.Context, conn *sd.Conn, name string) []string {
	var needs []string
	for _, key := range []string{"Requires", "Requisite", "BindsTo"} {
		// What can't be read can't be told.
		names, _ := property[[]string](ctx, conn, name, "Unit", key)
		needs = append(needs, names...)
	}
	if len(needs) == 0 {
		return nil
	}
	rows, _ := conn.ListUnitsByNamesContext(ctx, needs)
	var failed []string
	for _, row := range rows {
		switch row.ActiveState {
		case "inactive", "failed":
			failed = append(failed, fmt.Sprintf("%s, which is %s", row.Name, row.ActiveState))
		}
	}
	return failed
}
