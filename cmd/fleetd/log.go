package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// newLogHandler writes records as lines of text. For the journal each begins
// with its priority (sd-daemon(3)), so that journalctl -p finds it, and has no
// time, which the journal knows.
func newLogHandler(w io.Writer, level slog.Leveler, journal bool) slog.Handler {
	text := func(w io.Writer) slog.Handler {
		o := &slog.HandlerOptions{Level: level}
		if journal {
			o.ReplaceAttr = dropTime
		}
		return slog.NewTextHandler(w, o)
	}
	if !journal {
		return text(w)
	}
	var h journalHandler
	for _, priority := range []int{7, 6, 4, 3} { // debug, info, warning, err
		h.byLevel = append(h.byLevel, text(prefixed{w, fmt.Sprintf("<%d>", priority)}))
	}
	return h
}

func hasVariable(env []string, name string) bool {
	return slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
}

// dropTime leaves the time to the journal.
func dropTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// journalHandler has a handler for debug, info, warning and error each.
type journalHandler struct{ byLevel []slog.Handler }

func (h journalHandler) of(l slog.Level) slog.Handler {
	switch {
	case l < slog.LevelInfo:
		return h.byLevel[0]
	case l < slog.LevelWarn:
		return h.byLevel[1]
	case l < slog.LevelError:
		return h.byLevel[2]
	}
	return h.byLevel[3]
}

func (h journalHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.of(l).Enabled(ctx, l)
}

func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.of(r.Level).Handle(ctx, r)
}

func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.each(func(l slog.Handler) slog.Handler { return l.WithAttrs(attrs) })
}

func (h journalHandler) WithGroup(name string) slog.Handler {
	return h.each(func(l slog.Handler) slog.Handler { return l.WithGroup(name) })
}

func (h journalHandler) each(f func(slog.Handler) slog.Handler) journalHandler {
	var out journalHandler
	for _, l := range h.byLevel {
		out.byLevel = append(out.byLevel, f(l))
	}
	return out
}

// prefixed writes a prefix before each record; slog writes them one at a time.
type prefixed struct {
	w      io.Writer
	prefix string
}

func (p prefixed) Write(b []byte) (int, error) {
	if _, err := p.w.Write(append([]byte(p.prefix), b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
