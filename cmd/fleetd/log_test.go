package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLogHasTheJournalsPriorities(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(newLogHandler(&b, slog.LevelInfo, true)).With("machine", "m1")
	log.Debug("not shown")
	log.Info("an information")
	log.Warn("a warning")
	log.Error("an error", "err", "why")
	want := `<6>level=INFO msg="an information" machine=m1
<4>level=WARN msg="a warning" machine=m1
<3>level=ERROR msg="an error" machine=m1 err=why
`
	if b.String() != want {
		t.Errorf("logged\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	slog.New(newLogHandler(&b, slog.LevelInfo, false)).Warn("on a terminal")
	if !strings.HasPrefix(b.String(), "time=") {
		t.Errorf("without a journal: %s", b.String())
	}
}
