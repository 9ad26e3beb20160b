//go:build machine

package functional

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fleet/functional/sandbox"
)

// testContainer starts a container and asks another machine whether it answers.
func testContainer(t *testing.T, c *cluster) {
	c.file(t, "web@.service", example(t, "web@.service"))
	began := time.Now()
	c.fleetctl(t, "start", "/root/units/web@1.service")
	m := c.where(t, "web@1.service")
	eventually(t, soon, func() error {
		if out := c.sh(t, m, "docker ps --format '{{.Names}} {{.Image}}'"); out != "web-1 "+helloImage+"\n" {
			return fmt.Errorf("docker ps on %s: %q", m.Name, out)
		}
		return nil
	})
	c.answers(t, "1", m)
	t.Logf("from fleetctl start to an answer of the container: %s", since(began))
}

// answers waits until another machine gets the web server's answer from m.
func (c *cluster) answers(t *testing.T, instance string, m *sandbox.Machine) {
	t.Helper()
	from := c.others(m)[0]
	want := fmt.Sprintf("hello from instance %s on machine %s,", instance, m.Name)
	eventually(t, soon, func() error {
		got, err := from.Output(c.ctx, "curl", "--silent", "--show-error", "--max-time", "2", fmt.Sprintf("http://%s:8080/", m.IP))
		if err == nil && !strings.HasPrefix(got, want) {
			err = fmt.Errorf("%s answers %q", m.Name, got)
		}
		return err
	})
}

// testRemoval takes a container's unit down step by step.
func testRemoval(t *testing.T, c *cluster) {
	c.file(t, "web@.service", example(t, "web@.service"))
	const name = "web@1.service"
	c.fleetctl(t, "start", "/root/units/"+name)
	m := c.where(t, name)
	c.answers(t, "1", m)
	trace := func() string {
		return c.sh(t, m, `docker ps --all --quiet | wc -l
			systemctl show --value --property=ActiveState,LoadState "$1" | xargs
			find /run/fleet/units -type f -name "$1"`, name)
	}
	is := func(want string) {
		t.Helper()
		if got := trace(); got != want {
			t.Errorf("on %s:\n%swant\n%s", m.Name, got, want)
		}
	}
	placement := "place/" + m.ID + "/" + name
	is("1\nloaded active\n/run/fleet/units/" + name + "\n")
	c.fleetctl(t, "stop", name)
	is("0\nloaded inactive\n/run/fleet/units/" + name + "\n")
	if got := c.keys(t, placement); len(got) != 1 {
		t.Errorf("a stopped unit has placements %q", got)
	}
	c.fleetctl(t, "unload", name)
	is("0\nnot-found inactive\n")
	if got := c.keys(t, placement); len(got) != 0 {
		t.Errorf("an unloaded unit has placements %q", got)
	}
	if out := c.fleetctl(t, "list-unit-files", "--no-legend"); !strings.Contains(out, name) {
		t.Errorf("the cluster has forgotten an unloaded unit:\n%s", out)
	}
	c.fleetctl(t, "start", name)
	// A docker run that is stopped before its container runs may leave that
	// behind: the client goes, and Docker goes on creating it.
	c.answers(t, "1", c.where(t, name))
	c.fleetctl(t, "destroy", name)
	for _, m := range c.Machines() {
		if out := c.sh(t, m, `docker ps --all --quiet; find /run/fleet /run/systemd/system -name "$1" || true`, name); out != "" {
			t.Errorf("left on %s after destroy:\n%s", m.Name, out)
		}
	}
	if got := c.keys(t, "unit/"+name, "place/", "state/"); len(got) != 0 {
		t.Errorf("left in the store after destroy: %q", got)
	}
}

// testSpread has a template whose instances keep apart.
func testSpread(t *testing.T, c *cluster) {
	c.file(t, "web@.service", example(t, "web@.service"))
	c.fleetctl(t, "start", "/root/units/web@1.service", "/root/units/web@2.service", "/root/units/web@3.service")
	var on []string
	s := c.active(t, "web@1.service", "web@2.service", "web@3.service")
	for i := range 3 {
		on = append(on, s.places(fmt.Sprintf("web@%d.service", i+1))...)
	}
	slices.Sort(on)
	if !slices.Equal(on, []string{"m1", "m2", "m3"}) {
		t.Errorf("three instances run on %q", on)
	}
	c.refused(t, []string{"no machine fits: ", "conflict", "not launched after"},
		"start", "--timeout=2s", "/root/units/web@4.service")
}

// testSidekick has a unit beside another one, on whichever machine that is.
func testSidekick(t *testing.T, c *cluster) {
	const main, beside = "main.service", "beside.service"
	c.start(t, main, small)
	c.start(t, beside, small+"[X-Fleet]\nMachineOf=main.service\n")
	first := c.where(t, main)
	if m := c.where(t, beside); m.Name != first.Name {
		t.Fatalf("%s runs on %s, %s on %s", main, first.Name, beside, m.Name)
	}
	other := c.others(first)[0]
	c.write(t, c.via, "/root/units/"+main, small+"[X-Fleet]\nMachineID="+other.ID+"\n")
	c.fleetctl(t, "start", "--replace", "/root/units/"+main)
	eventually(t, soon, func() error {
		s := c.active(t, main, beside)
		if err := s.once(main, beside); err != nil {
			return err
		}
		if a, b := s.places(main)[0], s.places(beside)[0]; a != other.Name || b != other.Name {
			return fmt.Errorf("after the move to %s, %s runs on %s, %s on %s", other.Name, main, a, beside, b)
		}
		return nil
	})
}

// testTimer has a timer, which starts the service of its name.
func testTimer(t *testing.T, c *cluster) {
	const mark = "/run/tick-has-run"
	service := c.file(t, "tick.service", "[Service]\nType=oneshot\nExecStart=/bin/touch "+mark+"\n")
	c.fleetctl(t, "load", service)
	c.start(t, "tick.timer", "[Timer]\nOnActiveSec=1s\nAccuracySec=100ms\n[X-Fleet]\nMachineOf=tick.service\n")
	m := c.where(t, "tick.timer")
	eventually(t, soon, func() error {
		_, err := m.Output(c.ctx, "rm", mark)
		return err
	})
}

// testGlobal has a unit on every machine, also on one that joins later.
func testGlobal(t *testing.T, c *cluster) {
	const name = "everywhere.service"
	c.start(t, name, small+"[X-Fleet]\nGlobal=true\n")
	on := func(want ...string) seen {
		t.Helper()
		var s seen
		eventually(t, soon, func() error {
			if s = c.active(t, name); !slices.Equal(s.places(name), want) {
				return fmt.Errorf("%s runs on %q", name, s.places(name))
			}
			return nil
		})
		return s
	}
	before := on("m1", "m2", "m3")
	began := time.Now()
	if _, err := c.Add(c.ctx); err != nil {
		t.Fatal(err)
	}
	after := on("m1", "m2", "m3", "m4")
	t.Logf("a machine boots, joins and runs the global unit in %s", since(began))
	delete(after, "m4/"+name)
	unchanged(t, before, after)
	c.fleetctl(t, "stop", name)
	eventually(t, soon, func() error {
		if s := c.active(t, name); len(s) > 0 {
			return fmt.Errorf("still runs: %v", s)
		}
		return nil
	})
}

// testStartTime measures fleetctl start of a small unit, for the record.
func testStartTime(t *testing.T, c *cluster) {
	var took []time.Duration
	for i := range 10 {
		name := fmt.Sprintf("quick%d.service", i)
		path := c.file(t, name, small)
		began := time.Now()
		c.fleetctl(t, "start", path)
		took = append(took, since(began))
		c.where(t, name)
	}
	slices.Sort(took)
	t.Logf("fleetctl start of a small unit: median %s, least %s, most %s", took[len(took)/2], took[0], took[len(took)-1])
}

// testRunner runs the systemd runner's own tests in a machine, without fleet.
func testRunner(t *testing.T, c *cluster, bin string) {
	m := c.Machines()[len(c.Machines())-1]
	c.write(t, m, "/root/systemd.test", readFile(t, bin+"/systemd.test"))
	c.sh(t, m, "chmod +x /root/systemd.test; systemctl stop fleet.socket fleet.service")
	var out bytes.Buffer
	if err := m.Exec(c.ctx, nil, &out, &out, "/root/systemd.test", "-test.timeout=3m"); err != nil {
		t.Errorf("the runner's tests on %s: %v\n%s", m.Name, err, out.String())
	}
	c.sh(t, m, "systemctl start fleet.socket fleet.service")
}
