package systemd

import (
	"context"
	"sync"
	"time"
)

// gather is how long a reload waits for others that need one too.
const gather = 50 * time.Millisecond

// reloader shares daemon-reloads: whoever asks while one is being waited for
// has that one, and whoever asks while one is under way has the next.
type reloader struct {
	life   context.Context
	reload func(ctx context.Context) error

	mu   sync.Mutex
	next *reloading      // not begun; nil when nobody has asked
	turn chan struct{}   // holds one; whoever has it reloads
	wg   *sync.WaitGroup // of reloads
}

type reloading struct {
	done chan struct{}
	err  error
}

func newReloader(life context.Context, wg *sync.WaitGroup, reload func(context.Context) error) *reloader {
	r := &reloader{life: life, reload: reload, turn: make(chan struct{}, 1), wg: wg}
	r.turn <- struct{}{}
	return r
}

// do returns once a reload has ended that began after do was called.
func (r *reloader) do(ctx context.Context) error {
	r.mu.Lock()
	mine := r.next
	if mine == nil {
		mine = &reloading{done: make(chan struct{})}
		r.next = mine
		r.wg.Go(func() { r.run(mine) })
	}
	r.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *reloader) run(mine *reloading) {
	defer close(mine.done)
	wait := time.NewTimer(gather)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.life.Done():
	}
	<-r.turn
	defer func() { r.turn <- struct{}{} }()
	r.mu.Lock()
	r.next = nil
	r.mu.Unlock()
	mine.err = r.reload(r.life)
}
