package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"fleet/unit"
)

// fileCache keeps the parsed unit files by their hash. Files never change
// under their hash, so an entry is never wrong; those that nothing has asked
// for since the last snapshot are dropped with the next.
type fileCache struct {
	mu    sync.Mutex
	files map[string]*unit.File
}

func newFileCache() *fileCache { return &fileCache{files: map[string]*unit.File{}} }

func (c *fileCache) get(hash string) *unit.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files[hash]
}

// add parses text and keeps it. A text that doesn't parse, or isn't what the
// hash says, gives nil: whoever wanted it says so in the unit's name.
func (c *fileCache) add(hash string, text []byte) *unit.File {
	if f := c.get(hash); f != nil {
		return f
	}
	f, err := unit.Parse(text)
	if err != nil || f.Hash != hash {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files[hash] = f
	return f
}

// keep drops every file but those named.
func (c *fileCache) keep(hashes map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := range c.files {
		if !hashes[h] {
			delete(c.files, h)
		}
	}
}

// ErrNoFile: the store has no unit file of that hash.
var ErrNoFile = errors.New("the store does not have that unit file")

// File returns the text of the unit file with that hash. It keeps nothing: who
// asks for single files asks once, and may never read a snapshot that tells
// which are still in use.
func (r *Registry) File(ctx context.Context, hash string) (string, error) {
	if f := r.files.get(hash); f != nil {
		return f.Text, nil
	}
	text, err := r.fileText(ctx, hash, 0)
	if err != nil {
		return "", err
	}
	if f, err := unit.Parse(text); err != nil || f.Hash != hash {
		return "", fmt.Errorf("unit file %.7s can't be read", hash)
	}
	return string(text), nil
}

// file returns the parsed file as of revision, nil where it does not parse.
func (r *Registry) file(ctx context.Context, hash string, revision int64) (*unit.File, error) {
	if f := r.files.get(hash); f != nil {
		return f, nil
	}
	text, err := r.fileText(ctx, hash, revision)
	if err != nil {
		return nil, err
	}
	return r.files.add(hash, text), nil
}

func (r *Registry) fileText(ctx context.Context, hash string, revision int64) ([]byte, error) {
	res, err := r.kv.Range(ctx, Range{Key: r.keys.file(hash), Revision: revision})
	if err != nil {
		return nil, fmt.Errorf("read unit file %.7s: %w", hash, err)
	}
	if len(res.Pairs) == 0 {
		return nil, fmt.Errorf("%w: %.7s", ErrNoFile, hash)
	}
	return res.Pairs[0].Value, nil
}

// CollectFiles deletes the unit files that no unit and no placement refers to
// and returns how many. It deletes under the term only, and each file only if
// no submission has touched it since it was seen to be unused.
func (r *Registry) CollectFiles(ctx context.Context, term int64) (int, error) {
	used := map[string]bool{}
	touched := map[string]int64{}
	snap, err := r.read(ctx, 0, func(p Pair) {
		if hash, ok := strings.CutPrefix(p.Key, r.keys.touch("")); ok {
			touched[hash] = p.ModRevision
		}
	})
	if err != nil {
		return 0, fmt.Errorf("collect unit files: %w", err)
	}
	for _, c := range snap.Changes {
		switch {
		case c.Unit != nil:
			used[c.Unit.Hash] = true
		case c.Placement != nil:
			used[c.Placement.Hash] = true
		}
	}
	n := 0
	for hash, rev := range touched {
		if used[hash] {
			continue
		}
		res, err := r.kv.Txn(ctx, Txn{
			If: []Cond{r.holdsTerm(term), {Key: r.keys.touch(hash), Rel: Equal, Value: rev}},
			Then: []Op{
				{Delete: r.keys.file(hash)},
				{Delete: r.keys.touch(hash)},
			},
		})
		if err != nil {
			return n, fmt.Errorf("collect unit file %.7s: %w", hash, err)
		}
		if res.Succeeded {
			n++
		}
	}
	return n, nil
}

func (r *Registry) holdsTerm(term int64) Cond {
	return Cond{Key: r.keys.leader(), Create: true, Rel: Equal, Value: term}
}
