package dhcp

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"sync"
	"time"

	"vetting/core"
)

const (
	offerHold      = time.Minute      // how long an offered address waits for its REQUEST
	quarantineTime = 10 * time.Minute // how long a disputed address is not given out
	cleanFor       = time.Minute      // how long "nobody answered for it" is believed
	probeWait      = time.Second      // how long an answer to a probe may take (RFC 5227: 1–2 s)
	disputeWindow  = 2 * time.Second  // an answer this soon after a probe at DISCOVER is a dispute
	reserve        = 32               // free addresses kept probed
	maxQuarantine  = 4096
)

// binding ties an address to a MAC. All its fields are guarded by table.mu.
type binding struct {
	mac     [6]byte
	addr    netip.Addr
	granted time.Time // zero: only offered
	expires time.Time
	probed  time.Time // when the address was last asked for by ARP
	client  core.BootClient
	web     bool
}

// table knows which address of a network belongs to whom. A binding is sticky:
// its address comes from a hash of the MAC, and is given to another only when the
// pool is used up and the lease has run out. Reserved addresses, in the pool or
// not, are given to nobody but their machine. Safe for concurrent use.
type table struct {
	self     netip.Addr
	first    uint32
	size     uint32
	reserved map[[6]byte]netip.Addr
	apart    map[netip.Addr][6]byte // the same, the other way round

	mu         sync.Mutex // guards all below
	byMAC      map[[6]byte]*binding
	byAddr     map[netip.Addr]*binding
	quarantine map[netip.Addr]time.Time // until
	clean      map[netip.Addr]time.Time // verified at
	pending    map[netip.Addr]time.Time // probed at
	cursor     uint32
}

func newTable(self netip.Addr, pool Range) *table {
	first, last := toUint(pool.First), toUint(pool.Last)

	return &table{
		self: self, first: first, size: last - first + 1,
		reserved: map[[6]byte]netip.Addr{}, apart: map[netip.Addr][6]byte{},
		byMAC: map[[6]byte]*binding{}, byAddr: map[netip.Addr]*binding{},
		quarantine: map[netip.Addr]time.Time{}, clean: map[netip.Addr]time.Time{}, pending: map[netip.Addr]time.Time{},
	}
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()

	return binary.BigEndian.Uint32(b[:])
}

func (t *table) at(i uint32) netip.Addr {
	var b [4]byte

	binary.BigEndian.PutUint32(b[:], t.first+i%t.size)

	return netip.AddrFrom4(b)
}

// reserve sets an address apart for mac. It is called before the table is used.
func (t *table) reserve(mac [6]byte, addr netip.Addr) {
	t.reserved[mac] = addr
	t.apart[addr] = mac
}

// holds reports whether the address is one that we give at all.
func (t *table) holds(a netip.Addr) bool {
	_, apart := t.apart[a]

	return apart || a.Is4() && toUint(a)-t.first < t.size && a != t.self
}

// open reports whether mac may have the address: it is not another's, and, where
// one is reserved for mac, that one, unless somebody uses it. t.mu is held.
func (t *table) open(mac [6]byte, a netip.Addr, now time.Time) bool {
	if owner, apart := t.apart[a]; apart {
		return owner == mac
	}

	own, has := t.reserved[mac]

	return t.holds(a) && (!has || t.quarantined(own, now))
}

// load takes back the bindings of an earlier life. Those outside the pool, and
// the older of two for one address, are left.
func (t *table) load(leases []core.Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()

	for _, l := range leases {
		mac, ok := macBytes(l.MAC)
		if !ok || !t.open(mac, l.Addr, l.Granted) {
			continue
		}

		if old := t.byAddr[l.Addr]; old != nil && old.granted.After(l.Granted) {
			continue
		}

		t.forget(t.byAddr[l.Addr])
		t.forget(t.byMAC[mac])
		t.bind(&binding{
			mac: mac, addr: l.Addr, granted: l.Granted, expires: l.Expires,
			client: core.BootClient{MAC: l.MAC, Kind: core.ClientOther, Arch: -1, Addr: l.Addr},
		})
	}
}

// bind files b. t.mu is held.
func (t *table) bind(b *binding) {
	t.byMAC[b.mac] = b
	t.byAddr[b.addr] = b
	delete(t.clean, b.addr)
	delete(t.pending, b.addr)
}

// forget drops b, which may be nil. t.mu is held.
func (t *table) forget(b *binding) {
	if b != nil {
		delete(t.byMAC, b.mac)
		delete(t.byAddr, b.addr)
	}
}

// offer returns the address for mac, the same each time, or one bound anew:
// the one it wishes for when that is free, else one known to be unused.
func (t *table) offer(mac [6]byte, wish netip.Addr, now time.Time) (netip.Addr, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	if b := t.byMAC[mac]; b != nil {
		if t.open(mac, b.addr, now) && !t.quarantined(b.addr, now) {
			if b.granted.IsZero() {
				b.expires = now.Add(offerHold)
			}

			return b.addr, true
		}

		t.forget(b)
	}

	addr, ok := t.choose(mac, wish, now)
	if !ok {
		return netip.Addr{}, false
	}

	t.forget(t.byAddr[addr])
	t.bind(&binding{mac: mac, addr: addr, expires: now.Add(offerHold)})

	return addr, true
}

// choose finds an address for a MAC that has none. t.mu is held.
func (t *table) choose(mac [6]byte, wish netip.Addr, now time.Time) (netip.Addr, bool) {
	if own, ok := t.reserved[mac]; ok && !t.quarantined(own, now) {
		return own, true
	}

	if t.open(mac, wish, now) && t.byAddr[wish] == nil && !t.quarantined(wish, now) {
		return wish, true
	}

	h := fnv.New32a()
	h.Write(mac[:])
	start := h.Sum32() % t.size

	if addr, ok := t.nearestClean(start, now); ok {
		return addr, true
	}

	var oldest *binding

	for i := range t.size {
		addr := t.at(start + i)
		b := t.byAddr[addr]

		switch {
		case !t.open(mac, addr, now) || t.quarantined(addr, now):
		case b == nil:
			return addr, true
		case b.expires.Before(now) && (oldest == nil || b.expires.Before(oldest.expires)):
			oldest = b
		}
	}

	if oldest == nil {
		return netip.Addr{}, false
	}

	return oldest.addr, true
}

// nearestClean returns the verified address that follows the start most closely,
// so that a MAC gets the same one as long as the same ones are free. t.mu is held.
func (t *table) nearestClean(start uint32, now time.Time) (best netip.Addr, ok bool) {
	nearest := t.size

	for addr, at := range t.clean {
		if now.Sub(at) > cleanFor || t.byAddr[addr] != nil || t.quarantined(addr, now) {
			continue
		}

		if d := (toUint(addr) - t.first + t.size - start) % t.size; d < nearest {
			nearest, best, ok = d, addr, true
		}
	}

	return best, ok
}

func (t *table) quarantined(a netip.Addr, now time.Time) bool {
	until, bad := t.quarantine[a]
	if bad && !until.After(now) {
		delete(t.quarantine, a)

		return false
	}

	return bad
}

// isolate keeps an address from everybody for a while. t.mu is held.
func (t *table) isolate(a netip.Addr, now time.Time) {
	if len(t.quarantine) >= maxQuarantine {
		clear(t.quarantine)
	}

	t.quarantine[a] = now.Add(quarantineTime)
	delete(t.clean, a)
	delete(t.pending, a)
}

// addrOf returns the address bound to mac, unless it is under quarantine.
func (t *table) addrOf(mac [6]byte, now time.Time) (netip.Addr, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	b := t.byMAC[mac]
	if b == nil || !t.open(mac, b.addr, now) || t.quarantined(b.addr, now) {
		return netip.Addr{}, false
	}

	return b.addr, true
}

// claim binds addr to mac when nobody else has it: how a machine keeps the
// address it remembers after the leases were lost.
func (t *table) claim(mac [6]byte, addr netip.Addr, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.byMAC[mac] != nil || !t.open(mac, addr, now) || t.byAddr[addr] != nil || t.quarantined(addr, now) {
		return false
	}

	t.bind(&binding{mac: mac, addr: addr, expires: now.Add(offerHold)})

	return true
}

// grant makes the binding of mac a lease until expires and returns it for keeping.
func (t *table) grant(mac [6]byte, addr netip.Addr, now, expires time.Time) core.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()

	b := t.byMAC[mac]
	if b == nil || b.addr != addr {
		b = &binding{mac: mac, addr: addr}
		t.bind(b)
	}

	b.granted, b.expires = now, expires

	return core.Lease{MAC: macText(mac), Addr: b.addr, Granted: now, Expires: expires}
}

// decline quarantines addr if it is bound to mac, and unbinds it.
func (t *table) decline(mac [6]byte, addr netip.Addr, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	b := t.byMAC[mac]
	if b == nil || b.addr != addr {
		return false
	}

	t.forget(b)
	t.isolate(addr, now)

	return true
}

// release ends the lease of mac but keeps the binding.
func (t *table) release(mac [6]byte, addr netip.Addr, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	b := t.byMAC[mac]
	if b == nil || b.addr != addr {
		return false
	}

	b.expires = now

	return true
}

// note remembers who last spoke from the binding of mac.
func (t *table) note(mac [6]byte, c client) {
	t.mu.Lock()
	defer t.mu.Unlock()

	if b := t.byMAC[mac]; b != nil {
		b.client, b.web = c.BootClient, c.web
		b.client.Addr = b.addr
	}
}

// holder returns who has a lease on addr. An address that was only offered has
// no holder yet; one whose lease ran out keeps it, as the binding is kept.
func (t *table) holder(addr netip.Addr) (client core.BootClient, expires time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	b := t.byAddr[addr]
	if b == nil || b.granted.IsZero() {
		return client, expires, false
	}

	return b.client, b.expires, true
}

func macBytes(mac core.MAC) (b [6]byte, ok bool) {
	if len(mac) != 17 {
		return b, false
	}

	for i := range b {
		hi, lo := nibble(mac[3*i]), nibble(mac[3*i+1])
		if hi > 15 || lo > 15 {
			return b, false
		}

		b[i] = hi<<4 | lo
	}

	return b, true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	default:
		return 255
	}
}
