package route

import (
	"time"

	"vetting/core"
)

// PowerOrder is what is to be done to a host's power.
type PowerOrder struct {
	Op core.PowerOp `json:"op"`
}

// PowerDone is what came of it. State is known only where it was asked for and
// the host's controller can tell.
type PowerDone struct {
	Op    core.PowerOp    `json:"op"`
	State core.PowerState `json:"state"`
}

// LocateWish names what is to be found by its light: a disk by its serial or a network
// port by its name, both of a held host. Neither: the machine itself.
type LocateWish struct {
	Disk    string `json:"disk,omitempty"`
	NIC     string `json:"nic,omitempty"`
	Seconds int    `json:"seconds,omitempty"` // 0: 60
	Off     bool   `json:"off,omitempty"`
}

// LocateDone is which light was asked for. The agent hears of it with the answer to its next
// heartbeat; what comes of it stands in the log of the run.
type LocateDone struct {
	Kind  string    `json:"kind"` // "disk", "nic", "chassis"
	Name  string    `json:"name,omitempty"`
	Until time.Time `json:"until,omitzero"` // absent: until it is switched off
	Off   bool      `json:"off,omitempty"`
}

// HostKeyList is the keys of installed hosts, those that wait for approval first.
type HostKeyList struct {
	Keys []core.HostKey `json:"keys"`
}

// PresenceList is what was last heard of installed hosts, by MAC.
type PresenceList struct {
	Hosts []Presence `json:"hosts"`
}

// Presence is what was last heard of one installed host.
type Presence struct {
	Host         core.MAC  `json:"host"`
	Online       bool      `json:"online"`
	Since        time.Time `json:"since,omitzero"` // of online as it is
	LastSeen     time.Time `json:"last_seen,omitzero"`
	AgentVersion string    `json:"agent_version,omitempty"`
	BootID       string    `json:"boot_id,omitempty"`
	Uptime       float64   `json:"uptime_s,omitempty"`
	KeyID        string    `json:"key_id,omitempty"`  // it signed with; absent: unsigned
	Refusal      string    `json:"refusal,omitempty"` // why it would not reboot, as it said last
}

// NewPresence shows p.
func NewPresence(p *core.Presence) Presence {
	return Presence{
		Host: p.Host, Online: p.Online, Since: p.Since, LastSeen: p.LastSeen, AgentVersion: p.AgentVersion, BootID: p.BootID,
		Uptime: p.Uptime.Seconds(), KeyID: p.KeyID, Refusal: p.Refusal,
	}
}

// QuickLineList is what a person pastes on an installed host to make it known; it
// is empty where the appliance has no agent to install.
type QuickLineList struct {
	Lines []QuickLine `json:"lines"`
}

// QuickLine is one of them.
type QuickLine struct {
	For  string `json:"for"` // "For machines on the test network:"
	Line string `json:"line"`
}

// controlRoutes reach a machine from outside, or by the light of a part.
func controlRoutes() []Route {
	return []Route{
		{
			Name: "hosts.power", Tag: "hosts", Method: "POST", Path: "/api/v1/hosts/{mac}/power", Scope: Operate,
			Summary: "Switch a host on or off, cycle it, boot it from the network, ask whether it is on, by the first of its " +
				"power methods that can, or switch the light by which it is found (locate, locate-off); refused while a stage works on the host",
			ReqType: JSON, Req: PowerOrder{}, OK: ok(PowerDone{}, "done"), Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "hosts.locate", Tag: "hosts", Method: "POST", Path: "/api/v1/hosts/{mac}/locate", Scope: Operate,
			Summary: "Have a disk (by serial) or a network port (by name) of a held host found by its light for some seconds (60, at most 600), or with off no more; its agent " +
				"hears of it with its next heartbeat and says in the log what came of it. Neither named: the light of the machine, as hosts.power",
			ReqType: JSON, Req: LocateWish{}, OK: ok(LocateDone{}, "asked for"), Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "hosts.controller", Tag: "hosts", Method: "POST", Path: "/api/v1/hosts/{mac}/controller", Scope: Operate,
			Summary: "Ask a host's management controller for its sensors and the end of its event log, by Redfish or else by IPMI; refused while a run needs " +
				"the controller, and good for 15 seconds",
			OK: ok(core.Panel{}, "what it tells"), Errors: []int{404, 409, 422, 507},
		},
		{
			Name: "hosts.console", Tag: "hosts", Method: "GET", Path: "/api/v1/hosts/{mac}/console", Scope: Operate,
			Summary: "Open the serial console of a host over its management controller (IPMI serial over LAN), as a web socket: binary messages are what the machine prints and what " +
				"is typed; text messages of the appliance are JSON, {\"role\": \"driver\"} or \"viewer\" (somebody else types, whom \"who\" names) and in the end {\"end\": why}, with a " +
				"\"code\" where there is one. Whoever comes second looks on; without a byte for half an hour it ends",
			Query: []Param{
				{Name: "take_over", Kind: "boolean", Summary: "end the session that somebody else has at the controller"},
				{Name: "read_only", Kind: "boolean", Summary: "only look: what is typed is not sent"},
			},
			OK: Answer{Status: 101, Summary: "the connection is a web socket now"}, Errors: []int{404, 422, 426, 503},
		},
	}
}

func installedRoutes() []Route {
	const key = "/api/v1/host-keys/{id}"

	return []Route{
		{
			Name: "presence.list", Tag: "hosts", Method: "GET", Path: "/api/v1/presence", Scope: Read,
			Summary: "Show which installed hosts are heard", OK: ok(PresenceList{}, "the hosts whose agent was ever heard"),
		},
		{
			Name: "host-keys.list", Tag: "hosts", Method: "GET", Path: "/api/v1/host-keys", Scope: Read,
			Summary: "List the keys that installed hosts registered, those that wait for approval first",
			Query: []Param{
				{Name: "state", Kind: "string", Summary: "only keys in this state: pending, approved or revoked"},
				{Name: "host", Kind: "string", Summary: "only keys of the host with this MAC"},
			},
			OK: ok(HostKeyList{}, "the keys"), Errors: []int{422},
		},
		{
			Name: "host-keys.approve", Tag: "hosts", Method: "POST", Path: key + "/approve", Scope: Operate,
			Summary: "Let the host with this key be told to reboot; compare the fingerprint first. The key it had before is revoked",
			OK:      ok(core.HostKey{}, "the key"), Errors: []int{404, 507},
		},
		{
			Name: "host-keys.revoke", Tag: "hosts", Method: "POST", Path: key + "/revoke", Scope: Operate,
			Summary: "Make a key worthless", OK: ok(core.HostKey{}, "the key"), Errors: []int{404, 507},
		},
		{
			Name: "quick-lines.list", Tag: "hosts", Method: "GET", Path: "/api/v1/quick-lines", Scope: Read,
			Summary: "Get the lines that install the agent on a running host and register it; they name the console as the caller reaches it",
			OK:      ok(QuickLineList{}, "the lines"),
		},
	}
}
