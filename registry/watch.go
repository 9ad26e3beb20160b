package registry

import "time"

// How a watch proves that it is alive, in every KV: a quiet one delivers
// progress at least every progressInterval, and one that has heard nothing
// from the store for silenceLimit ends with schedule.ErrUnavailable. A store
// whose revision is below what was delivered already proves nothing (it may
// have been restored from a backup), so that its progress does not count.
const (
	progressInterval = 3 * time.Second
	silenceLimit     = 8 * time.Second
)
