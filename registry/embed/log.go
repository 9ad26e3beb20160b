package embed

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLogger returns a logger for etcd whose warnings and errors go to l; nil
// discards them. Once closing is closed nothing is passed on any more: that
// its listeners end is what was asked for, and etcd calls each an error.
func zapLogger(l *slog.Logger, closing <-chan struct{}) *zap.Logger {
	if l == nil {
		return zap.NewNop()
	}
	return zap.New(slogCore{l, closing})
}

// slogCore is a zap core that writes to slog.
type slogCore struct {
	logger  *slog.Logger
	closing <-chan struct{}
}

// idle holds the warnings that say nothing to the operator of a store embedded
// here: it serves no HTTP beside gRPC and has no users, and each slow request is
// told of by another warning already, without its contents.
var idle = map[string]bool{
	"request stats": true,
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"simple token is not cryptographically signed":                                         true,
}

func (c slogCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.logger.With(attrs(fields)...), c.closing}
}

func (c slogCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && !idle[e.Message] {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	select {
	case <-c.closing:
		return nil
	default:
	}
	level := slog.LevelWarn
	if e.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	c.logger.Log(context.Background(), level, "etcd: "+e.Message, attrs(fields)...)
	return nil
}

func (c slogCore) Sync() error { return nil }

// attrs turns fields into what slog takes, in the order of their names.
func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	var out []any
	for _, name := range slices.Sorted(maps.Keys(enc.Fields)) {
		out = append(out, slog.Any(name, enc.Fields[name]))
	}
	return out
}
