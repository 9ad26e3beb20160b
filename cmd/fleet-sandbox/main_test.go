//go:build machine

package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMetadata(t *testing.T) {
	of, err := metadataOf([]string{"region=eu,us", "disk=ssd"})
	if err != nil {
		t.Fatal(err)
	}
	got := []map[string]string{of(1), of(2), of(3)}
	want := []map[string]string{{"region": "eu", "disk": "ssd"}, {"region": "us", "disk": "ssd"}, {"region": "eu", "disk": "ssd"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ args, want string }{
		{"up --bin " + dir, "no fleetd in " + dir + ": build it, name its directory with --bin, or boot machines without fleet with --bare"},
		{"up --bare --metadata x", `metadata "x" is not KEY=VALUE[,VALUE...]`},
		{"status --dir " + dir, `no sandbox "fleet" is up in ` + dir},
		{"kill m1 --dir " + dir + " --name none", `no sandbox "none" is up in ` + dir},
	} {
		err := run(t.Context(), strings.Fields(c.args), nil, &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got error %v, want %s", c.args, err, c.want)
		}
	}
}

// TestStory takes one machine through the commands. It needs root.
func TestStory(t *testing.T) {
	at := []string{"--dir", t.TempDir(), "--name", "sbstory"}
	do := func(ctx context.Context, stdin string, args ...string) (string, error) {
		var out bytes.Buffer
		err := run(ctx, append(at, args...), strings.NewReader(stdin), &out, &out)
		return out.String(), err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := do(ctx, "", "down"); err != nil || out != "sandbox sbstory is gone\n" {
			t.Errorf("down: %v: %s", err, out)
		}
	})
	for _, step := range []struct{ args, want string }{
		{"up --bare --no-docker --machines 1", "\nm1       running  in "},
		{"exec m1 hostname", "m1\n"},
		{"kill m1", "m1 is off\n"},
		{"status", "\nm1       off    out "},
		{"start m1", "m1 is on\n"},
		{"freeze m1", "m1 is frozen\n"},
		{"status", "\nm1       frozen  in "},
		{"thaw m1", "m1 goes on\n"},
		{"add", "m2 is on, at "},
		{"reboot m2", "m2 has rebooted\n"},
	} {
		out, err := do(t.Context(), "", strings.Fields(step.args)...)
		if err != nil || !strings.Contains(out, step.want) {
			t.Fatalf("%s: error %v, output lacks %q:\n%s", step.args, err, step.want, out)
		}
	}
	out, err := do(t.Context(), "in", "exec", "m2", "sh", "-c", "cat; exit 9")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 9 || out != "in" {
		t.Errorf("exec: got error %v, output %q", err, out)
	}
}
