package tftp

import "time"

// Soon is how long a client is waited for awake that took so long to answer.
func Soon(rtts ...time.Duration) time.Duration {
	p := pacer{wait: firstWait}
	for _, rtt := range rtts {
		p.took(rtt)
	}

	return p.soon()
}

// MostAwake is the most of it.
const MostAwake = mostAwake
