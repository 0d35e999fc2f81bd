package hold

import "sync"

// door counts who is inside, so that no address can fill the room and no crowd
// of strangers can keep the operator out for longer than a handshake may take.
type door struct {
	strangers, perAddr int

	mu      sync.Mutex
	waiting int            // guarded by mu: have not logged in
	held    map[string]int // guarded by mu: connections of each address
}

func newDoor(strangers, perAddr int) *door {
	return &door{strangers: strangers, perAddr: perAddr, held: map[string]int{}}
}

// guest is a connection that was let in. Its methods are called by one goroutine.
type guest struct {
	door  *door
	addr  string
	known bool
}

// enter lets a connection of addr in, or not.
func (d *door) enter(addr string) (*guest, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.waiting >= d.strangers || d.held[addr] >= d.perAddr {
		return nil, false
	}

	d.waiting++
	d.held[addr]++

	return &guest{door: d, addr: addr}, true
}

// welcome says that the guest has logged in.
func (g *guest) welcome() {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()

	g.known = true
	g.door.waiting--
}

// out says that the guest is gone.
func (g *guest) out() {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()

	if !g.known {
		g.door.waiting--
	}

	if g.door.held[g.addr]--; g.door.held[g.addr] == 0 {
		delete(g.door.held, g.addr)
	}
}
