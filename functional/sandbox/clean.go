package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// clean removes what there is of a sandbox, found by its name. The caller has
// its lock.
func clean(ctx context.Context, dir, name string) error {
	boxes, err := findBoxes(name)
	if err != nil {
		return err
	}
	for _, b := range boxes {
		if err := b.destroy(ctx); err != nil {
			return err
		}
	}
	if err := (network{name}).down(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("remove sandbox: %w", err)
	}
	return nil
}

// findBoxes finds a sandbox's boxes by their cgroups.
func findBoxes(sandbox string) ([]box, error) {
	dirs, err := findCgroups(boxPrefix(sandbox) + "*.scope")
	if err != nil {
		return nil, err
	}
	var boxes []box
	seen := map[string]bool{}
	for _, d := range dirs {
		if name := filepath.Base(d); !seen[name] {
			seen[name] = true
			boxes = append(boxes, box{name})
		}
	}
	return boxes, nil
}
