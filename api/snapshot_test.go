package api_test

import (
	"bytes"
	"strings"
	"testing"

	"fleet/api"
	"fleet/schedule"
	"fleet/unit"
)

func TestSnapshot(t *testing.T) {
	w := newWorld(t, api.Config{Version: "2.1.0", Policy: schedule.Policy{Strategy: schedule.BinPack}})
	w.machine("m1", "10.0.0.1", map[string]string{"az": "a"})
	f := w.put("web.service", "[Service]\nExecStart=/bin/true\n", unit.Launched)
	w.run("web.service", "m1", f, unit.Launched, 7)

	status, header, answer := w.call("GET", "/fleet/v1/snapshot", "")
	if status != 200 || header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d %s", status, header.Get("Content-Type"))
	}
	d, err := schedule.ReadDump(strings.NewReader(answer))
	w.must(err)
	if d.Version != "2.1.0" || d.Policy.Strategy != schedule.BinPack || d.Taken.IsZero() || len(d.Update.Changes) != len(w.snapshot()) {
		t.Errorf("read back as %+v", d)
	}
	c := schedule.NewCluster()
	c.Apply(d.Update)
	if p := c.Placements("web.service"); len(p) != 1 || p[0].MachineID != "m1" || c.File("web.service").Text != f.Text {
		t.Errorf("web.service is at %+v", p)
	}

	client, err := api.NewClient(w.url, api.ClientConfig{})
	w.must(err)
	defer client.Close()
	var b bytes.Buffer
	w.must(client.Snapshot(t.Context(), &b))
	if again, err := schedule.ReadDump(&b); err != nil || again.Update.Revision != d.Update.Revision {
		t.Errorf("the client has %+v, %v", again, err)
	}
}

func TestPutRefusesWhatCantBePlaced(t *testing.T) {
	w := newWorld(t, api.Config{})
	put := func(status int, name, options, says string) {
		t.Helper()
		body := jsonOf(unit.Unit{DesiredState: unit.Launched, Text: "[Service]\nExecStart=/bin/true\n[X-Fleet]\n" + options + "\n"})
		got, _, answer := w.call("PUT", "/fleet/v1/units/"+name, body)
		if got != status || !strings.Contains(answer, says) {
			t.Errorf("%s with %s: got %d %s, want %d %s", name, options, got, answer, status, says)
		}
	}
	put(201, "a.service", "MachineOf=b.service", "")
	put(400, "b.service", "MachineOf=a.service", "b.service can't be placed: a.service and b.service each ask for the other's machine (MachineOf cycle)")
	put(201, "b.service", "", "")
	put(201, "r.service", "Replaces=s.service", "")
	put(400, "s.service", "Replaces=r.service", "s.service can't be placed: r.service and s.service replace each other (Replaces circle)")
	w.must(w.reg.Report(t.Context(), 0, []schedule.Change{{Machine: &schedule.Machine{ID: "m1", Memory: 4 << 30}}}))
	put(400, "big.service", "MemoryReservation=8G", "big.service can't be placed: it reserves 8G of memory, and no machine has more than 4G for units")
	put(201, "small.service", "MemoryReservation=4G", "")
}
