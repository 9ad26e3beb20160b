package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"fleet/unit"
)

// options has, for each option, what checks a value and sets it in c.
func (c *Config) options() map[string]func(string) error {
	return map[string]func(string) error{
		"verbosity":      setOption(&c.Verbosity, parseInt(0, 10)),
		"public_ip":      setOption(&c.PublicIP, parseIP),
		"metadata":       setOption(&c.Metadata, parseMetadata),
		"agent_ttl":      setOption(&c.AgentTTL, parseSeconds(2*time.Second, 10*time.Minute)),
		"restart_grace":  setOption(&c.RestartGrace, parseSeconds(0, time.Hour)),
		"token_limit":    setOption(&c.TokenLimit, parseInt(1, 10000)),
		"disable_engine": setOption(&c.DisableEngine, parseBool),
		"api_listen":     setOption(&c.APIListen, parseList(parseListenAddress)),
		"data_dir":       setOption(&c.DataDir, parsePath),
		"docker_host":    setOption(&c.DockerHost, parseDockerHost),

		"strategy":        setOption(&c.Policy.Strategy, parseStrategy),
		"forget_after":    setOption(&c.Policy.ForgetAfter, parseForgetAfter),
		"reserved_memory": setOption(&c.ReservedMemory, orNothing(unit.ParseMemory)),
		"reserved_cpu":    setOption(&c.ReservedCPU, orNothing(unit.ParseCPU)),

		"etcd_servers":         setOption(&c.EtcdServers, parseList(parseServerURL)),
		"etcd_request_timeout": setOption(&c.EtcdRequestTimeout, parseTimeout(100*time.Millisecond, time.Minute)),
		"etcd_cafile":          setOption(&c.EtcdCAFile, parsePath),
		"etcd_certfile":        setOption(&c.EtcdCertFile, parsePath),
		"etcd_keyfile":         setOption(&c.EtcdKeyFile, parsePath),
		"etcd_username":        setOption(&c.EtcdUsername, parseText),
		"etcd_password":        setOption(&c.EtcdPassword, parseText),
		"etcd_key_prefix":      setOption(&c.EtcdKeyPrefix, parseKeyPrefix),

		"etcd_name":               setOption(&c.EtcdName, parseMemberName),
		"etcd_listen_client_urls": setOption(&c.EtcdListenClientURLs, parseList(parseListenURL)),
		"etcd_listen_peer_urls":   setOption(&c.EtcdListenPeerURLs, parseList(parseListenURL)),
		"etcd_initial_cluster":    setOption(&c.EtcdInitialCluster, parseInitialCluster),
	}
}

// obsoleteOptions are fleet 1.0's that say nothing any more, and why.
func obsoleteOptions() map[string]string {
	return map[string]string{
		"engine_reconcile_interval": "the engine acts when something changes",
		"disable_watches":           "fleet always watches the store",
		"enable_grpc":               "there is one way to the store",
		"verify_units":              "units are no longer signed",
		"authorized_keys_file":      "units are no longer signed",
	}
}

// optionNames are all that may stand in the file, in alphabetical order.
func optionNames() []string {
	names := slices.Collect(maps.Keys(new(Config).options()))
	names = slices.AppendSeq(names, maps.Keys(obsoleteOptions()))
	slices.Sort(names)
	return names
}

// setOption makes a setter of target from a parser.
func setOption[T any](target *T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		if err == nil {
			*target = v
		}
		return err
	}
}

// closest finds the one of names that was probably meant by name, or "".
func closest(name string, names []string) string {
	return unit.Closest(strings.ReplaceAll(name, "-", "_"), names)
}
