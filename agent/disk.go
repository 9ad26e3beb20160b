package agent

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// Record is what a machine remembers on disk of one unit: the placement that
// it acted on last, and the start that it made for it.
type Record struct {
	Unit       string           `json:"unit"`
	Hash       string           `json:"hash,omitempty"`
	Target     unit.TargetState `json:"target,omitempty"`
	Order      schedule.Order   `json:"order,omitempty"`
	Generation int64            `json:"generation"`
	Started    *Started         `json:"started,omitempty"`
	// Attempts are those of the placement: failed starts are counted also while
	// the store can't be reached.
	Attempts int `json:"attempts,omitempty"`
	// Failed is when the unit failed to start at Generation, where there are
	// Attempts; of the last ten minutes before the latest.
	Failed []time.Time `json:"failed,omitempty"`
	// Released is the generation whose order to release was carried out.
	Released int64 `json:"released,omitempty"`
}

// past reports whether all that is left of the unit is the memory of its
// release: an older copy of the store may still have it placed here.
func (r Record) past() bool { return r.Generation == 0 && r.Released != 0 }

// orphaned is what is left of a record whose placement went when the machine
// was forgotten: how the unit was started, by which it is adopted if it is
// placed here anew.
func (r Record) orphaned() Record { return Record{Unit: r.Unit, Started: r.Started} }

// Started is a start that was begun and, when Done, seen to its end.
type Started struct {
	Hash       string `json:"hash"` // of the file it was started from
	BootID     string `json:"bootID"`
	Generation int64  `json:"generation"`
	Done       bool   `json:"done"`
	Failure    string `json:"failure,omitempty"` // why the start failed, if it did
	// Steady says, where failed starts are counted, that the unit has done well
	// since. A unit that is found failed without it failed to start, as far as
	// anyone knows.
	Steady bool `json:"steady,omitempty"`
}

// membership is what a machine remembers on disk of the cluster.
type membership struct {
	ClusterID string `json:"clusterID,omitempty"`
	Revision  int64  `json:"revision,omitempty"` // the highest seen
	Lease     int64  `json:"lease,omitempty"`
	Grace     int64  `json:"grace,omitempty"` // the longer lease of an orderly stop
	// Nonces are those that this machine's presence may have in the store.
	Nonces []string `json:"nonces,omitempty"`
}

// disk keeps records below one directory, a file each, every write atomic and
// durable. Different units may be written at once.
type disk struct{ dir string }

const membershipFile = "membership.json"

func openDisk(dir string) (*disk, error) {
	if err := os.MkdirAll(filepath.Join(dir, "units"), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory for this machine's records: %w", err)
	}
	return &disk{dir}, nil
}

// file is the path of a unit's record. Unit names hold no slash, but may be as
// long as a file name can get: those are cut and told apart by their hash.
func (d *disk) file(name string) string {
	const longest = 150
	if len(name) > longest {
		name = fmt.Sprintf("%s~%x", name[:longest], sha256.Sum256([]byte(name)))
	}
	return filepath.Join(d.dir, "units", name+".json")
}

func (d *disk) records() (map[string]Record, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, "units"))
	if err != nil {
		return nil, fmt.Errorf("read this machine's records: %w", err)
	}
	recs := map[string]Record{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue // an unfinished write
		}
		var r Record
		if err := readJSON(filepath.Join(d.dir, "units", e.Name()), &r); err != nil {
			return nil, err
		}
		recs[r.Unit] = r
	}
	return recs, nil
}

func (d *disk) save(r Record) error { return writeJSON(d.file(r.Unit), r) }

func (d *disk) drop(name string) error {
	if err := os.Remove(d.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop the record of %s: %w", name, err)
	}
	return nil
}

func (d *disk) membership() (membership, error) {
	var m membership
	err := readJSON(filepath.Join(d.dir, membershipFile), &m)
	if errors.Is(err, fs.ErrNotExist) {
		return membership{}, nil
	}
	return m, err
}

func (d *disk) saveMembership(m membership) error {
	return writeJSON(filepath.Join(d.dir, membershipFile), m)
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// writeJSON replaces path as a whole or not at all, also through a power loss.
func writeJSON(path string, v any) (err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
