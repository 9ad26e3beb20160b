package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"fleet/schedule"
)

// maxMetadata is the most metadata pairs that one machine may have: they are
// part of its record, which every engine holds.
const maxMetadata = 128

// The parsers below each take one value without blanks or quotes around it and
// say what is wrong with it, without naming the option.

func parseInt(lowest, highest int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < lowest || n > highest {
			return 0, fmt.Errorf("%q is not a whole number from %d to %d", s, lowest, highest)
		}
		return n, nil
	}
}

func parseBool(s string) (bool, error) {
	v, err := strconv.ParseBool(strings.ToLower(s))
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return v, nil
}

// parseSeconds reads a duration and rounds it up to whole seconds, which is
// how the store counts.
func parseSeconds(lowest, highest time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err != nil {
			return 0, err
		}
		if d > 0 && d < highest {
			d = (d + time.Second - 1).Truncate(time.Second)
		}
		return within(s, d, lowest, highest)
	}
}

// parseTimeout reads seconds as fleet 1.0 wrote them ("1.0"), or a duration.
func parseTimeout(lowest, highest time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			s += "s"
		}
		d, err := parseDuration(s)
		if err != nil {
			return 0, err
		}
		return within(s, d, lowest, highest)
	}
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil {
		return d, nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit, did you mean %q?", s, s+"s")
	}
	return 0, fmt.Errorf("%q is not a duration like 10s, 1m30s or 500ms", s)
}

func within(s string, d, lowest, highest time.Duration) (time.Duration, error) {
	if d < lowest || d > highest {
		return 0, fmt.Errorf("%s is not between %s and %s", s, lowest, highest)
	}
	return d, nil
}

// parseForgetAfter reads a duration, or seconds, after which a machine is
// forgotten; 0 is never. Less than the least would forget those that only boot.
func parseForgetAfter(s string) (time.Duration, error) {
	const least, most = 10 * time.Second, 365 * 24 * time.Hour
	d, err := parseTimeout(0, most)(s)
	if err == nil && d > 0 && d < least {
		return 0, fmt.Errorf("%s is less than %s: a machine that only boots would be forgotten (0 is never)", s, least)
	}
	return d, err
}

func parseStrategy(s string) (schedule.Strategy, error) {
	switch strategy := schedule.Strategy(s); strategy {
	case schedule.SpreadOut, schedule.BinPack:
		return strategy, nil
	}
	return "", fmt.Errorf("%q is neither %s nor %s", s, schedule.SpreadOut, schedule.BinPack)
}

// orNothing makes a parser of an amount accept 0.
func orNothing(parse func(string) (int64, error)) func(string) (int64, error) {
	return func(s string) (int64, error) {
		if s == "0" {
			return 0, nil
		}
		return parse(s)
	}
}

func parseText(s string) (string, error) {
	const longest = 1024
	if len(s) > longest {
		return "", fmt.Errorf("is longer than %d bytes", longest)
	}
	return s, nil
}

func parsePath(s string) (string, error) {
	if !path.IsAbs(s) || path.Clean(s) == "/" {
		return "", fmt.Errorf("%q is not an absolute path", s)
	}
	return path.Clean(s), nil
}

func parseIP(s string) (string, error) {
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
		return "", fmt.Errorf("%q is not the IP address of a machine", s)
	}
	return ip.String(), nil
}

// parseKeyPrefix puts the slashes where they belong. The store's root is
// refused: fleet would take everything in it for its own.
func parseKeyPrefix(s string) (string, error) {
	inner := strings.Trim(s, "/")
	if inner == "" || strings.Contains(inner, "//") {
		return "", fmt.Errorf("%q is not a key prefix like /fleet/", s)
	}
	return parseText("/" + inner + "/")
}

// parseMetadata reads k=v,k=v. A pair, or its value, may be quoted, so that a
// comma can be part of it.
func parseMetadata(s string) (map[string]string, error) {
	pairs, err := splitUnquoted(s)
	if err != nil {
		return nil, err
	}
	if len(pairs) > maxMetadata {
		return nil, fmt.Errorf("has %d pairs, more than %d", len(pairs), maxMetadata)
	}
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		key, value, found := strings.Cut(unquote(pair), "=")
		key, value = unquote(strings.TrimSpace(key)), unquote(strings.TrimSpace(value))
		if !found || key == "" {
			return nil, fmt.Errorf("%q is not of the form key=value", pair)
		}
		if strings.HasPrefix(key, schedule.FoundPrefix) {
			return nil, fmt.Errorf("%s can't be set: what begins with %s is what fleetd finds by itself", key, schedule.FoundPrefix)
		}
		if earlier, ok := m[key]; ok && earlier != value {
			return nil, fmt.Errorf("%s is both %q and %q", key, earlier, value)
		}
		m[key] = value
	}
	return m, nil
}

// parseList reads a,b or, with brackets around it and each entry in quotes or
// not, fleet 1.0's ["a","b"].
func parseList(parse func(string) (string, error)) func(string) ([]string, error) {
	return func(s string) ([]string, error) {
		if inner, ok := strings.CutPrefix(s, "["); ok {
			if s, ok = strings.CutSuffix(inner, "]"); !ok {
				return nil, errors.New("the list has no closing ]")
			}
		}
		entries, err := splitUnquoted(s)
		if err != nil {
			return nil, err
		}
		list := make([]string, 0, len(entries))
		for _, entry := range entries {
			v, err := parse(unquote(entry))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
}

// splitUnquoted splits s at the commas that are in no quotes. The parts keep
// their quotes, and have no blanks around them.
func splitUnquoted(s string) ([]string, error) {
	var parts []string
	var quote rune
	start := 0
	for i, r := range s {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == ',':
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	parts = append(parts, strings.TrimSpace(s[start:]))
	for _, part := range parts {
		if part == "" {
			return nil, errors.New("an entry of the list is empty")
		}
	}
	return parts, nil
}

// unquote takes one pair of quotes off s if it is around the whole of it.
func unquote(s string) string {
	if len(s) < 2 || (s[0] != '"' && s[0] != '\'') || s[len(s)-1] != s[0] {
		return s
	}
	inner := s[1 : len(s)-1]
	if strings.IndexByte(inner, s[0]) >= 0 {
		return s
	}
	return inner
}

// parseListenAddress reads host:port of a socket that anyone who reaches it
// may command fleet through: it must not face the world.
func parseListenAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not of the form address:port", s)
	}
	if err := checkPort(port); err != nil {
		return "", err
	}
	if err := checkSheltered(host); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}

// checkSheltered refuses an address that is neither loopback nor private.
func checkSheltered(host string) error {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("%q is not an IP address to listen on", host)
	}
	if !ip.IsLoopback() && !ip.IsPrivate() {
		return fmt.Errorf("%s is neither a loopback nor a private address, and whoever reaches it could command the cluster", host)
	}
	return nil
}

func checkPort(port string) error {
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

// parseServerURL reads the URL of a member of an external store.
func parseServerURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		if _, _, err := net.SplitHostPort(s); err == nil {
			return "", fmt.Errorf("%q is not a URL, did you mean http://%s?", s, s)
		}
		return "", fmt.Errorf("%q is not a URL like http://10.0.0.1:2379", s)
	}
	if u.Hostname() == "" || u.Port() == "" {
		return "", fmt.Errorf("%s names no host and port, as http://10.0.0.1:2379 does", s)
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s has more than a scheme, a host and a port", u.Redacted())
	}
	if err := checkPort(u.Port()); err != nil {
		return "", err
	}
	return u.Scheme + "://" + u.Host, nil
}

// parseListenURL reads the URL that a member of the embedded store listens on.
func parseListenURL(s string) (string, error) {
	listen, err := parseServerURL(s)
	if err != nil {
		return "", err
	}
	rest, plain := strings.CutPrefix(listen, "http://")
	if !plain {
		return "", fmt.Errorf("%s: the embedded store does not speak TLS, use an external one", s)
	}
	if _, err := parseListenAddress(rest); err != nil {
		return "", err
	}
	return listen, nil
}

// parseInitialCluster reads m1=url,m2=url and returns it without blanks and
// quotes.
func parseInitialCluster(s string) (string, error) {
	entries, err := splitUnquoted(s)
	if err != nil {
		return "", err
	}
	for i, entry := range entries {
		name, peer, found := strings.Cut(unquote(entry), "=")
		if !found {
			return "", fmt.Errorf("%q is not of the form name=http://address:2380", entry)
		}
		if name, err = parseMemberName(strings.TrimSpace(name)); err != nil {
			return "", err
		}
		if peer, err = parseListenURL(strings.TrimSpace(peer)); err != nil {
			return "", err
		}
		entries[i] = name + "=" + peer
	}
	return strings.Join(entries, ","), nil
}

func parseMemberName(s string) (string, error) {
	if s == "" || strings.ContainsAny(s, "=, \"'") {
		return "", fmt.Errorf("%q is not a member's name", s)
	}
	return parseText(s)
}

// parseDockerHost reads where this machine's Docker answers. Another machine's
// would run containers that this machine's systemd knows nothing of.
func parseDockerHost(s string) (string, error) {
	if socket, ok := strings.CutPrefix(s, "unix://"); ok {
		socket, err := parsePath(socket)
		return "unix://" + socket, err
	}
	if address, ok := strings.CutPrefix(s, "tcp://"); ok {
		host, port, err := net.SplitHostPort(address)
		if ip, ipErr := netip.ParseAddr(host); err == nil && ipErr == nil && ip.IsLoopback() && checkPort(port) == nil {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is not this machine's Docker, like unix:///var/run/docker.sock or tcp://127.0.0.1:2375", s)
}
