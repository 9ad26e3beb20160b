package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// configSetting is one option as somebody wrote it.
type configSetting struct {
	value string
	where string // for people: file and line, or environment variable
}

// configLoader gathers the settings, then applies them to config. It goes on after
// an error, so that all that is wrong is told at once.
type configLoader struct {
	config   *Config
	settings map[string]configSetting // by option name
	warnings []string
	errs     []error
}

func (l *configLoader) warnf(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

func (l *configLoader) errorf(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf(format, args...))
}

// addFile takes the settings of the file's text. As in fleet 1.0 the last of
// several lines for one option counts.
func (l *configLoader) addFile(path string, text []byte) {
	lines, errs := parseINI(text)
	for _, err := range errs {
		l.errorf("%s %w", path, err)
	}
	names := optionNames()
	for _, line := range lines {
		where := fmt.Sprintf("%s line %d", path, line.number)
		if !slices.Contains(names, line.name) {
			hint := ""
			if near := closest(line.name, names); near != "" {
				hint = ", did you mean " + near + "?"
			}
			l.errorf("%s: unknown option %s%s", where, line.name, hint)
			continue
		}
		if earlier, ok := l.settings[line.name]; ok {
			l.warnf("%s: %s replaces the one of %s", where, line.name, earlier.where)
		}
		l.settings[line.name] = configSetting{value: line.value, where: where}
	}
}

// addEnvironment takes the settings in env. An empty variable is as good as
// none. An unknown one is only warned of: the file is fleetd's own, whereas
// the environment is shared with others who may use the same prefix.
func (l *configLoader) addEnvironment(env []string) {
	const prefix = "FLEET_"
	names := optionNames()
	for _, entry := range env {
		variable, value, _ := strings.Cut(entry, "=")
		upper, ours := strings.CutPrefix(variable, prefix)
		if !ours || value == "" {
			continue
		}
		name := strings.ToLower(upper)
		if !slices.Contains(names, name) || variable != prefix+strings.ToUpper(name) {
			hint := ""
			if near := closest(name, names); near != "" {
				hint = ", did you mean " + prefix + strings.ToUpper(near) + "?"
			}
			l.warnf("environment variable %s is no option of fleetd%s", variable, hint)
			continue
		}
		l.settings[name] = configSetting{value: value, where: "environment variable " + variable}
	}
}

// apply checks the settings one by one and sets them. An empty value is the
// default.
func (l *configLoader) apply() {
	options, obsolete := l.config.options(), obsoleteOptions()
	for _, name := range slices.Sorted(maps.Keys(l.settings)) {
		s := l.settings[name]
		if why, ok := obsolete[name]; ok {
			l.warnf("%s: %s is obsolete and ignored: %s", s.where, name, why)
			continue
		}
		value := unquote(strings.TrimSpace(s.value))
		if value == "" || value == "[]" {
			delete(l.settings, name)
			continue
		}
		if err := options[name](value); err != nil {
			l.errorf("%s: %s: %w%s", s.where, name, err, commentHint(value))
		}
	}
}

// commentHint explains the usual reason why a value is wrong at its end.
func commentHint(value string) string {
	if strings.Contains(value, " #") || strings.Contains(value, " ;") {
		return " (a comment needs a line of its own)"
	}
	return ""
}

// checkTogether checks what no option can know alone, and fills in the
// defaults that depend on others.
func (l *configLoader) checkTogether() {
	embedded := []string{"etcd_initial_cluster", "etcd_listen_client_urls", "etcd_listen_peer_urls", "etcd_name"}
	external := []string{"etcd_cafile", "etcd_certfile", "etcd_keyfile", "etcd_password", "etcd_username"}
	if l.config.Embedded() {
		for _, name := range external {
			if l.isSet(name) {
				l.errorf("%s is for an external store, and etcd_servers is not set", l.cite(name))
			}
		}
		l.checkInitialCluster()
		return
	}
	for _, name := range embedded {
		if l.isSet(name) {
			l.errorf("%s and %s can't both be set: with etcd_servers fleetd runs no store of its own", l.cite("etcd_servers"), l.cite(name))
		}
	}
	l.checkPair("etcd_certfile", "etcd_keyfile")
	l.checkPair("etcd_username", "etcd_password")
	l.warnPlainServers()
}

// checkPair refuses one of two options without the other.
func (l *configLoader) checkPair(a, b string) {
	if l.isSet(b) {
		a, b = b, a
	}
	if l.isSet(a) && !l.isSet(b) {
		l.errorf("%s needs %s too", l.cite(a), b)
	}
}

// warnPlainServers tells those who have certificates which servers don't see
// them.
func (l *configLoader) warnPlainServers() {
	if !l.isSet("etcd_cafile") && !l.isSet("etcd_certfile") {
		return
	}
	for _, server := range l.config.EtcdServers {
		if strings.HasPrefix(server, "http:") {
			l.warnf("%s: %s is reached without TLS in spite of the certificates that are configured", l.cite("etcd_servers"), server)
		}
	}
}

// checkInitialCluster finds this member among those of the store. It listens
// where the others will look for it, unless told otherwise.
func (l *configLoader) checkInitialCluster() {
	c := l.config
	if c.EtcdInitialCluster == "" {
		return
	}
	var names, own []string
	for member := range strings.SplitSeq(c.EtcdInitialCluster, ",") {
		name, url, _ := strings.Cut(member, "=")
		names = append(names, name)
		if name == c.EtcdName {
			own = append(own, url)
		}
	}
	if len(own) == 0 {
		l.errorf("etcd_name %s is not among the members of %s: %s", c.EtcdName, l.cite("etcd_initial_cluster"), strings.Join(names, ", "))
		return
	}
	if !l.isSet("etcd_listen_peer_urls") {
		c.EtcdListenPeerURLs = own
	}
}

func (l *configLoader) isSet(name string) bool {
	_, ok := l.settings[name]
	return ok
}

// cite names an option that is set, and where.
func (l *configLoader) cite(name string) string {
	return fmt.Sprintf("%s (%s)", name, l.settings[name].where)
}
