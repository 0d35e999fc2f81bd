package canned

import (
	"fmt"

	"vetting/core"
)

// crowded is how many hosts the scene Crowd has.
const crowded = 500

// crowd is the rack at work, many times over.
func crowd() (rows []row) {
	for len(rows) < crowded {
		for _, r := range rack() {
			n := len(rows)
			if n == crowded {
				break
			}

			r.host.MAC = core.MAC(fmt.Sprintf("52:54:00:01:%02x:%02x", n/256, n%256))
			r.host.Name = fmt.Sprintf("rack%d-u%d", n/40+1, n%40+1)
			r.host.Rack = fmt.Sprintf("rack%d/U%d", n/40+1, n%40+1)

			if r.run != nil {
				r.run.ID = core.RunID(fmt.Sprintf("01JD4X0000000000000001%04d", n))
			}

			rows = append(rows, r)
		}
	}

	rows[0].host.MAC, rows[0].run.ID = Host, Run

	return rows
}
