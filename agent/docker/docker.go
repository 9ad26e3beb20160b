// Package docker speaks to this machine's Docker Engine.
//
// For now it only tells whether the Engine answers, since a machine whose Docker
// hangs takes no new units, and its version. It needs Engine 20.10 or newer; the API version is
// negotiated with it on the first call.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/docker/docker/client"
)

// ErrAbsent: there is no Docker Engine on this machine, nor one that could be
// started by asking for it.
var ErrAbsent = errors.New("no Docker Engine on this machine")

// Engine is a machine's Docker Engine.
type Engine struct {
	client *client.Client
	socket string // empty where it isn't reached through one
}

// New returns the Engine at host, unix:///path or tcp://address:port, without
// asking it anything.
func New(host string) (*Engine, error) {
	c, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("docker at %s: %w", host, err)
	}
	e := &Engine{client: c}
	if path, ok := strings.CutPrefix(host, "unix://"); ok {
		e.socket = path
	}
	return e, nil
}

// Close lets go of the connections.
func (e *Engine) Close() error { return e.client.Close() }

// Ping returns nil when the Engine answers, and an error that wraps ErrAbsent
// when there is none to ask.
func (e *Engine) Ping(ctx context.Context) error {
	if err := e.absent(); err != nil {
		return err
	}
	if _, err := e.client.Ping(ctx); err != nil {
		return fmt.Errorf("ask Docker: %w", err)
	}
	return nil
}

// Version returns the Engine's version, such as 20.10.24+dfsg1. Its errors are
// those of Ping.
func (e *Engine) Version(ctx context.Context) (string, error) {
	if err := e.absent(); err != nil {
		return "", err
	}
	v, err := e.client.ServerVersion(ctx)
	if err != nil {
		return "", fmt.Errorf("ask Docker for its version: %w", err)
	}
	return v.Version, nil
}

func (e *Engine) absent() error {
	if e.socket == "" {
		return nil
	}
	if _, err := os.Stat(e.socket); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s does not exist", ErrAbsent, e.socket)
	}
	return nil
}
