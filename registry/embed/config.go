package embed

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

const (
	quota            = 8 << 30
	retention        = "10m"
	progressInterval = 5 * time.Second // of watches that ask for it
	tick             = 100             // milliseconds, as the next
	election         = 1000
)

// etcdConfig translates the configuration; fresh says that there is no data,
// closing will tell that the server is being closed.
func (c Config) etcdConfig(fresh bool, closing <-chan struct{}) (*embed.Config, error) {
	if c.Name == "" {
		c.Name = "fleet"
	}
	conf := embed.NewConfig()
	conf.Name, conf.Dir = c.Name, c.DataDir
	conf.TickMs, conf.ElectionMs = tick, election
	conf.QuotaBackendBytes = quota
	conf.AutoCompactionMode, conf.AutoCompactionRetention = embed.CompactorModePeriodic, retention
	conf.WatchProgressNotifyInterval = progressInterval
	conf.EnableGRPCGateway = false
	conf.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(c.Logger, closing))
	conf.ClusterState = embed.ClusterStateFlagExisting
	if fresh && !c.Known && !c.Join {
		conf.ClusterState = embed.ClusterStateFlagNew
	}
	c.applyTLS(conf)
	if err := c.applyClients(conf); err != nil {
		return nil, err
	}
	if len(c.InitialCluster) == 0 {
		return conf, c.applyAlone(conf)
	}
	return conf, c.applyCluster(conf)
}

func (c Config) applyTLS(conf *embed.Config) {
	if c.TLS == (TLS{}) {
		return
	}
	conf.ClientTLSInfo.CertFile, conf.ClientTLSInfo.KeyFile = c.TLS.CertFile, c.TLS.KeyFile
	conf.ClientTLSInfo.TrustedCAFile = c.TLS.CAFile
	conf.ClientTLSInfo.ClientCertAuth = c.TLS.CAFile != ""
	conf.PeerTLSInfo = conf.ClientTLSInfo
}

func (c Config) applyClients(conf *embed.Config) (err error) {
	listen := c.ListenClient
	if len(listen) == 0 {
		listen = []string{"unix://" + filepath.Join(c.DataDir, "client.sock")}
	}
	if conf.ListenClientUrls, err = parseURLs(listen); err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	advertise := c.AdvertiseClient
	if len(advertise) == 0 {
		advertise = listen
	}
	if conf.AdvertiseClientUrls, err = parseURLs(advertise); err != nil {
		return fmt.Errorf("advertise to clients: %w", err)
	}
	return nil
}

// applyAlone makes a cluster of one. Its peer URL is a name only: nobody
// listens there, since whoever could talk to it as a peer would own the store.
func (c Config) applyAlone(conf *embed.Config) error {
	for _, u := range conf.ListenClientUrls {
		if !local(u) {
			return fmt.Errorf("listen for clients on %s: a store of one machine is for that machine alone; name the members of a larger one, or listen on loopback", u.Redacted())
		}
	}
	if len(c.ListenPeer) > 0 {
		return errors.New("listen for peers: a store of one machine has none; name the members of a larger one")
	}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	conf.ListenPeerUrls = nil
	conf.AdvertisePeerUrls = []url.URL{peer}
	conf.InitialCluster = c.Name + "=" + peer.String()
	// The cluster's ID comes from the token and the URLs, and must not be that
	// of another machine's store, nor of an earlier one of this machine.
	conf.InitialClusterToken = "fleet-" + rand.Text()
	return nil
}

func (c Config) applyCluster(conf *embed.Config) (err error) {
	own, ok := c.InitialCluster[c.Name]
	if !ok {
		return fmt.Errorf("this member, %q, is not among the initial cluster's: %s",
			c.Name, strings.Join(slices.Sorted(maps.Keys(c.InitialCluster)), ", "))
	}
	if conf.AdvertisePeerUrls, err = parseURLs([]string{own}); err != nil {
		return fmt.Errorf("peer URL of this member: %w", err)
	}
	listen := c.ListenPeer
	if len(listen) == 0 {
		listen = []string{own}
	}
	if conf.ListenPeerUrls, err = parseURLs(listen); err != nil {
		return fmt.Errorf("listen for peers: %w", err)
	}
	var members []string
	for _, name := range slices.Sorted(maps.Keys(c.InitialCluster)) {
		members = append(members, name+"="+c.InitialCluster[name])
	}
	conf.InitialCluster = strings.Join(members, ",")
	conf.InitialClusterToken = "fleet"
	if c.Token != "" {
		conf.InitialClusterToken = c.Token
	}
	return nil
}

func parseURLs(texts []string) ([]url.URL, error) {
	var urls []url.URL
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			u = new(url.URL)
		}
		switch u.Scheme {
		case "unix", "unixs":
		case "http", "https":
			if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" || port == "0" {
				return nil, fmt.Errorf("%q has no port", text)
			}
		default:
			return nil, fmt.Errorf("%q is not a URL of scheme http, https or unix", text)
		}
		urls = append(urls, *u)
	}
	return urls, nil
}

// local reports whether only this machine reaches a URL.
func local(u url.URL) bool {
	if u.Scheme == "unix" || u.Scheme == "unixs" || u.Hostname() == "localhost" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}

// endpoints returns where this machine reaches what listens on urls.
func endpoints(urls []url.URL) []string {
	var out []string
	for _, u := range urls {
		if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
			loopback := "127.0.0.1"
			if ip.To4() == nil {
				loopback = "::1"
			}
			u.Host = net.JoinHostPort(loopback, u.Port())
		}
		out = append(out, u.String())
	}
	return out
}
