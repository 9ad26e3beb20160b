package systemd

import (
	"context"
	"fmt"
	"strings"
)

// Version returns systemd's version as it tells it: 252.39-1~deb12u1, or v259
// where no distribution has added to it.
func (r *Runner) Version(ctx context.Context) (string, error) {
	conn, err := r.systemd(ctx)
	if err != nil {
		return "", err
	}
	v, err := conn.GetManagerProperty("Version") // in the notation for humans: quoted
	if err != nil {
		return "", fmt.Errorf("ask systemd for its version: %w", err)
	}
	return strings.Trim(v, `"`), nil
}
