package tftp

import (
	"net/netip"
	"sync"
	"time"
)

const (
	maxNarrow = 4096
	// narrowFor is how long a narrow way is believed after it was last used: a machine that
	// was switched off in its first block looks like one, and a cable may be put right.
	narrowFor = time.Hour
)

// widths are the block sizes tried in turn where the first block of a larger size
// never arrives: tunnels, VLAN tags and firmware make less of 1500 bytes than they say
// (crowbar #1078; QEMU's UEFI once took no more than 1024).
func widths() []int { return []int{1408, 1024, plainBlock} }

// narrows are the largest blocks that may get through to addresses. The zero value is
// ready. Safe for concurrent use.
type narrows struct {
	mu sync.Mutex // guards by
	by map[netip.Addr]narrow
}

type narrow struct {
	width int
	used  time.Time // when this was found, or a transfer last got through by it
}

// most is the largest block for a machine, where others have whole.
func (n *narrows) most(addr netip.Addr, whole int, now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()

	switch known, ok := n.by[addr]; {
	case !ok:
		return whole
	case now.Sub(known.used) > narrowFor:
		delete(n.by, addr)

		return whole
	default:
		return known.width
	}
}

// narrower notes that blocks of a size do not get through to a machine, and returns which
// is tried next; false where there is none.
func (n *narrows) narrower(addr netip.Addr, block int, now time.Time) (width int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()

	for _, width := range widths() {
		if width >= block {
			continue
		}

		if n.by == nil || len(n.by) >= maxNarrow {
			n.by = map[netip.Addr]narrow{}
		}

		n.by[addr] = narrow{width, now}

		return width, true
	}

	return 0, false
}

// through notes that blocks of a size did get through: after all, where they are larger
// than was believed, or by what was believed.
func (n *narrows) through(addr netip.Addr, block int, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()

	switch known, ok := n.by[addr]; {
	case !ok:
	case block > known.width:
		delete(n.by, addr)
	case block == known.width:
		known.used = now
		n.by[addr] = known
	}
}
