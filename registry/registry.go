package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"fleet/schedule"
)

// Format is the version of what is kept below the prefix. A fleetd reads its
// own and the one before.
const Format = 1

// Registry is the typed layer over a KV. It is safe for concurrent use.
type Registry struct {
	kv    KV
	keys  layout
	files *fileCache
	marks *marks
	log   *slog.Logger
}

// New returns the registry that keeps everything below prefix in kv.
func New(kv KV, prefix string, log *slog.Logger) *Registry {
	return &Registry{kv: kv, keys: newLayout(prefix), files: newFileCache(), marks: newMarks(), log: log}
}

// identity is the record at cluster.
type identity struct {
	ID     string `json:"id"`
	Format int    `json:"format"`
}

// ErrFormat: a newer fleet keeps its data in this store.
var ErrFormat = errors.New("the store holds a newer fleet's data")

// Identity returns the cluster's random ID and the store's present revision,
// both from one linearizable read. Where the store holds no cluster, one is
// created, but only if known, the ID that the caller has seen before, is
// empty; else the error wraps schedule.ErrForgotten.
func (r *Registry) Identity(ctx context.Context, known string) (id string, revision int64, err error) {
	for {
		res, err := r.kv.Range(ctx, Range{Key: r.keys.cluster()})
		if err != nil {
			return "", 0, fmt.Errorf("read the cluster's identity: %w", err)
		}
		if len(res.Pairs) == 1 {
			var c identity
			if err := json.Unmarshal(res.Pairs[0].Value, &c); err != nil {
				return "", 0, fmt.Errorf("read the cluster's identity: %w", err)
			}
			if c.Format > Format {
				return "", 0, fmt.Errorf("%w: format %d, this fleetd knows up to %d", ErrFormat, c.Format, Format)
			}
			return c.ID, res.Revision, nil
		}
		if known != "" {
			return "", res.Revision, fmt.Errorf("%w (cluster %s)", schedule.ErrForgotten, known)
		}
		key := r.keys.cluster()
		_, err = r.kv.Txn(ctx, Txn{
			If:   []Cond{{Key: key, Create: true, Rel: Equal, Value: 0}},
			Then: []Op{{Put: key, Value: encode(identity{ID: randomID(), Format: Format})}},
		})
		if err != nil && !errors.Is(err, ErrUnknownOutcome) {
			return "", 0, fmt.Errorf("create the cluster: %w", err)
		}
		// Whoever won, and whether or not the answer came, the next read tells.
	}
}

// Ping returns when the store has given a linearizable answer.
func (r *Registry) Ping(ctx context.Context) error {
	_, err := r.kv.Range(ctx, Range{Key: r.keys.cluster(), KeysOnly: true})
	return err
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return hex.EncodeToString(b[:])
}
