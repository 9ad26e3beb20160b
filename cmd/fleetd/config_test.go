package main

import (
	"errors"
	"flag"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/schedule"
)

// files is a readFile over a map.
func files(m map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		text, ok := m[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}
}

// load reads text as the default file.
func load(text string, env ...string) (Config, []string, error) {
	return LoadConfig(nil, env, files(map[string]string{DefaultConfigPath: text}))
}

func TestNothingConfiguredIsTheDefault(t *testing.T) {
	config, warnings, err := LoadConfig(nil, nil, files(nil))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("got warnings %q and error %v", warnings, err)
	}
	if diff := cmp.Diff(defaultConfig(), config); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !config.Embedded() {
		t.Error("without etcd_servers the store is not embedded")
	}
}

func TestFleet1ConfigurationIsReadUnchanged(t *testing.T) {
	config, warnings, err := load(`
# This is how 1.0's sample wrote it.
verbosity=1
etcd_servers=["http://192.0.2.12:2379", 'https://192.0.2.13:4001/']
etcd_request_timeout=1.0
etcd_cafile=/etc/ssl/ca.pem
etcd_certfile=/etc/ssl/client.pem
etcd_keyfile=/etc/ssl/client-key.pem
etcd_username=root
etcd_password="coreos "
etcd_key_prefix=/_coreos.com/fleet
public_ip="192.0.2.1"
; and a comment of the other kind
metadata = "region=us-west, az=us-west-1"
agent_ttl="30s"
token_limit=50
disable_engine=True
`)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.Verbosity = 1
	want.EtcdServers = []string{"http://192.0.2.12:2379", "https://192.0.2.13:4001"}
	want.EtcdRequestTimeout = time.Second
	want.EtcdCAFile, want.EtcdCertFile, want.EtcdKeyFile = "/etc/ssl/ca.pem", "/etc/ssl/client.pem", "/etc/ssl/client-key.pem"
	want.EtcdUsername, want.EtcdPassword = "root", "coreos "
	want.EtcdKeyPrefix = "/_coreos.com/fleet/"
	want.PublicIP = "192.0.2.1"
	want.Metadata = map[string]string{"region": "us-west", "az": "us-west-1"}
	want.AgentTTL = 30 * time.Second
	want.TokenLimit = 50
	want.DisableEngine = true
	if diff := cmp.Diff(want, config); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if config.Embedded() {
		t.Error("with etcd_servers the store is embedded")
	}
	wantWarnings := []string{
		"etcd_servers (/etc/fleet/fleet.conf line 4): http://192.0.2.12:2379 is reached without TLS in spite of the certificates that are configured",
	}
	if diff := cmp.Diff(wantWarnings, warnings); diff != "" {
		t.Errorf("warnings (-want +got)\n%s", diff)
	}
}

func TestCommandLine(t *testing.T) {
	read := files(map[string]string{"/a": "token_limit=7", "/bad": "nonsense"})
	for _, args := range [][]string{{"-config", "/a"}, {"--config", "/a"}, {"-config=/a"}, {"--config=/a"}} {
		config, _, err := LoadConfig(args, nil, read)
		if err != nil || config.TokenLimit != 7 || config.Path != "/a" {
			t.Errorf("%q: got %+v, %v", args, config, err)
		}
	}
	if config, _, err := LoadConfig([]string{"--version", "--config", "/bad"}, nil, read); err != nil || !config.ShowVersion {
		t.Errorf("--version needs no file: got %+v, %v", config, err)
	}
	if _, _, err := LoadConfig([]string{"-h"}, nil, read); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: got %v", err)
	}
	if _, _, err := LoadConfig([]string{"--config", "/none"}, nil, read); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a named file that is missing: got %v", err)
	}
	if _, _, err := LoadConfig([]string{"run"}, nil, read); err == nil || err.Error() != `unexpected argument "run": fleetd takes only flags` {
		t.Errorf("an argument: got %v", err)
	}
	denied := func(string) ([]byte, error) { return nil, fs.ErrPermission }
	if _, _, err := LoadConfig(nil, nil, denied); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a default file that can't be read: got %v", err)
	}
}

func TestEnvironmentWinsOverTheFile(t *testing.T) {
	config, warnings, err := load("agent_ttl=20s\ntoken_limit=5\nverbosity=wrong, and never looked at",
		"FLEET_AGENT_TTL=40s", "FLEET_TOKEN_LIMIT=", "FLEET_VERBOSITY=2", "AGENT_TTL=1m", "PATH=/bin")
	if err != nil || len(warnings) > 0 {
		t.Fatalf("got warnings %q and error %v", warnings, err)
	}
	if config.AgentTTL != 40*time.Second || config.TokenLimit != 5 || config.LogLevel() != slog.LevelInfo-8 {
		t.Errorf("got agent_ttl %s, token_limit %d, level %s", config.AgentTTL, config.TokenLimit, config.LogLevel())
	}
}

func TestWhatIsAcceptedWithAWarning(t *testing.T) {
	config, warnings, err := load("verify_units=false\nagent_ttl=20s\nagent_ttl=30s\nenable_grpc=\n",
		"FLEET_ETCD_SERVER=http://10.0.0.1:2379", "FLEET_UNIT=web.service", "FLEET_ENABLE_GRPC=true")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/etc/fleet/fleet.conf line 3: agent_ttl replaces the one of /etc/fleet/fleet.conf line 2",
		"environment variable FLEET_ETCD_SERVER is no option of fleetd, did you mean FLEET_ETCD_SERVERS?",
		"environment variable FLEET_UNIT is no option of fleetd",
		"environment variable FLEET_ENABLE_GRPC: enable_grpc is obsolete and ignored: there is one way to the store",
		"/etc/fleet/fleet.conf line 1: verify_units is obsolete and ignored: units are no longer signed",
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if config.AgentTTL != 30*time.Second {
		t.Errorf("agent_ttl %s: the last line does not count", config.AgentTTL)
	}
	for name := range obsoleteOptions() {
		if _, warnings, err := load(name + "=x"); err != nil || len(warnings) != 1 {
			t.Errorf("%s: got warnings %q and error %v", name, warnings, err)
		}
	}
}

func TestRefusalsSayWhereAndWhy(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"\n\n\netcd_server=http://10.0.0.1:2379", "/etc/fleet/fleet.conf line 4: unknown option etcd_server, did you mean etcd_servers?"},
		{"Agent-TTL=10s", "/etc/fleet/fleet.conf line 1: unknown option Agent-TTL, did you mean agent_ttl?"},
		{"colour=red", "/etc/fleet/fleet.conf line 1: unknown option colour"},
		{"agent_ttl", `/etc/fleet/fleet.conf line 1: "agent_ttl" is not of the form option=value`},
		{"[fleet]", "/etc/fleet/fleet.conf line 1: [fleet] begins a section, and fleet.conf has none: leave the line out"},
		{"metadata=a\x00b", "/etc/fleet/fleet.conf line 1: has bytes that are no text"},

		{"agent_ttl=30", `/etc/fleet/fleet.conf line 1: agent_ttl: "30" has no unit, did you mean "30s"?`},
		{"agent_ttl=soon", `/etc/fleet/fleet.conf line 1: agent_ttl: "soon" is not a duration like 10s, 1m30s or 500ms`},
		{"agent_ttl=1s", "/etc/fleet/fleet.conf line 1: agent_ttl: 1s is not between 2s and 10m0s"},
		{"agent_ttl=11m", "/etc/fleet/fleet.conf line 1: agent_ttl: 11m is not between 2s and 10m0s"},
		{"agent_ttl=10s # quick", `/etc/fleet/fleet.conf line 1: agent_ttl: "10s # quick" is not a duration like 10s, 1m30s or 500ms (a comment needs a line of its own)`},
		{"restart_grace=-500ms", "/etc/fleet/fleet.conf line 1: restart_grace: -500ms is not between 0s and 1h0m0s"},
		{"etcd_request_timeout=61", "/etc/fleet/fleet.conf line 1: etcd_request_timeout: 61s is not between 100ms and 1m0s"},
		{"token_limit=0", `/etc/fleet/fleet.conf line 1: token_limit: "0" is not a whole number from 1 to 10000`},
		{"disable_engine=maybe", `/etc/fleet/fleet.conf line 1: disable_engine: "maybe" is neither true nor false`},
		{"public_ip=$public_ipv4", `/etc/fleet/fleet.conf line 1: public_ip: "$public_ipv4" is not the IP address of a machine`},
		{"strategy=random", `/etc/fleet/fleet.conf line 1: strategy: "random" is neither spread nor binpack`},
		{"forget_after=5s", "/etc/fleet/fleet.conf line 1: forget_after: 5s is less than 10s: a machine that only boots would be forgotten (0 is never)"},
		{"forget_after=-1", "/etc/fleet/fleet.conf line 1: forget_after: -1s is not between 0s and 8760h0m0s"},
		{"forget_after=9000h", "/etc/fleet/fleet.conf line 1: forget_after: 9000h is not between 0s and 8760h0m0s"},
		{"forget_after=1d", `/etc/fleet/fleet.conf line 1: forget_after: "1d" is not a duration like 10s, 1m30s or 500ms`},
		{"reserved_memory=512MB", `/etc/fleet/fleet.conf line 1: reserved_memory: must be a size such as 512M or 1.5G, with K, M, G, T, P or E for powers of 1024, did you mean 512M?`},
		{"reserved_memory=-1", "/etc/fleet/fleet.conf line 1: reserved_memory: must be more than 0: leave the option out to reserve nothing"},
		{"reserved_memory=2E", "/etc/fleet/fleet.conf line 1: reserved_memory: no machine has more than 1E of memory"},
		{"reserved_cpu=500m", "/etc/fleet/fleet.conf line 1: reserved_cpu: must be a number of CPUs such as 2, 1.5 or 0.25, did you mean 0.5?"},
		{"data_dir=var", `/etc/fleet/fleet.conf line 1: data_dir: "var" is not an absolute path`},
		{"etcd_key_prefix=/", `/etc/fleet/fleet.conf line 1: etcd_key_prefix: "/" is not a key prefix like /fleet/`},
		{"docker_host=tcp://10.0.0.9:2375", `/etc/fleet/fleet.conf line 1: docker_host: "tcp://10.0.0.9:2375" is not this machine's Docker, like unix:///var/run/docker.sock or tcp://127.0.0.1:2375`},

		{"metadata=region", `/etc/fleet/fleet.conf line 1: metadata: "region" is not of the form key=value`},
		{"metadata=region=eu,fleet.os=debian", "/etc/fleet/fleet.conf line 1: metadata: fleet.os can't be set: what begins with fleet. is what fleetd finds by itself"},
		{"metadata=a=1,a=2", `/etc/fleet/fleet.conf line 1: metadata: a is both "1" and "2"`},
		{`metadata=a="1`, `/etc/fleet/fleet.conf line 1: metadata: the quote " is not closed`},
		{"etcd_servers=[http://10.0.0.1:2379", "/etc/fleet/fleet.conf line 1: etcd_servers: the list has no closing ]"},
		{"etcd_servers=http://10.0.0.1:2379,,", "/etc/fleet/fleet.conf line 1: etcd_servers: an entry of the list is empty"},
		{"etcd_servers=10.0.0.1:2379", `/etc/fleet/fleet.conf line 1: etcd_servers: "10.0.0.1:2379" is not a URL, did you mean http://10.0.0.1:2379?`},
		{"etcd_servers=http://etcd", "/etc/fleet/fleet.conf line 1: etcd_servers: http://etcd names no host and port, as http://10.0.0.1:2379 does"},
		{"etcd_servers=http://u:secret@etcd:2379", "/etc/fleet/fleet.conf line 1: etcd_servers: http://u:xxxxx@etcd:2379 has more than a scheme, a host and a port"},

		{"api_listen=0.0.0.0:8080", "/etc/fleet/fleet.conf line 1: api_listen: 0.0.0.0 is neither a loopback nor a private address, and whoever reaches it could command the cluster"},
		{"api_listen=:8080", `/etc/fleet/fleet.conf line 1: api_listen: "" is not an IP address to listen on`},
		{"api_listen=10.0.0.1", `/etc/fleet/fleet.conf line 1: api_listen: "10.0.0.1" is not of the form address:port`},
		{"api_listen=10.0.0.1:http", `/etc/fleet/fleet.conf line 1: api_listen: "http" is not a port`},
		{"etcd_listen_client_urls=http://8.8.8.8:2379", "/etc/fleet/fleet.conf line 1: etcd_listen_client_urls: 8.8.8.8 is neither a loopback nor a private address, and whoever reaches it could command the cluster"},
		{"etcd_listen_peer_urls=https://10.0.0.1:2380", "/etc/fleet/fleet.conf line 1: etcd_listen_peer_urls: https://10.0.0.1:2380: the embedded store does not speak TLS, use an external one"},
		{"etcd_initial_cluster=http://10.0.0.1:2380", `/etc/fleet/fleet.conf line 1: etcd_initial_cluster: "http://10.0.0.1:2380" is not of the form name=http://address:2380`},

		{"etcd_initial_cluster=m1=http://10.0.0.1:2380,m2=http://10.0.0.2:2380", "etcd_name fleet is not among the members of etcd_initial_cluster (/etc/fleet/fleet.conf line 1): m1, m2"},
		{"etcd_servers=http://10.0.0.1:2379\netcd_initial_cluster=m1=http://10.0.0.1:2380", "etcd_servers (/etc/fleet/fleet.conf line 1) and etcd_initial_cluster (/etc/fleet/fleet.conf line 2) can't both be set: with etcd_servers fleetd runs no store of its own"},
		{"etcd_cafile=/ca.pem", "etcd_cafile (/etc/fleet/fleet.conf line 1) is for an external store, and etcd_servers is not set"},
		{"etcd_servers=https://10.0.0.1:2379\netcd_keyfile=/key.pem", "etcd_keyfile (/etc/fleet/fleet.conf line 2) needs etcd_certfile too"},
		{"etcd_servers=https://10.0.0.1:2379\netcd_username=u", "etcd_username (/etc/fleet/fleet.conf line 2) needs etcd_password too"},

		{"agent_ttl=1s\n\nx=y", "/etc/fleet/fleet.conf line 3: unknown option x\n/etc/fleet/fleet.conf line 1: agent_ttl: 1s is not between 2s and 10m0s"},
	} {
		if _, _, err := load(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	if _, _, err := load("", "FLEET_AGENT_TTL=1s"); err == nil || err.Error() != "environment variable FLEET_AGENT_TTL: agent_ttl: 1s is not between 2s and 10m0s" {
		t.Errorf("environment: got %v", err)
	}
	if _, _, err := load(strings.Repeat("#", maxConfigSize+1)); err == nil || !strings.Contains(err.Error(), "no configuration is larger") {
		t.Errorf("a huge file: got %v", err)
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		text string
		got  func(Config) any
		want any
	}{
		{"agent_ttl=2500ms", func(c Config) any { return c.AgentTTL }, 3 * time.Second},
		{"agent_ttl=1.5s", func(c Config) any { return c.AgentTTL }, 2 * time.Second},
		{"restart_grace=0s", func(c Config) any { return c.RestartGrace }, time.Duration(0)},
		{"etcd_request_timeout=500ms", func(c Config) any { return c.EtcdRequestTimeout }, 500 * time.Millisecond},
		{"strategy=binpack", func(c Config) any { return c.Policy }, schedule.Policy{Strategy: schedule.BinPack, ForgetAfter: 24 * time.Hour}},
		{"forget_after=0", func(c Config) any { return c.Policy.ForgetAfter }, time.Duration(0)},
		{"forget_after=3600", func(c Config) any { return c.Policy.ForgetAfter }, time.Hour},
		{"forget_after=168h", func(c Config) any { return c.Policy.ForgetAfter }, 168 * time.Hour},
		{"reserved_memory=512M", func(c Config) any { return c.ReservedMemory }, int64(512 << 20)},
		{"reserved_memory=0", func(c Config) any { return c.ReservedMemory }, int64(0)},
		{"reserved_cpu=0.5", func(c Config) any { return c.ReservedCPU }, int64(500)},
		{"reserved_cpu=0", func(c Config) any { return c.ReservedCPU }, int64(0)},
		{"metadata=fleet=x,fleets.a=y", func(c Config) any { return c.Metadata }, map[string]string{"fleet": "x", "fleets.a": "y"}},
		{`metadata="a=b","c=d"`, func(c Config) any { return c.Metadata }, map[string]string{"a": "b", "c": "d"}},
		{`metadata=a="x,y" , b='p"q',c=`, func(c Config) any { return c.Metadata }, map[string]string{"a": "x,y", "b": `p"q`, "c": ""}},
		{`metadata=url=http://x/?a=b`, func(c Config) any { return c.Metadata }, map[string]string{"url": "http://x/?a=b"}},
		{`metadata=""`, func(c Config) any { return c.Metadata }, map[string]string{}},
		{"etcd_servers=[]", func(c Config) any { return c.Embedded() }, true},
		{"etcd_servers = http://10.0.0.1:2379 , http://[fd00::1]:2379", func(c Config) any { return c.EtcdServers }, []string{"http://10.0.0.1:2379", "http://[fd00::1]:2379"}},
		{"api_listen=127.0.0.1:49153,[fd00::1]:8080", func(c Config) any { return c.APIListen }, []string{"127.0.0.1:49153", "[fd00::1]:8080"}},
		{"docker_host=unix:///run/docker.sock", func(c Config) any { return c.DockerHost }, "unix:///run/docker.sock"},
		{"\ufeffdata_dir=/srv//fleet/\r\n", func(c Config) any { return c.DataDir }, "/srv/fleet"},
		{"etcd_name=m2\netcd_initial_cluster=m1=http://10.0.0.1:2380, m2=http://10.0.0.2:2380", func(c Config) any { return c.EtcdListenPeerURLs }, []string{"http://10.0.0.2:2380"}},
		{"etcd_name=m1\netcd_initial_cluster='m1=http://10.0.0.1:2380', m2=http://10.0.0.2:2380", func(c Config) any { return c.EtcdInitialCluster }, "m1=http://10.0.0.1:2380,m2=http://10.0.0.2:2380"},
	} {
		config, _, err := load(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if diff := cmp.Diff(c.want, c.got(config)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", c.text, diff)
		}
	}
}

func TestReloadNamesWhatNeedsARestart(t *testing.T) {
	before, _, err := load("agent_ttl=10s")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"verbosity=1\nmetadata=a=b\npublic_ip=10.0.0.1":    nil,
		"reserved_memory=512M\nreserved_cpu=0.5":           nil,
		"strategy=binpack\nforget_after=1h":                {"forget_after", "strategy"},
		"agent_ttl=20s\nrestart_grace=1s":                  {"agent_ttl", "restart_grace"},
		"data_dir=/srv/fleet\napi_listen=127.0.0.1:80":     {"api_listen", "data_dir"},
		"etcd_servers=http://10.0.0.1:2379":                {"etcd_servers"},
		"etcd_name=m1\netcd_key_prefix=/other/":            {"etcd_key_prefix", "etcd_name"},
		"etcd_listen_client_urls=http://10.0.0.1:2379":     {"etcd_listen_client_urls"},
		"etcd_initial_cluster=fleet=http://10.0.0.1:2380":  {"etcd_initial_cluster", "etcd_listen_peer_urls"},
		"etcd_listen_peer_urls=http://127.0.0.1:2380":      {"etcd_listen_peer_urls"},
		"disable_engine=true\ntoken_limit=7\ndocker_host=": {"disable_engine", "token_limit"},
	} {
		after, _, err := load(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if diff := cmp.Diff(want, before.NeedsRestart(after)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
}

// The example file shows every option with its default, and is itself a valid
// configuration, also with every comment sign before an option taken away.
func TestExampleFileShowsEveryOption(t *testing.T) {
	text, err := os.ReadFile("../../packaging/fleet.conf.example")
	if err != nil {
		t.Fatal(err)
	}
	config, warnings, err := load(string(text))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("got warnings %q and error %v", warnings, err)
	}
	if diff := cmp.Diff(defaultConfig(), config); diff != "" {
		t.Errorf("as it is, the file changes something (-want +got)\n%s", diff)
	}
	shown := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimPrefix(line, "#"), "="); ok && !strings.ContainsAny(name, " .") {
			shown[name] = strings.TrimSpace(value)
		}
	}
	for name, set := range new(Config).options() {
		value, ok := shown[name]
		if !ok {
			t.Errorf("%s is not shown", name)
		} else if value = unquote(value); value != "" && set(value) != nil {
			t.Errorf("%s: %v", name, set(value))
		}
		delete(shown, name)
	}
	if len(shown) > 0 {
		t.Errorf("shown, and no option: %v", shown)
	}
}

// Every option has one row in the documentation, and what the row says of a
// default is true.
func TestDocumentationHasEveryOption(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range optionNames() {
		row := regexp.MustCompile("(?m)^\\| `"+name+"` \\|(.*)$").FindAllStringSubmatch(string(text), -1)
		if len(row) != 1 {
			t.Errorf("%s has %d rows", name, len(row))
			continue
		}
		shown := regexp.MustCompile("^ `([^`]+)`").FindStringSubmatch(row[0][1])
		if shown == nil {
			continue
		}
		config, _, err := load(name + "=" + shown[1])
		if diff := cmp.Diff(defaultConfig(), config); err != nil || diff != "" {
			t.Errorf("%s: the default that is shown is another: %v (-want +got)\n%s", name, err, diff)
		}
	}
}

func FuzzINI(f *testing.F) {
	f.Add([]byte("a=b\n# c\n\n[d]\n e = \"f\" \r\n"))
	f.Add([]byte("\ufeff=x\n;y\na=b=c\nmetadata=\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines, _ := parseINI(text)
		last := 0
		for _, line := range lines {
			if line.number <= last || line.name == "" || strings.ContainsAny(line.name+line.value, "\n\r\x00") {
				t.Fatalf("got %+v after line %d", line, last)
			}
			last = line.number
			again, err := parseINILine(line.name + "=" + line.value)
			if err != nil || again.name != line.name || again.value != line.value {
				t.Fatalf("%+v reads back as %+v, %v", line, again, err)
			}
		}
	})
}

func FuzzLoadConfig(f *testing.F) {
	f.Add("metadata=a=\"b,c\",d='e'\netcd_servers=[\"http://10.0.0.1:2379\"]")
	f.Add("etcd_initial_cluster=fleet=http://10.0.0.1:2380\nagent_ttl=2562047h47m16.854775807s")
	f.Add("api_listen=[::1]:1\ndocker_host=tcp://127.0.0.1:2375")
	f.Fuzz(func(t *testing.T, text string) {
		config, _, err := load(text)
		if err != nil {
			return
		}
		if config.AgentTTL < 2*time.Second || config.AgentTTL > 10*time.Minute || config.AgentTTL%time.Second != 0 {
			t.Errorf("agent_ttl %s", config.AgentTTL)
		}
		if config.RestartGrace < 0 || config.RestartGrace > time.Hour || config.TokenLimit < 1 || config.Metadata == nil {
			t.Errorf("out of bounds: %+v", config)
		}
		if again, _, err := load(text); err != nil || cmp.Diff(config, again) != "" {
			t.Errorf("read again it differs: %v", err)
		}
	})
}
