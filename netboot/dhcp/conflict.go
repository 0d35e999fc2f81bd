package dhcp

import (
	"net/netip"
	"time"

	"vetting/core"
)

// probeSticky reports whether the address bound to mac should be asked for by
// ARP now: at DISCOVER the machine has no address yet, so an answer is another's.
func (t *table) probeSticky(mac [6]byte, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	b := t.byMAC[mac]
	if b == nil || now.Sub(b.probed) < 10*time.Second {
		return false
	}

	b.probed = now

	return true
}

// heard takes an ARP message of mac about addr into account. It returns true,
// with the MAC that addr is bound to ("" for none), when the two dispute it.
func (t *table) heard(addr netip.Addr, mac [6]byte, now time.Time) (core.MAC, bool) {
	if !t.holds(addr) {
		return "", false
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	b := t.byAddr[addr]

	switch {
	case b == nil:
		fresh := !t.quarantined(addr, now)
		t.isolate(addr, now)

		return "", fresh
	case b.mac == mac:
		return "", false
	case now.Sub(b.probed) > disputeWindow:
		// The machine is up; a second card on the same wire may answer for the
		// first one's address (Linux arp_ignore=0). That is no dispute.
		return "", false
	default:
		fresh := !t.quarantined(addr, now)
		t.isolate(addr, now)

		return macText(b.mac), fresh
	}
}

// round moves the reserve of verified addresses on and returns those to probe now.
func (t *table) round(now time.Time) (probe []netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()

	for addr, at := range t.pending {
		if now.Sub(at) >= probeWait {
			delete(t.pending, addr)
			t.clean[addr] = now
		}
	}

	for addr, at := range t.clean {
		if now.Sub(at) > cleanFor {
			delete(t.clean, addr)
		}
	}

	for range t.size {
		if len(t.clean)+len(t.pending) >= reserve {
			break
		}

		addr := t.at(t.cursor)
		t.cursor = (t.cursor + 1) % t.size

		if t.free(addr, now) {
			t.pending[addr] = now
			probe = append(probe, addr)
		}
	}

	return probe
}

// free reports whether addr is nobody's and not being verified. t.mu is held.
func (t *table) free(addr netip.Addr, now time.Time) bool {
	_, clean := t.clean[addr]
	_, pending := t.pending[addr]

	_, apart := t.apart[addr]

	return !clean && !pending && !apart && addr != t.self && t.byAddr[addr] == nil && !t.quarantined(addr, now)
}
