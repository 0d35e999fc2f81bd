package store

import (
	"slices"
	"sort"
	"strings"
	"time"

	"vetting/core"
)

// pending is a write that waits for its commit. A deleted one has no payload.
type pending struct {
	format  byte
	payload []byte
	deleted bool
}

// overlay holds writes that are not in Badger yet, over whatever is below. The
// writes in it are never changed, only replaced.
type overlay struct {
	writes map[string]pending
	events []written
	notes  notes
	size   int // of keys and payloads, with what Badger adds to each
}

// written is an event that has its sequence number.
type written struct {
	seq     uint64
	run     core.RunID
	payload []byte
}

// notes are what one event will tell of batches of samples.
type notes struct {
	seq  uint64 // of that event; 0: one below carries them
	at   time.Time
	each []core.SampleNote
}

// event is what they are written as.
func (n *notes) event() (written, error) {
	event, err := core.SampleEvent(n.at, n.each)
	if err != nil {
		return written{}, err
	}

	event.Seq = n.seq
	payload, err := encodeEvent(&event)

	return written{seq: n.seq, payload: payload}, err
}

// among returns the events, which are in order, with the one of the notes at the place
// that its number gives it.
func (n *notes) among(events []written) ([]written, error) {
	if len(n.each) == 0 {
		return events, nil
	}

	event, err := n.event()
	if err != nil {
		return nil, err
	}

	at := sort.Search(len(events), func(i int) bool { return events[i].seq > event.seq })

	return slices.Insert(events, at, event), nil
}

// perEntry is more than what an envelope and Badger add to a key and a payload.
const perEntry = 64

func newOverlay() *overlay { return &overlay{writes: map[string]pending{}} }

func (o *overlay) put(key string, p pending) {
	if before, has := o.writes[key]; has {
		o.size -= len(key) + len(before.payload) + perEntry
	}

	o.writes[key] = p
	o.size += len(key) + len(p.payload) + perEntry
}

func (o *overlay) emit(event written) {
	o.events = append(o.events, event)
	// The event and, at worst, a chain hash for it alone.
	o.size += len(event.payload) + len(event.run) + 2*perEntry + 64
}

// perNote is more than what a note takes with its run, its host and its numbers.
const perNote = 128

func (o *overlay) note(at time.Time, notes ...core.SampleNote) {
	if len(o.notes.each) == 0 {
		o.size += 4*perEntry + 64
	}

	o.notes.at, o.notes.each = at, append(o.notes.each, notes...)
	o.size += len(notes) * perNote
}

// absorb takes over everything of above.
func (o *overlay) absorb(above *overlay) {
	for key, p := range above.writes {
		o.put(key, p)
	}

	for _, e := range above.events {
		o.emit(e)
	}

	if above.notes.seq != 0 {
		o.notes.seq = above.notes.seq
	}

	if len(above.notes.each) > 0 {
		o.note(above.notes.at, above.notes.each...)
	}
}

func (o *overlay) empty() bool {
	return len(o.writes) == 0 && len(o.events) == 0 && len(o.notes.each) == 0
}

// entries is how many keys a commit of o writes, at most: the last three are the
// notes and the mark.
func (o *overlay) entries() int { return len(o.writes) + 2*len(o.events) + 3 }

// layered is a write with its key, in the order of a scan.
type layered struct {
	key string
	pending
}

// layersIn collects the writes of all layers that lie in the bounds, the newest
// for each key, sorted for the direction of the scan.
func layersIn(layers []*overlay, b bounds) []layered {
	var found []layered

	seen := map[string]bool{}

	for _, layer := range layers {
		for key, p := range layer.writes {
			if b.holds(key) && !seen[key] {
				seen[key] = true
				found = append(found, layered{key, p})
			}
		}
	}

	slices.SortFunc(found, func(x, y layered) int {
		if b.reverse {
			return strings.Compare(y.key, x.key)
		}

		return strings.Compare(x.key, y.key)
	})

	return found
}

// bounds is a core.Query in terms of whole keys. past is empty or a whole key.
type bounds struct {
	prefix  string
	past    string
	reverse bool
}

func (b bounds) holds(key string) bool {
	return strings.HasPrefix(key, b.prefix) && b.beyond(key)
}

func (b bounds) beyond(key string) bool {
	switch {
	case b.past == "":
		return true
	case b.reverse:
		return key < b.past
	default:
		return key > b.past
	}
}

// before reports whether x comes before y in the direction of the scan.
func (b bounds) before(x, y string) bool {
	if b.reverse {
		return x > y
	}

	return x < y
}
