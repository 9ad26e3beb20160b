package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The ports of the store.
const (
	clientPort = 2379
	peerPort   = 2380
)

const fleetService = "fleet.service"

// fleetConf is machine i's /etc/fleet/fleet.conf: its own address and metadata,
// the store's members and what follows after it. members are the addresses of
// the machines that are members of the embedded store, in the machines' order,
// and none where the store is at the address store.
func fleetConf(i int, ip string, metadata map[string]string, members []string, store, extra string) string {
	var b strings.Builder
	set := func(key, value string) { fmt.Fprintf(&b, "%s=%s\n", key, value) }
	set("public_ip", ip)
	if len(metadata) > 0 {
		set("metadata", joinMetadata(metadata))
	}
	switch {
	case len(members) == 0:
		set("etcd_servers", clientURL(store))
	case i <= len(members):
		var peers []string
		for k, m := range members {
			peers = append(peers, fmt.Sprintf("%s=http://%s:%d", machineName(k+1), m, peerPort))
		}
		set("etcd_initial_cluster", strings.Join(peers, ","))
		set("etcd_name", machineName(i))
		set("etcd_listen_client_urls", clientURL(ip))
		set("etcd_listen_peer_urls", fmt.Sprintf("http://%s:%d", ip, peerPort))
	default:
		var urls []string
		for _, m := range members {
			urls = append(urls, clientURL(m))
		}
		set("etcd_servers", strings.Join(urls, ","))
	}
	b.WriteString(extra)
	return strings.TrimSuffix(b.String(), "\n") + "\n"
}

// memberCount is how many of the machines are members of the embedded store.
func memberCount(machines int) int {
	if machines < 3 {
		return 1
	}
	return 3
}

func machineName(i int) string { return fmt.Sprintf("m%d", i) }

func clientURL(ip string) string { return fmt.Sprintf("http://%s:%d", ip, clientPort) }

func joinMetadata(m map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, k+"="+m[k])
	}
	return strings.Join(pairs, ",")
}
