package fleetctl

import (
	"context"
	"regexp"
	"strings"

	"fleet/api"
)

// machineID is an ID as machine-id(5) has it.
var machineID = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

// namer writes machines as the listings do, 113f16a7.../172.17.8.101, also
// where a sentence has their IDs.
type namer struct {
	legends map[string]string // by ID
	full    bool
}

func newNamer(machines []api.Machine, full bool) namer {
	n := namer{make(map[string]string, len(machines)), full}
	for i, m := range machines {
		n.legends[m.ID] = legend(m.ID, machines[i:i+1], full)
	}
	return n
}

// in returns the text with every machine's ID in it replaced.
func (n namer) in(text string) string {
	var b strings.Builder
	for text != "" {
		end := strings.IndexFunc(text, notOfID)
		if end == 0 {
			end = strings.IndexFunc(text, isOfID)
		}
		if end < 0 {
			end = len(text)
		}
		word := text[:end]
		if l, ok := n.legends[word]; ok {
			word = l
		}
		b.WriteString(word)
		text = text[end:]
	}
	return b.String()
}

// brief returns a sentence of fleetd's with its machines written as in the
// listings. The machines are asked for once, when a sentence first names one;
// where that fails it stays as it is.
func (a *app) brief(ctx context.Context, text string) string {
	if !machineID.MatchString(text) {
		return text
	}
	if a.named == nil {
		c, err := a.client()
		if err != nil {
			return text
		}
		machines, err := c.Machines(ctx, true)
		if err != nil {
			return text
		}
		n := newNamer(machines, false)
		a.named = &n
	}
	return a.named.in(text)
}

func isOfID(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

func notOfID(r rune) bool { return !isOfID(r) }
