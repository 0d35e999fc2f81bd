package store

import (
	"encoding/json"
	"fmt"
	"time"

	"vetting/core"
)

// lossNotice tells whoever reads the ledger that its past has a hole.
func lossNotice(now time.Time, stood, found mark) core.Event {
	data, err := json.Marshal(core.Notice{
		Code:     "store/loss-accepted",
		Severity: core.Critical,
		Text: fmt.Sprintf("Commits %d to %d were acknowledged and are lost: the ledger was damaged and opened without them.",
			found.commit+1, stood.commit),
	})
	if err != nil {
		data = nil // a struct of strings always encodes
	}

	return core.Event{Time: now, Kind: core.EventNotice, Data: data}
}
