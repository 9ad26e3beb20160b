package schedule

import "time"

// Strategy says which of several machines that fit is taken.
type Strategy string

// The strategies.
const (
	SpreadOut Strategy = "spread"  // the least loaded
	BinPack   Strategy = "binpack" // the most loaded that is not full
)

// Policy is what the cluster's owner decides about scheduling, the same on
// every machine that may lead.
type Policy struct {
	Strategy    Strategy
	ForgetAfter time.Duration // a machine lost for so long is forgotten; 0: never
}

// DefaultPolicy is what holds where nothing is configured.
func DefaultPolicy() Policy { return Policy{Strategy: SpreadOut, ForgetAfter: 24 * time.Hour} }

// SetPolicy has the next Plan follow the policy. It moves nothing by itself.
func (c *Cluster) SetPolicy(p Policy) {
	c.policy = p
	for _, m := range c.machines {
		c.rank(m)
		if m.absence != nil {
			c.agenda.machine(m)
		}
	}
}
