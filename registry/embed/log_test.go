package embed

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestOnlyWhatConcernsTheOperatorIsLogged(t *testing.T) {
	var out bytes.Buffer
	closing := make(chan struct{})
	log := zapLogger(slog.New(slog.NewTextHandler(&out, nil)), closing)
	log.Info("an information")
	log.Warn("simple token is not cryptographically signed")
	log.With(zap.String("member", "a")).Warn("slow disk", zap.Int("ms", 200))
	log.Error("a failure")
	close(closing)
	log.Error("a listener was closed")

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{
		`level=WARN msg="etcd: slow disk" member=a ms=200`,
		`level=ERROR msg="etcd: a failure"`,
	}
	if len(lines) != len(want) {
		t.Fatalf("logged:\n%s", out.String())
	}
	for i, w := range want {
		if !strings.HasSuffix(lines[i], w) {
			t.Errorf("line %d is %s, want %s", i, lines[i], w)
		}
	}
}
