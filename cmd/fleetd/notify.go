package main

import (
	"context"
	"log/slog"
	"time"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"net/http"

	"fleet/agent"
)

// notify tells systemd, where it started us, how far we are (sd_notify(3)).
func notify(log *slog.Logger, state string) {
	if _, err := sddaemon.SdNotify(false, state); err != nil {
		log.Warn("systemd not notified", "state", state, "err", err)
	}
}

// readyWithin bounds how long fleetd counts as starting.
const readyWithin = 3 * time.Second

// ready tells systemd that fleetd has started: once the machine is part of the
// cluster, so that a command given next finds it so, but soon in any case,
// since a store may need other machines, and units are ordered after fleetd.
func (d *daemon) ready(ctx context.Context) {
	deadline := time.After(readyWithin)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for d.agent.Problem() != "" {
		select {
		case <-ctx.Done():
			return
		case <-deadline:
			d.log.Info("waiting to be part of the cluster", "why", d.agent.Problem())
			notify(d.log, sddaemon.SdNotifyReady)
			return
		case <-tick.C:
		}
	}
	notify(d.log, sddaemon.SdNotifyReady)
}

// watchdog tells systemd that fleetd works, as long as the agent's loop does.
func (d *daemon) watchdog(ctx context.Context) {
	period, err := sddaemon.SdWatchdogEnabled(false)
	if err != nil || period == 0 {
		return
	}
	for {
		try, cancel := context.WithTimeout(ctx, period/3)
		if d.agent.Responsive(try) {
			notify(d.log, sddaemon.SdNotifyWatchdog)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-time.After(period / 3):
		}
	}
}

// metrics serves this fleetd's metrics in Prometheus' text format.
func metrics(a *agent.Agent) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fleet_machine_in_cluster",
			Help: "1 while this machine takes part in the cluster, 0 while it is frozen, refused or out of reach of the store.",
		}, func() float64 {
			if a.Problem() != "" {
				return 0
			}
			return 1
		}),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}
