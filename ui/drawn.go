package ui

import (
	"slices"
	"sync"
	"time"

	"vetting/ui/account"
)

// What drawing of reports costs for people who have no account: somebody who asks again and
// again, or has the links of a whole delivery opened at once, keeps no operator waiting.
const (
	drawnLife  = time.Minute // a report is handed out again as it was drawn
	drawnBytes = 16 << 20    // of reports that are kept, all together
	mostDraws  = 60          // reports that are drawn in a minute, all together
)

// drawings are the reports that were drawn for links, one at a time. Safe for concurrent use.
type drawings struct {
	mu     sync.Mutex // held while one is drawn, too
	kept   []drawing  // the oldest first
	minute time.Time  // begin of the minute that is counted
	count  int        // drawn in it
}

type drawing struct {
	key  string
	at   time.Time
	page []byte
}

// get returns the report called key, drawn now or a moment ago. It is an account.TooSoon where
// too many were drawn.
func (d *drawings) get(now time.Time, key string, draw func() ([]byte, error)) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.kept = slices.DeleteFunc(d.kept, func(one drawing) bool { return !within(one.at, now, drawnLife) })

	if i := slices.IndexFunc(d.kept, func(one drawing) bool { return one.key == key }); i >= 0 {
		return d.kept[i].page, nil
	}

	if !within(d.minute, now, time.Minute) {
		d.minute, d.count = now, 0
	}

	if d.count >= mostDraws {
		return nil, &account.TooSoon{Wait: d.minute.Add(time.Minute).Sub(now)}
	}

	d.count++

	page, err := draw()
	if err == nil {
		d.keep(drawing{key, now, page})
	}

	return page, err
}

// keep keeps a report, and of those before it as many as there is room for. d.mu is held.
func (d *drawings) keep(one drawing) {
	d.kept = append(d.kept, one)

	size := 0
	for i := range d.kept {
		size += len(d.kept[i].page)
	}

	for size > drawnBytes {
		size -= len(d.kept[0].page)
		d.kept = slices.Delete(d.kept, 0, 1)
	}
}

// within reports whether now is less than span after at, and not before it: a clock that was set
// back ends no wait later than the span.
func within(at, now time.Time, span time.Duration) bool {
	return !now.Before(at) && now.Sub(at) < span
}
