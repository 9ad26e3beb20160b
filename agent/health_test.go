package agent

import (
	"fmt"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	const m = time.Minute
	type event struct {
		at      time.Duration
		failed  string
		started string
		want    string
		until   time.Duration // since the beginning; 0: never
	}
	const abc = "3 units failed to start here within 5 minutes: a.service, b.service, c.service"
	for _, c := range []struct {
		name   string
		events []event
	}{
		{"three units", []event{
			{at: 0, failed: "c.service"}, {at: m, failed: "a.service"}, {at: 2 * m, failed: "b.service", want: abc, until: 5 * m},
			{at: 5*m - 1, want: abc, until: 5 * m}, {at: 5 * m},
		}},
		{"one unit again and again", []event{
			{at: 0, failed: "a.service"}, {at: 1, failed: "a.service"}, {at: 2, failed: "a.service"}, {at: 3, failed: "b.service"},
		}},
		{"one that fails again counts from then", []event{
			{at: 0, failed: "a.service"}, {at: m, failed: "b.service"}, {at: 2 * m, failed: "a.service"},
			{at: 3 * m, failed: "c.service", want: abc, until: 6 * m},
		}},
		{"one starts", []event{
			{at: 0, failed: "a.service"}, {at: 0, failed: "b.service"}, {at: 0, failed: "c.service", want: abc, until: 5 * m},
			{at: m, started: "b.service"},
			{at: m, started: "never.failed"},
			{at: 2 * m, failed: "b.service", want: abc, until: 5 * m},
		}},
		{"over more than five minutes", []event{
			{at: 0, failed: "a.service"}, {at: 3 * m, failed: "b.service"}, {at: 5 * m, failed: "c.service"},
			{at: 7 * m, failed: "d.service", want: "3 units failed to start here within 5 minutes: b.service, c.service, d.service", until: 8 * m},
		}},
	} {
		h, began := health{}, time.Unix(1e9, 0)
		for i, e := range c.events {
			now := began.Add(e.at)
			if e.failed != "" {
				h.failed(e.failed, now)
			}
			if e.started != "" {
				h.started(e.started)
			}
			got, until := h.problem(now)
			if got != e.want {
				t.Errorf("%s: %d: %q, want %q", c.name, i, got, e.want)
			}
			if e.want != "" && !until.Equal(began.Add(e.until)) || e.want == "" && !until.IsZero() {
				t.Errorf("%s: %d: until %v", c.name, i, until.Sub(began))
			}
		}
	}
	h := health{}
	for i := range 12 {
		h.failed(fmt.Sprintf("u%02d", i), time.Unix(1e9, 0))
	}
	const many = "12 units failed to start here within 5 minutes: u00, u01, u02, u03, u04, u05, u06, u07, u08, u09 and 2 more"
	if got, _ := h.problem(time.Unix(1e9, 0)); got != many {
		t.Errorf("%q, want %q", got, many)
	}
}
