package stage

import (
	"time"

	"vetting/agent/burn"
	"vetting/core"
)

// BurnRules returns the ids of the rows that the Burn stage judges.
func BurnRules() (ids []string) {
	for _, rule := range burnRules() {
		ids = append(ids, rule.id)
	}

	return ids
}

// BurnRates returns what makes samples of a burn under way.
func BurnRates() func(*burn.Outcome, time.Time) []core.Sample { return new(burnRates).since }
