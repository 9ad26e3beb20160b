package systemd

import (
	"context"
	"time"
)

// HostStopping reports whether the host itself is going down, as systemd says;
// false when it can't tell within a few seconds.
func HostStopping() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := findBus().calls(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	state, err := conn.GetManagerProperty("SystemState")
	return err == nil && state == `"stopping"`
}
