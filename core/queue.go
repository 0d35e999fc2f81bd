package core

import "time"

// QueueKey is where the Queue stands in TableSetting.
const QueueKey = "run-queue"

// Queue is the order that people gave to runs that wait for their turn. A run that is
// not in it waits after all that are, in the order of the ids, that is of creation; one
// that waits no more is passed over.
type Queue struct {
	Order     []RunID   `json:"order"`
	ChangedAt time.Time `json:"changed_at"`
	ChangedBy string    `json:"changed_by,omitempty"`
}

// Ranks returns the place of each run that people have moved.
func (q *Queue) Ranks() map[RunID]int {
	ranks := make(map[RunID]int, len(q.Order))
	for i, id := range q.Order {
		ranks[id] = i
	}

	return ranks
}

// Place is where in the queue a run is moved to.
type Place string

// The places.
const (
	PlaceFirst  Place = "first"
	PlaceLast   Place = "last"
	PlaceUp     Place = "up"     // one place nearer to its turn
	PlaceDown   Place = "down"   // one place further from it
	PlaceBefore Place = "before" // before the run that is named with it
)

// QueueMove is a wish to move a run in the queue.
type QueueMove struct {
	To     Place
	Before RunID // of PlaceBefore

	// Stood is the order that the wish was made of. Where those of it that still wait stand
	// in another one, the wish is refused; nil: it is good for any. PlaceLast is the last
	// among them, before those that have come since.
	Stood []RunID
}

// QueueMoved is what came of it.
type QueueMoved struct {
	Order  []RunID // all that wait, the next first
	Before RunID   // the run that it stood before until then; empty: it was the last
}
