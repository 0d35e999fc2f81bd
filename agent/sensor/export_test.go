package sensor

import "time"

// Look reads everything once, as Run does each second.
func (s *Sidecar) Look(now time.Time) { s.look(now) }
