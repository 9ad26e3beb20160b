package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"fleet/schedule"
)

// DefaultConfigPath is the file that is read when --config names no other.
const DefaultConfigPath = "/etc/fleet/fleet.conf"

// Config is everything an operator can set. Its fields are named for the
// options of fleet.conf; LoadConfig has checked every one of them.
type Config struct {
	ShowVersion bool   // --version: print the version and leave
	Path        string // the file that was read, or would have been

	Verbosity    int               // 0 or more; see LogLevel
	PublicIP     string            // an IP address; empty: fleetd finds one
	Metadata     map[string]string // never nil
	AgentTTL     time.Duration     // whole seconds
	RestartGrace time.Duration     // whole seconds; 0: none
	Policy       schedule.Policy   // of the engine, should this fleetd lead

	// What of the machine is kept from units: bytes, thousandths of a CPU.
	ReservedMemory int64
	ReservedCPU    int64

	TokenLimit    int      // most entries on a page of the API
	DisableEngine bool     // this fleetd never leads
	APIListen     []string // host:port, loopback or private addresses only
	DataDir       string   // absolute
	DockerHost    string   // unix:///path or tcp://127.0.0.1:port

	EtcdKeyPrefix      string        // begins and ends with a slash
	EtcdRequestTimeout time.Duration // of one request

	// Of an external store; all empty when the embedded one is used.
	EtcdServers  []string // URLs
	EtcdCAFile   string   // absolute, as the next two
	EtcdCertFile string
	EtcdKeyFile  string
	EtcdUsername string
	EtcdPassword string

	// Of the embedded store; meaningless with EtcdServers.
	EtcdName             string
	EtcdListenClientURLs []string // empty: a Unix socket in DataDir
	EtcdListenPeerURLs   []string // of a larger store than one member
	EtcdInitialCluster   string   // name=url,name=url; empty: a store of one member
}

// Embedded reports whether this fleetd runs a member of the store itself.
func (c Config) Embedded() bool { return len(c.EtcdServers) == 0 }

// LogLevel is the lowest level that is logged: info, and one of slog's steps
// lower for each step of verbosity.
func (c Config) LogLevel() slog.Level {
	return slog.LevelInfo - slog.Level(4*c.Verbosity)
}

// NeedsRestart names the options in which next differs from c and which a
// running fleetd can't change: a reload leaves them as they are, and says so.
// What it can change are the machine's metadata and address, what is reserved
// on it, and the verbosity.
func (c Config) NeedsRestart(next Config) []string {
	var names []string
	differ := func(name string, same bool) {
		if !same {
			names = append(names, name)
		}
	}
	differ("agent_ttl", c.AgentTTL == next.AgentTTL)
	differ("api_listen", slices.Equal(c.APIListen, next.APIListen))
	differ("data_dir", c.DataDir == next.DataDir)
	differ("disable_engine", c.DisableEngine == next.DisableEngine)
	differ("docker_host", c.DockerHost == next.DockerHost)
	differ("etcd_cafile", c.EtcdCAFile == next.EtcdCAFile)
	differ("etcd_certfile", c.EtcdCertFile == next.EtcdCertFile)
	differ("etcd_initial_cluster", c.EtcdInitialCluster == next.EtcdInitialCluster)
	differ("etcd_key_prefix", c.EtcdKeyPrefix == next.EtcdKeyPrefix)
	differ("etcd_keyfile", c.EtcdKeyFile == next.EtcdKeyFile)
	differ("etcd_listen_client_urls", slices.Equal(c.EtcdListenClientURLs, next.EtcdListenClientURLs))
	differ("etcd_listen_peer_urls", slices.Equal(c.EtcdListenPeerURLs, next.EtcdListenPeerURLs))
	differ("etcd_name", c.EtcdName == next.EtcdName)
	differ("etcd_password", c.EtcdPassword == next.EtcdPassword)
	differ("etcd_request_timeout", c.EtcdRequestTimeout == next.EtcdRequestTimeout)
	differ("etcd_servers", slices.Equal(c.EtcdServers, next.EtcdServers))
	differ("etcd_username", c.EtcdUsername == next.EtcdUsername)
	differ("forget_after", c.Policy.ForgetAfter == next.Policy.ForgetAfter)
	differ("restart_grace", c.RestartGrace == next.RestartGrace)
	differ("strategy", c.Policy.Strategy == next.Policy.Strategy)
	differ("token_limit", c.TokenLimit == next.TokenLimit)
	return names
}

// defaultConfig is what holds where nothing is set.
func defaultConfig() Config {
	return Config{
		Path:               DefaultConfigPath,
		Metadata:           map[string]string{},
		AgentTTL:           10 * time.Second,
		RestartGrace:       60 * time.Second,
		Policy:             schedule.DefaultPolicy(),
		TokenLimit:         100,
		DataDir:            "/var/lib/fleet",
		DockerHost:         "unix:///var/run/docker.sock",
		EtcdKeyPrefix:      "/fleet/",
		EtcdRequestTimeout: 3 * time.Second,
		EtcdName:           "fleet",
	}
}

// LoadConfig reads the configuration: the command line args (without the
// program's name), the file it names, and env, which wins over the file.
//
// Warnings are sentences for the log, about what was accepted and does
// nothing. The error says everything that is wrong, a line each, with file and
// line or environment variable; it is flag.ErrHelp when args ask for help (see
// Usage). A default file that doesn't exist is no error, a named one is.
func LoadConfig(args []string, env []string, readFile func(string) ([]byte, error)) (Config, []string, error) {
	config := defaultConfig()
	named, err := parseFlags(&config, args)
	if err != nil || config.ShowVersion {
		return config, nil, err
	}
	text, err := readFile(config.Path)
	if err != nil && (named || !errors.Is(err, fs.ErrNotExist)) {
		return config, nil, fmt.Errorf("read the configuration: %w", err)
	}
	l := configLoader{config: &config, settings: map[string]configSetting{}}
	l.addFile(config.Path, text)
	l.addEnvironment(env)
	l.apply()
	if len(l.errs) == 0 {
		l.checkTogether()
	}
	return config, l.warnings, errors.Join(l.errs...)
}

// parseFlags reads the command line into config and reports whether it names a
// file.
func parseFlags(config *Config, args []string) (named bool, err error) {
	flags := configFlags(config)
	flags.SetOutput(io.Discard) // what is wrong is returned, once
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if flags.NArg() > 0 {
		return false, fmt.Errorf("unexpected argument %q: fleetd takes only flags", flags.Arg(0))
	}
	flags.Visit(func(f *flag.Flag) { named = named || f.Name == "config" })
	return named, nil
}

func configFlags(config *Config) *flag.FlagSet {
	flags := flag.NewFlagSet("fleetd", flag.ContinueOnError)
	flags.StringVar(&config.Path, "config", config.Path, "read the configuration from `FILE`")
	flags.BoolVar(&config.ShowVersion, "version", false, "print the version and exit")
	return flags
}

// Usage writes what fleetd's command line takes.
func Usage(w io.Writer) {
	config := defaultConfig()
	flags := configFlags(&config)
	flags.SetOutput(w)
	fmt.Fprintln(w, "Usage: fleetd [--config FILE]")
	fmt.Fprintln(w)
	flags.PrintDefaults()
	fmt.Fprintln(w, "\nEvery option of the file can also be set in the environment, which wins:")
	fmt.Fprintln(w, "agent_ttl as FLEET_AGENT_TTL, and so on.")
}
