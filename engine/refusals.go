package engine

import (
	"context"
	"maps"
	"strings"
	"time"

	"fleet/schedule"
)

// retry has what a refused decision was about decided again: at once, for the
// model is usually a moment behind, and later each time that the same is
// refused again. Else one decision that can never be written, as where the
// store has a record in its way that can't be read, would keep the engine busy
// for ever.
func (e *Engine) retry(ctx context.Context, d schedule.Decision) {
	times, pause := e.refusals.add(d, time.Now())
	if pause == 0 {
		e.Log.Info("refused: the store has moved on", "changes", changes(d))
		e.model.Retry(d)
		return
	}
	e.Log.Warn("refused again", "changes", changes(d), "times", times, "next", pause)
	e.writes.Go(func() {
		if wait(ctx, pause) {
			e.post(ctx, func() {
				e.model.Retry(d)
				e.touched(time.Now())
			})
		}
	})
}

const (
	firstPause   = 20 * time.Millisecond
	longestPause = 10 * time.Second
	refusalAge   = 6 * longestPause // a refusal that is older has nothing to do with the next
)

// refusals are the decisions that were refused lately, by what they do.
type refusals map[string]refusal

type refusal struct {
	times int // in a row
	last  time.Time
}

// add notes a refusal and returns how many there were in a row, and how long to
// wait before deciding again.
func (r refusals) add(d schedule.Decision, now time.Time) (times int, pause time.Duration) {
	maps.DeleteFunc(r, func(_ string, x refusal) bool { return now.Sub(x.last) > refusalAge })
	times = r[about(d)].times + 1
	r[about(d)] = refusal{times, now}
	if times > 1 {
		pause = longestPause
		if n := times - 2; n < 9 {
			pause = min(firstPause<<n, longestPause)
		}
	}
	return times, pause
}

// settle forgets the refusals of what has been written since.
func (r refusals) settle(decisions, refused []schedule.Decision) {
	if len(r) == 0 {
		return
	}
	still := make(map[string]bool, len(refused))
	for _, d := range refused {
		still[about(d)] = true
	}
	for _, d := range decisions {
		if key := about(d); !still[key] {
			delete(r, key)
		}
	}
}

func about(d schedule.Decision) string { return strings.Join(changes(d), "; ") }
