package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"fleet/schedule"
	"fleet/unit"
)

// inFlight is how many transactions of one Apply are under way at once.
const inFlight = 4

// ErrTermOver: another engine leads, or none.
var ErrTermOver = errors.New("this engine's term is over")

// Apply writes decisions, each whole or not at all, and only under the term
// and if everything that it was made from still holds. It returns those that
// were refused, to be planned anew; one that no store could write, because it
// is too large for a transaction or makes no sense, is among them, with an error
// in the log. After an error nothing is known about the others: the caller gives
// up the term, so that a late write can only fail.
func (r *Registry) Apply(ctx context.Context, term int64, decisions []schedule.Decision) (refused []schedule.Decision, err error) {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		slots = make(chan struct{}, inFlight)
	)
	for _, batch := range batches(decisions) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			no, e := r.applyBatch(ctx, term, batch)
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, no...)
			if e != nil && err == nil {
				err = e
			}
		})
	}
	wg.Wait()
	return refused, err
}

// batches splits decisions into runs that each fit one transaction, as far as
// single decisions do.
func batches(decisions []schedule.Decision) [][]schedule.Decision {
	var out [][]schedule.Decision
	start, size := 0, 0
	for i, d := range decisions {
		n := conditions(d)
		if i > start && size+n > MaxOps-2 { // for the term and for machines forgotten
			out = append(out, decisions[start:i])
			start, size = i, 0
		}
		size += n
	}
	if start < len(decisions) {
		out = append(out, decisions[start:])
	}
	return out
}

// conditions is how many conditions a decision needs. Its operations are never
// more: each has one, and the two that forget a machine have its presence's too.
func conditions(d schedule.Decision) int {
	return len(d.Writes) + len(d.Others) + len(d.Units) + len(d.Gone)
}

// applyBatch writes the batch in one transaction. When one stale decision
// makes it fail, each is tried alone.
func (r *Registry) applyBatch(ctx context.Context, term int64, batch []schedule.Decision) ([]schedule.Decision, error) {
	ok, err := r.commit(ctx, term, batch)
	if err != nil || ok {
		return nil, err
	}
	if len(batch) == 1 {
		return batch, nil
	}
	var refused []schedule.Decision
	for i := range batch {
		ok, err := r.commit(ctx, term, batch[i:i+1])
		if err != nil {
			return refused, err
		}
		if !ok {
			refused = append(refused, batch[i])
		}
	}
	return refused, nil
}

func (r *Registry) commit(ctx context.Context, term int64, batch []schedule.Decision) (bool, error) {
	t, err := r.decisionTxn(term, batch)
	if err != nil {
		if len(batch) == 1 {
			r.log.Error("a decision that can't be written", "reason", batch[0].Reason, "err", err)
		}
		return false, nil
	}
	res, err := r.kv.Txn(ctx, t)
	if err != nil {
		return false, fmt.Errorf("write %d decisions: %w", len(batch), err)
	}
	if res.Succeeded {
		return true, nil
	}
	if leader := res.Pairs[0]; len(leader) == 0 || leader[0].CreateRevision != term {
		return false, ErrTermOver
	}
	return false, nil
}

// decisionTxn is the transaction that writes the batch under the term, or why
// there can't be one.
func (r *Registry) decisionTxn(term int64, batch []schedule.Decision) (Txn, error) {
	t := Txn{
		If:   []Cond{r.holdsTerm(term)},
		Else: []Op{{Get: r.keys.leader()}},
	}
	if since, ok := plannedFrom(batch); ok {
		t.If = append(t.If, Cond{Key: r.keys.forgot(), Rel: Less, Value: since + 1})
	}
	for _, d := range batch {
		if err := r.addDecision(&t, d); err != nil {
			return t, err
		}
	}
	return t, checkTxn(t)
}

// plannedFrom returns the earliest revision that a new placement of the batch
// was planned from, if it has any: a machine that was forgotten since may be the
// one that the unit is to run on, and nobody would ever miss it there.
func plannedFrom(batch []schedule.Decision) (revision int64, ok bool) {
	for _, d := range batch {
		for _, w := range d.Writes {
			if w.Revision == 0 && !w.Delete && (!ok || w.Placement.Generation < revision) {
				revision, ok = w.Placement.Generation, true
			}
		}
	}
	return revision, ok
}

func (r *Registry) addDecision(t *Txn, d schedule.Decision) error {
	for _, u := range d.Units {
		t.If = append(t.If, Cond{Key: r.keys.unit(u.Name), Rel: Equal, Value: u.Revision})
	}
	for _, id := range d.Gone {
		t.If = append(t.If, Cond{Key: r.keys.alive(id), Create: true, Rel: Equal, Value: 0})
	}
	add := func(key string, revision int64, deleted bool, record any) {
		t.If = append(t.If, Cond{Key: key, Rel: Equal, Value: revision})
		if deleted {
			t.Then = append(t.Then, Op{Delete: key})
		} else {
			t.Then = append(t.Then, Op{Put: key, Value: encode(record)})
		}
	}
	for _, w := range d.Writes {
		add(r.keys.place(w.Placement.MachineID, w.Placement.Unit), w.Revision, w.Delete, w.Placement)
	}
	for _, c := range d.Others {
		key, record, err := r.keys.decided(c)
		if err != nil {
			return err
		}
		if err := refersToTemplate(c, d.Units); err != nil {
			return err
		}
		add(key, c.Revision, c.Deleted, record)
		if c.Machine != nil && c.Deleted {
			places := r.keys.placesOf(c.Machine.ID)
			t.Then = append(t.Then, Op{Delete: places, End: end(places)})
		}
	}
	return nil
}

// refersToTemplate makes sure that a unit which is kept for its template is
// written only while the template is as it was planned from: it refers to the
// template's file, which might be collected otherwise before it is written.
func refersToTemplate(c schedule.Change, units []schedule.UnitAt) error {
	if c.Unit == nil || c.Deleted || !c.Unit.Managed {
		return nil
	}
	name, err := unit.ParseName(c.Unit.Name)
	if err != nil {
		return err
	}
	for _, u := range units {
		if u.Name == name.Template() && u.Revision != 0 {
			return nil
		}
	}
	return fmt.Errorf("%s is to be written for its template, and whatever becomes of that", c.Unit.Name)
}
