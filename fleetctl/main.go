package fleetctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/api"
)

// app is one run of fleetctl.
type app struct {
	stdout, stderr io.Writer
	options        options
	opened         *api.Client // by client
	named          *namer      // by brief
}

// options are the global flags.
type options struct {
	endpoint                  string
	caFile, certFile, keyFile string
	requestTimeout            float64 // seconds
	debug                     bool
}

// errReported says that a verb failed and has told the user why.
var errReported = errors.New("failed")

// Main runs fleetctl with the arguments after its name and returns the exit
// status.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	defer a.close()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var unreachable *api.UnreachableError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
	case ctx.Err() != nil:
		a.warn("fleetctl: interrupted")
	case errors.As(err, &unreachable) && unreachable.Silent:
		a.warn("fleetctl: %v. Is its store within reach? (journalctl -u fleet)", err)
	case errors.As(err, &unreachable):
		a.warn("fleetctl: %v. Is fleetd running? (systemctl status fleet)", err)
	default:
		a.warn("fleetctl: %v", err)
	}
	return 1
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "fleetctl",
		Short:             "fleetctl controls the systemd units of a cluster",
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd) },
	}
	root.SetVersionTemplate("fleetctl version {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.options.endpoint, "endpoint", "unix:///var/run/fleet.sock", "where fleetd's API is: unix:///PATH, http://HOST:PORT or https://HOST:PORT")
	f.StringVar(&a.options.caFile, "ca-file", "", "certificates to trust for https")
	f.StringVar(&a.options.certFile, "cert-file", "", "certificate to show for https")
	f.StringVar(&a.options.keyFile, "key-file", "", "key of that certificate")
	f.Float64Var(&a.options.requestTimeout, "request-timeout", 3, "seconds that one request may take")
	f.BoolVar(&a.options.debug, "debug", false, "note every request on standard error")
	root.AddCommand(
		a.submit(), a.load(), a.start(), a.stop(), a.unload(), a.destroy(), a.scale(),
		a.cat(), a.listUnits(), a.listUnitFiles(), a.listMachines(),
		a.cordon(), a.uncordon(), a.drain(), a.machine(),
		a.explain(), a.simulate(), a.snapshot(), a.verify(), a.version(),
	)
	return root
}

// fromEnvironment sets the global flags that were not given from FLEETCTL_ and
// their upper-case names.
func fromEnvironment(cmd *cobra.Command) error {
	if host := os.Getenv("FLEETCTL_TUNNEL"); host != "" {
		// Going on would change another cluster than the one that was meant.
		return fmt.Errorf("FLEETCTL_TUNNEL=%s is set, but this fleetctl has no tunnel: unset it and use --endpoint", host)
	}
	flags := cmd.Root().PersistentFlags()
	for _, flag := range []string{"endpoint", "ca-file", "cert-file", "key-file", "request-timeout", "debug"} {
		name := "FLEETCTL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
		value := os.Getenv(name)
		if value == "" || flags.Changed(flag) {
			continue
		}
		if err := flags.Set(flag, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// client returns the connection to fleetd, made at the first call.
func (a *app) client() (*api.Client, error) {
	if a.opened != nil {
		return a.opened, nil
	}
	o := a.options
	if o.requestTimeout <= 0 {
		return nil, fmt.Errorf("--request-timeout %v is not a number of seconds above 0", o.requestTimeout)
	}
	cfg := api.ClientConfig{
		CAFile: o.caFile, CertFile: o.certFile, KeyFile: o.keyFile,
		Timeout: time.Duration(o.requestTimeout * float64(time.Second)),
	}
	if o.debug {
		cfg.Trace = a.stderr
	}
	c, err := api.NewClient(o.endpoint, cfg)
	a.opened = c
	return c, err
}

func (a *app) close() {
	if a.opened != nil {
		a.opened.Close()
	}
}

// say writes a line that scripts may read.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.stdout, format+"\n", args...) }

// warn writes a line for people.
func (a *app) warn(format string, args ...any) { fmt.Fprintf(a.stderr, format+"\n", args...) }

// linked is the version that the linker sets.
var linked string

// version is what this program was built from.
func version() string {
	if linked != "" {
		return linked
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
