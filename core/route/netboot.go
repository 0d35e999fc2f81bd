package route

import (
	"net/netip"
	"time"

	"vetting/core"
)

// Netboot is what the boot services are about, and whether they work.
type Netboot struct {
	Served    bool          `json:"served"` // false: this appliance serves no boots, and the rest is empty
	Interface string        `json:"interface,omitempty"`
	Mode      string        `json:"mode,omitempty"`    // "dhcp", "proxy" or "off"
	Address   string        `json:"address,omitempty"` // ours on the test NIC, with the length of the network
	Pool      string        `json:"pool,omitempty"`    // the addresses that are given, as people say it
	Checks    []HealthCheck `json:"checks"`
	Files     []BootFile    `json:"files"`
}

// BootFile is a file that is served to machines that boot.
type BootFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// LeaseList is the addresses that were given, in their order.
type LeaseList struct {
	Leases []Lease `json:"leases"`
}

// Lease is an address given to a machine. A machine keeps its address for good; that
// its time is over says only that it has not asked of late.
type Lease struct {
	Addr    netip.Addr `json:"addr"`
	MAC     core.MAC   `json:"mac"`
	Name    string     `json:"name,omitempty"` // of the host; absent: not registered
	InForce bool       `json:"in_force"`
	Granted time.Time  `json:"granted"`
	Expires time.Time  `json:"expires"`
}

// BootEventList is what the boot services saw, the newest first.
type BootEventList struct {
	Events []BootEvent `json:"events"`
}

// BootEvent is one thing that was seen of a machine's boot.
type BootEvent struct {
	Name string        `json:"name,omitempty"` // of the host; absent: not registered
	Step core.BootStep `json:"step"`
}

// netbootRoutes are about the boot services as a whole; what was seen of one machine
// is boot-trace.get.
func netbootRoutes() []Route {
	const base = "/api/v1/netboot"

	return []Route{
		{
			Name: "netboot.get", Tag: "netboot", Method: "GET", Path: base, Scope: Read,
			Summary: "Show what the boot services are about, whether they work, and the files they serve with their hashes", OK: ok(Netboot{}, "the services"),
		},
		{
			Name: "netboot.leases", Tag: "netboot", Method: "GET", Path: base + "/leases", Scope: Read,
			Summary: "List the addresses that were given on the test network", OK: ok(LeaseList{}, "the addresses in their order"),
		},
		{
			Name: "netboot.events", Tag: "netboot", Method: "GET", Path: base + "/events", Scope: Read,
			Summary: "List what the boot services saw last of all machines (DHCP, TFTP, HTTP), the newest first; what follows is told by events, as boot",
			Query:   []Param{{Name: "limit", Kind: "integer", Summary: "at most so many (1 to 1000, 200 by default)"}},
			OK:      ok(BootEventList{}, "the steps"), Errors: []int{422},
		},
	}
}
